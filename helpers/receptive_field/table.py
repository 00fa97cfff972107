"""The receptive field of every layer, by formula, for nets with branches."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from helpers.receptive_field.operations import HANDLERS
from helpers.receptive_field.tracing import Step, trace

DOCUMENT_003 = {
    "Layer": "name",
    "receptive-field_in": "rf_in",
    "n_in": "n_in",
    "j_in": "jump_in",
    "stride": "stride",
    "padding": "padding",
    "kernel_size": "kernel_size",
    "receptive-field_out": "rf",
    "n_out": "n_out",
    "j_out": "jump",
}
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
        names = [field.name for field in fields(Row)][
            : None if any(row.note for row in self) else -1
        ]
        return [names, *([_told(getattr(row, name)) for name in names] for row in self)]

    def __repr__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(
                    line, widths, (name in ("name", "kind", "note") for name in cells[0])
                )
            ).rstrip()
            for line in cells
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        lines = [
            "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line)
            for line, tag in zip(self._cells(), ["th", *["td"] * len(self)])
        ]
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"

    def markdown(self) -> str:
        """A Markdown table with the columns of document 003."""
        rows = [[_told(getattr(row, name)) for name in DOCUMENT_003.values()] for row in self]
        for row, line in zip(self, rows):  # the numbers that nn.Sequential gives say nothing alone
            line[0] = line[0] if re.search("[a-z]", line[0]) else f"{row.kind} {line[0]}"
        return "\n".join(
            f"| {' | '.join(line)} |" for line in (DOCUMENT_003, ["---"] * len(DOCUMENT_003), *rows)
        )


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
    measures = (
        (before, lambda axis: axis.size),
        (after, lambda axis: axis.size),
        (before, lambda axis: max(path.jump for path in axis.paths)),
        (after, lambda axis: max(path.jump for path in axis.paths)),
        (before, lambda axis: axis.extent),
        (after, lambda axis: axis.extent),
        (after, lambda axis: min(path.least for path in axis.paths)),
        (after, lambda axis: (sum(axis.bounds(0)) + 1) / 2),
    )
    return Row(
        step.name,
        step.kind,
        *window,
        *(_size(map(measure, axes)) for axes, measure in measures),
        step.note,
    )


def receptive_field_table(model: nn.Module, input_shape: Sequence[int]) -> ReceptiveFieldTable:
    """The receptive field of every layer for images of ``input_shape`` [C, H, W]; pointwise layers have no row.

    Exact for branches, slicing, padding, pooling and functional calls, on any device, in any mode; the net is only
    read. Along each axis a window of k positions with dilation d, stride s and padding p gives rf + d (k - 1) jump,
    jump · s and start + (d (k - 1) / 2 - p) jump. A gate, which pools the whole image, is named in the row's note and
    left out. After the image is flattened, rows repeat what the last layer of the image saw. Raises ``CourseError`` for
    a shape that the net does not accept, a net without a window, and an operation that is not understood.
    """
    return ReceptiveFieldTable(map(_row, trace(model, input_shape, HANDLERS)[0]))
