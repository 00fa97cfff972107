"""Whatever is wrong with a data set ends in one line that names the file and the way out.

It leaves nothing behind.
"""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from pathlib import Path

import numpy
import pytest
import torch
from data_sets import (
    apart,  # noqa: F401
    pack_idx,
    pack_pickles,
    random_pools,
    write_folders,
    write_idx,
    write_pickles,
    write_zips,
)
from PIL import Image

from helpers import data
from helpers.data.known import DataError
from helpers.environment import CourseError

pytestmark = pytest.mark.usefixtures("apart")


def error_of(name: str, root: Path, *words: str) -> None:
    """``load`` raises a DataError of one line with all these words.

    It leaves the cache of a sound split at most.
    """
    with pytest.raises(DataError) as raised:
        data.load(name, root, validation=0)
    assert isinstance(raised.value, CourseError) and "\n" not in str(raised.value)
    assert all(word in str(raised.value) for word in words), str(raised.value)
    assert not list(root.rglob("*.tmp"))
    for path in root.rglob("*.pt"):
        images, labels, _ = torch.load(path, weights_only=True)
        assert "-train-" in path.name and len(images) == len(labels) > 0


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("kept", [0, 3, 12, -1])
def test_a_truncated_idx_file(tmp_path, monkeypatch, file, kept):
    path = write_idx(tmp_path, random_pools("mnist"), monkeypatch) / file
    path.write_bytes(path.read_bytes()[:kept])
    error_of("mnist", tmp_path, str(path), "put a good copy there")


def test_an_idx_file_that_is_too_long(tmp_path, monkeypatch):
    path = write_idx(tmp_path, random_pools("mnist"), monkeypatch) / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes() + b"x")
    error_of("mnist", tmp_path, str(path), "corrupted", f"{16 + 40 * 784 + 1:,} bytes")


def test_sound_idx_files_of_another_data_set_of_other_image_sizes(tmp_path):
    pools = {
        split: (torch.zeros(10, 1, 32, 30, dtype=torch.uint8), torch.arange(10))
        for split in ("train", "test")
    }
    path = write_idx(tmp_path, pools)
    error_of(
        "mnist", tmp_path, str(path / "train-images-idx3-ubyte"), "corrupted", "published md5 sum"
    )


def test_an_idx_file_of_labels_where_images_belong(tmp_path, monkeypatch):
    folder = write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    (folder / "train-images-idx3-ubyte").write_bytes(
        (folder / "train-labels-idx1-ubyte").read_bytes()
    )
    error_of("mnist", tmp_path, f"{folder / 'train-images-idx3-ubyte'} is corrupted")


def test_a_corrupted_idx_file(tmp_path, monkeypatch):
    path = write_idx(tmp_path, random_pools("mnist"), monkeypatch) / "t10k-images-idx3-ubyte"
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    error_of("mnist", tmp_path, str(path), "corrupted", "md5")


def test_a_label_out_of_range(tmp_path, monkeypatch):
    path = write_idx(tmp_path, random_pools("mnist"), monkeypatch) / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + bytes([10]))
    error_of("mnist", tmp_path, f"{path} is corrupted", "put a good copy there")


@pytest.mark.parametrize(
    "name, file", [("mnist", "t10k-labels-idx1-ubyte"), ("cifar10", "data_batch_3")]
)
def test_a_file_missing_beside_the_others(tmp_path, monkeypatch, name, file):
    write = {"mnist": write_idx, "cifar10": write_pickles}[name]
    folder = write(tmp_path, random_pools(name), monkeypatch)
    (folder / file).unlink()
    error_of(name, tmp_path, str(folder / file), "is missing", "move the whole data set away")


def test_a_corrupted_pickle_is_never_opened(tmp_path, monkeypatch):
    path = write_pickles(tmp_path, random_pools("cifar10"), monkeypatch) / "data_batch_2"
    path.write_bytes(b"cos\nsystem\n(S'touch harmed'\ntR.")
    error_of("cifar10", tmp_path, str(path), "corrupted")


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_zip_cut_short(tmp_path, kept):
    path = (
        write_zips(tmp_path / "data", "cifar10", random_pools("cifar10"), tmp_path)
        / "cifar10-train.zip"
    )
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    error_of(
        "cifar10",
        tmp_path / "data",
        str(path),
        "cannot be unpacked",
        "move the whole data set away",
    )


def test_a_zip_with_a_changed_byte(tmp_path):
    path = (
        write_zips(tmp_path / "data", "cifar10", random_pools("cifar10"), tmp_path)
        / "cifar10-test.zip"
    )
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 4] ^= 255
    path.write_bytes(raw)
    error_of("cifar10", tmp_path / "data", "cifar10-test.zip", "put a good copy there")


@pytest.mark.parametrize("harm", ["missing", "empty"])
def test_a_missing_or_an_empty_class_folder(tmp_path, harm):
    folder = write_folders(tmp_path, "cifar10", random_pools("cifar10")) / "train" / "frog"
    for path in folder.iterdir():
        path.unlink()
    if harm == "missing":
        folder.rmdir()
    error_of("cifar10", tmp_path, f"{folder} holds no images", "png, webp or jpg")


def test_a_zip_without_a_class(tmp_path):
    pools = random_pools("cifar10")
    pools["test"] = tuple(part[pools["test"][1] != 9] for part in pools["test"])
    write_zips(tmp_path / "data", "cifar10", pools, tmp_path)
    error_of("cifar10", tmp_path / "data", "cifar10-test.zip", "truck holds no images")


def test_a_class_folder_of_another_name(tmp_path):
    folder = write_folders(tmp_path, "cifar10", random_pools("cifar10")) / "test"
    (folder / "bicycle").mkdir()
    (folder / "cat" / "3.png").rename(folder / "bicycle" / "3.png")
    error_of("cifar10", tmp_path, f"{folder / 'bicycle'} is no class", "airplane, automobile")


@pytest.mark.parametrize("deep", ["more", "more/and/more"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_folder_of_images_inside_a_class_is_named(tmp_path, deep, split):
    folder = write_folders(tmp_path, "cifar10", random_pools("cifar10")) / split / "cat"
    (folder / deep).mkdir(parents=True)
    (folder / "3.png").rename(folder / deep / "3.png")
    error_of(
        "cifar10",
        tmp_path,
        f"{folder / 'more'} is a folder of images inside a class: move its images to {folder}",
    )


def test_a_folder_of_images_inside_a_class_of_a_zip_is_named(tmp_path):
    folder = write_folders(tmp_path / "plain", "mnist", random_pools("mnist"))
    (folder / "test" / "3" / "more").mkdir()
    (folder / "test" / "3" / "3.png").rename(folder / "test" / "3" / "more" / "3.png")
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        shutil.make_archive(
            str(tmp_path / "data" / f"mnist-{split}"),
            "zip",
            tmp_path / "plain",
            f"{folder.name}/{split}",
        )
    error_of("mnist", tmp_path / "data", "mnist-test.zip", "3/more/ is a folder of images inside")


def test_a_folder_without_images_inside_a_class_and_a_hidden_one_are_left_out(tmp_path):
    folder = write_folders(tmp_path, "mnist", random_pools("mnist")) / "train" / "3"
    expected = data.load("mnist", tmp_path, validation=0).train
    (folder / "notes" / "old").mkdir(parents=True)
    (folder / "notes" / "read.txt").write_text("words")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "3.png").write_bytes(b"")
    found = data.load("mnist", tmp_path, validation=0).train
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.labels, expected.labels)


def test_class_folders_of_one_split_alone(tmp_path):
    pools = random_pools("mnist")
    write_folders(tmp_path, "mnist", {"train": pools["train"]})
    error_of(
        "mnist", tmp_path, f"{tmp_path / 'mnist' / 'test'} is missing", "put a good copy there"
    )


def test_an_image_of_another_size(tmp_path):
    path = write_folders(tmp_path, "cifar10", random_pools("cifar10")) / "train" / "cat" / "3.png"
    Image.new("RGB", (31, 32)).save(path)
    error_of("cifar10", tmp_path, f"{path} has 31×32 pixels, not 32×32")


@pytest.mark.parametrize("content", [b"", b"not an image", "half"])
def test_an_image_that_cannot_be_decoded(tmp_path, content):
    path = write_folders(tmp_path, "mnist", random_pools("mnist")) / "train" / "3" / "3.png"
    path.write_bytes(path.read_bytes()[:300] if content == "half" else content)
    error_of("mnist", tmp_path, f"{path} cannot be decoded", "move the whole data set away")


@pytest.mark.parametrize(
    "name, near", [("minst", "mnist"), ("cifar", "cifar10"), ("x", "mnist, cifar10")]
)
def test_an_unknown_name_says_the_near_ones(name, near):
    with pytest.raises(DataError, match=f"unknown data set '{name}'; choose one of: {near}$"):
        data.load(name)


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    error_of(
        "mnist", tmp_path / "file", str(tmp_path / "file"), "Not a directory", "name another folder"
    )


def refuse(path, *rest, **named):
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


@pytest.mark.parametrize(
    "owner, function, place", [(os, "listdir", ""), (Path, "read_bytes", "train-images-idx3-ubyte")]
)
def test_a_folder_or_file_that_cannot_be_read(tmp_path, monkeypatch, owner, function, place):
    folder = write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    monkeypatch.setattr(owner, function, refuse)
    error_of("mnist", tmp_path, f"{folder / place} cannot be read (Permission denied): make it")


def test_an_image_that_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    folder = write_folders(tmp_path, "cifar10", random_pools("cifar10"))
    private, read = folder / "train" / "cat" / "3.png", Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: refuse(path) if path == private else read(path)
    )
    error_of("cifar10", tmp_path, f"{private} cannot be read (Permission denied): make it readable")


@pytest.mark.parametrize(
    "name, file", [("mnist", "t10k-labels-idx1-ubyte"), ("cifar10", "data_batch_3")]
)
@pytest.mark.parametrize("test", [True, False])
def test_a_folder_where_a_file_belongs(tmp_path, monkeypatch, name, file, test):
    write = {"mnist": write_idx, "cifar10": write_pickles}[name]
    path = write(tmp_path, random_pools(name), monkeypatch) / file
    content = path.read_bytes()
    path.unlink()
    path.mkdir()
    (path / file).write_bytes(content)  # as some programs unpack FILE.gz
    error_of(name, tmp_path, f"{path} is a folder, not a file", "put a good copy there")
    with pytest.raises(DataError, match="is a folder, not a file"):
        data.load(name, tmp_path, test=test)


@pytest.mark.parametrize("file", ["cifar10-train.zip", "cifar-10-python.tar.gz"])
def test_a_folder_where_an_archive_belongs(tmp_path, file):
    (tmp_path / file).mkdir()
    if file.endswith(".zip"):
        (tmp_path / "cifar10-test.zip").mkdir()
    error_of("cifar10", tmp_path, f"{tmp_path / file} is a folder, not a file")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_packed_file_cut_short(tmp_path, monkeypatch, kept):
    folder = write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    pack_idx(folder)
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    error_of("mnist", tmp_path, str(path), "put a good copy there")


def test_a_packed_file_of_another_content(tmp_path, monkeypatch):
    folder = write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    pack_idx(folder)
    path = folder / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(b"something else"))
    error_of("mnist", tmp_path, f"{path} is corrupted", "14 bytes", "published md5 sum")


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.95])
def test_an_archive_cut_short(tmp_path, monkeypatch, kept):
    path = pack_pickles(write_pickles(tmp_path, random_pools("cifar10"), monkeypatch))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    error_of("cifar10", tmp_path, str(path), "put a good copy there")


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_an_archive_with_a_changed_byte(tmp_path, monkeypatch, where):
    path = pack_pickles(write_pickles(tmp_path, random_pools("cifar10"), monkeypatch))
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * where)] ^= 255
    path.write_bytes(raw)
    error_of("cifar10", tmp_path, str(path), "put a good copy there")


def test_an_archive_without_one_of_its_files_or_with_another_in_its_place(tmp_path, monkeypatch):
    for harm, words in (
        (Path.unlink, "does not hold cifar-10-batches-py/data_batch_4"),
        (lambda path: path.write_bytes(b"x"), "cifar-10-batches-py/data_batch_4 is corrupted"),
    ):
        root = tmp_path / words[:4]
        folder = write_pickles(root, random_pools("cifar10"), monkeypatch)
        harm(folder / "data_batch_4")
        error_of("cifar10", root, str(pack_pickles(folder)), words)


@pytest.mark.parametrize("file", ["3.svg", "3.heic", "3.pdf", "3.PGM"])
def test_a_file_with_an_images_name_that_cannot_be_read_is_never_left_out(tmp_path, file):
    path = write_folders(tmp_path, "mnist", random_pools("mnist")) / "train" / "3" / file
    path.write_bytes(b"<svg/>")
    error_of("mnist", tmp_path, f"{path} cannot be decoded")


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp", ".png"])
def test_an_image_file_of_several_pictures(tmp_path, suffix):
    folder = write_folders(tmp_path, "mnist", random_pools("mnist")) / "train" / "3"
    frames = [Image.new("L", (28, 28), brightness) for brightness in (0, 90, 200)]
    path = folder / f"new{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    error_of("mnist", tmp_path, f"{path} holds 3 pictures, not one")


@pytest.mark.parametrize("kind", [numpy.int32, numpy.float32, numpy.uint16])
def test_an_image_of_more_bits_than_can_be_scaled_is_named(tmp_path, kind):
    folder = write_folders(tmp_path, "mnist", random_pools("mnist")) / "train" / "3"
    Image.fromarray(numpy.zeros((28, 28), dtype=kind)).save(folder / "new.tif")
    error_of("mnist", tmp_path, f"{folder / 'new.tif'} has more than 8 bits per value")
