"""The small networks for MNIST, one function or class each, with exact parameter counts."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


def starter_net() -> nn.Sequential:
    """Document 001's starting point: 6,379,786 parameters. Images [N, 1, 28, 28] to logits [N, 10].

    Seven 3×3 convolutions with biases, 1→32→64→128→256→512→1024→10, a pooling after each second one.
    """
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(128, 256, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(256, 512, 3),
        nn.ReLU(),
        nn.Conv2d(512, 1024, 3),
        nn.ReLU(),
        nn.Conv2d(1024, 10, 3),
        nn.Flatten(),
    )


def first_net() -> nn.Sequential:
    """Session 01's first small net: 5,958 parameters. Images [N, 1, 28, 28] to logits [N, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 20, 3),
        nn.ReLU(),
        nn.Conv2d(20, 10, 3),
        nn.Flatten(),
    )


def _conv_relu_norm(
    in_channels: int, out_channels: int, padding: int, batch_norm: bool
) -> list[nn.Module]:
    """A 3×3 convolution with bias, ReLU, and batch normalisation where asked for, in document 001's order."""
    layers: list[nn.Module] = [nn.Conv2d(in_channels, out_channels, 3, padding=padding), nn.ReLU()]
    return layers + [nn.BatchNorm2d(out_channels)] * batch_norm


def budget_net(
    batch_norm: bool = True, widths: Sequence[int] = (4, 4, 8, 12, 12, 16, 20)
) -> nn.Sequential:
    """Document 001's net as its torchsummary table has it: 9,274 parameters. Images [N, 1, 28, 28] to logits [N, 10].

    The document's code pads the sixth convolution and not the seventh; its table does the opposite, and is built here.
    ``batch_norm=False`` leaves the seven normalisations out (9,122 parameters); ``widths`` are the channels after each
    convolution but the last.
    """
    layers, paddings, in_channels = [], (1, 1, 1, 1, 1, 0, 1), 1
    for number, (out_channels, padding) in enumerate(zip(widths, paddings, strict=True), 1):
        layers += _conv_relu_norm(in_channels, out_channels, padding, batch_norm)
        layers += [nn.MaxPool2d(2)] * (number in (3, 6))
        in_channels = out_channels
    return nn.Sequential(*layers, nn.Conv2d(in_channels, 10, 3), nn.AvgPool2d(3, 2), nn.Flatten())


def wide_net() -> nn.Sequential:
    """Half the depth of ``budget_net`` at its budget: 9,292 parameters. Images [N, 1, 28, 28] to logits [N, 10].

    Four convolutions instead of eight, wider ones, with the same two poolings and the same average at the end.
    """
    return nn.Sequential(
        *_conv_relu_norm(1, 12, 1, True),
        nn.MaxPool2d(2),
        *_conv_relu_norm(12, 30, 1, True),
        nn.MaxPool2d(2),
        *_conv_relu_norm(30, 16, 1, True),
        nn.Conv2d(16, 10, 3),
        nn.AvgPool2d(5),
        nn.Flatten(),
    )


def _conv_norm_dropout(
    in_channels: int, out_channels: int, kernel_size: int, dropout: float
) -> list[nn.Module]:
    """A convolution without bias or padding, ReLU, batch normalisation and dropout, in document 003's order."""
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(out_channels),
        nn.Dropout(dropout),
    ]


def basic_net(dropout: float = 0.0) -> nn.Sequential:
    """Document 003's first two rungs, at its count: 7,964 parameters. Images [N, 1, 28, 28] to logits [N, 10].

    The document lists no layers: three 3×3 convolutions before the pooling, three after it.
    """
    block = _conv_norm_dropout
    return nn.Sequential(
        *block(1, 8, 3, dropout),
        *block(8, 8, 3, dropout),
        *block(8, 10, 3, dropout),
        nn.MaxPool2d(2),
        *block(10, 4, 1, dropout),
        *block(4, 12, 3, dropout),
        *block(12, 20, 3, dropout),
        *block(20, 20, 3, dropout),
        nn.AvgPool2d(5),
        nn.Conv2d(20, 10, 1, bias=False),
        nn.Flatten(),
    )


def early_pool_net(dropout: float = 0.0) -> nn.Sequential:
    """Document 003's third rung, at its count: 7,824 parameters. Images [N, 1, 28, 28] to logits [N, 10].

    Pooling and 1×1 convolutions come after a receptive field of 5×5: two 3×3 convolutions before, four after.
    """
    block = _conv_norm_dropout
    return nn.Sequential(
        *block(1, 4, 3, dropout),
        *block(4, 10, 3, dropout),
        nn.MaxPool2d(2),
        *block(10, 10, 1, dropout),
        *block(10, 4, 1, dropout),
        *block(4, 8, 3, dropout),
        *block(8, 12, 3, dropout),
        *block(12, 20, 3, dropout),
        *block(20, 20, 3, dropout),
        nn.AvgPool2d(4, 1),
        nn.Conv2d(20, 10, 1, bias=False),
        nn.Flatten(),
    )


def compact_net(
    dropout: float = 0.0, widths: Sequence[int] = (4, 10, 8, 4, 10, 16, 12, 16)
) -> nn.Sequential:
    """Document 003's final net: 6,084 parameters, no biases. Images [N, 1, 28, 28] to logits [N, 10].

    ``widths`` are the channels after each convolution but the last; the third and the fourth are 1×1.
    """
    layers, kernel_sizes = [], (3, 3, 1, 1, 3, 3, 3, 3)
    for sizes in zip((1, *widths), widths, kernel_sizes):
        layers += _conv_norm_dropout(*sizes, dropout)
    layers.insert(8, nn.MaxPool2d(2))
    return nn.Sequential(
        *layers, nn.AvgPool2d(4, 1), nn.Conv2d(widths[-1], 10, 1, bias=False), nn.Flatten()
    )


def field_net(pools: Sequence[int] = ()) -> nn.Sequential:
    """Five 3×3 convolutions, always the same: 4,874 parameters; a 2×2 pooling after each of the numbers in ``pools``.

    The receptive field of what is averaged at the end is 11 pixels without pooling, 54 with pools (1, 2, 3). Images
    [N, 1, 28, 28] to logits [N, 10].
    """
    widths, layers = (1, 8, 8, 12, 12, 16), []
    for number, (in_channels, out_channels) in enumerate(zip(widths, widths[1:]), 1):
        layers += [
            *_conv_relu_norm(in_channels, out_channels, 1, True),
            *[nn.MaxPool2d(2)] * (number in pools),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


class PointwiseNet(nn.Module):
    """Document 004's net: 7,640 parameters, three 1×1 layers after the average. [N, 1, 28, 28] to logits [N, 10].

    The order of ReLU and normalisation changes within it as in the document, and two blocks have no ReLU. The
    document ends in log-softmax, which cross-entropy does itself; one dropout layer serves all blocks.
    """

    def __init__(self, dropout: float = 0.03) -> None:
        super().__init__()
        widths, kernel_sizes = (1, 8, 16, 8, 16, 24, 32, 16, 10), (3, 3, 1, 3, 3, 1, 1, 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(*sizes, bias=False) for sizes in zip(widths, widths[1:], kernel_sizes)
        )
        self.norms = nn.ModuleList(map(nn.BatchNorm2d, widths[1:-1]))
        self.max_pool, self.average_pool, self.dropout = (
            nn.MaxPool2d(2),
            nn.AvgPool2d(8),
            nn.Dropout(dropout),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(self._block(images, 0))
        x = self.max_pool(self._block(x, 1))
        x = self._block(x, 2)
        x = self._block(self._block(x, 3, relu=True), 4, relu=True)
        x = self.average_pool(x)
        x = self._block(self._block(x, 5, relu=True), 6, relu=True)
        return self.convs[7](x).flatten(1)

    def _block(self, x: torch.Tensor, number: int, relu: bool = False) -> torch.Tensor:
        x = self.convs[number](x)
        return self.dropout(self.norms[number](F.relu(x) if relu else x))


class SharedNet(nn.Module):
    """One 3×3 convolution used again and again, with a normalisation of its own and a shortcut at each use.

    ``uses``: how often at each size, a 2×2 pooling before each: (2, 2, 2) stands for 14, 7 and 3 pixels. ``separable``
    makes it a depthwise 3×3 and a 1×1 convolution. Images [N, 1, 28, 28] to logits [N, 10]; at 20 channels and six uses
    4,270 parameters.
    """

    def __init__(
        self, channels: int = 20, uses: Sequence[int] = (2, 2, 2), separable: bool = False
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.conv = (
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
                nn.Conv2d(channels, channels, 1, bias=False),
            )
            if separable
            else nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        )
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(count)) for count in uses
        )
        self.linear = nn.Linear(channels, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stem(images)
        for norms in self.norms:
            x = F.max_pool2d(x, 2)
            for norm in norms:
                x = F.relu(x + norm(self.conv(x)))
        return self.linear(x.mean((2, 3)))
