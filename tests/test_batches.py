"""Batches against torchvision's transforms and a DataLoader; order, generators, bad input."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms

from helpers.augment import Compose
from helpers.augment.pixels import RandomCrop
from helpers.data import Batches, ImageData, ImageSplit
from helpers.data.known import CIFAR10, DataError
from helpers.environment import ROOT, CourseError


def split_of(count: int, channels: int = 3) -> ImageSplit:
    images = torch.randint(
        256, (count, channels, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    mean, std = (0.4914, 0.4822, 0.4465)[:channels], (0.25, 0.24, 0.26)[:channels]
    return ImageSplit(images, torch.arange(count), tuple(map(str, range(count))), mean, std)


def test_images_of_a_known_data_set_are_normalised_as_its_batches_are():
    split = replace(split_of(6), mean=CIFAR10.mean, std=CIFAR10.std)
    [(images, _)] = Batches(split, 6)
    assert torch.equal(CIFAR10.normalised(split.images), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_equal_a_dataloader_over_torchvisions_transforms_bit_for_bit(channels):
    split = split_of(21, channels)
    to_float = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(split.mean, split.std)]
    )
    images = torch.stack([to_float(image.permute(1, 2, 0).numpy()) for image in split.images])
    expected = list(DataLoader(TensorDataset(images, split.labels), batch_size=8))
    batches = Batches(split, 8)
    assert len(batches) == len(expected) == 3
    for (images, labels), (oracle_images, oracle_labels) in zip(batches, expected, strict=True):
        assert torch.equal(images, oracle_images) and images.dtype == torch.float32
        assert torch.equal(labels, oracle_labels)


@pytest.mark.parametrize(
    "batch_size, sizes", [(5, [5, 5]), (4, [4, 4, 2]), (10, [10]), (11, [10]), (1, [1] * 10)]
)
def test_the_last_batch_is_kept(batch_size, sizes):
    batches = Batches(split_of(10), batch_size, shuffle=True)
    assert [len(labels) for _, labels in batches] == sizes and len(batches) == len(sizes)


def test_shuffle_visits_every_image_once_in_another_order_each_pass():
    batches = Batches(split_of(50), 8, shuffle=True, generator=torch.Generator().manual_seed(1))
    passes = [torch.cat([labels for _, labels in batches]) for _ in range(2)]
    expected = torch.Generator().manual_seed(1)
    for labels in passes:
        assert torch.equal(labels, torch.randperm(50, generator=expected))
    assert not torch.equal(*passes)


def test_images_and_labels_stay_together_when_shuffled():
    split = split_of(50)
    for images, labels in Batches(split, 7, shuffle=True):
        pixels = images * torch.tensor(split.std).view(3, 1, 1) + torch.tensor(split.mean).view(
            3, 1, 1
        )
        assert torch.equal(pixels.mul(255).round().to(torch.uint8), split.images[labels])


def test_the_generator_alone_decides_order_and_augmentation():
    def noisy(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return images + torch.rand(images.shape, generator=generator)

    def one_pass(seed: int) -> torch.Tensor:
        torch.rand(3)  # the global generator is of no account
        batches = Batches(
            split_of(20),
            6,
            augment=noisy,
            shuffle=True,
            generator=torch.Generator().manual_seed(seed),
        )
        return torch.cat([images for images, _ in batches])

    assert torch.equal(one_pass(0), one_pass(0)) and not torch.equal(one_pass(0), one_pass(1))


def test_without_a_generator_the_order_follows_torchs_seed():
    orders = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        orders.append(
            torch.cat([labels for _, labels in Batches(split_of(30), 8, shuffle=True)]).tolist()
        )
    assert orders[0] == orders[1] != orders[2]


def test_augmentation_sees_zero_to_one_and_cannot_change_the_split():
    split, seen = split_of(10), []

    def blacken(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append((images.min().item(), images.max().item()))
        return images.zero_()

    before = split.images.clone()
    for images, _ in Batches(split, 10, augment=blacken):
        assert torch.allclose(
            images[0, :, 0, 0], -torch.tensor(split.mean) / torch.tensor(split.std)
        )
    assert seen == [(before.min().item() / 255, before.max().item() / 255)]
    assert torch.equal(split.images, before)


# Any length, any batch size


LENGTHS = st.integers(1, 70)
SIZES = st.integers(1, 80)


@settings(deadline=None, max_examples=200)
@given(LENGTHS, SIZES, st.booleans(), st.booleans(), st.integers(0, 3))
def test_every_image_comes_once_as_in_a_dataloader(count, size, shuffle, drop_last, seed):
    split = split_of(count, 1)
    options = dict(shuffle=shuffle, drop_last=drop_last)
    if drop_last and count < size:  # a DataLoader would give nothing, without a word
        with pytest.raises(DataError, match=f"batch_size={size} of {count} images, give at most"):
            Batches(split, size, **options)
        return
    batches = Batches(split, size, generator=torch.Generator().manual_seed(seed), **options)
    oracle = list(DataLoader(TensorDataset(split.labels), size, **options))
    for _ in range(2):
        labels = [labels for _, labels in batches]
        assert len(batches) == len(labels) == len(oracle)
        assert [len(each) for each in labels] == [len(each) for [each] in oracle]
        seen = torch.cat(labels).tolist()
        assert len(set(seen)) == len(seen) == (count - count % size if drop_last else count)
        assert shuffle or seen == list(range(len(seen)))


def test_the_images_of_a_pass_do_not_depend_on_drop_last():
    kept, dropped = (
        Batches(
            split_of(10),
            4,
            shuffle=True,
            generator=torch.Generator().manual_seed(2),
            drop_last=drop_last,
        )
        for drop_last in (False, True)
    )
    assert (len(kept), len(dropped)) == (3, 2)
    for _ in range(2):
        for (images, labels), (same_images, same_labels) in zip(kept, dropped):
            assert torch.equal(images, same_images) and torch.equal(labels, same_labels)


def test_a_net_with_batch_norm_is_trained_where_the_last_image_would_be_alone():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(192)).train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        [net(images) for images, _ in Batches(split_of(9), 4)]
    assert len([net(images) for images, _ in Batches(split_of(9), 4, drop_last=True)]) == 2


# What an augmentation is told


class Remembers:
    """An augmentation that changes nothing, and keeps what it is told."""

    def __init__(self, wants_indices: bool = False) -> None:
        self.wants_indices = wants_indices
        self.epochs = []
        self.told = []

    def __call__(self, images, *more):
        self.told.append(more)
        return images

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)


@pytest.mark.parametrize("wrap", [lambda augment: augment, lambda augment: Compose(augment)])
def test_set_epoch_reaches_the_augmentation_that_has_one(wrap):
    augment = Remembers()
    batches = Batches(split_of(6), 2, augment=wrap(augment))
    for epoch in range(3):
        batches.set_epoch(epoch)
    assert augment.epochs == [0, 1, 2]


@pytest.mark.parametrize("augment", [None, RandomCrop(1), Compose(RandomCrop(1)), lambda x, g: x])
def test_set_epoch_without_anyone_who_wants_to_know_changes_nothing(augment):
    passes = []
    for epochs in ([], [7]):
        generator = torch.Generator().manual_seed(0)
        batches = Batches(split_of(6), 2, augment, shuffle=True, generator=generator)
        for epoch in epochs:
            assert batches.set_epoch(epoch) is None
        passes.append(torch.cat([images for images, _ in batches]))
    assert torch.equal(*passes)


@pytest.mark.parametrize("wrap", [lambda augment: augment, lambda augment: Compose(augment)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_augmentation_that_asks_is_told_the_places_of_its_images(wrap, shuffle):
    augment = Remembers(wants_indices=True)
    batches = Batches(split_of(10), 4, wrap(augment), shuffle=shuffle)
    labels = [labels for _, labels in batches]  # the label of image i is i
    assert len(augment.told) == 3
    for (generator, indices), expected in zip(augment.told, labels, strict=True):
        assert generator is batches.generator
        assert torch.equal(indices, expected) and indices.dtype == torch.int64


def test_an_augmentation_that_does_not_ask_gets_images_and_generator_alone():
    augment = Remembers()
    batches = Batches(split_of(3), 3, augment)
    list(batches)
    assert augment.told == [(batches.generator,)]


# Bad input


def test_numpys_whole_numbers_are_batch_sizes():
    assert [len(labels) for _, labels in Batches(split_of(5), numpy.int64(3))] == [3, 2]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_leave_as_int64_whatever_whole_numbers_they_were(dtype):
    split = split_of(5)
    split = ImageSplit(split.images, split.labels.to(dtype), split.classes, split.mean, split.std)
    [(_, labels)] = Batches(split, 5)
    assert labels.dtype == torch.int64 and labels.tolist() == [0, 1, 2, 3, 4]


def test_a_label_that_was_changed_to_no_class_is_an_error():
    split = split_of(5)
    split.labels[3] = 5
    with pytest.raises(DataError, match="^label 5 at index 3 is out of range: .* 0 to 4$"):
        Batches(split, 2)


@pytest.mark.parametrize("batch_size", [0, -3, 2.5, "8", True, None])
def test_a_batch_size_below_one_is_an_error(batch_size):
    with pytest.raises(DataError, match="batch_size=.*at least 1"):
        Batches(split_of(3), batch_size)


def test_what_is_no_split_is_an_error():
    split = split_of(3)
    whole = ImageData("digits", "folder", split.classes, split.mean, split.std, split, split, split)
    for given_one, kind in ((whole, "ImageData"), (split.images, "Tensor"), ("train", "str")):
        with pytest.raises(DataError, match=f"a {kind} is given: give a split, .* data.train$"):
            Batches(given_one, 2)


def test_an_empty_split_is_an_error():
    with pytest.raises(CourseError, match="holds no images"):
        Batches(split_of(3).subset([]), 2)


def test_no_float_copy_of_the_data_set_is_held():
    pytest.importorskip("resource")
    script = """
import resource, torch
from helpers.data import Batches, ImageSplit
def split_of(count):
    images = torch.ones(count, 1, 28, 28, dtype=torch.uint8)
    return ImageSplit(images, torch.zeros(count).long(), ("a",), (0.5,), (0.5,))
list(Batches(split_of(128), 128, shuffle=True))
split = split_of(60_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
batches = Batches(split, 128, shuffle=True)
held = [labels for _, labels in batches]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert (
        int(grown) * (1 if sys.platform == "darwin" else 1024) < 60_000 * 784
    )  # a float copy takes four times that


class TwoOutputs:
    def __call__(self, images, generator):
        return images, generator


@pytest.mark.parametrize(
    "augment, words",
    [
        ([RandomCrop(1)], r"is no transform: .* several of them as Compose\(one, another\)"),
        (RandomCrop, "is no transform"),
        ("RandomCrop", "is no transform"),
        (transforms.RandomHorizontalFlip(), r"takes other arguments \(too many positional"),
        (transforms.Compose([transforms.RandomCrop(8)]), "takes other arguments"),
        (lambda images: images, "takes other arguments"),
    ],
)
def test_what_is_no_augmentation_of_batches(augment, words):
    with pytest.raises(DataError, match=words) as problem:
        Batches(split_of(10), 5, augment=augment)
    assert "\n" not in str(problem.value)


def test_an_augmentation_that_returns_more_than_images():
    with pytest.raises(DataError, match="the augmentation returns a tuple"):
        next(iter(Batches(split_of(10), 5, augment=TwoOutputs())))


@pytest.mark.parametrize("device", ["gpu", "", 1.5, "cuda:99", "meta:x"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(DataError, match=f"device={device!r} cannot be used here .*: give 'cpu'"):
        Batches(split_of(10), 5, device=device)


@pytest.mark.parametrize("generator", [5, 0, "seed", numpy.random.default_rng(0)])
def test_what_is_no_generator(generator):
    with pytest.raises(DataError, match=r"generator=.*: give one of the CPU, torch.Generator\(\)"):
        Batches(split_of(10), 5, generator=generator)
