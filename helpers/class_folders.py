"""Data sets as images in class folders, unpacked or zipped: ``NAME/SPLIT/CLASS/*`` or ``NAME-SPLIT.zip``."""

from __future__ import annotations

import contextlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import Callable, Iterator

import torch

from helpers.sources import KNOWN, DataError, Pool, Source, damaged, entries

IMAGE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")


def class_folders(name: str, root: Path) -> Source | None:
    """The data set as images in class folders: ``NAME/SPLIT/CLASS/*``, or ``NAME-SPLIT.zip`` that holds the same."""
    in_folder, in_root, places = entries(root / name), entries(root), {}
    for split in ("train", "test"):
        if split in in_folder:
            places[split] = root / name / split
        elif f"{name}-{split}.zip" in in_root:
            places[split] = root / f"{name}-{split}.zip"
    if not places:
        return None
    for split in {"train", "test"} - set(places):
        raise DataError(f"{root / name / split} is missing: add it or {name}-{split}.zip, as for the other split")
    files = [path for place in places.values() for path in ([place] if place.suffix == ".zip" else _images_in(place))]
    return Source("folder", files, lambda split: _read_images(name, places[split]))


def _is_image(file: str) -> bool:
    return file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith(".")


def _images_in(folder: Path) -> list[Path]:
    return [folder / name / file for name in entries(folder) for file in entries(folder / name)
            if _is_image(file)]


@contextlib.contextmanager
def _opened(place: Path) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """The names of the images below a folder or in a zip, each ending in CLASS/FILE, and how to read one."""
    if place.suffix == ".zip":
        with zipfile.ZipFile(place) as archive:
            yield [member for member in archive.namelist() if _is_image(member.split("/")[-1])], archive.read
    else:
        names = [path.relative_to(place).as_posix() for path in _images_in(place)]
        yield names, lambda name: (place / name).read_bytes()


def _read_images(name: str, place: Path) -> Pool:
    """Decode every image of one split, with a progress bar."""
    from tqdm import tqdm

    known, away = KNOWN[name], f"{name}-*.zip" if place.suffix == ".zip" else f"{name}/"
    try:
        with _opened(place) as (names, read):
            labels = _labels(place, names, known.classes)
            images = torch.empty((len(names), *known.shape), dtype=torch.uint8)
            for index, file in enumerate(tqdm(names, desc=f"decoding {place.name}", leave=False)):
                images[index] = _decode(read(file), known.shape, place / file, away)
    # the last two are how zipfile refuses an unknown compression and a password
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as problem:
        raise damaged(place, f"cannot be unpacked ({problem})", away) from problem
    return images, labels


def _labels(place: Path, names: list[str], classes: tuple[str, ...]) -> torch.Tensor:
    """The class indices of ``.../CLASS/FILE`` names; every class must be there, and no other."""
    found = [name.split("/")[-2] if "/" in name else "" for name in names]
    for absent in sorted(set(classes) - set(found)):
        raise DataError(f"{place / absent} holds no images: fill this class folder with png, webp or jpg files")
    for other in sorted(set(found) - set(classes)):
        raise DataError(f"{place / other} is no class of this data set; its folders are {', '.join(classes)}")
    return torch.tensor([classes.index(name) for name in found])


def _decode(data: bytes, shape: tuple[int, int, int], path: Path, away: str) -> torch.Tensor:
    """Image bytes to uint8 [C, H, W]."""
    import numpy
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
        if image.size != (shape[2], shape[1]):
            raise damaged(path, f"has {image.width}×{image.height} pixels, not {shape[2]}×{shape[1]}", away)
        pixels = numpy.array(image.convert("L" if shape[0] == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError) as problem:
        raise damaged(path, "cannot be decoded", away) from problem
    return torch.from_numpy(pixels).view(*shape[1:], shape[0]).permute(2, 0, 1)
