"""The records that are kept in this repository."""

import json
import re

import numpy
import pytest

from helpers import data
from helpers.environment import ROOT
from helpers.experiments import load_model, load_result, speed
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS, SEARCHES
from helpers.experiments.cifar10 import IN_HOURS
from helpers.experiments.measured import range_verdicts
from helpers.experiments.recipe import Recipe
from helpers.experiments.record_checks import check_finite
from helpers.experiments.records import is_recorded
from helpers.experiments.rungs import verdicts
from helpers.experiments.search import kept_trials, ranking
from helpers.interpret import predict
from helpers.upkeep.readme import outdated

NOTEBOOKS = ROOT / "notebooks"
RESULTS = NOTEBOOKS / "results"
RECORDED = [name for name in EXPERIMENTS if is_recorded(name)]
ON_MNIST = [name for name in RECORDED if EXPERIMENTS[name].data == "mnist"]

# Recipes for CIFAR-10 that want a GPU, and some of session 04, have not been recorded yet.
NOT_RECORDED = {
    "cifar-resnet9-scaled",
    "cifar-resnet9-average",
    "cifar-resnet9-assigned",
    "cifar-resnet9-assigned-mirror",
    "cifar-resnet9-page",
    "cifar-resnet9-whitened",
    "cifar-resnet9-celu",
    "cifar-resnet9-frozen",
    "cifar-resnet9-ghost",
    "cifar-resnet9-dirac",
    "cifar-resnet9-muon",
    "cifar-resnet9-flip",
    "cifar-resnet9-sam",
    "cifar-resnet9-views",
    "cifar-resnet9-grouped-rate",
    "cifar-resnet9-grouped-bias",
    "cifar-resnet9-grouped-smooth",
    "cifar-resnet9-grouped-decay",
    "cifar-resnet9-grouped-muon",
    "cifar-resnet9-grouped-views",
    # Session 08's wait for a GPU.
    *(recipe.name for recipe in speed.ON_A_GPU),
}

# The GPU's machine had newer files than its history, so no commit holds what it ran: their commit
# ends in a +, which their tables show, and they are to be made anew.
FROM_CHANGED_FILES = {
    "cifar-resnet9-rate",
    "cifar-resnet9-reflect",
    "cifar-resnet9-smooth",
    "cifar-resnet9-best",
    "cifar-resnet9-grouped",
}


def test_readme_and_notebooks_tell_what_the_records_hold():
    assert {path.name for path in outdated()} == set()


def test_readme_names_the_decided_changes_of_the_ladder():
    found = verdicts()
    decided = [name.split()[-1] for name in found["better"] + found["worse"]]
    assert decided == ["dropout", "StepLR", "one-cycle", "augment"]
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "four are decided: dropout, StepLR, one-cycle and augmentation." in text


def printed_by(path):
    """What each output of a notebook says, as plain text."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            yield "".join(output.get("text", ()))
            yield "".join(output.get("data", {}).get("text/plain", ()))


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("0*.ipynb")), ids=lambda path: path.stem)
def test_what_a_notebook_has_printed_is_what_the_records_hold_today(path):
    """A figure with its deviation and its number of seeds, in the output of any cell."""
    today = {load_result(name).accuracy for name in RECORDED}
    printed = set()
    for text in printed_by(path):
        printed.update(re.findall(r"\d\d\.\d\d (?:± \d\.\d\d % \(n = \d+\)|% \(n = 1\))", text))
    assert printed <= today


def test_session_06_counts_the_recommended_rates_as_their_verdicts_do():
    held = [row[-1] for row in range_verdicts().rows].count("HOLDS")
    words = ("no", "one", "two", "three", "four", "five", "six")
    text = (NOTEBOOKS / "06_residual_mnist.ipynb").read_text(encoding="utf-8")
    said = re.findall(r"good enough on (\w+) of (?:our )?(\w+) nets", text)
    assert said == [(words[held], words[len(range_verdicts().rows)])] * 2


# A row of a search's table: a candidate, its loss and its accuracy on validation images, its seeds.
SEARCHED = re.compile(r"^(\S.*?)  +(\d\.\d{5}|–)  +(\d+\.\d\d %|–)  +(\d+)", re.MULTILINE)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("0*.ipynb")), ids=lambda path: path.stem)
def test_what_a_notebook_has_printed_of_a_search_is_what_its_trials_say_today(path):
    today = set()
    for search in (RESULTS / "search").glob("*.json"):
        # With the name of the search and without it.
        for short in (False, True):
            for row in ranking(kept_trials(search.stem), short=short).rows:
                today.add(tuple(map(str, row)))
    tables = [text for text in printed_by(path) if text.startswith("candidate ")]
    rows = [row for text in tables for row in SEARCHED.findall(text)]
    assert set(rows) <= today
    assert len(rows) == sum(len(text.splitlines()) - 1 for text in tables)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("0*.ipynb")), ids=lambda path: path.stem)
def test_commands_that_a_notebook_has_printed_are_there(path):
    """A recipe that was taken out leaves no command behind that fails."""
    text = "\n".join(printed_by(path))
    for command, known in (("experiment", {*EXPERIMENTS, *GROUPS}), ("search", SEARCHES)):
        assert {*re.findall(rf"-m helpers {command} ([a-z0-9-]+)", text)} <= {*known}


def test_every_experiment_is_recorded_but_those_that_are_listed_here():
    assert set(EXPERIMENTS) - set(RECORDED) == NOT_RECORDED


def test_every_record_is_from_a_commit_but_those_that_are_listed_here():
    changed = set()
    for name in RECORDED:
        result = load_result(name)
        for commit in result.commits:
            assert len(commit.removesuffix("+")) == 40 and int(commit.removesuffix("+"), 16)
        if result.from_changed_files:
            changed.add(name)
    assert changed == FROM_CHANGED_FILES


def test_every_record_belongs_to_a_recipe_of_today():
    assert {path.stem for path in RESULTS.glob("*.json")} == set(RECORDED)
    assert {path.stem for path in RESULTS.glob("*.npz")} == set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_every_record_is_whole_and_of_its_recipe(name):
    result, recipe = load_result(name), EXPERIMENTS[name]
    assert Recipe.completed(result.record["recipe"]) == recipe.hyperparameters()
    assert result.recipe.hyperparameters() == recipe.hyperparameters()
    assert result.record["data"]["source"] in ("torchvision", "folder", "download")
    assert result.record["train_images"] == {"mnist": 60_000, "cifar10": 50_000}[recipe.data]
    for history in result.histories:
        assert [row["epoch"] for row in history.epochs] == list(range(1, recipe.epochs + 1))
    assert len(result.accuracies) == len(result.record["runs"])
    assert ("logits" in result.arrays) == recipe.headline
    check_finite(result.record, result.arrays)


@pytest.mark.parametrize("path", sorted((RESULTS / "search").glob("*.json")), ids=lambda p: p.stem)
def test_every_trial_of_a_search_can_be_made_again(path):
    written = json.loads(path.read_text(encoding="utf-8"))["trials"]
    trials = kept_trials(path.stem)
    assert len(trials) == len(written) > 0
    for old, trial in zip(written, trials):
        recipe = Recipe.restored(old["recipe"])
        assert recipe.hyperparameters() == trial["recipe"]
        assert recipe.model.endswith("." + old["recipe"]["model"].split(".")[-1])


@pytest.mark.parametrize("name", RECORDED)
def test_every_experiment_has_three_seeds_and_a_headline_five(name):
    least = 3
    if EXPERIMENTS[name].headline:
        least = 5
    # A seed takes hours of both cores, or the net is there for its size: one is told as one.
    if EXPERIMENTS[name] in IN_HOURS or name == "starter":
        least = 1
    assert len(load_result(name).accuracies) >= least


# On the real images.


@pytest.fixture(scope="module")
def real_mnist(real_data_root):
    return data.load("mnist", real_data_root, validation=0)


@pytest.mark.parametrize("name", ON_MNIST)
def test_recorded_predictions_have_the_recorded_accuracy(name, real_mnist):
    result = load_result(name)
    assert result.record["data"]["digest"] == real_mnist.digest
    correct = (result.arrays["predictions"] == real_mnist.test.labels.numpy()).sum(1)
    shares = (100 * correct / len(real_mnist.test)).tolist()
    assert shares == pytest.approx(list(result.accuracies.values()), abs=1e-6)


def with_weights():
    names = []
    for name in RECORDED:
        if any(key.startswith("weights/") for key in load_result(name).arrays):
            names.append(name)
    return names


def test_the_headlines_of_mnist_keep_their_weights():
    assert with_weights() == [name for name in ON_MNIST if EXPERIMENTS[name].headline]


@pytest.mark.slow
@pytest.mark.parametrize("name", with_weights())
def test_a_recorded_net_repeats_its_predictions(name, real_mnist):
    """Another processor may round a logit otherwise, and so decide a tie or two."""
    result, net = load_result(name), load_model(name)
    assert not any(module.training for module in net.modules())
    assert {str(tensor.device) for tensor in net.state_dict().values()} == {"cpu"}
    found = predict(net, real_mnist.test)
    other = numpy.asarray(found.predicted) != result.arrays["predictions"][0]
    assert other.sum() <= 2
    accuracy = 100 * float(found.correct.double().mean())
    assert accuracy == pytest.approx(next(iter(result.accuracies.values())), abs=0.02)
    logits = result.arrays["logits"][0].astype("float32")
    assert numpy.allclose(found.logits.numpy(), logits, atol=0.05, rtol=0.01)


@pytest.mark.parametrize("name", ["budget"])
def test_the_claim_of_a_session_holds(name):
    verdict = load_result(name).judge(EXPERIMENTS[name].claim)
    assert verdict.judged and verdict.passed >= 4 and verdict.n >= 5, str(verdict)
