"""Practice data, drawn instead of downloaded: digits in matplotlib's fonts for MNIST, coloured shapes for CIFAR-10.

Good enough to learn from and to test with; a figure reached on it says nothing about the real data set.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Callable

import torch
from torch.nn import functional as F

from helpers.environment import CourseError, unknown

TITLES = {"mnist": "digits", "cifar10": "shapes"}
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmb10", "cmss10", "cmti10", "cmtt10",
)
STROKES = (0, 1)  # widths added around a glyph, in template pixels
TEMPLATE = 56  # side of a glyph's picture: twice that of a digit, which is averaged over 2×2 pixels in the end
CHUNK = 1000  # images distorted at once, which bounds the memory


def draw(name: str, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images uint8 [count, C, H, W] and labels int64 [count]: the same bytes for the same seed.

    ``"mnist"``: white digits on black, 1×28×28. ``"cifar10"``: one coloured shape each, 3×32×32, of the kind
    ``SHAPES[label]``. Raises CourseError for any other name and for a count below 1.
    """
    if name not in TITLES:
        raise unknown("practice data", name, TITLES)
    if count < 1:
        raise CourseError(f"{count} practice images: ask for 1 or more")
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (count,), generator=generator)
    paint = {"mnist": _digits(), "cifar10": _shapes}[name]
    images = [paint(chunk, generator).mul(255).round().to(torch.uint8) for chunk in labels.split(CHUNK)]
    return torch.cat(images), labels


def _uniform(low: float, high: float, count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _glyph(font_file: Path, digit: int, stroke: int) -> torch.Tensor:
    """One digit in one font, float [TEMPLATE, TEMPLATE] in [0, 1], its ink centred."""
    import numpy
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (TEMPLATE, TEMPLATE))
    ImageDraw.Draw(image).text((TEMPLATE / 2, TEMPLATE / 2), str(digit), fill=255, anchor="mm", stroke_width=stroke,
                               font=ImageFont.truetype(str(font_file), 44))
    ink = image.crop(image.getbbox())
    centred = Image.new("L", (TEMPLATE, TEMPLATE))
    centred.paste(ink, ((TEMPLATE - ink.width) // 2, (TEMPLATE - ink.height) // 2))
    return torch.from_numpy(numpy.array(centred)).float() / 255


def _digits() -> Callable[[torch.Tensor, torch.Generator], torch.Tensor]:
    """A painter of digits: every glyph is rendered once, here, and distorted at random whenever it is used."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    glyphs = torch.stack([torch.stack([_glyph(folder / f"{font}.ttf", digit, stroke) for digit in range(10)])
                          for font in FONTS for stroke in STROKES])

    def paint(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        faces = torch.randint(len(glyphs), (len(labels),), generator=generator)
        grid = _affine(len(labels), generator) + _waves(len(labels), generator)
        images = F.grid_sample(glyphs[faces, labels].unsqueeze(1), grid, align_corners=False)
        ink = _uniform(0.75, 1.0, len(labels), generator).view(-1, 1, 1, 1)
        return F.avg_pool2d(images, 2).mul(ink)

    return paint


def _affine(count: int, generator: torch.Generator) -> torch.Tensor:
    """Where to look in a template, [count, TEMPLATE, TEMPLATE, 2]: turned, slanted, scaled per axis and shifted."""
    turn, slant = _uniform(-0.28, 0.28, count, generator), _uniform(-0.3, 0.3, count, generator)
    wide, tall = _uniform(0.75, 1.2, count, generator), _uniform(0.75, 1.05, count, generator)
    cos, sin = turn.cos(), turn.sin()
    rows = torch.stack([wide * cos, wide * (slant * cos - sin), _uniform(-0.12, 0.12, count, generator),
                        tall * sin, tall * (slant * sin + cos), _uniform(-0.12, 0.12, count, generator)], dim=1)
    return F.affine_grid(rows.view(-1, 2, 3), [count, 1, TEMPLATE, TEMPLATE], align_corners=False)


def _waves(count: int, generator: torch.Generator) -> torch.Tensor:
    """A smooth random shift of every point, [count, TEMPLATE, TEMPLATE, 2], as a shaky hand would make."""
    coarse = torch.randn(count, 2, 5, 5, generator=generator) * 0.06
    return F.interpolate(coarse, size=(TEMPLATE, TEMPLATE), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def _half_planes(x: torch.Tensor, y: torch.Tensor, sides: int, distance: float) -> torch.Tensor:
    """On how many of ``sides`` half planes, evenly turned and ``distance`` from the middle, each point lies."""
    turns = [2 * math.pi * side / sides for side in range(sides)]
    return sum((x * math.cos(turn) + y * math.sin(turn) <= distance).int() for turn in turns)


SHAPES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "disc": lambda x, y: x.hypot(y) < 0.85,
    "ring": lambda x, y: (x.hypot(y) < 1.0) & (x.hypot(y) > 0.6),
    "square": lambda x, y: torch.maximum(x.abs(), y.abs()) < 0.75,
    "frame": lambda x, y: (torch.maximum(x.abs(), y.abs()) < 0.85) & (torch.maximum(x.abs(), y.abs()) > 0.5),
    "triangle": lambda x, y: _half_planes(x, y, 3, 0.5) == 3,
    "star": lambda x, y: _half_planes(x, y, 5, 0.33) >= 4,
    "cross": lambda x, y: (torch.minimum(x.abs(), y.abs()) < 0.25) & (torch.maximum(x.abs(), y.abs()) < 0.95),
    "crescent": lambda x, y: (x.hypot(y) < 1.0) & ((x - 0.5).hypot(y) > 0.8),
    "bar": lambda x, y: (x.abs() < 0.25) & (y.abs() < 1.0),
    "corner": lambda x, y: (torch.maximum(x.abs(), y.abs()) < 0.75) & (torch.minimum(x, y) < -0.2),
}


def _shapes(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One shape each, [N, 3, 32, 32], turned, sized, placed and coloured at random on an uneven, noisy ground.

    Neither colour is drawn with regard to the kind, so that colour says nothing about the class.
    """
    count = len(labels)
    turn, size = _uniform(0, 2 * math.pi, count, generator), _uniform(0.4, 0.75, count, generator)
    shift_x, shift_y = _uniform(-0.25, 0.25, count, generator), _uniform(-0.25, 0.25, count, generator)
    rows = torch.stack([turn.cos(), -turn.sin(), shift_x, turn.sin(), turn.cos(), shift_y], dim=1) / size.unsqueeze(1)
    x, y = F.affine_grid(rows.view(-1, 2, 3), [count, 1, 64, 64], align_corners=False).unbind(-1)
    inside = torch.empty(count, 1, 64, 64)
    for kind, holds in enumerate(SHAPES.values()):
        inside[labels == kind, 0] = holds(x[labels == kind], y[labels == kind]).float()
    inside = F.avg_pool2d(inside, 2)
    ground, ink = _colours(count, generator)
    slope = torch.randn(count, 3, 2, 2, generator=generator) * 0.06
    ground = ground + F.interpolate(slope, size=(32, 32), mode="bilinear", align_corners=True)
    noise = torch.randn(count, 3, 32, 32, generator=generator) * 0.03
    return (ground + inside * (ink - ground) + noise).clamp(0, 1)


def _colours(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A ground and an ink for each image, [count, 3, 1, 1] each, that differ by 0.35 to 0.7 in every channel."""
    ground = torch.rand(count, 3, 1, 1, generator=generator)
    step = torch.rand(count, 3, 1, 1, generator=generator) * 0.35 + 0.35
    return ground, torch.where(ground < 0.5, ground + step, ground - step).clamp(0, 1)
