"""Session 08's exercises: a price list, a stopwatch with faults, shards, a net on a budget."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers.data import ImageData
from helpers.environment import real_number
from helpers.exercises import NotFilledIn, check, given
from helpers.exercises.own_net import built_net, net_problem, trained_and_judged
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
        forward, back = counted(widths, side)
        found = real_number(given(count(widths, side)))
        case = f"widths {widths}, {side} pixels:"
        if found is None:
            return f"{case} give a number"
        # Slips that are easily made have sentences of their own.
        if found == forward:
            return f"{case} that is the way forward alone"
        if found == 3 * forward:
            return f"{case} the first layer is not trained, and the images are not either"
        if found == 2 * (forward + back):
            return f"{case} those are operations, and a multiply-add is two of them"
        if found != forward + back:
            return f"{case} another number is right"
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


# Exercise 2: a stopwatch with faults.


class PretendGPU:
    """A device that works behind the program's back, with a clock of its own.

    per_image, per_step: seconds that a training step takes for each image, and besides
    compiling: seconds that the first step with batches of a new size takes in addition
    busy: seconds of earlier work that is still in its queue
    """

    LAUNCH = 1e-5  # seconds until an order is in the queue

    def __init__(
        self,
        per_image: float = 2e-5,
        per_step: float = 1e-3,
        compiling: float = 8.0,
        busy: float = 0.5,
    ) -> None:
        self.per_image, self.per_step, self.compiling = per_image, per_step, compiling
        self.clock, self.free_at = 0.0, busy
        self.sizes: set[int] = set()
        # What the check asks: each reading of the clock, and when something was compiled.
        self.readings: list[tuple[float, bool]] = []
        self.compiled_at: list[float] = []

    def now(self) -> float:
        """What the program's clock says, in seconds."""
        self.readings.append((self.clock, self.free_at > self.clock))
        return self.clock

    def train(self, images: int) -> None:
        """Order a training step with so many images. The order is given at once, and done later."""
        self.clock += self.LAUNCH
        begins = max(self.free_at, self.clock)
        self.free_at = begins + self.seconds_for(images)
        if images not in self.sizes:
            self.sizes.add(images)
            self.compiled_at.append(begins)
            self.free_at += self.compiling

    def synchronize(self) -> None:
        """Wait until all orders are done."""
        self.clock = max(self.clock, self.free_at)

    def seconds_for(self, images: int) -> float:
        """What a step takes that needs no compiling."""
        return self.per_step + self.per_image * images


# Sizes of the batches of an epoch, and the device.
TIMED: tuple[tuple[list[int], dict[str, float]], ...] = (
    ([500] * 10, {}),
    ([500] * 9 + [120], {"compiling": 3.0, "per_image": 1e-4}),
    ([64] * 40 + [16], {"busy": 20.0, "per_step": 4e-3}),
)


@check
def mended_benchmark(benchmark: Callable[[PretendGPU, list[int]], Any]) -> str | None:
    """A function (gpu, batches) to the images a second of a whole epoch, when all is compiled.

    ``batches`` are the numbers of images of the batches of an epoch.
    """
    for batches, options in TIMED:
        gpu = PretendGPU(**options)
        found = real_number(given(benchmark(gpu, list(batches))))
        case = f"an epoch of {len(batches)} batches, {sum(batches):,} images:"
        if found is None:
            return f"{case} give a number of images a second"
        right = sum(batches) / sum(gpu.seconds_for(images) for images in batches)
        # To read a clock and to give orders takes a little time, too.
        if abs(found / right - 1) <= 0.005:
            continue
        return f"{case} {timing_fault(gpu)}"
    return None


def timing_fault(gpu: PretendGPU) -> str:
    """What seems to be wrong with a measurement, from how the device was used."""
    if len(gpu.readings) < 2:
        return "a duration needs two readings of the clock"
    (start, busy_before), (stop, busy_after) = gpu.readings[0], gpu.readings[-1]
    if busy_after:
        return "when the clock was read for the last time, the device had orders left to do"
    if busy_before:
        return "when the clock was read first, the device was still busy with something else"
    if any(start <= moment < stop for moment in gpu.compiled_at):
        return "between the readings of the clock the device compiled something"
    return "the clock was read at the right moments, and still the speed is not the device's"


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
        model, images, targets = shared_task(number)
        expected = torch.autograd.grad(
            F.cross_entropy(model(images), targets), list(model.parameters())
        )
        before = [weights.detach().clone() for weights in model.parameters()]
        # A step was made before, and its gradients are still there.
        for weights in model.parameters():
            weights.grad = torch.ones_like(weights)

        # Whoever sends all images through at once has the right gradient, and no shards.
        passes = watched(model)
        found = given(gradients(model, images, targets, parts))

        case = f"{number} images in {parts} parts:"
        if any(not torch.equal(one, two) for one, two in zip(before, model.parameters())):
            return f"{case} the model is not what it was"
        problem = passes_problem(passes, number, parts) or gradient_problem(found, expected)
        if problem is not None:
            return f"{case} {problem}"
    return None


def shared_task(number: int) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A little net in float64, which rounds nothing that matters, with images and labels."""
    generator = torch.Generator().manual_seed(number)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.GELU(), nn.Linear(6, 4)).double()
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    images = torch.randn(number, 3, 2, 2, generator=generator, dtype=torch.float64)
    return model, images, torch.randint(4, (number,), generator=generator)


def watched(model: nn.Module) -> list[int]:
    """A list that will say how many images went through the model, pass by pass."""
    passes: list[int] = []

    def note(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """Called before each pass."""
        passes.append(len(inputs[0]))

    model.register_forward_pre_hook(note)
    return passes


def passes_problem(passes: list[int], number: int, parts: int) -> str | None:
    """What is wrong with the numbers of images that went through the net, pass by pass."""
    most = -(-number // parts)
    if max(passes, default=0) > most:
        return f"{max(passes)} images went through the model at once, and a part has {most} at most"
    if sum(passes) < number:
        return f"{sum(passes)} images went through the model"
    return None


def gradient_problem(found: Any, expected: Sequence[torch.Tensor]) -> str | None:
    """What is wrong with gradients, beside those of the whole batch."""
    if not isinstance(found, list | tuple) or len(found) != len(expected):
        return f"give a list of {len(expected)} gradients, one for each parameter"
    for place, (mine, right) in enumerate(zip(found, expected), 1):
        mine = torch.as_tensor(mine)
        if mine.shape != right.shape:
            return f"gradient {place} has the shape {list(mine.shape)}, not {list(right.shape)}"
        if not torch.allclose(mine, right, rtol=1e-8, atol=1e-10):
            return f"gradient {place} is not that of the whole batch"
    return None


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
    # The frame of the exercise is an empty row of layers.
    if isinstance(net, nn.Sequential) and len(net) == 0:
        raise NotFilledIn
    problem = net_problem(net, MANY, IMAGE)
    if problem is not None:
        return problem
    count = multiply_adds(net)
    if count > MOST_MULTIPLY_ADDS:
        return (
            f"an image costs {count:,} multiply-adds on its way forward, and at most "
            f"{MOST_MULTIPLY_ADDS:,} were asked for"
        )

    def new_net() -> nn.Module:
        # Run once: a layer may find its shape by itself, and has no weights before it has.
        again = built_net(build)
        net_problem(again, MANY, IMAGE)
        return Softened(again)

    # Biases move less fast than SpeedNet's, because a net may have some without a normalisation.
    recipe = replace(MINUTES.shortened(epochs), name="own", options=MINUTES.options | SLOWER)
    return trained_and_judged(new_net, recipe, data, least, f"{count:,} multiply-adds", "cheap")


SLOWER = {"bias_factor": 4.0}


def multiply_adds(net: nn.Module) -> int:
    """The multiply-adds of one image on its way forward."""
    # In evaluation mode, so that a normalisation takes a single image.
    with evaluating(net), torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *IMAGE))
    return counter.get_total_flops() // 2
