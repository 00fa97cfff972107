"""Which files of the package a recipe's training reaches, found from their imports.

Finished epochs are kept, and a later command goes on from them. They are the right ones only while
the code that made them is the same: so their folder is named after the content of these files.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

from helpers.environment import ROOT
from helpers.experiments.recipe import Recipe

PACKAGE = ROOT / "helpers"
START = "helpers.experiments.runs"  # the module that trains a recipe


def code_digest(recipe: Recipe, package: Path = PACKAGE, others: Iterable[str] = ()) -> str:
    """SHA-256 of the names and the content of all files that the recipe's training reaches.

    ``others`` are modules that it begins from beside those of every training.
    """
    start = [START, *others]
    for path in recipe.part_paths():
        start.append(f"helpers.{path}")

    # Names as well: a file that is moved is another file.
    digest = hashlib.sha256()
    for file in reached_files(start, package):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(package).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def reached_files(start: Iterable[str], package: Path = PACKAGE) -> list[Path]:
    """The files of these dotted names, and of all that they import, directly or through others."""
    # A name waits here until its file, and what that file imports, has been looked up.
    found: set[Path] = set()
    waiting = list(start)
    while waiting:
        file = file_of(waiting.pop(), package)
        if file is not None and file not in found:
            found.add(file)
            here = ".".join(file.parent.relative_to(package.parent).parts)
            waiting += imported_names(file.read_text(encoding="utf-8"), here)
    return sorted(found)


def file_of(name: str, package: Path = PACKAGE) -> Path | None:
    """The file that a dotted name stands for or lies in; None for a name outside the package.

    ``helpers.data.known`` is ``data/known.py``; ``helpers.data.load``, which is no file, lies in
    ``data/__init__.py``. The ``__init__`` files on the way to a module do not count.
    """
    first, *parts = name.split(".")
    if first != package.name:
        return None

    # The longest beginning of the name that is a file: what is left is a name inside that file.
    for length in range(len(parts), -1, -1):
        place = package.joinpath(*parts[:length])
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if length > 0 and file.is_file():
                return file
    init = package / "__init__.py"
    if init.is_file():
        return init
    return None


@functools.cache
def imported_names(source: str, here: str) -> tuple[str, ...]:
    """The dotted names that a text imports, at its top or inside functions.

    ``here`` is the package that the text lies in, from which a relative import counts.
    """
    # The tree of the text has imports at any depth, also inside functions.
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names.append(alias.name)
        elif isinstance(node, ast.ImportFrom):
            origin = origin_of(node, here)
            for alias in node.names:
                names.append(f"{origin}.{alias.name}")
    return tuple(names)


def origin_of(node: ast.ImportFrom, here: str) -> str:
    """The module that a ``from … import`` takes its names from, with its full dotted name."""
    if node.level == 0:
        return str(node.module)
    # One dot is the package itself, and each further dot the one around it.
    parts = here.split(".")
    parts = parts[: len(parts) - node.level + 1]
    if node.module is not None:
        parts.append(node.module)
    return ".".join(parts)
