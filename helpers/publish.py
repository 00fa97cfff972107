"""The course's public address: the setup cell that every notebook begins with, and the "Open in Colab" badges."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from helpers.environment import ROOT, CourseError, replacing

GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com/"
BLOCK = re.compile(r"<!-- colab -->.*?<!-- /colab -->", re.DOTALL)
ADDRESS = re.compile(r"(?:https://github\.com/)?([\w-]+/(?!\.)[\w.-]+?)(?:\.git)?/?", re.ASCII)
URLS = re.compile(r'(\[project\.urls\]\r?\n)(?:Repository = "(.*)"\r?\n)?')

SETUP = '''\
# Setup: in Colab, fetch the course and the packages it lacks; anywhere else, do nothing.
import sys

if "google.colab" in sys.modules:
    import os
    import subprocess
    from importlib import invalidate_caches, metadata, util
    from pathlib import Path

    REPOSITORY = ""
    here = Path.cwd()
    course = here.parent if (here.parent / "helpers").is_dir() else here / "vision-course"
    if not (course / "helpers").is_dir():
        address = os.environ.get("COURSE_REPO") or REPOSITORY or input("Git address of the course: ")
        subprocess.run(["git", "clone", "--quiet", "--depth=1", address, course], check=True)
    needed = ["torchsummary", "albumentations>=2,<3", "tqdm"]
    if missing := [name for name in needed if not util.find_spec(name.split(">")[0])]:
        pins = course / "pins.tmp"  # pip leaves alone what Colab built to fit together
        fixed = ["torch", "torchvision", "numpy"]
        pins.write_text("\\n".join(f"{name}=={metadata.version(name)}" for name in fixed))
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-c", pins, *missing], check=True)
        invalidate_caches()
    if str(course) not in sys.path:
        sys.path.insert(0, str(course))
    os.chdir(course / "notebooks")'''

BY_HAND = (f"To open a notebook in [Colab]({COLAB}), choose *File → Upload notebook* there and pick the notebook's "
           "file; the setup cell asks for the course's Git address.")


def setup_cell(repository: str = "") -> str:
    """The source of the setup cell, which in Colab clones ``repository``, or asks for an address if that is empty."""
    return SETUP.replace('REPOSITORY = ""', f'REPOSITORY = "{repository}"')


def colab_block(names: Sequence[str], repository: str = "") -> str:
    """The Markdown between the markers, for notebooks by stem: badges, or how to do without them before publishing."""
    place = f"{COLAB}github/{repository.removeprefix(GITHUB)}/blob/main/notebooks/"
    badges = [f"[![Open in Colab]({COLAB}assets/colab-badge.svg)]({place}{name}.ipynb)" for name in names]
    if len(names) > 1:
        badges = [f"- {name} {badge}" for name, badge in zip(names, badges)]
    text = "\n".join(badges) if repository else BY_HAND
    return f"<!-- colab -->\n\n{text}\n\n<!-- /colab -->"


def published(root: Path = ROOT) -> str:
    """The address the course was published at, from ``pyproject.toml``; empty before that."""
    match = URLS.search(_read(root / "pyproject.toml"))
    return (match[2] or "") if match else ""


def publish(address: str, root: Path = ROOT) -> list[Path]:
    """Set the public address, OWNER/NAME on GitHub, in ``pyproject.toml``, every setup cell and every badge.

    Returns the files changed: none, if it is run again. Raises CourseError, before any file is written, for another
    kind of address, a notebook without one setup cell, and a README or first Markdown cell without the markers.
    """
    match = ADDRESS.fullmatch(address)
    if not match:
        raise CourseError(f"cannot publish at {address!r}: give OWNER/NAME or {GITHUB}OWNER/NAME")
    return refresh(root, GITHUB + match[1])


def refresh(root: Path = ROOT, repository: str | None = None) -> list[Path]:
    """Bring every setup cell and badge up to date, by default at the address published already. Raises as above."""
    repository = published(root) if repository is None else repository
    readme, project, notebooks = root / "README.md", root / "pyproject.toml", _notebooks(root)
    old = {path: _read(path) for path in [readme, *notebooks, project]}
    new = {readme: _with_badges(readme, old[readme], colab_block([path.stem for path in notebooks], repository))}
    new |= {path: _current(path, old[path], repository) for path in notebooks}
    new[project] = _with_address(project, old[project], repository)
    changed = [path for path in old if new[path] != old[path]]
    for path in changed:
        with replacing(path) as temporary:
            temporary.write_bytes(new[path].encode())
    return changed


def check(root: Path = ROOT) -> list[str]:
    """Names of the notebooks whose setup cell or badge is not the one that ``refresh`` would write."""
    repository, texts = published(root), {path: _read(path) for path in _notebooks(root)}
    return [path.name for path, text in texts.items() if _current(path, text, repository) != text]


def _notebooks(root: Path) -> list[Path]:
    return sorted((root / "notebooks").glob("*.ipynb"))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # bytes: line ends stay as they are
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "it is not UTF-8")
        raise CourseError(f"cannot read {path}: {reason}; restore it, for example with git") from error


def _with_badges(path: Path, text: str, block: str) -> str:
    if not BLOCK.search(text):
        raise CourseError(f"{path} has no place for its Colab badge; put <!-- colab --> and <!-- /colab --> at its top")
    return BLOCK.sub(lambda _: block, text)


def _with_address(path: Path, text: str, repository: str) -> str:
    if not URLS.search(text):
        raise CourseError(f"{path} has no section for the address; add a line [project.urls] after [project]")
    line = f'Repository = "{repository}"\n' if repository else ""
    return URLS.sub(lambda match: match[1] + line, text, count=1)


def _current(path: Path, text: str, repository: str) -> str:
    """The notebook's text with its setup cell and badge as they are to be; nbformat's own layout where they change."""
    try:
        notebook = json.loads(text)
        sources = ["".join(cell["source"]) for cell in notebook["cells"]]
        title = [cell["cell_type"] for cell in notebook["cells"]].index("markdown")
        setup = [i for i, cell in enumerate(notebook["cells"]) if "setup" in cell["metadata"].get("tags", [])]
    except (ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{path} is not a notebook with a title; restore it, for example with git") from error
    if len(setup) != 1:
        raise CourseError(f"{path} has {len(setup)} cells with the tag 'setup'; give it to its first code cell alone")
    block = _with_badges(path, sources[title], colab_block([path.stem], repository))
    changes = {title: block, setup[0]: setup_cell(repository)}
    if all(sources[i] == source for i, source in changes.items()):
        return text
    for i, source in changes.items():
        notebook["cells"][i]["source"] = source.splitlines(keepends=True)
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
