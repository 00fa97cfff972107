"""Rotation, shear, change of scale and shift: every image by an affine map of its own."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from helpers.augment.random_numbers import check_amount, check_images, uniform
from helpers.environment import CourseError, real_number


class RandomAffine:
    """Rotate, shear, scale and shift each image about its centre, with bilinear sampling.

    Angles and directions are torchvision's (``torchvision.transforms.RandomAffine``).

    Args:
        degrees: the largest angle of rotation, to both sides.
        translate: the largest shift right and down, as a fraction of width and height.
        scale: the smallest and the largest factor of size.
        shear: the largest angle of slant, along x, in degrees.
        fill: the brightness of what comes in from outside.

    Raises ``CourseError`` for angles that are no numbers (also for pairs of them), a ``translate``
    that is no pair of 0 to 1, a ``scale`` that is no range above 0, and images of another kind.
    """

    def __init__(
        self,
        degrees: float = 0.0,
        translate: Sequence[float] = (0.0, 0.0),
        scale: Sequence[float] = (1.0, 1.0),
        shear: float = 0.0,
        fill: float = 0.0,
    ) -> None:
        check_amount("RandomAffine: degrees, the largest angle to both sides,", degrees)
        check_amount("RandomAffine: shear, the largest angle to both sides,", shear)
        check_amount("RandomAffine: fill", fill)
        if not is_pair(translate) or not 0 <= min(translate) <= max(translate) <= 1:
            raise CourseError(
                "RandomAffine: translate is (right, down), two fractions from 0 to 1 of width and "
                f"height, not {translate!r}"
            )
        if not is_pair(scale) or not 0 < scale[0] <= scale[1]:
            raise CourseError(
                f"RandomAffine: scale is (low, high) with 0 < low <= high, not {scale!r}"
            )
        self.degrees = degrees
        self.translate = translate
        self.scale = scale
        self.shear = shear
        self.fill = fill

    def __call__(
        self, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        check_images(images)
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


def is_pair(value: object) -> bool:
    """Whether ``value`` is a list or a tuple of two finite numbers."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return real_number(value[0]) is not None and real_number(value[1]) is not None


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

    # One number per image, [N], in a shape that is broadcast to every pixel, [H, W], of it.
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

    # grid_sample takes 0 for what lies outside: subtract ``fill`` before, and add it afterwards.
    return F.grid_sample(images - fill, grid, align_corners=False) + fill


def pixel_places(size: int, images: torch.Tensor) -> torch.Tensor:
    """The centres of ``size`` pixels in a row, where the row's edges are -1 and 1."""
    # With the first and the last centre at the two ends, and then moved inwards by half a pixel.
    ends = torch.linspace(-1, 1, size, dtype=images.dtype, device=images.device)
    return ends * (size - 1) / size
