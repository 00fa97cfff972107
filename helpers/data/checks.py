"""What images, shapes, labels and indices are accepted; anything else is one line that names it."""

import inspect
from collections.abc import Iterable
from typing import Any

import numpy
import torch

from helpers.data.known import DataError
from helpers.environment import real_number, short_reason, whole_number


def shown(value: Any) -> str:
    """What a value looks like in an error: one line of at most 100 characters."""
    return " ".join(repr(value).split())[:100]


def check_split(
    images: torch.Tensor,
    labels: torch.Tensor,
    classes: tuple[str, ...],
    mean: Iterable[float],
    std: Iterable[float],
) -> None:
    """Raise DataError unless images, labels, classes, means and deviations fit one another."""
    check_images(images)
    check_moments(mean, std, images.shape[1])
    check_labels(labels, classes, len(images))


def check_images(images: torch.Tensor) -> None:
    """Raise DataError unless these are images uint8 [N, C, H, W]: pixels as a file holds them."""
    # An image of floats would silently be divided by 255 once more.
    found = type(images).__name__
    if isinstance(images, torch.Tensor):
        found = f"{images.dtype} {list(images.shape)}"
    if getattr(images, "dtype", None) is not torch.uint8 or images.dim() != 4:
        raise DataError(
            "images are torch.uint8 [N, channels, height, width] with values from 0 to 255, "
            f"not {found}"
        )

    # Arrays from an image file have their channels last.
    if not 1 <= images.shape[1] <= 4:
        raise DataError(
            f"images have 1 to 4 channels, as their second axis, not {found}: where they are the "
            "last axis, give images.permute(0, 3, 1, 2)"
        )


def check_moments(mean: Iterable[float], std: Iterable[float], channels: int) -> None:
    """Raise DataError unless mean and std have a finite number per channel, std above 0."""
    for name, values in (("mean", mean), ("std", std)):
        numbers = []
        if not isinstance(values, str) and isinstance(values, Iterable):
            numbers = [real_number(value) for value in values]
        if len(numbers) != channels or None in numbers:
            raise DataError(
                f"{name} is a tuple of one finite number per channel, of {channels}, not "
                f"{shown(values)}"
            )

    # The deviation is divided by.
    for value in std:
        if value <= 0:
            raise DataError(f"std is above 0 in every channel, not {std!r}")


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


def whole_numbers(values: Any, least: int) -> tuple[int, ...] | None:
    """The ints of a sequence, an array or a tensor; None where not all are whole numbers."""
    # What cannot be walked through is no sequence, such as a single number.
    try:
        values = tuple(values)
    except TypeError:
        return None
    numbers = []
    for value in values:
        number = whole_number(value, least)
        if number is None:
            return None
        numbers.append(number)
    return tuple(numbers)


def image_shape(input_shape: Iterable[int]) -> tuple[int, int, int]:
    """The shape (channels, height, width) of an image as ints; DataError for any other.

    A sequence, an array or a tensor of whole numbers, each at least 1.
    """
    sizes = whole_numbers(input_shape, least=1)
    if sizes is None or len(sizes) != 3:
        raise DataError(
            "input_shape is (channels, height, width), such as (1, 28, 28), not "
            f"{shown(input_shape)}"
        )
    channels, height, width = sizes
    return channels, height, width


def is_whole(dtype: torch.dtype) -> bool:
    """Whether numbers of this type are whole ones; truth values are not numbers."""
    return not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)


def slice_places(indices: slice, count: int) -> torch.Tensor:
    """The places int64 [n] of ``count`` that a slice means in a list of so many.

    Raises DataError for a slice that a list does not take either.
    """
    try:
        places = range(count)[indices]
    except (TypeError, ValueError) as problem:
        raise DataError(
            f"{indices} of {count} images ({problem}): give whole numbers, and a step that is not 0"
        ) from None
    return torch.tensor(places, dtype=torch.int64)


def as_places(indices: slice | Iterable[int] | torch.Tensor, count: int) -> torch.Tensor:
    """The places int64 [n] that a slice, whole numbers, or a mask of ``count`` truth values mean.

    A negative number counts from the end, as in Python. Raises DataError for anything else.
    """
    if isinstance(indices, slice):
        return slice_places(indices, count)

    # Lists, arrays, ranges: whatever can be a tensor becomes one.
    accepted = f"give a slice, whole numbers from {-count} to {count - 1}, or a mask of {count}"
    if isinstance(indices, torch.Tensor):
        places = indices.cpu()
    else:
        try:
            places = torch.as_tensor(numpy.asarray(list(indices)))
        except (TypeError, ValueError):
            raise DataError(f"{shown(indices)} is no list of images: {accepted}") from None

    # An empty list has no type; a mask has one truth value per image; all else is numbers.
    if places.dim() == 1 and len(places) == 0:
        return torch.empty(0, dtype=torch.int64)
    if places.dtype == torch.bool and places.shape == (count,):
        return places.nonzero().flatten()
    if places.dim() != 1 or not is_whole(places.dtype):
        raise DataError(f"{places.dtype} {list(places.shape)} names no images: {accepted}")

    # In 64 bits: as 8 bits, 200 would be -56.
    places = places.to(torch.int64)
    if looks_like_mask(places, count):
        raise DataError(
            f"{count} numbers for {count} images, all 0 or 1: a mask holds truth values, give it "
            "as .bool() (.astype(bool) of an array)"
        )
    outside = (places < -count) | (places >= count)
    if outside.any():
        raise DataError(f"there is no image {int(places[outside][0])}: {accepted}")
    return places


def looks_like_mask(places: torch.Tensor, count: int) -> bool:
    """Whether whole numbers have a 0 or a 1 for each of ``count`` images, as a mask has.

    Both images of a split of two, each once, are no such case.
    """
    if len(places) != count or not torch.isin(places, torch.tensor([0, 1])).all():
        return False
    return len(places.unique()) < count


# What Batches is given.


def check_options(split: Any, augment: Any, generator: Any) -> None:
    """Raise DataError for what is no split, no augmentation of batches, or no generator."""
    # A whole data set holds three splits; images alone have no labels.
    if not hasattr(split, "images") or not hasattr(split, "classes"):
        kind = type(split).__name__
        raise DataError(f"Batches: a {kind} is given: give a split, such as data.train")
    check_labels(split.labels, split.classes, len(split.images))
    check_augment(augment)
    check_generator(generator)


def check_augment(augment: Any) -> None:
    """Raise DataError for what cannot be called as an augmentation of batches."""
    if augment is None:
        return
    problem = transform_problem(augment)
    if problem:
        raise DataError(
            f"augment={shown(augment)} {problem}: it is called as augment(images, generator): give "
            "a transform of helpers.augment, several of them as Compose(one, another)"
        )


def transform_problem(transform: Any) -> str:
    """Why something cannot be called as a transform of batches, in words; empty where it can."""
    if isinstance(transform, type) or not callable(transform):
        return "is no transform"

    # Images and a generator, and for some also the images' places; a module passes them on.
    given = [None, None]
    if getattr(transform, "wants_indices", False):
        given.append(None)
    call = getattr(transform, "forward", transform)
    try:
        inspect.signature(call).bind(*given)
    except TypeError as problem:
        return f"takes other arguments ({problem})"
    except ValueError:
        return ""  # a function that is written in C does not tell what it takes
    return ""


def check_augmented(images: Any) -> None:
    """Raise DataError where an augmentation has not returned a tensor of images."""
    if not isinstance(images, torch.Tensor):
        kind = type(images).__name__
        raise DataError(f"the augmentation returns a {kind}: it has to return the images alone")


def check_generator(generator: Any) -> None:
    """Raise DataError for what is no generator of the CPU."""
    if generator is None:
        return
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise DataError(
            f"generator={shown(generator)}: give one of the CPU, torch.Generator().manual_seed(0)"
        )


def usable_device(device: Any) -> torch.device:
    """The device of this name; the CPU for None. Raises DataError where there is none such."""
    if device is None:
        return torch.device("cpu")
    # A name can be right, and this machine have no such device.
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, TypeError, AssertionError) as problem:
        raise DataError(
            f"device={device!r} cannot be used here ({short_reason(problem)}): give 'cpu', or "
            "environment.pick_device()"
        ) from problem
    return found
