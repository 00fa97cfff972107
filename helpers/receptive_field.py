"""Receptive fields: by formula, layer by layer, for nets with branches; and measured, by gradient.

The receptive field of an output position is the set of input positions that can reach it. Araujo, Norris and Sim,
"Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019; for the measured one Luo, Li, Urtasun and
Zemel, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", 2016.
"""

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from helpers.environment import CourseError, unknown
from helpers.operations import HANDLERS
from helpers.tracing import Step, copied, image_shape, run, trace
from helpers.views import Pair

DOCUMENT_003 = {"Layer": "name", "receptive-field_in": "rf_in", "n_in": "n_in", "j_in": "jump_in", "stride": "stride",
                "padding": "padding", "kernel_size": "kernel_size", "receptive-field_out": "rf", "n_out": "n_out",
                "j_out": "jump"}
Size = Any  # int for square layers, else a pair (rows, columns)


@dataclass(frozen=True)
class Row:
    """A layer. Sizes are in positions of its input or in pixels of the image: ints, or (rows, columns) where unequal.

    ``n``: positions; ``jump``: pixels between neighbours; ``rf``: extent of the union over all paths, in pixels;
    ``rf_min``: that of the smallest path, by axis; ``start``: centre of what the first position sees, where the first
    pixel's is 0.5. A row without a window (a sum, a linear layer) has None for its first four sizes.
    """

    name: str
    kind: str
    kernel_size: Size
    stride: Size
    padding: Size
    dilation: Size
    n_in: Size
    n_out: Size
    jump_in: Size
    jump: Size
    rf_in: Size
    rf: Size
    rf_min: Size
    start: Size
    note: str = ""


class ReceptiveFieldTable(tuple[Row, ...]):
    """The rows of a net, in the order in which they ran. Prints as text, and as an HTML table in Jupyter."""

    def _cells(self) -> list[list[str]]:
        names = [field.name for field in fields(Row)][:None if any(row.note for row in self) else -1]
        return [names, *([_told(getattr(row, name)) for name in names] for row in self)]

    def __repr__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells)]
        return "\n".join("  ".join(cell.ljust(width) if left else cell.rjust(width) for cell, width, left in zip(
            line, widths, (name in ("name", "kind", "note") for name in cells[0]))).rstrip() for line in cells)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        lines = ["".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line)
                 for line, tag in zip(self._cells(), ["th", *["td"] * len(self)])]
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"

    def markdown(self) -> str:
        """A Markdown table with the columns of document 003."""
        rows = [[_told(getattr(row, name)) for name in DOCUMENT_003.values()] for row in self]
        for row, line in zip(self, rows):  # the numbers that nn.Sequential gives say nothing alone
            line[0] = line[0] if re.search("[a-z]", line[0]) else f"{row.kind} {line[0]}"
        return "\n".join(f"| {' | '.join(line)} |" for line in (DOCUMENT_003, ["---"] * len(DOCUMENT_003), *rows))


def _told(value: Any) -> str:
    if isinstance(value, tuple):
        return "×".join(map(_told, value))
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _size(values: Iterable[Any]) -> Size:
    """One number where both axes agree, else a pair; ints where they are whole."""
    numbers = tuple(int(value) if value == int(value) else float(value) for value in values)
    return numbers[0] if numbers[0] == numbers[1] else numbers


def _row(step: Step) -> Row:
    before, after = step.before.axes, step.after.axes
    window = map(_size, step.window) if step.window else [None] * 4
    measures = ((before, lambda axis: axis.size), (after, lambda axis: axis.size),
                (before, lambda axis: max(path.jump for path in axis.paths)),
                (after, lambda axis: max(path.jump for path in axis.paths)),
                (before, lambda axis: axis.extent), (after, lambda axis: axis.extent),
                (after, lambda axis: min(path.least for path in axis.paths)),
                (after, lambda axis: (sum(axis.bounds(0)) + 1) / 2))
    return Row(step.name, step.kind, *window, *(_size(map(measure, axes)) for axes, measure in measures), step.note)


def receptive_field_table(model: nn.Module, input_shape: Sequence[int]) -> ReceptiveFieldTable:
    """The receptive field of every layer for images of ``input_shape`` [C, H, W]; pointwise layers have no row.

    Exact for branches, slicing, padding, pooling and functional calls, on any device, in any mode; the net is only
    read. Along each axis a window of k positions with dilation d, stride s and padding p gives rf + d (k - 1) jump,
    jump · s and start + (d (k - 1) / 2 - p) jump. A gate, which pools the whole image, is named in the row's note and
    left out. After the image is flattened, rows repeat what the last layer of the image saw. Raises ``CourseError`` for
    a shape that the net does not accept, a net without a window, and an operation that is not understood.
    """
    return ReceptiveFieldTable(map(_row, trace(model, input_shape, HANDLERS)[0]))


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
        return (int(rows.min()), int(columns.min()), int(rows.max()), int(columns.max())) if len(rows) else None

    @property
    def extent(self) -> Pair:
        """Rows and columns of ``seen``."""
        top, left, bottom, right = self.seen or (0, 0, -1, -1)
        return bottom - top + 1, right - left + 1


def effective_receptive_field(model: nn.Module, input_shape: Sequence[int], images: torch.Tensor | None = None, *,
                              layer: str = "", position: tuple[int, int] | None = None, samples: int = 32,
                              threshold: float = 0.0455, seed: int = 0) -> EffectiveReceptiveField:
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
    net.get_submodule(layer).register_forward_hook(lambda _, __, output: outputs.append(  # before in-place operations
        output.clone() if isinstance(output, torch.Tensor) else output))
    device = next((tensor.device for tensor in (*net.parameters(), *net.buffers())), torch.device("cpu"))
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
    return EffectiveReceptiveField(total / len(images), layer, place, _box(model, shape, layer, place), threshold)


def _at(output: Any, layer: str, position: tuple[int, int] | None) -> tuple[torch.Tensor, tuple[int, int] | None]:
    """The sum over channels of what a layer gives at a position, by default the middle one; of [N, K] of all."""
    if not isinstance(output, torch.Tensor) or output.dim() not in (2, 4):
        told = list(output.shape) if isinstance(output, torch.Tensor) else f"a {type(output).__name__}"
        raise CourseError(f"{layer or 'the net'} gives {told}, and one tensor [N, C, H, W] or [N, K] is needed: name a "
                          "layer that gives one")
    if output.dim() == 2:
        return output.sum(), None
    sizes = tuple(output.shape[2:])
    position = position or tuple(size // 2 for size in sizes)
    if not (isinstance(position, tuple) and len(position) == 2 and all(
            isinstance(place, int) and 0 <= place < size for place, size in zip(position, sizes))):
        raise CourseError(f"position {position} is outside the {sizes[0]}×{sizes[1]} positions (row, column) of "
                          f"{layer or 'the net'}")
    return output[:, :, position[0], position[1]].sum(), position


def _box(model: nn.Module, input_shape: Sequence[int], layer: str,
         position: tuple[int, int] | None) -> tuple[int, int, int, int] | None:
    try:
        steps, views = trace(model, input_shape, HANDLERS)
    except CourseError:
        return None
    view, made = views.get(layer), {step.name: step for step in steps}
    if view is None:
        return None
    while view.flat and view.source in made and made[view.source].before.flat:  # through linear layers, which mix all
        view = made[view.source].before
    bounds = [(axis.bounds(place)[0], axis.bounds(last)[1]) for axis, place, last in zip(
        view.axes, position or (0, 0), position or [axis.size - 1 for axis in view.axes])]
    return tuple(math.floor(bound[end]) for end in (0, 1) for bound in bounds)
