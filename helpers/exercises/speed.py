"""Session 08's exercises: a price list, a stopwatch with faults, shards, a net on a budget."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any, NamedTuple

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
        case = f"widths {widths}, {side} pixels:"
        # An error says nothing to a learner who is not told with what it came.
        try:
            answer = count(widths, side)
        except Exception as error:
            return f"{case} your answer raised {type(error).__name__}: {error}"
        found = real_number(given(answer))
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
    # Those of the last layer, in all three passes.
    last = 3 * 10 * widths[-1]
    if found in (3 * forward, right + first):
        return "the first layer needs no gradients"

    sentences = {
        forward: "that is the way forward alone",
        back: "that is the way back alone",
        2 * right: "those are operations, and a multiply-add is two of them",
        right / 1e6: "those are millions; give multiply-adds",
        right - last: "the last layer is missing",
        by_hand(
            widths, side, late=True
        ): "the maps are that large only if a group pools at its end",
        by_hand(widths, side, padded=True): "the first layer has no padding",
        by_hand(widths, side, up=True): "an odd side is halved in another way",
    }
    if found in sentences:
        return sentences[found]
    return "another number is right"


def by_hand(
    widths: Sequence[int], side: int, late: bool = False, padded: bool = False, up: bool = False
) -> int:
    """Multiply-adds in training of a net that is not quite SpeedNet.

    late: pooled behind the second convolution of a group
    padded: the first layer's maps are as large as the image
    up: half of an odd side is rounded up
    """
    if not padded:
        side -= 1
    total = 12 * 24 * side**2
    channels = 24
    for width in widths:
        halved = (side + up) // 2
        second = halved
        if late:
            second = side
        total += 3 * 9 * width * (channels * side**2 + width * second**2)
        side, channels = halved, width
    return total + 3 * 10 * channels


# Exercise 2: a stopwatch with faults.


class Reading(NamedTuple):
    """What the check notes whenever a program reads the clock."""

    moment: float
    busy: bool  # whether the device has orders left to do
    images: int  # of all orders up to here


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
        # A program is to measure these, and not to find them by their names.
        self._per_image, self._per_step, self._compiling = per_image, per_step, compiling
        self._clock, self._free_at = 0.0, busy
        self._sizes: set[int] = set()
        # What the check asks: each reading of the clock, and when something was compiled.
        self._images = 0
        self._readings: list[Reading] = []
        self._compiled_at: list[float] = []

    def now(self) -> float:
        """What the program's clock says, in seconds."""
        self._readings.append(Reading(self._clock, self._free_at > self._clock, self._images))
        return self._clock

    def train(self, images: int) -> None:
        """Order a training step with so many images. The order is given at once, and done later."""
        self._clock += self.LAUNCH
        self._images += images
        begins = max(self._free_at, self._clock)
        self._free_at = begins + self._seconds_for(images)
        if images not in self._sizes:
            self._sizes.add(images)
            self._compiled_at.append(begins)
            self._free_at += self._compiling

    def synchronize(self) -> None:
        """Wait until all orders are done."""
        self._clock = max(self._clock, self._free_at)

    def _seconds_for(self, images: int) -> float:
        """What a step takes that needs no compiling."""
        return self._per_step + self._per_image * images


# Sizes of the batches of an epoch, and the device.
TIMED: tuple[tuple[list[int], dict[str, float]], ...] = (
    ([500] * 10, {}),
    ([500] * 9 + [120], {"compiling": 3.0, "per_image": 1e-4}),
    ([64] * 40 + [16], {"busy": 20.0, "per_step": 4e-3}),
    # The small batch takes a quarter of the time, so it has to be counted as it is.
    ([500] * 2 + [20], {"per_step": 2e-2}),
)
FAULTS = 4  # of the function that the notebook shows


@check
def mended_benchmark(benchmark: Callable[[PretendGPU, list[int]], Any]) -> str | None:
    """A function (gpu, batches) to the images a second of a whole epoch, when all is compiled.

    ``batches`` are the numbers of images of the batches of an epoch. Prints how many faults there
    were, as soon as none is left.
    """
    for batches, options in TIMED:
        gpu = PretendGPU(**options)
        found = real_number(given(benchmark(gpu, list(batches))))
        case = f"an epoch of {len(batches)} batches, {sum(batches):,} images:"
        if found is None:
            return f"{case} give a number of images a second"
        right = sum(batches) / sum(map(gpu._seconds_for, batches))
        # To read a clock and to give orders takes a little time, too.
        measured = len(gpu._readings) > 1
        if measured and abs(found / right - 1) <= 0.005:
            continue
        return f"{case} {timing_fault(gpu, batches, found)}"
    print(f"the function had {FAULTS} faults, and yours has none of them")
    return None


# Times between two readings
Spans = Sequence[tuple[Reading, Reading]]

RIGHT_MOMENTS = "the clock was read at the right moments, and still the speed is not the device's"


def timing_fault(gpu: PretendGPU, batches: Sequence[int], found: float) -> str:
    """What seems to be wrong with a measurement, from the readings that it was made of."""
    if len(gpu._readings) < 2:
        return "a duration needs two readings of the clock"
    # Times between neighbouring readings in which something was ordered.
    spans = []
    for start, stop in pairwise(gpu._readings):
        if stop.images > start.images:
            spans.append((start, stop))

    # Of an epoch's images, rightly counted or not, the readings make the number that was found.
    for images in (sum(batches), len(batches) * batches[0]):
        used = used_times(gpu, spans, images, found)
        if used is not None:
            return first_fault(gpu, used) or RIGHT_MOMENTS

    if of_other_batches(gpu, spans, found):
        return "that is the speed of other batches than those of the epoch"
    return first_fault(gpu, spans[-1:]) or RIGHT_MOMENTS


def used_times(gpu: PretendGPU, spans: Spans, images: int, found: float) -> Spans | None:
    """The times that so many images were divided by, if they are among these; else None."""
    # A single duration, whatever was read in between
    for pair in combinations(gpu._readings, 2):
        if makes(found, images, [pair]):
            return [pair]
    # All short ones together
    if makes(found, images, spans):
        return spans
    return None


def of_other_batches(gpu: PretendGPU, spans: Spans, found: float) -> bool:
    """Whether the answer is right for what was measured, and something was left out."""
    clean = [span for span in spans if span_fault(gpu, *span) is None]
    for chosen in (clean, clean[-1:]):
        images = sum(stop.images - start.images for start, stop in chosen)
        if makes(found, images, chosen):
            return True
    return False


def makes(found: float, images: int, spans: Spans) -> bool:
    """Whether so many images in these times together have the speed that was found."""
    seconds = sum(stop.moment - start.moment for start, stop in spans)
    return images > 0 and abs(found * seconds / images - 1) < 1e-5


def first_fault(gpu: PretendGPU, spans: Spans) -> str | None:
    """The first fault of several times, or None."""
    for span in spans:
        fault = span_fault(gpu, *span)
        if fault is not None:
            return fault
    return None


def span_fault(gpu: PretendGPU, start: Reading, stop: Reading) -> str | None:
    """What is wrong with the time between two readings, or None."""
    if stop.busy:
        return "when the clock was read for the last time, the device had orders left to do"
    if start.busy:
        return "when the clock was read first, the device was still busy with something else"
    if any(start.moment <= moment < stop.moment for moment in gpu._compiled_at):
        return "between the readings of the clock the device compiled something"
    return None


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
        found = given(gradients(model, images, targets, parts))

        case = f"{number} images in {parts} parts:"
        if any(not torch.equal(one, two) for one, two in zip(before, model.parameters())):
            return f"{case} the model is not what it was"
        problem = passes_problem(passes, number, parts) or gradient_problem(found, expected)
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


def gradient_problem(found: Any, expected: Sequence[torch.Tensor]) -> str | None:
    """What is wrong with gradients, beside those of the whole batch."""
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
        if not torch.allclose(mine.double(), right, rtol=close, atol=close / 100):
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
            f"an image costs {count:,} multiply-adds on its way forward, in convolutions and "
            f"matrix products, and at most {MOST_MULTIPLY_ADDS:,} were asked for"
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
