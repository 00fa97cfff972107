"""A change of any file that a training reaches leads it to another folder; of another one, not."""

import ast
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from helpers import data
from helpers.environment import ROOT
from helpers.experiments import jobs, runs
from helpers.experiments.cifar10 import RESNET9
from helpers.experiments.folders import data_digest, run_folder
from helpers.experiments.mnist_basics import FIRST
from helpers.experiments.reach import code_digest, file_of, imported_names, origin_of, reached_files
from helpers.experiments.recipe import Recipe

# What the training of session 01's net reaches, written down by hand.
REACHED = {
    "augment/__init__.py",
    "augment/affine.py",
    "data/__init__.py",
    "environment.py",
    "experiments/parts.py",
    "experiments/recipe.py",
    "experiments/runs.py",
    "models/small.py",
    "training/__init__.py",
    "training/checkpoint.py",
    "training/schedule.py",
}
NOT_REACHED = {
    "__init__.py",
    "experiments/__init__.py",
    "experiments/catalogue.py",
    "experiments/cifar10.py",
    "experiments/jobs.py",
    "experiments/mnist_basics.py",
    "experiments/records.py",
    "experiments/tables.py",
    "interpret/__init__.py",
    "augment/library.py",
    "lr_finder/__init__.py",
    "models/resnet9.py",
    "plots/charts.py",
    "upkeep/readme.py",
}


def names(recipe):
    start = ["helpers.experiments.runs", f"helpers.{recipe.model}"]
    package = ROOT / "helpers"
    return {file.relative_to(package).as_posix() for file in reached_files(start, package)}


def test_a_training_reaches_what_it_imports_and_nothing_of_what_only_shows_its_result():
    found = names(FIRST)
    assert found >= REACHED and not found & NOT_REACHED
    own = {"models/resnet9.py", "models/whitening.py", "models/ghost_norm.py"}
    assert names(RESNET9) - found == own
    assert found - names(RESNET9) == {"models/small.py"}


CHANGES = """
import json
from pathlib import Path
from helpers import environment
from helpers.experiments.folders import run_folder
from helpers.experiments.jobs import plan
from helpers.experiments.mnist_basics import FIRST

def folders():
    keys = []
    for searching in (False, True):
        jobs, _ = plan([FIRST], [0], 1, "the same images", searching)
        keys.append(str(jobs[0].folder))
    return keys

package = Path(environment.__file__).parent
before, changed, kept = folders(), [], []
for file in sorted(package.rglob("*.py")):
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "# changed\\n", encoding="utf-8")
    now = [one != other for one, other in zip(before, folders())]
    file.write_text(text, encoding="utf-8")
    assert now in ([True, True], [False, False])
    (changed if now[0] else kept).append(file.relative_to(package).as_posix())
assert folders() == before
print(json.dumps([changed, kept]))
"""


@pytest.mark.slow
def test_every_file_in_turn_in_a_copy_of_the_package(tmp_path):
    """Searches are named in the same way."""
    shutil.copytree(
        ROOT / "helpers", tmp_path / "helpers", ignore=shutil.ignore_patterns("__pycache__")
    )
    command = [sys.executable, "-c", CHANGES]
    output = subprocess.check_output(command, cwd=tmp_path, text=True)
    changed, kept = json.loads(output)
    assert set(changed) == names(FIRST) and set(kept) >= NOT_REACHED


@pytest.fixture
def package(tmp_path):
    """A small package with every form of import."""
    files = {
        "__init__.py": "import helpers.nowhere",
        "experiments/__init__.py": "from helpers import plots",
        "experiments/runs.py": "from helpers import training\nimport helpers.deep.er, torch.nn",
        "training.py": "def f():\n    from helpers.data import load, known as other\n",
        "data/__init__.py": "from .known import KNOWN\nfrom . import sources\n",
        "data/known.py": "KNOWN = 1",
        "data/sources.py": "from ..environment import ROOT\nfrom json import dumps",
        "environment.py": "import helpers.training",
        "deep/__init__.py": "",
        "deep/er/__init__.py": "from helpers.star import *",
        "deep/er/unused.py": "",
        "star/__init__.py": "",
        "plots.py": "",
        "models/one.py": "from helpers.models import two",
        "models/two.py": "",
        "models/__init__.py": "",
    }
    for name, text in files.items():
        file = tmp_path / "helpers" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "helpers"


def test_every_form_of_import_is_followed(package):
    found = reached_files(["helpers.experiments.runs", "helpers.models.one.Net"], package)
    assert {file.relative_to(package).as_posix() for file in found} == {
        "experiments/runs.py",
        "training.py",
        "data/__init__.py",
        "data/known.py",
        "data/sources.py",
        "environment.py",
        "deep/er/__init__.py",
        "star/__init__.py",
        "models/one.py",
        "models/two.py",
    }


def test_a_name_lies_in_the_longest_beginning_that_is_a_file(package):
    assert file_of("helpers.data.known.KNOWN.more", package) == package / "data" / "known.py"
    assert file_of("helpers.data.load", package) == package / "data" / "__init__.py"
    assert file_of("helpers.plots", package) == package / "plots.py"
    assert file_of("helpers.nowhere", package) == package / "__init__.py"
    assert file_of("helpersx.data", package) is None and file_of("torch", package) is None


def test_relative_imports_count_from_the_folder_that_they_stand_in():
    source = "from . import a\nfrom .b import c\nfrom .. import d\nfrom ..e.f import g"
    assert imported_names(source, "helpers.data") == (
        "helpers.data.a",
        "helpers.data.b.c",
        "helpers.d",
        "helpers.e.f.g",
    )


def test_a_part_of_a_recipe_counts_whatever_part_it_is(package):
    digests = set()
    for field in ("model", "optimizer", "schedule", "batches", "average_part", "step", "views"):
        recipe = replace(Recipe("one", "models.two.net", 1), **{field: "models.one.part"})
        before = code_digest(recipe, package)
        (package / "models" / "one.py").write_text(f"from helpers.models import two  # {field}")
        digests |= {before, code_digest(recipe, package)}
        (package / "models" / "one.py").write_text("from helpers.models import two")
    # The net in models/two.py is reached by all, and models/one.py changed for each of them.
    assert len(digests) == 8


def test_a_file_that_moves_or_changes_by_a_byte_gives_another_digest(package):
    recipe = Recipe("one", "models.one.net", 1)
    seen = [code_digest(recipe, package)]
    (package / "models" / "two.py").write_text(" ")
    seen.append(code_digest(recipe, package))
    (package / "models" / "two.py").rename(package / "models" / "three.py")
    (package / "models" / "one.py").write_text("from helpers.models import three")
    seen.append(code_digest(recipe, package))
    (package / "plots.py").write_text("changed")
    assert code_digest(recipe, package) == seen[-1] and len(set(seen)) == 3


def test_a_file_that_is_reached_names_the_folder_and_another_does_not(package):
    recipe = Recipe("one", "models.one.net", 1)
    for searching in (False, True):
        before = run_folder(recipe, "abc", 1, searching, package)
        for name, reached in (("models/two.py", True), ("training.py", True), ("plots.py", False)):
            text = (package / name).read_text()
            (package / name).write_text(f"{text}# changed")
            now = run_folder(recipe, "abc", 1, searching, package)
            assert (now != before) == reached and now.parent == before.parent
            (package / name).write_text(text)
        assert run_folder(recipe, "abc", 1, searching, package) == before


def test_a_folder_belongs_to_all_that_numbers_depend_on(monkeypatch, tmp_path):
    seen = [
        run_folder(FIRST, "abc", 1),
        run_folder(replace(FIRST, momentum=0.8), "abc", 1),
        run_folder(replace(FIRST, options={"a": 1}), "abc", 1),
        run_folder(FIRST, "abd", 1),
        run_folder(FIRST, "abc", 2),
        run_folder(FIRST, "abc", 1, searching=True),
    ]
    monkeypatch.setattr(torch, "__version__", "0.1")
    seen.append(run_folder(FIRST, "abc", 1))
    assert len(set(seen)) == len(seen)
    assert run_folder(replace(FIRST, title="told otherwise"), "abc", 1) == seen[-1]
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    assert run_folder(FIRST, "abc", 1).parent == tmp_path / "experiments"
    assert run_folder(FIRST, "abc", 1, searching=True).parent == tmp_path / "search"


def test_every_pixel_and_every_label_counts_among_the_images():
    images = data.load("mnist")
    seen = {data_digest(images)}
    for part in ("train", "validation", "test"):
        split = getattr(images, part)
        for tensor in (split.images, split.labels):
            place = (-1,) * tensor.dim()
            tensor[place] += 1
            seen.add(data_digest(images))
            tensor[place] -= 1
    assert len(seen) == 7 and data_digest(images) in seen


@pytest.mark.parametrize("field", ["mean", "std", "classes"])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_what_images_are_normalised_with_counts_too(part, field):
    images = data.load("mnist")
    split = getattr(images, part)
    changed = {"mean": (0.5,), "std": (0.5,), "classes": tuple("9876543210")}[field]
    other = replace(images, **{part: replace(split, **{field: changed})})
    assert data_digest(other) != data_digest(images)


def test_no_file_outside_the_reached_ones_decides_what_a_job_calculates(monkeypatch, tmp_path):
    """Which split, how many threads: all of it is handed to a file that a training reaches."""
    calls = []
    monkeypatch.setattr(jobs, "train_on", lambda *args, **options: calls.append((args, options)))
    whole = object()  # none of its splits can be asked for
    jobs.Job(FIRST, 7, tmp_path, 3, True).train(whole)
    checkpoint = tmp_path / "seed-7.checkpoint"
    options = {"checkpoint": checkpoint, "show": False, "on_epoch": None, "team": None}
    assert calls == [((FIRST, 7, whole, True, 3), options)]
    assert jobs.train_on.__name__ == "<lambda>" and "experiments/runs.py" in names(FIRST)


@pytest.mark.parametrize("searching, part", [(True, "validation"), (False, "test")])
def test_a_search_is_measured_on_its_validation_images_and_a_record_on_the_test_images(
    monkeypatch, searching, part
):
    images = data.load("mnist", validation=100)
    threads = torch.get_num_threads()
    calls = []
    monkeypatch.setattr(runs, "train_net", lambda *args, **options: calls.append(args))
    try:
        runs.train_on(FIRST, 4, images, searching, 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert calls == [(FIRST, 4, images.train, getattr(images, part))]


# What the walk through the imports does not see.


CALLS = ("import_module", "run_module", "run_path")  # importing by a name that is a value
BUILTINS = ("__import__", "exec", "eval")


def folders_by_name(tree, package, here):
    """The folders of the package that names in a text stand for."""
    pairs = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            origin = origin_of(node, here)
            pairs += [(part.asname or part.name, f"{origin}.{part.name}") for part in node.names]
        elif isinstance(node, ast.Import):
            for part in node.names:
                # ``import helpers.data`` binds the name helpers alone.
                first = part.name.split(".")[0]
                pairs.append((part.asname or first, part.name if part.asname else first))
    folders = {}
    for name, path in pairs:
        file = file_of(path, package)
        if file is not None and file.name == "__init__.py":
            folders[name] = file.parent
    return folders


def calls_an_import(node):
    """Whether a node names a function that imports what a value names."""
    if isinstance(node, ast.ImportFrom):
        return any(part.name in CALLS for part in node.names)
    if isinstance(node, ast.Attribute):
        return node.attr in CALLS
    return isinstance(node, ast.Name) and node.id in (*CALLS, *BUILTINS)


def takes_a_module(node, folders):
    """Whether a node takes a module of a folder from the folder's name."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return False
    folder = folders.get(node.value.id)
    if folder is None:
        return False
    return (folder / f"{node.attr}.py").exists() or (folder / node.attr).is_dir()


def unseen_imports(source, package, here="helpers"):
    """Lines of a text that reach a file of the package in a way that the walk does not follow."""
    tree = ast.parse(source)
    folders = folders_by_name(tree, package, here)
    lines = set()
    for node in ast.walk(tree):
        if calls_an_import(node) or takes_a_module(node, folders):
            lines.add(node.lineno)
    return sorted(lines)


@pytest.mark.parametrize(
    "source, count",
    [
        ("import importlib\nimportlib.import_module('helpers.plots')", 1),
        ("from importlib import import_module", 1),
        ("__import__('helpers.plots')", 1),
        ("exec('import helpers.plots')", 1),
        ("from helpers import data\ndata.known.KNOWN", 1),
        ("from helpers import data as d\ndef f():\n    return d.sources", 1),
        ("import helpers.data as d\nd.known", 1),
        ("import helpers.training\nhelpers.data", 1),
        ("from helpers import data\ndata.load()\nmodel.eval()", 0),
        ("from helpers.data import known\nknown.KNOWN", 0),
        ("from importlib import metadata\nmetadata.version('torch')", 0),
    ],
)
def test_forms_of_import_that_the_walk_does_not_see_are_found(package, source, count):
    assert len(unseen_imports(source, package)) == count


def test_no_file_imports_in_a_way_that_the_walk_does_not_see():
    found = {}
    for file in sorted((ROOT / "helpers").rglob("*.py")):
        here = ".".join(file.parent.relative_to(ROOT).parts)
        lines = unseen_imports(file.read_text(encoding="utf-8"), ROOT / "helpers", here)
        if lines:
            found[file.relative_to(ROOT).as_posix()] = lines
    # The first finds the parts of a recipe, whose paths the walk begins with; the second imports
    # what Colab alone has, and no training reaches it. The others load, when they are called, what
    # no training uses: photographs, and the packages that run an exported net.
    assert found.keys() == {
        "helpers/experiments/parts.py",
        "helpers/setup.py",
        "helpers/data/__init__.py",
        "helpers/upkeep/export.py",
    }
    assert not {"setup.py"} & names(FIRST)
