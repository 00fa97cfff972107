"""The receptive field of every layer, by formula: for a chain of layers, and for any net."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from helpers.environment import CourseError
from helpers.markdown import NOTHING, Table
from helpers.receptive_field.calls import Step, Window
from helpers.receptive_field.spans import Pair
from helpers.receptive_field.tracing import trace

# The columns of report 003's table, and what stands in them of a row.
DOCUMENT_003 = {
    "Layer": "title",
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


def recurrence(
    n: int, layers: Iterable[tuple[int, int, int, int]]
) -> Iterator[tuple[int, int, int, float]]:
    """The field of every layer of a chain: yields (n, jump, receptive_field, start) for each.

    n: positions along one side; at first the pixels of a square image
    layers: (kernel_size, stride, padding, dilation) of each
    jump: pixels of the image from one position to the next
    receptive_field: pixels along one side that a position sees
    start: centre of what the first position sees; that of the first pixel is 0.5

    Araujo, Norris and Sim, 2019. Raises ``CourseError`` for a window that does not fit into what it
    is laid on, and for a stride below 1.
    """
    jump, receptive_field, start = 1, 1, 0.5
    for kernel_size, stride, padding, dilation in layers:
        reach = dilation * (kernel_size - 1)  # from the first to the last position of a window
        check_window(n + 2 * padding, reach + 1, stride)
        n = (n + 2 * padding - reach - 1) // stride + 1  # windows that fit
        receptive_field += reach * jump  # the jump of the layer's input
        start += (reach / 2 - padding) * jump  # padding moves the first window back
        jump *= stride
        yield n, jump, receptive_field, start


def check_window(positions: int, width: int, stride: int) -> None:
    """Raise ``CourseError`` unless a window fits into so many positions, and moves on."""
    if width > positions:
        raise CourseError(
            f"recurrence: a window over {width} positions does not fit into {positions}: give a "
            "larger image or padding, or a smaller window"
        )
    if stride < 1:
        raise CourseError(f"recurrence: a stride is at least 1, not {stride}")


@dataclass(frozen=True)
class Row:
    """A layer. Sizes are ints, or (rows, columns) where the two are unequal."""

    name: str  # of the module, or of the function in it
    kind: str  # the class of the module, or the function

    # The window, in positions of the layer's input; None for a sum or a linear layer.
    kernel_size: Size
    stride: Size
    padding: Size
    dilation: Size

    # The positions, and the pixels between neighbours, which are negative behind a flip.
    n_in: Size
    n_out: Size
    jump_in: Size
    jump: Size

    # What a position sees, in pixels of the image.
    rf_in: Size
    rf: Size  # the extent of the union over all paths
    rf_min: Size  # that of the smallest path, by axis
    start: Size  # centre of what the first position sees; the first pixel's is 0.5
    note: str = ""  # a gate that was left out, and other things to know

    @property
    def title(self) -> str:
        """The layer's name; a mere number, as ``nn.Sequential`` gives it, follows the kind."""
        for letter in self.name:
            if letter.isalpha():
                return self.name
        return f"{self.kind} {self.name}"


class ReceptiveFieldTable(tuple[Row, ...]):
    """The rows of a net, in the order in which they ran.

    Prints as text, and shows itself as an HTML table in Jupyter.
    """

    def __getitem__(self, index: Any) -> Any:
        """A row; of a slice a table, which shows itself as the whole one does."""
        chosen = super().__getitem__(index)
        if isinstance(index, slice):
            return ReceptiveFieldTable(chosen)
        return chosen

    def _table(self) -> Table:
        """All fields of the rows; notes only where there is one."""
        names = [field.name for field in fields(Row)]
        # Most nets have nothing to note: an empty column would only cost space.
        if not any(row.note for row in self):
            names.remove("note")
        lines = []
        for row in self:
            lines.append([size_as_text(getattr(row, name)) for name in names])
        return Table(names, lines)

    def __repr__(self) -> str:
        return str(self._table())

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return self._table()._repr_html_()

    def markdown(self) -> str:
        """A Markdown table with the columns of report 003."""
        lines = []
        for row in self:
            lines.append([size_as_text(getattr(row, name)) for name in DOCUMENT_003.values()])
        return Table(list(DOCUMENT_003), lines).markdown()


def size_as_text(value: Any) -> str:
    """A field of a row as a table shows it: pairs as 2×3, a dash for None, 6 digits at most."""
    if value is None:
        return NOTHING
    if isinstance(value, tuple):
        return "×".join(map(size_as_text, value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def one_or_pair(values: Pair) -> Size:
    """One number where rows and columns agree, else a pair; ints where they are whole."""
    numbers = []
    for value in values:
        # Fractions come from adaptive pooling alone, as the mean distance of its windows.
        number = float(value)
        if number.is_integer():
            number = int(value)
        numbers.append(number)
    # Most layers are square: one number is easier to read than twice the same.
    rows, columns = numbers
    if rows == columns:
        return rows
    return rows, columns


def row_of(step: Step) -> Row:
    """The row of a layer that the image came through."""
    before, after = step.before, step.after
    rows, columns = after.axes
    return Row(
        name=step.name,
        kind=step.kind,
        # The window; a layer without one has a dash in these columns.
        kernel_size=window_size(step.window, "kernel_size"),
        stride=window_size(step.window, "stride"),
        padding=window_size(step.window, "padding"),
        dilation=window_size(step.window, "dilation"),
        # Positions and their distance, before and behind the layer.
        n_in=one_or_pair(before.sizes),
        n_out=one_or_pair(after.sizes),
        jump_in=one_or_pair(before.jumps),
        jump=one_or_pair(after.jumps),
        # What a position sees of the image.
        rf_in=one_or_pair(before.extents),
        rf=one_or_pair(after.extents),
        rf_min=one_or_pair((rows.least, columns.least)),
        start=one_or_pair((rows.start, columns.start)),
        note=step.note,
    )


def window_size(window: Window | None, name: str) -> Size:
    """A size of a window by its name; None where there is no window."""
    if window is None:
        return None
    return one_or_pair(getattr(window, name))


def receptive_field_table(model: nn.Module, input_shape: Sequence[int]) -> ReceptiveFieldTable:
    """The receptive field of every layer for images of ``input_shape`` [C, H, W].

    Exact for branches, slicing, flips, padding, pooling and functional calls, on any device, in any
    mode; the net is only read. Pointwise layers have no row. Along each axis a window gives what
    ``recurrence`` says. A gate, which pools the whole image, is named in the row's note and left
    out, and so are means and deviations of the whole image. After the image is flattened, rows
    repeat what the last layer of the image saw; where its positions have no common jump (several
    scales, uneven windows), they show what all see together.
    Raises ``CourseError`` for a shape that the net does not accept, a net without a window, and an
    operation that is not understood.
    """
    steps, _ = trace(model, input_shape)
    return ReceptiveFieldTable(map(row_of, steps))
