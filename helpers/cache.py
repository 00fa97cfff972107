"""The one order in which images lie, whatever they came from, and the file that saves decoding them twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from helpers.environment import ROOT, replacing
from helpers.sources import KNOWN, Known, Pool, Source, writable


def in_fixed_order(pools: dict[str, Pool]) -> dict[str, Pool]:
    """Each pool sorted by the SHA-1 of every image's pixels (C, H, W), equal images by label."""
    return {split: _sorted(images.contiguous(), labels) for split, (images, labels) in pools.items()}


def _sorted(images: torch.Tensor, labels: torch.Tensor) -> Pool:
    keys = [(hashlib.sha1(image).digest(), label) for image, label in zip(images.numpy(), labels.tolist())]
    order = torch.tensor(sorted(range(len(keys)), key=keys.__getitem__))
    return images[order], labels[order]


def cached(name: str, source: Source, root: Path) -> dict[str, Pool]:
    """The pools of ``source`` in the fixed order, from the cache where it has them, else read and cached.

    The file's name carries a fingerprint of the source, so another or a changed source never meets it.
    """
    stats = [(path.parent.name, path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in source.files]
    key = hashlib.sha256(repr(stats).encode()).hexdigest()[:12]
    paths = [folder / f"{name}-{key}.pt" for folder in dict.fromkeys((root, ROOT / "data"))]
    for path in paths:
        if (pools := _from_cache(path, KNOWN[name])) is not None:
            return pools
    pools = in_fixed_order(source.read())
    _to_cache(paths, pools)
    return pools


def _from_cache(path: Path, known: Known) -> dict[str, Pool] | None:
    """The pools in a cache file; None where there is none, or one that is cut short or holds anything else."""
    try:
        if not path.exists():
            return None
        pools = torch.load(path, weights_only=True)
        for images, labels in (pools["train"], pools["test"]):
            sound = (images.dtype == torch.uint8 and images.shape == (len(labels), *known.shape)
                     and labels.dtype == torch.int64 and 0 <= labels.min() and labels.max() < len(known.classes))
            if not sound:
                return None
    except Exception:  # a damaged pickle can raise anything; reading the source again is always safe
        return None
    return pools


def _to_cache(paths: list[Path], pools: dict[str, Pool]) -> None:
    """Save the pools under the first path that takes them; say so where none does, and go on."""
    problem = "read-only folder"
    for path in paths:
        try:
            if writable(path.parent):
                with replacing(path) as temporary, open(temporary, "wb") as file:
                    torch.save({split: list(pool) for split, pool in pools.items()}, file)
                return
        except (OSError, RuntimeError) as error:  # torch wraps a failed write into a RuntimeError
            problem = getattr(error, "strerror", None) or str(error).splitlines()[0]
    print(f"{paths[-1].name} could not be cached ({problem}); the next load decodes again.")
