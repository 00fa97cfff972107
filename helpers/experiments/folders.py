"""The folder that a run goes on from, named after all that its numbers depend on."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from helpers.data import ImageData
from helpers.environment import half_precision, pick_device, runs_root
from helpers.experiments.reach import PACKAGE, code_digest
from helpers.experiments.recipe import Recipe

# What a training is made of, too, where several processes share it.
TOGETHER = "helpers.training.several"


def run_folder(
    recipe: Recipe,
    data: str,
    threads: int,
    searching: bool = False,
    package: Path = PACKAGE,
    together: Any = None,
) -> Path:
    """The folder of a recipe's checkpoints, one file per seed; ``package`` is where the code lies.

    Its name holds a digest of the recipe, the data (``data_digest``), the number of threads, the
    device, the kind of numbers that mixed precision multiplies there, torch's version, and the
    content of every file that the training reaches. A change of any of them leads to another
    folder, so that a run never goes on from the epochs of another net. ``together`` says by how
    many processes each net is trained, and how (``training.several.Team.facts``); None by a single
    one.
    """
    # Results repeat exactly only where all of this is equal.
    machine: list[Any] = [threads, pick_device().type, torch.__version__]
    # The same folder may be seen by a card with bfloat16 today, and by one with float16 tomorrow.
    if recipe.mixed:
        machine.append(str(half_precision(pick_device())))
    code = code_digest(recipe, package)
    if together is not None:
        machine.append(together)
        code = code_digest(recipe, package, [TOGETHER])
    key = [recipe.hyperparameters(), data, code, *machine]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()

    kind = "experiments"
    if searching:
        kind = "search"
    # The beginning of the folder's name is for people.
    readable = re.sub("[^a-z0-9]+", "-", recipe.name)
    return runs_root() / kind / f"{readable}-{digest[:10]}"


def checkpoint_in(folder: Path, seed: int) -> Path:
    """The checkpoint of one seed in the folder of its recipe."""
    return folder / f"seed-{seed}.checkpoint"


def data_digest(data: ImageData) -> str:
    """SHA-256 of what a training gets: pixels, labels, classes, means and deviations.

    All of it counts, of the training, the validation and the test images.
    """
    digest = hashlib.sha256(data.name.encode())
    for split in (data.train, data.validation, data.test):
        # The shape as well: equal bytes can be other images.
        facts = [list(split.images.shape), split.classes, split.mean, split.std]
        digest.update(json.dumps(facts).encode())
        digest.update(split.images.contiguous().numpy().data)
        digest.update(split.labels.contiguous().numpy().data)
    return digest.hexdigest()
