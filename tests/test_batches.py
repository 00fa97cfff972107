"""Batches against torchvision's transforms and a DataLoader; order, generators, memory and bad input."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms

from helpers.data import Batches, ImageSplit
from helpers.data.known import DataError
from helpers.environment import ROOT, CourseError


def split_of(count: int, channels: int = 3) -> ImageSplit:
    images = torch.randint(
        256, (count, channels, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    mean, std = (0.4914, 0.4822, 0.4465)[:channels], (0.25, 0.24, 0.26)[:channels]
    return ImageSplit(images, torch.arange(count), ("a", "b"), mean, std)


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


@pytest.mark.parametrize("batch_size", [0, -3, 2.5, "8"])
def test_a_batch_size_below_one_is_an_error(batch_size):
    with pytest.raises(DataError, match="batch_size=.*at least 1"):
        Batches(split_of(3), batch_size)


def test_an_empty_split_is_an_error():
    with pytest.raises(CourseError, match="holds no images"):
        Batches(split_of(3).subset([]), 2)


def test_no_float_copy_of_the_data_set_is_held():
    pytest.importorskip("resource")
    script = """
import resource, torch
def split_of(count):
    return ImageSplit(torch.ones(count, 1, 28, 28, dtype=torch.uint8), torch.zeros(count).long(), "a", (0.5,), (0.5,))
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
