"""Augmentation of whole batches: every image of a batch gets parameters of its own, and the work is done on tensors.

A transform is called as ``transform(images, generator=None)`` with float images [N, C, H, W] in [0, 1], before they are
normalised, and returns new ones of that kind. All its random numbers come from ``generator`` (a CPU generator), or from
torch's own state, so that a seed fixes them on every device.
"""

import math
import os
from typing import Any
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from helpers.environment import CourseError, unknown


def _uniform(
    low: float, high: float, like: torch.Tensor, generator: torch.Generator | None
) -> torch.Tensor:
    """One number an image, uniform in [low, high), drawn on the CPU and moved to the images' device."""
    return _beside(
        like, (torch.rand(len(like), generator=generator) * (high - low) + low).to(like.dtype)
    )


def _beside(like: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """``values``, made on the CPU, on the images' device. CUDA takes them at once: to wait would leave it idle."""
    return values.to(like.device, non_blocking=like.is_cuda)


class Compose:
    """Apply ``transforms`` one after the other."""

    def __init__(self, *transforms: Callable[..., torch.Tensor]) -> None:
        self.transforms = transforms

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        for transform in self.transforms:
            images = transform(images, generator)
        return images


class RandomAffine:
    """Rotate, shear, scale and shift each image about its centre, with bilinear sampling.

    ``degrees`` and ``shear`` (along x) are the largest angles in degrees, ``translate`` the largest shift as a fraction
    of width and height, ``scale`` the range of factors, ``fill`` the brightness of what comes in from outside. Angles
    and directions are torchvision's. Raises ``CourseError`` for a ``scale`` that is no range above 0.
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
        self.degrees, self.translate, self.scale, self.shear, self.fill = (
            degrees,
            translate,
            scale,
            shear,
            fill,
        )

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        height, width = images.shape[-2:]
        angles, shifts = (
            (self.degrees, self.shear),
            (self.translate[0] * width, self.translate[1] * height),
        )
        angle, shear, shift_x, shift_y = (
            _uniform(-limit, limit, images, generator)
            for limit in (*map(math.radians, angles), *shifts)
        )
        return affine(
            images,
            angle,
            shift_x,
            shift_y,
            _uniform(*self.scale, images, generator),
            shear,
            self.fill,
        )


def affine(
    images: torch.Tensor,
    angle: torch.Tensor,
    shift_x: torch.Tensor,
    shift_y: torch.Tensor,
    scale: torch.Tensor,
    shear: torch.Tensor,
    fill: float = 0.0,
) -> torch.Tensor:
    """Move each image by its own affine map: angles [N] in radians, shifts [N] in pixels, factors [N].

    ``grid_sample`` asks where each output pixel comes from, so the inverse map is built: first shift back, then undo
    rotation, shear and scale (their joint matrix has determinant scale²). ``affine_grid`` is far slower.
    """
    height, width = images.shape[-2:]
    angle, shift_x, shift_y, scale, shear = (
        each.view(-1, 1, 1) for each in (angle, shift_x, shift_y, scale, shear)
    )
    cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
    xx, xy = (cos - sin * tan) / scale, (cos * tan + sin) / scale
    yx, yy = -sin / scale, cos / scale
    # places count from -1 to 1, in half widths and half heights: a step in y is height/width as long as one in x
    x, y = (
        torch.linspace(-1, 1, size, dtype=images.dtype, device=images.device) * (size - 1) / size
        for size in (width, height)
    )
    from_x = (
        xx * x + xy * (height / width) * y[:, None] - (xx * shift_x + xy * shift_y) * (2 / width)
    )
    from_y = (
        yx * (width / height) * x + yy * y[:, None] - (yx * shift_x + yy * shift_y) * (2 / height)
    )
    grid = torch.stack([from_x, from_y], dim=1).permute(0, 2, 3, 1)
    return F.grid_sample(images - fill, grid, align_corners=False) + fill


class ColorJitter:
    """Multiply brightness, then contrast about the mean of all channels, by factors uniform in 1 ± the amounts."""

    def __init__(self, brightness: float = 0.0, contrast: float = 0.0) -> None:
        self.brightness, self.contrast = brightness, contrast

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        brightness, contrast = (
            _uniform(max(0.0, 1 - amount), 1 + amount, images, generator).view(-1, 1, 1, 1)
            for amount in (self.brightness, self.contrast)
        )
        images = (images * brightness).clamp(0, 1)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        return (mean + (images - mean) * contrast).clamp(0, 1)


class RandomCrop:
    """Pad by ``padding`` pixels (``mode``: ``constant``, black, or ``reflect``) and cut the old size out anywhere."""

    def __init__(self, padding: int = 4, mode: str = "constant") -> None:
        self.padding, self.mode = padding, mode

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        height, width = images.shape[-2:]
        windows = (
            F.pad(images, [self.padding] * 4, mode=self.mode)
            .unfold(2, height, 1)
            .unfold(3, width, 1)
        )
        row, column = (
            _beside(
                images, torch.randint(2 * self.padding + 1, (len(images),), generator=generator)
            )
            for _ in "yx"
        )
        return windows[torch.arange(len(images), device=images.device), :, row, column]


class RandomHorizontalFlip:
    """Mirror each image left to right with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        flipped = _beside(images, torch.rand(len(images), generator=generator) < self.p)
        return torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images)


class Cutout:
    """Cover one ``size`` × ``size`` square, wholly inside the image, with ``fill`` (a value for each channel, or one).

    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017. The paper's square
    may hang over the border; the assignment's may not. A square or a ``fill`` that does not fit raises ``CourseError``.
    """

    def __init__(self, size: int = 8, fill: float | Sequence[float] = 0.0) -> None:
        self.size, self.fill = size, fill

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        def inside(length: int) -> torch.Tensor:
            start = torch.randint(length - self.size + 1, (len(images), 1), generator=generator)
            places = torch.arange(length)
            return _beside(images, (places >= start) & (places < start + self.size))

        channels, height, width = images.shape[1:]
        fill = _beside(images, torch.as_tensor(self.fill, dtype=images.dtype).view(1, -1, 1, 1))
        if self.size > min(height, width) or fill.numel() not in (1, channels):
            raise CourseError(
                f"Cutout: a square of {self.size} pixels and {fill.numel()} values of fill do not fit "
                f"into images of {channels}×{height}×{width}"
            )
        return torch.where(
            inside(height)[:, None, :, None] & inside(width)[:, None, None, :], fill, images
        )


TRANSFORMS = {
    kind.__name__: kind
    for kind in (RandomAffine, ColorJitter, RandomCrop, RandomHorizontalFlip, Cutout)
}


def build(steps: Sequence[tuple[str, dict[str, Any]]]) -> Compose | None:
    """The transform that a recipe's ``(name, arguments)`` pairs describe; None for none."""
    for name, _ in steps:
        if name not in TRANSFORMS:
            raise unknown("transform", name, TRANSFORMS)
    return Compose(*(TRANSFORMS[name](**arguments) for name, arguments in steps)) if steps else None


# Document 004's training transforms: rotation, affine map, brightness and contrast (its hue does nothing on grey).
DOCUMENT_004 = (
    ("RandomAffine", {"degrees": 7}),
    ("RandomAffine", {"degrees": 7, "translate": [0.1, 0.1], "scale": [0.8, 1.2], "shear": 10}),
    ("ColorJitter", {"brightness": 0.4, "contrast": 0.4}),
)


def albumentations_pipeline(name: str) -> Any:
    """The same recipe in Albumentations 2: ``mnist`` (document 004) or ``cifar10`` (crop, flip, cutout), normalised.

    Call it as ``pipeline(image=array)["image"]`` with uint8 arrays [H, W, C]; it returns float32 [H, W, C]. It shifts
    by whole pixels, and has a random state of its own: ``pipeline.set_random_seed(seed)``. Raises ``CourseError`` for
    another name, or where Albumentations is not installed.
    """
    from helpers.data.known import KNOWN

    if name not in KNOWN:
        raise unknown("pipeline", name, KNOWN)
    os.environ.setdefault(
        "NO_ALBUMENTATIONS_UPDATE", "1"
    )  # else its import asks the network for a newer version
    try:
        import albumentations as A
    except ImportError:
        raise CourseError(
            "albumentations is not installed: pip install 'albumentations>=2,<3'"
        ) from None
    mean, std = KNOWN[name].mean, KNOWN[name].std
    if name == "mnist":
        steps = [
            A.Rotate(7, p=1),
            A.Affine(
                rotate=(-7, 7),
                translate_percent=(-0.1, 0.1),
                scale=(0.8, 1.2),
                keep_ratio=True,
                shear={"x": (-10, 10), "y": 0},
                p=1,
            ),
            A.ColorJitter(
                brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(1, 1), hue=(0, 0), p=1
            ),
        ]
    else:
        steps = [
            A.PadIfNeeded(40, 40, border_mode=0, fill=0),
            A.RandomCrop(32, 32),
            A.HorizontalFlip(p=0.5),
            A.CoarseDropout(
                num_holes_range=(1, 1),
                hole_height_range=(8, 8),
                hole_width_range=(8, 8),
                fill=[255 * value for value in mean],
                p=1,
            ),
        ]
    return A.Compose([*steps, A.Normalize(mean=mean, std=std, max_pixel_value=255)])
