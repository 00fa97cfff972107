"""The setup cell, run by a fresh Python in an empty folder, with and without a stand-in for Colab."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from helpers.environment import ROOT
from helpers.upkeep.publish import setup_cell

SETUP_PACKAGES = {"torchsummary", "albumentations", "tqdm"}

FAKE_PIP = """
import json, os, sys
pins = open(sys.argv[sys.argv.index("-c") + 1]).read()
with open(os.environ["PIP_LOG"], "a") as log:
    log.write(json.dumps({"arguments": sys.argv[1:], "pins": pins.split()}) + "\\n")
"""

# Runs the cell read from a file as often as asked, then prints what it left behind as JSON on its last line.
RUNNER = """
import importlib.util, json, os, sys
cell, times, missing, colab, imports = json.loads(sys.argv[1])
if colab:
    import google.colab
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in missing else found(name, package)
before = {"cwd": os.getcwd(), "path": list(sys.path), "environ": dict(os.environ)}
for _ in range(times):
    exec(cell, {"__name__": "__main__"})
after = {"cwd": os.getcwd(), "path": list(sys.path), "environ": dict(os.environ)}
if imports:
    import helpers.models
    after["models"] = helpers.models.__file__
print("\\n" + json.dumps([before, after]))
"""


def git(*arguments: str, folder: Path) -> None:
    identity = ["-c", "user.name=course", "-c", "user.email=course@localhost"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> str:
    """The address of a bare repository that holds the working tree's package and notebooks, in two commits."""
    if not shutil.which("git"):
        pytest.skip("git is not installed, and the setup cell clones with it")
    tree, bare = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("bare") / "course.git"
    git("init", "--quiet", "--initial-branch=main", folder=tree)
    (tree / "README.md").write_text("an older commit\n")
    git("add", "--all", folder=tree)
    git("commit", "--quiet", "--message=one", folder=tree)
    for name in ("helpers", "notebooks"):
        shutil.copytree(
            ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".*", "results")
        )
    git("add", "--all", folder=tree)
    git("commit", "--quiet", "--message=two", folder=tree)
    git("clone", "--quiet", "--bare", str(tree), str(bare), folder=tree)
    return bare.as_uri()


@pytest.fixture
def run(tmp_path):
    """Run the cell in an empty folder; returns that folder, its state before and after, and what pip was asked for."""
    stubs, empty, log = tmp_path / "stubs", tmp_path / "empty", tmp_path / "pip.log"
    for package, main in {"google/colab": "", "pip": FAKE_PIP}.items():
        (stubs / package).mkdir(parents=True)
        (stubs / package / "__init__.py").touch()
        (stubs / package / "__main__.py").write_text(main)
    (stubs / "google" / "__init__.py").touch()
    empty.mkdir()

    def run_cell(cell, times=1, missing=(), colab=True, imports=False, address="", typed=""):
        environment = {name: value for name, value in os.environ.items() if name != "COURSE_REPO"}
        environment |= {"PYTHONPATH": str(stubs), "PIP_LOG": str(log)} | (
            {"COURSE_REPO": address} if address else {}
        )
        command = [
            sys.executable,
            "-c",
            RUNNER,
            json.dumps([cell, times, list(missing), colab, imports]),
        ]
        done = subprocess.run(
            command,
            cwd=empty,
            env=environment,
            input=typed,
            text=True,
            check=False,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        before, after = json.loads(done.stdout.splitlines()[-1])
        return (
            empty,
            before,
            after,
            [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else [],
        )

    return run_cell


def test_in_colab_it_clones_and_the_package_comes_from_the_clone(run, repository):
    empty, before, after, _ = run(setup_cell(), times=2, imports=True, address=repository)
    course = empty / "vision-course"
    assert Path(after["cwd"]) == course / "notebooks"
    assert Path(after["models"]) == course / "helpers" / "models.py"
    assert after["path"] == [str(course), *before["path"]]  # once, although the cell ran twice
    assert [path.name for path in empty.iterdir()] == ["vision-course"]
    depth = subprocess.check_output(["git", "rev-list", "--count", "HEAD"], cwd=course, text=True)
    assert depth.strip() == "1"  # shallow: the repository has two commits


def test_only_missing_packages_are_installed_and_torch_torchvision_and_numpy_stay(run, repository):
    _, _, _, calls = run(
        setup_cell(), missing=["torchsummary", "albumentations"], address=repository
    )
    assert len(calls) == 1
    packages = [
        word
        for word in calls[0]["arguments"]
        if re.match(r"[a-z]", word) and not word.endswith(".tmp")
    ]
    assert packages == ["install", "torchsummary", "albumentations>=2,<3"]
    assert "--upgrade" not in calls[0]["arguments"] and "-U" not in calls[0]["arguments"]
    assert calls[0]["pins"] == [
        f"{name}=={metadata.version(name)}" for name in ("torch", "torchvision", "numpy")
    ]


def test_pip_is_not_called_where_nothing_is_missing(run, repository):
    assert run(setup_cell(), address=repository)[3] == []


def test_the_cell_asks_for_the_address_until_the_course_is_published(run, repository):
    empty, *_ = run(setup_cell(), typed=repository + "\n")
    assert (empty / "vision-course" / "helpers" / "models.py").is_file()


def test_the_published_address_is_cloned_without_asking(run, repository):
    empty, *_ = run(setup_cell(repository))
    assert (empty / "vision-course" / "helpers" / "models.py").is_file()


def test_the_environment_variable_goes_before_the_published_address(run, repository):
    empty, *_ = run(setup_cell("https://localhost:1/nobody/nothing"), address=repository)
    assert (empty / "vision-course" / "helpers" / "models.py").is_file()


def test_outside_colab_it_changes_nothing(run):
    empty, before, after, calls = run(setup_cell(), times=2, missing=SETUP_PACKAGES, colab=False)
    assert after == before and calls == [] and list(empty.iterdir()) == []


def test_the_cell_is_short_and_asks_for_what_requirements_txt_asks_for():
    lines = setup_cell().splitlines()
    assert len(lines) <= 25 and max(map(len, lines)) <= 120
    needed = re.search(r"needed = (\[.*\])", setup_cell())[1]
    required = set(re.findall(r"^[a-z-]+", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert (
        {re.match("[a-z]+", name)[0] for name in json.loads(needed)} == SETUP_PACKAGES <= required
    )
