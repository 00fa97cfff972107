"""What all nets have in common: how to count their parameters, and how to measure without a trace.

The nets are in the other files of this room, ``small`` first; none of them is imported here.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from helpers.environment import CourseError, short_reason


def count_parameters(model: nn.Module) -> int:
    """Number of trainable values; a tensor that is used in several places counts once."""
    count = 0
    for parameter in model.parameters():
        if parameter.requires_grad:
            count += parameter.numel()
    return count


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode, and each of its modules back into its own mode at the end.

    A mode is set as it was found, also after an error: a part that was frozen in evaluation mode
    while the rest trained stays so.
    """
    # model.train() would put all modules into one mode, so each one's is kept.
    modes = []
    for module in model.modules():
        modes.append((module, module.training))

    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: nn.Module) -> torch.device:
    """The device of the first parameter, else of the first buffer; the CPU where there is none."""
    for parameter in model.parameters():
        return parameter.device
    # A net of fixed filters, for example, has only buffers.
    for buffer in model.buffers():
        return buffer.device
    return torch.device("cpu")


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
        raise CourseError(
            f"the {type(model).__name__} cannot be copied ({short_reason(problem)}): let it keep "
            "no results of a forward pass, or only detached ones (self.features = x.detach())"
        ) from problem
