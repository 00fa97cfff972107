"""ResNet-9 for CIFAR-10, as document 002 was assigned it, and the document's grouped version.

Page, "How to Train Your ResNet", 2018.
"""

import torch
from torch import nn


def conv_layer(
    in_channels: int, out_channels: int, grouped: bool = False, pool: bool = False
) -> nn.Sequential:
    """A 3×3 convolution, batch normalisation and ReLU: [N, C, H, W] to [N, out_channels, H, W].

    ``pool``: max-pooling over 2×2 before the normalisation, so that H and W are halved.
    ``grouped``: in place of the 3×3 a depthwise 3×3 (one filter for each channel), normalisation,
    ReLU and a 1×1. Howard and others, "MobileNets", 2017.
    """
    layers: list[nn.Module] = []
    if grouped:
        # Make the 3×3 convolution that is not used, because it draws random numbers: the recorded
        # trainings began with the weights that are drawn after them.
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)

        # Each channel for itself, then all channels of each pixel.
        layers += [
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
        ]
    else:
        layers.append(nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False))
    if pool:
        layers.append(nn.MaxPool2d(2))
    layers += [nn.BatchNorm2d(out_channels), nn.ReLU()]
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """Adds to its input what two layers make of it: [N, channels, H, W] to the same shape.

    Unlike in ``BasicBlock`` the last ReLU comes before the sum.
    """

    def __init__(self, channels: int, grouped: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_layer(channels, channels, grouped),
            conv_layer(channels, channels, grouped),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


class ResNet9(nn.Module):
    """6,573,130 parameters, or 757,931 with ``grouped`` convolutions.

    Images [N, 3, 32, 32] to logits [N, 10].

    grouped: depthwise and 1×1 convolutions in place of the 3×3 ones (see ``conv_layer``).
    width: channels of the first layer; the last has eight times as many.
    scale: a factor of the logits; a small one keeps the softmax soft for longer.
    mirror: in evaluation mode the logits are the mean of those of an image and its mirror image.
    """

    def __init__(
        self,
        grouped: bool = False,
        width: int = 64,
        scale: float = 1.0,
        mirror: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.mirror = mirror

        # 32 × 32
        self.prep = conv_layer(3, width, grouped)
        # 32 × 32 → 16 × 16
        self.layer1 = nn.Sequential(
            conv_layer(width, 2 * width, grouped, pool=True),
            Residual(2 * width, grouped),
        )
        # 16 × 16 → 8 × 8
        self.layer2 = conv_layer(2 * width, 4 * width, grouped, pool=True)
        # 8 × 8 → 4 × 4
        self.layer3 = nn.Sequential(
            conv_layer(4 * width, 8 * width, grouped, pool=True),
            Residual(8 * width, grouped),
        )
        # 4 × 4 → 1 × 1, and ten logits
        self.pool = nn.MaxPool2d(4)
        self.linear = nn.Linear(8 * width, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.mirror and not self.training:
            total = self.logits(images) + self.logits(images.flip(-1))
            return total * (self.scale / 2)
        return self.logits(images) * self.scale

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, 10] of one view of the images, before they are scaled."""
        x = self.prep(images)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.pool(x).flatten(1)
        return self.linear(x)
