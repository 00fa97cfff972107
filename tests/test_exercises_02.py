"""The checks of session 02: wrong answers are refused and told why, right ones of any form pass."""

import copy

import pytest
import torch
from torch import nn

from helpers import interpret, training
from helpers.data import Batches, ImageData, ImageSplit
from helpers.exercises import OPEN, parameter_budget
from helpers.exercises.learners_net import net_problem
from helpers.experiments import load_result
from helpers.models import evaluating
from helpers.models.small import budget_net, conv_relu_norm, starter_net, wide_net

# Exercise 1: batch norm's evaluation.


class RightNorm:
    """Running statistics as torch keeps them, written out."""

    def __init__(self, channels, momentum=0.1, eps=1e-5):
        self.mean, self.var = torch.zeros(channels), torch.ones(channels)
        self.momentum, self.eps = momentum, eps

    def watch(self, x):
        self.mean = (1 - self.momentum) * self.mean + self.momentum * x.mean(dim=(0, 2, 3))
        self.var = (1 - self.momentum) * self.var + self.momentum * self.batch_var(x)

    def batch_var(self, x):
        return x.var(dim=(0, 2, 3))

    def evaluate(self, x):
        return (x - self.mean.view(-1, 1, 1)) / (self.var.view(-1, 1, 1) + self.eps).sqrt()


class FlatNorm(RightNorm):
    """The same, with the channels in front and every axis in one; in place."""

    def watch(self, x):
        flat = x.transpose(0, 1).flatten(1)
        n = flat.shape[1]
        var = ((flat - flat.mean(1, keepdim=True)) ** 2).sum(1) / (n - 1)
        self.mean += self.momentum * (flat.mean(1) - self.mean)
        self.var += self.momentum * (var - self.var)

    def evaluate(self, x):
        mean, var = self.mean[None, :, None, None], self.var[None, :, None, None]
        return (x - mean) * (var + self.eps).rsqrt()


class LerpNorm(RightNorm):
    """The same, through torch's own functions."""

    def watch(self, x):
        self.mean = torch.lerp(self.mean, x.mean((0, 2, 3)), self.momentum)
        self.var = torch.lerp(self.var, x.var((0, 2, 3), unbiased=True), self.momentum)

    def evaluate(self, x):
        return nn.functional.batch_norm(x, self.mean, self.var, training=False, eps=self.eps)


class BiasedVar(RightNorm):
    def batch_var(self, x):
        return x.var(dim=(0, 2, 3), correction=0)


class SwappedMomentum(RightNorm):
    def watch(self, x):
        self.mean = self.momentum * self.mean + (1 - self.momentum) * x.mean(dim=(0, 2, 3))
        self.var = self.momentum * self.var + (1 - self.momentum) * x.var(dim=(0, 2, 3))


class LastBatch(RightNorm):
    def watch(self, x):
        self.mean, self.var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3))


class FixedMomentum(RightNorm):
    def watch(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(dim=(0, 2, 3))
        self.var = 0.9 * self.var + 0.1 * x.var(dim=(0, 2, 3))


class BatchEvaluation(RightNorm):
    def evaluate(self, x):
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        return (x - mean) / (x.var(dim=(0, 2, 3), correction=0, keepdim=True) + self.eps).sqrt()


class WatchingEvaluation(RightNorm):
    def evaluate(self, x):
        result = super().evaluate(x)
        self.watch(x)
        return result


class NoRoot(RightNorm):
    def evaluate(self, x):
        return (x - self.mean.view(-1, 1, 1)) / (self.var.view(-1, 1, 1) + self.eps)


class NoEps(RightNorm):
    def evaluate(self, x):
        return (x - self.mean.view(-1, 1, 1)) / self.var.view(-1, 1, 1).sqrt()


class EpsOutside(RightNorm):
    def evaluate(self, x):
        return (x - self.mean.view(-1, 1, 1)) / (self.var.view(-1, 1, 1).sqrt() + self.eps)


class LastAxis(RightNorm):
    def evaluate(self, x):
        return (x - self.mean) / (self.var + self.eps).sqrt()


class OneMean(RightNorm):
    def watch(self, x):
        self.mean = (1 - self.momentum) * self.mean + self.momentum * x.mean()
        self.var = (1 - self.momentum) * self.var + self.momentum * x.var()


@pytest.mark.parametrize("answer", [RightNorm, FlatNorm, LerpNorm])
def test_right_running_statistics_are_accepted(answer):
    assert parameter_budget.running_norm(answer).expect_right()


@pytest.mark.parametrize(
    "answer",
    [
        BiasedVar,
        SwappedMomentum,
        LastBatch,
        FixedMomentum,
        BatchEvaluation,
        WatchingEvaluation,
        NoRoot,
        NoEps,
        EpsOutside,
        LastAxis,
        OneMean,
    ],
)
def test_wrong_running_statistics_are_refused(answer):
    verdict = parameter_budget.running_norm(answer)
    assert not verdict and verdict.problem != OPEN
    # What is to be found out is not told.
    assert "correction" not in repr(verdict) and "- 1" not in repr(verdict)


class OpenWatch(RightNorm):
    def watch(self, x):
        self.mean = ...
        self.var = ...


class OpenEvaluate(RightNorm):
    def evaluate(self, x):
        return ...


@pytest.mark.parametrize("answer", [None, ..., OpenWatch])
def test_open_running_statistics_are_told_so(answer):
    assert parameter_budget.running_norm(answer).problem == OPEN


def test_an_open_evaluation_behind_right_statistics_is_told_so():
    verdict = parameter_budget.running_norm(OpenEvaluate)
    assert not verdict and "evaluate is still open" in verdict.problem


def test_statistics_of_another_shape_are_told_by_their_shape():
    class KeepsAxes(RightNorm):
        def watch(self, x):
            super().watch(x)
            self.mean = self.mean.view(1, -1, 1, 1)

    verdict = parameter_budget.running_norm(KeepsAxes)
    assert not verdict and "the mean has shape [1, 3, 1, 1]" in verdict.problem


# Exercise 2: an evaluation that does not depend on the size of its batches.


def right_by_hand(model, split, batch_size):
    was_training = model.training
    model.eval()
    right = 0
    with torch.no_grad():
        for batch, labels in Batches(split, batch_size):
            right += (model(batch).argmax(1) == labels).sum().item()
    model.train(was_training)
    return 100 * right / len(split)


def right_by_helpers(model, split, batch_size):
    return training.evaluate(model, Batches(split, batch_size))[1]


def right_by_predictions(model, split, batch_size):
    return interpret.predict(model, split, batch_size).accuracy


def right_by_copy(model, split, batch_size):
    other = copy.deepcopy(model).eval()
    shares = [
        (other(batch).argmax(1) == labels).float().mean() * len(labels)
        for batch, labels in Batches(split, batch_size)
    ]
    return 100 * sum(shares) / len(split)


def careless(model, split, batch_size):
    right = 0
    for batch, labels in Batches(split, batch_size):
        right += (model(batch).argmax(1) == labels).sum().item()
    return 100 * right / len(split)


def left_in_evaluation(model, split, batch_size):
    model.eval()
    return careless(model, split, batch_size)


def left_in_training(model, split, batch_size):
    model.eval()
    accuracy = careless(model, split, batch_size)
    model.train()
    return accuracy


def only_no_grad(model, split, batch_size):
    with torch.no_grad():
        return careless(model, split, batch_size)


def a_share(model, split, batch_size):
    return right_by_hand(model, split, batch_size) / 100


def mean_of_batches(model, split, batch_size):
    with evaluating(model):
        shares = []
        for batch, labels in Batches(split, batch_size):
            shares.append((model(batch).argmax(1) == labels).float().mean().item())
    return 100 * sum(shares) / len(shares)


def first_batch(model, split, batch_size):
    return right_by_hand(model, split.subset(slice(0, batch_size)), batch_size)


def evaluation_too_late(model, split, batch_size):
    accuracy = careless(model, split, batch_size)
    model.eval()
    return accuracy


@pytest.mark.parametrize(
    "answer", [right_by_hand, right_by_helpers, right_by_predictions, right_by_copy]
)
def test_steady_accuracies_are_accepted(answer):
    assert parameter_budget.steady_accuracy(answer).expect_right()


@pytest.mark.parametrize(
    "answer",
    [
        careless,
        left_in_evaluation,
        left_in_training,
        only_no_grad,
        a_share,
        mean_of_batches,
        first_batch,
        evaluation_too_late,
    ],
)
def test_unsteady_accuracies_are_refused(answer):
    verdict = parameter_budget.steady_accuracy(answer)
    assert not verdict and verdict.problem != OPEN
    assert "eval()" not in repr(verdict)


def test_a_share_is_told_from_percent():
    verdict = parameter_budget.steady_accuracy(a_share)
    assert not verdict and "that is a share" in verdict.problem


@pytest.mark.parametrize("answer", [None, ..., lambda model, split, batch_size: ...])
def test_an_open_accuracy_is_told_so(answer):
    assert parameter_budget.steady_accuracy(answer).problem == OPEN


# Exercise 3: the widest convolution that a number of parameters pays for.


def by_search(left):
    return max(c for c in range(200) if 9 * c * c + 3 * c <= left)


def by_formula(left):
    return int((-3 + (9 + 36 * left) ** 0.5) / 18)


def by_counting(left):
    channels = 0
    while True:
        layers = nn.Sequential(
            nn.Conv2d(channels + 1, channels + 1, 3), nn.BatchNorm2d(channels + 1)
        )
        if sum(p.numel() for p in layers.parameters()) > left:
            return torch.tensor(channels)
        channels += 1


@pytest.mark.parametrize("answer", [by_search, by_formula, by_counting])
def test_right_widths_are_accepted(answer):
    assert parameter_budget.widest_convolution(answer).expect_right()


@pytest.mark.parametrize(
    "answer",
    [
        lambda left: 34,  # right for one budget alone
        lambda left: int((left / 9) ** 0.5),  # no bias, no normalisation
        lambda left: max(c for c in range(200) if 9 * c * c + c <= left),  # no normalisation
        lambda left: max(c for c in range(200) if 9 * c * c + 2 * c <= left),  # no bias
        lambda left: max(c for c in range(200) if 9 * c * c + 3 * c < left),  # one too few
        lambda left: max(c for c in range(200) if 9 * c * c + 5 * c <= left),  # with the buffers
        lambda left: left // 12,
        lambda left: (-3 + (9 + 36 * left) ** 0.5) / 18,  # not rounded
        lambda left: 10**6,
        lambda left: -1,
    ],
)
def test_wrong_widths_are_refused(answer):
    verdict = parameter_budget.widest_convolution(answer)
    assert not verdict and verdict.problem != OPEN


@pytest.mark.parametrize("answer", [None, ..., lambda left: ...])
def test_an_open_width_is_told_so(answer):
    assert parameter_budget.widest_convolution(answer).problem == OPEN


# Exercise 4: a net of the learner's own.


def tiny_net():
    return nn.Sequential(nn.MaxPool2d(4), *conv_relu_norm(1, 4), nn.Conv2d(4, 10, 7), nn.Flatten())


class TinyClass(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = tiny_net()

    def forward(self, x):
        return self.layers(x)


def digits(source="folder"):
    """Twenty random pictures for training and for testing."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (20, 1, 28, 28), generator=generator).to(torch.uint8)
    labels = torch.arange(20) % 10
    classes = tuple("0123456789")
    split = ImageSplit(pixels, labels, classes, (0.1,), (0.3,))
    return ImageData("mnist", source, classes, (0.1,), (0.3,), split, split, split)


@pytest.fixture
def reaching(monkeypatch):
    """Set what the training of a learner's net reaches, and see with which recipe."""
    recipes = []

    def set_accuracy(accuracy):
        def train_own(net, recipe, data, seed):
            recipes.append(recipe)
            return accuracy

        monkeypatch.setattr(parameter_budget, "train_own", train_own)
        return recipes

    return set_accuracy


@pytest.mark.parametrize(
    "build, settings",
    [
        (tiny_net, {}),
        (TinyClass, {"learning_rate": 0.2, "average": 0.99}),
        (budget_net, {"schedule": "constant", "batch_size": 64}),
        (lambda: budget_net().eval(), {"augment": (("RandomAffine", {"degrees": 5}),)}),
    ],
)
def test_a_better_net_is_accepted(build, settings, reaching, capsys):
    recipes = reaching(99.60)
    assert parameter_budget.better_than_budget_5(build, settings, digits()).expect_right()
    assert "a rumour all the same" in capsys.readouterr().out
    assert recipes[0].epochs == 5
    for name, value in settings.items():
        assert getattr(recipes[0], name) == value


def test_a_net_that_only_repeats_the_record_is_not_better(reaching):
    # Seed 2 of budget-5 lies nearest to its mean: the unchanged net would reach it again.
    accuracies = load_result("budget-5").accuracies
    mean = sum(accuracies.values()) / len(accuracies)
    distances = {seed: abs(accuracy - mean) for seed, accuracy in accuracies.items()}
    assert min(distances, key=distances.__getitem__) == 2
    reaching(accuracies[2])
    verdict = parameter_budget.better_than_budget_5(budget_net, {}, digits())
    assert not verdict and "mean of budget-5" in repr(verdict)

    # Above the mean, and no better than the same seed, whichever of the two is higher.
    reaching(accuracies[0])
    verdict = parameter_budget.better_than_budget_5(budget_net, {}, digits(), seeds=(0,))
    assert not verdict and "with seed 0" in repr(verdict)


def test_several_seeds_have_an_interval(reaching, capsys):
    reaching(99.47)
    settings = {"learning_rate": 0.2}
    verdict = parameter_budget.better_than_budget_5(tiny_net, settings, digits(), seeds=(0, 1, 2))
    assert verdict.expect_right()
    shown = capsys.readouterr().out
    assert "seeds (0, 1, 2)" in shown and "undecided" in shown and "rumour" not in shown


@pytest.mark.parametrize(
    "build, settings, accuracy, words",
    [
        (tiny_net, {}, 99.0, "below the mean"),
        (wide_net, {}, 99.9, "as budget-5 has"),
        (starter_net, {}, 99.9, "as budget-5 has"),
        (tiny_net, {"epochs": 19}, 99.9, "epochs stays"),
        (tiny_net, {"lr": 0.2}, 99.9, "no setting 'lr'"),
        (tiny_net, {"data": "cifar10"}, 99.9, "data stays"),
        (tiny_net(), {}, 99.9, "raised TypeError"),  # one image's net, not a function
        (lambda: "a net", {}, 99.9, "a str came back"),
        (lambda: nn.Conv2d(1, 10, 3), {}, 99.9, "ten logits"),
        (lambda: nn.Sequential(nn.Conv2d(3, 10, 28), nn.Flatten()), {}, 99.9, "raised"),
    ],
)
def test_a_net_that_is_none_or_worse_is_refused(build, settings, accuracy, words, reaching):
    reaching(accuracy)
    verdict = parameter_budget.better_than_budget_5(build, settings, digits())
    assert not verdict and words in repr(verdict)


@pytest.mark.parametrize(
    "build, settings",
    [(None, {}), (..., {}), (lambda: ..., {}), (tiny_net, {"learning_rate": ...})],
)
def test_an_open_net_is_not_trained(build, settings, reaching):
    recipes = reaching(99.9)
    verdict = parameter_budget.better_than_budget_5(build, settings, digits())
    assert verdict.problem == OPEN and not recipes


def test_it_is_trained_and_judged(capsys):
    """Noise is not learned, so the verdict is that of a bad net."""
    settings = {"peak_epoch": 2, "average": 0.9}
    verdict = parameter_budget.better_than_budget_5(tiny_net, settings, digits())
    assert "below the mean" in repr(verdict)
    assert "epoch 5/5" in capsys.readouterr().out


def test_practice_data_are_not_judged(capsys):
    verdict = parameter_budget.better_than_budget_5(tiny_net, {}, digits("practice"))
    assert "not judged on practice data" in verdict.problem
    shown = capsys.readouterr().out
    assert "epoch 1/1" in shown


def test_measuring_a_shape_leaves_the_net_as_it_was():
    net = budget_net()
    before = copy.deepcopy(net.state_dict())
    assert net_problem(net, 9_274) is None and net.training
    for name, values in net.state_dict().items():
        assert torch.equal(values, before[name])
