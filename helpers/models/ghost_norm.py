"""Batch normalisation in parts of a batch, as if it had been trained in smaller ones."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class GhostBatchNorm2d(nn.BatchNorm2d):
    """Normalises each of so many parts of a batch [N, C, H, W] by its own mean and variance.

    Means and variances over fewer images are less exact, and this noise keeps a net from learning
    its images by heart. Image i belongs to part i modulo ``parts``; a batch that cannot be split
    evenly has fewer parts. The running statistics move once, by the mean over the parts; in
    evaluation mode it is an ordinary batch normalisation. Hoffer, Hubara and Soudry, "Train Longer,
    Generalize Better", 2017.
    """

    # They are there, because an ordinary batch normalisation makes them unless told otherwise.
    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor

    def __init__(self, channels: int, parts: int = 16) -> None:
        super().__init__(channels)
        self.parts = parts

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        count, channels, height, width = x.shape
        parts = math.gcd(count, self.parts)

        # Images that follow each other become channels of one: then torch takes the statistics of
        # all parts at once.
        mixed = x.reshape(count // parts, parts * channels, height, width)
        mean = self.running_mean.repeat(parts)
        variance = self.running_var.repeat(parts)
        mixed = F.batch_norm(
            mixed,
            mean,
            variance,
            self.weight.repeat(parts),
            self.bias.repeat(parts),
            training=True,
            momentum=self.momentum or 0.0,
            eps=self.eps,
        )

        # Torch has moved a copy of the running statistics for each part.
        if self.track_running_stats:
            self.running_mean.copy_(mean.view(parts, channels).mean(0))
            self.running_var.copy_(variance.view(parts, channels).mean(0))
            self.num_batches_tracked += 1
        return mixed.reshape(x.shape)
