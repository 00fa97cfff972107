"""What all nets have in common: how to count their parameters, and how to measure without a trace.

The nets are in ``small`` (MNIST), ``residual`` and ``resnet9``; none of them is imported here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


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
