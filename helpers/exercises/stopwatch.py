"""The second exercise of session 08: a stopwatch with faults, for a device that is pretended."""

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

from helpers.environment import real_number
from helpers.exercises import check, returned


class Reading(NamedTuple):
    """What the check notes whenever a program reads the clock."""

    moment: float
    busy: bool  # whether the device has orders left to do
    orders: int  # given up to here
    images: int  # of these orders


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
        self._orders: list[int] = []
        self._readings: list[Reading] = []
        self._compiled_at: list[float] = []

    def now(self) -> float:
        """What the program's clock says, in seconds."""
        busy, orders = self._free_at > self._clock, len(self._orders)
        self._readings.append(Reading(self._clock, busy, orders, sum(self._orders)))
        return self._clock

    def train(self, images: int) -> None:
        """Order a training step with so many images. The order is given at once, and done later."""
        self._clock += self.LAUNCH
        self._orders.append(images)
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
CLOSE = 0.005  # to read a clock and to give orders takes a little time, too


@check
def mended_benchmark(benchmark: Callable[[PretendGPU, list[int]], Any]) -> str | None:
    """A function (gpu, batches) to the images a second of a whole epoch, when all is compiled.

    ``batches`` are the numbers of images of the batches of an epoch. Prints how many faults there
    were, as soon as none is left.
    """
    for batches, options in TIMED:
        gpu = PretendGPU(**options)
        found = real_number(returned(benchmark(gpu, list(batches))))
        case = f"an epoch of {len(batches)} batches, {sum(batches):,} images:"
        if found is None:
            return f"{case} give a number of images a second"
        fault = timing_fault(gpu, batches, found)
        if fault is not None:
            return f"{case} {fault}"
    print(f"the function had {FAULTS} faults, and yours has none of them")
    return None


# Times between two readings
Spans = Sequence[tuple[Reading, Reading]]


def timing_fault(gpu: PretendGPU, batches: Sequence[int], found: float) -> str | None:
    """What is wrong with a measurement, or None."""
    if len(gpu._readings) < 2:
        return "a duration needs two readings of the clock"
    # Times between neighbouring readings in which something was ordered.
    spans = []
    for start, stop in pairwise(gpu._readings):
        if stop.orders > start.orders:
            spans.append((start, stop))
    if not spans:
        return "nothing was ordered between two readings of the clock"

    right = sum(batches) / sum(map(gpu._seconds_for, batches))
    if abs(found / right - 1) > CLOSE:
        return wrong_speed(gpu, batches, spans, found)
    # Who knows how the device works can calculate what was asked for from other steps.
    if not timed_sizes(gpu).issuperset(batches):
        return "that was calculated from other batches than those of the epoch"
    return None


def timed_sizes(gpu: PretendGPU) -> set[int]:
    """Sizes of batches between two readings at which the device had nothing left to do."""
    idle = [reading for reading in gpu._readings if not reading.busy]
    sizes: set[int] = set()
    for start, stop in pairwise(idle):
        if span_fault(gpu, start, stop) is None:
            sizes.update(gpu._orders[start.orders : stop.orders])
    return sizes


def wrong_speed(gpu: PretendGPU, batches: Sequence[int], spans: Spans, found: float) -> str:
    """What seems to be wrong with a speed, from the readings that it was made of."""
    # Of an epoch's images, rightly counted or not, the readings make the number that was found.
    for images in (sum(batches), len(batches) * batches[0]):
        used = used_times(gpu, spans, images, found)
        if used is not None:
            return first_fault(gpu, used) or wrong_number(gpu, batches, found)

    if of_other_batches(gpu, spans, found):
        return "that is the speed of other batches than those of the epoch"
    return first_fault(gpu, spans[-1:]) or wrong_number(gpu, batches, found)


def wrong_number(gpu: PretendGPU, batches: Sequence[int], found: float) -> str:
    """What was made of times that were rightly measured."""
    seconds = sum(map(gpu._seconds_for, batches))
    for number, sentence in (
        (seconds, "that is a time, and not a speed"),
        (seconds / sum(batches), "that is the time of an image, and not a speed"),
        (len(batches) / seconds, "those are batches a second, and images were asked for"),
    ):
        if abs(found / number - 1) <= CLOSE:
            return sentence
    return (
        "the clock was read at the right moments; count the images again, and look how single "
        "steps are joined"
    )


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
