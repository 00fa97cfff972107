"""Checkpoint files: written whole or not at all, and never believed when they are damaged."""

import hashlib
import io
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from helpers.environment import CourseError, short_reason
from helpers.writing import FULL, replacing

# What every checkpoint of fit holds.
PARTS = {"model", "optimizer", "schedules", "random", "begun_with", "epochs"}

# Containers and numbers that torch is known to load again; what else it loads is tried out.
TABLES = (dict, OrderedDict, Counter)
NUMBERS = (bool, int, float, str, bytes, type(None), torch.Tensor, nn.Parameter)
# After this mark a file ends with the SHA-256 of all that comes before it.
MARK = b"SHA-256:"
# Under this name lies a number or an array of NumPy's, as a tensor.
NUMPY = "NumPy's"


def write(path: Path, content: bytes) -> None:
    """Put a file in place whole, or not at all. Raises ``CourseError`` with the reason."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(sealed(content))
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
        raise damaged(path, damage)

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

    # A part that torch reads otherwise than it was written may still have its right checksum.
    if not is_sealed(content):
        raise damaged(path, "its SHA-256 is missing, as in files of an earlier version")
    return state


def damaged(path: Path, reason: str) -> CourseError:
    """The error of a file that may have been a checkpoint once."""
    return CourseError(
        f"the file {path} is damaged, or no checkpoint ({reason}): name another file; if it "
        "was this run's checkpoint, delete it, and the run begins anew"
    )


def sealed(content: bytes) -> bytes:
    """The content with its SHA-256 at the end, where torch does not read it."""
    return content + MARK + hashlib.sha256(content).hexdigest().encode()


def is_sealed(content: bytes) -> bool:
    """Whether a file ends with the SHA-256 of what comes before it."""
    inner, _, _ = content.rpartition(MARK)
    return sealed(inner) == content


def find_damage(content: bytes) -> str:
    """What is wrong with the bytes of a file of torch's, in words; empty where nothing is."""
    if MARK in content[-100:] and not is_sealed(content):
        return "its SHA-256 is wrong"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            part = archive.testzip()
    except Exception as problem:  # damaged bytes can raise anything
        return short_reason(problem)
    if part is None:
        return ""
    return f"the checksum of {part} is wrong"


def check_kept(state: dict[str, Any]) -> None:
    """Raise ``CourseError`` for a packed state that could never be loaded again, and say why."""
    for part, value in state.items():
        found = unkept(value, part)
        if found:
            raise CourseError(
                "this run cannot be kept in a checkpoint, because its state holds more than "
                f"numbers and tensors ({found}): train it without one"
            )


def unkept(value: Any, name: str) -> str:
    """The first thing in a value that torch would not load again, with its type; or nothing.

    ``name`` is what the value itself is called.
    """
    # Containers, item by item: their names lead to the thing.
    items: Iterable[tuple[Any, Any]] = ()
    if type(value) in TABLES:
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    elif type(value) not in NUMBERS:
        return loading_problem(value, name)
    for key, item in items:
        found = unkept(item, f"{name}[{key!r}]")
        if found:
            return found
    return ""


def loading_problem(value: Any, name: str) -> str:
    """The name and the type of a value that torch does not load again; nothing where it does."""
    file = io.BytesIO()
    try:
        torch.save(value, file)
        torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    except Exception:  # an object can raise anything while it is saved
        return f"{name} is a {type(value).__name__}"
    return ""


def file_path(checkpoint: Any) -> Path:
    """The path of a checkpoint; ``~`` is the reader's own folder."""
    try:
        return Path(checkpoint).expanduser()
    except TypeError:
        raise CourseError(
            f"checkpoint={checkpoint!r} is no file: give its path, such as 'runs/first.pt'"
        ) from None


# NumPy's numbers and arrays are objects that torch does not load again.


def plain(value: Any) -> Any:
    """A copy of a value in Python's own numbers and lists, to be compared with another one."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    # A schedule may change a rate that is a tensor in place.
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return in_containers(plain, value)


def packed(value: Any) -> Any:
    """The same value with NumPy's numbers and arrays as tensors, until ``unpacked``.

    A run then goes on with numbers of the same type, which round as those of the unbroken run.
    """
    if isinstance(value, np.generic) or type(value) is np.ndarray:
        try:
            tensor = torch.from_numpy(np.array(value, order="C"))
        except TypeError:  # words, dates and objects
            return value
        return {NUMPY: tensor, "number": isinstance(value, np.generic)}
    return in_containers(packed, value)


def unpacked(value: Any) -> Any:
    """What ``packed`` was given."""
    if isinstance(value, dict) and NUMPY in value:
        array = value[NUMPY].numpy()
        if value["number"]:
            return array[()]
        return array
    return in_containers(unpacked, value)


def in_containers(change: Callable[[Any], Any], value: Any) -> Any:
    """The value with every item of a container changed; dictionaries keep their type."""
    if isinstance(value, dict):
        kept = type(value)()  # a schedule may need a Counter
        for name, item in value.items():
            kept[plain(name)] = change(item)
        return kept
    if isinstance(value, list):
        return [change(item) for item in value]
    if isinstance(value, tuple):
        return tuple(change(item) for item in value)
    return value
