"""The small networks for MNIST, one function or class each, with exact parameter counts.

The comment after a layer gives its output size; without one the size does not change.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from helpers.models import check_pools, check_widths


def starter_net() -> nn.Sequential:
    """Report 001's starting point, 6,379,786 parameters: [N, 1, 28, 28] to logits [N, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),  # 28 × 28
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 28 × 28 → 14 × 14
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(128, 256, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),  # 14 × 14 → 7 × 7
        nn.Conv2d(256, 512, 3),  # 7 × 7 → 5 × 5
        nn.ReLU(),
        nn.Conv2d(512, 1024, 3),  # 5 × 5 → 3 × 3
        nn.ReLU(),
        nn.Conv2d(1024, 10, 3),  # 3 × 3 → 1 × 1
        nn.Flatten(),
    )


def first_net() -> nn.Sequential:
    """Session 01's first small net, 5,958 parameters: [N, 1, 28, 28] to logits [N, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3),  # 28 × 28 → 26 × 26
        nn.ReLU(),
        nn.MaxPool2d(2),  # 26 × 26 → 13 × 13
        nn.Conv2d(8, 16, 3),  # 13 × 13 → 11 × 11
        nn.ReLU(),
        nn.MaxPool2d(2),  # 11 × 11 → 5 × 5
        nn.Conv2d(16, 20, 3),  # 5 × 5 → 3 × 3
        nn.ReLU(),
        nn.Conv2d(20, 10, 3),  # 3 × 3 → 1 × 1
        nn.Flatten(),
    )


def conv_relu_norm(
    in_channels: int, out_channels: int, padding: int = 1, batch_norm: bool = True
) -> list[nn.Module]:
    """A 3×3 convolution with bias, ReLU and batch normalisation, in report 001's order."""
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=padding)
    layers: list[nn.Module] = [convolution, nn.ReLU()]
    if batch_norm:
        layers.append(nn.BatchNorm2d(out_channels))
    return layers


def he_normal(model: nn.Module) -> None:
    """Draw the weights of all convolutions and linear layers anew, in place, by He's rule.

    Weights are normal with a variance of 2 / (number of inputs of a window), so that ReLU, which
    sets half of what it gets to zero, keeps the size of the activations from layer to layer (He and
    others, Delving Deep into Rectifiers, 2015, equation 10). Biases become 0.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def budget_net(
    batch_norm: bool = True,
    widths: Sequence[int] = (4, 4, 8, 12, 12, 16, 20),
    he: bool = False,
) -> nn.Sequential:
    """Report 001's net, 9,274 parameters: images [N, 1, 28, 28] to logits [N, 10].

    The report's code pads the sixth convolution and not the seventh; its torchsummary table does
    the opposite, and is built here. ``batch_norm=False`` leaves the seven normalisations out (9,122
    parameters); ``widths`` are the channels after each of the convolutions but the last; ``he``
    draws them by ``he_normal`` instead of torch's rule. Raises ``CourseError`` for other widths.
    """
    check_widths(widths, 7)
    c1, c2, c3, c4, c5, c6, c7 = widths
    net = nn.Sequential(
        *conv_relu_norm(1, c1, batch_norm=batch_norm),  # 28 × 28
        *conv_relu_norm(c1, c2, batch_norm=batch_norm),
        *conv_relu_norm(c2, c3, batch_norm=batch_norm),
        nn.MaxPool2d(2),  # 28 × 28 → 14 × 14
        *conv_relu_norm(c3, c4, batch_norm=batch_norm),
        *conv_relu_norm(c4, c5, batch_norm=batch_norm),
        *conv_relu_norm(c5, c6, padding=0, batch_norm=batch_norm),  # 14 × 14 → 12 × 12
        nn.MaxPool2d(2),  # 12 × 12 → 6 × 6
        *conv_relu_norm(c6, c7, batch_norm=batch_norm),
        nn.Conv2d(c7, 10, 3),  # 6 × 6 → 4 × 4
        nn.AvgPool2d(3, 2),  # 4 × 4 → 1 × 1
        nn.Flatten(),
    )
    if he:
        he_normal(net)
    return net


def wide_net() -> nn.Sequential:
    """Half the depth of ``budget_net``, 9,292 parameters: [N, 1, 28, 28] to logits [N, 10].

    Four convolutions instead of eight, wider ones, with poolings and an average as there.
    """
    return nn.Sequential(
        *conv_relu_norm(1, 12),  # 28 × 28
        nn.MaxPool2d(2),  # 28 × 28 → 14 × 14
        *conv_relu_norm(12, 30),
        nn.MaxPool2d(2),  # 14 × 14 → 7 × 7
        *conv_relu_norm(30, 16),
        nn.Conv2d(16, 10, 3),  # 7 × 7 → 5 × 5
        nn.AvgPool2d(5),  # 5 × 5 → 1 × 1
        nn.Flatten(),
    )


def conv_norm_dropout(
    in_channels: int, out_channels: int, kernel_size: int, dropout: float
) -> list[nn.Module]:
    """A convolution without bias or padding, ReLU, batch normalisation, dropout: report 003's."""
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(out_channels),
        nn.Dropout(dropout),
    ]


def basic_net(dropout: float = 0.0) -> nn.Sequential:
    """Report 003's first two rungs, 7,964 parameters: [N, 1, 28, 28] to logits [N, 10].

    The report lists no layers: three 3×3 convolutions before the pooling, three after it.
    """
    return nn.Sequential(
        *conv_norm_dropout(1, 8, 3, dropout),  # 28 × 28 → 26 × 26
        *conv_norm_dropout(8, 8, 3, dropout),  # 26 × 26 → 24 × 24
        *conv_norm_dropout(8, 10, 3, dropout),  # 24 × 24 → 22 × 22
        nn.MaxPool2d(2),  # 22 × 22 → 11 × 11
        *conv_norm_dropout(10, 4, 1, dropout),
        *conv_norm_dropout(4, 12, 3, dropout),  # 11 × 11 → 9 × 9
        *conv_norm_dropout(12, 20, 3, dropout),  # 9 × 9 → 7 × 7
        *conv_norm_dropout(20, 20, 3, dropout),  # 7 × 7 → 5 × 5
        nn.AvgPool2d(5),  # 5 × 5 → 1 × 1
        nn.Conv2d(20, 10, 1, bias=False),
        nn.Flatten(),
    )


def early_pool_net(dropout: float = 0.0) -> nn.Sequential:
    """Report 003's third rung, 7,824 parameters: [N, 1, 28, 28] to logits [N, 10].

    Pooling and 1×1 convolutions come after a receptive field of 5×5: two 3×3 convolutions before
    them, four after.
    """
    return nn.Sequential(
        *conv_norm_dropout(1, 4, 3, dropout),  # 28 × 28 → 26 × 26
        *conv_norm_dropout(4, 10, 3, dropout),  # 26 × 26 → 24 × 24
        nn.MaxPool2d(2),  # 24 × 24 → 12 × 12
        *conv_norm_dropout(10, 10, 1, dropout),
        *conv_norm_dropout(10, 4, 1, dropout),
        *conv_norm_dropout(4, 8, 3, dropout),  # 12 × 12 → 10 × 10
        *conv_norm_dropout(8, 12, 3, dropout),  # 10 × 10 → 8 × 8
        *conv_norm_dropout(12, 20, 3, dropout),  # 8 × 8 → 6 × 6
        *conv_norm_dropout(20, 20, 3, dropout),  # 6 × 6 → 4 × 4
        nn.AvgPool2d(4, 1),  # 4 × 4 → 1 × 1
        nn.Conv2d(20, 10, 1, bias=False),
        nn.Flatten(),
    )


def compact_net(
    dropout: float = 0.0, widths: Sequence[int] = (4, 10, 8, 4, 10, 16, 12, 16)
) -> nn.Sequential:
    """Report 003's final net, 6,084 parameters: images [N, 1, 28, 28] to logits [N, 10].

    Raises ``CourseError`` unless ``widths`` are the channels after each convolution but the last.
    """
    check_widths(widths, 8)
    c1, c2, c3, c4, c5, c6, c7, c8 = widths
    return nn.Sequential(
        *conv_norm_dropout(1, c1, 3, dropout),  # 28 × 28 → 26 × 26
        *conv_norm_dropout(c1, c2, 3, dropout),  # 26 × 26 → 24 × 24
        nn.MaxPool2d(2),  # 24 × 24 → 12 × 12
        *conv_norm_dropout(c2, c3, 1, dropout),
        *conv_norm_dropout(c3, c4, 1, dropout),
        *conv_norm_dropout(c4, c5, 3, dropout),  # 12 × 12 → 10 × 10
        *conv_norm_dropout(c5, c6, 3, dropout),  # 10 × 10 → 8 × 8
        *conv_norm_dropout(c6, c7, 3, dropout),  # 8 × 8 → 6 × 6
        *conv_norm_dropout(c7, c8, 3, dropout),  # 6 × 6 → 4 × 4
        nn.AvgPool2d(4, 1),  # 4 × 4 → 1 × 1
        nn.Conv2d(c8, 10, 1, bias=False),
        nn.Flatten(),
    )


def field_net(pools: Sequence[int] = ()) -> nn.Sequential:
    """Always the same five convolutions, 4,874 parameters: [N, 1, 28, 28] to logits [N, 10].

    A 2×2 pooling comes after each convolution whose number, from 1, is in ``pools``. The receptive
    field of what is averaged at the end is 11 pixels without pooling, 54 with pools (1, 2, 3).
    Raises ``CourseError`` for a number that no convolution has.
    """
    check_pools(pools, 5)
    layers: list[nn.Module] = []
    in_channels = 1
    for number, out_channels in enumerate((8, 8, 12, 12, 16), start=1):
        layers += conv_relu_norm(in_channels, out_channels)
        if number in pools:
            layers.append(nn.MaxPool2d(2))
        in_channels = out_channels

    # The average of each channel, whatever the size of the map.
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, 10)]
    return nn.Sequential(*layers)


class PointwiseNet(nn.Module):
    """Report 004's net, 7,640 parameters: images [N, 1, 28, 28] to logits [N, 10].

    Three 1×1 layers come after the average. The order of ReLU and normalisation changes as in the
    report, and two blocks have no ReLU. The report ends in log-softmax, which cross-entropy
    does itself; one dropout layer serves all blocks.
    """

    def __init__(self, dropout: float = 0.03) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(1, 8, 3, bias=False),  # 28 × 28 → 26 × 26
                nn.Conv2d(8, 16, 3, bias=False),  # 26 × 26 → 24 × 24, pooled to 12 × 12
                nn.Conv2d(16, 8, 1, bias=False),
                nn.Conv2d(8, 16, 3, bias=False),  # 12 × 12 → 10 × 10
                nn.Conv2d(16, 24, 3, bias=False),  # 10 × 10 → 8 × 8, averaged to 1 × 1
                nn.Conv2d(24, 32, 1, bias=False),
                nn.Conv2d(32, 16, 1, bias=False),
                nn.Conv2d(16, 10, 1, bias=False),
            ]
        )
        # One for each convolution but the last
        widths = (8, 16, 8, 16, 24, 32, 16)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width) for width in widths])
        self.max_pool = nn.MaxPool2d(2)
        self.average_pool = nn.AvgPool2d(8)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.block(images, 0))  # 3×3 to 8 channels; its ReLU comes last
        x = self.block(x, 1)  # 3×3 to 16 channels, without a ReLU
        x = self.max_pool(x)
        x = self.block(x, 2)  # 1×1 to 8 channels, without a ReLU
        x = self.block(x, 3, relu=True)  # 3×3 to 16 channels
        x = self.block(x, 4, relu=True)  # 3×3 to 24 channels
        x = self.average_pool(x)
        x = self.block(x, 5, relu=True)  # 1×1 to 32 channels
        x = self.block(x, 6, relu=True)  # 1×1 to 16 channels
        return self.convs[7](x).flatten(1)  # 1×1 to the ten logits

    def block(self, x: torch.Tensor, number: int, relu: bool = False) -> torch.Tensor:
        """Convolution ``number``, a ReLU if asked for, its normalisation, and dropout."""
        x = self.convs[number](x)
        if relu:
            x = F.relu(x)
        return self.dropout(self.norms[number](x))


class SharedNet(nn.Module):
    """One 3×3 convolution used again and again, with shortcuts: [N, 1, 28, 28] to logits [N, 10].

    It has 4,270 parameters at 20 channels and six uses.

    channels: of every map.
    uses: how often the convolution is used at each size, with a 2×2 pooling before each size:
        (2, 2, 2) stands for 14, 7 and 3 pixels. Each use has a normalisation of its own.
    separable: a depthwise 3×3 and a 1×1 convolution in place of the 3×3.
    """

    def __init__(
        self, channels: int = 20, uses: Sequence[int] = (2, 2, 2), separable: bool = False
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )

        # The convolution that all sizes share
        self.conv: nn.Module
        if separable:
            self.conv = nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
                nn.Conv2d(channels, channels, 1, bias=False),
            )
        else:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

        # Statistics differ from use to use, so normalisations are not shared.
        self.norms = nn.ModuleList()
        for count in uses:
            self.norms.append(nn.ModuleList([nn.BatchNorm2d(channels) for _ in range(count)]))
        self.linear = nn.Linear(channels, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stem(images)
        for norms in self.norms:
            x = F.max_pool2d(x, 2)
            for norm in norms.children():
                x = F.relu(x + norm(self.conv(x)))
        return self.linear(x.mean((2, 3)))
