"""Data sets from every place they can come from, their one order, and their cache."""

from __future__ import annotations

import hashlib
import os
import socket
import zipfile
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from data_sets import apart, random_pools, same, write_folders, write_idx, write_pickles, write_zips
from PIL import Image
from torchvision import datasets

from helpers import data
from helpers.data import practice, sources
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


@pytest.mark.parametrize("validation", [-1, 40, 41, 2.5])
def test_a_validation_split_that_does_not_fit_is_an_error(tmp_path, monkeypatch, validation):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    with pytest.raises(DataError, match=f"validation={validation} .* give 0 to 39"):
        data.load("mnist", tmp_path, validation=validation)


def test_subset_takes_slices_indices_and_masks():
    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1)
    split = data.ImageSplit(images, torch.arange(5), ("a",), (0.0,), (1.0,))
    assert split.subset(slice(1, 3)).labels.tolist() == [1, 2]
    assert split.subset([4, 0]).images.flatten().tolist() == [4, 0]
    assert split.subset(torch.tensor([True, False, False, False, True])).labels.tolist() == [0, 4]
    assert len(split.subset([])) == 0 and split.subset([3]).classes == ("a",)


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
    assert not (tmp_path / "new").exists()


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
    monkeypatch.setattr(data, "download", lambda *_: pytest.fail("a download in the smoke profile"))
    assert data.load("mnist", tmp_path).source == "practice"
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    assert data.load("mnist", tmp_path, validation=0).source == "torchvision"


def test_course_data_names_the_folder(tmp_path, monkeypatch):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert data.load("mnist", validation=0).source == "torchvision"


def test_a_download_ends_up_in_the_folder_and_is_found_there_afterwards(tmp_path, monkeypatch):
    reader = datasets.MNIST

    def fetch(root: str, download: bool = False, train: bool = True) -> datasets.MNIST | None:
        if not download:
            return reader(root, train)
        print("noise")
        folder = write_idx(Path(root), random_pools("mnist"), monkeypatch)
        (folder / "train-images-idx3-ubyte.gz").write_bytes(b"packed")

    monkeypatch.setattr(datasets, "MNIST", fetch)
    monkeypatch.setattr(data, "download", sources.download)
    assert [data.load("mnist", tmp_path / "new", validation=0).source for _ in range(2)] == [
        "download",
        "torchvision",
    ]
    assert sorted(path.name for path in (tmp_path / "new" / "MNIST" / "raw").iterdir()) == sorted(
        KNOWN["mnist"].md5
    )
    assert not list((tmp_path / "new").glob(".download*"))


def test_a_network_that_fails_leaves_practice_data_and_no_half_files(tmp_path, monkeypatch, capsys):
    def fetch(root: str, download: bool) -> None:
        assert socket.getdefaulttimeout() is not None
        write_idx(Path(root), random_pools("mnist"))
        raise URLError("no route to host")

    monkeypatch.setattr(datasets, "MNIST", fetch)
    monkeypatch.setattr(data, "download", sources.download)
    monkeypatch.setattr(data, "PRACTICE_SIZES", {"train": 200, "test": 100})
    assert data.load("mnist", tmp_path).source == "practice"
    assert (
        "could not be downloaded (URLError)" in capsys.readouterr().out
        and socket.getdefaulttimeout() is None
    )
    assert not list(tmp_path.iterdir())
