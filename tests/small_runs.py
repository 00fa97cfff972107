"""Small splits, nets and loaders that the tests of training share."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import training
from helpers.data import Batches, ImageSplit


def split_of(count: int, seed: int = 0) -> ImageSplit:
    """Random 8×8 images whose brightest quarter of the picture is the label: quickly learnt."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (count,), generator=generator)
    images = torch.randint(0, 120, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    for quarter in range(4):
        row, column = 4 * (quarter // 2), 4 * (quarter % 2)
        images[labels == quarter, :, row : row + 4, column : column + 4] += 60
    return ImageSplit(images, labels, tuple("abcd"), (0.3,), (0.2,))


def small_net(seed: int = 0, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(54, 4),
    )


def sgd(model: nn.Module, rate: float = 0.05) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=1e-4)


def skip_what_cannot_be_kept(schedule) -> None:
    """Skip a test of going on with a schedule whose state torch cannot write into a checkpoint."""
    optimizer = sgd(small_net())
    made = schedule(optimizer)
    for each in made if isinstance(made, list) else [made]:
        if any(callable(value) for value in each.state_dict().values()):
            pytest.skip(f"torch {torch.__version__} keeps a function in {type(each).__name__}")


def loader_of(count: int, batch_size: int, seed: int = 0) -> DataLoader:
    images, labels = next(iter(Batches(split_of(count), count)))
    return DataLoader(
        TensorDataset(images, labels),
        batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
    )


def batches_of(count: int, batch_size: int, seed: int = 0) -> Batches:
    return Batches(
        split_of(count), batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed)
    )


def same_state(one: nn.Module, other: nn.Module) -> bool:
    return all(
        torch.equal(mine, theirs)
        for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def without_times(history: training.History) -> list[dict[str, float]]:
    return [
        {name: value for name, value in row.items() if name != "seconds"} for row in history.epochs
    ]
