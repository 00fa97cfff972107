"""Random numbers for augmentation, one per image, drawn on the CPU; and for which images."""

from typing import Any

import torch

from helpers.environment import CourseError, real_number


def check_images(images: Any) -> None:
    """Raise ``CourseError`` unless these are images that a transform takes, floats [N, C, H, W]."""
    found = type(images).__name__
    if isinstance(images, torch.Tensor):
        if images.dim() == 4 and images.is_floating_point():
            return
        found = f"{images.dtype} {list(images.shape)}"
    raise CourseError(
        f"a transform takes floats [N, C, H, W] with values from 0 to 1, not {found}: of bytes "
        "give images / 255, and of one image images[None]"
    )


def check_amount(name: str, value: Any, least: float | None = None) -> None:
    """Raise ``CourseError`` unless an argument is one finite number, and not below ``least``."""
    number = real_number(value)
    if number is None:
        raise CourseError(f"{name} is one finite number, not {value!r}")
    if least is not None and number < least:
        raise CourseError(f"{name} is at least {least}, not {value!r}")


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
