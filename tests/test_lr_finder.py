"""The range test against a loop by hand, its rules against their definitions; no trace is left."""

from __future__ import annotations

import copy
import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from helpers.data import Batches, ImageSplit
from helpers.environment import CourseError, pick_device
from helpers.lr_finder import LRRangeTest, lr_range_test
from helpers.lr_finder.answers import EDGE_SHARE, RangeAnswer, median_rate
from helpers.lr_finder.rules import RULES
from helpers.models.speed import SpeedNet

sgd = partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=1e-4)
adam = partial(torch.optim.Adam, amsgrad=True)


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Flatten(), nn.Linear(64, 4)
    )


def batches_of(kind: str = "Batches", note: str = "") -> Iterable:
    """5 batches of 10 images, fewer than any range test has steps."""
    images = torch.randint(
        0, 256, (50, 1, 6, 6), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )
    split = ImageSplit(images, images[:, 0, 2, 2].long() // 64, tuple("abcd"), (0.5,), (0.3,), note)
    generator = torch.Generator().manual_seed(7)
    if kind == "Batches":
        return Batches(
            split,
            10,
            lambda images, drawn: images + 0.1 * torch.rand(images.shape, generator=drawn),
            shuffle=True,
            generator=generator,
        )
    dataset = TensorDataset(*next(iter(Batches(split, 50))))
    sampler = RandomSampler(dataset, generator=generator)
    return {
        "list": lambda: list(DataLoader(dataset, 10)),
        "loader": lambda: DataLoader(dataset, 10, shuffle=True, generator=generator),
        "no generator": lambda: DataLoader(dataset, 10, shuffle=True),
        "sampler": lambda: DataLoader(dataset, 10, sampler=sampler),
        "batch sampler": lambda: DataLoader(
            dataset, batch_sampler=BatchSampler(sampler, 10, False)
        ),
    }[kind]()


def train(
    model: nn.Module,
    batches: Iterable,
    optimizer: torch.optim.Optimizer,
    steps: int,
    scheduler=None,
) -> list:
    losses, endless = [], (batch for _ in range(steps) for batch in batches)
    model.train()
    for _, (images, targets) in zip(range(steps), endless):
        optimizer.zero_grad()
        losses.append(F.cross_entropy(model(images), targets))
        losses[-1].backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
    return [loss.item() for loss in losses]


def sweep(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    batches: Iterable | None = None,
    loss_fn: Callable = F.cross_entropy,
    end_lr: float = 0.1,
    steps: int = 10,
    **options,
) -> LRRangeTest:
    options = {"start_lr": 1e-7, "smoothing": 0.98} | options
    optimizer, batches = (
        optimizer or sgd(model.parameters()),
        batches_of() if batches is None else batches,
    )
    return lr_range_test(model, batches, loss_fn, optimizer, end_lr=end_lr, steps=steps, **options)


@pytest.mark.parametrize(
    ("make", "trained", "smoothing"), [(sgd, 3, 0.98), (sgd, 0, 0), (adam, 3, 0), (adam, 0, 0.5)]
)
def test_the_curve_is_that_of_a_loop_that_sets_the_rate_and_steps(make, trained, smoothing):
    torch.manual_seed(0)
    model, batches, expected = nn.Sequential(nn.Flatten(), nn.Linear(36, 4)), batches_of("list"), []
    optimizer = make(model.parameters())
    train(model, batches, optimizer, trained)  # momentum may be there already
    plain, plain_optimizer = copy.deepcopy((model, optimizer))
    for step, rate in enumerate(np.geomspace(1e-4, 0.1, 12)):
        plain_optimizer.param_groups[0]["lr"] = rate
        expected += train(plain, [batches[step % 5]], plain_optimizer, 1)
    test = sweep(model, optimizer, batches, start_lr=1e-4, steps=12, smoothing=smoothing)
    assert (
        test.losses.tolist() == expected
        and test.lrs.tolist() == np.geomspace(1e-4, 0.1, 12).tolist()
    )
    for step in range(12):
        weights = [smoothing ** (step - earlier) for earlier in range(step + 1)]
        assert test.smoothed[step] == pytest.approx(
            np.average(expected[: step + 1], weights=weights), rel=1e-9
        )


def test_the_form_of_document_002_is_the_same_function():
    model, end = small_net(), 1e-4 * 1.069**97
    test = sweep(
        model,
        adam(model.parameters()),
        None,
        start_lr=1e-4,
        end_lr=end,
        steps=98,
        smoothing=0,
        divergence=99,
    )
    assert test.lrs == pytest.approx([1e-4 * 1.069**step for step in range(98)], rel=1e-12)
    assert np.array_equal(test.smoothed, test.losses)


@pytest.mark.parametrize(
    ("given", "ratios"), [((0.01, 0.04, 0), (0.25, 1, 0)), ((0, 0, 0), (1, 1, 1))]
)
def test_groups_keep_the_ratio_of_their_rates_and_the_fastest_is_recorded(given, ratios):
    model, seen = small_net(), []
    optimizer = sgd(
        [{"params": model[at].parameters(), "lr": rate} for at, rate in zip((0, 1, 4), given)]
    )
    optimizer.register_step_pre_hook(
        lambda *_: seen.append([group["lr"] for group in optimizer.param_groups])
    )
    assert np.outer(sweep(model, optimizer).lrs, ratios) == pytest.approx(np.array(seen), rel=1e-12)


def test_a_loss_that_rises_stops_the_test_above_the_limit_and_one_that_is_no_number_is_not_kept():
    test = sweep(small_net(), end_lr=1e4, steps=60, divergence=3)
    above = test.smoothed > 3 * np.minimum.accumulate(test.smoothed)
    assert (
        above.tolist() == [False] * (len(above) - 1) + [True]
        and len(test.lrs) == len(test.losses) < 60
    )
    for value in (math.nan, math.inf):
        added = iter([0] * 20 + [value] + [0] * 9)
        test = sweep(
            small_net(),
            steps=30,
            loss_fn=lambda *given, added=added: F.cross_entropy(*given) + next(added),
        )
        assert len(test.losses) == 20 and np.isfinite(test.curves).all() and len(list(added)) == 9


@pytest.mark.parametrize("kind", ["Batches", "loader", "sampler", "batch sampler", "no generator"])
def test_orders_are_other_orders_from_the_same_state_and_can_be_repeated(kind):
    model, batches = small_net().eval(), batches_of(kind)
    model[2].p = 0.0
    test, again, one = (
        sweep(model, None, batches, steps=12, orders=orders) for orders in (3, 3, 1)
    )
    curves = np.stack(test.curves)
    assert np.array_equal(curves, again.curves) and np.array_equal(curves[:1], one.curves)
    assert (
        curves.shape == (3, 2, 12)
        and len(set(curves[:, 0, 0])) == 3
        and np.ptp(curves[:, 0, 0]) < 1
    )
    assert np.array_equal(test.losses, curves[:, 0].mean(0)) and np.array_equal(
        test.smoothed, curves[:, 1].mean(0)
    )
    assert np.array_equal(test.band, [curves[:, 1].min(0), curves[:, 1].max(0)])


def test_orders_of_unequal_length_have_their_mean_where_all_are():
    test = LRRangeTest(
        np.geomspace(1, 1e3, 4), [np.array([[4.0, 2, 9], [4, 3, 5]]), np.array([[2.0, 4], [2, 3]])]
    )
    assert (test.lrs.tolist(), test.losses.tolist(), test.smoothed.tolist()) == (
        [1, 10],
        [3, 3],
        [3, 3],
    )


def picture(model: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable) -> dict:
    """All that the test has to put back, as plain values."""
    own, samplers = (
        list(model.parameters()),
        [getattr(batches, name, None) for name in ("sampler", "batch_sampler")],
    )
    drawn = [
        getattr(one, "generator", None)
        for one in (batches, samplers[0], getattr(samplers[1], "sampler", None))
    ]
    return {
        "weights": [(name, value.tolist()) for name, value in model.state_dict().items()],
        "optimizer": repr(optimizer.state_dict()),
        "modes": [module.training for module in model.modules()],
        "gradients": [
            None if one.grad is None else (id(one.grad), one.grad.tolist()) for one in own
        ],
        "objects": [*map(id, (*optimizer.state, *optimizer.param_groups, *own, *model.buffers()))],
        "random": (
            random.getstate(),
            str(np.random.get_state()),
            repr(torch.cuda.get_rng_state_all()),
        ),
        "generators": [
            one and one.get_state().tolist() for one in (torch.default_generator, *drawn)
        ],
    }


@pytest.mark.parametrize("problem", [None, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["Batches", "loader", "sampler", "batch sampler", "no generator"])
@pytest.mark.parametrize("trained", [False, True])
def test_everything_is_put_back_also_after_an_exception_and_an_interruption(problem, kind, trained):
    def loss_fn(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        random.random(), np.random.rand(), torch.rand(1)
        if next(calls) == (15 if trained else 5) and problem:  # in the second order, or the first
            raise problem
        return F.cross_entropy(logits, targets)

    model, batches, calls = small_net(), batches_of(kind), iter(range(1, 100))
    optimizer = adam(model.parameters())
    train(
        model, batches, optimizer, 2 * trained, StepLR(optimizer, 1, 0.5)
    )  # which also sets initial_lr
    model[4].bias.grad = None
    model[1].eval()  # frozen inside a model in training
    model[1].weight.requires_grad_(trained)
    before = picture(model, optimizer, batches)
    with pytest.raises(problem) if problem else nullcontext():
        sweep(model, optimizer, batches, loss_fn, orders=2)
    assert picture(model, optimizer, batches) == before


@pytest.mark.parametrize("kind", ["Batches", "loader", "no generator"])
@pytest.mark.parametrize(("make", "trained"), [(adam, 0), (adam, 3), (sgd, 3)])
def test_twenty_steps_after_a_range_test_equal_twenty_without_it(kind, make, trained):
    runs = []
    for tested in (False, True):
        model, batches = small_net(), batches_of(kind)
        optimizer = make(model.parameters())
        scheduler = StepLR(optimizer, 4, 0.5)  # goes on as if there had been no test
        losses = train(model, batches, optimizer, trained, scheduler)
        if tested:
            sweep(model, optimizer, batches, end_lr=10, steps=15, orders=2)
        runs.append(
            (
                losses + train(model, batches, optimizer, 20, scheduler),
                repr(scheduler.state_dict()),
                picture(model, optimizer, [])["weights"],
                repr(optimizer.state_dict()),
            )
        )
    assert runs[0] == runs[1] and len(set(runs[0][0])) == 20 + trained


def test_it_trains_in_training_mode_on_the_device_of_the_model_and_writes_no_file(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    model, modes, batches = (
        small_net().to(pick_device()).eval(),
        [],
        batches_of(note="practice data"),
    )
    model.register_forward_hook(
        lambda *_: modes.append({module.training for module in model.modules()})
    )
    assert sweep(model, None, batches).note == "practice data" and capsys.readouterr() == ("", "")
    assert modes == [{True}] * 10 and not model.training and not list(tmp_path.iterdir())
    sweep(model, show=True)
    assert "range test 1/1" in capsys.readouterr().out


def defined(rule: str, lrs: list[float], losses: list[float]) -> float:
    """What fastai defines, in plain Python."""
    if rule == "minimum":
        return lrs[losses.index(min(losses))] / 10
    if rule == "steep":
        steps = [
            (losses[at + 1] - losses[at]) / math.log(lrs[at + 1] / lrs[at])
            for at in range(len(lrs) - 1)
        ]
        return lrs[steps.index(min(steps))]
    if rule == "valley":
        lowest, lengths = [], []  # by patience sorting
        for loss in losses:
            lengths.append(bisect_left(lowest, -loss) + 1)
            lowest[lengths[-1] - 1 : lengths[-1]] = [-loss]
        third = max(lengths) / 3
        return lrs[lengths.index(max(lengths)) - max(lengths) + int(third) + int(third / 2)]
    slopes, left, found = np.gradient(losses), len(losses) - 16, len(losses) - 16
    while left >= 0 and abs(slopes[left + 15] - slopes[left]) > 0.005:
        found, left = left, left - 1
    return lrs[found]


def made(losses: np.ndarray, steps: int = 100) -> LRRangeTest:
    return LRRangeTest(np.geomspace(1e-6, 1, steps), [np.stack([losses + 1, losses])])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("steps", "count", "first", "last"), [(100, 60, 10, 55), (50, 26, 5, 21), (50, 25, 0, 25)]
)
def test_a_rule_equals_its_definition_on_the_part_that_is_kept(rule, steps, count, first, last):
    generator = np.random.default_rng(count)
    for wild in (0.003, 0.03, 0.3):
        losses = 2 + np.linspace(-1, 0.8, count) ** 2 + wild * generator.normal(size=count)
        found = defined(
            rule, np.geomspace(1e-6, 1, steps).tolist()[first:last], losses.tolist()[first:last]
        )
        assert made(losses, steps).suggest(rule) == pytest.approx(found, rel=1e-12)


def test_rules_find_what_a_curve_was_made_for_between_what_is_left_out():
    losses = np.interp(range(100), [0, 40, 70, 99], [2, 2, 1, 3])
    losses[60:] -= 0.5
    losses[3], losses[97] = -5, -9  # in the first tenth and the last five
    test = made(losses)
    assert (
        test.suggest() == test.suggest("valley") == test.lrs[39 + 10 + 5]
    )  # 31 points that fall, the last at 70
    assert (test.suggest("steep"), test.suggest("minimum")) == (test.lrs[59], test.lrs[70] / 10)
    bend = made(np.array([2.0] * 12 + [1] * 48 + [1 + 0.001 * step**2 for step in range(40)]))
    assert (
        bend.suggest("slide") == bend.lrs[63 - 15]
    )  # the slope, 0.002 a step, is above 0.005 from 63 on


def test_no_rate_is_suggested_where_the_loss_does_not_fall_nor_by_a_rule_that_cannot_be():
    for losses in (np.linspace(1, 2, 60), np.ones(60), np.array([1.0])):
        with pytest.raises(
            CourseError, match="no rate to suggest: from .* the loss never falls below the first, 1"
        ):
            made(losses).suggest()
    with pytest.raises(CourseError, match="'slide' needs 16 points of the curve, not 12"):
        made(np.linspace(2, 1, 12), 12).suggest("slide")
    with pytest.raises(CourseError, match="^unknown rule 'valey'; choose one of: valley$"):
        made(losses).suggest("valey")


RATES = np.geomspace(1e-4, 10, 101)  # 20 steps a decade


def curve_with(falls: float, edge: float, ends: float = 10, low: float = 0.3) -> np.ndarray:
    """A loss of 2.3 that falls from one rate on, is lowest at the edge, and rises behind it."""
    logs = np.log10(RATES[ends * 1.001 >= RATES])
    points = [-4, math.log10(falls), math.log10(edge), 1]
    smoothed = np.interp(logs, points, [2.3, 2.3, low, 2.3])
    return np.stack([smoothed + 0.1, smoothed])


def answers_of(*curves: np.ndarray) -> LRRangeTest:
    return LRRangeTest(RATES, curves)


def test_the_answer_of_a_curve_by_hand() -> None:
    """It falls from 0.01 to 1, in 40 steps: the valley's point lies 13 + 6 behind the first."""
    begins, edge, highest = answers_of(curve_with(0.01, 1)).answer()
    # 41 points that fall; the rule counts from the one before the first of them.
    assert begins == pytest.approx(RATES[39 + 41 // 3 + 41 // 6])
    assert edge == pytest.approx(1) and highest == EDGE_SHARE * edge == pytest.approx(0.25)


def test_where_learning_begins_is_the_valley_of_each_order() -> None:
    test = answers_of(curve_with(0.01, 1))
    assert test.answers[0].begins == test.suggest("valley")


def test_the_answer_is_the_median_of_the_orders_and_not_read_off_their_mean() -> None:
    edges = (0.1, 1, 3.1622776601683795)
    curves = [curve_with(0.01, edge) for edge in edges]
    test = answers_of(*curves)
    assert [answer.edge for answer in test.answers] == pytest.approx(edges)
    assert test.answer().edge == pytest.approx(1)
    assert test.answer().highest == pytest.approx(EDGE_SHARE)

    # One order that diverges early cuts the mean, and hardly moves the median.
    early = curve_with(0.003, 0.03, ends=0.1)
    test = answers_of(*curves[1:], early)
    assert test.lrs[-1] == pytest.approx(0.1) and test.answer().edge == pytest.approx(1)


def test_between_two_orders_lies_the_geometric_mean() -> None:
    assert median_rate([0.01, 1]) == pytest.approx(0.1)
    assert median_rate([0.01, 5, 1]) == pytest.approx(1)
    test = answers_of(curve_with(0.003, 0.1), curve_with(0.003, 10**0.5))
    assert test.answer().edge == pytest.approx(10**-0.25)


def test_a_curve_that_ends_in_divergence_has_its_edge_where_it_was_lowest() -> None:
    assert answers_of(curve_with(0.01, 1, ends=1)).answer().edge == pytest.approx(1)
    assert answers_of(curve_with(0.01, 1, ends=2)).answer().edge == pytest.approx(1)


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        # It falls to the end, and so does one that rises by less than a tenth of its fall there.
        (np.stack([np.linspace(2, 1, 101)] * 2), "no edge: up to a rate of 10 .* higher end_lr"),
        (np.stack([np.r_[np.linspace(2, 1, 100), 1.099]] * 2), "no edge: .* higher end_lr"),
        # It falls from the first rate on, and was lowest before what is looked at begins.
        (curve_with(1e-4, 2e-4), "where learning begins: from a rate of 0.0001 on .* start_lr"),
        (np.stack([np.linspace(1, 2, 101)] * 2), "where learning begins: .* lower start_lr"),
        (np.ones((2, 101)), "where learning begins: .* see that the net learns"),
    ],
)
def test_without_an_answer_the_way_out_is_one_line(curve: np.ndarray, words: str) -> None:
    test = answers_of(curve)
    assert test.answers == ()
    with pytest.raises(CourseError, match=words) as problem:
        test.answer()
    assert "\n" not in str(problem.value)


def test_a_rise_by_more_than_a_tenth_of_the_fall_is_an_edge() -> None:
    curve = np.stack([np.r_[np.linspace(2, 1, 100), 1.101]] * 2)
    assert answers_of(curve).answer().edge == pytest.approx(RATES[-2])


def test_more_than_half_of_the_orders_have_to_have_an_answer() -> None:
    good, bad = curve_with(0.01, 1), np.ones((2, 101))
    assert answers_of(good, bad, good).answer() == answers_of(good).answer()
    assert len(answers_of(good, bad, good).answers) == 2
    with pytest.raises(CourseError, match="where learning begins"):
        answers_of(good, bad).answer()


def test_an_answer_is_two_lines_for_a_class() -> None:
    answer = RangeAnswer(0.0421, 0.5432, 0.1358)
    assert repr(answer) == str(answer) and str(answer).splitlines() == [
        "Learning is under way at a rate of 0.042, and beyond the edge, 0.54, the loss rises.",
        "Recommended as the highest rate of one-cycle: 0.14, which is 0.25 times the edge.",
    ]
    assert answer._asdict() == {"begins": 0.0421, "edge": 0.5432, "highest": 0.1358}


def test_the_settings_are_five_decades_of_sixty_steps_each() -> None:
    model = small_net()
    test = lr_range_test(model, batches_of(), F.cross_entropy, sgd(model.parameters()))
    assert test.rates == pytest.approx(np.geomspace(1e-4, 10, 300), rel=1e-12)
    (losses, smoothed), weights = test.curves[0][:, :3], np.array([0.64, 0.8, 1])
    assert smoothed[2] == pytest.approx(np.average(losses, weights=weights), rel=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 9}, "steps is .* at least 10, not 9"),
        ({"steps": 20.0}, "not 20"),
        ({"orders": 0}, "least 1, not 0"),
        ({"start_lr": 0.1}, "end_lr = 0.1, not 0.1"),
        ({"start_lr": 0}, "not 0$"),
        ({"start_lr": math.nan}, "not nan"),
        (
            {"loss_fn": lambda *given: F.cross_entropy(*given) * math.nan},
            "the loss is nan at the first step",
        ),
        (
            {"loss_fn": lambda *given: F.cross_entropy(*given) + math.inf},
            "the loss is inf at the first step",
        ),
        ({"batches": []}, "empty after 0 of 10"),
        ({"batches": iter(batches_of())}, "empty after 5 of 10"),
        (
            {"model": nn.Sequential(nn.Conv2d(1, 4, 1), nn.MaxPool2d(2, return_indices=True))},
            "returns a tuple: .* logits",
        ),
        (
            {"optimizer": sgd(small_net().parameters())},
            "6 of them not the model's, and lacks 6 of 6",
        ),
        ({"optimizer": sgd([nn.Parameter(torch.zeros(1))])}, "1 of them not"),
        ({"lacking": True}, "0 of .* lacks 4 of 6"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(options, words):
    model = options.get("model", small_net())
    optimizer = sgd(model[4].parameters() if options.pop("lacking", False) else model.parameters())
    before = picture(model, optimizer, [])
    with pytest.raises(CourseError, match=words) as problem:
        sweep(**({"model": model, "optimizer": optimizer} | options))
    assert "\n" not in str(problem.value) and picture(model, optimizer, []) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"smoothing": 1.0}, "smoothing is at least 0 and below 1, not 1.0"),
        ({"smoothing": 2}, "not 2$"),
        ({"smoothing": -0.1}, "not -0.1"),
        ({"smoothing": math.nan}, "not nan"),
        ({"divergence": 0}, "divergence is a finite number of at least 1, not 0"),
        ({"divergence": -4}, "not -4"),
        ({"divergence": math.nan}, "not nan"),
        ({"divergence": math.inf}, "not inf"),
        ({"steps": True}, "steps is a whole number of at least 10, not True"),
        ({"orders": 1.0}, "orders is a whole number of at least 1, not 1.0"),
        ({"end_lr": math.inf}, "between 0 and end_lr = inf"),
        ({"end_lr": "10"}, "between 0 and end_lr = '10', not"),
        ({"start_lr": "low"}, "between 0 and end_lr = .*, not 'low'"),
        ({"start_lr": None}, "not None"),
        ({"smoothing": "much"}, "smoothing is at least 0 and below 1, not 'much'"),
        ({"smoothing": None}, "not None"),
        ({"divergence": "4"}, "divergence is a finite number of at least 1, not '4'"),
        ({"divergence": None}, "not None"),
    ],
)
def test_settings_that_no_test_can_be_made_with_are_one_line(options, words):
    model = small_net()
    with pytest.raises(CourseError, match=words) as problem:
        sweep(model, **options)
    assert "\n" not in str(problem.value)
    assert (
        picture(model, sgd(model.parameters()), [])["weights"]
        == picture(small_net(), sgd(model.parameters()), [])["weights"]
    )


def test_the_gentlest_settings_are_taken():
    assert (
        len(sweep(small_net(), smoothing=0, divergence=1e9, start_lr=1e-9, end_lr=1e-8).lrs) == 10
    )
    assert len(sweep(small_net(), steps=np.int64(10), orders=np.uint8(2)).curves) == 2


@pytest.mark.parametrize("orders", [1, 2])
def test_a_whitened_net_makes_its_filters_anew_after_the_test(orders: int) -> None:
    def net_with_batches() -> tuple[nn.Module, list, torch.optim.Optimizer]:
        torch.manual_seed(0)
        net = SpeedNet(widths=(8, 8, 8))
        generator = torch.Generator().manual_seed(1)
        images = torch.randn(2, 6, 3, 12, 12, generator=generator)
        return net, [(each, torch.arange(6)) for each in images], sgd(net.parameters())

    tested, batches, optimizer = net_with_batches()
    found = lr_range_test(
        tested, batches, F.cross_entropy, optimizer, 1e-4, 1e-3, 10, orders=orders
    )
    assert not tested.first[0].made

    # A training that follows is that of a net which was never tested, from another first batch.
    fresh, _, own_optimizer = net_with_batches()
    for net, its_optimizer in ((tested, optimizer), (fresh, own_optimizer)):
        train(net, batches[::-1], its_optimizer, 2)
    for name, value in fresh.state_dict().items():
        assert torch.equal(tested.state_dict()[name], value), name
    # A list has one order: each of them makes the filters, and sees the same.
    for curve in found.curves:
        assert np.array_equal(curve, found.curves[0])


def test_numbers_that_a_module_keeps_are_put_back() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen, self.share, self.begun = 0, 0.5, False
            self.linear = nn.Linear(36, 4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.seen, self.share, self.begun = self.seen + 1, self.share / 2, True
            return self.linear(images.flatten(1))

    net = Counting()
    lr_range_test(net, batches_of(), F.cross_entropy, sgd(net.parameters()), steps=10)
    assert (net.seen, net.share, net.begun) == (0, 0.5, False)


def test_a_negative_loss_is_told_with_the_loss_to_take() -> None:
    net = small_net()
    with torch.no_grad():
        net[-1].bias += 10  # the likelihood of a logit is none
    with pytest.raises(CourseError, match="the loss is -.* at step 1, .*take cross_entropy"):
        lr_range_test(net, batches_of(), F.nll_loss, sgd(net.parameters()), steps=10)

    # Of log-probabilities it is the cross-entropy.
    def right(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.nll_loss(logits.log_softmax(1), targets)

    curves = []
    for loss_fn in (right, F.cross_entropy):
        net = small_net()
        found = lr_range_test(net, batches_of(), loss_fn, sgd(net.parameters()), steps=10)
        curves.append(found.losses)
    np.testing.assert_allclose(*curves, rtol=1e-5)
