"""Session 07's exercises: plausible wrong answers are refused, right ones accepted in any form."""

from __future__ import annotations

import copy
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import data
from helpers.exercises import NOTHING_CAME_BACK, OPEN, cifar, learners_net

# Exercise 1: a loader with one fault. This is the notebook's, fault and all.


class Loader:
    def __init__(self, images, labels, mean, std, batch_size):
        self.images, self.labels = images, labels
        self.mean, self.std = mean.view(3, 1, 1), std.view(3, 1, 1)
        self.batch_size = batch_size

    def __iter__(self):
        self.shuffle()
        for start in range(0, len(self.images), self.batch_size):
            images = self.take(start)
            self.cut(images)
            yield self.normalised(images), self.labels[start : start + self.batch_size]

    def shuffle(self):
        order = torch.randperm(len(self.images))
        self.images, self.labels = self.images[order], self.labels[order]

    def take(self, start):
        return self.images[start : start + self.batch_size]

    def cut(self, images):
        for image in images:
            row, column = torch.randint(25, (2,)).tolist()
            image[:, row : row + 8, column : column + 8] = 0

    def normalised(self, images):
        return (images / 255 - self.mean) / self.std


class Cloned(Loader):
    def take(self, start):
        return super().take(start).clone()


class FloatsFirst(Loader):
    def take(self, start):
        return super().take(start).float()


class ByIndex(Loader):
    """The images stay where they are; an index makes a new tensor."""

    def __iter__(self):
        for places in torch.randperm(len(self.images)).split(self.batch_size):
            images = self.images[places]
            self.cut(images)
            yield self.normalised(images), self.labels[places]


class Masked(Loader):
    """A mask in the place of writing."""

    def __iter__(self):
        pixel = torch.arange(32)
        for places in torch.randperm(len(self.images)).split(self.batch_size):
            corner = torch.randint(25, (2, len(places), 1))
            inside = (pixel >= corner) & (pixel < corner + 8)
            hole = (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
            images = self.images[places].masked_fill(hole, 0)
            yield self.normalised(images), self.labels[places]


class CopiedOnce(Loader):
    """The learner's own images stay as they are, and the loader's still collect squares."""

    def __init__(self, images, *rest):
        super().__init__(images.clone(), *rest)


class NoSquares(Loader):
    def cut(self, images):
        pass


class OneSquareForAll(Cloned):
    def cut(self, images):
        row, column = torch.randint(25, (2,)).tolist()
        images[:, :, row : row + 8, column : column + 8] = 0


class TwoSquares(OneSquareForAll):
    def cut(self, images):
        super().cut(images)
        images[0, :, :8, :8] = 0


class UpperLeft(Cloned):
    def cut(self, images):
        for image in images:
            row, column = torch.randint(12, (2,)).tolist()
            image[:, row : row + 8, column : column + 8] = 0


class NeverRight(Cloned):
    """No square reaches the right side."""

    def cut(self, images):
        for image in images:
            row, column = int(torch.randint(25, ())), int(torch.randint(17, ()))
            image[:, row : row + 8, column : column + 8] = 0


class Diagonal(Cloned):
    """One number for row and column."""

    def cut(self, images):
        for image in images:
            place = int(torch.randint(25, ()))
            image[:, place : place + 8, place : place + 8] = 0


class OneRowForAll(Cloned):
    """The columns are drawn for each image, the row once for a batch."""

    def cut(self, images):
        row = int(torch.randint(25, ()))
        for image in images:
            column = int(torch.randint(25, ()))
            image[:, row : row + 8, column : column + 8] = 0


class OneColumnForAll(Cloned):
    def cut(self, images):
        column = int(torch.randint(25, ()))
        for image in images:
            row = int(torch.randint(25, ()))
            image[:, row : row + 8, column : column + 8] = 0


class OnAGrid(Cloned):
    def cut(self, images):
        for image in images:
            row, column = (8 * torch.randint(4, (2,))).tolist()
            image[:, row : row + 8, column : column + 8] = 0


class OneTooFew(Cloned):
    """The last row and the last column never begin a square."""

    def cut(self, images):
        for image in images:
            row, column = torch.randint(24, (2,)).tolist()
            image[:, row : row + 8, column : column + 8] = 0


class OneTooLate(Cloned):
    def cut(self, images):
        for image in images:
            row, column = torch.randint(1, 25, (2,)).tolist()
            image[:, row : row + 8, column : column + 8] = 0


class Turned(Cloned):
    """One order, which begins at another image in each epoch."""

    def shuffle(self):
        shift = int(torch.randint(1, len(self.images), ()))
        self.images, self.labels = self.images.roll(shift, 0), self.labels.roll(shift, 0)


class ShuffledOnceAndTurned(Turned):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        Loader.shuffle(self)


class InOrder(Cloned):
    def shuffle(self):
        pass


class AlwaysReversed(InOrder):
    def __init__(self, images, labels, *rest):
        super().__init__(images.flip(0), labels.flip(0), *rest)


class ForthAndBack(Cloned):
    def shuffle(self):
        self.images, self.labels = self.images.flip(0), self.labels.flip(0)


class ShuffledOnce(InOrder):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        Loader.shuffle(self)


class OneByOne(ByIndex):
    """Batches of one image, whatever was asked for."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.batch_size = 1


class AllAtOnce(ByIndex):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.batch_size = len(self.images)


class LabelsInAList(Cloned):
    def __iter__(self):
        for images, labels in super().__iter__():
            yield images, labels.tolist()


class SameSquare(Cloned):
    def cut(self, images):
        images[:, :, 4:12, 4:12] = 0


class GreySquare(Cloned):
    """Cut after normalising: the square is the mean, and no longer black."""

    def __iter__(self):
        self.shuffle()
        for start in range(0, len(self.images), self.batch_size):
            images = self.normalised(self.take(start))
            self.cut(images)
            yield images, self.labels[start : start + self.batch_size]


class LabelsStay(Cloned):
    def shuffle(self):
        self.images = self.images[torch.randperm(len(self.images))]


class DropsTheLast(Cloned):
    def __iter__(self):
        for images, labels in super().__iter__():
            if len(images) == self.batch_size:
                yield images, labels


class NotNormalised(Cloned):
    def normalised(self, images):
        return images / 255


class Smaller(Cloned):
    def cut(self, images):
        for image in images:
            row, column = torch.randint(25, (2,)).tolist()
            image[:, row : row + 7, column : column + 8] = 0


class OnlyFirstEpoch(Cloned):
    """Squares are cut once, and kept: no augmentation."""

    def __init__(self, images, *rest):
        super().__init__(images.clone(), *rest)
        Loader.cut(self, self.images)

    def cut(self, images):
        pass


@pytest.mark.parametrize("answer", [Cloned, FloatsFirst, ByIndex, Masked, LabelsInAList])
def test_mended_loaders_are_accepted(answer):
    torch.manual_seed(0)
    assert cifar.mended_loader(answer).expect_right()


@pytest.mark.parametrize(
    "answer",
    [
        Loader,
        CopiedOnce,
        NoSquares,
        OneSquareForAll,
        TwoSquares,
        UpperLeft,
        NeverRight,
        Diagonal,
        OneRowForAll,
        OneColumnForAll,
        OnAGrid,
        OneTooFew,
        OneTooLate,
        Turned,
        ShuffledOnceAndTurned,
        InOrder,
        AlwaysReversed,
        ForthAndBack,
        ShuffledOnce,
        OneByOne,
        AllAtOnce,
        SameSquare,
        GreySquare,
        LabelsStay,
        DropsTheLast,
        NotNormalised,
        Smaller,
        OnlyFirstEpoch,
        lambda *arguments: [],
        lambda images: images,
    ],
)
def test_faulty_loaders_are_refused_without_the_answer(answer):
    torch.manual_seed(0)
    verdict = cifar.mended_loader(answer)
    assert not verdict and verdict.problem != OPEN
    for word in ("view", "clone", "copy", "in place"):
        assert word not in verdict.problem


def test_the_fault_is_seen_in_the_second_epoch_and_not_in_the_first():
    torch.manual_seed(0)
    problem = cifar.mended_loader(Loader).problem
    # When, and not what: that is the exercise.
    assert "epoch 2" in problem and "black" not in problem and "64" not in problem


@pytest.mark.parametrize(
    "answer, words",
    [
        (OneByOne, "[1, 1, 1, 1"),
        (InOrder, "same order"),
        (ForthAndBack, "same order"),
        (OneSquareForAll, "in a batch"),
        (UpperLeft, "no square ever covers"),
        (OneTooFew, "no square ever covers"),
        (Diagonal, "not drawn apart"),
        (OneRowForAll, "the same rows"),
        (OneColumnForAll, "the same columns"),
        (OnAGrid, "between the first and the last"),
        (DropsTheLast, "exactly once"),
    ],
)
def test_the_message_names_what_came_out(answer, words):
    torch.manual_seed(0)
    assert words in cifar.mended_loader(answer).problem


def test_right_loaders_are_accepted_whatever_is_drawn():
    for seed in range(30):
        torch.manual_seed(seed)
        assert cifar.mended_loader(Masked).expect_right()


@pytest.mark.parametrize("answer", [Diagonal, OneRowForAll, OnAGrid, OneTooFew, Turned])
def test_faulty_places_and_orders_are_refused_whatever_is_drawn(answer):
    for seed in range(10):
        torch.manual_seed(seed)
        assert cifar.mended_loader(answer).problem


def test_a_loader_that_is_left_open_is_not_judged():
    class Open(Loader):
        def __iter__(self):
            return ...

    class Nothing(Loader):
        def __iter__(self):
            pass

    class DotsInTurn(Loader):
        def __iter__(self):
            yield ...

    for answer in (Open, DotsInTurn):
        assert cifar.mended_loader(answer).problem == OPEN
    assert cifar.mended_loader(Nothing).problem == NOTHING_CAME_BACK
    assert cifar.mended_loader(None).problem == OPEN
    assert cifar.mended_loader(lambda *arguments: ...).problem == OPEN


# Exercise 2: a symmetric cycle.


def by_cases(step, steps, peak, highest):
    low, last = highest / 10, highest / 1000
    if step <= peak:
        return low + (highest - low) * step / peak
    if step <= 2 * peak:
        return highest - (highest - low) * (step - peak) / peak
    return low + (last - low) * (step - 2 * peak) / (steps - 1 - 2 * peak)


def by_numpy(step, steps, peak, highest):
    corners = [0, peak, 2 * peak, steps - 1]
    return np.interp(step, corners, [highest / 10, highest, highest / 10, highest / 1000])


def by_torch(step, steps, peak, highest):
    up = torch.linspace(0.1, 1, peak + 1, dtype=torch.float64)
    end = torch.linspace(0.1, 0.001, steps - 2 * peak, dtype=torch.float64)
    return highest * torch.cat([up, up.flip(0)[1:], end[1:]])[step]


def by_distance(step, steps, peak, highest):
    away = abs(step - peak) / peak
    if away <= 1:
        return highest * (1 - 0.9 * away)
    return highest * (0.1 - 0.099 * (step - 2 * peak) / (steps - 1 - 2 * peak))


def in_32_bits(step, steps, peak, highest):
    return by_torch(step, steps, peak, highest).float()


@pytest.mark.parametrize("answer", [by_cases, by_numpy, by_torch, by_distance, in_32_bits])
def test_right_cycles_are_accepted(answer):
    assert cifar.symmetric_cycle(answer).expect_right()


def no_annihilation(step, steps, peak, highest):
    return by_cases(min(step, 2 * peak), steps, peak, highest)


def from_zero(step, steps, peak, highest):
    return highest * step / peak if step <= peak else by_cases(step, steps, peak, highest)


def one_late(step, steps, peak, highest):
    return by_cases(step + 1, steps, peak, highest)


def ends_behind(step, steps, peak, highest):
    return by_cases(step, steps + 1, peak, highest)


def cosine(step, steps, peak, highest):
    if step > 2 * peak:
        return by_cases(step, steps, peak, highest)
    return highest * (0.55 - 0.45 * np.cos(np.pi * step / peak))


def geometric_end(step, steps, peak, highest):
    if step <= 2 * peak:
        return by_cases(step, steps, peak, highest)
    return highest * 0.1 * 0.01 ** ((step - 2 * peak) / (steps - 1 - 2 * peak))


def straight_to_the_end(step, steps, peak, highest):
    if step <= peak:
        return by_cases(step, steps, peak, highest)
    return highest * (1 - 0.999 * (step - peak) / (steps - 1 - peak))


@pytest.mark.parametrize(
    "answer",
    [
        no_annihilation,
        from_zero,
        one_late,
        ends_behind,
        cosine,
        geometric_end,
        straight_to_the_end,
        lambda step, steps, peak, highest: highest,
        lambda step, steps, peak, highest: by_cases(step, steps, peak, 1.0),
        lambda step: 0.4,
    ],
)
def test_wrong_cycles_are_refused_without_the_answer(answer):
    verdict = cifar.symmetric_cycle(answer)
    assert not verdict and verdict.problem != OPEN
    # What came out is named, and what should have come out is not.
    case = re.match(r"(\d+) steps, highest at step (\d+): .*step (\d+)[ ,]", verdict.problem)
    if case:
        steps, peak, step = map(int, case.groups())
        [highest] = [each[2] for each in cifar.CYCLES if each[:2] == (steps, peak)]
        right = f"{by_cases(step, steps, peak, highest):.4g}"
        assert right not in re.findall(r"\d[\d.e-]*", verdict.problem)


def test_the_rate_that_came_out_is_named():
    problem = cifar.symmetric_cycle(lambda step, steps, peak, highest: 0.123456).problem
    assert "0.1235 came out at step 0" in problem and "0.4, the highest" in problem


def test_an_open_cycle_is_not_judged():
    assert cifar.symmetric_cycle(lambda *arguments: ...).problem == OPEN
    assert cifar.symmetric_cycle(lambda *arguments: None).problem == NOTHING_CAME_BACK


# Exercise 3: a softmax too many.


def without_it(net):
    return net[:-1]


def identity(net):
    net[-1] = nn.Identity()
    return net


def log_softmax(net):
    return nn.Sequential(*net[:-1], nn.LogSoftmax(1))


class Wrapped(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.layers = nn.Sequential(*list(net.children())[:-1])

    def forward(self, images):
        if self.training:
            return self.layers(images)
        return self.layers(images).softmax(1)


@pytest.mark.parametrize("answer", [without_it, identity, log_softmax, Wrapped])
def test_mended_nets_are_accepted(answer):
    assert cifar.mended_net(answer).expect_right()


class Logarithm(nn.Module):
    """Undoes the softmax where the probabilities are not 0, and raises or is wrong elsewhere."""

    def __init__(self, net, least=0.0):
        super().__init__()
        self.net, self.least = net, least

    def forward(self, images):
        return (self.net(images) + self.least).log()


class Detached(Wrapped):
    def forward(self, images):
        return super().forward(images).detach().requires_grad_()


class Half(nn.Module):
    def forward(self, logits):
        return logits / 2


class Frozen(Wrapped):
    def __init__(self, net):
        super().__init__(net)
        self.layers[1].requires_grad_(False)


def new_weights(net):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 10))


@pytest.mark.parametrize(
    "answer",
    [
        lambda net: net,
        copy.deepcopy,
        lambda net: nn.Sequential(*net[:-1], nn.Sigmoid()),
        lambda net: nn.Sequential(*net, nn.Softmax(1)),
        lambda net: nn.Sequential(*net[:-1], nn.Softmax(0)),
        lambda net: net[:-2],
        lambda net: net[:3],
        Logarithm,
        lambda net: Logarithm(net, 1e-9),
        Detached,
        Frozen,
        new_weights,
        lambda net: F.cross_entropy,
        lambda: None,
    ],
)
def test_nets_that_are_not_mended_are_refused_without_the_answer(answer):
    verdict = cifar.mended_net(answer)
    assert not verdict and verdict.problem != OPEN
    for word in ("remove", "last layer", "Identity", "without the softmax"):
        assert word not in verdict.problem


def test_the_size_of_the_logits_is_the_measured_one():
    images = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(10))
    largest = cifar.softmax_net()[:-1](images).abs().max()
    # Half of the logits name the same classes, and have another loss.
    problem = cifar.mended_net(lambda net: nn.Sequential(*net[:-1], Half())).problem
    assert f"logits of up to {largest:,.0f} the loss" in problem


def test_an_open_net_is_not_judged():
    assert cifar.mended_net(lambda net: ...).problem == OPEN
    assert cifar.mended_net(...).problem == OPEN


# Exercise 4: a net of the learner's own.


def small_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


def large_net():
    """More parameters than are allowed, most of them in front of its last layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 20), nn.ReLU(), nn.Linear(20, 10))


def frozen(net, keep=0):
    """A net whose layers, but for the last ones, do not learn."""
    for layer in list(net)[: len(net) - keep]:
        layer.requires_grad_(False)
    return net


class Pair(nn.Module):
    """Logits and maps: two things."""

    def __init__(self):
        super().__init__()
        self.net = small_net()

    def forward(self, images):
        return self.net(images), images


@pytest.fixture(scope="module")
def practice():
    whole = data.load("cifar10", validation=0)
    few = whole.train.subset(slice(0, 1_280)), whole.test.subset(slice(0, 100))
    return data.ImageData(
        whole.name, whole.source, whole.classes, whole.mean, whole.std, few[0], few[1], few[1]
    )


@pytest.mark.parametrize(
    "build",
    [
        small_net,
        lambda: small_net().eval(),
        lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(10)),
    ],
)
def test_a_net_on_practice_data_is_trained_and_not_judged(build, practice):
    verdict = cifar.own_cifar_net(build, practice)
    assert "practice data" in verdict.problem and "parameters" in verdict.problem


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 100), nn.Linear(100, 10)), "at most"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 9)), "ten logits"),
        (lambda: nn.Sequential(nn.Conv2d(3, 10, 3)), "ten logits"),
        (lambda: nn.Sequential(nn.Conv2d(1, 10, 3), nn.Flatten()), "raised"),
        (lambda: nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.ZeroPad1d((0, 7))), "nothing"),
        (lambda: "a net", "not a net"),
        (lambda: frozen(large_net(), keep=1), "frozen ones included"),
        (lambda: frozen(small_net()), "none of them can learn"),
        (lambda: nn.Sequential(small_net(), nn.Softmax(1)), "these are probabilities"),
        (Pair, "a tuple came back"),
    ],
)
def test_a_net_that_does_not_fit_is_refused_before_it_is_trained(build, words, practice):
    verdict = cifar.own_cifar_net(build, practice)
    assert not verdict and words in verdict.problem


def test_an_open_net_is_not_trained(practice):
    assert cifar.own_cifar_net(lambda: ..., practice).problem == OPEN
    assert cifar.own_cifar_net(nn.Sequential, practice).problem == OPEN


def test_too_low_an_accuracy_is_refused(practice, monkeypatch):
    monkeypatch.setattr(learners_net, "train_own", lambda *arguments, **options: 42.0)
    real = replace(practice, source="torchvision")
    assert "42.00 %" in cifar.own_cifar_net(small_net, real).problem
    assert cifar.own_cifar_net(small_net, real, least=40.0).expect_right()
