"""ruff finds nothing, mypy excuses fewer and fewer files, the package reads as it should."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import readability
import slow_tests

from helpers.environment import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:  # what pytest itself brings there
    import tomli as tomllib

PYPROJECT = ROOT / "pyproject.toml"
PLACES = ("helpers", "tests", "notebooks")


def run(*arguments: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


# ruff


@pytest.mark.parametrize(
    "arguments", [("check", "--output-format=concise"), ("format", "--check")], ids=" ".join
)
def test_ruff_finds_nothing(arguments):
    done = run("ruff", *arguments, *PLACES)
    assert done.returncode == 0, f"\n{done.stdout}{done.stderr}"


def test_ruff_looks_at_notebooks_with_88_columns(tmp_path):
    for name in ("pyproject.toml", "notebooks/.ruff.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    line = f"x = {'1' * 90}"
    for name in ("module.py", "notebooks/cell.py"):
        (tmp_path / name).write_text(f"{line}\n", encoding="utf-8")
    done = run("ruff", "check", "--no-cache", "--output-format=concise", ".", folder=tmp_path)
    assert re.findall(r"^(.+?):\d+:\d+: (\w+)", done.stdout, re.MULTILINE) == [
        ("notebooks/cell.py", "E501")
    ]


# mypy


def module_of(file: str) -> str:
    """``helpers.data.known`` for helpers/data/known.py, ``helpers.data`` for its __init__.py."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def excused_modules() -> set[str]:
    """The modules that pyproject.toml still excuses from mypy."""
    settings = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["mypy"]
    excused = set()
    for override in settings["overrides"]:
        if override.get("ignore_errors"):
            excused.update(override["module"])
    return excused


@functools.cache
def mypy_errors() -> dict[str, list[str]]:
    """Every error of mypy by module, those of excused modules included."""
    # mypy's cache is kept beside the package, so that a second run takes a second.
    settings = ROOT / ".mypy_cache" / "nothing_excused.toml"
    settings.parent.mkdir(exist_ok=True)
    text = PYPROJECT.read_text(encoding="utf-8").replace("ignore_errors = true", "")
    settings.write_text(text, encoding="utf-8")
    done = run("mypy", "--config-file", settings, "--cache-dir", settings.parent)
    assert done.returncode in (0, 1), f"{done.stdout}{done.stderr}"
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if ": error: " in line:
            file = line.split(":")[0].replace("\\", "/")
            found.setdefault(module_of(file), []).append(line)
    return found


def test_mypy_finds_nothing_in_files_that_are_not_excused():
    wrong = []
    for module, lines in mypy_errors().items():
        if module not in excused_modules():
            wrong += lines
    assert not wrong, "\n" + "\n".join(wrong)


def test_no_file_is_excused_from_mypy_without_need():
    # Whoever mends the last error of a file takes it off the list in pyproject.toml.
    assert excused_modules() - mypy_errors().keys() == set()


# The quick inner loop.


def test_what_the_inner_loop_leaves_out_exists():
    tests = {path.name: path for path in (ROOT / "tests").glob("test_*.py")}
    assert set(slow_tests.FILES) <= tests.keys()
    defined = set()
    for path in tests.values():
        defined.update(re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))
    assert set(slow_tests.TESTS) <= defined


# How the package reads.


@functools.cache
def package() -> dict[Path, readability.Reading]:
    return readability.read_files([ROOT / "helpers"])


def test_the_package_reads_as_it_should():
    total = readability.together(list(package().values()))
    assert total.files == len(package()) > 20
    assert readability.missed(total) == []


SOURCE = '''"""Module

text."""

# why
def outer(values):  # also why
    """Says."""
    def inner():
        return [value for value in values if value]

    return """kept
    text""" if values and inner() else None
'''


def test_what_is_counted():
    reading = readability.read(SOURCE)
    lines = readability.code_lines(SOURCE)
    assert [line.split()[0] for line in lines] == ["def", "def", "return", "return", 'text"""']
    assert reading.code_lines == 5
    assert reading.characters == sum(len(line) for line in lines)
    assert (reading.comments, reading.comprehensions, reading.conditionals) == (2, 1, 1)
    assert sorted(reading.functions) == [(2, "inner"), (7, "outer")]
    # inner: the comprehension and its condition; outer: those, a condition, and an `and`.
    assert sorted(reading.complexities) == [(3, "inner"), (5, "outer")]


@pytest.mark.parametrize(
    "spoiled, problem",
    [
        ({"characters": 5_100}, "51.0 characters"),
        ({"long_lines": 1}, "1 code lines over 100"),
        ({"comprehensions": 5}, "5.00 comprehensions"),
        ({"conditionals": 3}, "3.00 conditional"),
        ({"comments": 9}, "9.00 comments"),
        ({"complexities": [(3, "g"), (13, "f")]}, "complexity 13 of f"),
    ],
)
def test_a_missed_target_is_told(spoiled, problem):
    good = {"code_lines": 100, "characters": 5_000, "comprehensions": 4, "comments": 10}
    good |= {"conditionals": 2, "complexities": [(12, "f")]}
    assert readability.missed(readability.Reading(**good)) == []
    [told] = readability.missed(readability.Reading(**(good | spoiled)))
    assert told.startswith(problem)


def test_the_script_prints_a_line_a_file_and_what_is_missed(tmp_path):
    (tmp_path / "good.py").write_text("x = 1  # one\n" * 10, encoding="utf-8")
    (tmp_path / "bad.py").write_text(f"x = '{'1' * 200}'\n", encoding="utf-8")
    script = ROOT / "tests" / "readability.py"
    command = [sys.executable, script, tmp_path, "--files"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == ["file", "bad.py", "good.py", "2", "missed:"] and done.returncode == 1
    command = [sys.executable, script, tmp_path / "good.py"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
