"""Practice data, drawn instead of downloaded: digits in matplotlib's fonts for MNIST, coloured shapes for CIFAR-10."""

import math
from functools import cache
from pathlib import Path
from collections.abc import Callable

import torch
from torch.nn import functional as F

from helpers.environment import CourseError, unknown

TITLES = {"mnist": "digits", "cifar10": "shapes"}
FONTS = """DejaVuSans DejaVuSans-Bold DejaVuSans-Oblique DejaVuSans-BoldOblique DejaVuSansMono DejaVuSansMono-Bold
DejaVuSansMono-Oblique DejaVuSerif DejaVuSerif-Bold DejaVuSerif-Italic DejaVuSerif-BoldItalic STIXGeneral
STIXGeneralBol STIXGeneralItalic STIXGeneralBolIta cmr10 cmb10 cmss10 cmti10 cmtt10""".split()
SIDE = 56  # of a digit as it is drawn, in pixels: twice the final one, as 2×2 pixels are averaged in the end
CHUNK = 1000  # images distorted at once, which bounds the memory


def draw(name: str, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images uint8 [count, C, H, W] and labels int64 [count]: the same bytes for the same seed.

    ``"mnist"``: white digits on black, 1×28×28. ``"cifar10"``: one of the ``SHAPES`` each, coloured, 3×32×32.
    Raises CourseError for any other name and for a count below 1.
    """
    if name not in TITLES:
        raise unknown("practice data", name, TITLES)
    if count < 1:
        raise CourseError(f"{count} practice images: ask for 1 or more")
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (count,), generator=generator)
    paint = {"mnist": _digits, "cifar10": _shapes}[name]
    images = [
        paint(chunk, generator).mul(255).round().to(torch.uint8) for chunk in labels.split(CHUNK)
    ]
    return torch.cat(images), labels


def _uniform(
    count: int, generator: torch.Generator, *ranges: tuple[float, float]
) -> list[torch.Tensor]:
    return [torch.rand(count, generator=generator) * (high - low) + low for low, high in ranges]


def _grid(matrix: list[torch.Tensor], side: int) -> torch.Tensor:
    """Where each of side × side pixels looks, [N, side, side, 2], -1 to 1; ``matrix``: six values [N], row by row."""
    rows = torch.stack(matrix, dim=1).view(-1, 2, 3)
    return F.affine_grid(rows, [len(rows), 1, side, side], align_corners=False)


@cache
def _glyphs() -> torch.Tensor:
    """Every digit in every font, thin and with a stroke, float [faces, 10, SIDE, SIDE] in [0, 1], its ink centred."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    def glyph(font: str, stroke: int, digit: int) -> torch.Tensor:
        image, centred = Image.new("L", (SIDE, SIDE)), Image.new("L", (SIDE, SIDE))
        face = ImageFont.truetype(
            str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")), 44
        )
        ImageDraw.Draw(image).text(
            (SIDE / 2, SIDE / 2), str(digit), 255, face, anchor="mm", stroke_width=stroke
        )
        ink = image.crop(image.getbbox())
        centred.paste(ink, ((SIDE - ink.width) // 2, (SIDE - ink.height) // 2))
        return (
            torch.frombuffer(bytearray(centred.tobytes()), dtype=torch.uint8).view(SIDE, SIDE) / 255
        )

    return torch.stack(
        [
            torch.stack([glyph(font, stroke, digit) for digit in range(10)])
            for font in FONTS
            for stroke in (0, 1)
        ]
    )


def _digits(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A glyph each, [N, 1, 28, 28], turned, slanted, scaled per axis, shifted, and waved as by a shaky hand."""
    count, glyphs = len(labels), _glyphs()
    faces = torch.randint(len(glyphs), (count,), generator=generator)
    turn, slant, wide, tall, right, down = _uniform(
        count,
        generator,
        (-0.28, 0.28),
        (-0.3, 0.3),
        (0.75, 1.2),
        (0.75, 1.05),
        (-0.12, 0.12),
        (-0.12, 0.12),
    )
    cos, sin = turn.cos(), turn.sin()
    grid = _grid(
        [
            wide * cos,
            wide * (slant * cos - sin),
            right,
            tall * sin,
            tall * (slant * sin + cos),
            down,
        ],
        SIDE,
    )
    waves = torch.randn(count, 2, 5, 5, generator=generator) * 0.06
    waves = F.interpolate(waves, size=(SIDE, SIDE), mode="bicubic", align_corners=True).permute(
        0, 2, 3, 1
    )
    images = F.grid_sample(glyphs[faces, labels].unsqueeze(1), grid + waves, align_corners=False)
    return F.avg_pool2d(images, 2) * _uniform(count, generator, (0.75, 1.0))[0].view(-1, 1, 1, 1)


def _half_planes(x: torch.Tensor, y: torch.Tensor, sides: int, distance: float) -> torch.Tensor:
    """On how many of ``sides`` half planes, evenly turned and ``distance`` from the middle, each point lies."""
    turns = [2 * math.pi * side / sides for side in range(sides)]
    return sum((x * math.cos(turn) + y * math.sin(turn) <= distance).int() for turn in turns)


SHAPES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "disc": lambda x, y: x.hypot(y) < 0.85,
    "ring": lambda x, y: (x.hypot(y) < 1.0) & (x.hypot(y) > 0.6),
    "square": lambda x, y: torch.maximum(x.abs(), y.abs()) < 0.75,
    "frame": lambda x, y: (
        (torch.maximum(x.abs(), y.abs()) < 0.85) & (torch.maximum(x.abs(), y.abs()) > 0.5)
    ),
    "triangle": lambda x, y: _half_planes(x, y, 3, 0.5) == 3,
    "star": lambda x, y: _half_planes(x, y, 5, 0.33) >= 4,
    "cross": lambda x, y: (
        (torch.minimum(x.abs(), y.abs()) < 0.25) & (torch.maximum(x.abs(), y.abs()) < 0.95)
    ),
    "crescent": lambda x, y: (x.hypot(y) < 1.0) & ((x - 0.5).hypot(y) > 0.8),
    "bar": lambda x, y: (x.abs() < 0.25) & (y.abs() < 1.0),
    "corner": lambda x, y: (torch.maximum(x.abs(), y.abs()) < 0.75) & (torch.minimum(x, y) < -0.2),
}


def _shapes(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One shape each, [N, 3, 32, 32], turned, sized, placed and coloured at random on an uneven, noisy ground.

    Neither colour, 0.35 to 0.7 apart in every channel, is drawn with regard to the kind, so it says nothing about it.
    """
    count = len(labels)
    turn, size, right, down = _uniform(
        count, generator, (0, 2 * math.pi), (0.4, 0.75), (-0.25, 0.25), (-0.25, 0.25)
    )
    matrix = [turn.cos(), -turn.sin(), right, turn.sin(), turn.cos(), down]
    x, y = _grid([value / size for value in matrix], 64).unbind(-1)
    inside = torch.empty(count, 1, 64, 64)
    for kind, holds in enumerate(SHAPES.values()):
        inside[labels == kind, 0] = holds(x[labels == kind], y[labels == kind]).float()
    ground = torch.rand(count, 3, 1, 1, generator=generator)
    step = torch.rand(count, 3, 1, 1, generator=generator) * 0.35 + 0.35
    ink = torch.where(ground < 0.5, ground + step, ground - step).clamp(0, 1)
    slope = torch.randn(count, 3, 2, 2, generator=generator) * 0.06
    ground = ground + F.interpolate(slope, size=(32, 32), mode="bilinear", align_corners=True)
    noise = torch.randn(count, 3, 32, 32, generator=generator) * 0.03
    return (ground + F.avg_pool2d(inside, 2) * (ink - ground) + noise).clamp(0, 1)
