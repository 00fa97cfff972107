"""Session 08's exercises: a price list, shards, a net on a budget; its stopwatch is in a file."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers.data import ImageData
from helpers.environment import real_number
from helpers.exercises import check, returned
from helpers.exercises.learners_net import (
    built_net,
    net_problem,
    trained_and_judged,
    used_net,
)
from helpers.experiments.speed import MINUTES
from helpers.models import evaluating
from helpers.models.speed import SpeedNet

# Exercise 4: what a net of the learner's own is asked for.
MOST_MULTIPLY_ADDS = 12_000_000
LEAST_ACCURACY = 60.0
EPOCHS = 2
IMAGE = (3, 32, 32)
MANY = 50_000_000  # parameters are not what this exercise is about


# Exercise 1: the arithmetic of a training.

# Widths of the groups, pixels along a side of the images.
PRICED = (((64, 256, 256), 32), ((32, 256, 256), 20), ((5, 8, 6), 17), ((6, 10), 13))


@check
def training_multiply_adds(count: Callable[[Sequence[int], int], Any]) -> str | None:
    """A function (widths, side) to the multiply-adds of one image in training, forward and back.

    The net is ``SpeedNet(widths)``, whose first layer needs no gradient.
    """
    for widths, side in PRICED:
        case = f"widths {widths}, {side} pixels:"
        # An error says nothing to a learner who is not told with what it came.
        try:
            answer = count(widths, side)
        except Exception as error:
            return f"{case} your answer raised {type(error).__name__}: {error}"
        found = real_number(returned(answer))
        if found is None:
            return f"{case} give a number"
        if found != sum(counted(widths, side)):
            return f"{case} {slip(found, widths, side)}"
    return None


def counted(widths: Sequence[int], side: int) -> tuple[int, int]:
    """The multiply-adds of one image on its way forward, and of the way back, as torch counts."""
    net, images = SpeedNet(widths), torch.zeros(2, 3, side, side)
    net(images)  # the filters of the first layer are made once, which is not counted
    with FlopCounterMode(display=False) as counter:
        total = net(images).sum()
    forward = counter.get_total_flops() // 4
    with FlopCounterMode(display=False) as counter:
        total.backward()
    return forward, counter.get_total_flops() // 4


def slip(found: float, widths: Sequence[int], side: int) -> str:
    """What seems to be wrong with a number of multiply-adds: slips that are easily made."""
    forward, back = counted(widths, side)
    right = forward + back
    first = 12 * 24 * (side - 1) ** 2
    last = 10 * widths[-1]  # in one of three passes
    if found in (3 * forward, right + first):
        return "the first layer needs no gradients"
    if found in (2 * forward, 2 * forward - first):
        return "the way back costs more than that"

    drawn = partial(by_hand, widths, side)
    sentences = (
        (forward, "that is the way forward alone"),
        (back, "that is the way back alone"),
        (2 * right, "those are operations, and a multiply-add is two of them"),
        (right / 1e6, "those are millions; give multiply-adds"),
        (right - first, "the first layer is missing"),
        (right - 3 * last, "the last layer is missing"),
        (right - 2 * last, "the last layer has a way back, too"),
        (drawn(late=True), "the maps are that large only if a group pools at its end"),
        (drawn(padded=True), "the first layer has no padding"),
        (drawn(up=True), "an odd side is halved in another way"),
        (drawn(parts=True), "half of an odd side is no whole number of pixels"),
        (drawn(early=True), "a group's first convolution comes before its pooling"),
    )
    for number, words in sentences:
        if found == number:
            return words
    return "another number is right"


def by_hand(
    widths: Sequence[int],
    side: float,
    late: bool = False,
    early: bool = False,
    padded: bool = False,
    up: bool = False,
    parts: bool = False,
) -> float:
    """Multiply-adds in training of a net that is not quite SpeedNet.

    late: pooled behind the second convolution of a group
    early: pooled before the first convolution of a group
    padded: the first layer's maps are as large as the image
    up: half of an odd side is rounded up
    parts: half of an odd side is not rounded
    """
    if not padded:
        side -= 1
    total = 12 * 24 * side**2
    channels = 24
    for width in widths:
        halved = (side + up) // 2
        if parts:
            halved = side / 2
        ahead, behind = side, halved
        if late:
            behind = side
        if early:
            ahead = halved
        total += 3 * 9 * width * (channels * ahead**2 + width * behind**2)
        side, channels = halved, width
    return total + 3 * 10 * channels


# Exercise 3: gradients of shards.

# Images, parts.
SHARED = ((12, 3), (8, 1), (10, 3), (7, 4))


@check
def sharded_gradients(gradients: Callable[..., Any]) -> str | None:
    """A function (model, images, targets, parts) to the gradient of the batch's mean cross-entropy.

    It comes as a list, a tensor for each parameter in their order. No pass through the model may
    have more images than one of ``parts`` parts.
    """
    for number, parts in SHARED:
        model, images, targets, passes = shared_task(number)
        expected = torch.autograd.grad(
            F.cross_entropy(model(images), targets), list(model.parameters())
        )
        before = [weights.detach().clone() for weights in model.parameters()]
        # A step was made before, and its gradients are still there.
        for weights in model.parameters():
            weights.grad = torch.ones_like(weights)

        # Whoever sends all images through at once has the right gradient, and no shards.
        passes.clear()
        found = returned(gradients(model, images, targets, parts))

        case = f"{number} images in {parts} parts:"
        if any(not torch.equal(one, two) for one, two in zip(before, model.parameters())):
            return f"{case} the model is not what it was"
        factors = (number, parts)
        problem = passes_problem(passes, number, parts) or gradient_problem(
            found, expected, factors
        )
        if problem is not None:
            return f"{case} {problem}"
    return None


class Passes(list[int]):
    """How many images went through a model, pass by pass; copies of the model share it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Passes":
        return self


class Watched(nn.Flatten):
    """The first layer of a model, which counts: whoever calls the model passes here, in any way."""

    def __init__(self, passes: Passes) -> None:
        super().__init__()
        self.passes = passes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.passes.append(len(images))
        return super().forward(images)


def shared_task(number: int) -> tuple[nn.Module, torch.Tensor, torch.Tensor, Passes]:
    """A little net in float64, which rounds nothing that matters, images, labels, its passes."""
    generator = torch.Generator().manual_seed(number)
    passes = Passes()
    model = nn.Sequential(Watched(passes), nn.Linear(12, 6), nn.GELU(), nn.Linear(6, 4)).double()
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    images = torch.randn(number, 3, 2, 2, generator=generator, dtype=torch.float64)
    return model, images, torch.randint(4, (number,), generator=generator), passes


def passes_problem(passes: list[int], number: int, parts: int) -> str | None:
    """What is wrong with the numbers of images that went through the net, pass by pass."""
    most = -(-number // parts)
    if max(passes, default=0) > most:
        return f"{max(passes)} images went through the model at once, and a part has {most} at most"
    if sum(passes) < number:
        return f"{sum(passes)} images went through the model"
    return None


def gradient_problem(
    found: Any, expected: Sequence[torch.Tensor], factors: Sequence[int]
) -> str | None:
    """What is wrong with gradients, beside those of the whole batch.

    ``factors``: by how many times they are too large where a sum was never divided.
    """
    if not isinstance(found, list | tuple) or len(found) != len(expected):
        return f"give a list of {len(expected)} gradients, one for each parameter"
    for place, (mine, right) in enumerate(zip(found, expected), 1):
        mine = torch.as_tensor(mine)
        # Whoever calculated with fewer digits cannot have more of them right.
        close = 1e-8
        if mine.dtype != torch.float64:
            close = 1e-4
        if mine.shape != right.shape:
            return f"gradient {place} has the shape {list(mine.shape)}, not {list(right.shape)}"
        if not near(mine, right, close):
            return f"gradient {place} {wrong_gradient(mine, right, factors, close)}"
    return None


def near(found: torch.Tensor, right: torch.Tensor, close: float) -> bool:
    """Whether two gradients agree in so many digits."""
    return torch.allclose(found.double(), right, rtol=close, atol=close / 100)


def wrong_gradient(
    found: torch.Tensor, right: torch.Tensor, factors: Sequence[int], close: float
) -> str:
    """What a gradient is in the place of the right one."""
    # Those of the step before are all 1.
    if any(near(found - 1, factor * right, close) for factor in (1, *factors)):
        return "still has the old gradients in it"
    if any(near(found, factor * right, close) for factor in factors):
        return "is a sum, and not a mean"
    return "is not that of the whole batch"


# Exercise 4: a net of the learner's own.


class Softened(nn.Module):
    """A net whose logits are a ninth, as SpeedNet's are: then the same rates fit."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images) / 9


@check
def own_cheap_net(
    build: Any, data: ImageData, least: float = LEAST_ACCURACY, epochs: int = EPOCHS
) -> str | None:
    """Count the arithmetic of a learner's net, train it by this session's recipe, and judge it.

    Prints what came out. On practice data it trains for one epoch, and nothing is judged.
    """
    net = built_net(build)
    problem = net_problem(net, MANY, IMAGE)
    if problem is not None:
        return problem
    if any(isinstance(layer, nn.RNNBase | nn.RNNCellBase) for layer in net.modules()):
        return "the multiply-adds of recurrent layers are not counted, so leave them out"
    count = multiply_adds(net)
    if count > MOST_MULTIPLY_ADDS:
        return (
            f"an image costs {count:,} multiply-adds on its way forward, in convolutions and "
            f"matrix products, and at most {MOST_MULTIPLY_ADDS:,} were asked for"
        )

    def new_net() -> nn.Module:
        return Softened(used_net(build, IMAGE))

    # Biases move less fast than SpeedNet's, because a net may have some without a normalisation.
    recipe = replace(MINUTES.shortened(epochs), name="own", options=MINUTES.options | SLOWER)
    return trained_and_judged(new_net, recipe, data, least, f"{count:,} multiply-adds", "cheap")


SLOWER = {"bias_factor": 4.0}


def multiply_adds(net: nn.Module) -> int:
    """The multiply-adds of one image on its way forward, in convolutions and matrix products.

    They are counted in training mode and in evaluation mode, and the larger number is returned.
    Changes the running statistics of a normalisation.
    """
    # Two images, because a normalisation takes no single one in training mode.
    images, counts = torch.zeros(2, *IMAGE), []
    with evaluating(net), torch.no_grad():
        for training in (True, False):
            net.train(training)
            net(images)  # what a layer makes once, at its first batch, is not counted
            with FlopCounterMode(display=False) as counter:
                net(images)
            counts.append(counter.get_total_flops() // 4)
    return max(counts)
