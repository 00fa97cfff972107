"""From the grey of a photograph to the ink of its one digit: even light, contrast, the ink's box.

A photograph multiplies two pictures: how much light falls on each place, and how much of it the
paper or the ink there gives back. Light changes slowly and strokes are narrow, which is how the two
are told apart. All numbers of pixels below are shares of the picture, so that its size is free.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from helpers.data.centring import BOX
from helpers.data.known import DataError

# The light.
STROKE = 1 / 4  # of the longer side: what is narrower than this is ink, what is wider is light
INKY = 0.75  # of the light around it: what is darker is no paper
DARKEST = 1 / 255  # no light is weaker, for it is divided by
DARK_GROUND = 0.5  # of the light on the digit: no shadow makes what surrounds it so dark

# The ink.
FAINTEST = 0.12  # of the light is lost in the palest ink, such as a hard pencil's
CUT_OUT = 0.3  # of it is lost in ink that reaches the picture's edge
ABOVE_NOISE = 6  # deviations of the paper: ink differs from it by more
PALE = 0.15  # of the digit's darkness: below is the paper's texture, or a line printed on it
STRONG = 0.35  # of it: from here on a pixel belongs to a stroke for certain

# The pieces that strokes are in.
EDGE = 0.01  # of the longer side: what comes so near the picture's edge is no digit's
SMALLEST = 0.03  # of it: what is smaller is dust
DUST = 0.01  # of the digit's pixels: a smaller piece is left out
FRAMED = 0.25  # of a frame's height: what stands in it is at least so high
CLOSE = 0.1  # of the digit's height: a gap where the pen skipped
BELOW = 0.3  # of it: a gap between parts of a digit that stand one above the other
SPECK = 0.35  # of it: a piece that is higher than this and apart is a digit of its own
WIDEST = 1.8  # a digit is at most so many times as wide as it is high

# The pen.
THINNEST = 2.0  # of the pixels of a digit of MNIST: one stroke in twenty of MNIST is thinner

NO_INK = "has no ink: write with a dark pen on light paper, so that the digit fills the picture"
ON_DARK = "is black, or has light ink on a dark ground: write dark on light, or give invert=True"


class Box(NamedTuple):
    """Rows from ``top`` to before ``bottom``, and columns from ``left`` to before ``right``."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def holds(self, other: Box) -> bool:
        """Whether another box lies inside this one, with room on all sides."""
        down = self.top < other.top and other.bottom < self.bottom
        return down and self.left < other.left and other.right < self.right

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


def without_grain(grey: np.ndarray) -> np.ndarray:
    """The grey, [H, W] in [0, 1], without the grain of paper and camera: finer than a stroke."""
    from scipy import ndimage

    return ndimage.gaussian_filter(grey, max(grey.shape) / 600)


def find_light(grey: np.ndarray) -> np.ndarray:
    """The light on every place of a picture, float [H, W], from its grey, in [0, 1].

    A closing leaves what is wider than its window as it is, the hard edge of a shadow too. See
    Serra, "Image Analysis and Mathematical Morphology", 1982.
    """
    window = max(3, round(max(grey.shape) * STROKE))
    # Past the picture's edge the light goes on as it is there, where no ink is in the way.
    first = closing(grey, window)
    paper = np.where(grey < INKY * first, first, grey)
    closed = closing(np.pad(paper, window, mode="edge"), window)[window:-window, window:-window]
    return np.clip(closed, DARKEST, 1)


def closing(grey: np.ndarray, window: int) -> np.ndarray:
    """The smallest of the largest values around each pixel; what lies outside counts for neither.

    What is dark, and narrower than the window, is filled with what surrounds it.
    """
    from scipy import ndimage

    filled = ndimage.grey_dilation(grey, (window, window), mode="constant", cval=0.0)
    return ndimage.grey_erosion(filled, (window, window), mode="constant", cval=1.0)


def even_out(grey: np.ndarray, light: np.ndarray) -> np.ndarray:
    """What the paper gives back, [H, W]: the grey divided by the light; blank paper is near 1.

    Raises DataError, as all functions here without the picture's name, for a black ground.
    """
    even = grey / light
    # Most of a picture is paper, and its noise has made the light a little too strong.
    ground = float(np.median(even))
    if ground < DARK_GROUND:
        raise DataError(ON_DARK)
    return even / ground


def find_ink(even: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, Box]:
    """The ink of the one digit, float [H, W] from 0 (paper) to 1, and the box around it.

    Raises DataError where there is no ink, and where there is more than one digit.
    """
    from scipy import ndimage

    dark = 1 - even
    full = darkness_of_ink(dark)
    digit = one_digit(strokes_in(dark, STRONG * full))
    check_surroundings(light, box_of(digit))

    # The soft edges around the strokes belong to them; all other ink is somebody else's.
    reach = max(2, max(box_of(digit).size) // 12)
    near = ndimage.binary_dilation(digit, iterations=reach)
    ink = np.clip((dark - PALE * full) / (full - PALE * full), 0, 1)
    ink = thickened(np.where(near, ink, 0), digit)
    return ink, box_of(ink > PALE)


def check_surroundings(light: np.ndarray, box: Box) -> None:
    """Raise DataError where the ink lies in light of its own: then it is light on a dark ground.

    The closing takes light strokes for the light itself, and finds its ink between them.
    """
    # A frame around the box, a sixth of its longer side broad.
    margin = 1 + max(box.size) // 6
    inside = np.zeros(light.shape, dtype=bool)
    inside[box.top : box.bottom, box.left : box.right] = True
    around = np.zeros(light.shape, dtype=bool)
    rows = slice(max(0, box.top - margin), box.bottom + margin)
    around[rows, max(0, box.left - margin) : box.right + margin] = True
    around &= ~inside
    if around.any() and np.median(light[around]) < DARK_GROUND * np.median(light[inside]):
        raise DataError(ON_DARK)


def darkness_of_ink(dark: np.ndarray) -> float:
    """How dark the core of the strokes is: the share of the light that the heaviest piece takes.

    Raises DataError where nothing as dark as ink is as large as a digit.
    """
    # The spread of the paper, which a few strokes do not change: 1.48 × the median deviation.
    spread = 1.4826 * float(np.median(np.abs(dark - np.median(dark))))
    # A table with a pattern is no noise: ink that can be read is darker than CUT_OUT anyway.
    threshold = min(max(FAINTEST, ABOVE_NOISE * spread), CUT_OUT)
    pieces = numbered(strokes_in(dark, threshold))
    weights = weights_of(pieces, dark)
    if not len(weights):
        raise DataError(NO_INK)
    heaviest = pieces == 1 + int(np.argmax(weights))
    if not is_large(box_of(heaviest), dark.shape):
        raise DataError(NO_INK)
    # Only the core is as dark as the ink: the edges of a stroke are mixed with paper.
    return float(np.percentile(dark[heaviest], 75))


def strokes_in(dark: np.ndarray, threshold: float) -> np.ndarray:
    """The mask of what is darker than that, without table, frames, and all that is no stroke.

    What reaches the picture's edge is left out, unless nothing else is as large as a digit: a
    digit may be cut out closely, and is then much darker than the shade in a corner.
    """
    mask = dark > threshold
    pieces = numbered(mask)
    edge = np.ones(mask.shape, dtype=bool)
    margin = max(1, round(EDGE * max(mask.shape)))
    edge[margin:-margin, margin:-margin] = False
    inside = without_frames(mask & ~np.isin(pieces, pieces[edge & mask]))
    if any(is_large(box, mask.shape) for box in boxes_of(numbered(inside))):
        return inside
    return dark > max(threshold, CUT_OUT)


def without_frames(mask: np.ndarray) -> np.ndarray:
    """The mask without pieces around another one: a printed square, or the border of the sheet."""
    pieces = numbered(mask)
    boxes = boxes_of(pieces)
    frames = []
    for number, box in enumerate(boxes, start=1):
        for other in boxes:
            if box.holds(other) and other.height > FRAMED * box.height:
                frames.append(number)
    return mask & ~np.isin(pieces, frames)


def one_digit(strokes: np.ndarray) -> np.ndarray:
    """The mask of the largest piece, with all that belong to the same digit.

    Raises DataError where another piece is as large as a digit, and where this one is too wide.
    """
    # Largest first, dust left out.
    pieces = numbered(strokes)
    sizes = weights_of(pieces, strokes)
    waiting = []
    for number in 1 + np.argsort(-sizes):
        if sizes[number - 1] > DUST * sizes.max():
            waiting.append(pieces == number)
    digit = waiting.pop(0)

    # What joins the digit may bring in reach what lies beyond it.
    joined = True
    while joined:
        joined = False
        for piece in reach_of(digit, waiting):
            digit = digit | piece
            joined = True
        waiting = [piece for piece in waiting if not (piece & digit).any()]

    # All that is left stands apart.
    box = box_of(digit)
    for piece in waiting:
        if max(box_of(piece).size) > SPECK * box.height:
            raise DataError("holds two digits or more: photograph each of them by itself")
    if box.width > WIDEST * box.height:
        raise DataError("holds something far wider than a digit: photograph one digit, upright")
    return digit


def reach_of(digit: np.ndarray, pieces: list[np.ndarray]) -> list[np.ndarray]:
    """Those of the pieces that lie so near a digit's strokes that they belong to it."""
    from scipy import ndimage

    away = ndimage.distance_transform_edt(~digit)
    box = box_of(digit)
    near = []
    for piece in pieces:
        other = box_of(piece)
        shared = min(box.right, other.right) - max(box.left, other.left)
        # Digits stand side by side: what stands above or below may be a bar that the pen left.
        gap = CLOSE
        if shared > min(box.width, other.width) / 2:
            gap = BELOW
        if away[piece].min() <= gap * max(box.height, other.height):
            near.append(piece)
    return near


def thickened(ink: np.ndarray, digit: np.ndarray) -> np.ndarray:
    """The ink as a pen writes that is as broad as those of MNIST's; broad strokes stay as they are.

    Strokes of a fine pen would fade when a large digit shrinks to 20 × 20 pixels.
    """
    from scipy import ndimage

    # Within a stroke the mean distance to its edge is a quarter of its breadth.
    breadth = 4 * float(ndimage.distance_transform_edt(digit)[digit].mean())
    missing = THINNEST * max(box_of(digit).size) / BOX - breadth
    if missing <= 0:
        return ink
    # Half of what is missing on either side, with an edge that is one pixel soft.
    away = ndimage.distance_transform_edt(~digit)
    return np.maximum(ink, np.clip(missing / 2 + 0.5 - away, 0, 1))


# Pieces: pixels of a mask that hang together.


def numbered(mask: np.ndarray) -> np.ndarray:
    """The pieces of a mask, numbered from 1, int [H, W]; pixels that touch at corners connect."""
    from scipy import ndimage

    numbers, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    return numbers


def weights_of(pieces: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The sum of the values in each piece, [count]."""
    return np.bincount(pieces.ravel(), weights=values.ravel())[1:]


def box_of(mask: np.ndarray) -> Box:
    """The box around a mask that is not empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def boxes_of(pieces: np.ndarray) -> list[Box]:
    """The box around each piece, in the order of their numbers."""
    from scipy import ndimage

    boxes = []
    for rows, columns in ndimage.find_objects(pieces):
        boxes.append(Box(rows.start, rows.stop, columns.start, columns.stop))
    return boxes


def is_large(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box in a picture of that shape can hold a digit, and not just dust."""
    return max(box.size) >= SMALLEST * max(shape)
