"""Whole data sets as uint8 tensors in one fixed order, cached, and normalised batches of them on a device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Callable, Iterator, Sequence

import torch

from helpers.cache import cached, in_fixed_order
from helpers.class_folders import class_folders
from helpers.environment import data_root, smoke, unknown
from helpers.sources import KNOWN, DataError, Pool, Source, download, torchvision_folder

__all__ = ["Batches", "DataError", "ImageData", "ImageSplit", "load"]

PRACTICE_SIZES = {"train": 12_000, "test": 2_000}
SMOKE_SIZES = {"train": 2_000, "test": 500}


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Images uint8 [N, C, H, W], labels int64 [N], class names, a mean and deviation per channel (1 is white).

    ``note`` is shown on every picture that is drawn from the split.
    """

    images: torch.Tensor = field(repr=False)
    labels: torch.Tensor = field(repr=False)
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: slice | Sequence[int] | torch.Tensor) -> ImageSplit:
        """The images at these indices (a slice, whole numbers or a mask), in that order."""
        if not isinstance(indices, slice):
            indices = torch.as_tensor(indices)
            indices = indices if indices.dtype == torch.bool else indices.long()
        return replace(self, images=self.images[indices], labels=self.labels[indices])


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set; ``source`` is ``torchvision``, ``folder``, ``download`` or ``practice``."""

    name: str
    source: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the test labels in their fixed order: equal where a test image's index means the same image."""
        return hashlib.sha256(bytes(self.test.labels.tolist())).hexdigest()


def load(name: str, root: str | Path | None = None, validation: int = 5000, seed: int = 0, test: bool = True) -> ImageData:
    """MNIST (``"mnist"``) or CIFAR-10 (``"cifar10"``), whole, from the first place that has it.

    The places: torchvision's files in ``root`` (``COURSE_DATA`` or ``data/`` unless given), class folders or zips
    there, a download, and drawn practice data, which prints a line saying so. ``COURSE_SMOKE=1`` without ``root`` goes
    to practice data at once. Training and test images each lie in the order of the SHA-1 of their pixels, whatever the
    source. ``validation`` of the training images, chosen by ``seed``, are split off (at most a quarter of practice).
    With ``test=False``, as a search wants it, the test images are not even read, and ``.test`` is empty.
    Raises DataError where the name is unknown, a local file is damaged or unreadable, or ``validation`` does not fit.
    """
    if name not in KNOWN:
        raise DataError(str(unknown("data set", name, KNOWN)))
    known = KNOWN[name]
    kind, pools = _read(name, None if root is None else Path(root).expanduser(), ("train", "test") if test else ("train",))
    count = len(pools["train"][1])
    limit = known.train_size if kind == "practice" else count
    if not isinstance(validation, int) or not 0 <= validation < limit:
        raise DataError(f"validation={validation} of {limit:,} training images of {known.title}: give 0 to {limit - 1}")
    held_out = min(validation, count // 4) if kind == "practice" else validation
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:held_out]] = True
    note = "practice data" if kind == "practice" else ""
    train = ImageSplit(*pools["train"], known.classes, known.mean, known.std, note)
    tests = replace(train, images=pools["test"][0], labels=pools["test"][1]) if test else train.subset(slice(0, 0))
    return ImageData(name, kind, known.classes, known.mean, known.std,
                     train.subset(~chosen) if held_out else train, train.subset(chosen), tests)


def _read(name: str, root: Path | None, splits: Sequence[str]) -> tuple[str, dict[str, Pool]]:
    """The kind of the first source that has the data set, and its pools in the fixed order."""
    folder = root or data_root()
    try:
        source = _find(name, folder) if root is not None or not smoke() else None
        if source:
            return source.kind, {split: cached(name, source, folder, split) for split in splits}
    except OSError as problem:
        raise DataError(f"{problem.filename or folder} cannot be read ({problem.strerror or problem}): make it "
                        "readable, or name another folder in COURSE_DATA") from problem
    return "practice", _practice(name, folder, splits)


def _find(name: str, folder: Path) -> Source | None:
    """The first place that holds the data set: torchvision's files, class folders or zips, a download."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is no folder: name one that holds the data sets, or one to put them into")
    found = torchvision_folder(name, folder) or class_folders(name, folder)
    return found or (None if smoke() else download(name, folder))


def _practice(name: str, folder: Path, splits: Sequence[str]) -> dict[str, Pool]:
    """Drawn images instead of real ones, with a line that says so; small and not cached in the smoke profile."""
    from helpers import practice

    print(f"PRACTICE DATA: drawn {practice.TITLES[name]} stand in for {KNOWN[name].title}; results say nothing about "
          f"{KNOWN[name].title}.")
    sizes = SMOKE_SIZES if smoke() else PRACTICE_SIZES
    source = Source("practice", [Path(practice.__file__)],
                    lambda split: practice.draw(name, sizes[split], seed=list(sizes).index(split)))
    if smoke():
        return {split: in_fixed_order(source.read(split)) for split in splits}
    return {split: cached(name, source, folder, split) for split in splits}


class Batches:
    """Normalised batches of a split, like a DataLoader's: images float32 [B, C, H, W], labels int64 [B], on ``device``.

    The split moves to the device once, as uint8; a batch becomes float, in [0, 1], then goes through ``augment(images,
    generator)``, then has the mean taken off and is divided by the deviation. The last batch may be smaller. With
    ``shuffle`` each pass draws an order from ``generator``, which the augmentation goes on drawing from; it is a CPU
    generator, by default one with torch's initial seed. Raises DataError for ``batch_size`` < 1 and for an empty split.
    """

    def __init__(self, split: ImageSplit, batch_size: int, augment: Callable[..., torch.Tensor] | None = None,
                 shuffle: bool = False, device: torch.device | str | None = None,
                 generator: torch.Generator | None = None) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise DataError(f"batch_size={batch_size!r}: give a whole number of at least 1")
        if not len(split):
            raise DataError("the split holds no images: load it with validation > 0, or batch another split")
        self.split, self.batch_size, self.augment, self.shuffle = split, batch_size, augment, shuffle
        self.device = torch.device(device or "cpu")
        self.generator = generator or torch.Generator().manual_seed(torch.initial_seed())
        self._images, self._labels = split.images.to(self.device), split.labels.to(self.device)
        self._mean = torch.tensor(split.mean, device=self.device).view(-1, 1, 1)
        self._std = torch.tensor(split.std, device=self.device).view(-1, 1, 1)

    def __len__(self) -> int:
        return -(-len(self.split) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        count = len(self.split)
        order = torch.randperm(count, generator=self.generator) if self.shuffle else torch.arange(count)
        for indices in order.to(self.device).split(self.batch_size):
            images = self._images[indices].float().div_(255)
            if self.augment is not None:
                images = self.augment(images, self.generator)
            yield (images - self._mean).div_(self._std), self._labels[indices]
