"""A first layer that is not learned: filters that take small patches of images apart.

Neighbouring pixels of a photograph are nearly equal, so the numbers in a patch say nearly the same.
The eigenvectors of their covariance are patterns that say different things: brightness, slopes,
edges. Divided by their deviations, all of them come to about 1. Page, "How to Train Your ResNet 8",
2019; with both signs of each pattern in Jordan, "94% on CIFAR-10 in 3.29 Seconds", 2024.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


def patches_of(images: torch.Tensor, size: int = 3) -> torch.Tensor:
    """All size × size patches inside of images [N, C, H, W], as rows [patches, C · size · size]."""
    columns = F.unfold(images, size)  # [N, C · size · size, places]
    return columns.transpose(1, 2).flatten(0, 1)


def eigenpatches(patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Variances λ [D], largest first, and the patterns [D, D], one a row, of patches [P, D]."""
    # Apple's MPS has no numbers of 64 bits: what is asked of it there, the CPU calculates.
    if patches.device.type == "mps":
        patches = patches.cpu()
    # In 64 bits: the smallest variance is some hundred thousand times smaller than the largest.
    covariance = torch.cov(patches.double().T)
    # On the CPU, which has them at once. Its order is from the smallest to the largest.
    values, vectors = torch.linalg.eigh(covariance.cpu())
    return values.flip(0), vectors.T.flip(0)


def whitening_filters(patches: torch.Tensor, eps: float) -> torch.Tensor:
    """Filters [D, D], whose answers to the patches [P, D] have variances λ / (λ + eps).

    No two of them are correlated. ``eps`` keeps patterns small that hold little more than noise.
    """
    values, vectors = eigenpatches(patches)
    return vectors / (values[:, None] + eps).sqrt()


class WhitenedConv(nn.Conv2d):
    """A 3×3 convolution whose weights are made from the first batch it trains on, and then stay.

    [N, C, H, W] to [N, out_channels, H, W]. It begins with the patterns of largest variance, then
    has each once more with the other sign, because what comes after it cuts negative numbers off;
    what is left keeps its random weights. A bias is trained.
    """

    made: torch.Tensor

    def __init__(self, in_channels: int, out_channels: int, eps: float = 1e-2) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.eps = eps
        self.weight.requires_grad_(False)
        nn.init.zeros_(self.get_parameter("bias"))

        # A buffer is in every checkpoint: a run that goes on must not make the filters anew. To
        # look at it, the program waits for a GPU, so what it said is remembered.
        self.register_buffer("made", torch.tensor(False))
        self.known_to_be_made = False
        self.register_load_state_dict_post_hook(forget)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training and not self.known_to_be_made:
            if not self.made:
                self.make(images)
            self.known_to_be_made = True
        return super().forward(images)

    @torch.no_grad()
    def make(self, images: torch.Tensor) -> None:
        """Make the filters from the patches of these images."""
        # Mixed precision would round the covariance.
        with torch.autocast(images.device.type, enabled=False):
            filters = whitening_filters(patches_of(images.float()), self.eps)

        # Both signs of as many patterns as there is room for.
        count = min(len(filters), self.out_channels // 2)
        both = torch.cat([filters[:count], -filters[:count]])
        kernels = both.unflatten(1, self.weight.shape[1:])
        self.weight[: 2 * count] = kernels.to(self.weight)
        self.made.fill_(True)


def forget(layer: Any, _: Any) -> None:
    """After a state was loaded, the layer has to look again whether its filters are made."""
    layer.known_to_be_made = False
