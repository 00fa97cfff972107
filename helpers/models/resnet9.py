"""ResNet-9 for CIFAR-10, as report 002 was assigned it, and the report's grouped version.

Page, "How to Train Your ResNet", 2018.
"""

from dataclasses import dataclass

import torch
from torch import nn

from helpers.environment import CourseError, unknown
from helpers.models.ghost_norm import GhostBatchNorm2d
from helpers.models.whitening import WhitenedConv

ACTIVATIONS = ("relu", "gelu", "celu")


@dataclass(frozen=True)
class Style:
    """What follows every convolution of a net; as it stands here, it is the assignment's."""

    activation: str = "relu"  # or "gelu", or "celu" (down to -0.3)
    ghosts: int = 1  # parts of a batch that are normalised by themselves
    frozen_scale: bool = False  # normalisations keep the scale 1, and learn biases alone

    def norm(self, channels: int) -> nn.BatchNorm2d:
        """A batch normalisation of so many channels."""
        layer = nn.BatchNorm2d(channels)
        if self.ghosts > 1:
            layer = GhostBatchNorm2d(channels, self.ghosts)
        if self.frozen_scale:
            layer.weight.requires_grad_(False)
        return layer

    def activate(self) -> nn.Module:
        """The activation. Raises ``CourseError`` where there is none of that name."""
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)
        if self.activation == "gelu":
            return nn.GELU()
        if self.activation == "celu":
            return nn.CELU(0.3)
        return nn.ReLU()


def conv_layer(
    in_channels: int,
    out_channels: int,
    grouped: bool = False,
    pool: bool = False,
    style: Style = Style(),
) -> nn.Sequential:
    """A 3×3 convolution, batch normalisation and ReLU: [N, C, H, W] to [N, out_channels, H, W].

    ``pool``: max-pooling over 2×2 before the normalisation, so that H and W are halved.
    ``grouped``: a depthwise separable convolution in place of the 3×3: a depthwise 3×3 (one filter
    for each channel), normalisation, ReLU and a 1×1. Howard and others, "MobileNets", 2017.
    ``style``: other normalisations and activations.
    """
    layers: list[nn.Module] = []
    if grouped:
        draw_unused_weights(in_channels, out_channels)

        # Each channel for itself, then all channels of each pixel.
        layers += [
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            style.norm(in_channels),
            style.activate(),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
        ]
    else:
        layers.append(nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False))
    if pool:
        layers.append(nn.MaxPool2d(2))
    layers += [style.norm(out_channels), style.activate()]
    return nn.Sequential(*layers)


def draw_unused_weights(in_channels: int, out_channels: int) -> None:
    """Draw the random numbers of a plain 3×3 convolution, which nobody uses.

    The recorded trainings of the grouped net began with the weights that are drawn after them.
    """
    nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


class Residual(nn.Module):
    """Adds to its input what two layers make of it: [N, channels, H, W] to the same shape.

    Unlike in ``BasicBlock`` the last ReLU comes before the sum.
    """

    def __init__(self, channels: int, grouped: bool, style: Style) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_layer(channels, channels, grouped, style=style),
            conv_layer(channels, channels, grouped, style=style),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


class ResNet9(nn.Module):
    """6,573,130 parameters, or 757,931 with ``grouped`` convolutions.

    Images [N, 3, 32, 32] to logits [N, 10].

    grouped: depthwise separable convolutions, a depthwise 3×3 and a 1×1, in place of the 3×3 ones
        (see ``conv_layer``).
    width: channels of the first layer; the last has eight times as many.
    scale: a factor of the logits; a small one keeps the softmax soft for longer.
    mirror: in evaluation mode the logits are the mean of those of an image and its mirror image,
        the simplest test-time augmentation.

    What is not assigned, and each recipe that uses it measures:

    activation, ghosts, frozen_scale: see ``Style``.
    whitened: the first layer's filters are patterns of the images' patches (see ``WhitenedConv``);
        instead of a normalisation, which would undo their lengths, it has a bias.
    dirac: every 3×3 convolution begins by handing its input on unchanged, as far as it has channels
        for it; further filters are random.
    first_bias: what the first normalisation begins its biases with. In the grouped net it sees the
        three colours, and the ReLU behind it would throw half of what they say away.
    head_bias: whether the last layer has a bias.

    Raises ``CourseError`` for an unknown activation, and for a ``first_bias`` of a whitened net.
    """

    def __init__(
        self,
        grouped: bool = False,
        width: int = 64,
        scale: float = 1.0,
        mirror: bool = False,
        activation: str = "relu",
        ghosts: int = 1,
        frozen_scale: bool = False,
        whitened: bool = False,
        dirac: bool = False,
        first_bias: float = 0.0,
        head_bias: bool = True,
    ) -> None:
        super().__init__()
        if whitened and first_bias:
            raise CourseError(
                f"first_bias={first_bias!r}: a whitened net has no first normalisation to begin "
                "with it: leave it out, or whitened=True"
            )
        self.scale = scale
        self.mirror = mirror
        style = Style(activation, ghosts, frozen_scale)

        # 32 × 32
        if whitened:
            self.prep = nn.Sequential(WhitenedConv(3, width), style.activate())
        else:
            self.prep = conv_layer(3, width, grouped, style=style)
        # 32 × 32 → 16 × 16
        self.layer1 = nn.Sequential(
            conv_layer(width, 2 * width, grouped, pool=True, style=style),
            Residual(2 * width, grouped, style),
        )
        # 16 × 16 → 8 × 8
        self.layer2 = conv_layer(2 * width, 4 * width, grouped, pool=True, style=style)
        # 8 × 8 → 4 × 4
        self.layer3 = nn.Sequential(
            conv_layer(4 * width, 8 * width, grouped, pool=True, style=style),
            Residual(8 * width, grouped, style),
        )
        # 4 × 4 → 1 × 1, and ten logits
        self.pool = nn.MaxPool2d(4)
        self.linear = nn.Linear(8 * width, 10, bias=head_bias)

        # What other weights begin with than the random numbers that were drawn for them.
        if first_bias:
            nn.init.constant_(self.get_parameter("prep.1.bias"), first_bias)
        if dirac:
            hand_on(self)

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


@torch.no_grad()
def hand_on(net: nn.Module) -> None:
    """Let each 3×3 convolution over several channels begin with as many copies as it has inputs.

    Filter c then takes the middle pixel of channel c, and nothing else: an identity initialisation,
    which torch names after Dirac.
    """
    for layer in net.modules():
        if not isinstance(layer, nn.Conv2d) or isinstance(layer, WhitenedConv):
            continue
        if layer.kernel_size == (3, 3) and layer.groups == 1:
            nn.init.dirac_(layer.weight[: layer.in_channels])
