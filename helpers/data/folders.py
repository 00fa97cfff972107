"""The data sets as image files in one folder per class: NAME/SPLIT/CLASS/FILE, also zipped."""

import io
import mimetypes
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePath

import numpy
import torch
from PIL import Image
from tqdm import tqdm

from helpers.data.known import KNOWN, DataError
from helpers.data.sources import Pool, Source, all_there, check_is_file, damaged

SPLITS = ("train", "test")
MODES = {1: "L", 3: "RGB"}  # Pillow's names for 8-bit grey and colour, by the number of channels

# A folder, or a place in a zip that is walked through as a folder is.
Folder = Path | zipfile.Path


def class_folders(name: str, root: Path) -> Source | None:
    """The data set as images in ``NAME/train/CLASS`` and ``NAME/test/CLASS``."""
    places = {}
    for split in SPLITS:
        places[split] = root / KNOWN[name].class_folder / split
    if not all_there(places.values()):
        return None

    # Every image counts, with its size and time, so that a changed one is noticed.
    files = []
    for place in places.values():
        files.append(place)
        files.extend(sorted(place.glob("*/*")))
    return Source("folder", files, partial(read_split, name, places))


def zipped_folders(name: str, root: Path) -> Source | None:
    """The data set as ``NAME-train.zip`` and ``NAME-test.zip``, which hold the same folders."""
    places = {}
    for split in SPLITS:
        places[split] = root / KNOWN[name].train_zip.replace("train", split)
    if not all_there(places.values()):
        return None
    for place in places.values():
        check_is_file(place)
    return Source("folder", list(places.values()), partial(read_zip, name, places))


def read_zip(name: str, places: dict[str, Path], split: str) -> Pool:
    """One split out of its zip; DataError where that is none."""
    place = places[split]
    try:
        inside = zipfile.Path(place, f"{KNOWN[name].class_folder}/{split}/")
    except zipfile.BadZipFile as problem:
        raise damaged(place, f"cannot be unpacked ({problem})") from problem
    return read_split(name, {split: inside}, split)


def read_split(name: str, places: Mapping[str, Folder], split: str) -> Pool:
    """Decode every image of a split, with a progress bar; every class is there, and no other."""
    files = list_images(places[split])
    classes = KNOWN[name].classes
    check_classes(files, classes, places[split])

    # A label is the place of the class in their list.
    images = []
    labels = []
    for kind, file in tqdm(files, desc=f"decoding {name} {split}", leave=False):
        images.append(decode(file, KNOWN[name].shape))
        labels.append(classes.index(kind))
    return torch.stack(images), torch.tensor(labels)


def list_images(folder: Folder) -> list[tuple[str, Folder]]:
    """Every image file in the folders of ``folder``, behind the name of its own: its class.

    What is hidden, as ``.name``, is left out. Raises DataError for images in a folder inside a
    class's folder, which would be left out without a word.
    """
    files = []
    for below in folder.iterdir():
        if below.name.startswith(".") or not below.is_dir():
            continue
        for file in below.iterdir():
            if is_image(file.name):
                files.append((below.name, file))
            elif holds_images(file):
                raise DataError(
                    f"{file} is a folder of images inside a class: move its images to {below}, or "
                    "take it away"
                )
    return files


def holds_images(place: Folder) -> bool:
    """Whether this is a folder with an image in it, or in the folders inside it."""
    if place.name.startswith(".") or not place.is_dir():
        return False
    return any(is_image(inside.name) or holds_images(inside) for inside in place.iterdir())


def is_image(name: str) -> bool:
    """Whether a file has an image's name, of whatever kind: what cannot be read is then refused."""
    if name.startswith("."):
        return False
    if PurePath(name).suffix.lower() in Image.registered_extensions():
        return True
    kind, _ = mimetypes.guess_type(name)  # such as image/svg+xml
    return kind is not None and kind.startswith("image/")


def check_classes(
    files: list[tuple[str, Folder]], classes: tuple[str, ...], folder: Folder
) -> None:
    """Raise DataError for a class without images, and for a folder of images that is no class."""
    found = {kind for kind, _ in files}
    # A class may be missing, and a folder may be too many.
    expected = f"the folders of png, webp or jpg files are {', '.join(classes)}"
    for wrong in sorted(found.symmetric_difference(classes)):
        if wrong in classes:
            raise DataError(f"{folder / wrong} holds no images: {expected}")
        raise DataError(f"{folder / wrong} is no class: {expected}")


def decode(file: Folder, shape: tuple[int, int, int]) -> torch.Tensor:
    """The pixels of an image file, uint8 [C, H, W]; ``shape`` is what they must have."""
    # Decode from memory, so that folders and zips are alike.
    channels, height, width = shape
    content = read(file)
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except Exception as problem:  # damaged bytes can make a decoder raise anything
        raise damaged(file, f"cannot be decoded ({type(problem).__name__})") from problem

    # A film, or an image of another size, cannot be stacked with the others.
    pictures = getattr(image, "n_frames", 1)
    if pictures != 1:
        raise damaged(file, f"holds {pictures} pictures, not one")
    if image.size != (width, height):
        found_width, found_height = image.size
        raise damaged(file, f"has {found_width}×{found_height} pixels, not {width}×{height}")

    # Pillow gives rows, columns, channels; torch wants the channels first.
    pixels = numpy.array(with_8_bits(image, file).convert(MODES[channels]))
    return torch.tensor(pixels).view(height, width, channels).permute(2, 0, 1)


def read(file: Folder) -> bytes:
    """The bytes of a file; ``load`` reports the errors of the system."""
    try:
        return file.read_bytes()
    except OSError:
        raise
    except Exception as problem:  # a damaged zip can raise anything
        raise damaged(file, f"cannot be unpacked ({type(problem).__name__})") from problem


def with_8_bits(image: Image.Image, file: Folder) -> Image.Image:
    """The image with values of 8 bits: of 16 bits of grey the upper 8, as Pillow does in colour.

    Pillow itself would cut every value above 255 to 255, and the picture would be white.
    """
    if not image.mode.startswith(("I", "F")):
        return image
    if image.format not in ("PNG", "PPM"):  # the formats whose values fill all 16 bits
        raise damaged(file, f"has more than 8 bits per value (Pillow's mode {image.mode})")
    values = numpy.asarray(image).astype(numpy.int64) >> 8
    return Image.fromarray(values.astype(numpy.uint8))
