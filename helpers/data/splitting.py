"""Which training images are split off for validation."""

from __future__ import annotations

import torch

from helpers.data.known import DataError
from helpers.environment import whole_number


def validation_mask(count: int, validation: int, seed: int, title: str) -> torch.Tensor:
    """A mask, bool [count]: True for the ``validation`` images that the seed chooses.

    Raises DataError where ``validation`` is no whole number from 0 to ``count`` - 1.
    """
    size = whole_number(validation, least=0)
    if size is None or size >= count:
        raise DataError(
            f"validation={validation} of {count:,} training images of {title}: "
            f"give 0 to {count - 1}"
        )
    if whole_number(seed) is None:
        raise DataError(f"seed={seed!r}: give a whole number")

    # Shuffle all images, and take the first ones.
    generator = torch.Generator().manual_seed(int(seed))
    shuffled = torch.randperm(count, generator=generator)
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[shuffled[:size]] = True
    return chosen
