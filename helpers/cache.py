"""The one order in which images lie, whatever they came from, and the file that saves decoding them twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from helpers.environment import ROOT, replacing
from helpers.sources import KNOWN, Known, Pool, Source, writable


def in_fixed_order(pool: Pool) -> Pool:
    """The pool sorted by the SHA-1 of every image's pixels (C, H, W), equal images by label."""
    images, labels = pool[0].contiguous(), pool[1]
    keys = [(hashlib.sha1(image).digest(), label) for image, label in zip(images.numpy(), labels.tolist())]
    order = torch.tensor(sorted(range(len(keys)), key=keys.__getitem__))
    return images[order], labels[order]


def cached(name: str, source: Source, root: Path, split: str) -> Pool:
    """One split of ``source`` in the fixed order, from the cache where it has it, else read and cached.

    The file's name carries a fingerprint of the source, so another or a changed source never meets it.
    """
    stats = [(path.parent.name, path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in source.files]
    key = hashlib.sha256(repr(stats).encode()).hexdigest()[:12]
    paths = [folder / f"{name}-{split}-{key}.pt" for folder in dict.fromkeys((root, ROOT / "data"))]
    for path in paths:
        if (pool := _from_cache(path, KNOWN[name])) is not None:
            return pool
    pool = in_fixed_order(source.read(split))
    _to_cache(paths, pool)
    return pool


def _from_cache(path: Path, known: Known) -> Pool | None:
    """The pool in a cache file; None where there is none, or one that is cut short or holds anything else."""
    try:
        if not path.exists():
            return None
        images, labels = torch.load(path, weights_only=True)
        sound = (images.dtype == torch.uint8 and images.shape == (len(labels), *known.shape)
                 and labels.dtype == torch.int64 and 0 <= labels.min() and labels.max() < len(known.classes))
        return (images, labels) if sound else None
    except Exception:  # a damaged pickle can raise anything; reading the source again is always safe
        return None


def _to_cache(paths: list[Path], pool: Pool) -> None:
    """Save the pool under the first path that takes them; say so where none does, and go on."""
    problem = "read-only folder"
    for path in paths:
        try:
            if writable(path.parent):
                with replacing(path) as temporary, open(temporary, "wb") as file:
                    torch.save(list(pool), file)
                return
        except (OSError, RuntimeError) as error:  # torch wraps a failed write into a RuntimeError
            problem = getattr(error, "strerror", None) or str(error).splitlines()[0]
    print(f"{paths[-1].name} could not be cached ({problem}); the next load decodes again.")
