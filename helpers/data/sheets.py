"""Photographs that the course makes itself: ink on a sheet of paper, in uneven light.

They are for a reader who has no camera at hand, and for showing what ``data.from_images`` says of
pictures that are no digit. A camera sees the product of two pictures, of what the sheet gives back
and of the light on it; ``photographs`` takes the two apart again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from helpers.data import ImageSplit
from helpers.environment import runs_root
from helpers.writing import replacing

HEIGHT, WIDTH = 640, 480  # pixels of a photograph, taken upright
PAPER = 0.9  # of the light that falls on it, paper gives back
PEN = (0.12, 0.15, 0.4)  # and a blue pen, in red, green and blue
NOISE = 0.008  # deviation of what the sensor counts
SHADOW = 0.55  # of the light is left there
QUALITY = 85  # of the JPEG, as phones write it
BROAD = 18  # pixels of the pen that draws signs

Points = Sequence[tuple[float, float]]


def written_digits(split: ImageSplit, folder: Path | None = None) -> Path:
    """A folder of photographs ``0.jpg`` to ``9.jpg``: the first image of each class, on paper.

    folder: where they are put; ``photographs/digits`` in ``COURSE_RUNS`` unless one is given
    """
    folder = folder or place_of("digits")
    for label in split.labels.unique().tolist():
        first = int((split.labels == label).nonzero()[0])
        generator = np.random.default_rng(label)
        ink = on_sheet(split.images[first, 0].numpy(), generator)
        save(photographed(ink, generator), folder / f"{label}.jpg")
    return folder


def drawn_signs(folder: Path | None = None) -> Path:
    """A folder of photographs of signs that are no digits: a heart, a letter and a star."""
    folder = folder or place_of("signs")
    signs = {"heart": [heart()], "letter": letter(), "star": [star()]}
    for seed, (name, strokes) in enumerate(signs.items()):
        save(photographed(drawn(strokes), np.random.default_rng(seed)), folder / f"{name}.jpg")
    return folder


def spoiled(folder: Path | None = None) -> Path:
    """A folder of files that no digit can be found in: no ink, two digits, and no picture."""
    folder = folder or place_of("spoiled")
    one_and_seven = [[(90, 200), (90, 440)], [(250, 200), (390, 200), (300, 440)]]
    generator = np.random.default_rng(0)
    save(photographed(drawn([]), generator), folder / "blank.jpg")
    save(photographed(drawn(one_and_seven), generator), folder / "two.jpg")
    with replacing(folder / "note.jpg") as temporary:
        temporary.write_text("a text, whatever its name says", encoding="utf-8")
    return folder


def place_of(kind: str) -> Path:
    """Where photographs of a kind are put, outside of what git sees."""
    return runs_root() / "photographs" / kind


def save(picture: Image.Image, path: Path) -> None:
    """Write a photograph as JPEG."""
    with replacing(path) as temporary:
        picture.save(temporary, "JPEG", quality=QUALITY)


# The ink, from 0 (paper) to 1, float [HEIGHT, WIDTH].


def on_sheet(digit: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A digit, uint8 [28, 28] with white ink, large, anywhere on the sheet."""
    side = int(WIDTH * generator.uniform(0.55, 0.9))
    top = int(generator.integers(0, HEIGHT - side))
    left = int(generator.integers(0, WIDTH - side))
    large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    ink = np.zeros((HEIGHT, WIDTH))
    ink[top : top + side, left : left + side] = np.asarray(large) / 255
    return ink


def drawn(strokes: Sequence[Points]) -> np.ndarray:
    """Strokes of a pen, each through the points (x, y) of a list, in pixels of the sheet."""
    sheet = Image.new("L", (WIDTH, HEIGHT))
    pen = ImageDraw.Draw(sheet)
    for points in strokes:
        pen.line(points, fill=255, width=BROAD, joint="curve")
        # Round ends, as a pen makes them.
        for x, y in (points[0], points[-1]):
            half = BROAD / 2
            pen.ellipse((x - half, y - half, x + half, y + half), fill=255)
    return np.asarray(sheet) / 255


def star() -> Points:
    """Five points in one stroke."""
    points = []
    for corner in range(6):
        turn = 4 * math.pi * corner / 5
        points.append((240 + 150 * math.sin(turn), 330 - 150 * math.cos(turn)))
    return points


def heart() -> Points:
    """A closed curve: x is sin³, and y a sum of four cosines."""
    points = []
    for step in range(61):
        turn = 2 * math.pi * step / 60
        y = 13 * math.cos(turn) - 5 * math.cos(2 * turn) - 2 * math.cos(3 * turn)
        y -= math.cos(4 * turn)
        points.append((240 + 9 * 16 * math.sin(turn) ** 3, 300 - 9 * y))
    return points


def letter() -> list[Points]:
    """A capital K."""
    return [[(150, 180), (150, 460)], [(330, 180), (150, 330), (330, 460)]]


# The camera.


def photographed(ink: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """A photograph of a sheet with this ink: a little soft, noisy, and brighter on one side."""
    light = uneven_light(generator)
    channels = []
    for color in PEN:
        seen = light * (PAPER + (color - PAPER) * ink)
        channels.append(seen + NOISE * generator.standard_normal(ink.shape))
    pixels = np.clip(np.stack(channels, axis=-1), 0, 1)
    picture = Image.fromarray((255 * pixels).round().astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(1))


def uneven_light(generator: np.random.Generator) -> np.ndarray:
    """Light from a lamp at one side, and across the sheet the edge of a shadow: [H, W]."""
    rows, columns = np.linspace(-0.5, 0.5, HEIGHT), np.linspace(-0.5, 0.5, WIDTH)
    down, across = np.meshgrid(rows, columns, indexing="ij")
    turn = generator.uniform(0, 2 * math.pi)
    lamp = 0.75 + 0.4 * (math.cos(turn) * across + math.sin(turn) * down)
    # The shadow of a hand, or of the phone itself: its edge is soft.
    turn = generator.uniform(0, 2 * math.pi)
    beyond = math.cos(turn) * across + math.sin(turn) * down
    shade = 1 / (1 + np.exp(-beyond / 0.03))
    return lamp * (1 - (1 - SHADOW) * shade)
