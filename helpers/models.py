"""The networks of the course, one function each, with exact parameter counts. Importing this needs torch alone."""

from __future__ import annotations

from torch import nn


def count_parameters(model: nn.Module) -> int:
    """Number of trainable values; a tensor used in several places counts once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def starter_net() -> nn.Sequential:
    """Document 001's starting point: 6,379,786 parameters. Images [N, 1, 28, 28] to logits [N, 10].

    Seven 3×3 convolutions with biases, 1→32→64→128→256→512→1024→10, a pooling after each second one.
    """
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(),
        nn.Conv2d(128, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(256, 512, 3), nn.ReLU(),
        nn.Conv2d(512, 1024, 3), nn.ReLU(),
        nn.Conv2d(1024, 10, 3), nn.Flatten(),
    )


def first_net() -> nn.Sequential:
    """Session 01's first small net: 5,958 parameters. Images [N, 1, 28, 28] to logits [N, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 20, 3), nn.ReLU(),
        nn.Conv2d(20, 10, 3), nn.Flatten(),
    )


def _conv_relu_norm(in_channels: int, out_channels: int, padding: int, batch_norm: bool) -> list[nn.Module]:
    """A 3×3 convolution with bias, ReLU, and batch normalisation where asked for, in document 001's order."""
    layers: list[nn.Module] = [nn.Conv2d(in_channels, out_channels, 3, padding=padding), nn.ReLU()]
    return layers + [nn.BatchNorm2d(out_channels)] * batch_norm


def budget_net(batch_norm: bool = True) -> nn.Sequential:
    """Document 001's net as its torchsummary table has it: 9,274 parameters. Images [N, 1, 28, 28] to logits [N, 10].

    The document's code pads the sixth convolution and not the seventh; its table does the opposite, and is built here.
    ``batch_norm=False`` leaves the seven normalisations out (9,122 parameters).
    """
    return nn.Sequential(
        *_conv_relu_norm(1, 4, 1, batch_norm), *_conv_relu_norm(4, 4, 1, batch_norm),
        *_conv_relu_norm(4, 8, 1, batch_norm), nn.MaxPool2d(2),
        *_conv_relu_norm(8, 12, 1, batch_norm), *_conv_relu_norm(12, 12, 1, batch_norm),
        *_conv_relu_norm(12, 16, 0, batch_norm), nn.MaxPool2d(2),
        *_conv_relu_norm(16, 20, 1, batch_norm), nn.Conv2d(20, 10, 3), nn.AvgPool2d(3, 2), nn.Flatten(),
    )


def wide_net() -> nn.Sequential:
    """Half the depth of ``budget_net`` at its budget: 9,292 parameters. Images [N, 1, 28, 28] to logits [N, 10].

    Four convolutions instead of eight, wider ones, with the same two poolings and the same average at the end.
    """
    return nn.Sequential(
        *_conv_relu_norm(1, 12, 1, True), nn.MaxPool2d(2),
        *_conv_relu_norm(12, 30, 1, True), nn.MaxPool2d(2),
        *_conv_relu_norm(30, 16, 1, True), nn.Conv2d(16, 10, 3), nn.AvgPool2d(5), nn.Flatten(),
    )


def compact_net(dropout: float = 0.0) -> nn.Sequential:
    """Document 003's final net: 6,084 parameters, no biases. Images [N, 1, 28, 28] to logits [N, 10]."""
    def block(in_channels: int, out_channels: int, kernel_size: int) -> list[nn.Module]:
        return [nn.Conv2d(in_channels, out_channels, kernel_size, bias=False), nn.ReLU(), nn.BatchNorm2d(out_channels),
                nn.Dropout(dropout)]

    return nn.Sequential(
        *block(1, 4, 3), *block(4, 10, 3), nn.MaxPool2d(2), *block(10, 8, 1), *block(8, 4, 1),
        *block(4, 10, 3), *block(10, 16, 3), *block(16, 12, 3), *block(12, 16, 3),
        nn.AvgPool2d(4, 1), nn.Conv2d(16, 10, 1, bias=False), nn.Flatten(),
    )
