"""One training of a recipe, from its seed to its last epoch."""

import contextlib
from pathlib import Path
from collections.abc import Callable

import torch
from torch import nn

from helpers import environment, training
from helpers.data import Batches, ImageData, ImageSplit, load
from helpers.environment import CourseError, smoke
from helpers.experiments.recipe import Recipe

VALIDATION = 5_000  # training images that a search measures on
MEASURED = 1_000  # images a batch where a net is measured: a logit's last digits depend on it
OnEpoch = Callable[[dict[str, float]], None]
Trained = tuple[nn.Module, training.History]


def train(
    recipe: Recipe,
    seed: int,
    train_split: ImageSplit,
    test_split: ImageSplit,
    checkpoint: Path | None = None,
    show: bool = True,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train ``recipe`` once, in this process: the model to use (the averaged one where asked for) and its history.

    Raises ``CourseError`` as ``training.fit``, and where a batch does not fit into the memory of a GPU.
    """
    generator, device = environment.seed_everything(seed), environment.pick_device()
    model = recipe.build_model().to(device)
    if recipe.compile:
        model.compile()
    optimizer = recipe.build_optimizer(model)
    batches = Batches(
        train_split, recipe.batch_size, recipe.build_augment(), True, device, generator
    )
    average = training.moving_average(model, recipe.average) if recipe.average else None
    try:
        history = training.fit(
            model,
            batches,
            Batches(test_split, MEASURED, device=device),
            recipe.epochs,
            optimizer,
            recipe.build_scheduler(optimizer, len(batches)),
            loss_fn=recipe.loss,
            average=average,
            checkpoint=checkpoint,
            show=show,
            on_epoch=on_epoch,
            mixed=recipe.mixed,
        )
        return (average.module if average else model), history
    except torch.OutOfMemoryError:
        pass  # what the failed step held is free once this block is left
    fits = fitting(recipe, train_split, device)
    raise CourseError(
        f"{recipe.name}: batches of {recipe.batch_size} do not fit into the free memory of the "
        f"{device.type} device, {f'those of {fits} do' if fits else 'and no smaller ones do'}: end what "
        "else uses it, or take that batch_size; finished epochs are kept"
    )


def fitting(recipe: Recipe, split: ImageSplit, device: torch.device) -> int:
    """The largest half, quarter … of a recipe's batch whose training step fits into the device's memory; 0 if none."""
    size = recipe.batch_size
    while size := size // 2:
        with contextlib.suppress(torch.OutOfMemoryError):
            model, batches = (
                recipe.build_model().to(device),
                Batches(split.subset(slice(size)), size, device=device),
            )
            training.train_one_epoch(model, batches, recipe.build_optimizer(model))
            break
    return size


def load_for(recipe: Recipe, searching: bool) -> ImageData:
    """All training images and the test images; for a search a validation split, and no test images at all.

    Raises ``CourseError`` without real data, because a record is evidence. (The fast profile records elsewhere.)
    """
    data = load(recipe.data, validation=VALIDATION if searching else 0, test=not searching)
    if data.source == "practice" and not smoke():
        raise CourseError(
            f"no {data.name} data: put it into {environment.data_root()}, name its folder in "
            "COURSE_DATA, or connect to a network and run: python -m helpers data"
        )
    return data
