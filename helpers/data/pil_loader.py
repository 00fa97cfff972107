"""The usual way to training images: torch's ``DataLoader``, PIL images, torchvision's transforms.

``Batches`` is far faster. This is for a recipe that is to be trained as somebody wrote it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from helpers.data import ImageSplit
from helpers.environment import CourseError, unknown

Transform = Callable[[Image.Image], torch.Tensor]


class PilImages(Dataset):
    """The images of a split as torchvision's own data sets give them: PIL images, transformed."""

    def __init__(self, split: ImageSplit, transform: Transform) -> None:
        self.split = split
        self.transform = transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        # PIL has the channels last, and a grey image has no axis for its only one.
        pixels = self.split.images[index].permute(1, 2, 0).numpy()
        if pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        return self.transform(Image.fromarray(pixels)), int(self.split.labels[index])


def pil_batches(
    split: ImageSplit, recipe: Any, device: torch.device, generator: torch.Generator
) -> DataLoader:
    """Batches of images float32 [B, C, H, W] and labels int64 [B], for a recipe's ``batches``.

    The recipe's ``augment`` names torchvision's transforms. They draw from torch's own random
    numbers, and the order of the images comes from ``generator``. The batches lie on the CPU: the
    training loop moves them. Raises ``CourseError`` as ``pil_transform``.
    """
    transform = pil_transform(recipe.augment, split)
    # No worker processes: a checkpoint keeps the random numbers of this process, and a run that
    # was stopped goes on with the very images that it would have seen.
    return DataLoader(
        PilImages(split, transform),
        batch_size=recipe.batch_size,
        shuffle=True,
        generator=generator,
        num_workers=0,
        pin_memory=device.type == "cuda",
    )


def pil_transform(steps: Iterable[tuple[str, dict[str, Any]]], split: ImageSplit) -> Transform:
    """Torchvision's transforms of these names and arguments, then ``ToTensor`` and ``Normalize``.

    The mean and the deviation are the split's. Raises ``CourseError`` for a name that torchvision
    does not have, and for arguments that its transform refuses.
    """
    from torchvision import transforms  # takes a second to import

    parts = []
    for name, arguments in steps:
        part = getattr(transforms, name, None)
        if not isinstance(part, type):
            raise unknown("transform of torchvision", name, dir(transforms))
        try:
            parts.append(part(**arguments))
        except (TypeError, ValueError) as problem:
            raise CourseError(f"torchvision's {name}: {problem}") from None
    parts += [transforms.ToTensor(), transforms.Normalize(split.mean, split.std)]
    return transforms.Compose(parts)
