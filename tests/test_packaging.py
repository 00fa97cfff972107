"""The package as others install it: a wheel, away from the repository."""

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from helpers.environment import ROOT

# Every module of the wheel, imported one after the other; what is wrong is told on the last line.
IMPORT_ALL = """
import importlib, json, sys
sys.path[:0] = [sys.argv[1]]
places = []
for name in json.loads(sys.argv[2]):
    places.append(importlib.import_module(name).__file__)
print(json.dumps(places))
"""
COMMAND = """
import sys
sys.path[:0] = [sys.argv[1]]
from helpers.__main__ import main
sys.exit(main(sys.argv[2:]))
"""
PACKAGES = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel of the package, built without a network from a copy of what it is made of."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    leave = shutil.ignore_patterns("__pycache__")
    for name in ("helpers", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=leave)
    build = "import sys, setuptools.build_meta as b; print(b.build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", build, str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_away(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run code beside an unpacked wheel, where the repository's own package is out of reach."""
    code = f"import sys; sys.path += {PACKAGES!r}\n{code}"
    # Without site, as -S asks for, the link that an editable installation has set does nothing.
    command = [sys.executable, "-I", "-S", "-c", code, str(folder), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def modules_of(folder: Path) -> dict[str, Path]:
    """Every module of the package below a folder, by its full name."""
    found = {}
    for path in sorted((folder / "helpers").glob("**/*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def test_the_wheel_holds_every_module_of_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    there = {path.relative_to(ROOT).as_posix() for path in modules_of(ROOT).values()}
    assert packed == there


@pytest.mark.slow
def test_every_module_of_the_wheel_is_imported_away_from_the_repository(unpacked):
    names = list(modules_of(unpacked))
    assert len(names) > 30 and "helpers.upkeep.sessions" in names
    done = run_away(IMPORT_ALL, unpacked, json.dumps(names))
    assert done.returncode == 0, done.stderr
    places = json.loads(done.stdout.splitlines()[-1])
    assert all(Path(place).is_relative_to(unpacked) for place in places)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        *["run 01", "publish a/b", "results", "digests", "experiment tiny", "search budget"],
        *["classroom", "page", "export budget"],
    ],
)
def test_a_plain_installation_says_that_the_notebooks_are_not_there(unpacked, line):
    done = run_away(COMMAND, unpacked, *line.split())
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "the notebooks are not there" in done.stderr
    assert "pip install -r requirements.txt" in done.stderr
    assert not (unpacked / "notebooks").exists() and not (unpacked / "runs").exists()


@pytest.mark.slow
def test_a_plain_installation_needs_a_folder_for_data(unpacked, monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    done = run_away(COMMAND, unpacked, "data")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "name one in COURSE_DATA" in done.stderr and not (unpacked / "data").exists()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert "no real MNIST" in run_away(COMMAND, unpacked, "data").stderr


# What requirements.txt asks for.


def requirements() -> dict[str, str]:
    """The ranges of requirements.txt, by package."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        if line and line[0].isalpha():
            name, versions = re.fullmatch(r"([a-z0-9-]+)(>=\S+)", line).groups()
            found[name] = versions
    return found


def test_every_range_has_two_ends_and_holds_what_is_installed():
    for name, versions in requirements().items():
        low, high = re.fullmatch(r">=([\d.]+),<([\d.]+)", versions).groups()
        installed = re.match(r"[\d.]+", metadata.version(name))[0]
        assert numbers(low) <= numbers(installed) < numbers(high), name


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.strip(".").split(".")))


def test_all_that_the_code_imports_is_required():
    imported = set()
    for folder in ("helpers", "tests", "notebooks"):
        for path in (ROOT / folder).glob("**/*.py"):
            imported |= top_levels(path)
    own = {"helpers", *(path.stem for path in (ROOT / "tests").glob("*.py"))}
    others = imported - own - set(sys.stdlib_module_names)
    # What packages of the list bring: nbconvert, ipykernel, torchvision, and pytest before 3.11.
    brought = {"IPython", "jupyter_client", "matplotlib_inline", "nbclient", "nbformat", "PIL"}
    brought |= {"tomli"}
    # What one command alone needs is an extra, and without it that command says what to install.
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = {"onnx", "onnxscript", "onnxruntime"}
    assert all(f'"{name}>=' in pyproject for name in extras)
    brought |= extras
    required = {name.replace("-", "_") for name in requirements()}
    assert others - brought - required == set()


def top_levels(path: Path) -> set[str]:
    """The packages that a file imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found
