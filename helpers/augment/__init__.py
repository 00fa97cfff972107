"""Augmentation of whole batches: each image gets random numbers of its own, in one tensor step.

A transform is called as ``transform(images, generator=None)`` with float images [N, C, H, W] in
[0, 1], before they are normalised, and returns new ones of that kind. All its random numbers come
from ``generator`` (a CPU generator), or from torch's own state: drawn on the CPU, they are the same
on every device.

Two things a transform may have beside that. With ``wants_indices = True`` it is called as
``transform(images, generator, indices)``, where ``indices``, int64 [N], are the images' places in
their split. A method ``set_epoch(epoch)`` is called when an epoch begins; they count from 0.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

from helpers.augment.affine import RandomAffine
from helpers.augment.alternating import AlternatingFlip
from helpers.augment.pixels import ColorJitter, Cutout, RandomCrop, RandomHorizontalFlip
from helpers.data.checks import shown, transform_problem
from helpers.environment import CourseError, unknown


class Compose:
    """Apply ``transforms`` one after the other, all with random numbers of one generator.

    Raises ``CourseError`` for what cannot be called so, such as a list of them, or a transform of
    torchvision.
    """

    def __init__(self, *transforms: Callable[..., torch.Tensor]) -> None:
        for transform in transforms:
            problem = transform_problem(transform)
            if problem:
                raise CourseError(
                    f"Compose: {shown(transform)} {problem}: give Compose(one, another) of "
                    "transforms that are called as transform(images, generator)"
                )
        self.transforms = transforms

    @property
    def wants_indices(self) -> bool:
        """Whether one of the transforms asks for the images' places in their split."""
        return any(getattr(transform, "wants_indices", False) for transform in self.transforms)

    def __call__(
        self,
        images: torch.Tensor,
        generator: torch.Generator | None = None,
        indices: torch.Tensor | None = None,
    ) -> torch.Tensor:
        # Only a transform that asks for the places can be called with them.
        for transform in self.transforms:
            if getattr(transform, "wants_indices", False):
                images = transform(images, generator, indices)
            else:
                images = transform(images, generator)
        return images

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to every transform that wants to know it."""
        # Most transforms are the same in every epoch.
        for transform in self.transforms:
            if hasattr(transform, "set_epoch"):
                transform.set_epoch(epoch)


# The transforms that a recipe can name.
TRANSFORMS: dict[str, Callable[..., Any]] = {
    "RandomAffine": RandomAffine,
    "ColorJitter": ColorJitter,
    "RandomCrop": RandomCrop,
    "RandomHorizontalFlip": RandomHorizontalFlip,
    "AlternatingFlip": AlternatingFlip,
    "Cutout": Cutout,
}


def build(steps: Sequence[tuple[str, dict[str, Any]]]) -> Compose | None:
    """The transform that a recipe's ``(name, arguments)`` pairs describe; None for none.

    Raises ``CourseError`` for a name that is none of ``TRANSFORMS``, and for an argument that the
    transform does not have.
    """
    if not steps:
        return None
    transforms = []
    for name, arguments in steps:
        if name not in TRANSFORMS:
            raise unknown("transform", name, TRANSFORMS)
        transform = TRANSFORMS[name]

        # A misspelt argument would be Python's own error, without the right spelling.
        parameters = inspect.signature(transform).parameters
        for argument in arguments:
            if argument not in parameters:
                raise unknown(f"argument of {name}", argument, parameters)
        transforms.append(transform(**arguments))
    return Compose(*transforms)


# Report 004's training transforms in our kind: a rotation, an affine map, brightness, contrast.
# Ours are bilinear. The report's take the nearest pixel, shift by whole pixels, fill the rotation
# with 1 of 255 instead of 0, and change brightness and contrast in either order. It also names a
# saturation and a hue, which do nothing on grey. ``data.pil_loader`` runs it to the letter.
DOCUMENT_004 = (
    ("RandomAffine", {"degrees": 7}),
    ("RandomAffine", {"degrees": 7, "translate": [0.1, 0.1], "scale": [0.8, 1.2], "shear": 10}),
    ("ColorJitter", {"brightness": 0.4, "contrast": 0.4}),
)
