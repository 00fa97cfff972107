"""A snapshot of a training, from which everything that training changes is put back."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from helpers.training.randomness import random_states, set_random_states


class Snapshot:
    """Weights, buffers, optimizer, modes, gradients and random states, as they are when taken.

    So are the numbers that modules keep as plain attributes: bool, int or float.

    Everything is restored in the same objects: whoever holds a weight, a buffer, a gradient, a
    parameter group or a generator goes on holding it. ``generators`` are those of the batches.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, generators: Sequence[Any]) -> None:
        self.model = model
        self.optimizer = optimizer
        self.generators = generators

    def take(self) -> None:
        """Remember how everything is now."""
        # Modes, for some modules may be frozen inside a net in training, and whatever numbers else
        # a module remembers, such as that its first batch has been seen.
        self.numbers = []
        for module in self.model.modules():
            self.numbers.append((module, numbers_of(module)))

        # Gradients: which tensor they are; what it holds is remembered below.
        self.gradients = []
        for parameter in self.model.parameters():
            self.gradients.append((parameter, parameter.grad))

        # Tables: which tensors and numbers the optimizer and the modules hold under which names.
        self.tables = []
        for table in self.all_tables():
            self.tables.append((table, dict(table)))

        # Values: what is in each of the tensors.
        self.values = []
        for tensor in self.all_tensors():
            self.values.append((tensor, tensor.detach().clone()))

        self.random = random_states(self.generators)

    def restore(self) -> None:
        """Put everything back as it was when the snapshot was taken."""
        for module, numbers in self.numbers:
            vars(module).update(numbers)
        for parameter, gradient in self.gradients:
            parameter.grad = gradient

        # First which tensors there are, then what is in them.
        for table, content in self.tables:
            table.clear()
            table.update(content)
        for tensor, value in self.values:
            tensor.detach().copy_(value)
        set_random_states(self.random, self.generators)

    def all_tables(self) -> list[dict[Any, Any]]:
        """The dictionaries that hold the buffers of every module, and the optimizer's state."""
        # Buffers are replaced, not written into, by some modules.
        tables: list[dict[Any, Any]] = []
        for module in self.model.modules():
            tables.append(module._buffers)

        # An optimizer makes its state at the first step; a group holds rate and momentum.
        tables.append(self.optimizer.state)
        tables.extend(self.optimizer.state.values())
        tables.extend(self.optimizer.param_groups)
        return tables

    def all_tensors(self) -> list[torch.Tensor]:
        """Every tensor that training may write into."""
        # Weights and gradients, buffers, momenta.
        found: list[Any] = []
        for parameter in self.model.parameters():
            found.append(parameter)
            found.append(parameter.grad)
        for table in self.all_tables():
            found.extend(table.values())

        # The tables hold numbers as well.
        tensors = []
        for value in found:
            if isinstance(value, torch.Tensor):
                tensors.append(value)
        return tensors


def numbers_of(module: nn.Module) -> dict[str, Any]:
    """The plain numbers that a module keeps, by their names; ``training`` is one of them."""
    numbers = {}
    for name, value in vars(module).items():
        if isinstance(value, bool | int | float):
            numbers[name] = value
    return numbers
