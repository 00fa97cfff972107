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
        if self.track_running_stats:
            self.num_batches_tracked += 1

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
            momentum=self.share_of_batch(),
            eps=self.eps,
        )

        # Torch has moved a copy of the running statistics for each part.
        if self.track_running_stats:
            self.running_mean.copy_(mean.view(parts, channels).mean(0))
            self.running_var.copy_(variance.view(parts, channels).mean(0))
        return mixed.reshape(x.shape)

    def share_of_batch(self) -> float:
        """How far the running statistics move towards those of this batch, from 0 to 1."""
        if self.momentum is not None:
            return self.momentum
        # Without a momentum they are the mean of all batches, as torch has it.
        return 1 / max(1, int(self.num_batches_tracked))
