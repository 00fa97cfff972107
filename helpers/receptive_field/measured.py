"""The receptive field of a net, measured by gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from helpers.data.checks import image_shape, whole_numbers
from helpers.environment import CourseError, checked_seed, real_number, unknown, whole_number
from helpers.models import device_of
from helpers.receptive_field.copies import copy_of
from helpers.receptive_field.softmax import SoftmaxInputs
from helpers.receptive_field.spans import Pair
from helpers.receptive_field.tracing import one_line, run_net, trace

Box = tuple[int, int, int, int]  # first row, first column, last row, last column

# A sum of outputs that moves less than this share of a weighted sum is constant: rounding noise.
NOISE = 1e-5


@dataclass(frozen=True, eq=False)
class EffectiveReceptiveField:
    """What one output position sees of the image, as measured, and as the table has it."""

    # [H, W], the absolute gradient of each pixel: the sum over its colours, the mean over images.
    map: torch.Tensor
    layer: str  # the module whose output was measured; "" for the net
    position: tuple[int, int] | None  # row and column of the output; None for [N, K]
    box: Box | None  # by the table, also beyond the border; None where it does not know the layer
    threshold: float  # pixels above this share of the largest count as seen

    @property
    def seen(self) -> Box | None:
        """The box of the pixels above the threshold; None where there is no gradient."""
        rows, columns = torch.where(self.map > self.threshold * self.map.max())
        if len(rows) == 0:
            return None
        top, left = int(rows.min()), int(columns.min())
        bottom, right = int(rows.max()), int(columns.max())
        return top, left, bottom, right

    @property
    def extent(self) -> Pair:
        """Rows and columns of ``seen``."""
        if self.seen is None:
            return 0, 0
        top, left, bottom, right = self.seen
        return bottom - top + 1, right - left + 1


def effective_receptive_field(
    model: nn.Module,
    input_shape: Sequence[int],
    images: torch.Tensor | None = None,
    *,
    layer: str = "",
    position: Sequence[int] | np.ndarray | torch.Tensor | None = None,
    samples: int = 32,
    threshold: float = 0.0455,
    seed: int = 0,
) -> EffectiveReceptiveField:
    """How strongly each pixel of an image moves one output position: gradients, measured.

    Works on a copy of the net, in evaluation mode. Where the output is that of a softmax, which
    sums to one whatever the image is, the numbers before the softmax are measured.

    Args:
        model: the net.
        input_shape: that of an image, [C, H, W].
        images: [N, C, H, W], normalised as for training, to average over; noise unless given.
        layer: the name of a module whose output is measured; the net's own unless given.
        position: row and column of the output; the middle unless given. Of [N, K] all counts.
        samples: how many images of normal noise are drawn where no ``images`` are given.
        threshold: of the largest gradient, what counts as seen: from 0 to less than 1. The paper's
            is two standard deviations of a Gaussian: Luo, Li, Urtasun and Zemel, 2016.
        seed: of the noise.

    Raises ``CourseError`` for an unknown layer, an output that is no tensor [N, C, H, W] or [N, K]
    or that sums to a constant, a gradient that is not finite, and a position, a threshold, images,
    a number of samples or a seed that do not fit.
    """
    # What is measured, and on which images.
    shape = image_shape(input_shape)
    check_threshold(threshold)
    net = copy_of(model).float().requires_grad_(False)
    outputs = keep_outputs(net, layer)
    images = chosen_images(images, shape, samples, seed)
    device = device_of(net)

    # One image after the other: the gradient of a position's channels by the pixels.
    total = torch.zeros(shape[1:])
    for number, image in enumerate(images.float().split(1)):
        image = image.to(device).requires_grad_()
        # A net that is random in evaluation too leaves the random state as it was.
        with torch.enable_grad(), torch.random.fork_rng(enabled=device.type in ("cpu", "cuda")):
            output = output_for(net, image, outputs)
            check_output(output, layer)
            place = chosen_position(output, layer, position)
            channels = channels_at(output, place)
            if not channels.requires_grad:
                raise CourseError(f"{layer or 'the net'} has no gradient with respect to the image")
            # One image is enough to see that a sum is constant.
            if number == 0:
                check_sum_moves(channels, image, layer)
            gradient = torch.autograd.grad(channels.sum(), image)[0]
        check_finite(channels, gradient, layer)
        # Positive and negative gradients would cancel: their sizes are added, over channels too.
        total += gradient.abs().sum((0, 1)).cpu()

    return EffectiveReceptiveField(
        map=total / len(images),
        layer=layer,
        position=place,
        box=box_by_table(model, shape, layer, place),
        threshold=threshold,
    )


def check_threshold(threshold: float) -> None:
    """Refuse what is no share of the largest gradient."""
    share = real_number(threshold)
    if share is None or not 0 <= share < 1:
        raise CourseError(
            f"threshold={one_line(threshold)}: give a share of the largest gradient, "
            "from 0 to less than 1"
        )


def keep_outputs(net: nn.Module, layer: str) -> list[Any]:
    """Hang a hook on a module, and return the list that will hold what it gives."""
    # The net itself has the name "".
    names = dict(net.named_modules())
    if layer not in names:
        raise unknown("layer", layer, names)
    outputs = []

    def keep(module: nn.Module, given: Any, output: Any) -> None:
        # A copy: a later layer may write into this tensor.
        if isinstance(output, torch.Tensor):
            output = output.clone()
        outputs.append(output)

    names[layer].register_forward_hook(keep)
    return outputs


def chosen_images(
    images: torch.Tensor | None, shape: tuple[int, ...], samples: int, seed: int
) -> torch.Tensor:
    """The images given, where they fit the shape, or noise."""
    # Noise of its own generator: the same for the same seed, whatever was drawn before.
    if images is None:
        count = whole_number(samples, least=1)
        if count is None:
            raise CourseError(
                f"samples={one_line(samples)}: give a whole number of images to draw, at least 1"
            )
        generator = torch.Generator().manual_seed(checked_seed(seed))
        images = torch.randn(count, *shape, generator=generator)
    # Images that were given may be anything.
    wanted = f"images are [N, {', '.join(map(str, shape))}]"
    if not isinstance(images, torch.Tensor):
        raise CourseError(f"{wanted}, not {type(images).__name__}")
    if tuple(images.shape[1:]) != shape or len(images) == 0:
        raise CourseError(f"{wanted}, not {list(images.shape)}")
    return images


def output_for(net: nn.Module, image: torch.Tensor, outputs: list[Any]) -> Any:
    """What the net's kept layer gives for an image, before a softmax; None where it did not run."""
    # The layer may run several times: its last output counts.
    outputs.clear()
    softmax_inputs = SoftmaxInputs()
    with softmax_inputs:
        # A net may write into its input, which a leaf of the gradient does not bear.
        run_net(net, image.clone())
    if not outputs:
        return None
    return softmax_inputs.before_softmax(outputs[-1])


def check_output(output: Any, layer: str) -> None:
    """Refuse what is no tensor [N, C, H, W] or [N, K]."""
    found = f"a {type(output).__name__}"
    if isinstance(output, torch.Tensor):
        if output.dim() in (2, 4):
            return
        found = str(list(output.shape))
    raise CourseError(
        f"{layer or 'the net'} gives {found}, and one tensor [N, C, H, W] or [N, K] is needed: "
        "name a layer that gives one"
    )


def chosen_position(
    output: torch.Tensor,
    layer: str,
    position: Sequence[int] | np.ndarray | torch.Tensor | None,
) -> tuple[int, int] | None:
    """The position given, where the output has it, or the middle one; None for [N, K]."""
    if output.dim() == 2:
        return None
    # In the middle the border matters least.
    rows, columns = output.shape[2:]
    if position is None:
        return rows // 2, columns // 2
    # A place of the output: negative ones do not count from behind.
    place = whole_numbers(position, least=0)
    if place is not None and len(place) == 2:
        row, column = place
        if row < rows and column < columns:
            return row, column
    raise CourseError(
        f"position {one_line(position)} is outside the {rows}×{columns} positions (row, column) of "
        f"{layer or 'the net'}"
    )


def channels_at(output: torch.Tensor, position: tuple[int, int] | None) -> torch.Tensor:
    """The channels [N, C] of an output at a position; the output itself where it has none."""
    if position is None:
        return output
    row, column = position
    return output[:, :, row, column]


def check_sum_moves(channels: torch.Tensor, image: torch.Tensor, layer: str) -> None:
    """Refuse channels that move with the image while their sum does not."""
    # With a weight of its own for each channel, what cancels in the sum does not.
    weights = torch.linspace(1, 2, channels.shape[1], device=channels.device)
    plain = torch.autograd.grad(channels.sum(), image, retain_graph=True)[0]
    weighted = torch.autograd.grad((channels * weights).sum(), image, retain_graph=True)[0]
    largest = float(weighted.abs().max())
    if largest > 0 and float(plain.abs().max()) <= NOISE * largest:
        raise CourseError(
            f"what {layer or 'the net'} gives sums to a constant, as behind a softmax or a layer "
            "normalisation: name the layer before it"
        )


def check_finite(channels: torch.Tensor, gradient: torch.Tensor, layer: str) -> None:
    """Refuse a gradient that says nothing, as that of a net whose training diverged."""
    # A logit of minus infinity is a mask, and no fault of the net.
    if channels.isnan().any() or not gradient.isfinite().all():
        raise CourseError(
            f"what {layer or 'the net'} gives, or its gradient, is not finite: "
            "the weights or the images hold NaN or too large numbers"
        )


def box_by_table(
    model: nn.Module, input_shape: Sequence[int], layer: str, position: tuple[int, int] | None
) -> Box | None:
    """What a layer's position can see by the table; None where the table does not know it."""
    # A net that the table does not understand can be measured all the same.
    try:
        _, views = trace(model, input_shape)
    except CourseError:
        return None
    view = views.get(layer)
    if view is None:
        return None
    # Without positions, all that the layer sees.
    rows, columns = view.together
    if position is not None:
        rows = view.axes[0].bounds(position[0])
        columns = view.axes[1].bounds(position[1])
    # From a pair for each axis to the corners, as plain ints.
    top, bottom = map(int, rows)
    left, right = map(int, columns)
    return top, left, bottom, right
