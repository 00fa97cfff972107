"""Recipes build what they say, from parts of the package or of their own; how they are told."""

import json
import math
import re
import sys
from dataclasses import replace

import numpy
import pytest
import torch
from torch import nn

import helpers
from helpers.data import Batches, load
from helpers.environment import ROOT, CourseError, seed_everything
from helpers.experiments import cifar10, load_result, mnist_basics
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS, SEARCHES, for_practice
from helpers.experiments.measured import best_of, rate_accuracies
from helpers.experiments.ranges import NETS, RATES
from helpers.experiments.recipe import OLD_NETS, Claim, Recipe, variant
from helpers.experiments.records import is_recorded
from helpers.experiments.runs import train, train_net
from helpers.experiments.search import find_candidates, kept_trials
from helpers.interpret import predict
from helpers.lr_finder import lr_range_test
from helpers.models import count_parameters

TINY = Recipe(
    "tiny",
    "models.small.first_net",
    epochs=7,
    learning_rate=0.01,
    peak_epoch=2,
    momentum=0.8,
    weight_decay=0.02,
)


def rates(recipe, steps_per_epoch):
    """The rate of every step of a run, taken as the optimizer takes it."""
    optimizer, taken = recipe.build_optimizer(nn.Linear(1, 1)), []
    scheduler = recipe.build_scheduler(optimizer, steps_per_epoch)
    for _ in range(recipe.epochs * steps_per_epoch):
        taken.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if scheduler else None
    return taken


def test_a_step_schedule_is_document_003s():
    taken = rates(replace(TINY, schedule="step", step_size=3, gamma=0.3), steps_per_epoch=5)
    assert taken == pytest.approx([0.01] * 15 + [0.003] * 15 + [0.0009] * 5)


def test_a_constant_rate_stays_and_one_cycle_has_its_peak_at_the_end_of_its_epoch():
    assert set(rates(replace(TINY, schedule="constant"), 4)) == {0.01}
    taken = rates(TINY, 4)
    assert taken.index(max(taken)) == 2 * 4 - 1 and max(taken) == pytest.approx(0.01)


@pytest.mark.parametrize(
    "options, oracle",
    [
        ({}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.8, weight_decay=0.02, nesterov=True)),
        (
            {"nesterov": False},
            lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.8, weight_decay=0.02),
        ),
        (
            {"optimizer": "adamw"},
            lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.999), weight_decay=0.02),
        ),
    ],
)
def test_an_optimizer_steps_as_torchs_own(options, oracle):
    torch.manual_seed(0)
    mine, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(mine.state_dict())
    pairs = [
        (mine, replace(TINY, **options).build_optimizer(mine)),
        (theirs, oracle(theirs.parameters())),
    ]
    images = torch.randn(4, 3)
    for net, optimizer in pairs:
        for _ in range(3):
            optimizer.zero_grad()
            net(images).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(mine.weight, theirs.weight)


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("optimizer", "lion", "unknown optimizer 'lion'; choose one of: sgd, adamw"),
        (
            "optimizer",
            "optimizers.lion.build",
            "unknown optimizer 'optimizers.lion.build': no module helpers.optimizers.lion exists; "
            "give sgd or adamw or a path such as models.small.first_net$",
        ),
        (
            "schedule",
            "cosine",
            "unknown schedule 'cosine'; choose one of: one_cycle, step, constant",
        ),
        ("model", "compact_net", "unknown model 'compact_net'.* models.small.first_net"),
        ("model", "models.small.compact_ne", "; choose one of: models.small.compact_net"),
        ("model", "models.wide.net", "no module helpers.models.wide exists; give a path such as"),
        ("model", "models.smal.compact_net", "no module helpers.models.smal exists"),
        ("model", ".net", "unknown model '.net'"),
        ("model", "models..net", "unknown model 'models..net'"),
        ("model", "models.small.", "unknown model 'models.small.'"),
        ("model", "models.small.nn", "unknown model 'models.small.nn'"),
        ("model", "", "unknown model ''"),
        ("average_part", "averages.flat", "unknown average_part .* no module helpers.averages"),
        ("step", "training.training_ste", "unknown step .*training.training_step"),
        ("views", "views.flip", "unknown views 'views.flip': no module helpers.views exists"),
    ],
)
def test_a_name_that_is_not_there_is_told_in_one_line_with_those_that_are(field, value, words):
    recipe = replace(TINY, **{field: value})
    with pytest.raises(CourseError, match=words) as error:
        net = recipe.build_model()
        recipe.build_scheduler(recipe.build_optimizer(net), 10)
        recipe.build_average(net), recipe.build_step(), recipe.measured(net)
    assert "\n" not in str(error.value)


def test_an_import_that_fails_inside_a_part_is_not_called_unknown(tmp_path, monkeypatch):
    (tmp_path / "wants_more.py").write_text("import a_library_that_is_not_there\n")
    monkeypatch.setattr(helpers, "__path__", [*helpers.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
        replace(TINY, model="wants_more.net").build_model()


PARTS = """
import torch
from torch import nn
from torch.optim.lr_scheduler import MultiplicativeLR, StepLR
from torch.optim.swa_utils import AveragedModel
from helpers.training import training_step

steps = []

def build(model, recipe):
    groups = recipe.parameter_groups(model)
    return torch.optim.Adagrad(groups, lr=recipe.options["rate"])

def two(optimizer, recipe, steps_per_epoch):
    halved = StepLR(optimizer, steps_per_epoch, 0.5)
    return [halved, MultiplicativeLR(optimizer, lambda step: 0.9)]

def none(optimizer, recipe, steps_per_epoch):
    return None

def mean(model, recipe):
    return AveragedModel(model)

def step(*arguments, **options):
    steps.append(1)
    return training_step(*arguments, **options)

class Doubled(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return 2 * self.net(images)
"""


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """A module of parts that lies in the package as a new file would."""
    (tmp_path / "parts_of_a_test.py").write_text(PARTS)
    monkeypatch.setattr(helpers, "__path__", [*helpers.__path__, str(tmp_path)])
    yield "parts_of_a_test"
    sys.modules.pop("helpers.parts_of_a_test", None)


def test_an_optimizer_and_a_schedule_of_a_recipes_own_are_found_by_their_paths(parts):
    recipe = replace(TINY, optimizer=f"{parts}.build", options={"rate": 0.5}, decay_all=False)
    net = recipe.build_model()
    optimizer = recipe.build_optimizer(net)
    assert isinstance(optimizer, torch.optim.Adagrad) and len(optimizer.param_groups) == 2
    assert optimizer.param_groups[0]["lr"] == 0.5
    two = replace(recipe, schedule=f"{parts}.two").build_scheduler(optimizer, 10)
    assert len(two) == 2 and recipe.part_paths() == ["models.small.first_net", f"{parts}.build"]
    assert replace(recipe, schedule=f"{parts}.none").build_scheduler(optimizer, 10) is None


def test_a_training_uses_the_parts_that_a_recipe_names(parts):
    recipe = replace(
        TINY,
        epochs=3,
        batch_size=8,
        optimizer=f"{parts}.build",
        schedule=f"{parts}.two",
        average_part=f"{parts}.mean",
        step=f"{parts}.step",
        views=f"{parts}.Doubled",
        options={"rate": 0.01},
    )
    split = load("mnist", validation=0).train.subset(range(20))
    measured, history = train(recipe, 0, split, split, show=False)
    taken = [row["learning_rate"] for row in history.epochs]
    # In the last of three batches an epoch, after two, five and eight steps.
    expected = [0.01 * 0.9**2, 0.01 * 0.9**5 / 2, 0.01 * 0.9**8 / 4]
    assert taken == pytest.approx(expected)
    module = sys.modules[f"helpers.{parts}"]
    assert len(module.steps) == 3 * 3  # batches of 8, 8 and 4

    # What train gives back is what was measured: the views of the average.
    net, again = train_net(recipe, 0, split, split, show=False)
    assert isinstance(measured, module.Doubled) and not isinstance(net, module.Doubled)
    assert again.last["test_loss"] == history.last["test_loss"]
    for mine, other in zip(measured.net.parameters(), net.parameters()):
        assert torch.equal(mine, other)
    loss = nn.CrossEntropyLoss()(predict(measured, split).logits, split.labels)
    assert loss.item() == pytest.approx(history.last["test_loss"], rel=1e-5)


def test_the_optimizer_that_the_map_shows_trains_a_recipe(tmp_path, monkeypatch):
    text = (ROOT / "helpers" / "README.md").read_text(encoding="utf-8")
    part, recipe = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "`optimizers/rmsprop.py`" in text
    (tmp_path / "optimizers").mkdir()
    (tmp_path / "optimizers" / "rmsprop.py").write_text(part)
    monkeypatch.setattr(helpers, "__path__", [*helpers.__path__, str(tmp_path)])
    names = vars(mnist_basics).copy()
    exec(recipe, names)

    # The oracle: torch's own RMSprop, step by step.
    made = replace(names["SHORT_RMSPROP"], epochs=1, peak_epoch=0.5, schedule="constant")
    split = load("mnist", validation=0).train.subset(range(256))
    net, _ = train_net(made, 0, split, split, show=False)
    generator = seed_everything(0)
    model = made.build_model()
    oracle = torch.optim.RMSprop(model.parameters(), lr=0.001, alpha=0.9)
    for images, labels in Batches(split, 128, shuffle=True, generator=generator):
        oracle.zero_grad()
        made.loss(model(images), labels).backward()
        oracle.step()
    for mine, other in zip(net.parameters(), model.parameters()):
        torch.testing.assert_close(mine, other)
    for name in ("helpers.optimizers", "helpers.optimizers.rmsprop"):
        sys.modules.pop(name, None)


def test_the_net_that_is_used_is_the_average_of_all_steps(parts):
    """The oracle: the mean of the weights after each step, taken by hand."""
    recipe = replace(TINY, epochs=1, peak_epoch=0.5, batch_size=8, average_part=f"{parts}.mean")
    split = load("mnist", validation=0).train.subset(range(24))
    averaged, _ = train_net(recipe, 0, split, split, show=False)

    generator, sums = seed_everything(0), None
    model = recipe.build_model()
    optimizer = recipe.build_optimizer(model)
    batches = Batches(split, 8, shuffle=True, generator=generator)
    scheduler = recipe.build_scheduler(optimizer, len(batches))
    model.train()
    for images, labels in batches:
        optimizer.zero_grad()
        recipe.loss(model(images), labels).backward()
        optimizer.step()
        scheduler.step()
        weights = [each.detach().clone() for each in model.parameters()]
        sums = weights if sums is None else [old + new for old, new in zip(sums, weights)]
    for mine, total in zip(averaged.parameters(), sums):
        torch.testing.assert_close(mine, total / 3)


def test_a_variant_inherits_what_is_trained_and_not_what_is_told_of_it():
    claim = Claim(10, 2, 50.0)
    parent = replace(TINY, title="old", claim=claim, document="50 %", headline=True, baseline="x")
    child = variant(parent, "child", "new", learning_rate=0.5)
    assert child.hyperparameters() == parent.hyperparameters() | {
        "name": "child",
        "learning_rate": 0.5,
    }
    told = (child.title, child.claim, child.document, child.headline, child.baseline)
    assert told == ("new", None, "", False, "tiny")
    other = variant(parent, "child", "new", claim=claim, headline=True, baseline="")
    assert (other.claim, other.headline, other.baseline) == (claim, True, "")


def test_recipes_pair_where_they_train_the_same_net_and_differ_in_what_they_measure():
    nets = {"mirror": {"mirror": True}, "wide": {"width": 8}}
    same = [
        replace(TINY, name="other", title="told otherwise"),
        replace(TINY, average=0.9),
        replace(TINY, average_part="averages.flat"),
        replace(TINY, views="views.flip"),
        replace(TINY, model_options=nets["mirror"]),
    ]
    others = [
        replace(TINY, learning_rate=0.02),
        replace(TINY, model_options=nets["wide"]),
        replace(TINY, step="steps.sharp"),
        replace(TINY, options={"rho": 0.1}),
    ]
    assert [TINY.trains_as(recipe) for recipe in same] == [True] * 5
    assert [TINY.trains_as(recipe) for recipe in others] == [False] * 4


def test_hyperparameters_are_as_json_has_them_and_make_the_same_recipe_again():
    recipe = replace(
        TINY,
        options={"betas": (0.9, 0.95)},
        augment=(("RandomCrop", {"padding": 2}),),
        views="views.flip",
    )
    kept = json.loads(json.dumps(recipe.hyperparameters()))
    assert kept == recipe.hyperparameters() and kept["options"] == {"betas": [0.9, 0.95]}
    assert "title" not in kept and "claim" not in kept
    again = Recipe.restored(kept)
    assert again.hyperparameters() == kept and again.augment == recipe.augment


@pytest.mark.parametrize("old, path", OLD_NETS.items())
def test_an_old_record_names_its_net_without_a_path(old, path):
    kept = replace(TINY, model=old).hyperparameters()
    for newer in ("average_part", "step", "views", "options"):
        del kept[newer]
    assert Recipe.restored(kept) == replace(TINY, model=path)
    assert Recipe.completed(kept) == replace(TINY, model=path).hyperparameters()
    assert Recipe.restored(kept).build_model()


@pytest.mark.parametrize("recipe", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_every_experiment_keeps_its_claims_limits_and_is_compared_with_another(recipe):
    assert recipe.title and (
        not recipe.baseline or recipe.baseline in EXPERIMENTS and recipe.baseline != recipe.name
    )
    if recipe.claim:
        assert count_parameters(recipe.build_model()) <= recipe.claim.max_parameters
        assert recipe.claim.last_epochs <= recipe.epochs <= recipe.claim.max_epochs


@pytest.mark.parametrize(
    "name, changes",
    [
        ("ladder-dropout", {"model_options"}),
        ("ladder-pool", {"model"}),
        # A schedule and its highest rate belong together, and so do an optimizer and its numbers.
        ("ladder-step", {"schedule", "learning_rate", "gamma"}),
        ("ladder-onecycle", {"schedule", "learning_rate", "gamma"}),
        ("ladder-augment", {"augment"}),
        ("ladder-adamw", {"optimizer", "learning_rate", "weight_decay"}),
        ("ladder-adamw-average", {"average"}),
        ("ladder-augment-average", {"average"}),
        ("ladder-average", {"model_options"}),
        ("ladder-narrow", {"model", "model_options"}),
        ("ladder-late-pool", {"model"}),
        ("pointwise-longer", {"epochs"}),
        ("ladder-fewer", {"model"}),
        ("ladder-fewer-unmoved", {"augment"}),
        ("pointwise-step", {"schedule"}),
        ("residual-5-conv", {"model_options"}),
        *((f"depth-{layers}-shortcuts", {"model_options"}) for layers in (8, 20, 44)),
    ],
)
def test_a_rung_differs_from_the_one_below_in_what_it_is_named_after(name, changes):
    mine, other = (
        EXPERIMENTS[each].hyperparameters() for each in (name, EXPERIMENTS[name].baseline)
    )
    assert {key for key in mine if mine[key] != other[key]} == changes | {"name"}


def test_document_004s_recipe_is_that_of_its_code():
    recipe = EXPERIMENTS["pointwise-step"]
    optimizer, oracle = (
        recipe.build_optimizer(nn.Linear(1, 1)),
        torch.optim.SGD([torch.zeros(1)], 0.01, momentum=0.9),
    )
    assert {key: optimizer.defaults[key] for key in oracle.defaults} == oracle.defaults
    assert rates(recipe, 2) == pytest.approx([0.01] * 12 + [0.001] * 12 + [0.0001] * 6)
    assert set(rates(EXPERIMENTS["pointwise-document"], 2)) == {0.01} and recipe.batch_size == 128
    assert [
        layer.p for layer in recipe.build_model().modules() if isinstance(layer, nn.Dropout)
    ] == [0.03]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["residual-5", "first-5"])
def test_a_suggested_rate_is_what_the_range_test_suggests(real_data_root, name):
    """Within half a decade: another processor moves the curves a little. The settings: fastai's."""
    mnist, recipe, generator = (
        load("mnist", real_data_root, validation=0),
        EXPERIMENTS[name],
        seed_everything(0),
    )
    model = recipe.build_model()
    batches = Batches(mnist.train, recipe.batch_size, shuffle=True, generator=generator)
    optimizer = recipe.build_optimizer(model)
    settings = {"start_lr": 1e-7, "steps": 100, "smoothing": 0.98, "orders": 5}
    test = lr_range_test(model, batches, recipe.loss, optimizer, **settings)
    assert abs(math.log10(test.suggest("valley") / recipe.learning_rate)) <= 0.5


def test_five_rates_lie_a_factor_of_root_ten_apart_around_the_suggested_one():
    for name in ("residual-5", "first-5"):
        family = [
            EXPERIMENTS[name + end] for end in ("-tenth", "-third", "", "-triple", "-tenfold")
        ]
        logs = [
            math.log10(recipe.learning_rate / EXPERIMENTS[name].learning_rate) for recipe in family
        ]
        assert logs == pytest.approx([-1, -0.5, 0, 0.5, 1], abs=0.001)
        assert (
            len(
                {
                    str(replace(recipe, name="", learning_rate=1).hyperparameters())
                    for recipe in family
                }
            )
            == 1
        )


@pytest.mark.parametrize("name", RATES)
def test_the_range_test_is_measured_at_rates_a_factor_of_root_ten_apart_and_nothing_else(name):
    candidates = SEARCHES[f"range-{name}"]
    logs = [math.log10(recipe.learning_rate) for recipe in candidates]
    assert numpy.diff(logs) == pytest.approx([0.5] * (len(RATES[name]) - 1), abs=0.003)
    kept = {str(replace(each, name="", learning_rate=1).hyperparameters()) for each in candidates}
    assert len(kept) == 1 and {recipe.epochs for recipe in candidates} == {5}
    assert candidates[0].claim is None and candidates[0].baseline == ""
    # On MNIST the rate falls to almost nothing; the narrow nets are trained as they are recorded.
    assert candidates[0].annihilate == (candidates[0].data == "mnist")


def test_the_nets_that_the_range_test_is_measured_on_are_those_of_the_sessions():
    counts = {name: count_parameters(net.build_model()) for name, net in NETS.items()}
    assert counts == {
        "residual": 19_074,
        "first": 5_958,
        "budget-he": 9_122,
        "compact": 6_084,
        "narrow": 103_954,
        "scaled": 103_954,
    }
    trained = replace(NETS["narrow"], name="", title="").hyperparameters()
    assert trained == replace(EXPERIMENTS["cifar-minutes"], name="").hyperparameters()


@pytest.mark.parametrize("layers, blocks", [(8, 1), (20, 3), (44, 7)])
def test_nets_of_one_depth_have_equal_counts_with_and_without_shortcuts(layers, blocks):
    plain, residual = (
        EXPERIMENTS[f"depth-{layers}{end}"].build_model() for end in ("", "-shortcuts")
    )
    kinds = nn.Conv2d, nn.Linear
    assert [
        sum(isinstance(layer, kinds) for layer in net.modules()) for net in (plain, residual)
    ] == [layers] * 2
    assert count_parameters(plain) == count_parameters(residual) and len(plain.blocks) == 3 * blocks


RECORDED = sorted(path.stem for path in (ROOT / "notebooks" / "results" / "search").glob("*.json"))


@pytest.mark.parametrize("name", sorted({*SEARCHES, *RECORDED}))
def test_the_candidates_of_a_search_differ_and_can_be_built(name):
    candidates = find_candidates(name)
    assert len({str(recipe.hyperparameters()) for recipe in candidates}) == len(candidates)
    for recipe in candidates:
        assert count_parameters(recipe.build_model()) > 0 and recipe.build_optimizer(
            recipe.build_model()
        )


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_search_is_defined_by_its_record(name):
    kept = [trial["recipe"] for trial in kept_trials(name)]
    again = [recipe.hyperparameters() for recipe in find_candidates(name)]
    assert (
        again
        and all(recipe in kept for recipe in again)
        and (name in SEARCHES or all(one in again for one in kept))
    )


def test_a_search_by_another_name_is_refused_with_the_near_ones():
    with pytest.raises(CourseError, match="compact"):
        find_candidates("compct")


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_weight_decay_can_leave_biases_and_normalisations_alone(kind):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    recipe = replace(TINY, optimizer=kind, decay_all=False)
    groups = recipe.build_optimizer(net).param_groups
    assert [[each.dim() for each in group["params"]] for group in groups] == [[4, 2], [1, 1, 1, 1]]
    assert [group["weight_decay"] for group in groups] == [0.02, 0.0] and groups[0]["lr"] == groups[
        1
    ]["lr"] == 0.01
    assert len(replace(recipe, decay_all=True).build_optimizer(net).param_groups) == 1


def test_every_row_of_the_cifar_ladder_changes_one_thing_and_all_are_of_one_group():
    names = GROUPS["cifar"]
    first = [recipe.name for recipe in cifar10.ON_A_GPU]
    assert names[: len(first)] == first  # what changed since then has tests of its own
    assert {
        "cifar-resnet9",
        "cifar-resnet9-grouped",
        "cifar-resnet9-annihilate",
        "cifar-resnet9-best",
    } <= set(first)
    for name in first[1:]:
        recipe, before = EXPERIMENTS[name], EXPERIMENTS[EXPERIMENTS[name].baseline]
        mine, other = recipe.hyperparameters(), before.hyperparameters()
        changed = {key for key in mine if mine[key] != other[key] and key != "name"}
        if changed == {
            "learning_rate",
            "weight_decay",
        }:  # one change where their product, which counts, stays
            assert (
                recipe.learning_rate * recipe.weight_decay
                == before.learning_rate * before.weight_decay
            ), name
        else:
            assert len(changed) == 1, name
        assert (
            before.name in names
            and recipe.epochs == 24
            and recipe.batch_size == 512
            and recipe.mixed
        )


def test_the_assignments_schedule_is_highest_at_epoch_5_of_24_and_ends_where_it_began():
    steps = -(-50_000 // 512)
    taken = rates(EXPERIMENTS["cifar-resnet9"], steps)
    assert len(taken) == 24 * 98 and taken.index(max(taken)) == 5 * steps - 1
    assert taken[0] == pytest.approx(taken[-1]) and taken[-1] < max(taken) / 20
    assert rates(EXPERIMENTS["cifar-resnet9-annihilate"], steps)[-1] < taken[-1] / 1000
    short = rates(EXPERIMENTS["cifar-resnet9-best-8"], steps)
    assert len(short) == 8 * 98 and abs(short.index(max(short)) / len(short) - 5 / 24) < 0.005


@pytest.mark.parametrize(
    "name, parameters",
    [("cifar-resnet9-best", 27_000), ("cifar-resnet9-grouped", 5_500), ("budget", 9_274)],
)
def test_practice_data_get_few_epochs_and_a_narrow_resnet9(name, parameters):
    recipe, short = EXPERIMENTS[name], for_practice(EXPERIMENTS[name], 3)
    assert count_parameters(short.build_model()) <= parameters
    assert (short.epochs, short.peak_epoch) == (
        3,
        pytest.approx(3 * recipe.peak_epoch / recipe.epochs),
    )
    assert (
        recipe.model_options.items() <= short.model_options.items()
        and short.augment == recipe.augment
    )


def test_the_assigned_rate_and_decay_are_those_that_read_most_of_the_validation_images():
    best = max(kept_trials("cifar-decay"), key=lambda trial: trial["validation_accuracy"])
    recipe = EXPERIMENTS["cifar-resnet9"]
    assert (best["recipe"]["learning_rate"], best["recipe"]["weight_decay"]) == (
        recipe.learning_rate,
        recipe.weight_decay,
    )


def test_the_narrow_net_has_the_rate_that_its_search_found():
    recipe, losses = EXPERIMENTS["cifar-minutes"], {}
    for trial in kept_trials("cifar-minutes"):
        if trial["recipe"]["model_options"]["scale"] == 1.0:
            losses[trial["recipe"]["learning_rate"]] = trial["validation_loss"]
    assert len(losses) == 4 and min(losses, key=losses.get) == recipe.learning_rate


def test_the_net_with_scaled_logits_has_the_best_rate_of_three_seeds():
    assert EXPERIMENTS["cifar-minutes-scaled"].learning_rate == best_of("scaled")[0]
    assert {len(seeds) for seeds in rate_accuracies("scaled").values()} == {3}


@pytest.mark.parametrize(
    "name", [name for name in EXPERIMENTS if name.startswith("cifar") and is_recorded(name)]
)
def test_a_recorded_run_followed_the_schedule_of_its_recipe(name):
    recipe, steps = EXPERIMENTS[name], -(-50_000 // EXPERIMENTS[name].batch_size)
    planned = rates(recipe, steps)[steps - 1 :: steps]
    for history in load_result(name).histories:
        assert [row["learning_rate"] for row in history.epochs] == pytest.approx(planned, abs=1e-6)


def test_numbers_of_numpy_are_made_plain():
    recipe = replace(
        mnist_basics.FIRST,
        batch_size=numpy.int64(64),
        learning_rate=numpy.float32(0.1),
        nesterov=numpy.bool_(True),
        model_options={"width": numpy.int64(4), "sizes": [numpy.int8(2), (numpy.float64(0.5),)]},
        augment=(("Cutout", {"size": numpy.int64(8)}),),
    )
    assert type(recipe.batch_size) is int and recipe.batch_size == 64
    assert type(recipe.learning_rate) is float
    assert recipe.learning_rate == pytest.approx(0.1) and recipe.nesterov is True
    assert recipe.model_options == {"width": 4, "sizes": [2, (0.5,)]}
    assert recipe.augment == (("Cutout", {"size": 8}),)
    kept = recipe.hyperparameters()
    assert json.loads(json.dumps(kept)) == kept
    assert Recipe.restored(kept).hyperparameters() == kept
    short = mnist_basics.FIRST.shortened(numpy.int64(2))
    assert short == mnist_basics.FIRST.shortened(2) and type(short.epochs) is int
    assert short.hyperparameters() == mnist_basics.FIRST.shortened(2).hyperparameters()


def test_plain_fields_stay_as_they_are():
    for recipe in EXPERIMENTS.values():
        for name, value in vars(recipe).items():
            again = getattr(replace(recipe), name)
            assert again == value and type(again) is type(value)


def test_what_a_record_cannot_hold_is_one_line():
    recipe = replace(mnist_basics.FIRST, options={"weights": torch.ones(3)})
    with pytest.raises(CourseError, match="^the recipe first cannot be recorded .*Tensor") as error:
        recipe.hyperparameters()
    assert "\n" not in str(error.value)
