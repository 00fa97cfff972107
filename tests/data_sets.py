"""Small data sets written to disk in every layout that the course reads, for tests of loading."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import socket
import tarfile
import urllib.request
import zipfile
from pathlib import Path
from urllib.error import URLError

import numpy
import pytest
import torch
from PIL import Image
from torchvision import datasets

from helpers import data
from helpers.data import cache
from helpers.data.known import KNOWN


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """No switch of the caller's, no network, and a stand-in for the repository's ``data/``."""
    for switch in ("COURSE_SMOKE", "COURSE_DATA"):
        monkeypatch.delenv(switch, raising=False)
    monkeypatch.setattr(cache, "ROOT", tmp_path / "repository")
    no_name = URLError(socket.gaierror(-2, "Name or service not known"))
    monkeypatch.setattr(urllib.request, "urlopen", refusing(no_name))


def refusing(problem: BaseException):
    """A network whose every request ends in this error."""

    def urlopen(*_, **__):
        raise problem

    return urlopen


class Response(io.BytesIO):
    """What ``urlopen`` gives back: the content, its length and its address."""

    def __init__(self, content: bytes, url: str) -> None:
        super().__init__(content)
        self.length = len(content)
        self.url = url


def serving(files: dict[str, bytes]):
    """A network that has these files, by the last part of their addresses."""

    def urlopen(request, **_):
        return Response(files[request.full_url.rsplit("/", 1)[1]], request.full_url)

    return urlopen


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def random_pools(name: str, train: int = 40, test: int = 20) -> dict:
    generator = torch.Generator().manual_seed(7)
    return {
        split: (
            torch.randint(256, (count, *KNOWN[name].shape), generator=generator, dtype=torch.uint8),
            torch.arange(count) % 10,
        )
        for split, count in (("train", train), ("test", test))
    }


def write_idx(root: Path, pools: dict, monkeypatch=None) -> Path:
    """MNIST's four files; with ``monkeypatch`` their sums count as the published ones."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in pools.items():
        prefix = {"train": "train", "test": "t10k"}[split]
        files = {
            f"{prefix}-images-idx3-ubyte": images.squeeze(1),
            f"{prefix}-labels-idx1-ubyte": labels,
        }
        for file, tensor in files.items():
            header = (
                bytes((0, 0, 8, tensor.dim())) + numpy.array(tensor.shape, dtype=">u4").tobytes()
            )
            (folder / file).write_bytes(header + tensor.numpy().astype("u1").tobytes())
            if monkeypatch:
                monkeypatch.setitem(KNOWN["mnist"].md5, file, md5((folder / file).read_bytes()))
    return folder


def write_pickles(root: Path, pools: dict, monkeypatch) -> Path:
    """CIFAR-10's seven files, which ``KNOWN`` and torchvision are made to believe in."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    files = {"batches.meta": {"label_names": list(KNOWN["cifar10"].classes)}}
    chunks = [*zip(*(part.chunk(5) for part in pools["train"])), pools["test"]]
    for file, (images, labels) in zip(
        [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], chunks
    ):
        files[file] = {"data": images.flatten(1).numpy(), "labels": labels.tolist()}
    for file, held in files.items():
        (folder / file).write_bytes(pickle.dumps(held))
        monkeypatch.setitem(KNOWN["cifar10"].md5, file, md5((folder / file).read_bytes()))
    sums = [[file, KNOWN["cifar10"].md5[file]] for file in files]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", sums[1:6])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", sums[6:])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": sums[0][1]})
    return folder


def pack_idx(folder: Path, *files: str) -> None:
    """These files of MNIST, or all of them, packed as they are downloaded: ``FILE.gz``."""
    for file in files or KNOWN["mnist"].md5:
        content = (folder / file).read_bytes()
        (folder / f"{file}.gz").write_bytes(gzip.compress(content))
        (folder / file).unlink()


def pack_pickles(folder: Path) -> Path:
    """CIFAR-10's folder packed as it is downloaded: ``cifar-10-python.tar.gz`` beside it."""
    archive = folder.parent / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(folder, folder.name)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return archive


def write_folders(root: Path, name: str, pools: dict, suffix: str = ".png") -> Path:
    for split, (images, labels) in pools.items():
        for index, (image, label) in enumerate(zip(images, labels.tolist())):
            folder = root / name / split / KNOWN[name].classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = image.permute(1, 2, 0).squeeze(-1).numpy()
            Image.fromarray(pixels).save(folder / f"{index}{suffix}", lossless=True)
    return root / name


def write_zips(root: Path, name: str, pools: dict, tmp_path: Path, suffix: str = ".webp") -> Path:
    root.mkdir(exist_ok=True)
    unpacked = write_folders(tmp_path / "to_zip", name, pools, suffix)
    for split in pools:
        with zipfile.ZipFile(root / f"{name}-{split}.zip", "w") as archive:
            for path in (unpacked / split).rglob(f"*{suffix}"):
                archive.write(path, path.relative_to(unpacked.parent).as_posix())
    return root


def same(first: data.ImageSplit, second: data.ImageSplit) -> bool:
    return torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)
