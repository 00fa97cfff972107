"""Residual networks: a block adds its input to what its two convolutions make of it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from helpers.environment import unknown

SHORTCUTS = ("pad", "conv", "none")


def pad_shortcut(x: torch.Tensor, out_channels: int, stride: int) -> torch.Tensor:
    """Images [N, C, H, W] to [N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉] without parameters.

    Every ``stride``-th row and column is kept; missing channels are zeros, half of them in front and half behind, an
    odd one behind. Option A of He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2016, 3.3.
    """
    missing = out_channels - x.shape[1]
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, missing // 2, missing - missing // 2))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with batch normalisation, and a shortcut around both; the last ReLU comes after the sum.

    ``stride`` is that of the first convolution. ``shortcut``: ``"pad"`` (``pad_shortcut``), ``"conv"`` (a 1×1
    convolution with batch normalisation where the shape changes: option B of the paper) or ``"none"``. Images
    [N, in_channels, H, W] to [N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉]. Raises ``CourseError`` for another shortcut.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, shortcut: str = "pad"
    ) -> None:
        super().__init__()
        if shortcut not in SHORTCUTS:
            raise unknown("shortcut", shortcut, SHORTCUTS)
        self.out_channels, self.stride, self.shortcut = out_channels, stride, shortcut
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        if shortcut == "conv" and (stride > 1 or in_channels != out_channels):
            self.project = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.shortcut == "none":
            return F.relu(y)
        return F.relu(
            y
            + (
                self.project(x)
                if hasattr(self, "project")
                else pad_shortcut(x, self.out_channels, self.stride)
            )
        )


class ResidualNet(nn.Module):
    """Document 000's net: 19,074 parameters, one basic block a stage, and no pooling before the average at the end.

    Images [N, 1, H, W] to logits [N, 10]. ``widths`` are the channels of the stages, of which all but the first halve
    rows and columns; ``blocks`` is the number of blocks in each, so that the depth is 2 × blocks × stages + 2;
    ``stride`` is that of the first convolution, 2 for a net of a quarter of the work.
    """

    def __init__(
        self,
        widths: Sequence[int] = (8, 16, 32),
        blocks: int = 1,
        shortcut: str = "pad",
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.conv, self.norm = (
            nn.Conv2d(1, widths[0], 3, stride, 1, bias=False),
            nn.BatchNorm2d(widths[0]),
        )
        sizes = [
            (max(0, stage - (block == 0)), stage, 2 if stage and not block else 1)
            for stage in range(len(widths))
            for block in range(blocks)
        ]
        self.blocks = nn.Sequential(
            *(
                BasicBlock(widths[before], widths[stage], stride, shortcut)
                for before, stage, stride in sizes
            )
        )
        self.linear = nn.Linear(widths[-1], 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(self.blocks(F.relu(self.norm(self.conv(images)))).mean((2, 3)))
