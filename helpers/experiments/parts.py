"""A part of a recipe, found by its path inside the package, such as ``models.small.first_net``."""

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from helpers.environment import unknown


def find_part(kind: str, path: str, words: Sequence[str] = ()) -> Callable[..., Any]:
    """The function or class at a path inside ``helpers``: folders, file and name, between dots.

    ``kind`` says what it is in an error, and ``words`` are the short names that a recipe could have
    given instead of a path. Raises ``CourseError`` where there is no such module, or nothing of
    that name in it; its line has the near names.
    """
    # All before the last dot is the module.
    module_name, _, name = path.rpartition(".")
    module = find_module(module_name)
    if module is None:
        raise unknown(kind, path, words or ["a path such as models.small.first_net"])

    # What the module defines, or has imported, under the name behind the last dot.
    part = getattr(module, name, None)
    if not callable(part):
        raise unknown(kind, path, [*words, *paths_in(module)])
    return part


def find_module(name: str) -> ModuleType | None:
    """The module ``helpers.NAME``, imported; None where there is none."""
    if not name:
        return None
    try:
        return importlib.import_module(f"helpers.{name}")
    except ModuleNotFoundError as problem:
        # A library that the module itself wants is another matter: that error is to be seen.
        if not f"helpers.{name}".startswith(str(problem.name)):
            raise
        return None


def paths_in(module: ModuleType) -> list[str]:
    """The paths of all public functions and classes that a module of the package defines."""
    inside = module.__name__.removeprefix("helpers.")
    paths = []
    # Imported names are somewhere else's, and those with an underscore are for the module alone.
    for name, value in vars(module).items():
        defined_here = getattr(value, "__module__", "") == module.__name__
        if callable(value) and defined_here and not name.startswith("_"):
            paths.append(f"{inside}.{name}")
    return paths
