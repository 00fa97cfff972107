"""The states of all that draws random numbers in a training, as plain values, and back again."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch


def generators_of(*loaders: Iterable) -> list[torch.Generator]:
    """The generators that ``Batches``, a ``DataLoader`` or its samplers draw from, each once."""
    # A DataLoader hands its generator to its sampler; a sampler may also bring its own.
    owners: list[Any] = []
    for loader in loaders:
        batch_sampler = getattr(loader, "batch_sampler", None)
        owners.append(loader)
        owners.append(getattr(loader, "sampler", None))
        owners.append(batch_sampler)
        owners.append(getattr(batch_sampler, "sampler", None))

    # Two owners may share a generator, which is listed once.
    found: list[torch.Generator] = []
    for owner in owners:
        generator = getattr(owner, "generator", None)
        if isinstance(generator, torch.Generator) and generator not in found:
            found.append(generator)
    return found


def random_states(generators: Sequence[torch.Generator]) -> dict[str, Any]:
    """The states of ``generators``, and of torch's, CUDA's, NumPy's and Python's own.

    Nothing leads to the generators that a data set may hold for itself
    (``numpy.random.default_rng``), nor to those of a DataLoader's workers: they are not kept.
    """
    # An array would be saved as an object of NumPy's, which is not loaded again.
    state: Any = np.random.get_state()
    name, keys, *position = state
    return {
        "generators": [generator.get_state() for generator in generators],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
        "numpy": [name, keys.tolist(), *position],
        "python": random.getstate(),
    }


def set_random_states(states: dict[str, Any], generators: Sequence[torch.Generator]) -> None:
    """Put back what ``random_states`` gave; GPUs that are not there any more are left out."""
    # The generators of the batches, for order and augmentation.
    for generator, state in zip(generators, states["generators"], strict=True):
        generator.set_state(state)

    # Torch's own: dropout, and the order of batches without a generator.
    torch.set_rng_state(states["torch"])
    for device, state in enumerate(states["cuda"]):
        if device < torch.cuda.device_count():
            torch.cuda.set_rng_state(state, device)

    # NumPy's and Python's own, which a data set may draw from.
    np.random.set_state(tuple(states["numpy"]))
    random.setstate(states["python"])
