"""The receptive field of a net, measured by gradient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from helpers.environment import CourseError, unknown
from helpers.receptive_field.operations import HANDLERS
from helpers.receptive_field.spans import Pair
from helpers.receptive_field.tracing import copied, image_shape, run, trace


@dataclass(frozen=True, eq=False)
class EffectiveReceptiveField:
    """``map``: mean absolute gradient of one output position over the image, [H, W]; ``layer`` and ``position`` of it.

    ``box``: first row, first column, last row and last column that the position can see by the table, also beyond the
    border; None where the table does not know the layer. Pixels above ``threshold`` times the largest count as seen.
    """

    map: torch.Tensor
    layer: str
    position: tuple[int, int] | None
    box: tuple[int, int, int, int] | None
    threshold: float

    @property
    def seen(self) -> tuple[int, int, int, int] | None:
        """First row, first column, last row, last column above the threshold; None where there is no gradient."""
        rows, columns = torch.where(self.map > self.threshold * self.map.max())
        return (
            (int(rows.min()), int(columns.min()), int(rows.max()), int(columns.max()))
            if len(rows)
            else None
        )

    @property
    def extent(self) -> Pair:
        """Rows and columns of ``seen``."""
        top, left, bottom, right = self.seen or (0, 0, -1, -1)
        return bottom - top + 1, right - left + 1


def effective_receptive_field(
    model: nn.Module,
    input_shape: Sequence[int],
    images: torch.Tensor | None = None,
    *,
    layer: str = "",
    position: tuple[int, int] | None = None,
    samples: int = 32,
    threshold: float = 0.0455,
    seed: int = 0,
) -> EffectiveReceptiveField:
    """How strongly each pixel of an image of ``input_shape`` [C, H, W] moves one output position: gradients, measured.

    Averages over ``images`` [N, C, H, W], normalised as for training, or over ``samples`` images of normal noise.
    ``layer`` names a module, else the net's output is taken; ``position`` (row, column) is the middle one unless given,
    and all of an output [N, K] counts. The default ``threshold`` is the paper's: two standard deviations of a Gaussian.
    Works on a copy, in evaluation mode. Raises ``CourseError`` for an unknown layer, an output that is no tensor
    [N, C, H, W] or [N, K], and a position or images that do not fit.
    """
    shape, net, outputs = image_shape(input_shape), copied(model).float().requires_grad_(False), []
    if layer not in dict(net.named_modules()):
        raise unknown("layer", layer, dict(net.named_modules()))
    net.get_submodule(layer).register_forward_hook(
        lambda _, __, output: outputs.append(  # before in-place operations
            output.clone() if isinstance(output, torch.Tensor) else output
        )
    )
    device = next(
        (tensor.device for tensor in (*net.parameters(), *net.buffers())), torch.device("cpu")
    )
    if images is None:
        images = torch.randn(max(0, samples), *shape, generator=torch.Generator().manual_seed(seed))
    if not isinstance(images, torch.Tensor) or tuple(images.shape[1:]) != shape or not len(images):
        told = list(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
        raise CourseError(f"images are [N, {', '.join(map(str, shape))}], not {told}")
    total, value, place = torch.zeros(shape[1:]), None, None
    for image in images.float().split(1):
        outputs.clear()
        image = image.to(device).requires_grad_()
        with torch.enable_grad(), torch.random.fork_rng(enabled=device.type in ("cpu", "cuda")):
            run(net, image.clone())
            value, place = _at(outputs[-1] if outputs else None, layer, position)
            if not value.requires_grad:
                raise CourseError(f"{layer or 'the net'} has no gradient with respect to the image")
            total += torch.autograd.grad(value, image)[0].abs().sum((0, 1)).cpu()
    return EffectiveReceptiveField(
        total / len(images), layer, place, _box(model, shape, layer, place), threshold
    )


def _at(
    output: Any, layer: str, position: tuple[int, int] | None
) -> tuple[torch.Tensor, tuple[int, int] | None]:
    """The sum over channels of what a layer gives at a position, by default the middle one; of [N, K] of all."""
    if not isinstance(output, torch.Tensor) or output.dim() not in (2, 4):
        told = (
            list(output.shape) if isinstance(output, torch.Tensor) else f"a {type(output).__name__}"
        )
        raise CourseError(
            f"{layer or 'the net'} gives {told}, and one tensor [N, C, H, W] or [N, K] is needed: name a "
            "layer that gives one"
        )
    if output.dim() == 2:
        return output.sum(), None
    sizes = tuple(output.shape[2:])
    position = position or tuple(size // 2 for size in sizes)
    if not (
        isinstance(position, tuple)
        and len(position) == 2
        and all(
            isinstance(place, int) and 0 <= place < size for place, size in zip(position, sizes)
        )
    ):
        raise CourseError(
            f"position {position} is outside the {sizes[0]}×{sizes[1]} positions (row, column) of "
            f"{layer or 'the net'}"
        )
    return output[:, :, position[0], position[1]].sum(), position


def _box(
    model: nn.Module, input_shape: Sequence[int], layer: str, position: tuple[int, int] | None
) -> tuple[int, int, int, int] | None:
    try:
        steps, views = trace(model, input_shape, HANDLERS)
    except CourseError:
        return None
    view, made = views.get(layer), {step.name: step for step in steps}
    if view is None:
        return None
    while (
        view.flat and view.source in made and made[view.source].before.flat
    ):  # through linear layers, which mix all
        view = made[view.source].before
    bounds = [
        (axis.bounds(place)[0], axis.bounds(last)[1])
        for axis, place, last in zip(
            view.axes, position or (0, 0), position or [axis.size - 1 for axis in view.axes]
        )
    ]
    return tuple(math.floor(bound[end]) for end in (0, 1) for bound in bounds)
