"""What every place that holds a data set has in common, and the one order of its images."""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from helpers.data.known import DataError
from helpers.environment import data_root

# Images uint8 [N, C, H, W] and labels int64 [N] of one split, train or test.
Pool = tuple[torch.Tensor, torch.Tensor]


class Source(NamedTuple):
    """A place that holds a whole data set: its kind, the files it lies in, and how to read a split.

    The files key the cache; practice data, which is drawn, has none.
    """

    kind: str
    files: list[Path]
    read: Callable[[str], Pool]


def named_folder(root: Any) -> Path:
    """The folder of this name, where ``~`` is the reader's own; for None the folder for data.

    Raises DataError for what is no name.
    """
    if root is None:
        return data_root()
    try:
        return Path(root).expanduser()
    except TypeError:
        raise DataError(f"root={root!r} is no folder: give its path, such as 'data'") from None


def damaged(path: Path | zipfile.Path, what: str) -> DataError:
    """The error for a file of a data set that is not as it should be, with the ways out."""
    return DataError(
        f"{path} {what}: put a good copy there, "
        "or move the whole data set away to have it downloaded"
    )


def names_in(folder: Path) -> list[str]:
    """The names of what lies in a folder; none where the folder is not there."""
    if not folder.exists():
        return []
    return os.listdir(folder)


def all_there(paths: Iterable[Path]) -> bool:
    """Whether all of these are there: False where none is, DataError where only some are."""
    present = []
    missing = []
    for path in paths:
        if path.name in names_in(path.parent):
            present.append(path)
        else:
            missing.append(path)

    # Half a data set is a mistake that would go unnoticed if another place were read instead.
    if present and missing:
        raise damaged(missing[0], "is missing")
    return bool(present)


def check_is_file(path: Path) -> None:
    """Raise DataError for a folder with the name of a file, as some programs unpack an archive."""
    if path.is_dir():
        raise damaged(path, "is a folder, not a file")


def in_fixed_order(pool: Pool) -> Pool:
    """The pool sorted by the SHA-1 of every image's pixels (C, H, W), equal images by label.

    Wherever the images come from, and in whatever order, an index then means the same image.
    """
    # One key per image; its label decides between images that are equal.
    images, labels = pool
    keys = []
    for image, label in zip(images.numpy(), labels.tolist()):
        keys.append((hashlib.sha1(image).digest(), label))

    order = torch.tensor(sorted(range(len(keys)), key=keys.__getitem__))
    return images[order], labels[order]
