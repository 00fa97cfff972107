"""A net for CIFAR-10 that is trained in eight epochs: as little arithmetic as 94 % can do with.

Its form is known from the races for 94 %: Page, "How to Train Your ResNet", 2018 and 2019; Jordan,
"94% on CIFAR-10 in 3.29 Seconds", 2024.
"""

from collections.abc import Sequence

import torch
from torch import nn

from helpers.environment import CourseError, whole_number
from helpers.models import check_widths
from helpers.models.resnet9 import Style, conv_layer, hand_on
from helpers.models.whitening import WhitenedConv, patches_of, whitening_filters


class WhitenedPatches(WhitenedConv):
    """The whitened first layer with patches of size × size, no frame, and all patterns.

    [N, C, H, W] to [N, 2 · C · size², H - size + 1, W - size + 1]: each pattern is there with both
    signs. Without a frame no patch holds pixels that are none. ``size`` is at most 3; raises
    ``CourseError`` for another one.
    """

    def __init__(self, in_channels: int, size: int = 2, eps: float = 5e-4) -> None:
        check_patch(size)
        super().__init__(in_channels, 2 * in_channels * size**2, eps)
        # The layer that it extends has 3 × 3 weights and a frame; a corner of them is enough.
        self.kernel_size = (size, size)
        self.padding = (0, 0)
        corner = self.weight[:, :, :size, :size].clone()
        self.weight = nn.Parameter(corner, requires_grad=False)

    @torch.no_grad()
    def make(self, images: torch.Tensor) -> None:
        """Make the filters from the patches of these images."""
        # Mixed precision would round the covariance.
        with torch.autocast(images.device.type, enabled=False):
            patches = patches_of(images.float(), self.kernel_size[0])
            filters = whitening_filters(patches, self.eps)

        both = torch.cat([filters, -filters])
        self.weight.copy_(both.unflatten(1, self.weight.shape[1:]))
        self.made.fill_(True)


def check_patch(size: int) -> None:
    """Raise ``CourseError`` for patches larger than the layer that ``WhitenedPatches`` extends."""
    if whole_number(size, least=1) is None or size > 3:
        raise CourseError(f"patches of {size!r} pixels a side: give 1, 2 or 3")


class SpeedNet(nn.Module):
    """1,971,352 parameters, and 288 weights of the first layer that are not trained.

    Images [N, 3, H, W] to logits [N, 10], H and W at least 7 + patch, which is 9 unless told
    otherwise: three groups halve the maps three times. The last maximum is taken over whole maps,
    however large they are, so that a net can begin with smaller images than it ends with.

    widths: channels of each group of two convolutions.
    patch: pixels along a side of the first layer's patches, 3 at most.
    eps: what keeps the first layer's weak patterns small (see ``whitening_filters``).
    scale: a factor of the logits; a small one keeps the softmax soft for longer.
    norm_momentum: by which share running means and variances move towards those of a batch. Two
        hundred steps are too few for the usual tenth.
    ghosts: parts of a batch that are normalised by themselves.

    The pieces that make it fast to train, each of which can be switched off:

    whitened: the first layer's filters are patterns of the images' patches. Without it they are as
        many random ones, and are trained.
    dirac: every convolution begins by handing its input on unchanged, as far as it has channels
        for it; further filters are random.
    activation: ``gelu``, or one of the others in ``Style``.
    frozen_scale: normalisations keep the scale 1, and learn biases alone.

    Raises ``CourseError`` for larger patches, no width, and an unknown activation.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 256, 256),
        patch: int = 2,
        eps: float = 5e-4,
        scale: float = 1 / 9,
        norm_momentum: float = 0.4,
        ghosts: int = 1,
        whitened: bool = True,
        dirac: bool = True,
        activation: str = "gelu",
        frozen_scale: bool = True,
    ) -> None:
        super().__init__()
        check_patch(patch)
        check_widths(widths)
        self.scale = scale
        style = Style(activation, ghosts, frozen_scale)

        # 32 × 32 → 31 × 31, each pattern with both signs
        channels = 2 * 3 * patch**2
        first: nn.Conv2d = nn.Conv2d(3, channels, patch)
        if whitened:
            first = WhitenedPatches(3, patch, eps)
        self.first = nn.Sequential(first, style.activate())

        # 31 × 31 → 15 × 15 → 7 × 7 → 3 × 3
        groups = []
        for width in widths:
            groups.append(conv_group(channels, width, style))
            channels = width
        self.groups = nn.Sequential(*groups)

        # 3 × 3 → 1 × 1, and ten logits
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.linear = nn.Linear(channels, 10, bias=False)

        if dirac:
            hand_on(self.groups)
        for layer in self.groups.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = norm_momentum

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.first(images)
        x = self.groups(x)
        x = self.pool(x).flatten(1)
        return self.linear(x) * self.scale


def conv_group(in_channels: int, out_channels: int, style: Style) -> nn.Sequential:
    """Two 3×3 convolutions, with max-pooling behind the first.

    [N, in_channels, H, W] to [N, out_channels, H // 2, W // 2]. Each is followed by a normalisation
    and an activation.
    """
    # Pooled at once: normalisation, activation and the second convolution have a quarter of the
    # work then.
    return nn.Sequential(
        conv_layer(in_channels, out_channels, pool=True, style=style),
        conv_layer(out_channels, out_channels, style=style),
    )
