"""Brightness and contrast, crops, mirror images and cutout: pixels stay whole."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from helpers.augment.random_numbers import (
    check_amount,
    check_images,
    to_device_of,
    uniform,
    whole_uniform,
)
from helpers.environment import CourseError, unknown, whole_number

FRAMES = ("constant", "reflect")


class ColorJitter:
    """Multiply the brightness of each image, then its contrast, by random factors.

    Both are uniform in 1 ± the amount, and never below 0. Contrast is measured about the mean of
    all pixels in all channels. Values stay in [0, 1]. Raises ``CourseError`` for an amount that is
    no number from 0 on.
    """

    def __init__(self, brightness: float = 0.0, contrast: float = 0.0) -> None:
        check_amount("ColorJitter: brightness", brightness, least=0)
        check_amount("ColorJitter: contrast", contrast, least=0)
        self.brightness = brightness
        self.contrast = contrast

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        check_images(images)
        # One factor per image, [N, 1, 1, 1].
        brightness = self._factors(self.brightness, images, generator)
        contrast = self._factors(self.contrast, images, generator)

        # Darker or brighter, then closer to the mean or farther from it.
        images = (images * brightness).clamp(0, 1)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        return (mean + (images - mean) * contrast).clamp(0, 1)

    @staticmethod
    def _factors(
        amount: float, images: torch.Tensor, generator: torch.Generator | None
    ) -> torch.Tensor:
        # An amount above 1 would make negative factors, and a negative picture.
        low = max(0.0, 1 - amount)
        return uniform(low, 1 + amount, images, generator).view(-1, 1, 1, 1)


class RandomCrop:
    """Pad each image by ``padding`` pixels, and cut the old size out anywhere.

    ``mode`` is what the frame holds: ``constant`` (black) or ``reflect`` (the image mirrored).
    Raises ``CourseError`` for another one, for a ``padding`` that is no whole number from 0 on, and
    for images that are too small to be mirrored so far.
    """

    def __init__(self, padding: int = 4, mode: str = "constant") -> None:
        if whole_number(padding, least=0) is None:
            raise CourseError(
                f"RandomCrop: padding is a whole number of at least 0, not {padding!r}"
            )
        if mode not in FRAMES:
            raise unknown("mode of RandomCrop", mode, FRAMES)
        self.padding = padding
        self.mode = mode

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        check_images(images)
        count, _, height, width = images.shape
        if self.mode == "reflect" and self.padding >= min(height, width):
            raise CourseError(
                f"RandomCrop: a frame of {self.padding} pixels cannot mirror images of "
                f"{height}×{width}: give at most {min(height, width) - 1}"
            )
        frame = [self.padding] * 4  # left, right, top, bottom
        padded = F.pad(images, frame, mode=self.mode)

        # Every place a window can have, as a view that copies nothing:
        # windows[n, c, row, column] is the crop [H, W] whose corner lies at (row, column).
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)

        # One window per image.
        places = 2 * self.padding + 1
        row = whole_uniform(places, images, generator)
        column = whole_uniform(places, images, generator)
        image = torch.arange(count, device=images.device)
        return windows[image, :, row, column]


class RandomHorizontalFlip:
    """Mirror each image left to right with probability ``p``.

    Raises ``CourseError`` for a ``p`` outside 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        check_amount("RandomHorizontalFlip: p", p)
        if not 0 <= p <= 1:
            raise CourseError(f"RandomHorizontalFlip: p lies between 0 and 1, not {p!r}")
        self.p = p

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        check_images(images)
        # Drawn on the CPU, so that every device gets the same numbers.
        flipped = torch.rand(len(images), generator=generator) < self.p
        flipped = to_device_of(images, flipped).view(-1, 1, 1, 1)
        # Take the mirrored image where ``flipped`` is true, and the image itself elsewhere.
        return torch.where(flipped, images.flip(-1), images)


class Cutout:
    """Cover a square of ``size`` × ``size`` pixels, wholly inside each image, with ``fill``.

    ``fill`` is one value for each channel, or one for all. DeVries and Taylor, "Improved
    Regularization of Convolutional Neural Networks with Cutout", 2017; the paper's square may hang
    over the border, the assignment's may not. Raises ``CourseError`` where they do not fit.
    """

    def __init__(self, size: int = 8, fill: float | Sequence[float] = 0.0) -> None:
        if whole_number(size, least=0) is None:
            raise CourseError(f"Cutout: size is a whole number of at least 0, not {size!r}")
        try:
            finite = bool(torch.as_tensor(fill, dtype=torch.float64).isfinite().all())
        except (TypeError, ValueError):
            finite = False
        if not finite:
            raise CourseError(f"Cutout: fill is a finite number, or a list of them, not {fill!r}")
        self.size = size
        self.fill = fill

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        check_images(images)
        # Check first that the square and its colour fit these images.
        _, channels, height, width = images.shape
        fill = torch.as_tensor(self.fill, dtype=images.dtype)
        if self.size > min(height, width) or fill.numel() not in (1, channels):
            raise CourseError(
                f"Cutout: a square of {self.size} pixels and {fill.numel()} values of fill "
                f"do not fit into images of {channels}×{height}×{width}"
            )
        fill = to_device_of(images, fill.view(1, -1, 1, 1))

        # A pixel is covered where both its row and its column are.
        rows = self._covered(height, images, generator)[:, None, :, None]
        columns = self._covered(width, images, generator)[:, None, None, :]
        return torch.where(rows & columns, fill, images)

    def _covered(
        self, length: int, images: torch.Tensor, generator: torch.Generator | None
    ) -> torch.Tensor:
        """Which of ``length`` rows or columns each image's square covers, bool [N, length]."""
        # The first row that a square may begin at is 0, the last length - size.
        first_places = length - self.size + 1
        start = torch.randint(first_places, (len(images), 1), generator=generator)
        places = torch.arange(length)
        covered = (places >= start) & (places < start + self.size)
        return to_device_of(images, covered)
