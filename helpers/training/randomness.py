"""The states of all that draws random numbers in a training, as plain values, and back again."""

import hashlib
import inspect
import random
from collections.abc import Sequence
from functools import partial
from itertools import islice
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

# How far generators are looked for: through so many objects, one inside the other, and so many
# items of a list. A list of 60,000 file names would take long.
LEVELS = 12
ITEMS = 100

# A module or a class belongs to everybody; a tensor holds no generator.
NOT_LOOKED_INTO = (torch.Tensor, ModuleType, type)


class OtherGenerator:
    """A generator of NumPy's or Python's, with the methods that torch's generators have.

    ``generator`` is a ``numpy.random.Generator``, a ``numpy.random.RandomState`` or a
    ``random.Random``.
    """

    def __init__(self, generator: Any) -> None:
        self.generator = generator

    def get_state(self) -> Any:
        """Its state in plain numbers, texts, lists, tuples and dictionaries."""
        if isinstance(self.generator, random.Random):
            return self.generator.getstate()
        if isinstance(self.generator, np.random.RandomState):
            return without_arrays(self.generator.get_state(legacy=False))
        return without_arrays(self.generator.bit_generator.state)

    def set_state(self, state: Any) -> None:
        """Put back what ``get_state`` gave."""
        if isinstance(self.generator, random.Random):
            self.generator.setstate(state)
        elif isinstance(self.generator, np.random.RandomState):
            self.generator.set_state(state)
        else:
            self.generator.bit_generator.state = state

    def initial_seed(self) -> int:
        """A seed that is made from the present state: it does not remember its first seed."""
        text = repr(self.get_state())
        digest = hashlib.sha256(text.encode()).digest()
        return int.from_bytes(digest[:7], "big")

    def manual_seed(self, seed: int) -> None:
        """Begin anew from a seed of at least 0."""
        if isinstance(self.generator, random.Random):
            self.generator.seed(seed)
            return

        # A new one of the same kind is seeded, and its state taken over.
        if isinstance(self.generator, np.random.RandomState):
            kind = type(self.generator._bit_generator)
            fresh = OtherGenerator(np.random.RandomState(kind(seed)))
        else:
            kind = type(self.generator.bit_generator)
            fresh = OtherGenerator(np.random.Generator(kind(seed)))
        self.set_state(fresh.get_state())


def without_arrays(value: Any) -> Any:
    """A state of NumPy's, whose arrays become lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if not isinstance(value, dict):
        return value
    plain = {}
    for name, item in value.items():
        plain[name] = without_arrays(item)
    return plain


def generators_of(*loaders: Any) -> list[Any]:
    """The generators that lead to random numbers in ``loaders``, each once, in a fixed order.

    They are looked for in the attributes of a loader and of all that these hold in turn: samplers,
    data sets, transforms, lists of them, and what a function refers to. Those of torch are given as
    they are, those of NumPy and Python as ``OtherGenerator``, which has the same methods. Loaders
    that are made by the same lines of code give them in the same order.

    Not found are the generators of a DataLoader's workers, which are copies in other processes;
    one that is hidden more than ``LEVELS`` objects deep, beyond the first ``ITEMS`` items of a
    list, in a set, or in a class; and one that is made only when it is needed.
    """
    # Level by level: first the loaders, then what they hold, then what that holds.
    found: list[Any] = []
    seen: dict[int, Any] = {}  # the objects themselves are kept, so that no id is given twice
    level: list[Any] = list(loaders)
    for _ in range(LEVELS):
        next_level: list[Any] = []
        for value in level:
            if id(value) in seen:
                continue
            seen[id(value)] = value
            if isinstance(value, torch.Generator):
                found.append(value)
            elif has_own_state(value):
                found.append(OtherGenerator(value))
            else:
                next_level.extend(contents_of(value))
        level = next_level
    return found


def has_own_state(value: Any) -> bool:
    """Whether this is a generator of NumPy's or Python's whose state nothing else keeps."""
    # NumPy's and Python's own generators are kept in any case, under their names.
    draw: Any
    for draw in (np.random.rand, random.random):
        if value is draw.__self__:
            return False
    # The random numbers of the system have no state.
    if isinstance(value, random.SystemRandom):
        return False
    return isinstance(value, np.random.Generator | np.random.RandomState | random.Random)


def contents_of(value: Any) -> list[Any]:
    """What an object holds: items of a container, attributes, what a function refers to."""
    if isinstance(value, NOT_LOOKED_INTO):
        return []
    if isinstance(value, dict):
        return list(islice(value.values(), ITEMS))
    if isinstance(value, list | tuple):
        return list(islice(value, ITEMS))

    # A method leads to its object, a function to variables around it and to global ones.
    if isinstance(value, MethodType | BuiltinMethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, FunctionType):
        return variables_of(value)

    # Attributes; a DataLoader that keeps its workers has an iterator, which leads only to them.
    contents = []
    for name, item in getattr(value, "__dict__", {}).items():
        if name != "_iterator":
            contents.append(item)
    for kind in type(value).__mro__:
        slots = getattr(kind, "__slots__", ())
        if isinstance(slots, str):
            slots = (slots,)
        for name in slots:
            contents.append(getattr(value, name, None))
    return contents


def variables_of(function: FunctionType) -> list[Any]:
    """The values of a function's defaults, and of the outer and global variables it names.

    Functions of other modules are left out: one leads to the next, through whole libraries.
    """
    contents: list[Any] = [function.__defaults__, function.__kwdefaults__]
    try:
        variables = inspect.getclosurevars(function)
    except ValueError:  # one of them has no value yet
        return contents

    contents.extend(variables.nonlocals.values())
    for value in variables.globals.values():
        if isinstance(value, FunctionType) and value.__module__ != function.__module__:
            continue
        contents.append(value)
    return contents


def generator_kinds(generators: Sequence[Any]) -> list[str]:
    """The algorithm of each generator: a state is only put back into one of the same kind."""
    kinds = []
    for generator in generators:
        if isinstance(generator, torch.Generator):
            kinds.append(f"torch on {generator.device.type}")
        elif isinstance(generator.generator, random.Random):
            kinds.append("random.Random")
        else:
            owner = type(generator.generator).__name__
            algorithm = generator.get_state()["bit_generator"]
            kinds.append(f"{owner} of {algorithm}")
    return kinds


def random_states(generators: Sequence[Any]) -> dict[str, Any]:
    """The states of ``generators`` (see ``generators_of``), and torch's, CUDA's, NumPy's, Python's.

    A checkpoint holds them as they are at the end of an epoch. It does not hold the states of a
    DataLoader's workers; of a generator that ``generators_of`` does not find; what an ``on_epoch``
    callback draws after the checkpoint was written; nor buffers with ``persistent=False``, which
    are no part of a net's state.
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


def set_random_states(states: dict[str, Any], generators: Sequence[Any]) -> None:
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
