"""Whole data sets as uint8 tensors in one fixed order, cached, and normalised batches of them on a device."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from collections.abc import Callable, Iterator, Sequence

import torch

from helpers.data import practice
from helpers.data.known import KNOWN, DataError
from helpers.data.sources import Pool, Source, class_folders, download, torchvision_folder
from helpers.environment import ROOT, data_root, replacing, smoke, unknown

PRACTICE_SIZES = {"train": 12_000, "test": 2_000}
SMOKE_SIZES = {"train": 2_000, "test": 500}


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Images uint8 [N, C, H, W], labels int64 [N], and a mean and deviation per channel (1 is white)."""

    images: torch.Tensor = field(repr=False)
    labels: torch.Tensor = field(repr=False)
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str = ""  # shown on every picture that is drawn from the split

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: slice | Sequence[int] | torch.Tensor) -> ImageSplit:
        """The images at these indices (a slice, whole numbers or a mask), in that order."""
        indices = indices if isinstance(indices, (slice, torch.Tensor)) else list(indices)
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


def load(
    name: str,
    root: str | Path | None = None,
    validation: int = 5000,
    seed: int = 0,
    test: bool = True,
) -> ImageData:
    """MNIST (``"mnist"``) or CIFAR-10 (``"cifar10"``), whole, from the first place that has it.

    The places: torchvision's files in ``root`` (``COURSE_DATA`` or ``data/`` unless given), class folders or zips
    there, a download, practice data (at once where ``COURSE_SMOKE=1`` and no ``root`` is given). The images of a split
    lie in the order of the SHA-1 of their pixels. ``validation`` of the training images, chosen by ``seed``, are split
    off (at most a quarter of practice). With ``test=False`` the test images are not even read; ``.test`` is empty.
    Raises DataError where the name is unknown, a local file is damaged or unreadable, or ``validation`` does not fit.
    """
    if name not in KNOWN:
        raise DataError(str(unknown("data set", name, KNOWN)))
    known, folder = KNOWN[name], data_root() if root is None else Path(root).expanduser()
    try:
        source = _find(name, folder, real=root is not None or not smoke())
        pools = {
            split: _read(name, source, folder, split)
            for split in (("train", "test") if test else ("train",))
        }
    except OSError as problem:
        raise DataError(
            f"{problem.filename or folder} cannot be read ({problem.strerror or problem}): make it "
            "readable, or name another folder in COURSE_DATA"
        ) from problem
    count = len(pools["train"][1])
    if source.kind == "practice":
        validation = min(validation, count // 4)
    if not isinstance(validation, int) or not 0 <= validation < count:
        raise DataError(
            f"validation={validation} of {count:,} training images of {known.title}: give 0 to {count - 1}"
        )
    note = "practice data" if source.kind == "practice" else ""
    whole = {
        split: ImageSplit(*pools[split], known.classes, known.mean, known.std, note)
        for split in pools
    }
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    chosen = torch.isin(torch.arange(count), order[:validation])
    train, held_out, none = (whole["train"].subset(part) for part in (~chosen, chosen, slice(0)))
    return ImageData(
        name,
        source.kind,
        known.classes,
        known.mean,
        known.std,
        train,
        held_out,
        whole.get("test", none),
    )


def _find(name: str, folder: Path, real: bool) -> Source:
    """The first place that holds the data set; practice data, after a printed line, where none does or not ``real``."""
    if real:
        source = torchvision_folder(name, folder) or class_folders(name, folder)
        if source := source or (None if smoke() else download(name, folder)):
            return source
    title, sizes = KNOWN[name].title, SMOKE_SIZES if smoke() else PRACTICE_SIZES
    print(
        f"PRACTICE DATA: drawn {practice.TITLES[name]} stand in for {title}; results say nothing about {title}."
    )
    return Source(
        "practice",
        [],
        lambda split: practice.draw(name, sizes[split], seed=list(sizes).index(split)),
    )


def _in_fixed_order(images: torch.Tensor, labels: torch.Tensor) -> Pool:
    """A pool sorted by the SHA-1 of every image's pixels (C, H, W), equal images by label."""
    keys = [
        (hashlib.sha1(image).digest(), label)
        for image, label in zip(images.numpy(), labels.tolist())
    ]
    order = torch.tensor(sorted(range(len(keys)), key=keys.__getitem__))
    return images[order], labels[order]


def _read(name: str, source: Source, root: Path, split: str) -> Pool:
    """One split in the fixed order, from the cache that bears the fingerprint of its source, or read and cached."""
    if not source.files:  # drawn, which takes a second or two
        return _in_fixed_order(*source.read(split))
    stats = [
        (path.parent.name, path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for path in source.files
    ]
    file = f"{name}-{split}-{hashlib.sha256(repr(stats).encode()).hexdigest()[:12]}.pt"
    for folder in (root, ROOT / "data"):
        with contextlib.suppress(
            Exception
        ):  # a damaged cache can raise anything; reading the source is always safe
            images, labels = torch.load(folder / file, weights_only=True)
            if images.dtype == torch.uint8 and images.shape == (len(labels), *KNOWN[name].shape):
                return images, labels
    pool = _in_fixed_order(*source.read(split))
    # an administrator may write anywhere; a folder whose mode says read-only is left alone all the same
    folder = root if os.access(root, os.W_OK) and root.stat().st_mode & 0o222 else ROOT / "data"
    try:
        with replacing(folder / file) as temporary, open(temporary, "wb") as opened:
            torch.save(list(pool), opened)
    except (OSError, RuntimeError):  # torch wraps a failed write into a RuntimeError
        print(
            f"{file} could not be cached (no space, or no right to write); the next load decodes again."
        )
    return pool


class Batches:
    """Normalised batches of a split, like a DataLoader's: images float32 [B, C, H, W], labels int64 [B], on ``device``.

    The split moves there once, as uint8; a batch becomes float in [0, 1], then ``augment(images, generator)``, then is
    normalised; the last may be smaller. Order (with ``shuffle``) and augmentation draw from ``generator``, one of the
    CPU, by default with torch's initial seed. Raises DataError for ``batch_size`` < 1 and for an empty split.
    """

    def __init__(
        self,
        split: ImageSplit,
        batch_size: int,
        augment: Callable[..., torch.Tensor] | None = None,
        shuffle: bool = False,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise DataError(f"batch_size={batch_size!r}: give a whole number of at least 1")
        if not len(split):
            raise DataError(
                "the split holds no images: load it with validation > 0, or batch another split"
            )
        self.split, self.batch_size, self.augment, self.shuffle = (
            split,
            batch_size,
            augment,
            shuffle,
        )
        self.device = torch.device(device or "cpu")
        self.generator = generator or torch.Generator().manual_seed(torch.initial_seed())
        self._images, self._labels = split.images.to(self.device), split.labels.to(self.device)
        self._mean, self._std = torch.tensor([split.mean, split.std], device=self.device).view(
            2, -1, 1, 1
        )

    def __len__(self) -> int:
        return -(-len(self.split) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        count = len(self.split)
        order = (
            torch.randperm(count, generator=self.generator) if self.shuffle else torch.arange(count)
        )
        for indices in order.to(self.device).split(self.batch_size):
            images = self._images[indices] / 255
            if self.augment is not None:
                images = self.augment(images, self.generator)
            yield (images - self._mean).div_(self._std), self._labels[indices]
