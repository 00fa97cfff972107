"""The course's public address, in the setup cell of every notebook and in its Colab badges."""

import re
from pathlib import Path

import nbformat

from helpers.environment import ROOT, CourseError
from helpers.writing import replacing

GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com/"

# An owner and a name as GitHub allows them: no path, no blank, no second slash.
ADDRESS = re.compile(r"[\w-]+/\w[\w.-]*", re.ASCII)

# The places that carry the address: in Markdown, in pyproject.toml, in the setup cell.
BLOCK = re.compile("<!-- colab -->.*?<!-- /colab -->", re.DOTALL)
URLS = re.compile(r'\[project\.urls\](\r?\n)(?:Repository = ".*"\r?\n)?')
CLONED = re.compile(r'(os\.environ\.get\("COURSE_REPO"\) or ).*')
ASK = 'input("Git address of the course: ")'

BY_HAND = (
    f"To open a notebook in [Colab]({COLAB}), choose *File → Upload notebook* there and pick the "
    "notebook's file; the setup cell asks for the course's Git address."
)


def setup_cell(repository: str = "", root: Path = ROOT) -> str:
    """The source of the first session's setup cell, which all others repeat.

    In Colab the cell clones ``repository``; where that is empty, it asks for an address.
    """
    first = min((root / "notebooks").glob("*.ipynb"))
    cell = _find_setup(nbformat.read(first, as_version=4))
    # In every other thing the cells are alike, also those of a course that is not published.
    address = ASK
    if repository:
        # The cell takes OWNER/NAME as an address on GitHub, and so its line stays short.
        address = f'"{repository.removeprefix(GITHUB)}"'
    return CLONED.sub(rf"\g<1>{address}", cell.source)


def _find_setup(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The one cell of a notebook that has the tag "setup". Raises ValueError for none or two."""
    found = []
    for cell in notebook.cells:
        if "setup" in cell.metadata.get("tags", []):
            found.append(cell)
    [only] = found
    return only


def colab_block(names: list[str], repository: str = "") -> str:
    """The Markdown between the markers, for notebooks named by their stems.

    It holds a badge per notebook, or before publishing the way that needs none.
    """
    place = f"{COLAB}github/{repository.removeprefix(GITHUB)}/blob/main/notebooks/"
    picture = f"![Open in Colab]({COLAB}assets/colab-badge.svg)"
    # A badge leads to the repository, and there is none before publishing.
    paragraphs = []
    if not repository:
        paragraphs.append(BY_HAND)
    else:
        for name in names:
            paragraphs.append(f"[{picture}]({place}{name}.ipynb) {name}")
    return "\n\n".join(["<!-- colab -->", *paragraphs, "<!-- /colab -->"])


def published(root: Path = ROOT) -> str:
    """The address the course was published at, from ``pyproject.toml``; empty before that."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search('^Repository = "(.*)"', text, re.MULTILINE)
    if found is None:
        return ""
    return found[1]


def publish(address: str, root: Path = ROOT) -> list[Path]:
    """Set the public address in ``pyproject.toml``, in setup cells and in badges.

    ``address`` is OWNER/NAME on GitHub. Returns the files that changed. Raises ``CourseError``,
    before anything is written, for another kind of address, and for a file that is damaged or has
    no place for it.
    """
    if not ADDRESS.fullmatch(address):
        raise CourseError(
            f"cannot publish at {address!r}: give OWNER/NAME, as in {GITHUB}OWNER/NAME"
        )
    repository = GITHUB + address

    # All new texts are made before the first is written.
    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    changes = {}
    for path in [root / "README.md", *notebooks, root / "pyproject.toml"]:
        try:
            old = path.read_bytes().decode()  # bytes, for text mode would change line ends
            new = _with_address(path, old, repository, root)
        except (OSError, ValueError, LookupError, AttributeError) as problem:
            raise _damaged(path) from problem
        except nbformat.ValidationError as problem:
            raise _damaged(path) from problem
        if new != old:
            changes[path] = new

    # Each file is replaced as a whole, or stays.
    for path, text in changes.items():
        with replacing(path) as temporary:
            temporary.write_bytes(text.encode())
    return list(changes)


def _damaged(path: Path) -> CourseError:
    """The error for a file that the address cannot be set in."""
    return CourseError(f"{path} is damaged or has no place for the address: restore it, with git")


def _with_address(path: Path, text: str, repository: str, root: Path) -> str:
    """The text of a file with its address, badges or setup cell as they are to be."""
    if path.suffix == ".toml":
        return _in_project(text, repository)
    if path.suffix == ".md":
        stems = []
        for notebook in sorted((root / "notebooks").glob("*.ipynb")):
            stems.append(notebook.stem)
        return _in_markdown(text, stems, repository)
    return _in_notebook(text, path.stem, repository, root)


def _in_project(text: str, repository: str) -> str:
    """``pyproject.toml`` with the address among its URLs."""
    [line_end] = URLS.findall(text)  # one place, or a ValueError
    entry = f'[project.urls]{line_end}Repository = "{repository}"{line_end}'
    return URLS.sub(entry, text)


def _in_markdown(text: str, names: list[str], repository: str) -> str:
    """A Markdown text with its badges, in the line ends that it has."""
    [old] = BLOCK.findall(text)  # one place, or a ValueError
    new = colab_block(names, repository)
    if "\r\n" in text:
        new = new.replace("\n", "\r\n")
    return text.replace(old, new)


def _in_notebook(text: str, name: str, repository: str, root: Path) -> str:
    """A notebook with the badge in its first Markdown cell, and with its setup cell."""
    notebook = nbformat.reads(text, as_version=4)
    titles = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    titles[0].source = _in_markdown(titles[0].source, [name], repository)
    _find_setup(notebook).source = setup_cell(repository, root)
    new = nbformat.writes(notebook) + "\n"
    # A checkout with Windows' line ends keeps them.
    if "\r\n" in text:
        new = new.replace("\n", "\r\n")
    return new
