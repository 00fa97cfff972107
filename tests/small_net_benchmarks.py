"""Whether a small net's training gets cheaper on a CPU by another loop: rows of benchmarks.py."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from gpu_benchmarks import Row

from helpers import training
from helpers.data import ImageSplit
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.recipe import Recipe
from helpers.experiments.runs import training_batches

# The net of 6,084 parameters by session 04's recipe.
RECORDED = EXPERIMENTS["ladder-fewer"]


def epoch_of(
    recipe: Recipe,
    split: ImageSplit,
    layout: torch.memory_format = torch.channels_last,
    fused: bool = False,
) -> Callable[[], Any]:
    """One epoch over a split, to be called again and again."""
    model = recipe.build_model().to(memory_format=layout)
    if recipe.compile:
        model.compile()
    optimizer = recipe.build_optimizer(model)
    if fused:
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    batches = training_batches(recipe, split, torch.device("cpu"), torch.Generator())
    average = recipe.build_average(model)
    return lambda: training.train_one_epoch(model, batches, optimizer, recipe.loss, average=average)


def small_net_rows(split: ImageSplit, batches: int, rounds: int, compiled: bool) -> list[Row]:
    """Images a second as recorded, and in ways that might be cheaper.

    split: training digits, of which ``batches`` times 256 are used
    rounds: the best of so many counts
    compiled: whether torch.compile is tried, which needs a C++ compiler, and time to compile
    """
    split = split.subset(slice(256 * batches))
    ways = {
        "as recorded": epoch_of(RECORDED, split),
        "channels first": epoch_of(RECORDED, split, layout=torch.contiguous_format),
        "batches of 256": epoch_of(replace(RECORDED, batch_size=256), split),
        "fused AdamW": epoch_of(RECORDED, split, fused=True),
        "not averaged": epoch_of(replace(RECORDED, average=0.0), split),
    }
    if compiled and shutil.which("c++"):
        ways["torch.compile"] = epoch_of(replace(RECORDED, compile=True), split)
    # The first epoch warms up. A compiled net, which comes last, is compiled in it.
    first_epoch = 0.0
    for epoch in ways.values():
        start = time.perf_counter()
        epoch()
        first_epoch = time.perf_counter() - start

    speeds = dict.fromkeys(ways, 0.0)
    for name in [*ways] * rounds:
        start = time.perf_counter()
        ways[name]()
        speed = len(split) / (time.perf_counter() - start)
        speeds[name] = max(speeds[name], speed)

    n, threads = f"{len(split):,} images", str(torch.get_num_threads())
    rows = []
    for name, speed in speeds.items():
        gain = speed / speeds["as recorded"]
        measured = f"{speed:,.0f}/s, {gain:.2f} ×"
        rows.append(Row(f"training the 6,084 net: {name}", measured, n=n, threads=threads))
    if "torch.compile" in ways:
        seconds = first_epoch - len(split) / speeds["torch.compile"]
        what = "… what torch.compile needs before its first epoch"
        rows.append(Row(what, f"{seconds:.0f} s", threads=threads))
    return rows
