"""The course's public address: the setup cell that every notebook begins with, and the "Open in Colab" badges."""

import re
from pathlib import Path

import nbformat

from helpers.environment import ROOT, CourseError, replacing

GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com/"
BLOCK = re.compile("<!-- colab -->.*?<!-- /colab -->", re.DOTALL)
URLS = re.compile(r'\[project\.urls\]\r?\n(?:Repository = ".*"\r?\n)?')

BY_HAND = (
    f"To open a notebook in [Colab]({COLAB}), choose *File → Upload notebook* there and pick the notebook's "
    "file; the setup cell asks for the course's Git address."
)


def setup_cell(repository: str = "", root: Path = ROOT) -> str:
    """The source of the first session's setup cell, which all others repeat, with the address that Colab clones.

    With an empty ``repository`` the cell asks for an address.
    """
    cell = _setup(nbformat.read(min((root / "notebooks").glob("*.ipynb")), as_version=4))
    return re.sub('REPOSITORY = ".*"', f'REPOSITORY = "{repository}"', cell.source)


def _setup(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    [cell] = [
        cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])
    ]  # one, or a ValueError
    return cell


def colab_block(names: list[str], repository: str = "") -> str:
    """The Markdown between the markers, for notebooks by stem: badges, or how to do without them before publishing."""
    place = f"{COLAB}github/{repository.removeprefix(GITHUB)}/blob/main/notebooks/"
    badges = [
        f"[![Open in Colab]({COLAB}assets/colab-badge.svg)]({place}{name}.ipynb) {name}"
        for name in names
    ]
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
        raise CourseError(
            f"cannot publish at {address!r}: give OWNER/NAME, as in {GITHUB}OWNER/NAME"
        )
    repository = published(root) if address is None else GITHUB + address
    notebooks, changes = sorted((root / "notebooks").glob("*.ipynb")), {}
    for path in [root / "README.md", *notebooks, root / "pyproject.toml"]:
        try:
            old = path.read_bytes().decode()  # bytes: line ends stay as they are
            new = _current(path, old, [notebook.stem for notebook in notebooks], repository, root)
        except (
            OSError,
            ValueError,
            LookupError,
            AttributeError,
            nbformat.ValidationError,
        ) as error:
            raise CourseError(
                f"{path} is damaged or has no place for the address: restore it, with git"
            ) from error
        if new != old:
            changes[path] = new
    for path, text in changes.items():
        with replacing(path) as temporary:
            temporary.write_bytes(text.encode())
    return list(changes)


def _current(path: Path, text: str, names: list[str], repository: str, root: Path) -> str:
    """The text with its address, badges or setup cell as they are to be."""
    if path.suffix == ".toml":
        return _put(
            URLS,
            "[project.urls]\n" + (f'Repository = "{repository}"\n' if repository else ""),
            text,
        )
    if path.suffix == ".md":
        return _put(BLOCK, colab_block(names, repository), text)
    notebook = nbformat.reads(text, as_version=4)
    title, *_ = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    title.source = _put(BLOCK, colab_block([path.stem], repository), title.source)
    _setup(notebook).source = setup_cell(repository, root)
    return nbformat.writes(notebook) + "\n"


def _put(pattern: re.Pattern[str], new: str, text: str) -> str:
    [old] = pattern.findall(text)  # exactly one, or a ValueError
    return text.replace(old, new)
