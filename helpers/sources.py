"""What is known of each data set, its files as torchvision lays them out, and their download."""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import socket
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch

from helpers.environment import CourseError


class DataError(CourseError):
    """A data set that cannot be read or used as asked; one line that names the file or value and the way out."""


@dataclass(frozen=True)
class Known:
    """What is known of a data set before it is read; ``shape`` is (channels, height, width), 1 is white for mean, std.

    ``folder`` is where torchvision keeps it below the data root, ``md5`` the published sum of each file there.
    """

    title: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shape: tuple[int, int, int]
    train_size: int
    folder: str
    md5: dict[str, str]


KNOWN = {
    "mnist": Known("MNIST", tuple("0123456789"), (0.1307,), (0.3081,), (1, 28, 28), 60_000, "MNIST/raw", {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637"}),
    "cifar10": Known(
        "CIFAR-10", ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), (3, 32, 32), 50_000, "cifar-10-batches-py", {
            "data_batch_1": "c99cafc152244af753f735de768cd75f", "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751", "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb", "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888"}),
}
NETWORK_TIMEOUT = 10  # seconds without an answer before a download is given up

Pool = tuple[torch.Tensor, torch.Tensor]
"""Images uint8 [N, C, H, W] and labels int64 [N] of a split, ``train`` or ``test``."""


@dataclass(frozen=True)
class Source:
    """A place that holds a whole data set: its kind, the files that a cache is keyed by, and how to read a split."""

    kind: str
    files: list[Path]
    read: Callable[[str], Pool]


def entries(folder: Path) -> list[str]:
    """Sorted names in a folder, hidden ones left out; none where there is no such folder."""
    try:
        return sorted(entry for entry in os.listdir(folder) if not entry.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def damaged(path: Path, what: str, away: str = "") -> DataError:
    """The error for a local file that cannot be trusted; ``away`` is what to move to have a download instead."""
    away = away or f"{path.parent.name}/"
    return DataError(f"{path} {what}: put a good copy there, or move {away} away to have the data downloaded")


def writable(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that exists, is meant to be written to."""
    while not folder.exists():
        folder = folder.parent
    # an administrator may write anywhere; a folder whose mode says read-only is left alone all the same
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def torchvision_folder(name: str, root: Path, kind: str = "torchvision") -> Source | None:
    """The data set as torchvision lays it out: ``MNIST/raw/*-ubyte`` or ``cifar-10-batches-py/``."""
    folder, files = root / KNOWN[name].folder, KNOWN[name].md5
    present = entries(folder)
    missing = [file for file in files if file not in present]
    if len(missing) == len(files):
        return None
    if missing:
        raise damaged(folder / missing[0], "is missing")
    read = {"mnist": _read_idx, "cifar10": _read_pickles}[name]
    return Source(kind, [folder / file for file in files], lambda split: read(folder, split))


def _check_md5(path: Path, expected: str) -> None:
    if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != expected:
        raise damaged(path, "is corrupted (its md5 sum is not the published one)")


def _check_idx(path: Path) -> None:
    """Raise where an idx file is cut short, of another shape, holds a label past 9, or other bytes than published."""
    data = path.read_bytes()
    dimensions = 3 if "images" in path.name else 1
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes((0, 0, 8, dimensions)):
        raise damaged(path, f"is no idx file of {'images' if dimensions == 3 else 'labels'}")
    sizes = struct.unpack(f">{dimensions}I", data[4:start])
    if len(data) != start + math.prod(sizes):
        raise damaged(path, f"has {len(data):,} bytes where its header promises {start + math.prod(sizes):,}")
    if dimensions == 3 and sizes[1:] != (28, 28):
        raise damaged(path, f"holds images of {sizes[1]}×{sizes[2]} pixels, not 28×28")
    if dimensions == 1 and max(data[start:], default=0) > 9:
        raise damaged(path, f"holds the label {max(data[start:])}, past 9")
    _check_md5(path, KNOWN["mnist"].md5[path.name])


def _read_idx(folder: Path, split: str) -> Pool:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    prefix = {"train": "train", "test": "t10k"}[split]
    paths = folder / f"{prefix}-images-idx3-ubyte", folder / f"{prefix}-labels-idx1-ubyte"
    for path in paths:
        _check_idx(path)
    images, labels = read_image_file(str(paths[0])), read_label_file(str(paths[1]))
    if len(images) != len(labels):
        raise damaged(paths[1], f"has {len(labels):,} labels for {len(images):,} images")
    return images.unsqueeze(1), labels


def _read_pickles(folder: Path, split: str) -> Pool:
    from torchvision.datasets import CIFAR10

    for file, expected in KNOWN["cifar10"].md5.items():
        _check_md5(folder / file, expected)
    held = CIFAR10(str(folder.parent), train=split == "train", download=False)
    return torch.from_numpy(held.data).permute(0, 3, 1, 2), torch.tensor(held.targets)


def download(name: str, root: Path) -> Source | None:
    """Fetch the data set into ``root`` by torchvision; None, after one printed line, where that cannot be done."""
    from torchvision import datasets

    if not writable(root):
        print(f"{KNOWN[name].title} was not downloaded: the data folder is read-only.")
        return None
    print(f"Downloading {KNOWN[name].title}; a slow host takes minutes …")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_TIMEOUT)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as fresh:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                {"mnist": datasets.MNIST, "cifar10": datasets.CIFAR10}[name](fresh, download=True)
            for path in torchvision_folder(name, Path(fresh)).files:
                target = root / path.relative_to(fresh)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)
    except Exception as problem:  # a network fails in too many ways to list; practice data follows, and says so
        print(f"{KNOWN[name].title} could not be downloaded ({type(problem).__name__}).")
        return None
    finally:
        socket.setdefaulttimeout(before)
    return torchvision_folder(name, root, "download")
