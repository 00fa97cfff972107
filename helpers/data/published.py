"""The data sets in the files that their authors published, as torchvision lays them out.

MNIST is four idx files (http://yann.lecun.com/exdb/mnist), CIFAR-10 seven pickles
(https://www.cs.toronto.edu/~kriz/cifar.html). They may lie there unpacked or as they were
downloaded. No content is used before its md5 sum has shown that it is the published one.
"""

import gzip
import hashlib
import pickle
import tarfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy
import torch

from helpers.data.known import KNOWN
from helpers.data.sources import Pool, Source, all_there, check_is_file, damaged, names_in

# What is raised when a packed file is cut off or changed.
UNPACKING_PROBLEMS = (gzip.BadGzipFile, tarfile.TarError, zlib.error, EOFError)

# A function that takes names of a data set's files, and returns their contents.
Contents = Callable[[list[str]], list[bytes]]


def published_files(name: str, root: Path) -> Source | None:
    """The data set in ``MNIST/raw`` or ``cifar-10-batches-py``; a file may still be a ``.gz``.

    Raises DataError where some of the files are missing, or one is a folder.
    """
    # Each file as it is, or packed as it was downloaded.
    folder = root / KNOWN[name].folder
    names = names_in(folder)
    paths = {}
    for file in KNOWN[name].md5:
        paths[file] = folder / file
        if file not in names and f"{file}.gz" in names:
            paths[file] = folder / f"{file}.gz"

    # A data set with only some of its files is an error.
    if not all_there(paths.values()):
        return None
    for path in paths.values():
        check_is_file(path)
    contents = partial(read_files, name, paths)
    return Source("torchvision", list(paths.values()), partial(read_split, name, contents))


def published_archive(name: str, root: Path) -> Source | None:
    """The data set in the one archive that is downloaded, ``cifar-10-python.tar.gz``."""
    archive = KNOWN[name].archive
    if archive is None:
        return None
    path = root / archive
    if not all_there([path]):
        return None
    check_is_file(path)
    contents = partial(read_archive, name, path)
    return Source("torchvision", [path], partial(read_split, name, contents))


def read_files(name: str, paths: dict[str, Path], files: list[str]) -> list[bytes]:
    """The contents of these files, unpacked where they are packed, their sums checked."""
    contents = []
    for file in files:
        path = paths[file]
        content = path.read_bytes()
        if path.suffix == ".gz":
            try:
                content = gzip.decompress(content)
            except UNPACKING_PROBLEMS as problem:
                raise damaged(path, f"cannot be unpacked ({problem})") from problem
        check_sum(content, KNOWN[name].md5[file], path)
        contents.append(content)
    return contents


def read_archive(name: str, archive: Path, files: list[str]) -> list[bytes]:
    """The contents of these files out of the archive, their sums checked."""
    folder = KNOWN[name].folder
    found = {}
    try:
        # In one pass: to go back in a packed archive is to unpack it again from the start.
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                file = member.name.removeprefix(f"{folder}/")
                content = opened.extractfile(member)  # None for a folder
                if file in files and content is not None:
                    found[file] = content.read()
    except UNPACKING_PROBLEMS as problem:
        raise damaged(archive, f"cannot be unpacked ({problem})") from problem

    # The files in the order that they were asked for.
    contents = []
    for file in files:
        if file not in found:
            raise damaged(archive, f"does not hold {folder}/{file}")
        check_sum(found[file], KNOWN[name].md5[file], archive / folder / file)
        contents.append(found[file])
    return contents


def check_sum(content: bytes, md5: str, path: Path) -> None:
    """Raise DataError where the content of ``path`` is not the published one."""
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        size = len(content)
        raise damaged(path, f"is corrupted (its {size:,} bytes have not the published md5 sum)")


def read_split(name: str, contents: Contents, split: str) -> Pool:
    """One split, from the contents of the files whose names begin as the split's do."""
    # The files of the other split are not opened.
    files = []
    for file in KNOWN[name].md5:
        if file.startswith(KNOWN[name].starts[split]):
            files.append(file)

    if name == "mnist":
        return decode_mnist(contents(files))
    return decode_cifar10(contents(files))


def decode_mnist(contents: list[bytes]) -> Pool:
    """Images [N, 1, 28, 28] and labels [N] of MNIST's idx files: a header, then the bytes."""
    images_content, labels_content = contents
    # A header has four bytes of kind and four per dimension: three for images, one for labels.
    pixels = numpy.frombuffer(images_content, numpy.uint8, offset=16)
    labels = numpy.frombuffer(labels_content, numpy.uint8, offset=8)
    images = pixels.reshape(-1, *KNOWN["mnist"].shape)
    return torch.tensor(images), torch.tensor(labels, dtype=torch.int64)


def decode_cifar10(contents: list[bytes]) -> Pool:
    """Images [N, 3, 32, 32] and labels [N] of CIFAR-10's pickles, one after the other."""
    pixels = []
    labels = []
    for content in contents:
        # A pickle can run any program: this one is opened because its sum is the published one.
        batch = pickle.loads(content, encoding="latin1")
        pixels.append(batch["data"])
        labels.extend(batch["labels"])
    # A row of 3,072 bytes per image: all its red ones, then green, then blue.
    images = numpy.concatenate(pixels).reshape(-1, *KNOWN["cifar10"].shape)
    return torch.tensor(images), torch.tensor(labels)
