"""The states of everything that draws random numbers in a training, as plain values, and back."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch


def generators_of(batches: Iterable) -> list[torch.Generator]:
    """The generators that ``Batches``, a ``DataLoader`` or one of its samplers draws from, each once."""
    batch_sampler = getattr(batches, "batch_sampler", None)
    owners = [
        batches,
        getattr(batches, "sampler", None),
        batch_sampler,
        getattr(batch_sampler, "sampler", None),
    ]
    found: list[torch.Generator] = []
    for owner in owners:
        generator = getattr(owner, "generator", None)
        if isinstance(generator, torch.Generator) and generator not in found:
            found.append(generator)
    return found


def random_states(generators: Sequence[torch.Generator]) -> dict[str, Any]:
    """The states of ``generators``, torch's, CUDA's, NumPy's and Python's, for ``torch.save``.

    Not those that nothing leads to: of a data set's own ``numpy.random.Generator``, of a
    DataLoader's workers.
    """
    name, keys, *rest = np.random.get_state()
    return {
        "generators": [generator.get_state() for generator in generators],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
        "numpy": [name, keys.tolist(), *rest],
        "python": random.getstate(),
    }


def set_random_states(states: dict[str, Any], generators: Sequence[torch.Generator]) -> None:
    """Put back what ``random_states`` gave."""
    for generator, state in zip(generators, states["generators"], strict=True):
        generator.set_state(state)
    torch.set_rng_state(states["torch"])
    torch.cuda.set_rng_state_all(states["cuda"])
    np.random.set_state(tuple(states["numpy"]))
    random.setstate(states["python"])
