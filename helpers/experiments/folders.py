"""The folder that a run goes on from, named after all that its numbers depend on."""

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path

import torch

from helpers.data import ImageData
from helpers.environment import pick_device, runs_root
from helpers.experiments.reach import PACKAGE, code_digest
from helpers.experiments.recipe import Recipe


def run_folder(
    recipe: Recipe, data: str, threads: int, searching: bool = False, package: Path = PACKAGE
) -> Path:
    """The folder of a recipe's checkpoints, one file a seed; ``package`` is where the code lies.

    Its name holds a digest of the recipe, the data (``data_digest``), the number of threads, the
    device, torch's version, and the content of every file that the training reaches. A change of
    any of them leads to another folder, so that no epoch is ever taken for another net's.
    """
    # Results repeat exactly only where all of this is equal.
    machine = [threads, pick_device().type, torch.__version__]
    key = [recipe.hyperparameters(), data, code_digest(recipe, package), *machine]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()

    # The beginning of the folder's name is for people.
    kind = "search" if searching else "experiments"
    readable = re.sub("[^a-z0-9]+", "-", recipe.name)
    return runs_root() / kind / f"{readable}-{digest[:10]}"


def checkpoint_in(folder: Path, seed: int) -> Path:
    """The checkpoint of one seed in the folder of its recipe."""
    return folder / f"seed-{seed}.checkpoint"


def data_digest(data: ImageData) -> str:
    """SHA-256 of all pixels and labels: of the training, the validation and the test images."""
    digest = hashlib.sha256(data.name.encode())
    for split in (data.train, data.validation, data.test):
        # The shape as well: equal bytes can be other images.
        digest.update(str(list(split.images.shape)).encode())
        digest.update(split.images.contiguous().numpy().data)
        digest.update(split.labels.contiguous().numpy().data)
    return digest.hexdigest()


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove what processes left of a file ``name`` when they were killed while they wrote it.

    A temporary file of ``environment.replacing`` is called ``.NAME.PID.RANDOM.tmp``. Those of
    processes that live are left alone: they are being written.
    """
    for file in folder.glob(f".{name}.*.tmp"):
        process = file.name.split(".")[-3]
        if process.isdecimal() and not is_alive(int(process)):
            with contextlib.suppress(OSError):  # as where another process removed it first
                file.unlink()


def is_alive(process: int) -> bool:
    """Whether there is a process of that number. On Windows, where asking would end it: False.

    (There the system itself refuses to remove a file that is being written.)
    """
    if os.name == "nt":
        return False
    try:
        os.kill(process, 0)  # signal 0 does nothing, and fails where there is nobody to get it
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # somebody else's process; a number too large for any
    return True
