"""The package stays small, flat, in one direction and quick to import."""

import ast
import subprocess
import sys

import pytest

from helpers.environment import ROOT

FILES = sorted((ROOT / "helpers").glob("**/*.py"))
SOURCES = sorted([*FILES, *(ROOT / "tests").glob("*.py")])
ORDER = [  # a module may reach those before its line and those on it; one that is not listed belongs where its users are
    ["environment"],
    ["data", "augment", "models"],
    ["training", "lr_finder", "receptive_field", "interpret"],
    ["plots"],
    ["experiments"],
    ["__main__"],
]


def imported(source: str) -> set[str]:
    """Modules of the package that a source text imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            module = ".".join(["helpers"] * node.level + [node.module] * bool(node.module))
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("helpers.")}
    return found


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
    rank = {name: place for place, names in enumerate(ORDER) for name in names}
    problems = [
        f"{name} imports itself, in a circle" for name in graph if name in reach(graph, name)
    ]
    return problems + [
        f"{name} reaches {other}"
        for name in graph
        for other in reach(graph, name)
        if rank.get(other, 0) > rank.get(name, len(ORDER))
    ]


def test_modules_import_in_one_direction():
    graph = {path.stem: imported(path.read_text(encoding="utf-8")) for path in FILES}
    assert {"environment", "data", "models", "training", "experiments", "__main__"} <= graph.keys()
    assert graph["training"] and order_problems(graph) == []


@pytest.mark.parametrize(
    "graph, problem",
    [
        ({"models": {"plots"}, "plots": set()}, "models reaches plots"),
        ({"data": {"extra"}, "extra": {"training"}, "training": set()}, "data reaches training"),
        ({"a": {"b"}, "b": {"a"}}, "a imports itself, in a circle"),
    ],
)
def test_a_wrong_direction_is_reported(graph, problem):
    assert problem in order_problems(graph)


def test_every_form_of_import_is_seen():
    source = "import helpers.a\nfrom helpers import b as x\ndef f():\n    from helpers.c import z\nimport torch.nn\n"
    assert imported(source + "from . import d\nfrom .e import z") == {"a", "b", "c", "d", "e"}


def lines_of_code(source: str) -> int:
    """Lines that are neither blank, nor a comment, nor part of a docstring."""
    documented = set()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node) is not None
        ):
            documented |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in documented
        for number, line in enumerate(source.splitlines(), 1)
    )


def test_lines_of_code_leave_out_what_is_only_read():
    source = '"""Module\n\ntext."""\n\n# why\ndef f():\n    """Says."""\n    return """kept\n    text"""  # also kept\n'
    assert lines_of_code(source) == 3


def test_the_package_is_small_and_flat():
    sources = {path.name: path.read_text(encoding="utf-8") for path in FILES}
    assert {path.parent.name for path in FILES} == {"helpers"} and "utils.py" not in sources
    assert {name for name, source in sources.items() if len(source.splitlines()) > 220} == set()
    assert (
        sum(map(lines_of_code, sources.values())) <= 2600
    )  # seven sessions; a file stays small enough to read


def test_there_is_no_star_import():
    for path in SOURCES:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = [
            alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
        ]
        assert "*" not in names, path.name


def test_importing_the_models_is_quick():
    heavy = ("albumentations", "torchsummary", "matplotlib")
    command = (
        f"import sys, helpers.models; print([name for name in {heavy} if name in sys.modules])"
    )
    assert (
        subprocess.check_output([sys.executable, "-c", command], cwd=ROOT, text=True).strip()
        == "[]"
    )
