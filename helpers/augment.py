"""Augmentation of whole batches: each image gets random numbers of its own, in one tensor step.

A transform is called as ``transform(images, generator=None)`` with float images [N, C, H, W] in
[0, 1], before they are normalised, and returns new ones of that kind. All its random numbers come
from ``generator`` (a CPU generator), or from torch's own state: drawn on the CPU, they are the same
on every device.

Two things a transform may have beside that. With ``wants_indices = True`` it is called as
``transform(images, generator, indices)``, where ``indices``, int64 [N], are the images' places in
their split. With a method ``set_epoch(epoch)`` it is told which epoch begins, from 0.
"""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from helpers.environment import CourseError, unknown


def to_device_of(images: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """``values``, drawn on the CPU, on the images' device.

    A GPU takes them while the program goes on: to wait for it would leave it idle.
    """
    return values.to(images.device, non_blocking=images.is_cuda)


def uniform(
    low: float, high: float, images: torch.Tensor, generator: torch.Generator | None
) -> torch.Tensor:
    """One random number an image, [N], uniform from ``low`` to ``high``, on the images' device."""
    numbers = torch.rand(len(images), generator=generator)
    numbers = numbers * (high - low) + low
    return to_device_of(images, numbers.to(images.dtype))


def whole_uniform(
    count: int, images: torch.Tensor, generator: torch.Generator | None
) -> torch.Tensor:
    """One whole number an image, int64 [N], each of 0 to ``count`` - 1 equally likely."""
    numbers = torch.randint(count, (len(images),), generator=generator)
    return to_device_of(images, numbers)


class Compose:
    """Apply ``transforms`` one after the other; each draws where the one before it stopped."""

    def __init__(self, *transforms: Callable[..., torch.Tensor]) -> None:
        self.transforms = transforms

    @property
    def wants_indices(self) -> bool:
        """Whether one of the transforms asks for the images' places in their split."""
        return any(getattr(transform, "wants_indices", False) for transform in self.transforms)

    def __call__(
        self,
        images: torch.Tensor,
        generator: torch.Generator | None = None,
        indices: torch.Tensor | None = None,
    ) -> torch.Tensor:
        # Only a transform that asks for the places can be called with them.
        for transform in self.transforms:
            if getattr(transform, "wants_indices", False):
                images = transform(images, generator, indices)
            else:
                images = transform(images, generator)
        return images

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to every transform that wants to know it."""
        # Most transforms are the same in every epoch.
        for transform in self.transforms:
            if hasattr(transform, "set_epoch"):
                transform.set_epoch(epoch)


class RandomAffine:
    """Rotate, shear, scale and shift each image about its centre, with bilinear sampling.

    Angles and directions are torchvision's (``torchvision.transforms.RandomAffine``).

    Args:
        degrees: the largest angle of rotation, to both sides.
        translate: the largest shift right and down, as a fraction of width and height.
        scale: the smallest and the largest factor of size.
        shear: the largest angle of slant, along x, in degrees.
        fill: the brightness of what comes in from outside.

    Raises ``CourseError`` for a ``scale`` that is no range above 0.
    """

    def __init__(
        self,
        degrees: float = 0.0,
        translate: Sequence[float] = (0.0, 0.0),
        scale: Sequence[float] = (1.0, 1.0),
        shear: float = 0.0,
        fill: float = 0.0,
    ) -> None:
        if not 0 < scale[0] <= scale[1]:
            raise CourseError(
                f"RandomAffine: scale is (low, high) with 0 < low <= high, not {tuple(scale)}"
            )
        self.degrees = degrees
        self.translate = translate
        self.scale = scale
        self.shear = shear
        self.fill = fill

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        # The largest angles in radians, the largest shifts in pixels.
        height, width = images.shape[-2:]
        max_angle = math.radians(self.degrees)
        max_shear = math.radians(self.shear)
        max_x = self.translate[0] * width
        max_y = self.translate[1] * height
        low, high = self.scale

        # The order in which they are drawn is part of every recorded result.
        angle = uniform(-max_angle, max_angle, images, generator)
        shear = uniform(-max_shear, max_shear, images, generator)
        shift_x = uniform(-max_x, max_x, images, generator)
        shift_y = uniform(-max_y, max_y, images, generator)
        scale = uniform(low, high, images, generator)
        return affine(images, angle, shift_x, shift_y, scale, shear, self.fill)


def affine(
    images: torch.Tensor,
    angle: torch.Tensor,
    shift_x: torch.Tensor,
    shift_y: torch.Tensor,
    scale: torch.Tensor,
    shear: torch.Tensor,
    fill: float = 0.0,
) -> torch.Tensor:
    """Move each image by an affine map of its own, about its centre.

    A point p of an image goes to M p + t, with p = (x, y) in pixels from the centre, y downwards:

        M = scale · | cos a   -sin a | · | 1   -tan s |        t = | shift_x |
                    | sin a    cos a |   | 0      1   |            | shift_y |

    For each pixel q of the result, ``grid_sample`` asks the other way round: where does it come
    from? From p = M⁻¹ (q - t), where

        M⁻¹ = 1 / scale · | cos a - sin a tan s     cos a tan s + sin a |
                          |       -sin a                   cos a        |

    ``affine_grid`` would build the same grid from M⁻¹, far more slowly.

    Args:
        images: float [N, C, H, W].
        angle: rotation a, clockwise on the screen, in radians, [N].
        shift_x: shift to the right, in pixels, [N].
        shift_y: shift down, in pixels, [N].
        scale: factor of size, [N].
        shear: slant s along x, in radians, [N].
        fill: the brightness of what comes in from outside.
    """
    height, width = images.shape[-2:]

    # One number an image, [N], shaped so that it meets every pixel, [H, W], of that image.
    angle = angle.view(-1, 1, 1)
    shift_x = shift_x.view(-1, 1, 1)
    shift_y = shift_y.view(-1, 1, 1)
    scale = scale.view(-1, 1, 1)
    shear = shear.view(-1, 1, 1)

    # The inverse matrix: from_x and from_y of the result's x and y.
    cos = angle.cos()
    sin = angle.sin()
    tan = shear.tan()
    xx = (cos - sin * tan) / scale
    xy = (cos * tan + sin) / scale
    yx = -sin / scale
    yy = cos / scale

    # grid_sample counts places from -1 to 1, in half widths and half heights. Seen so, a step along
    # y is height / width times as long as one along x, and a pixel is 2 / width or 2 / height.
    x = pixel_places(width, images)
    y = pixel_places(height, images)[:, None]
    back_x = (xx * shift_x + xy * shift_y) * (2 / width)
    back_y = (yx * shift_x + yy * shift_y) * (2 / height)
    from_x = xx * x + xy * (height / width) * y - back_x
    from_y = yx * (width / height) * x + yy * y - back_y
    grid = torch.stack([from_x, from_y], dim=1).permute(0, 2, 3, 1)

    # What lies outside counts as 0: with fill taken away before, and given back after, it is fill.
    return F.grid_sample(images - fill, grid, align_corners=False) + fill


def pixel_places(size: int, images: torch.Tensor) -> torch.Tensor:
    """The centres of ``size`` pixels in a row, where the row's edges are -1 and 1."""
    edges = torch.linspace(-1, 1, size, dtype=images.dtype, device=images.device)
    return edges * (size - 1) / size


class ColorJitter:
    """Multiply the brightness of each image, then its contrast, by random factors.

    Both are uniform in 1 ± the amount, and never below 0. Contrast is measured about the mean of
    all pixels in all channels. Values stay in [0, 1].
    """

    def __init__(self, brightness: float = 0.0, contrast: float = 0.0) -> None:
        self.brightness = brightness
        self.contrast = contrast

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        # One factor an image, [N, 1, 1, 1].
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
    """

    def __init__(self, padding: int = 4, mode: str = "constant") -> None:
        self.padding = padding
        self.mode = mode

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        count, _, height, width = images.shape
        frame = [self.padding] * 4  # left, right, top, bottom
        padded = F.pad(images, frame, mode=self.mode)

        # Every place a window can have, as a view that copies nothing:
        # windows[n, c, row, column] is the crop [H, W] whose corner lies at (row, column).
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)

        # A window an image.
        places = 2 * self.padding + 1
        row = whole_uniform(places, images, generator)
        column = whole_uniform(places, images, generator)
        image = torch.arange(count, device=images.device)
        return windows[image, :, row, column]


class RandomHorizontalFlip:
    """Mirror each image left to right with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        # Decided on the CPU, so that a GPU gets one small tensor, [N].
        flipped = torch.rand(len(images), generator=generator) < self.p
        flipped = to_device_of(images, flipped).view(-1, 1, 1, 1)
        # Where it is true, the mirrored image is taken, else the image itself.
        return torch.where(flipped, images.flip(-1), images)


class Cutout:
    """Cover a square of ``size`` × ``size`` pixels, wholly inside each image, with ``fill``.

    ``fill`` is a value for each channel, or one for all. DeVries and Taylor, "Improved
    Regularization of Convolutional Neural Networks with Cutout", 2017; the paper's square may hang
    over the border, the assignment's may not. Raises ``CourseError`` where they do not fit.
    """

    def __init__(self, size: int = 8, fill: float | Sequence[float] = 0.0) -> None:
        self.size = size
        self.fill = fill

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        # A square and a colour that fit.
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


# What a recipe can name.
TRANSFORMS: dict[str, Callable[..., Any]] = {
    "RandomAffine": RandomAffine,
    "ColorJitter": ColorJitter,
    "RandomCrop": RandomCrop,
    "RandomHorizontalFlip": RandomHorizontalFlip,
    "Cutout": Cutout,
}


def build(steps: Sequence[tuple[str, dict[str, Any]]]) -> Compose | None:
    """The transform that a recipe's ``(name, arguments)`` pairs describe; None for none.

    Raises ``CourseError`` for a name that is none of ``TRANSFORMS``.
    """
    if not steps:
        return None
    transforms = []
    for name, arguments in steps:
        if name not in TRANSFORMS:
            raise unknown("transform", name, TRANSFORMS)
        transforms.append(TRANSFORMS[name](**arguments))
    return Compose(*transforms)


# Document 004's training transforms: a rotation, an affine map, brightness and contrast. It also
# names a hue, which does nothing on grey.
DOCUMENT_004 = (
    ("RandomAffine", {"degrees": 7}),
    ("RandomAffine", {"degrees": 7, "translate": [0.1, 0.1], "scale": [0.8, 1.2], "shear": 10}),
    ("ColorJitter", {"brightness": 0.4, "contrast": 0.4}),
)


def albumentations_pipeline(name: str) -> Any:
    """The same recipe in Albumentations 2, normalised, as it is taught elsewhere.

    ``mnist`` is document 004's, ``cifar10`` crop, flip and cutout. Call it as
    ``pipeline(image=array)["image"]`` with uint8 arrays [H, W, C]; it returns float32 [H, W, C]. It
    shifts by whole pixels, and draws from a state of its own: ``pipeline.set_random_seed(seed)``.

    Raises ``CourseError`` for another name, or where Albumentations cannot be imported.
    """
    from helpers.data.known import KNOWN

    if name not in KNOWN:
        raise unknown("pipeline", name, KNOWN)
    A = import_albumentations()
    # The steps of the one or the other.
    mean = KNOWN[name].mean
    std = KNOWN[name].std
    if name == "mnist":
        steps = [
            A.Rotate(7, p=1),
            A.Affine(
                rotate=(-7, 7),
                translate_percent=(-0.1, 0.1),
                scale=(0.8, 1.2),
                keep_ratio=True,  # one factor for both axes
                shear={"x": (-10, 10), "y": 0},
                p=1,
            ),
            A.ColorJitter(
                brightness=(0.6, 1.4),
                contrast=(0.6, 1.4),
                saturation=(1, 1),
                hue=(0, 0),
                p=1,
            ),
        ]
    else:
        steps = [
            A.PadIfNeeded(40, 40, border_mode=0, fill=0),
            A.RandomCrop(32, 32),
            A.HorizontalFlip(p=0.5),
            # Older arguments, as max_holes and max_height, are only warned of, and then ignored.
            A.CoarseDropout(
                num_holes_range=(1, 1),
                hole_height_range=(8, 8),
                hole_width_range=(8, 8),
                fill=[255 * value for value in mean],
                p=1,
            ),
        ]
    # From bytes to numbers with a mean of 0 and a deviation of 1, as Batches does.
    steps.append(A.Normalize(mean=mean, std=std, max_pixel_value=255))
    return A.Compose(steps)


def import_albumentations() -> Any:
    """The module ``albumentations``; a ``CourseError`` that names the real cause where it fails."""
    # Its import would ask the network for a newer version.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import albumentations
    except ModuleNotFoundError as problem:
        if problem.name == "albumentations":
            raise CourseError(
                "albumentations is not installed: pip install 'albumentations>=2,<3'"
            ) from None
        raise CourseError(
            f"albumentations needs {problem.name}, which is not installed: "
            "pip install --force-reinstall 'albumentations>=2,<3'"
        ) from problem
    except ImportError as problem:
        # OpenCV, which it stands on, wants libraries of the system that servers often lack.
        cause = str(problem).split("\n")[0]
        help_text = "pip install --force-reinstall 'albumentations>=2,<3'"
        if ".so" in cause:
            help_text = (
                "pip uninstall -y opencv-python opencv-contrib-python, then "
                "pip install --force-reinstall opencv-python-headless"
            )
        raise CourseError(
            f"albumentations is installed, but cannot be imported ({cause}): {help_text}"
        ) from problem
    return albumentations
