"""Data sets from every place they can come from, their one order, and what a split accepts."""

from __future__ import annotations

import errno
import gzip
import hashlib
import math
import os
import re
import socket
import ssl
import urllib.request
import zipfile
from email.message import Message
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path
from urllib.error import HTTPError, URLError

import numpy
import pytest
import torch
from data_sets import (
    Response,
    apart,  # noqa: F401
    md5,
    pack_idx,
    pack_pickles,
    random_pools,
    refusing,
    same,
    serving,
    write_folders,
    write_idx,
    write_pickles,
    write_zips,
)
from PIL import Image
from torchvision import datasets

from helpers import data
from helpers.data import practice
from helpers.data.known import KNOWN, DataError

pytestmark = pytest.mark.usefixtures("apart")


def test_idx_files_hold_what_torchvision_reads_in_the_order_of_sha1(tmp_path, monkeypatch):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    held = data.load("mnist", tmp_path, validation=0)
    for split, train in ((held.train, True), (held.test, False)):
        oracle = datasets.MNIST(tmp_path, train=train)
        pairs = sorted(
            (hashlib.sha1(image.numpy().tobytes()).hexdigest(), int(label), image)
            for image, label in zip(oracle.data, oracle.targets)
        )
        assert torch.equal(split.images.squeeze(1), torch.stack([image for _, _, image in pairs]))
        assert (
            split.labels.tolist() == [label for _, label, _ in pairs]
            and split.labels.dtype == torch.int64
        )
    assert (held.source, held.classes) == ("torchvision", tuple("0123456789"))
    assert (held.mean, held.std) == ((0.1307,), (0.3081,))
    assert (
        held.digest
        == hashlib.sha256(held.test.labels.to(torch.uint8).numpy().tobytes()).hexdigest()
    )


def test_the_real_mnist_keeps_its_order_and_its_published_mean_and_deviation(real_data_root):
    held = data.load("mnist", real_data_root, validation=0)
    # every record was made in this order
    assert held.digest == "ff9ca0d83ca132c7b12249dd1b907f2edde41e8c0ab97a4bf60a785c6dd60f20"
    oracle = datasets.MNIST(real_data_root, train=True)
    assert torch.equal(held.train.labels.bincount(), oracle.targets.bincount())
    pixels = held.train.images.double() / 255
    assert (round(pixels.mean().item(), 4), round(pixels.std().item(), 4)) == (
        held.mean[0],
        held.std[0],
    )


def test_every_source_gives_the_same_images_in_the_same_order(tmp_path, monkeypatch):
    pools = random_pools("cifar10")
    write_pickles(tmp_path / "pickles", pools, monkeypatch)
    write_folders(tmp_path / "folders", "cifar10", pools)
    write_zips(tmp_path / "zips", "cifar10", pools, tmp_path)
    held = [
        data.load("cifar10", tmp_path / place, validation=10)
        for place in ("pickles", "folders", "zips")
    ]
    assert [one.source for one in held] == ["torchvision", "folder", "folder"]
    for other in held[1:]:
        assert all(
            same(getattr(held[0], split), getattr(other, split))
            for split in ("train", "validation", "test")
        )
    assert held[0].digest == held[2].digest
    assert held[0].classes == tuple(
        datasets.ImageFolder(tmp_path / "folders" / "cifar10" / "train").classes
    )
    assert {tuple(image.flatten().tolist()) for image in pools["test"][0]} == {
        tuple(image.flatten().tolist()) for image in held[0].test.images
    }


def test_a_grey_image_in_colour_mode_and_files_of_the_system_do_not_disturb_class_folders(tmp_path):
    pools = random_pools("mnist")
    folder = write_folders(tmp_path, "mnist", pools)
    (folder / "train" / ".DS_Store").write_bytes(b"x")
    (folder / "train" / "3" / "Thumbs.db").write_bytes(b"x")
    Image.open(folder / "test" / "0" / "0.png").convert("RGB").save(folder / "test" / "0" / "0.png")
    held = data.load("mnist", tmp_path, validation=0)
    assert len(held.train) == 40 and held.test.images.sum() == pools["test"][0].sum()


def test_what_a_mac_adds_to_a_zip_is_no_image(tmp_path):
    root = write_zips(tmp_path / "data", "mnist", random_pools("mnist"), tmp_path, ".png")
    with zipfile.ZipFile(root / "mnist-train.zip", "a") as archive:
        archive.writestr("__MACOSX/mnist/train/3/._3.png", b"x")
    assert len(data.load("mnist", root, validation=0).train) == 40


def test_equal_images_lie_in_the_order_of_their_labels(tmp_path, monkeypatch):
    pools = random_pools("mnist")
    images, labels = pools["train"]
    images[10:30] = images[10]  # one picture twenty times, with labels 0 to 9 and again
    write_idx(tmp_path, {"train": (images, labels.flip(0)), "test": pools["test"]}, monkeypatch)
    train = data.load("mnist", tmp_path, validation=0).train
    equal = (train.images == images[10]).flatten(1).all(1)
    assert equal.sum() == 20
    assert train.labels[equal].tolist() == sorted([*range(10)] * 2)


@pytest.mark.parametrize("files", [(), ("t10k-images-idx3-ubyte", "train-labels-idx1-ubyte")])
def test_mnist_is_read_as_it_was_downloaded_packed(tmp_path, monkeypatch, files):
    folder = write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    unpacked = data.load("mnist", tmp_path, validation=0)
    pack_idx(folder, *files)
    before = sorted(folder.iterdir())
    packed = data.load("mnist", tmp_path, validation=0)
    assert packed.source == "torchvision"
    assert same(packed.train, unpacked.train) and same(packed.test, unpacked.test)
    assert sorted(folder.iterdir()) == before


def test_a_packed_file_beside_the_unpacked_one_is_not_opened(tmp_path, monkeypatch):
    folder = write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    for file in KNOWN["mnist"].md5:
        (folder / f"{file}.gz").write_bytes(b"half of it")
    assert len(data.load("mnist", tmp_path, validation=0).train) == 40


def test_cifar10_is_read_as_it_was_downloaded_packed(tmp_path, monkeypatch):
    folder = write_pickles(tmp_path, random_pools("cifar10"), monkeypatch)
    unpacked = data.load("cifar10", tmp_path, validation=0)
    archive = pack_pickles(folder)
    packed = data.load("cifar10", tmp_path, validation=0)
    assert packed.source == "torchvision" and archive.exists() and not folder.exists()
    assert same(packed.train, unpacked.train) and same(packed.test, unpacked.test)


def test_a_damaged_archive_beside_sound_folders_is_not_even_opened(tmp_path):
    write_folders(tmp_path, "cifar10", random_pools("cifar10"))
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"half of it")
    assert data.load("cifar10", tmp_path, validation=0).source == "folder"


def test_what_an_early_torchvision_kept_beside_the_raw_files_is_not_read(tmp_path, monkeypatch):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    expected = data.load("mnist", tmp_path, validation=0)
    (tmp_path / "MNIST" / "processed").mkdir()
    for file in ("training.pt", "test.pt"):
        other = (torch.zeros(40, 28, 28, dtype=torch.uint8), torch.zeros(40).long())
        torch.save(other, tmp_path / "MNIST" / "processed" / file)
    for path in tmp_path.glob("*.pt"):
        path.unlink()
    held = data.load("mnist", tmp_path, validation=0)
    assert same(held.train, expected.train) and same(held.test, expected.test)


@pytest.mark.parametrize("suffix", [".bmp", ".tif", ".TIFF", ".gif", ".ppm", ".PNG"])
def test_images_of_every_kind_are_read_beside_the_pngs(tmp_path, suffix):
    pools = random_pools("mnist")
    folder = write_folders(tmp_path, "mnist", pools)
    for path in (folder / "train" / "3").iterdir():
        Image.open(path).save(path.with_suffix(suffix))
        path.unlink()
    held = data.load("mnist", tmp_path, validation=0)
    assert len(held.train) == 40
    assert held.train.images.long().sum() == pools["train"][0].long().sum()


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_grey_image_of_16_bits_is_scaled_to_8(tmp_path, name):
    pools = random_pools(name)
    path = write_folders(tmp_path, name, pools) / "train" / KNOWN[name].classes[3] / "3.png"
    bright = pools["train"][0][3, 0].numpy()
    Image.fromarray(bright.astype(numpy.uint16) * 257).save(path)
    assert Image.open(path).mode.startswith("I")
    held = data.load(name, tmp_path, validation=0)
    found = (held.train.images[:, 0] == torch.tensor(bright)).flatten(1).all(1)
    assert found.sum() == 1 and held.train.labels[found].item() == 3
    assert (held.train.images[found] == torch.tensor(bright)).all()


def test_hidden_folders_and_files_are_no_classes_and_no_images(tmp_path):
    folder = write_folders(tmp_path, "mnist", random_pools("mnist"))
    for hidden in (".ipynb_checkpoints", ".git"):
        (folder / "train" / hidden).mkdir()
        (folder / "train" / hidden / "3-checkpoint.png").write_bytes(b"x")
    (folder / "test" / "3" / ".ipynb_checkpoints").mkdir()
    (folder / "test" / "3" / ".3.png").write_bytes(b"x")
    held = data.load("mnist", tmp_path, validation=0)
    assert (len(held.train), len(held.test)) == (40, 20)


def test_hidden_folders_in_a_zip_are_no_classes(tmp_path):
    root = write_zips(tmp_path / "data", "mnist", random_pools("mnist"), tmp_path, ".png")
    with zipfile.ZipFile(root / "mnist-train.zip", "a") as archive:
        archive.writestr("mnist/train/.ipynb_checkpoints/3.png", b"x")
    assert len(data.load("mnist", root, validation=0).train) == 40


def test_numpys_whole_numbers_are_taken(tmp_path, monkeypatch):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    expected = data.load("mnist", tmp_path, validation=15, seed=3)
    held = data.load("mnist", tmp_path, validation=numpy.int32(15), seed=numpy.int64(3))
    assert same(held.validation, expected.validation) and same(held.train, expected.train)


@pytest.mark.parametrize("seed", ["0", 1.0, None, True, 2**70, 2**64, -(2**63) - 1])
def test_a_seed_that_is_no_whole_number_is_an_error(tmp_path, monkeypatch, seed):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    with pytest.raises(DataError, match=f"seed={seed!r}: give a whole number"):
        data.load("mnist", tmp_path, validation=5, seed=seed)


@pytest.mark.parametrize("seed", [2**64 - 1, -(2**63)])
def test_the_largest_and_the_smallest_seed(tmp_path, monkeypatch, seed):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    assert len(data.load("mnist", tmp_path, validation=5, seed=seed).validation) == 5


@pytest.mark.parametrize("root", [5, 1.5, ["data"]])
def test_a_root_that_is_no_folders_name(root):
    with pytest.raises(DataError, match="is no folder: give its path, such as 'data'"):
        data.load("mnist", root)


def test_validation_is_split_off_by_the_seed_and_the_rest_keeps_its_order(tmp_path, monkeypatch):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    whole = data.load("mnist", tmp_path, validation=0)
    held, again, other = (
        data.load("mnist", tmp_path, validation=15, seed=seed) for seed in (0, 0, 1)
    )
    chosen = set(torch.randperm(40, generator=torch.Generator().manual_seed(0))[:15].tolist())
    assert same(held.validation, whole.train.subset(sorted(chosen)))
    assert same(
        held.train, whole.train.subset([index for index in range(40) if index not in chosen])
    )
    assert same(held.validation, again.validation) and not same(held.validation, other.validation)
    assert same(held.test, whole.test) and len(whole.validation) == 0


@pytest.mark.parametrize("validation", [-1, 40, 41, 2.5, "5", None, True])
def test_a_validation_split_that_does_not_fit_is_an_error(tmp_path, monkeypatch, validation):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    with pytest.raises(DataError, match=f"validation={validation} .* give 0 to 39"):
        data.load("mnist", tmp_path, validation=validation)


def numbered_split(count: int = 5) -> data.ImageSplit:
    """Image i is one pixel of brightness i, and its label is i."""
    images = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1)
    return data.ImageSplit(images, torch.arange(count), tuple("abcde"), (0.0,), (1.0,))


MASK = [True, False, False, False, True]


@pytest.mark.parametrize(
    "indices, labels",
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [4, 3, 2, 1, 0]),
        (slice(-2, 99), [3, 4]),
        (slice(numpy.int64(0), None, 3), [0, 3]),
        ([4, 0], [4, 0]),
        ((2, 2), [2, 2]),
        (range(3), [0, 1, 2]),
        ([-1], [4]),
        ([], []),
        (torch.tensor([]), []),
        (torch.tensor([3, 1]), [3, 1]),
        (torch.tensor([1, 0, 1], dtype=torch.uint8), [1, 0, 1]),
        (numpy.array([3, 1], dtype=numpy.int16), [3, 1]),
        ([numpy.int64(2), numpy.uint8(4)], [2, 4]),
        ([torch.tensor(2), torch.tensor(4)], [2, 4]),
        (MASK, [0, 4]),
        (numpy.array(MASK), [0, 4]),
        (list(numpy.array(MASK)), [0, 4]),
        (torch.tensor(MASK), [0, 4]),
        ([False] * 5, []),
    ],
)
def test_subset_takes_slices_indices_and_masks(indices, labels):
    chosen = numbered_split().subset(indices)
    assert chosen.labels.tolist() == labels and chosen.classes == tuple("abcde")
    assert chosen.images.flatten().tolist() == labels and chosen.images.dtype == torch.uint8


@pytest.mark.parametrize(
    "indices, words",
    [
        (3, "3 is no list of images"),
        (None, "None is no list of images"),
        (torch.tensor(3), r"torch.int64 \[\] names no images"),
        ([5], "there is no image 5"),
        ([0, -6], "there is no image -6"),
        ([1.0, 2.0], r"torch.float64 \[2\] names no images"),
        (["a"], "is no list of images"),
        ([[0, 1]], r"torch.int64 \[1, 2\] names no images"),
        ([[0, 1], [2]], "is no list of images"),
        (MASK[:4], r"torch.bool \[4\] names no images"),
        ([*MASK, True], r"torch.bool \[6\] names no images"),
    ],
)
def test_a_subset_of_anything_else_is_one_line(indices, words):
    with pytest.raises(DataError, match=f"{words}: give a slice, whole .*-5 to 4, or a mask of 5$"):
        numbered_split().subset(indices)


@pytest.mark.parametrize(
    "indices, words",
    [
        (slice(0, 5, 0), "slice step cannot be zero"),
        (slice(0, 5.0), "slice indices must be integers"),
        (slice("a"), "slice indices must be integers"),
    ],
)
def test_a_slice_that_a_list_does_not_take_either(indices, words):
    with pytest.raises(
        DataError, match=rf"slice\(.* of 5 images \({words}.*\): give whole numbers"
    ):
        numbered_split().subset(indices)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_a_mask_of_whole_numbers_is_refused(dtype):
    mask = torch.tensor(MASK).to(dtype)
    for given in (mask, mask.numpy(), mask.tolist(), mask * 0):
        with pytest.raises(DataError, match=r"5 numbers for 5 images, all 0 or 1: .*\.bool\(\)"):
            numbered_split().subset(given)
    assert numbered_split().subset(mask.bool()).labels.tolist() == [0, 4]
    # Of a short split, these are all its images.
    assert numbered_split(2).subset(torch.tensor([1, 0], dtype=dtype)).labels.tolist() == [1, 0]
    assert numbered_split(1).subset(torch.tensor([0], dtype=dtype)).labels.tolist() == [0]


@pytest.mark.parametrize(
    "mean, std, words",
    [
        ((0.5,), (0.2, 0.2, 0.2), r"mean is .* per channel, of 3, not \(0.5,\)"),
        ((0.5, 0.5, 0.5), (0.2,), r"std is .* per channel, of 3, not \(0.2,\)"),
        ((0.5, 0.5, math.nan), (0.2, 0.2, 0.2), "mean is a tuple of one finite number"),
        ((0.5, 0.5, 0.5), (0.2, 0.2, math.inf), "std is a tuple of one finite number"),
        ((0.5, 0.5, 0.5), (0.2, 0.0, 0.2), "std is above 0"),
        ((0.5, 0.5, 0.5), (0.2, -0.1, 0.2), "std is above 0"),
        ("abc", (0.2, 0.2, 0.2), "mean is a tuple .*'abc'"),
        (0.5, (0.2, 0.2, 0.2), "mean is a tuple .*not 0.5"),
        (("a", 0.5, 0.5), (0.2, 0.2, 0.2), "mean is a tuple"),
    ],
)
def test_means_and_deviations_that_do_not_fit_the_images(mean, std, words):
    images = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    labels = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(DataError, match=f"^{words}"):
        data.ImageSplit(images, labels, ("a",), mean, std)
    for kind in (tuple, list, numpy.array, torch.tensor):
        data.ImageSplit(images, labels, ("a",), kind([0.5] * 3), kind([0.2] * 3))


def test_images_with_their_channels_last_are_refused():
    labels = torch.zeros(4, dtype=torch.int64)
    images = torch.zeros(4, 8, 8, 3, dtype=torch.uint8)
    with pytest.raises(DataError, match=r"\[4, 8, 8, 3\].*give images.permute\(0, 3, 1, 2\)$"):
        data.ImageSplit(images, labels, ("a",), (0.5,), (0.2,))
    turned = images.permute(0, 3, 1, 2)
    assert len(data.ImageSplit(turned, labels, ("a",), (0.5,) * 3, (0.2,) * 3)) == 4
    with pytest.raises(DataError, match="1 to 4 channels"):
        data.ImageSplit(images[:, :0], labels, ("a",), (), ())


@pytest.mark.parametrize(
    "labels, label, index",
    [([1, 2, 3, 4], 4, 3), ([-1, 0, 1, 2], -1, 0), ([0, 9, -3, 1], 9, 1)],
)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int8])
def test_a_label_that_is_no_class_is_named_with_its_index_and_the_range(
    labels, label, index, dtype
):
    images = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    with pytest.raises(DataError, match=f"^label {label} at index {index} .* from 0 to 3$"):
        data.ImageSplit(images, torch.tensor(labels, dtype=dtype), tuple("abcd"), (0.0,), (1.0,))


@pytest.mark.parametrize(
    "labels, words",
    [
        (torch.zeros(4), r"torch.float32 \[4\]"),
        (torch.zeros(4, dtype=torch.bool), r"torch.bool \[4\]"),
        (torch.zeros(4, 4).long(), r"torch.int64 \[4, 4\]"),
        (torch.zeros(3).long(), r"torch.int64 \[3\]"),
        ([0, 1, 2, 3], "list"),
    ],
)
def test_labels_that_are_not_one_whole_number_an_image_are_refused(labels, words):
    images = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    with pytest.raises(DataError, match=f"^labels are .*torch.int64 \\[4\\], not {words}$"):
        data.ImageSplit(images, labels, tuple("abcd"), (0.0,), (1.0,))


@pytest.mark.parametrize(
    "images, words",
    [
        (torch.rand(4, 1, 2, 2), r"torch.float32 \[4, 1, 2, 2\]"),
        (torch.zeros(4, 1, 2, 2, dtype=torch.int64), "torch.int64"),
        (torch.zeros(4, 2, 2, dtype=torch.uint8), r"torch.uint8 \[4, 2, 2\]"),
        (numpy.zeros((4, 1, 2, 2), dtype=numpy.uint8), "ndarray"),
    ],
)
def test_images_that_are_not_bytes_are_refused_before_they_are_divided_by_255(images, words):
    with pytest.raises(DataError, match=f"^images are torch.uint8 .* 0 to 255, not {words}"):
        data.ImageSplit(images, torch.zeros(4).long(), tuple("abcd"), (0.0,), (1.0,))


def test_nothing_at_hand_gives_practice_data_with_a_banner(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "PRACTICE_SIZES", {"train": 1_200, "test": 200})
    held = data.load("mnist", tmp_path / "new")
    assert held.source == "practice" and "PRACTICE DATA" in capsys.readouterr().out
    assert (len(held.train), len(held.validation), len(held.test)) == (900, 300, 200)
    drawn = zip(*practice.draw("mnist", 200, 1))
    expected = sorted(
        (hashlib.sha1(image.numpy()).hexdigest(), label.item()) for image, label in drawn
    )
    assert [hashlib.sha1(image.numpy()).hexdigest() for image in held.test.images] == [
        key for key, _ in expected
    ]
    assert held.test.labels.tolist() == [label for _, label in expected]
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_the_smoke_profile_draws_a_small_set_and_touches_no_folder(
    tmp_path, monkeypatch, capsys, name
):
    monkeypatch.setenv("COURSE_SMOKE", "1")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", lambda *_: pytest.fail("looked into a folder"))
        held = data.load(name)
    assert (held.source, len(held.train), len(held.validation), len(held.test)) == (
        "practice",
        1500,
        500,
        500,
    )
    assert "PRACTICE DATA" in capsys.readouterr().out and not list(tmp_path.iterdir())
    assert held.train.images.shape[1:] == KNOWN[name].shape and held.classes == KNOWN[name].classes


def test_the_smoke_profile_reads_a_root_that_is_given_and_never_downloads(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_SMOKE", "1")
    tried = AssertionError("a download in the smoke profile")
    monkeypatch.setattr(urllib.request, "urlopen", refusing(tried))
    assert data.load("mnist", tmp_path).source == "practice" and not list(tmp_path.iterdir())
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    assert data.load("mnist", tmp_path, validation=0).source == "torchvision"


def test_course_data_names_the_folder(tmp_path, monkeypatch):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert data.load("mnist", validation=0).source == "torchvision"


# Downloads, against a network that the tests play


def test_a_download_ends_up_in_the_folder_and_is_found_there_afterwards(tmp_path, monkeypatch):
    folder = write_idx(tmp_path / "server", random_pools("mnist"), monkeypatch)
    files = {
        f"{file}.gz": gzip.compress((folder / file).read_bytes()) for file in KNOWN["mnist"].md5
    }
    resources = [(file, md5(content)) for file, content in files.items()]
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(urllib.request, "urlopen", serving(files))
    new = tmp_path / "new"
    held = [data.load("mnist", new, validation=0) for _ in range(2)]
    assert [one.source for one in held] == ["download", "torchvision"]
    assert same(held[0].train, data.load("mnist", tmp_path / "server", validation=0).train)
    found = sorted(path.name for path in (new / "MNIST" / "raw").iterdir())
    assert found == sorted(KNOWN["mnist"].md5) and not list(new.glob(".download*"))


def test_cifar10_is_downloaded_too(tmp_path, monkeypatch):
    archive = pack_pickles(write_pickles(tmp_path / "server", random_pools("cifar10"), monkeypatch))
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive.read_bytes()))
    monkeypatch.setattr(urllib.request, "urlopen", serving({archive.name: archive.read_bytes()}))
    held = data.load("cifar10", tmp_path / "new", validation=0)
    assert held.source == "download"
    assert same(held.test, data.load("cifar10", tmp_path / "server", validation=0).test)


def http_error(code: int, words: str) -> HTTPError:
    return HTTPError("https://host/file.gz", code, words, Message(), None)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
@pytest.mark.parametrize(
    "problem, words",
    [
        (URLError(socket.gaierror(-2, "Name or service not known")), "server's name was not found"),
        (
            URLError(socket.gaierror(-3, "Temporary failure in name resolution")),
            "server's name was not found",
        ),
        (URLError(socket.gaierror(11001, "getaddrinfo failed")), "HTTPS_PROXY"),
        (
            URLError(ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] expired")),
            "certificate was not accepted; set the clock",
        ),
        (http_error(403, "Forbidden"), "refused it .HTTP 403.; try another network"),
        (URLError(OSError("Tunnel connection failed: 403 Forbidden")), "refused it .HTTP 403."),
        (
            http_error(407, "Proxy Authentication Required"),
            "proxy of your network wants a password",
        ),
        (http_error(404, "Not Found"), "no longer at its address .HTTP 404.; a newer torchvision"),
        (http_error(503, "Service Unavailable"), "out of order; try again later"),
        (URLError(TimeoutError("timed out")), "no answer within 10 seconds"),
        (TimeoutError("The read operation timed out"), "no answer within 10 seconds"),
        (URLError(ConnectionRefusedError(111, "Connection refused")), "cannot be reached"),
        (URLError(OSError(101, "Network is unreachable")), "cannot be reached"),
        (RemoteDisconnected("Remote end closed connection without response"), "cannot be reached"),
        (URLError(PermissionError(13, "Permission denied")), "does not let programs use the netw"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space is left .* COURSE_DATA"),
        (IncompleteRead(b""), "not the published file"),
        (ValueError("something new\nin two lines"), "ValueError: something new in two lines"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value).split("\n")[0],
)
def test_a_download_that_fails_tells_the_cause_and_what_helps(
    tmp_path, monkeypatch, capsys, name, problem, words
):
    monkeypatch.setattr(urllib.request, "urlopen", refusing(problem))
    monkeypatch.setattr(data, "PRACTICE_SIZES", {"train": 20, "test": 10})
    assert data.load(name, tmp_path).source == "practice"
    _, told, banner = capsys.readouterr().out.splitlines()
    by_hand = {
        "mnist": f"put its files, packed .* or not, into {tmp_path / 'MNIST' / 'raw'} yourself",
        "cifar10": f"put cifar-10-python.tar.gz into {tmp_path} yourself",
    }
    with_ways = f"{KNOWN[name].title} could not be downloaded: .*{words}.* {by_hand[name]}"
    assert re.search(with_ways, told), told
    assert banner.startswith("PRACTICE DATA") and socket.getdefaulttimeout() is None
    assert not list(tmp_path.iterdir())


def test_the_first_cause_is_told_where_a_second_try_fails_otherwise(tmp_path, monkeypatch, capsys):
    def urlopen(request, **_):
        if request.get_header("Method") == "HEAD":  # torchvision asks first where the file lies
            return Response(b"", request.full_url)
        if request.full_url.startswith("https"):
            raise URLError(ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]"))
        raise URLError(ConnectionRefusedError(111, "Connection refused"))

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(data, "PRACTICE_SIZES", {"train": 20, "test": 10})
    assert data.load("cifar10", tmp_path).source == "practice"
    assert "certificate was not accepted" in capsys.readouterr().out


def test_what_is_not_the_published_file_is_not_kept(tmp_path, monkeypatch, capsys):
    page = b"<html>Please log in</html>"
    monkeypatch.setattr(
        urllib.request,
        "urlopen",
        serving(dict.fromkeys([f"{file}.gz" for file in KNOWN["mnist"].md5], page)),
    )
    monkeypatch.setattr(data, "PRACTICE_SIZES", {"train": 20, "test": 10})
    assert data.load("mnist", tmp_path).source == "practice"
    assert "what came is not the published file" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named_as_the_cause(tmp_path, monkeypatch, capsys):
    def refuse(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(data, "PRACTICE_SIZES", {"train": 20, "test": 10})
    assert data.load("mnist", tmp_path / "new").source == "practice"
    assert "the data folder cannot be written; name another" in capsys.readouterr().out
