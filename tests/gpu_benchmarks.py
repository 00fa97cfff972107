"""What a training step of ResNet-9 costs on a GPU: rows of benchmarks.py.

It is measured with the device's own events. It runs on a CPU too, with a narrow net, so that a
machine without a GPU can test it.
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
from helpers.experiments.recipe import Recipe
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


def matrix_rate(device: torch.device, size: int = 8192, rounds: int = 20) -> float:
    """Multiply-adds a second of square matrices, in half precision where the device has one."""
    a, b = torch.randn(2, size, size, device=device, dtype=half_precision(device) or torch.float32)
    a @ b
    start = mark(device)
    for _ in range(rounds):
        a @ b
    return rounds * size**3 / between(start, mark(device))


def multiply_adds(recipe: Recipe, shape: tuple[int, ...]) -> float:
    """Those of one image on its way forward and back."""
    model, images = recipe.build_model(), torch.zeros(2, *shape)
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
        100 * speed * multiply_adds(recipe, data.train.images.shape[1:]) / matrix_rate(device, size)
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


def gpu_rows(data: ImageData, recipe: Recipe) -> list[Row]:
    """The rows where there is a GPU, and elsewhere one that says so."""
    if pick_device().type != "cuda":
        return [Row("ResNet-9: speed, share of data, memory", "on a GPU")]
    return step_rows(data, recipe, pick_device(), torch.cuda.get_device_name())
