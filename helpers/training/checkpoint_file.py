"""Checkpoint files: written whole or not at all, and never believed when they are damaged."""

import errno
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from helpers.environment import CourseError, replacing, short_reason

# A full disk, a used-up quota, a file larger than the system allows.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What every checkpoint of fit holds.
PARTS = {"model", "optimizer", "schedules", "random", "begun_with", "epochs"}


def write(path: Path, content: bytes) -> None:
    """Put a file in place whole, or not at all. Raises ``CourseError`` with the reason."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        # The file that was there is still whole: only the temporary one was cut short.
        if problem.errno in FULL:
            raise CourseError(
                f"no space left in {path.parent} for the checkpoint {path.name} ({reason}): make "
                "room, and the same command goes on from the epoch before"
            ) from problem
        raise CourseError(
            f"the checkpoint {path} cannot be written ({reason}): name a file in another folder"
        ) from problem


def read(path: Path) -> dict[str, Any]:
    """The state in a file. Raises ``CourseError`` where it cannot be read, or holds none."""
    # A folder, or a file that may not be read, is not damaged.
    try:
        content = path.read_bytes()
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise CourseError(f"the checkpoint {path} cannot be read ({reason})") from problem

    # torch writes a checksum for every part of the file, but does not check it.
    damage = find_damage(content)
    if damage:
        raise CourseError(
            f"the file {path} is damaged, or no checkpoint ({damage}): name another file; if it "
            "was this run's checkpoint, delete it, and the run begins anew"
        )

    # weights_only: without running any code that a foreign file may hold.
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        parts = set(state)
    except Exception as problem:  # a foreign pickle can raise anything
        raise CourseError(
            f"the file {path} is no checkpoint that can be read here ({short_reason(problem)}): "
            "name another file"
        ) from problem

    # Weights alone, for example, which torch.save also writes.
    if not isinstance(state, dict) or not parts.issuperset(PARTS):
        raise CourseError(
            f"the file {path} is no checkpoint of fit, but something else that torch saved: name "
            "another file"
        )
    return state


def find_damage(content: bytes) -> str:
    """What is wrong with the bytes of a file of torch's, in words; empty where nothing is."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            part = archive.testzip()
    except Exception as problem:  # damaged bytes can raise anything
        return short_reason(problem)
    if part is None:
        return ""
    return f"the checksum of {part} is wrong"


def check_readable(content: bytes) -> None:
    """Raise ``CourseError`` for a state that could be saved, but never be loaded again."""
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as problem:  # an object of any kind may hide in an optimizer's state
        raise CourseError(
            "this run cannot be kept in a checkpoint, because its state holds more than numbers "
            f"and tensors ({short_reason(problem)}): train it without one"
        ) from problem


def plain(value: Any) -> Any:
    """The same value as ``torch.load(weights_only=True)`` reads it.

    NumPy's numbers, of a learning rate for example, become Python's.
    """
    # A rate from numpy.geomspace would be saved as an object that is not loaded again.
    if isinstance(value, np.generic):
        return value.item()

    # Containers, item by item; dictionaries keep their type (a schedule may need a Counter).
    if isinstance(value, dict):
        kept = type(value)()
        for name, item in value.items():
            kept[plain(name)] = plain(item)
        return kept
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    return value
