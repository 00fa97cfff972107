"""The cache: tensors that were decoded once, and are read from then on.

A cached file is named after the data set, the split, and a fingerprint of the files it was made
from; it holds the images, the labels and a digest of both. It lies in the data folder, or in the
repository's ``data/`` where that folder cannot be written. A new one takes the place of those that
were made there from other files.
"""

import contextlib
import hashlib
import os
from pathlib import Path

import torch

from helpers.data.known import KNOWN
from helpers.data.sources import Pool, Source, in_fixed_order
from helpers.environment import ROOT
from helpers.leftovers import remove_leftovers
from helpers.writing import replacing

FINGERPRINT = 12 * "[0-9a-f]"  # as file names are searched for it


def read(name: str, source: Source, root: Path, split: str) -> Pool:
    """One split in the fixed order: from the cache where it is there and sound, else decoded."""
    if not source.files:  # it is drawn, which takes a second or two
        return in_fixed_order(source.read(split))

    # Look in both places, and remove what killed processes left there.
    file = f"{name}-{split}-{fingerprint(source.files)}.pt"
    for folder in (root, ROOT / "data"):
        for known in KNOWN:
            remove_leftovers(folder, f"{known}-*-{FINGERPRINT}.pt")
        pool = load(folder / file, KNOWN[name].shape)
        if pool is not None:
            return pool

    # Not cached: decode, which can take a minute, and cache the result.
    pool = in_fixed_order(source.read(split))
    save(pool, folder_to_write(root) / file)
    return pool


def fingerprint(files: list[Path]) -> str:
    """Twelve hex digits that change when a file is added, goes, or has another size or time."""
    # Size and time of 60,000 files are read in a second, their contents are not.
    marks = []
    for path in files:
        status = path.stat()
        marks.append((path.parent.name, path.name, status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(marks).encode()).hexdigest()[:12]


def digest(images: torch.Tensor, labels: torch.Tensor) -> str:
    """SHA-256 of all pixels and labels."""
    total = hashlib.sha256(images.numpy().data)
    total.update(labels.numpy().data)
    return total.hexdigest()


def load(path: Path, shape: tuple[int, int, int]) -> Pool | None:
    """A cached pool of images of this shape; None where there is none, or it is damaged.

    torch does not check what it reads, so one changed bit would go unnoticed without the digest.
    """
    try:
        images, labels, kept_digest = torch.load(path, weights_only=True)
        is_sound = (
            images.dtype == torch.uint8
            and labels.dtype == torch.int64
            and labels.shape == (len(images),)
            and images.shape[1:] == shape
            and digest(images, labels) == kept_digest
        )
    except Exception:  # a damaged file can raise anything; to decode again is always right
        return None
    if not is_sound:
        return None
    return images, labels


def folder_to_write(root: Path) -> Path:
    """The data folder, or the repository's ``data/`` where that one cannot be written.

    An administrator may write anywhere: a folder whose mode says read-only is left alone.
    """
    has_write_mode = root.stat().st_mode & 0o222
    if has_write_mode and os.access(root, os.W_OK):
        return root
    return ROOT / "data"


def save(pool: Pool, path: Path) -> None:
    """Cache a pool; where that cannot be done, say so and go on."""
    # Written beside its place and renamed: another process sees all of it, or nothing.
    images, labels = pool
    try:
        with replacing(path) as temporary, open(temporary, "wb") as opened:
            torch.save([images, labels, digest(images, labels)], opened)
    except (OSError, RuntimeError):  # torch makes a RuntimeError of a failed write
        print(
            f"{path.name} could not be cached (no space, or no right to write); "
            "the next load decodes again."
        )
        return
    remove_outdated(path)


def remove_outdated(path: Path) -> None:
    """Remove the other caches of this data set and split that lie beside ``path``.

    They were made from files that have changed since. What another process is writing has a
    temporary name, and stays.
    """
    kind = path.stem.rpartition("-")[0]
    for other in path.parent.glob(f"{kind}-{FINGERPRINT}.pt"):
        if other != path:
            # Windows keeps a file that another process reads.
            with contextlib.suppress(OSError):
                other.unlink()
