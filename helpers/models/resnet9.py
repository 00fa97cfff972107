"""ResNet-9 for CIFAR-10, as document 002 was assigned it, and the document's own version with grouped convolutions."""

import torch
from torch import nn


def conv_layer(
    in_channels: int, out_channels: int, grouped: bool = False, pool: bool = False
) -> nn.Sequential:
    """A 3×3 convolution, max-pooling over 2×2 where asked for, batch normalisation and ReLU: [N, C, H, W] to the same.

    ``grouped``: in place of the 3×3 a depthwise 3×3 (a filter for each channel), normalisation, ReLU and a 1×1. Howard
    and others, "MobileNets", 2017.
    """

    def norm_relu(channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels), nn.ReLU()]

    convolution = [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)]
    if grouped:
        convolution = [
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            *norm_relu(in_channels),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
        ]
    return nn.Sequential(*convolution, *[nn.MaxPool2d(2)] * pool, *norm_relu(out_channels))


class Residual(nn.Module):
    """Adds to its input what two layers make of it; unlike in ``BasicBlock`` the last ReLU comes before the sum."""

    def __init__(self, channels: int, grouped: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(conv_layer(channels, channels, grouped) for _ in range(2)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


class ResNet9(nn.Module):
    """6,573,130 parameters, or 757,931 with ``grouped`` convolutions: images [N, 3, 32, 32] to logits [N, 10].

    ``width`` is the channels of the first layer, of which the last has eight times as many. The logits are multiplied
    by ``scale``: a smaller one keeps the softmax soft for longer. With ``mirror``, in evaluation mode alone, logits are
    the mean of those of an image and its mirror image. Page, "How to Train Your ResNet", 2018, has all three.
    """

    def __init__(
        self, grouped: bool = False, width: int = 64, scale: float = 1.0, mirror: bool = False
    ) -> None:
        super().__init__()
        self.scale, self.mirror, self.prep = scale, mirror, conv_layer(3, width, grouped)
        self.layer1 = nn.Sequential(
            conv_layer(width, 2 * width, grouped, pool=True), Residual(2 * width, grouped)
        )
        self.layer2 = conv_layer(2 * width, 4 * width, grouped, pool=True)
        self.layer3 = nn.Sequential(
            conv_layer(4 * width, 8 * width, grouped, pool=True), Residual(8 * width, grouped)
        )
        self.pool, self.linear = nn.MaxPool2d(4), nn.Linear(8 * width, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        views = [images, images.flip(-1)] if self.mirror and not self.training else [images]
        features = [
            self.pool(self.layer3(self.layer2(self.layer1(self.prep(view))))).flatten(1)
            for view in views
        ]
        return sum(map(self.linear, features)) * (self.scale / len(views))
