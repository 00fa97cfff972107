"""What the helpers do with any net: find its device, borrow its modes, copy it."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from helpers.environment import CourseError


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's first parameter; the CPU for a net without any."""
    for parameter in model.parameters():
        return parameter.device
    return torch.device("cpu")


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode, and afterwards each module back into its own."""
    # One by one: a net in training may hold a frozen normalisation.
    modes = []
    for module in model.modules():
        modes.append((module, module.training))
    model.eval()
    # Also after an exception, and after Ctrl-C.
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def independent_copy(model: nn.Module) -> nn.Module:
    """A copy of the model that shares no tensor with it.

    A tensor that a module keeps from its last forward pass (``self.features = …``, the ``weight``
    of the old ``weight_norm``) hangs on the graph of that pass, and is copied without it. Raises
    ``CourseError`` for a net that cannot be copied.
    """
    # What deepcopy finds in this table it takes, and copies it no further.
    copies: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                copies[id(value)] = value.detach().clone()

    # Tensors hidden deeper (in a list of features) are not found, and cannot be copied.
    try:
        return copy.deepcopy(model, copies)
    except (RuntimeError, TypeError) as problem:
        reason = " ".join(str(problem).split())[:120]
        raise CourseError(
            f"the {type(model).__name__} cannot be copied ({reason}): let it keep no results of a "
            "forward pass, or only detached ones (self.features = x.detach())"
        ) from problem
