"""Session 04's exercises: plausible wrong answers are refused, right ones accepted in any form."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from statistics import fmean, pstdev, stdev, variance

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.optim.swa_utils import AveragedModel

from helpers import data
from helpers.exercises import OPEN, small_net, under_8000
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.models import count_parameters
from helpers.models.separable import separable_net
from helpers.models.small import budget_net, compact_net, early_pool_net
from helpers.training import History
from helpers.training.averages import moving_average

# Exercise 1: what a squeeze saves.


def by_layers(c_in, squeezed, c_out):
    direct = nn.Conv2d(c_in, c_out, 3, bias=False)
    both = nn.Conv2d(c_in, squeezed, 1, bias=False), nn.Conv2d(squeezed, c_out, 3, bias=False)
    return count_parameters(direct) - sum(map(count_parameters, both))


@pytest.mark.parametrize(
    "answer",
    [
        lambda c, s, o: 9 * c * o - c * s - 9 * s * o,
        lambda c, s, o: float(9 * o * (c - s) - c * s),
        lambda c, s, o: torch.tensor(9 * c * o - s * (c + 9 * o)),
        by_layers,
    ],
)
def test_right_savings_are_accepted(answer):
    assert under_8000.weights_saved(answer).expect_right()


@pytest.mark.parametrize(
    "answer",
    [
        lambda c, s, o: c * s + 9 * s * o - 9 * c * o,  # the sign
        lambda c, s, o: max(0, 9 * c * o - c * s - 9 * s * o),  # never a loss
        lambda c, s, o: 9 * c * o - 9 * s * o,  # the 1×1 forgotten
        lambda c, s, o: 9 * c * o - 9 * c * s - 9 * s * o,  # a 1×1 of nine pixels
        lambda c, s, o: (9 * c + 1) * o - (c + 1) * s - (9 * s + 1) * o,  # biases
        lambda c, s, o: 9 * c * o - c * s - 9 * c * o,  # the squeeze has no effect
        lambda c, s, o: 472,
        lambda c, s: 9 * c * s,
        lambda c, s, o: "a lot",
        lambda c, s, o: None,
        lambda c, s, o: [c, s, o],
    ],
)
def test_wrong_savings_are_refused_without_the_answer(answer):
    verdict = under_8000.weights_saved(answer)
    assert not verdict and verdict.problem not in (OPEN, "")
    assert "raised" not in verdict.problem or answer.__code__.co_argcount == 2
    # 428 is the right number of the first case.
    assert "428" not in verdict.problem


def test_what_is_wrong_with_a_saving_is_said():
    sign = under_8000.weights_saved(lambda c, s, o: c * s + 9 * s * o - 9 * c * o)
    assert "a saving is positive" in sign.problem
    assert "a str came back" in under_8000.weights_saved(lambda c, s, o: "a lot").problem
    assert "gave back nothing" in under_8000.weights_saved(lambda c, s, o: None).problem
    assert under_8000.weights_saved(lambda c, s, o: ...).problem == OPEN


# Exercise 2: an average that forgets something.


class Forgetful:
    def __init__(self, model, decay):
        self.module = copy.deepcopy(model)
        self.decay, self.step = decay, 0

    def share(self):
        if self.step == 0:
            return 0.0
        return min(self.decay, (1 + self.step) / (10 + self.step))

    def pairs(self, model):
        return zip(self.module.parameters(), model.parameters())

    @torch.no_grad()
    def update(self, model):
        d = self.share()
        for mean, new in self.pairs(model):
            mean.copy_(d * mean + (1 - d) * new)
        self.step += 1


class WithBuffers(Forgetful):
    def pairs(self, model):
        yield from super().pairs(model)
        for mean, new in zip(self.module.buffers(), model.buffers()):
            if mean.is_floating_point():
                yield mean, new


class ByState(Forgetful):
    @torch.no_grad()
    def update(self, model):
        d, new = self.share(), model.state_dict()
        state = {}
        for name, mean in self.module.state_dict().items():
            state[name] = d * mean + (1 - d) * new[name]  # counts too, as torch rounds them
        self.module.load_state_dict(state)
        self.step += 1


class ByTorch:
    def __init__(self, model, decay):
        self.average = moving_average(model, decay)
        self.module = self.average.module

    def update(self, model):
        self.average.update_parameters(model)


class ByLayer(Forgetful):
    """Right on every net of the session: statistics are looked for where they are kept."""

    def pairs(self, model):
        yield from super().pairs(model)
        for mean, new in zip(self.module.modules(), model.modules()):
            if isinstance(mean, nn.BatchNorm2d):
                yield mean.running_mean, new.running_mean
                yield mean.running_var, new.running_var


class WithDotsLeft(WithBuffers):
    def update(self, model):
        super().update(model)
        return ...


class OnlyMeans(Forgetful):
    def pairs(self, model):
        yield from super().pairs(model)
        yield self.module[1].running_mean, model[1].running_mean


class ConstantForTheRest(Forgetful):
    @torch.no_grad()
    def update(self, model):
        super().update(model)
        for mean, new in zip(self.module.buffers(), model.buffers()):
            if mean.is_floating_point():
                mean.copy_(self.decay * mean + (1 - self.decay) * new)


class CopiedBuffers(Forgetful):
    def update(self, model):
        super().update(model)
        for mean, new in zip(self.module.buffers(), model.buffers()):
            mean.copy_(new)


class Constant(WithBuffers):
    def share(self):
        return self.decay if self.step else 0.0


class NoFirstCopy(WithBuffers):
    def share(self):
        return min(self.decay, (1 + self.step) / (10 + self.step))


class Swapped(WithBuffers):
    def share(self):
        return 1 - super().share() if self.step else 0.0


class NeverCounts(WithBuffers):
    def update(self, model):
        super().update(model)
        self.step = 0


class Alias(WithBuffers):
    def update(self, model):
        self.module = model


class Backwards(WithBuffers):
    def pairs(self, model):
        for mean, new in super().pairs(model):
            yield new, mean


class Uniform:
    def __init__(self, model, decay):
        self.average = AveragedModel(model, use_buffers=True)
        self.module = self.average.module

    def update(self, model):
        self.average.update_parameters(model)


@pytest.mark.parametrize("answer", [WithBuffers, ByState, ByTorch, ByLayer, WithDotsLeft])
def test_right_averages_are_accepted(answer):
    assert under_8000.mended_average(answer).expect_right()


@pytest.mark.parametrize(
    "answer",
    [
        Forgetful,
        CopiedBuffers,
        OnlyMeans,
        ConstantForTheRest,
        Constant,
        NoFirstCopy,
        Swapped,
        NeverCounts,
        Alias,
        Backwards,
        Uniform,
    ],
)
def test_wrong_averages_are_refused_without_the_answer(answer):
    verdict = under_8000.mended_average(answer)
    assert not verdict and verdict.problem != OPEN
    assert "running" not in verdict.problem and "buffer" not in verdict.problem


@pytest.mark.parametrize(
    "answer, words",
    [
        (Forgetful, "something else of the net is still as it was at the beginning"),
        (CopiedBuffers, "something else of the net is that of the newest net, and no average"),
        (OnlyMeans, "a part of the rest as well, and another part is still as it was"),
        (ConstantForTheRest, "something else of the net is another average"),
    ],
)
def test_an_average_is_told_what_is_wrong_beside_its_parameters(answer, words):
    problem = under_8000.mended_average(answer).problem
    assert "the parameters are right" in problem and words in problem


def test_a_copied_parameter_is_told_from_another_average():
    class Copied(WithBuffers):
        def share(self):
            return 0.0

    assert "is that of the newest net" in under_8000.mended_average(Copied).problem
    assert "is another average" in under_8000.mended_average(Uniform).problem


def test_an_average_that_is_left_open_is_not_judged():
    class Unfilled(Forgetful):
        def update(self, model):
            return ...

    class Replaced(Forgetful):
        def update(self, model):
            self.module = ...

    for answer in (Unfilled, Replaced):
        assert under_8000.mended_average(answer).problem == OPEN
    assert under_8000.mended_average(None).problem == OPEN


# Exercise 3: the test that decides.


def words(change, half):
    if abs(change) <= half:
        return "undecided"
    return "better" if change > 0 else "worse"


def pooled(new, old, quantile=None, weights=(1, 1)):
    """The right formula, unless told otherwise."""
    n, m = len(new), len(old)
    squares = (n - weights[0]) * variance(new) + (m - weights[1]) * variance(old)
    deviation = math.sqrt(squares / (n + m - sum(weights)))
    quantile = quantile or stats.t.ppf(0.975, n + m - 2)
    half = quantile * deviation * math.sqrt(1 / n + 1 / m)
    return words(fmean(new) - fmean(old), half)


def by_p_value(new, old):
    test = stats.ttest_ind(new, old)
    if test.pvalue > 0.05:
        return " Undecided\n"
    return "BETTER" if test.statistic > 0 else "Worse"


def by_interval(new, old):
    low, high = stats.ttest_ind(torch.tensor(new), torch.tensor(old)).confidence_interval()
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


@pytest.mark.parametrize("answer", [pooled, by_p_value, by_interval])
def test_right_decisions_are_accepted(answer):
    assert under_8000.decision(answer).expect_right()


def by_one_sided_test(new, old):
    for side, word in (("greater", "better"), ("less", "worse")):
        if stats.ttest_ind(new, old, alternative=side).pvalue < 0.05:
            return word
    return "undecided"


def by_welch(new, old):
    if stats.ttest_ind(new, old, equal_var=False).pvalue > 0.05:
        return "undecided"
    return words(fmean(new) - fmean(old), 0)


def by_pairs(new, old):
    count = min(len(new), len(old))
    if stats.ttest_rel(new[:count], old[:count]).pvalue > 0.05:
        return "undecided"
    return words(fmean(new) - fmean(old), 0)


def overlapping(new, old):
    halves = [stats.t.ppf(0.975, len(row) - 1) * stats.sem(row) for row in (new, old)]
    return words(fmean(new) - fmean(old), sum(halves))


@pytest.mark.parametrize(
    "answer",
    [
        lambda new, old: pooled(new, old, quantile=1.96),
        lambda new, old: pooled(new, old, quantile=stats.t.ppf(0.95, len(new) + len(old) - 2)),
        lambda new, old: pooled(new, old, weights=(0, 0)),
        lambda new, old: words(fmean(new) - fmean(old), pstdev(new) + pstdev(old)),
        lambda new, old: words(fmean(new) - fmean(old), stdev([*new, *old])),
        lambda new, old: words(fmean(new) - fmean(old), 0),
        lambda new, old: "better" if max(new) > max(old) else "worse",
        lambda new, old: "undecided",
        lambda new, old: pooled(old, new),
        lambda new, old: pooled(new, old) == "better",
        by_one_sided_test,
        by_welch,
        by_pairs,
        overlapping,
    ],
)
def test_wrong_decisions_are_refused(answer):
    verdict = under_8000.decision(answer)
    assert not verdict and verdict.problem != OPEN


def test_a_decision_that_is_left_open_is_not_judged():
    assert under_8000.decision(lambda new, old: ...).problem == OPEN


def test_a_decision_without_its_last_branch_is_told_so():
    def without_else(new, old):
        word = pooled(new, old)
        if word != "undecided":
            return word
        return None

    assert "gave back nothing" in under_8000.decision(without_else).problem


def test_what_the_learner_is_told_of_a_case_is_all_there_is():
    for new, old in under_8000.accuracy_pairs():
        for row in (new, old):
            assert [float(word) for word in under_8000.written(row).split()] == row


def test_the_cases_lie_on_both_sides_of_the_border():
    outcomes = [under_8000.outcome(*pair) for pair in under_8000.accuracy_pairs()]
    assert min(outcomes.count(word) for word in under_8000.OUTCOMES) >= 10


# Exercise 4: a net of the learner's own.


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


class Frozen(nn.Module):
    """A layer whose weights are not trained, and so not counted."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(784, 1, bias=False).requires_grad_(False)

    def forward(self, x):
        return x + self.layer(x)


class Blurred(nn.Module):
    """A fixed matrix in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kernel", torch.ones(9))

    def forward(self, x):
        return x * self.kernel.sum()


class Hidden(nn.Module):
    """A fixed matrix in a plain attribute."""

    def __init__(self):
        super().__init__()
        self.shift = torch.ones(9)

    def forward(self, x):
        return x * self.shift.sum()


class Listed(nn.Module):
    """Fixed matrices in a list of dictionaries, and whole numbers, which only count."""

    def __init__(self):
        super().__init__()
        self.sizes = [torch.ones(5, dtype=torch.int64), 3, "four"]
        self.kernels = [{"a": torch.ones(4)}, (torch.ones(5),)]

    def forward(self, x):
        return x * self.kernels[0]["a"].sum()


class Written(nn.Module):
    """A kernel of plain numbers, and settings that are none."""

    def __init__(self):
        super().__init__()
        self.scale = (2.0, 2.0)
        self.kernel = [[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 0.0]]

    def forward(self, x):
        return x * self.kernel[1][1]


class Computed(Written):
    def __init__(self):
        super().__init__()
        self.kernel = np.ones((3, 3))

    def forward(self, x):
        return x * float(self.kernel.sum())


def linear_on(layer):
    return nn.Sequential(nn.Flatten(), layer, nn.Linear(784, 10))


KEPT = linear()  # outside of any function


@pytest.fixture
def digits():
    """Practice digits that pass for real ones, so that a net is judged on them."""
    return replace(data.load("mnist", validation=200), source="folder")


def small():
    return compact_net(widths=[4, 10, 8, 4, 10, 16, 12, 14])


@pytest.mark.parametrize("build", [linear, small, lambda: linear()])
def test_small_nets_are_trained_and_judged(build, digits, capsys):
    verdict = under_8000.own_under_8000(build, digits, least=20.0, epochs=1)
    assert verdict.expect_right() and "parameters: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: budget_net(), "9,274 parameters"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 11)), "11"),
        (lambda: [nn.Linear(784, 10)], "list"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(100, 10)), "raised"),
        (lambda: nn.Flatten(), "784"),
        (lambda: nn.Linear(3), "raised"),
        (lambda: None, "gave back nothing"),
        (lambda: linear_on(Frozen()), "1.layer.weight holds 784 numbers that are not learned"),
        (lambda: linear_on(Blurred()), "1.kernel holds 9 fixed numbers"),
        (lambda: linear_on(Hidden()), "1.shift holds 9 fixed numbers"),
        (lambda: linear_on(Listed()), "1.kernels holds 9 fixed numbers"),
        (lambda: linear_on(Written()), "1.kernel holds 9 fixed numbers"),
        (lambda: linear_on(Computed()), "1.kernel holds 9 fixed numbers"),
        (lambda: KEPT, "the same net each time: build a new one inside the function"),
        (lambda: copy.deepcopy(KEPT), "its weights are the same each time"),
        (KEPT, "its weights are the same each time"),
        (compact_net, "this is the net of rung 10"),
        (lambda: early_pool_net(dropout=0.2), "this is the net of rung 9"),
        (lambda: separable_net([12, 12, 16, 16, 16, 18, 18, 18], [2, 5, 8]), "the separable net"),
    ],
)
def test_nets_that_break_the_rules_are_refused(build, words, digits):
    verdict = under_8000.own_under_8000(build, digits)
    assert not verdict and words in verdict.problem


def test_a_net_that_reads_too_little_is_refused(digits):
    verdict = under_8000.own_under_8000(linear, digits, least=100.1, epochs=1)
    assert "at least 100.1 %" in verdict.problem


def test_each_seed_trains_another_net(digits, capsys):
    printed = set()
    for seed in (0, 1):
        under_8000.own_under_8000(linear, digits, least=20.0, epochs=1, seed=seed)
        printed.add(capsys.readouterr().out.splitlines()[-2])
    assert len(printed) == 2


def test_a_net_is_judged_by_the_claim_of_the_session(digits, capsys, monkeypatch):
    """All fifteen epochs, all training digits, the last five on the test digits."""
    asked = []

    def trained(build, recipe, data, seed):
        asked.append((recipe.epochs, len(data.train), len(data.test), seed))
        rows = [{"test_accuracy": accuracy} for accuracy in accuracies]
        return History(rows)

    monkeypatch.setattr(small_net, "own_history", trained)
    accuracies = [90.0] * 10 + [99.4] * 5
    assert under_8000.own_claim(small, digits, seed=3).expect_right()
    assert "99.40 99.40 99.40 99.40 99.40 %" in capsys.readouterr().out
    assert asked == [(15, len(digits.train), len(digits.test), 3)]
    accuracies = [99.5] * 10 + [99.39] + [99.6] * 4
    assert "the lowest is 99.39 %" in under_8000.own_claim(small, digits).problem
    assert "rung 10" in under_8000.own_claim(compact_net, digits).problem
    practice = replace(digits, source="practice")
    assert "not judged on practice data" in under_8000.own_claim(small, practice).problem
    assert asked[-1][0] == 1
    assert under_8000.own_claim(lambda: ..., digits).problem == OPEN


def test_a_net_is_trained_for_the_claim(digits, capsys):
    recipe = EXPERIMENTS["ladder-average"].shortened(1)
    history = small_net.own_history(small, recipe, digits, seed=0)
    assert len(history.epochs) == 1 and 0 <= history.last["test_accuracy"] <= 100


def test_a_net_is_not_judged_on_test_digits(digits):
    split = replace(digits.validation, labels=(digits.validation.labels + 1) % 10)
    wrong = replace(digits, validation=split)
    assert not under_8000.own_under_8000(linear, wrong, least=20.0, epochs=1)
    without = replace(digits, validation=digits.test.subset(slice(0, 0)))
    assert "no validation digits" in under_8000.own_under_8000(linear, without).problem


def test_nothing_is_judged_on_practice_data(digits):
    practice = replace(digits, source="practice")
    assert "not judged on practice data" in under_8000.own_under_8000(linear, practice).problem


def test_a_net_that_is_left_open_is_not_judged(digits):
    assert under_8000.own_under_8000(lambda: ..., digits).problem == OPEN
    assert under_8000.own_under_8000(nn.Sequential, digits).problem == OPEN
