"""Several views of an image, whose logits are averaged when a net is measured.

This is known as test-time augmentation.
"""

import torch
import torch.nn.functional as F
from torch import nn


class SixViews(nn.Module):
    """Averages a net's logits over an image, its mirror image, and both shifted by a pixel.

    The two views in place count a half together; those that are shifted up and left, and those
    shifted down and right, a quarter. Images [N, C, H, W] to logits [N, classes]. The border is
    mirrored. Jordan, "94% on CIFAR-10 in 3.29 Seconds", 2024.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # A window of the old size may lie at (0, 0), (1, 1) and (2, 2) of the padded image.
        height, width = images.shape[-2:]
        padded = F.pad(images, [1, 1, 1, 1], mode="reflect")
        up_left = padded[..., 2 : 2 + height, 2 : 2 + width]
        down_right = padded[..., :height, :width]

        # Every view's logits, weighted.
        in_place = self.both_sides(images)
        shifted = self.both_sides(up_left) + self.both_sides(down_right)
        return in_place / 2 + shifted / 4

    def both_sides(self, images: torch.Tensor) -> torch.Tensor:
        """The mean of the logits of images and their mirror images."""
        return (self.net(images) + self.net(images.flip(-1))) / 2
