"""A small net of separable convolutions: what looks at neighbours mixes no channels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from helpers.models import check_pools, check_widths


class SeparableBlock(nn.Module):
    """A depthwise 3×3 and a 1×1 convolution in place of a 3×3, [N, c_in, H, W] to [N, c_out, H, W].

    The 3×3 sees one channel at a time, 9·c_in weights; the 1×1 mixes them, c_in·c_out weights. A
    whole 3×3 convolution has 9·c_in·c_out (Howard and others, MobileNets, 2017). Where both counts
    of channels are equal, the block adds to what it got, a shortcut without parameters (He and
    others, 2016).
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False)
        self.mix = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)
        self.adds = c_in == c_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change = self.norm(self.mix(self.look(x)))
        if self.adds:
            return F.relu(x + change)
        return F.relu(change)


def separable_net(
    widths: Sequence[int] = (12, 12, 12, 16, 16, 16, 20, 20), pools: Sequence[int] = (3, 6)
) -> nn.Sequential:
    """[N, 1, 28, 28] to logits [N, 10], with 3,214 parameters at these widths.

    widths: channels of each layer; the first is a whole 3×3 convolution, the others are separable.
    pools: behind which layers, counted from 1, a 2×2 pooling halves rows and columns.

    Raises ``CourseError`` for no width or one below 1, and for a pooling behind a layer that is not
    there.
    """
    check_widths(widths)
    check_pools(pools, len(widths))
    first = widths[0]
    net = nn.Sequential(
        nn.Conv2d(1, first, 3, padding=1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
    )
    for number, c_out in enumerate(widths, 1):
        # The first layer is there already.
        if number > 1:
            net.append(SeparableBlock(widths[number - 2], c_out))
        if number in pools:
            net.append(nn.MaxPool2d(2))

    # The mean over all places, and a linear layer.
    net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10)])
    return net
