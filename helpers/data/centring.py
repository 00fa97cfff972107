"""A drawn or photographed digit, scaled and centred as MNIST's are.

LeCun, Bottou, Bengio and Haffner (Gradient-based learning applied to document recognition, 1998,
section III.A) fit a digit into 20 × 20 pixels with its aspect ratio kept, which makes grey levels,
and shift its centre of mass to the middle of 28 × 28. They leave two things open, which the images
show: the longer side has exactly 20 pixels, and the shift is by whole pixels, so that the centre of
mass lies inside the pixel of row 14 and column 14, counted from 0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from helpers.data.known import DataError

SIDE = 28  # pixels of an image of MNIST
BOX = 20  # pixels of the longer side of its digit
MIDDLE = 14  # the pixel that the centre of mass lies in
LEAST = 0.1  # ink from here on belongs to the digit; less of it is a shadow


def centred(image: torch.Tensor | np.ndarray | Sequence[Sequence[float]]) -> torch.Tensor:
    """The digit of an image as MNIST would show it: float32 [28, 28], from 0 to 1.

    image: ink of any size [H, W], from 0 (paper) to 1 (ink)

    Its strongest pixel becomes 1. Raises ``DataError`` for an image of another shape, for numbers
    outside 0 to 1, and for one without ink.
    """
    ink = checked_ink(image)
    rows, columns = ink_box(ink)
    digit = ink[rows, columns]
    scale = max(digit.shape) / BOX

    # Each new pixel is the mean of the ink below it, which is what makes its edges grey.
    down = mean_weights(digit.shape[0], scale)
    across = mean_weights(digit.shape[1], scale)
    small = down @ digit @ across.T
    small /= small.max()

    # The middle of a pixel is half a pixel behind its edge.
    top = first_pixel(small.sum(axis=1))
    left = first_pixel(small.sum(axis=0))
    picture = torch.zeros(SIDE, SIDE)
    height, width = small.shape
    picture[top : top + height, left : left + width] = torch.from_numpy(small)
    return picture


def checked_ink(image: Any) -> np.ndarray:
    """The image as float64 [H, W]; ``DataError`` where it is no image, or has no ink."""
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    try:
        ink = np.asarray(image, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("the ink of an image is a table of numbers: give [H, W]") from None
    if ink.ndim != 2:
        raise DataError(f"an image of shape {list(ink.shape)}: give its ink as [H, W]")

    # Bytes would be taken for very much ink; a comparison with nan is never true.
    if not np.all((ink >= 0) & (ink <= 1)):
        raise DataError("ink is given from 0 (paper) to 1 (ink): divide bytes by 255")
    if not np.any(ink >= LEAST):
        raise DataError("the image has no ink: draw a digit, or give one with 1 for ink")
    return ink


def ink_box(ink: np.ndarray) -> tuple[slice, slice]:
    """The rows and the columns from the first to the last with ink."""
    sides = []
    for axis in (1, 0):
        places = np.flatnonzero((ink >= LEAST).any(axis=axis))
        sides.append(slice(places[0], places[-1] + 1))
    return sides[0], sides[1]


def mean_weights(length: int, scale: float) -> np.ndarray:
    """What each old pixel counts in the mean of each new one, along one axis: [new, length].

    A new pixel covers ``scale`` old ones, some of them in part. The last one may reach beyond the
    digit, where there is no ink.
    """
    # Rounding must not make a new pixel of nothing.
    count = int(np.ceil(length / scale - 1e-9))
    begins = np.arange(count)[:, None] * scale
    old = np.arange(length)[None, :]
    overlap = np.minimum(begins + scale, old + 1) - np.maximum(begins, old)
    return np.clip(overlap, 0, None) / scale


def first_pixel(ink: np.ndarray) -> int:
    """Where an axis of the digit begins, from its ink [n] along it."""
    centre = ink @ (np.arange(len(ink)) + 0.5) / ink.sum()
    # A symmetric digit has its centre on an edge of pixels, and rounding must not move it.
    begin = MIDDLE - int(np.floor(centre + 1e-6))
    # A digit with all its weight on one side still stays inside the picture.
    return min(max(begin, 0), SIDE - len(ink))
