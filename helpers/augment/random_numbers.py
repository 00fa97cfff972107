"""Random numbers for augmentation, one per image, drawn on the CPU."""

import torch


def to_device_of(images: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """``values``, drawn on the CPU, on the images' device.

    A GPU takes them while the program goes on: to wait for it would leave it idle.
    """
    return values.to(images.device, non_blocking=images.is_cuda)


def uniform(
    low: float, high: float, images: torch.Tensor, generator: torch.Generator | None
) -> torch.Tensor:
    """One random number per image, [N], uniform from ``low`` to ``high``, on their device."""
    numbers = torch.rand(len(images), generator=generator)
    numbers = numbers * (high - low) + low
    return to_device_of(images, numbers.to(images.dtype))


def whole_uniform(
    count: int, images: torch.Tensor, generator: torch.Generator | None
) -> torch.Tensor:
    """One whole number per image, int64 [N], each of 0 to ``count`` - 1 equally likely."""
    numbers = torch.randint(count, (len(images),), generator=generator)
    return to_device_of(images, numbers)
