"""Residual networks: a block adds its input to what its two convolutions make of it.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2016.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from helpers.environment import CourseError, unknown
from helpers.models import check_widths

SHORTCUTS = ("pad", "conv", "none")


def pad_shortcut(x: torch.Tensor, out_channels: int, stride: int) -> torch.Tensor:
    """Images [N, C, H, W] to [N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉], without parameters.

    Every ``stride``-th row and column is kept. Missing channels are zeros, half of them in front
    and half behind, an odd one behind: option A of section 3.3 of the paper. Raises
    ``CourseError`` for fewer channels than there are.
    """
    kept = x[:, :, ::stride, ::stride]

    # F.pad would take channels away where fewer are wanted.
    in_channels = x.shape[1]
    missing = out_channels - in_channels
    if missing < 0:
        raise CourseError(
            f"pad_shortcut: out_channels is at least {in_channels}, the channels of the input, "
            f"not {out_channels}"
        )
    front = missing // 2
    behind = missing - front
    # F.pad names the last axis first: columns, rows, then channels.
    return F.pad(kept, (0, 0, 0, 0, front, behind))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut around both; the last ReLU comes after the sum.

    Images [N, in_channels, H, W] to [N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉].

    stride: that of the first convolution.
    shortcut: ``"pad"`` (see ``pad_shortcut``), ``"conv"`` (a 1×1 convolution with batch
        normalisation where the shape changes, option B of the paper) or ``"none"``.

    Raises ``CourseError`` for another shortcut.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        shortcut: str = "pad",
    ) -> None:
        super().__init__()
        if shortcut not in SHORTCUTS:
            raise unknown("shortcut", shortcut, SHORTCUTS)
        self.out_channels = out_channels
        self.stride = stride
        self.shortcut = shortcut

        # The main path. Batch normalisation has a bias, so the convolutions need none.
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)

        # The shortcut has weights only where the input does not fit as it is.
        self.project = None
        shape_changes = stride > 1 or in_channels != out_channels
        if shortcut == "conv" and shape_changes:
            self.project = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.shortcut != "none":
            y = y + self.shortcut_branch(x)
        return F.relu(y)

    def shortcut_branch(self, x: torch.Tensor) -> torch.Tensor:
        """The input in the shape of the output."""
        if self.project is not None:
            return self.project(x)
        return pad_shortcut(x, self.out_channels, self.stride)


class ResidualNet(nn.Module):
    """Report 000's net: 19,074 parameters, and no pooling before the average at the end.

    Images [N, 1, H, W] to logits [N, 10].

    widths: channels of the stages; all but the first stage halve rows and columns.
    blocks: basic blocks in each stage, so that the depth is 2 × blocks × stages + 2 layers.
    shortcut: that of every ``BasicBlock``.
    stride: that of the first convolution; 2 makes a net of a quarter of the work.

    Raises ``CourseError`` for no width, and for one below 1.
    """

    def __init__(
        self,
        widths: Sequence[int] = (8, 16, 32),
        blocks: int = 1,
        shortcut: str = "pad",
        stride: int = 1,
    ) -> None:
        super().__init__()
        check_widths(widths)
        # From one channel of 28 × 28 pixels to the first stage
        self.conv = nn.Conv2d(1, widths[0], 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])

        # With stride 1: 28 × 28, then 14 × 14, then 7 × 7
        layers = []
        in_channels = widths[0]
        for stage, out_channels in enumerate(widths):
            for block in range(blocks):
                # The first block of a stage makes the map smaller and gives it more channels.
                block_stride = 1
                if block == 0 and stage > 0:
                    block_stride = 2
                layers.append(BasicBlock(in_channels, out_channels, block_stride, shortcut))
                in_channels = out_channels
        self.blocks = nn.Sequential(*layers)

        # The average of each channel, [N, 32], to ten logits
        self.linear = nn.Linear(widths[-1], 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.conv(images)))
        x = self.blocks(x)
        x = x.mean((2, 3))
        return self.linear(x)
