"""The networks of the course: small ones for MNIST, residual ones, ResNet-9. Importing them needs torch alone."""

from torch import nn


def count_parameters(model: nn.Module) -> int:
    """Number of trainable values; a tensor used in several places counts once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
