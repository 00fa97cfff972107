"""Batches whose images grow from epoch to epoch: small ones cost less arithmetic.

The arithmetic of a convolution is proportional to the area of its maps, so an image of 20 × 20
costs about a third of one of 32 × 32. What a net learns first, coarse shapes and colours, can be
seen in small images too. Howard in Stanford's DAWNBench, 2018, called it progressive resizing.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from helpers.data import Batches, ImageSplit
from helpers.data.known import DataError
from helpers.environment import whole_number


class GrowingBatches(Batches):
    """``Batches`` whose images are made smaller, to one of ``sizes`` in each epoch.

    The sizes, pixels along a side, take turns over ``epochs`` epochs, each for about as many. They
    are dealt out from the end, so that the last epoch has the last size, however few there are. A
    new pixel is the mean of those that it lies over. The other arguments are those of ``Batches``.
    Raises DataError for sizes that are no whole numbers from 1 to the images' own, or none at all,
    and for epochs that are no whole number of at least 1.
    """

    def __init__(
        self, split: ImageSplit, batch_size: int, sizes: Sequence[int], epochs: int, **options: Any
    ) -> None:
        super().__init__(split, batch_size, **options)
        check_sizes(sizes, min(split.images.shape[-2:]))
        if whole_number(epochs, least=1) is None:
            raise DataError(f"epochs={epochs!r}: give a whole number of at least 1")
        self.sizes = list(sizes)
        self.epochs = epochs
        self.size = self.sizes[0]  # until the first epoch is announced

    def set_epoch(self, epoch: int) -> None:
        """From here on the images are as large as in this epoch, counted from 0."""
        super().set_epoch(epoch)
        self.size = size_in(epoch, self.sizes, self.epochs)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        # Shrunk last of all: a mean of normalised pixels is the normalised mean.
        for images, labels in super().__iter__():
            yield shrunk(images, self.size), labels


def growing_batches(
    split: ImageSplit, recipe: Any, device: torch.device, generator: torch.Generator
) -> GrowingBatches:
    """Shuffled batches for a recipe, whose option ``sizes`` says how large their images are.

    Images are augmented first, at their own size: then a shift by a pixel is one by a part of a
    pixel. Raises DataError as ``GrowingBatches``.
    """
    return GrowingBatches(
        split,
        recipe.batch_size,
        recipe.options.get("sizes"),
        recipe.epochs,
        augment=recipe.build_augment(),
        shuffle=True,
        device=device,
        generator=generator,
    )


def size_in(epoch: int, sizes: Sequence[int], epochs: int) -> int:
    """How large the images of an epoch are, counted from 0, of so many epochs."""
    # Counted from the end, where the last size is; an epoch beyond the last one has it too. Of 8
    # epochs with 4 sizes, those with 0 or 1 left have sizes[-1], with 2 or 3 left sizes[-2], …
    left = max(epochs - 1 - epoch, 0)
    return sizes[-1 - left * len(sizes) // epochs]


def shrunk(images: torch.Tensor, size: int) -> torch.Tensor:
    """Images [N, C, H, W] as [N, C, size, size], each pixel a mean over those that it lies over."""
    # Nothing to be done, and nothing to be copied.
    if images.shape[-2:] == (size, size):
        return images
    # Apple's MPS has these means only for sizes that divide the images' own: they are made on the
    # CPU there.
    if images.device.type == "mps":
        return F.interpolate(images.cpu(), (size, size), mode="area").to(images.device)
    return F.interpolate(images, (size, size), mode="area")


def check_sizes(sizes: Any, largest: int) -> None:
    """Raise DataError unless these are sizes that images of ``largest`` pixels can be shrunk to."""
    # A text is a sequence too, of letters.
    if isinstance(sizes, str) or not isinstance(sizes, Sequence) or not sizes:
        raise DataError(f"sizes={sizes!r}: give a list of sizes, such as [24, {largest}]")
    for size in sizes:
        if whole_number(size, least=1) is None or size > largest:
            raise DataError(
                f"sizes={list(sizes)}: give whole numbers from 1 to {largest}, which is the size "
                f"of the images, and not {size!r}"
            )
