"""What a training step costs on a GPU, and on a CPU: rows of benchmarks.py.

It is measured with the device's own events. What is for a GPU runs on a CPU too, with a narrow net,
so that a machine without a GPU can test it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from helpers.data import Batches, ImageData
from helpers.environment import half_precision, pick_device
from helpers.experiments import load_result
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import is_recorded
from helpers.experiments.runs import training_batches
from helpers.training import train_one_epoch
from helpers.training.precision import loss_scaler


class Row(NamedTuple):
    """One line of the table; ``met`` is None where there is nothing to judge."""

    what: str
    measured: str
    target: str = ""
    met: bool | None = None
    n: str = ""
    threads: str = ""


class Cost(NamedTuple):
    """Of some training steps: seconds in all, seconds that made the batches, and images."""

    seconds: float
    data: float
    images: int


def mark(device: torch.device) -> Any:
    """A point in time: of the GPU's own work there, of the clock elsewhere."""
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def between(start: Any, stop: Any) -> float:
    """Seconds from one mark to another; waits until the GPU has come by the second."""
    if isinstance(start, float):
        return stop - start
    stop.synchronize()
    return start.elapsed_time(stop) / 1000


class Marked:
    """Batches with a mark before and after the making of each."""

    def __init__(self, batches: Iterable, device: torch.device) -> None:
        self.batches, self.device, self.marks, self.images = batches, device, [], 0

    def __iter__(self) -> Iterator[Any]:
        before = mark(self.device)
        for images, targets in self.batches:
            self.marks.append((before, mark(self.device)))
            self.images += len(targets)
            yield images, targets
            before = mark(self.device)


class Training:
    """A recipe's net on a device, in its precision; the first epoch that it trains warms it up."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.model, self.recipe, self.device = recipe.build_model().to(device), recipe, device
        self.optimizer = recipe.build_optimizer(self.model)
        self.scaler = loss_scaler(device) if recipe.mixed else None

    def cost(self, batches: Iterable) -> Cost:
        """Train over the batches once, without a scheduler."""
        marked, start = Marked(batches, self.device), mark(self.device)
        train_one_epoch(self.model, marked, self.optimizer, self.recipe.loss, scaler=self.scaler)
        return Cost(
            between(start, mark(self.device)),
            sum(between(*each) for each in marked.marks),
            marked.images,
        )


def matrix_rate(
    device: torch.device, size: int = 8192, rounds: int = 20, mixed: bool = True
) -> float:
    """Multiply-adds a second of square matrices, of the numbers that a recipe multiplies there."""
    numbers = half_precision(device) if mixed else None
    a, b = torch.randn(2, size, size, device=device, dtype=numbers or torch.float32)
    a @ b
    start = mark(device)
    for _ in range(rounds):
        a @ b
    return rounds * size**3 / between(start, mark(device))


def multiply_adds(recipe: Recipe, shape: tuple[int, ...]) -> float:
    """Those of one image on its way forward and back."""
    model, images = recipe.build_model(), torch.zeros(2, *shape)
    model(images)  # a whitened layer makes its filters in the first pass, which does not count
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(images), torch.zeros(2, dtype=torch.int64)).backward()
    return counter.get_total_flops() / 2 / len(images)


def step_rows(
    data: ImageData,
    recipe: Recipe,
    device: torch.device,
    name: str,
    epochs: int = 3,
    size: int = 8192,
) -> list[Row]:
    """Speed of training against synthetic batches and the device, share of the data, memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    real = Batches(data.train, recipe.batch_size, recipe.build_augment(), True, device)
    synthetic = [next(iter(real))] * len(real)
    training = Training(recipe, device)
    for batches in (real, synthetic):  # both kinds of last batch are met before anything counts
        training.cost(batches)
    ours, made = ([training.cost(batches) for _ in range(epochs)] for batches in (real, synthetic))
    seconds, share = sum(each.seconds for each in ours), 100 * sum(each.data for each in ours)
    speed, best = (
        sum(each.images for each in costs) / sum(each.seconds for each in costs)
        for costs in (ours, made)
    )
    used = (
        100
        * speed
        * multiply_adds(recipe, data.train.images.shape[1:])
        / matrix_rate(device, size, mixed=recipe.mixed)
    )
    held = sum(split.images.nbytes for split in (data.train, data.test)) / 1e6
    n = f"{epochs} × {len(data.train):,} images"
    rows = [
        Row(f"ResNet-9 training, {name}", f"{speed:,.0f} images/s", n=n),
        Row(
            "… of the speed on synthetic batches",
            f"{100 * speed / best:.0f} %",
            "≥ 60 %",
            speed >= 0.6 * best,
            n,
        ),
        Row("… of the matrix rate in its precision", f"{used:.0f} %", n=n),
        Row(
            "… share of data and augmentation in a step",
            f"{share / seconds:.1f} %",
            "≤ 5 %",
            share / seconds <= 5,
            n,
        ),
        Row("CIFAR-10 on the device, as bytes", f"{held:.0f} MB", "≤ 200 MB", held <= 200),
    ]
    if device.type == "cuda":
        peak = torch.cuda.max_memory_reserved() / 1e9
        rows.append(
            Row("peak memory of that training", f"{peak:.2f} GB", "≤ 3.5 GB", peak <= 3.5, n)
        )
    return rows


def speed_rows(
    data: ImageData, recipe: Recipe, device: torch.device, steps: int = 8, size: int = 2048
) -> list[Row]:
    """Images a second of session 08's net, and its share of the matrix rate beside it.

    Matrices and steps take turns, so that both get the same share of a machine that others use.
    Counted are the products of the net; what Muon multiplies is left out, so the share is a little
    too small. The target was set for products of 32 bits, and is asked of them alone. ``size``:
    rows of the matrices.
    """
    split = data.train.subset(slice(recipe.batch_size))
    training = Training(recipe, device)
    batch = training_batches(recipe, split, device, torch.Generator())
    training.cost(batch)  # warm, and the first layer's filters are made
    per_image = multiply_adds(recipe, data.train.images.shape[1:])

    spent, images, rates = 0.0, 0, []
    for _ in range(steps):
        cost = training.cost(batch)
        spent, images = spent + cost.seconds, images + cost.images
        rates.append(matrix_rate(device, size, rounds=4, mixed=recipe.mixed))
    speed, rate = images / spent, len(rates) / sum(1 / each for each in rates)
    used, n = 100 * speed * per_image / rate, f"{steps} steps of {len(split):,}"
    name = f"{recipe.name}: training, {device.type}"
    whole = recipe.epochs * 50_000 / speed / 60
    share = Row("… of the matrix rate in its precision", f"{used:.0f} %", n=n)
    if not (recipe.mixed and half_precision(device)):
        share = share._replace(target="≥ 85 %", met=used >= 85)
    return [
        Row(name, f"{speed:,.1f} images/s", n=n),
        Row("… all its epochs at that speed", f"{whole:,.1f} minutes", n=n),
        Row("… matrices beside it", f"{2 * rate / 1e9:,.1f} GFLOP/s", n=f"{size} × {size}"),
        share,
    ]


def recorded_row(name: str, least: float = 94.0) -> Row:
    """Seconds to the first epoch of a record that reaches ``least`` %, a mean over its seeds.

    They are those of training and measuring, as they were recorded; every seed has to come there.
    """
    what = f"{name}: seconds to {least:g} %, from its record"
    if not is_recorded(name):
        return Row(what, "not recorded yet")
    reached = []
    for history in load_result(name).histories:
        spent = 0.0
        for row in history.epochs:
            spent += row["seconds"]
            if row["test_accuracy"] >= least:
                reached.append(spent)
                break
    count = len(load_result(name).histories)
    n = f"{len(reached)} of {count} seeds"
    if len(reached) < count:
        return Row(what, "not reached", n=n)
    return Row(what, f"{sum(reached) / count:,.1f} s", n=n)


def gpu_rows(data: ImageData, recipe: Recipe, fast: Recipe) -> list[Row]:
    """The rows where there is a GPU, and elsewhere one that says so; ``fast`` is session 08's."""
    device = pick_device()
    if device.type != "cuda":
        return [Row("ResNet-9: speed, share of data, memory", "on a GPU")]
    rows = step_rows(data, recipe, device, torch.cuda.get_device_name())
    return [*rows, *speed_rows(data, fast, device, steps=20, size=8192), recorded_row(fast.name)]
