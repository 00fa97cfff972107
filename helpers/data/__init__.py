"""Whole data sets as tensors in one fixed order, and normalised batches of them on a device.

``load`` takes a data set from the first place that has it: published files (``published``), image
folders (``folders``), a download (``downloading``), or practice data (``practice``). What was
decoded once is cached (``cache``). ``Batches`` hands the images out for training.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from helpers.data import cache, practice
from helpers.data.checks import (
    as_places,
    check_augmented,
    check_options,
    check_split,
    usable_device,
)
from helpers.data.downloading import download
from helpers.data.folders import class_folders, zipped_folders
from helpers.data.known import KNOWN, DataError, Known
from helpers.data.published import published_archive, published_files
from helpers.data.sources import Pool, Source, named_folder
from helpers.data.splitting import validation_mask
from helpers.environment import smoke, unknown, whole_number

# Practice data: how many images each split has, and the seed that draws them.
PRACTICE_SIZES = {"train": 12_000, "test": 2_000}
SMOKE_SIZES = {"train": 2_000, "test": 500}  # in the fast profile of the tests
PRACTICE_SEEDS = {"train": 0, "test": 1}


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Images uint8 [N, C, H, W], labels int64 [N], and what is needed to normalise and name them.

    ``mean`` and ``std`` have one value per channel, where white is 1. ``note`` is shown on every
    picture that is drawn from the split. Raises DataError for images of another type or shape,
    for means and deviations that do not fit them, and for a label that is none of the ``classes``.
    """

    images: torch.Tensor = field(repr=False)
    labels: torch.Tensor = field(repr=False)
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str = ""

    def __post_init__(self) -> None:
        check_split(self.images, self.labels, self.classes, self.mean, self.std)

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: slice | Iterable[int] | torch.Tensor) -> ImageSplit:
        """The images at these indices, in that order: a slice, whole numbers, or a mask.

        A mask has a truth value for every image. Raises DataError for anything else, also for a
        mask of whole numbers: as indices, they would mean the first two images again and again.
        """
        places = as_places(indices, len(self))
        return replace(self, images=self.images[places], labels=self.labels[places])


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
        """SHA-256 of the test labels: where it is equal, an index means the same test image."""
        return hashlib.sha256(bytes(self.test.labels.tolist())).hexdigest()


def load(
    name: str,
    root: str | Path | None = None,
    validation: int = 5000,
    seed: int = 0,
    test: bool = True,
) -> ImageData:
    """MNIST (``"mnist"``) or CIFAR-10 (``"cifar10"``), whole, from the first place that has it.

    The places: torchvision's files in ``root``, class folders there, zips of such folders, the
    packed archive that the authors publish, a download, practice data. The images of a split lie
    in the order of the SHA-1 of their pixels. Where ``COURSE_SMOKE=1`` and no ``root`` is given,
    practice data is drawn at once.

    Args:
        name: the data set.
        root: the folder that holds the data sets; ``COURSE_DATA`` or ``data/`` unless given.
        validation: how many training images are split off (of practice data a quarter at most).
        seed: decides which ones.
        test: whether the test images are read; without them ``.test`` is empty.

    Raises DataError where the name is unknown, a local file is damaged or cannot be read, or
    ``validation`` does not fit.
    """
    # Which data set, and where it may lie.
    if name not in KNOWN:
        raise DataError(str(unknown("data set", name, KNOWN)))
    known = KNOWN[name]
    folder = named_folder(root)

    # Find the place and read the splits from it, or from the cache.
    splits = {}
    try:
        source = find(name, folder, real=root is not None or not smoke())
        for split in ("train", "test"):
            if split == "train" or test:
                pool = cache.read(name, source, folder, split)
                splits[split] = make_split(pool, known, source)
    except BrokenPipeError:
        raise  # nobody reads what is printed any more, and the data are as they should be
    except OSError as problem:
        place = problem.filename or folder
        raise DataError(
            f"{place} cannot be read ({problem.strerror or problem}): "
            "make it readable, or name another folder in COURSE_DATA"
        ) from problem

    # Split the validation images off; what is left keeps its order.
    whole = splits["train"]
    if source.kind == "practice" and whole_number(validation) is not None:
        validation = min(validation, len(whole) // 4)
    held_out = validation_mask(len(whole), validation, seed, known.title)
    return ImageData(
        name=name,
        source=source.kind,
        classes=known.classes,
        mean=known.mean,
        std=known.std,
        train=whole.subset(~held_out),
        validation=whole.subset(held_out),
        test=splits.get("test", whole.subset(slice(0))),
    )


def from_images(
    files: str | Path | Iterable[str | Path],
    labels: Mapping[str, int] | None = None,
    invert: bool = False,
) -> Any:
    """Photographs of handwritten digits, made into inputs: ``photographs.Photographs``.

    Args:
        files: a folder of pictures, a file, or a list of files; one digit to a picture.
        labels: which digit a file shows, by the file's name; ``7.jpg`` and ``7_b.jpg`` say it.
        invert: the digits are light on a dark ground.

    Raises DataError for what is no picture, and for one without ink or with several digits.
    """
    # Named by a text: what reads photographs is no part of any training, whose imports count.
    photographs = importlib.import_module("helpers.data.photographs")
    return photographs.from_images(files, labels, invert)


def find(name: str, folder: Path, real: bool) -> Source:
    """The first place that has the data set; practice data where none has it, or not ``real``."""
    # Places in the data folder, then a download, which the fast profile leaves out.
    if real:
        for look in (published_files, class_folders, zipped_folders, published_archive):
            source = look(name, folder)
            if source is not None:
                return source
        if not smoke():
            source = download(name, folder)
            if source is not None:
                return source

    # No place has it: draw practice data, and say so.
    title = KNOWN[name].title
    drawn = practice.TITLES[name]
    print(f"PRACTICE DATA: drawn {drawn} stand in for {title}; results say nothing about {title}.")
    return Source("practice", [], partial(draw_practice, name))


def draw_practice(name: str, split: str) -> Pool:
    """One split of practice data, drawn by a seed of its own."""
    sizes = PRACTICE_SIZES
    if smoke():
        sizes = SMOKE_SIZES
    return practice.draw(name, sizes[split], seed=PRACTICE_SEEDS[split])


def make_split(pool: Pool, known: Known, source: Source) -> ImageSplit:
    """A pool together with what is known of its data set."""
    images, labels = pool
    note = ""
    if source.kind == "practice":
        note = "practice data"
    return ImageSplit(images, labels, known.classes, known.mean, known.std, note)


class Batches:
    """Normalised batches of a split: images float32 [B, C, H, W] and labels int64 [B].

    They iterate like a ``DataLoader``, and far faster: the whole split lies on the device, as
    uint8, and a batch is cut out, augmented and normalised there at once.

    Args:
        split: the images and labels.
        batch_size: images per batch.
        augment: called as ``augment(images, generator)`` with images in [0, 1]; where it has an
            attribute ``wants_indices = True``, as ``augment(images, generator, indices)`` with
            the images' places in the split, int64 [B].
        shuffle: visit the images in another random order each time.
        device: where the batches are made; the CPU unless given.
        generator: a generator of the CPU that order and augmentation draw from; unless given, one
            that begins with torch's initial seed.
        drop_last: leave out a last batch that is smaller than the others.

    Raises DataError for a ``batch_size`` below 1, for what is no split, or one without images or
    with a wrong label, where ``drop_last`` would leave no batch, and for another option of no use.
    """

    def __init__(
        self,
        split: ImageSplit,
        batch_size: int,
        augment: Callable[..., torch.Tensor] | None = None,
        shuffle: bool = False,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
        drop_last: bool = False,
    ) -> None:
        # Check the arguments first: a wrong label would end the program on a GPU.
        check_options(split, augment, generator)
        size = whole_number(batch_size, least=1)
        if size is None:
            raise DataError(f"batch_size={batch_size!r}: give a whole number of at least 1")
        if len(split) == 0:
            raise DataError(
                "the split holds no images: load it with validation > 0, or batch another split"
            )
        if drop_last and len(split) < size:
            raise DataError(
                f"drop_last leaves no batch: batch_size={size} of {len(split)} images, "
                f"give at most {len(split)}"
            )

        self.split = split
        self.batch_size = size
        self.augment = augment
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.device = usable_device(device)
        self.generator = generator or torch.Generator().manual_seed(torch.initial_seed())

        # The whole split moves to the device once, so that no batch waits for a copy.
        self._images = split.images.to(self.device)
        self._labels = split.labels.to(self.device, torch.int64)
        self._mean = torch.tensor(split.mean, device=self.device).view(-1, 1, 1)
        self._std = torch.tensor(split.std, device=self.device).view(-1, 1, 1)

    def __len__(self) -> int:
        """The number of batches."""
        full, rest = divmod(len(self.split), self.batch_size)
        if rest and not self.drop_last:
            return full + 1
        return full

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        # The order of the images, drawn anew each time, or as they lie.
        count = len(self.split)
        if self.shuffle:
            order = torch.randperm(count, generator=self.generator)
        else:
            order = torch.arange(count)
        if self.drop_last:
            order = order[: len(self) * self.batch_size]

        for indices in order.to(self.device).split(self.batch_size):
            # From bytes to numbers in [0, 1].
            images = self._images[indices] / 255
            images = self._augmented(images, indices)
            # A mean of 0 and a deviation of 1 in every channel.
            images = (images - self._mean).div_(self._std)
            yield images, self._labels[indices]

    def _augmented(self, images: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """The images augmented; an augmentation that asks for their places gets them too."""
        if self.augment is None:
            return images
        if getattr(self.augment, "wants_indices", False):
            images = self.augment(images, self.generator, indices)
        else:
            images = self.augment(images, self.generator)
        check_augmented(images)
        return images

    def set_epoch(self, epoch: int) -> None:
        """Pass the number of the epoch, from 0, on to an augmentation that has a ``set_epoch``.

        The name is that of torch's ``DistributedSampler.set_epoch``. ``fit`` calls it.
        """
        set_epoch = getattr(self.augment, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
