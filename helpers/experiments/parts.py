"""A part of a recipe, found by its path inside the package, such as ``models.small.first_net``."""

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from helpers.environment import CourseError, unknown


def find_part(kind: str, path: str, words: Sequence[str] = ()) -> Callable[..., Any]:
    """The function or class at a path inside ``helpers``: folders, file and name, between dots.

    ``kind`` says what it is in an error, and ``words`` are the short names that a recipe could have
    given instead of a path. Raises ``CourseError`` where there is no such module, which its line
    names, or nothing of that name in it; then its line has the near names.
    """
    accepted = [*words, "a path such as models.small.first_net"]

    # A word that is neither known nor a path, such as a slip in "sgd".
    module_name, dot, name = path.rpartition(".")
    if not dot:
        raise unknown(kind, path, accepted)

    # All before the last dot is the module.
    module = find_module(module_name)
    if module is None:
        raise CourseError(
            f"unknown {kind} {path!r}: no module helpers.{module_name} exists; "
            f"give {' or '.join(accepted)}"
        )

    # It may also be a name that the module has imported.
    part = getattr(module, name, None)
    if not callable(part):
        raise unknown(kind, path, [*words, *paths_in(module)])
    return part


def find_module(name: str) -> ModuleType | None:
    """The module ``helpers.NAME``, imported; None where there is none."""
    try:
        return importlib.import_module(f"helpers.{name}")
    except ModuleNotFoundError as problem:
        # Where the module exists and a library that it imports is missing, that is the error.
        if not f"helpers.{name}".startswith(str(problem.name)):
            raise
        return None


def paths_in(module: ModuleType) -> list[str]:
    """The paths of all public functions and classes that a module of the package defines."""
    inside = module.__name__.removeprefix("helpers.")
    paths = []
    # Imported names belong to another module, those with an underscore to this one alone.
    for name, value in vars(module).items():
        defined_here = getattr(value, "__module__", "") == module.__name__
        if callable(value) and defined_here and not name.startswith("_"):
            paths.append(f"{inside}.{name}")
    return paths
