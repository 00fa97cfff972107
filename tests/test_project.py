"""The package is in rooms, imports go one way, it is quick to import, and its map is complete."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.environment import ROOT

PACKAGE = ROOT / "helpers"
MAP = PACKAGE / "README.md"
FILES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted([*FILES, *(ROOT / "tests").glob("*.py")])

# The rooms, which are folders, and the files beside them. A module may reach those on the lines
# before its own, and on its own. One that is not listed belongs where its users are.
ORDER = [
    ["environment", "intervals", "leftovers", "markdown", "writing"],
    ["data", "augment", "models"],
    ["training"],
    ["lr_finder", "interpret", "receptive_field", "summary"],
    ["plots"],
    ["experiments"],
    ["exercises", "upkeep"],
    ["__main__"],
]
# A leaf needs nothing of the package but the course's own error.
LEAVES = ["intervals", "markdown"]


def module_name(path: Path, package: Path = PACKAGE) -> str:
    """``plots.charts`` for plots/charts.py, ``plots`` for plots/__init__.py."""
    parts = list(path.relative_to(package).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def imported(source: str, room: str = "") -> set[str]:
    """Dotted names inside the package that a text imports, at its top or inside functions.

    ``room`` is the folder that the text lies in: a relative import counts from there.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = origin_of(node, room)
            found.update(f"{origin}.{alias.name}" for alias in node.names)
    return {name.removeprefix("helpers.") for name in found if name.startswith("helpers.")}


def origin_of(node: ast.ImportFrom, room: str) -> str:
    """The module that a ``from … import`` names, as ``helpers.…`` where it is relative."""
    if node.level == 0:
        return str(node.module)
    here = ["helpers", *filter(None, room.split("."))]
    # One dot is the folder itself, and each further dot the one around it.
    here = here[: len(here) - node.level + 1]
    return ".".join([*here, *filter(None, [node.module])])


def build_graph(sources: dict[str, str], rooms: set[str]) -> dict[str, set[str]]:
    """For each module the modules that it imports; ``sources`` are texts by module name."""
    graph = {}
    for module, source in sources.items():
        room = module if module in rooms else module.rpartition(".")[0]
        graph[module] = set()
        for name in imported(source, room):
            # The longest beginning that is a module: what is left is a name inside that module.
            while name and name not in sources:
                name = name.rpartition(".")[0]
            if name:
                graph[module].add(name)
    return graph


def reach(graph: dict[str, set[str]], start: str) -> set[str]:
    """Every module that ``start`` imports, directly or through others."""
    seen, waiting = set(), list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph.get(name, ())
    return seen


def order_problems(graph: dict[str, set[str]]) -> list[str]:
    """What goes against the arrows: circles between modules, and rooms that reach later ones."""
    rank = {room: place for place, rooms in enumerate(ORDER) for room in rooms}
    problems = []
    for module in graph:
        room = module.split(".")[0]
        for other in sorted(reach(graph, module)):
            other_room = other.split(".")[0]
            if other == module:
                problems.append(f"{module} imports itself, in a circle")
            elif room in LEAVES and other_room != "environment":
                problems.append(f"{module} is a leaf and reaches {other}")
            elif rank.get(other_room, 0) > rank.get(room, len(ORDER)):
                problems.append(f"{module} reaches {other}")
    return problems


def package_graph() -> dict[str, set[str]]:
    sources = {module_name(path): path.read_text(encoding="utf-8") for path in FILES}
    rooms = {module_name(path) for path in FILES if path.name == "__init__.py"}
    return build_graph(sources, rooms)


def test_modules_import_in_one_direction():
    graph = package_graph()
    listed = {room for rooms in ORDER for room in rooms}
    assert listed <= {module.split(".")[0] for module in graph}
    assert {"models", "training.checkpoint"} <= graph["training"]
    assert order_problems(graph) == []


@pytest.mark.parametrize(
    "graph, problem",
    [
        ({"models.small": {"plots"}, "plots": set()}, "models.small reaches plots"),
        ({"data": {"extra"}, "extra": {"training"}, "training": set()}, "data reaches training"),
        ({"a.b": {"a.c"}, "a.c": {"a.b"}}, "a.b imports itself, in a circle"),
        ({"markdown": {"data"}, "data": set()}, "markdown is a leaf and reaches data"),
        ({"experiments.runs": {"upkeep.readme"}, "upkeep.readme": set()}, "reaches upkeep.readme"),
    ],
)
def test_a_wrong_direction_is_reported(graph, problem):
    assert any(problem in found for found in order_problems(graph))


def test_every_form_of_import_is_seen():
    source = """
import helpers.a
import torch.nn
from helpers import b as x
def f():
    from helpers.c import z
from . import d
from .e import z
from .. import g
from ..h.i import z
"""
    absolute = {"a", "b", "c.z"}
    assert imported(source, "room") == absolute | {"room.d", "room.e.z", "g", "h.i.z"}


def test_imports_are_resolved_to_modules():
    sources = {
        "": "",
        "room": "from helpers.room.file import thing",
        "room.file": "from helpers import other, name\nfrom helpers.room2 import part, name",
        "other": "from helpers.room import name",
        "room2": "from . import part",
        "room2.part": "import helpers.other",
    }
    assert build_graph(sources, {"", "room", "room2"}) == {
        "": set(),
        "room": {"room.file"},
        "room.file": {"other", "room2.part", "room2"},
        "other": {"room"},
        "room2": {"room2.part"},
        "room2.part": {"other"},
    }


def test_a_file_is_one_idea():
    # About 250 lines are a few screens of a projector. The limit lies above that: it is to stop a
    # second idea, and not to make anybody shorten a docstring.
    too_long = []
    for path in FILES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > 320:
            too_long.append(f"{path.relative_to(ROOT)} has {lines} lines")
    assert not too_long, "\n".join(too_long)


def test_no_module_is_named_utils():
    names = {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert "plots" in names and not names & {"utils", "util", "common", "misc"}


def test_there_is_no_star_import():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert "*" not in [alias.name for alias in node.names], path.name


def test_importing_the_models_is_quick():
    heavy = ("albumentations", "torchsummary", "matplotlib", "scipy")
    command = (
        "import sys, helpers.models, helpers.models.small, helpers.models.residual\n"
        "import helpers.models.resnet9\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    output = subprocess.check_output([sys.executable, "-c", command], cwd=ROOT, text=True)
    assert output.strip() == "[]"


def files_in_map(text: str) -> list[str]:
    """The files that the map has a line for: ``- `data/known.py` — what it holds``."""
    return re.findall(r"^- `([\w/]+\.py)`", text, re.MULTILINE)


def test_the_map_names_every_module_once_and_nothing_else():
    listed = files_in_map(MAP.read_text(encoding="utf-8"))
    there = set()
    for path in FILES:
        # An __init__.py with a docstring alone says what the room's heading says.
        code = ast.parse(path.read_text(encoding="utf-8")).body[1:]
        if code or path.name != "__init__.py":
            there.add(path.relative_to(PACKAGE).as_posix())
    assert there - set(listed) == set(), "not in the map"
    assert set(listed) - there == set(), "in the map, and not there"
    assert len(listed) == len(there)
