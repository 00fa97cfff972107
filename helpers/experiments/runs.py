"""One training of a recipe, from its seed to its last epoch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from helpers import environment, training
from helpers.data import Batches, ImageData, ImageSplit, load
from helpers.environment import CourseError, smoke
from helpers.experiments.parts import find_part
from helpers.experiments.recipe import Recipe
from helpers.training.precision import loss_scaler

VALIDATION = 5_000  # training images that a search measures on
MEASURED = 1_000  # images per batch where a net is measured: a logit's last digits depend on it
OnEpoch = Callable[[dict[str, float]], None]


class Trained(NamedTuple):
    """What a training leaves: a net, and the rows of its epochs."""

    net: nn.Module
    history: training.History


def train(
    recipe: Recipe, seed: int, train_split: ImageSplit, test_split: ImageSplit, **options: Any
) -> Trained:
    """Train ``recipe`` once, in this process: the net to use, and its history.

    The arguments and errors are those of ``train_net``. The net is what was measured: the averaged
    one, and its views, where the recipe asks for them.
    """
    net, history = train_net(recipe, seed, train_split, test_split, **options)
    return Trained(recipe.measured(net), history)


def train_on(
    recipe: Recipe, seed: int, data: ImageData, searching: bool, threads: int, **options: Any
) -> Trained:
    """Train ``recipe`` once on a data set, with so many threads: what every record is made of.

    It is measured on the test images, or on the validation images where ``searching``. The
    options, the outcome and the errors are those of ``train_net``.
    """
    # Sums are split among the threads, so their number decides the last digits.
    torch.set_num_threads(threads)
    measured_on = data.test
    if searching:
        measured_on = data.validation
    return train_net(recipe, seed, data.train, measured_on, **options)


def train_net(
    recipe: Recipe,
    seed: int,
    train_split: ImageSplit,
    test_split: ImageSplit,
    checkpoint: Path | None = None,
    show: bool = True,
    on_epoch: OnEpoch | None = None,
    team: Any = None,
) -> Trained:
    """Train ``recipe`` once: the net whose weights are recorded, and its history.

    - ``seed``: fixes the first weights, the order of the batches, augmentation and dropout;
    - ``train_split``, ``test_split``: the images to train with, and those to measure on;
    - ``checkpoint``: the file to go on from, and to write after every epoch;
    - ``show``: print a bar, and a line per epoch;
    - ``on_epoch``: called with the row of every finished epoch;
    - ``team``: the processes that train this net together (``training.several.Team``).

    Raises ``CourseError`` as ``training.fit``, and where a batch does not fit into the memory of a
    GPU.
    """
    # The seed comes first: the weights that a new net begins with are drawn too.
    generator = environment.seed_everything(seed)
    device = environment.pick_device()
    model = recipe.build_model().to(device)
    if team is not None:
        model = team.prepare(model)
    if recipe.compile:
        model.compile()

    # The order of the batches has its own generator, so it does not depend on the net.
    batches = training_batches(recipe, train_split, device, generator)
    test_batches = Batches(test_split, MEASURED, device=device)
    optimizer = recipe.build_optimizer(model)
    average = recipe.build_average(model)
    parts: dict[str, Any] = {"step": recipe.build_step()}
    if team is not None:
        images = len(train_split)
        parts = team.together(model, parts["step"], average, recipe.batch_size, images)

    # One call trains: all epochs, measured after each, with a checkpoint after each.
    history: training.History | None
    try:
        history = training.fit(
            model,
            batches,
            test_batches,
            recipe.epochs,
            optimizer,
            recipe.build_scheduler(optimizer, len(batches)),
            loss_fn=recipe.loss,
            average=average,
            views=recipe.build_views(),
            checkpoint=checkpoint,
            show=show,
            on_epoch=on_epoch,
            mixed=recipe.mixed,
            **parts,
        )
    except torch.OutOfMemoryError:
        history = None  # what the failed step held is free only once this block is left

    if history is None:
        raise too_large(recipe, train_split, device)
    # The average is what was measured.
    if average is not None:
        return Trained(average.module, history)
    return Trained(model, history)


def training_batches(
    recipe: Recipe, split: ImageSplit, device: torch.device, generator: torch.Generator
) -> Any:
    """Batches of the recipe's size, augmented, in an order from ``generator``, for ``fit``.

    Raises ``CourseError`` where the recipe's own function for them is not there.
    """
    if recipe.batches:
        return find_part("batches", recipe.batches)(split, recipe, device, generator)
    transform = recipe.build_augment()
    return Batches(split, recipe.batch_size, transform, True, device, generator)


def too_large(recipe: Recipe, split: ImageSplit, device: torch.device) -> CourseError:
    """The error of a batch that does not fit into a device's memory, with the size that does."""
    # Tried out here, because no formula knows what a device and its libraries take.
    size = largest_batch(recipe, split, device)
    advice = "and no smaller ones do"
    if size > 0:
        advice = f"those of {size} do"
    return CourseError(
        f"{recipe.name}: batches of {recipe.batch_size} do not fit into the free memory of the "
        f"{device.type} device, {advice}: end what else uses it, or take that batch_size; "
        "finished epochs are kept"
    )


def largest_batch(recipe: Recipe, split: ImageSplit, device: torch.device) -> int:
    """The largest half, quarter … of a recipe's batch that fits into the memory; 0 if none does."""
    # Only halves are tried, because batch sizes usually are powers of two.
    for halvings in range(1, recipe.batch_size.bit_length()):
        size = recipe.batch_size >> halvings
        if batch_fits(recipe, split.subset(slice(size)), device):
            return size
    return 0


def batch_fits(recipe: Recipe, split: ImageSplit, device: torch.device) -> bool:
    """Whether a training step on all images of a split fits into the device's memory."""
    # The same net, precision and step, on fewer images; what it learns is thrown away.
    model = recipe.build_model().to(device)
    batches = Batches(split, len(split), device=device)
    scaler = loss_scaler(device) if recipe.mixed else None
    try:
        training.train_one_epoch(
            model,
            batches,
            recipe.build_optimizer(model),
            loss_fn=recipe.loss,
            scaler=scaler,
            step=recipe.build_step(),
        )
    except torch.OutOfMemoryError:
        return False
    return True


def load_for(recipe: Recipe, searching: bool) -> ImageData:
    """All training images and the test images; for a search a validation split instead of them.

    A search never has the test images in its hands. Raises ``CourseError`` without real data,
    because a record is evidence. (The fast profile records elsewhere.)
    """
    # Test images that were used to choose a recipe cannot measure it any more.
    if searching:
        data = load(recipe.data, validation=VALIDATION, test=False)
    else:
        data = load(recipe.data, validation=0)

    if data.source == "practice" and not smoke():
        raise CourseError(
            f"no {data.name} data: put it into {environment.data_root()}, name its folder in "
            "COURSE_DATA, or connect to a network and run: python -m helpers data"
        )
    return data
