"""Photographs of digits made into the inputs of a net, with every step kept to be looked at.

A digit is written with a dark pen on light paper, one to a picture. ``ink`` takes the light out and
finds the ink; ``centring`` makes of it what MNIST would have made.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from helpers.data import ImageSplit
from helpers.data.centring import centred
from helpers.data.folders import holds_images, is_image
from helpers.data.ink import Box, even_out, find_ink, find_light, without_grain
from helpers.data.known import MNIST, DataError
from helpers.environment import short_reason, whole_number

SIDE = 600  # pixels of the longer side of what is worked on: enough, and quick
NARROWEST = 12  # pixels of the shorter side
NOTE = "own photographs"  # on every picture drawn from them
APPLE = (".heic", ".heif")  # what some phones write, and Pillow does not read


@dataclass(frozen=True, eq=False)
class Steps:
    """What became of one photograph, step by step; pictures are uint8, 0 black and 255 white.

    All but the last have the size of the photograph, made smaller: [H, W].
    """

    name: str  # of the file
    grey: np.ndarray = field(repr=False)  # the photograph without its colours
    light: np.ndarray = field(repr=False)  # how much light falls on each place
    even: np.ndarray = field(repr=False)  # the grey divided by the light
    ink: np.ndarray = field(repr=False)  # the digit alone, white on black, its strokes all alike
    box: Box  # around the ink
    digit: np.ndarray = field(repr=False)  # [28, 28]: the net's input, as MNIST has it


@dataclass(frozen=True, eq=False)
class Photographs:
    """Photographs of digits, made into inputs: a step-by-step account and a label for each.

    labels: what was written; None where nobody has said it
    """

    steps: tuple[Steps, ...]
    labels: tuple[int | None, ...]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def names(self) -> list[str]:
        """The names of the files."""
        return [each.name for each in self.steps]

    @cached_property
    def images(self) -> torch.Tensor:
        """White digits on black, uint8 [N, 1, 28, 28]."""
        digits = [torch.from_numpy(each.digit) for each in self.steps]
        return torch.stack(digits).unsqueeze(1)

    @property
    def inputs(self) -> torch.Tensor:
        """What a net of MNIST is given, float32 [N, 1, 28, 28], normalised; it needs no labels."""
        return MNIST.normalised(self.images)

    @property
    def split(self) -> ImageSplit:
        """The digits with their labels, for ``interpret.predict`` and all that counts mistakes.

        Raises DataError where a label is not known: a guessed one would be counted as a mistake.
        """
        for name, label in zip(self.names, self.labels):
            if label is None:
                raise DataError(
                    f"nobody has said which digit {name} shows: give labels={{{name!r}: 7}}, or "
                    "name the file 7.jpg; without labels, model(photographs.inputs) reads it"
                )
        labels = torch.tensor(self.labels, dtype=torch.int64)
        return ImageSplit(self.images, labels, MNIST.classes, MNIST.mean, MNIST.std, NOTE)


def from_images(
    files: str | Path | Iterable[str | Path],
    labels: Mapping[str, int] | None = None,
    invert: bool = False,
) -> Photographs:
    """Photographs of digits made into inputs; see ``helpers.data.from_images``."""
    paths = image_files(files)
    names = [path.name for path in paths]
    known = labels_of(names, labels)
    return Photographs(tuple(steps_of(path, invert) for path in paths), tuple(known))


# Which files, and which labels.


def image_files(files: Any) -> list[Path]:
    """The files of a folder's pictures by name, or the files that were given, in their order.

    Raises DataError where there is none, and for a place that is not there.
    """
    if isinstance(files, str | Path):
        place = Path(files).expanduser()
        if place.is_dir():
            return pictures_in(place)
        files = [place]
    try:
        paths = [Path(file).expanduser() for file in files]
    except TypeError:
        raise DataError(
            f"{files!r} is no picture: give a folder, a file, or a list of files"
        ) from None
    if not paths:
        raise DataError("the list of pictures is empty: give a folder, a file, or a list of files")
    return paths


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted by name; what is hidden, or no picture, is left out."""
    paths = []
    for path in sorted(folder.iterdir()):
        if is_image(path.name) or path.suffix.lower() in APPLE:
            paths.append(path)
        elif holds_images(path):
            raise DataError(f"{path} is a folder of pictures inside a folder: give it by itself")
    if not paths:
        raise DataError(f"{folder} holds no pictures: put JPEG or PNG files into it")
    return paths


def labels_of(names: list[str], labels: Mapping[str, int] | None) -> list[int | None]:
    """The digit that each file shows, from ``labels`` or from its name; None where neither says it.

    A name says it by its beginning: ``7.jpg``, ``7_second.png``, ``7 (2).jpeg``. Where a file of
    the same kind has a higher number, such as ``12.jpg``, they are counted and not named.
    """
    labels = checked_labels(names, labels)
    counted = any(re.fullmatch(r"\d\d+", Path(name).stem) for name in names)
    found = []
    for name in names:
        begins = re.match(r"(\d)(?![\dA-Za-z])", name)
        alone = re.fullmatch(r"\d", Path(name).stem)
        label = None
        if begins and not (alone and counted):
            label = int(begins[1])
        found.append(checked_label(name, labels.get(name, label)))
    return found


def checked_labels(names: list[str], labels: Any) -> Mapping[str, int]:
    """The labels by file name; none for None. DataError for what is no mapping of these names."""
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        kind = type(labels).__name__
        raise DataError(
            f"labels are a {kind}: give a dictionary from file names to digits, such as "
            f"labels={{{names[0]!r}: 7}}"
        )
    # A slip in a name would leave its label out without a word.
    for name in labels:
        if name not in names:
            raise DataError(
                f"labels name {name!r}, which is none of the pictures: {', '.join(names)}"
            )
    return labels


def checked_label(name: str, label: Any) -> int | None:
    """The label as an int, or None; DataError unless it is a digit."""
    if label is None:
        return None
    number = whole_number(label, least=0)
    if number is None or number > 9:
        raise DataError(f"the label {label!r} of {name} is no digit: give a number from 0 to 9")
    return number


# One photograph.


def steps_of(path: Path, invert: bool) -> Steps:
    """All that is made of one photograph; DataError, with its name, where that cannot be done."""
    picture = read_grey(path)
    if invert:
        picture = ImageOps.invert(picture)
    grey = without_grain(np.asarray(picture) / 255)
    try:
        light = find_light(grey)
        even = even_out(grey, light)
        ink, box = find_ink(even, light)
        digit = centred(ink[box.top : box.bottom, box.left : box.right]).numpy()
    except DataError as problem:
        raise DataError(f"{path.name} {problem}") from None
    return Steps(
        path.name,
        grey=as_bytes(grey),
        light=as_bytes(light),
        even=as_bytes(even),
        ink=as_bytes(ink),
        box=box,
        digit=as_bytes(digit),
    )


def as_bytes(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 as bytes from 0 to 255; what is brighter than paper is white."""
    return (255 * np.clip(values, 0, 1)).round().astype(np.uint8)


def read_grey(path: Path) -> Image.Image:
    """A picture file upright, in grey, its longer side ``SIDE`` pixels.

    Raises DataError for a file that is not there, cannot be read, or is no picture.
    """
    try:
        with warnings.catch_warnings():
            # A large picture is made smaller at once; one that is too large is an error below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                check_one(path, picture)
                # A JPEG can be decoded at a half, a quarter or an eighth of its size.
                picture.draft(None, (2 * SIDE, 2 * SIDE))
                return resized(path, in_grey(path, ImageOps.exif_transpose(picture)))
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"{path.name} is too large a picture: save a smaller copy") from None
    except FileNotFoundError:
        raise DataError(f"{path} is not there: give a folder, a file, or a list of files") from None
    except Image.UnidentifiedImageError:
        raise DataError(f"{path.name} is no picture that can be read: save it as JPEG") from None
    except OSError as problem:
        reason = problem.strerror or short_reason(problem)
        raise DataError(f"{path.name} cannot be read ({reason}): give another copy") from problem
    except Exception as problem:  # damaged bytes can make a decoder raise anything
        reason = type(problem).__name__
        raise DataError(f"{path.name} cannot be decoded ({reason}): give another copy") from problem


def check_one(path: Path, picture: Image.Image) -> None:
    """Raise DataError for a film, or a document of several pages."""
    # Some phones add a small copy behind the picture, and call the file's format MPO.
    pictures = getattr(picture, "n_frames", 1)
    if pictures > 1 and picture.format != "MPO":
        raise DataError(f"{path.name} holds {pictures} pictures, not one: save one of them")


def in_grey(path: Path, picture: Image.Image) -> Image.Image:
    """The brightness alone, of 8 bits; what is transparent lies on white paper."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise DataError(
            f"{path.name} has other numbers than a photograph (Pillow's mode {picture.mode}): "
            "save it as JPEG"
        )
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        sheet = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(sheet, picture)
    return picture.convert("L")


def resized(path: Path, picture: Image.Image) -> Image.Image:
    """The picture with ``SIDE`` pixels along its longer side; a small one is enlarged."""
    width, height = picture.size
    scale = SIDE / max(width, height)
    size = (round(width * scale), round(height * scale))
    if min(width, height, *size) < NARROWEST:
        raise DataError(f"{path.name} has {width} × {height} pixels: that is too narrow a picture")
    if scale < 1:
        return picture.resize(size, Image.Resampling.BOX)
    return picture.resize(size, Image.Resampling.BICUBIC)
