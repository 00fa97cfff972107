"""Practice data, drawn instead of downloaded: digits for MNIST, coloured shapes for CIFAR-10."""

import math
from functools import cache
from pathlib import Path

import torch
from torch.nn import functional as F

from helpers.data.shapes import SHAPES
from helpers.environment import CourseError, unknown, whole_number

TITLES = {"mnist": "digits", "cifar10": "shapes"}

# Fonts that every matplotlib since 3.10 ships, with the same bytes in each. cmmi10 has figures of
# old style; cmti10 would be another hand, but came with 3.11.
FONTS = """
    DejaVuSans DejaVuSans-Bold DejaVuSans-Oblique DejaVuSans-BoldOblique
    DejaVuSansMono DejaVuSansMono-Bold DejaVuSansMono-Oblique
    DejaVuSerif DejaVuSerif-Bold DejaVuSerif-Italic DejaVuSerif-BoldItalic
    STIXGeneral STIXGeneralBol STIXGeneralItalic STIXGeneralBolIta
    cmr10 cmb10 cmss10 cmmi10 cmtt10
""".split()
FONT_SIZE = 44
STROKES = (0, 1)  # pixels added around the ink: every font thin, and a bit bolder

CHUNK = 1000  # images distorted at once, which bounds the memory
DIGIT_SIDE = 56  # pixels: twice the final side, as 2 × 2 of them are averaged in the end
SHAPE_SIDE = 64  # likewise


def draw(name: str, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images uint8 [count, C, H, W] and labels int64 [count]: the same bytes for the same seed.

    ``"mnist"``: white digits on black, 1 × 28 × 28. ``"cifar10"``: one coloured shape of ``SHAPES``
    each, 3 × 32 × 32. Raises CourseError for any other name, and for a count below 1.
    """
    if name not in TITLES:
        raise unknown("practice data", name, TITLES)
    if whole_number(count, least=1) is None:
        raise CourseError(f"{count} practice images: ask for 1 or more")

    paint = paint_digits
    if name == "cifar10":
        paint = paint_shapes
    generator = torch.Generator().manual_seed(int(seed))
    labels = torch.randint(10, (count,), generator=generator)
    images = []
    for chunk in labels.split(CHUNK):
        painted = paint(chunk, generator)
        images.append(painted.mul(255).round().to(torch.uint8))
    return torch.cat(images), labels


def uniform(low: float, high: float, count: int, generator: torch.Generator) -> torch.Tensor:
    """Random numbers [count], uniform from ``low`` to ``high``."""
    return torch.rand(count, generator=generator) * (high - low) + low


def look_up_grid(matrix: list[torch.Tensor], side: int) -> torch.Tensor:
    """Where each of side × side pixels of each image looks, [N, side, side, 2], from -1 to 1.

    ``matrix``: the six values [N] of a 2 × 3 matrix, row by row.
    """
    rows = torch.stack(matrix, dim=1).view(-1, 2, 3)
    return F.affine_grid(rows, [len(rows), 1, side, side], align_corners=False)


def paint_digits(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One digit per label, float [N, 1, 28, 28] in [0, 1], distorted at random.

    Each is turned, slanted, scaled along both axes, shifted, and waved as by a shaky hand.
    """
    count = len(labels)
    glyphs = all_glyphs()
    faces = torch.randint(len(glyphs), (count,), generator=generator)

    # One affine map per image.
    turn = uniform(-0.28, 0.28, count, generator)
    slant = uniform(-0.3, 0.3, count, generator)
    wide = uniform(0.75, 1.2, count, generator)
    tall = uniform(0.75, 1.05, count, generator)
    right = uniform(-0.12, 0.12, count, generator)
    down = uniform(-0.12, 0.12, count, generator)
    cos = turn.cos()
    sin = turn.sin()
    matrix = [
        wide * cos,
        wide * (slant * cos - sin),
        right,
        tall * sin,
        tall * (slant * sin + cos),
        down,
    ]
    grid = look_up_grid(matrix, DIGIT_SIDE)

    # Waves: 5 × 5 random shifts, with a smooth surface laid through them.
    waves = torch.randn(count, 2, 5, 5, generator=generator) * 0.06
    size = (DIGIT_SIDE, DIGIT_SIDE)
    waves = F.interpolate(waves, size=size, mode="bicubic", align_corners=True)
    grid = grid + waves.permute(0, 2, 3, 1)

    # Draw each digit twice as large, halve it, and write some more faintly than others.
    drawn = glyphs[faces, labels].unsqueeze(1)
    drawn = F.grid_sample(drawn, grid, align_corners=False)
    strength = uniform(0.75, 1.0, count, generator).view(-1, 1, 1, 1)
    return F.avg_pool2d(drawn, 2) * strength


@cache
def all_glyphs() -> torch.Tensor:
    """Every digit in every font, thin and bold, float [faces, 10, DIGIT_SIDE, DIGIT_SIDE]."""
    faces = []
    for font in FONTS:
        for stroke in STROKES:
            faces.append(face_glyphs(font, stroke))
    return torch.stack(faces)


def face_glyphs(font: str, stroke: int) -> torch.Tensor:
    """The ten digits of a font, white on black, their ink in the middle of the picture."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")
    face = ImageFont.truetype(str(path), FONT_SIZE)
    size = (DIGIT_SIDE, DIGIT_SIDE)
    middle = (DIGIT_SIDE / 2, DIGIT_SIDE / 2)
    glyphs = []
    for digit in range(10):
        image = Image.new("L", size)
        pen = ImageDraw.Draw(image)
        pen.text(middle, str(digit), 255, face, anchor="mm", stroke_width=stroke)

        # A font puts a digit on its line; here the ink itself is centred.
        ink = image.crop(image.getbbox())
        left = (DIGIT_SIDE - ink.width) // 2
        top = (DIGIT_SIDE - ink.height) // 2
        centred = Image.new("L", size)
        centred.paste(ink, (left, top))

        pixels = torch.frombuffer(bytearray(centred.tobytes()), dtype=torch.uint8)
        glyphs.append(pixels.view(size) / 255)
    return torch.stack(glyphs)


def paint_shapes(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One shape per label, float [N, 3, 32, 32], turned, sized, placed and coloured at random.

    The ground is uneven and noisy. Its colour and the shape's, 0.35 to 0.7 apart in every channel,
    are drawn without regard to the kind, so that colour says nothing about it.
    """
    # Where each pixel lies in the shape's own coordinates.
    count = len(labels)
    turn = uniform(0, 2 * math.pi, count, generator)
    size = uniform(0.4, 0.75, count, generator)
    right = uniform(-0.25, 0.25, count, generator)
    down = uniform(-0.25, 0.25, count, generator)
    cos = turn.cos() / size
    sin = turn.sin() / size
    matrix = [cos, -sin, right / size, sin, cos, down / size]
    x, y = look_up_grid(matrix, SHAPE_SIDE).unbind(-1)

    # Which pixels belong to the shape.
    inside = torch.empty(count, 1, SHAPE_SIDE, SHAPE_SIDE)
    for kind, shape in enumerate(SHAPES):
        chosen = labels == kind
        inside[chosen, 0] = shape(x[chosen], y[chosen]).float()
    coverage = F.avg_pool2d(inside, 2)

    # Two colours: the ground's, and one that is far enough from it.
    ground = torch.rand(count, 3, 1, 1, generator=generator)
    step = torch.rand(count, 3, 1, 1, generator=generator) * 0.35 + 0.35
    ink = torch.where(ground < 0.5, ground + step, ground - step).clamp(0, 1)

    # A ground that is lighter on one side, and noise over everything.
    slope = torch.randn(count, 3, 2, 2, generator=generator) * 0.06
    slope = F.interpolate(slope, size=(32, 32), mode="bilinear", align_corners=True)
    ground = ground + slope
    noise = torch.randn(count, 3, 32, 32, generator=generator) * 0.03
    return (ground + coverage * (ink - ground) + noise).clamp(0, 1)
