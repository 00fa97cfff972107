"""The course's public address: the setup cell that every notebook begins with, and the "Open in Colab" badges."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from helpers.environment import ROOT, CourseError, replacing

GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com/"
BLOCK = re.compile("<!-- colab -->.*?<!-- /colab -->", re.DOTALL)
URLS = re.compile(r'\[project\.urls\]\r?\n(?:Repository = ".*"\r?\n)?')

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


def colab_block(names: list[str], repository: str = "") -> str:
    """The Markdown between the markers, for notebooks by stem: badges, or how to do without them before publishing."""
    place = f"{COLAB}github/{repository.removeprefix(GITHUB)}/blob/main/notebooks/"
    badges = [f"[![Open in Colab]({COLAB}assets/colab-badge.svg)]({place}{name}.ipynb) {name}" for name in names]
    text = "\n\n".join(badges) if repository else BY_HAND
    return f"<!-- colab -->\n\n{text}\n\n<!-- /colab -->"


def published(root: Path = ROOT) -> str:
    """The address the course was published at, from ``pyproject.toml``; empty before that."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return "".join(re.findall('^Repository = "(.*)"', text, re.MULTILINE))


def publish(address: str | None = None, root: Path = ROOT) -> list[Path]:
    """Set the public address, OWNER/NAME on GitHub, in ``pyproject.toml``, setup cells and badges; gives changed files.

    Without ``address``, cells and badges are brought up to date at the one published already. CourseError, before
    anything is written, for another kind of address and for a file that is damaged or has no place for it.
    """
    if address is not None and not re.fullmatch(r"[\w-]+/\w[\w.-]*", address, re.ASCII):
        raise CourseError(f"cannot publish at {address!r}: give OWNER/NAME, as in {GITHUB}OWNER/NAME")
    repository = published(root) if address is None else GITHUB + address
    notebooks, changes = sorted((root / "notebooks").glob("*.ipynb")), {}
    for path in [root / "README.md", *notebooks, root / "pyproject.toml"]:
        try:
            old = path.read_bytes().decode()  # bytes: line ends stay as they are
            new = _current(path, old, [notebook.stem for notebook in notebooks], repository)
        except (OSError, ValueError, LookupError, AttributeError, nbformat.ValidationError) as error:
            raise CourseError(f"{path} is damaged or has no place for the address: restore it, with git") from error
        if new != old:
            changes[path] = new
    for path, text in changes.items():
        with replacing(path) as temporary:
            temporary.write_bytes(text.encode())
    return list(changes)


def _current(path: Path, text: str, names: list[str], repository: str) -> str:
    """The text with its address, badges or setup cell as they are to be."""
    if path.suffix == ".toml":
        return _put(URLS, "[project.urls]\n" + (f'Repository = "{repository}"\n' if repository else ""), text)
    if path.suffix == ".md":
        return _put(BLOCK, colab_block(names, repository), text)
    notebook = nbformat.reads(text, as_version=4)
    title, *_ = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    [setup] = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    title.source, setup.source = _put(BLOCK, colab_block([path.stem], repository), title.source), setup_cell(repository)
    return nbformat.writes(notebook) + "\n"


def _put(pattern: re.Pattern[str], new: str, text: str) -> str:
    [old] = pattern.findall(text)  # exactly one, or a ValueError
    return text.replace(old, new)
