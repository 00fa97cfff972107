"""Where the data sets come from: torchvision's files, images in class folders or zips, a download."""

import contextlib
import io
import os
import socket
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple
from collections.abc import Callable

import torch

from helpers.data.known import KNOWN, DataError

Pool = tuple[
    torch.Tensor, torch.Tensor
]  # images uint8 [N, C, H, W] and labels int64 [N] of a split, train or test


class Source(NamedTuple):
    """A place that holds a whole data set: its kind, the files that key its cache, and how to read a split."""

    kind: str
    files: list[Path]
    read: Callable[[str], Pool]


def _damaged(path: Path | zipfile.Path, what: str) -> DataError:
    return DataError(
        f"{path} {what}: put a good copy there, or move the whole data set away to have it downloaded"
    )


def _all_there(paths: list[Path]) -> bool:
    """Whether these are there; False where none is. Raises DataError where only some are."""
    missing = [
        path
        for path in paths
        if not path.parent.exists() or path.name not in os.listdir(path.parent)
    ]
    if missing and len(missing) < len(paths):
        raise _damaged(missing[0], "is missing")
    return not missing


def torchvision_folder(name: str, root: Path, kind: str = "torchvision") -> Source | None:
    """The data set as torchvision lays it out: ``MNIST/raw/*-ubyte`` or ``cifar-10-batches-py/``."""
    files = [root / KNOWN[name].folder / file for file in KNOWN[name].md5]
    return (
        Source(kind, files, lambda split: _read_files(name, root, files, split))
        if _all_there(files)
        else None
    )


def _read_files(name: str, root: Path, files: list[Path], split: str) -> Pool:
    """One split, read by torchvision once the md5 sums show that its files are the published ones."""
    from torchvision import datasets

    other = {"train": "t10k", "test": "train"}[
        split
    ]  # how MNIST's other files begin; CIFAR-10's are all needed
    for file in files:
        if not file.name.startswith(other) and not datasets.utils.check_integrity(
            file, KNOWN[name].md5[file.name]
        ):
            raise _damaged(
                file,
                f"is corrupted (its {file.stat().st_size:,} bytes have not the published md5 sum)",
            )
    held = getattr(datasets, KNOWN[name].reader)(root, train=split == "train")
    images = torch.as_tensor(held.data)
    images = images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()
    return images, torch.as_tensor(held.targets)


def class_folders(name: str, root: Path) -> Source | None:
    """The data set as images ``NAME/SPLIT/CLASS/*`` (png, webp or jpg), or ``NAME-SPLIT.zip`` that holds the same."""
    for layout in ("{}/{}", "{}-{}.zip"):
        places = {split: root / layout.format(name, split) for split in ("train", "test")}
        if _all_there([*places.values()]):
            files = [
                file for place in places.values() for file in [place, *sorted(place.glob("*/*"))]
            ]
            return Source(
                "folder",
                files,
                lambda split, places=places: _read_images(name, split, places[split]),
            )
    return None


def _read_images(name: str, split: str, place: Path) -> Pool:
    """Decode every image of a split, with a progress bar; every class must be there, and no other."""
    from tqdm import tqdm

    classes = KNOWN[name].classes
    try:
        folder = zipfile.Path(place, f"{name}/{split}/") if place.suffix == ".zip" else place
    except zipfile.BadZipFile as problem:
        raise _damaged(place, f"cannot be unpacked ({problem})") from problem
    files = [
        file
        for below in folder.iterdir()
        if below.is_dir()
        for file in below.iterdir()
        if file.name.lower().endswith((".png", ".webp", ".jpg", ".jpeg"))
        and not file.name.startswith(".")
    ]
    found = [file.parent.name for file in files]
    for wrong in sorted(set(classes) ^ set(found)):
        what = "holds no images" if wrong in classes else "is no class"
        raise DataError(
            f"{folder / wrong} {what}: the folders of png, webp or jpg files are {', '.join(classes)}"
        )
    images = [
        _decode(file, KNOWN[name].shape)
        for file in tqdm(files, desc=f"decoding {place.name}", leave=False)
    ]
    return torch.stack(images), torch.tensor([classes.index(kind) for kind in found])


def _decode(file: Path | zipfile.Path, shape: tuple[int, int, int]) -> torch.Tensor:
    """The pixels of an image file, uint8 [C, H, W]."""
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    try:
        image = Image.open(io.BytesIO(file.read_bytes())).convert({1: "L", 3: "RGB"}[shape[0]])
    except Exception as problem:  # damaged bytes can make a decoder raise anything
        raise _damaged(file, f"cannot be decoded ({type(problem).__name__})") from problem
    if image.size != (shape[2], shape[1]):
        raise _damaged(file, f"has {image.width}×{image.height} pixels, not {shape[2]}×{shape[1]}")
    return pil_to_tensor(image)


def download(name: str, root: Path) -> Source | None:
    """Fetch the data set into ``root`` by torchvision; None, after one printed line, where that cannot be done."""
    from torchvision import datasets

    title, folder, before = KNOWN[name].title, KNOWN[name].folder, socket.getdefaulttimeout()
    print(f"Downloading {title}; a slow host takes minutes …")
    socket.setdefaulttimeout(10)  # seconds without an answer
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as fresh:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                getattr(datasets, KNOWN[name].reader)(fresh, download=True)
            (root / folder).mkdir(parents=True, exist_ok=True)
            for file in KNOWN[name].md5:
                os.replace(Path(fresh) / folder / file, root / folder / file)
    except (
        Exception
    ) as problem:  # a network fails in too many ways to list; practice data follows, and says so
        print(f"{title} could not be downloaded ({type(problem).__name__}).")
    finally:
        socket.setdefaulttimeout(before)
    return torchvision_folder(name, root, "download")
