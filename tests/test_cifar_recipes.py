"""The recipes of session 07: what each row changes, and that all of them train and go on."""

from dataclasses import replace

import pytest
import torch
from small_experiments import goes_on_with_the_same_numbers

from helpers.data import load
from helpers.experiments import cifar10_assigned, cifar10_best, cifar10_grouped
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS, SEARCHES, for_practice
from helpers.experiments.cifar10_searches import BUNDLE
from helpers.experiments.cifar10_searches import SEARCHES as CIFAR_SEARCHES
from helpers.experiments.runs import train, train_net
from helpers.models import count_parameters

NEW = (*cifar10_assigned.RECIPES, *cifar10_best.RECIPES, *cifar10_grouped.RECIPES)


def named(recipes):
    return pytest.mark.parametrize("recipe", recipes, ids=[recipe.name for recipe in recipes])


def changes(recipe):
    """The fields and the net's options in which it differs from the row before it."""
    mine = recipe.hyperparameters()
    other = EXPERIMENTS[recipe.baseline].hyperparameters()
    nets = mine.pop("model_options"), other.pop("model_options")
    found = {key for key in mine if mine[key] != other[key]} - {"name"}
    for option in {*nets[0], *nets[1]}:
        if nets[0].get(option, False) != nets[1].get(option, False):
            found.add(f"net's {option}")
    return found


# A kind of step comes with its settings, and six views take the place of the net's own two.
ROWS = {
    "assigned-mirror": {"net's mirror"},
    "whitened": {"net's whitened"},
    "celu": {"net's activation"},
    "frozen": {"net's frozen_scale", "optimizer", "schedule", "options"},
    "ghost": {"net's ghosts"},
    "dirac": {"net's dirac"},
    "muon": {"optimizer", "options"},
    "flip": {"augment"},
    "sam": {"step", "options"},
    "views": {"views", "net's mirror"},
    "grouped-rate": {"learning_rate"},
    "grouped-bias": {"net's first_bias"},
    "grouped-smooth": {"label_smoothing"},
    "grouped-decay": {"optimizer", "options"},
    "grouped-muon": {"optimizer", "options"},
    "grouped-views": {"views", "net's mirror"},
}


@pytest.mark.parametrize("name, changed", ROWS.items())
def test_a_row_changes_what_it_is_named_after(name, changed):
    assert changes(EXPERIMENTS[f"cifar-resnet9-{name}"]) == changed


def test_the_two_that_begin_anew_change_nothing_that_is_assigned():
    assert {recipe.name for recipe in NEW} - {f"cifar-resnet9-{name}" for name in ROWS} == {
        "cifar-resnet9-assigned",
        "cifar-resnet9-page",
    }
    first = EXPERIMENTS["cifar-resnet9"]
    for recipe in (cifar10_assigned.ASSIGNED, cifar10_assigned.PAGE):
        assert recipe.baseline == first.name
        assert not changes(recipe) & {"epochs", "batch_size", "peak_epoch", "views", "net's mirror"}
        crop, *rest = recipe.augment
        assert crop == ("RandomCrop", {"padding": 4, "mode": "reflect"})
        assert rest == list(first.augment[1:])
    assigned = cifar10_assigned.ASSIGNED
    assert count_parameters(assigned.build_model()) == 6_573_130
    assert min(assigned.options.values()) >= 0.01  # LRMIN is at least a hundredth of LRMAX


@pytest.mark.parametrize("ladder", [cifar10_best.RECIPES, cifar10_grouped.RECIPES])
def test_a_row_is_compared_with_the_one_before_it(ladder):
    names = [recipe.name for recipe in ladder]
    assert [recipe.baseline for recipe in ladder[1:]] == names[:-1]
    assert ladder[0].baseline in ("cifar-resnet9-best", "cifar-resnet9-grouped")
    assert ladder[-1].claim and ladder[-1].headline
    assert set(names) <= set(GROUPS["cifar"])
    # The last row measures the net of the row before it otherwise.
    assert ladder[-1].trains_as(ladder[-2])


def test_searches_compare_what_is_trained_differently_and_fit_a_quarter_of_an_hour():
    candidates = [recipe for found in CIFAR_SEARCHES.values() for recipe in found]
    assert CIFAR_SEARCHES.items() <= SEARCHES.items()
    work = sum(2 if recipe.step else 1 for recipe in candidates)
    assert len(candidates) == 37 and work == 41
    for recipe in candidates:
        assert recipe.epochs == 24 and recipe.batch_size == 512 and recipe.data == "cifar10"
    for assigned in CIFAR_SEARCHES["cifar-assigned"]:
        assert count_parameters(assigned.build_model()) == 6_573_130
        assert min(assigned.options["first_share"], assigned.options["last_share"]) >= 0.01
    # The bundle is the row before Muon, with the flip of the row behind it.
    before = replace(EXPERIMENTS["cifar-resnet9-dirac"], augment=BUNDLE.augment, name=BUNDLE.name)
    assert BUNDLE.hyperparameters() == before.hyperparameters()


# Each of them trains on practice data with a narrow net.

SPLIT = load("cifar10", validation=0).train.subset(range(96))


def short(recipe):
    return replace(for_practice(recipe, 2), batch_size=40)


@named([*NEW, *(one for found in CIFAR_SEARCHES.values() for one in found)])
def test_it_trains_and_is_measured(recipe):
    images = SPLIT.subset(range(60))
    net, history = train(
        replace(short(recipe), epochs=1, peak_epoch=0.9), 0, images, images, show=False
    )
    assert len(history.epochs) == 1 and 0 < history.last["test_loss"] < 10
    with torch.no_grad():
        assert net.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@named(NEW)
def test_a_stopped_run_goes_on_with_the_same_numbers(recipe, tmp_path):
    goes_on_with_the_same_numbers(short(recipe), SPLIT, tmp_path / "one.checkpoint")


@named([recipe for recipe in NEW if not recipe.views])
def test_mixed_precision_changes_little(recipe, monkeypatch):
    """As on a GPU, in bfloat16: the same losses to some per cent."""
    images, epoch = SPLIT.subset(range(80)), replace(short(recipe), epochs=1, peak_epoch=0.9)
    _, plain = train_net(replace(epoch, mixed=False), 0, images, images, show=False)
    half = "helpers.training.precision.half_precision"
    monkeypatch.setattr(half, lambda device: torch.bfloat16)
    net, mixed = train_net(epoch, 0, images, images, show=False)
    assert mixed.last["train_loss"] != plain.last["train_loss"]
    assert mixed.last["train_loss"] == pytest.approx(plain.last["train_loss"], rel=0.1)
    assert all(each.dtype == torch.float32 for each in net.parameters())
