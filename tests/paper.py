"""A pen, a sheet of paper and a camera, for tests: digits written, lit and photographed.

Nothing here is shared with ``helpers.data``: it is the other side of what is tested.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage


def written(digit: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """A digit, uint8 [28, 28] with white ink, as ink from 0 to 1 on a sheet of ``size`` [H, W].

    box: top, left, height and width of the place that the whole image fills.
    """
    top, left, height, width = box
    large = Image.fromarray(digit).resize((width, height), Image.Resampling.BICUBIC)
    sheet = np.zeros(size)
    sheet[top : top + height, left : left + width] = np.asarray(large) / 255
    return sheet


def lit(size: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Light that falls off to one side, with the shadow of a hand over a part of it."""
    height, width = size
    down, across = np.mgrid[0:height, 0:width]
    down, across = down / height - 0.5, across / width - 0.5

    # From the lamp's side to the other it falls to about a half.
    turn = generator.uniform(0, 2 * np.pi)
    slope = generator.uniform(0.2, 0.6)
    light = 0.75 + slope * (np.cos(turn) * across + np.sin(turn) * down)

    # A hand's shadow: a half plane with a soft edge.
    turn = generator.uniform(0, 2 * np.pi)
    place = np.cos(turn) * across + np.sin(turn) * down + generator.uniform(-0.3, 0.3)
    shade = 1 / (1 + np.exp(-place / generator.uniform(0.02, 0.1)))
    return light * (1 - generator.uniform(0.1, 0.45) * shade)


def paper(size: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """What a sheet gives back: fibres, and clouds that one sees against the light."""
    fibres = ndimage.gaussian_filter(generator.standard_normal(size), 1)
    clouds = ndimage.gaussian_filter(generator.standard_normal(size), 12)
    sheet = 0.9 + 0.012 * fibres / fibres.std() + 0.01 * clouds / clouds.std()
    return np.clip(sheet, 0, 1)


def photographed(
    ink: np.ndarray,
    generator: np.random.Generator,
    pen: tuple[float, float, float] = (0.15, 0.15, 0.2),
) -> Image.Image:
    """A photograph, RGB, of ink [H, W] from 0 to 1; ``pen`` is what the ink gives back."""
    sheet = paper(ink.shape, generator)
    light = lit(ink.shape, generator)
    channels = []
    for color in pen:
        seen = light * (sheet * (1 - ink) + color * ink)
        # The lens is never quite sharp, and the sensor counts too few photons.
        seen = ndimage.gaussian_filter(seen, generator.uniform(0.5, 1.5))
        channels.append(seen + 0.015 * generator.standard_normal(ink.shape))
    pixels = np.clip(np.stack(channels, axis=-1), 0, 1)
    return Image.fromarray((255 * pixels).round().astype(np.uint8))
