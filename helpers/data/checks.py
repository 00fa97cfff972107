"""What images, labels and indices a split accepts; anything else is one line that names it."""

from collections.abc import Iterable

import numpy
import torch

from helpers.data.known import DataError


def check_images(images: torch.Tensor) -> None:
    """Raise DataError unless these are images uint8 [N, C, H, W]: pixels as a file holds them."""
    # An image of floats would silently be divided by 255 once more.
    found = type(images).__name__
    if isinstance(images, torch.Tensor):
        if images.dtype == torch.uint8 and images.dim() == 4:
            return
        found = f"{images.dtype} {list(images.shape)}"
    raise DataError(
        "images are torch.uint8 [N, channels, height, width] with values from 0 to 255, "
        f"not {found}"
    )


def check_labels(labels: torch.Tensor, classes: tuple[str, ...], count: int) -> None:
    """Raise DataError unless there is a whole number below ``len(classes)`` for each image."""
    # One number per image, and whole ones.
    found = type(labels).__name__
    if isinstance(labels, torch.Tensor):
        found = f"{labels.dtype} {list(labels.shape)}"
    if not isinstance(labels, torch.Tensor) or labels.shape != (count,):
        raise DataError(
            f"labels are one whole number per image, torch.int64 [{count}], not {found}"
        )
    if count == 0:
        return
    if not is_whole(labels.dtype):
        raise DataError(f"labels are whole numbers, torch.int64 [{count}], not {found}")

    # Each number has to name a class.
    numbers = labels.to(torch.int64)
    outside = (numbers < 0) | (numbers >= len(classes))
    if outside.any():
        index = int(outside.nonzero()[0])
        raise DataError(
            f"label {int(numbers[index])} at index {index} is out of range: labels of "
            f"{len(classes)} classes go from 0 to {len(classes) - 1}"
        )


def is_whole(dtype: torch.dtype) -> bool:
    """Whether numbers of this type are whole ones; truth values are not numbers."""
    return not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)


def as_places(indices: Iterable[int] | torch.Tensor, count: int) -> torch.Tensor:
    """The places int64 [n] that whole numbers, or a mask of ``count`` truth values, point to.

    A negative number counts from the end, as in Python. Raises DataError for anything else.
    """
    # Lists, arrays, ranges: whatever can be a tensor becomes one.
    accepted = f"give a slice, whole numbers from {-count} to {count - 1}, or a mask of {count}"
    if isinstance(indices, torch.Tensor):
        places = indices.cpu()
    else:
        try:
            places = torch.as_tensor(numpy.asarray(list(indices)))
        except (TypeError, ValueError):
            raise DataError(f"{indices!r} is no list of images: {accepted}") from None

    # An empty list has no type; a mask has one truth value per image; all else is numbers.
    if places.dim() == 1 and len(places) == 0:
        return torch.empty(0, dtype=torch.int64)
    if places.dtype == torch.bool and places.shape == (count,):
        return places.nonzero().flatten()
    if places.dim() != 1 or not is_whole(places.dtype):
        raise DataError(f"{places.dtype} {list(places.shape)} names no images: {accepted}")

    # In 64 bits: as 8 bits, 200 would be -56.
    places = places.to(torch.int64)
    outside = (places < -count) | (places >= count)
    if outside.any():
        raise DataError(f"there is no image {int(places[outside][0])}: {accepted}")
    return places
