"""Recipes build what they say: optimizers, schedules, nets; and every one says how its result is told."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from helpers.data import Batches, load
from helpers.environment import ROOT, CourseError, seed_everything
from helpers.experiments import load_result
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS, SEARCHES, quick
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import is_recorded
from helpers.experiments.search import find_candidates, kept_trials
from helpers.lr_finder import lr_range_test
from helpers.models import count_parameters

TINY = Recipe(
    "tiny", "first_net", epochs=7, learning_rate=0.01, peak_epoch=2, momentum=0.8, weight_decay=0.02
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
        ("optimizer", "lion", "unknown optimizer 'lion'; there is: sgd, adamw"),
        ("schedule", "cosine", "unknown schedule 'cosine'; there is: one_cycle, step, constant"),
        ("model", "compact_ne", "unknown model 'compact_ne'; there is: compact_net"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_those_that_are(field, value, words):
    recipe = replace(TINY, **{field: value})
    with pytest.raises(CourseError, match=words):
        recipe.build_scheduler(recipe.build_optimizer(recipe.build_model()), 10)


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
        (
            "ladder-step",
            {"schedule", "learning_rate", "gamma"},
        ),  # a schedule and its highest rate belong together
        ("ladder-onecycle", {"schedule", "learning_rate", "gamma"}),
        ("ladder-augment", {"augment"}),
        (
            "ladder-average",
            {"model_options", "optimizer", "learning_rate", "weight_decay", "average"},
        ),
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


@pytest.mark.parametrize("name", ["residual-5", "first-5"])
def test_a_suggested_rate_is_what_the_range_test_suggests(real_data_root, name):
    """Within half a decade: single orders differ by more, and another processor moves the curves a little."""
    mnist, recipe, generator = (
        load("mnist", real_data_root, validation=0),
        EXPERIMENTS[name],
        seed_everything(0),
    )
    model = recipe.build_model()
    batches = Batches(mnist.train, recipe.batch_size, shuffle=True, generator=generator)
    test = lr_range_test(model, batches, recipe.loss, recipe.build_optimizer(model), orders=5)
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
    assert {
        "cifar-resnet9",
        "cifar-resnet9-grouped",
        "cifar-resnet9-annihilate",
        "cifar-resnet9-best",
    } <= set(names)
    for name in names[1:]:
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
    recipe, short = EXPERIMENTS[name], quick(EXPERIMENTS[name], 3)
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


@pytest.mark.parametrize("name", ["cifar-minutes", "cifar-minutes-scaled"])
def test_a_narrow_net_has_the_rate_that_its_search_found(name):
    recipe, losses = EXPERIMENTS[name], {}
    for trial in kept_trials("cifar-minutes"):
        if trial["recipe"]["model_options"]["scale"] == recipe.model_options.get("scale", 1.0):
            losses[trial["recipe"]["learning_rate"]] = trial["validation_loss"]
    assert len(losses) == 4 and min(losses, key=losses.get) == recipe.learning_rate


@pytest.mark.parametrize(
    "name", [name for name in EXPERIMENTS if name.startswith("cifar") and is_recorded(name)]
)
def test_a_recorded_run_followed_the_schedule_of_its_recipe(name):
    recipe, steps = EXPERIMENTS[name], -(-50_000 // EXPERIMENTS[name].batch_size)
    planned = rates(recipe, steps)[steps - 1 :: steps]
    for history in load_result(name).histories:
        assert [row["learning_rate"] for row in history.epochs] == pytest.approx(planned, abs=1e-6)
