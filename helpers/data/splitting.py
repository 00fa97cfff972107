"""Which training images are split off for validation."""

from __future__ import annotations

import torch

from helpers.data.known import DataError
from helpers.environment import whole_number


def validation_mask(count: int, validation: int, seed: int, title: str) -> torch.Tensor:
    """A mask, bool [count]: True for the ``validation`` images that the seed chooses.

    Raises DataError where ``validation`` is no whole number from 0 to ``count`` - 1, and the seed
    none that torch's generators take.
    """
    size = whole_number(validation, least=0)
    if size is None or size >= count:
        raise DataError(
            f"validation={validation} of {count:,} training images of {title}: "
            f"give 0 to {count - 1}"
        )
    number = whole_number(seed, least=-(2**63))
    if number is None or number >= 2**64:
        raise DataError(f"seed={seed!r}: give a whole number, such as 0, of at most 64 bits")

    # Shuffle all images, and take the first ones.
    generator = torch.Generator().manual_seed(number)
    shuffled = torch.randperm(count, generator=generator)
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[shuffled[:size]] = True
    return chosen
