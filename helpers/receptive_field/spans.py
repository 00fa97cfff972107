"""What the positions of a tensor see of the image, along rows and along columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

Pair = tuple[Any, Any]  # a value for rows and a value for columns, or a first and a last pixel

# How the positions of a tensor lie in its shape.
IMAGE = "image"  # [..., rows, columns]
LINE = "line"  # [..., rows · columns], as flatten(2) leaves them
FLAT = "flat"  # mixed with the channels, as flatten(1) leaves them


@dataclass(frozen=True)
class Span:
    """What one path lets the positions of an axis see: a stretch of pixels that moves on.

    Position i sees the pixels from ``low + i * jump`` to ``high + i * jump``, counted from 0 and
    beyond the border too.
    """

    jump: Fraction  # pixels from a position to the next; negative behind a flip
    low: Fraction  # the first pixel of position 0
    high: Fraction  # the last pixel of position 0
    least: Fraction  # pixels that the smallest path alone sees, first to last

    @property
    def centre(self) -> Fraction:
        """The middle of what position 0 sees; that of the first pixel is 0.5."""
        return (self.low + self.high + 1) / 2

    def bounds(self, position: int) -> Pair:
        """The first and the last pixel that a position sees."""
        shift = position * self.jump
        return self.low + shift, self.high + shift

    def window(self, before: int, extent: int, stride: Fraction | int) -> Span:
        """What windows of ``extent`` positions see, the first beginning ``before`` ahead."""
        # Where the first window begins and ends; behind a flip it begins at its last pixel.
        begin = -before * self.jump
        end = (extent - 1 - before) * self.jump
        return Span(
            jump=self.jump * stride,
            low=self.low + min(begin, end),
            high=self.high + max(begin, end),
            least=self.least + (extent - 1) * abs(self.jump),
        )

    def flipped(self, size: int) -> Span:
        """The same with the first of ``size`` positions last."""
        # What was the last position is position 0, and from it the way leads back.
        low, high = self.bounds(size - 1)
        return Span(-self.jump, low, high, self.least)

    def union(self, other: Span) -> Span:
        """What two paths of the same jump see together."""
        return Span(
            jump=self.jump,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            least=min(self.least, other.least),
        )


# Before any layer, a position sees its own pixel.
PIXELS = Span(jump=Fraction(1), low=Fraction(0), high=Fraction(0), least=Fraction(1))


def hull(bounds: Sequence[Pair]) -> Pair:
    """The smallest stretch of pixels, as first and last, that holds all of these."""
    first = min(low for low, _ in bounds)
    last = max(high for _, high in bounds)
    return first, last


@dataclass(frozen=True)
class Axis:
    """The rows or the columns of a tensor, and what each position sees.

    Where windows on the way were not equally large and far apart, no span says it exactly:
    ``fields`` holds the first and the last pixel of each position. Else it is None.
    """

    size: int  # positions
    spans: tuple[Span, ...] = (PIXELS,)  # one for every jump that a path to here has
    whole: bool = False  # whether all positions were once pooled into one
    fields: tuple[Pair, ...] | None = None

    @property
    def even(self) -> bool:
        """Whether the windows on the way were equally large and far apart."""
        return self.fields is None

    @property
    def jump(self) -> Fraction:
        """The pixels between neighbours, on the path where they are farthest apart."""
        return max((span.jump for span in self.spans), key=abs)

    @property
    def least(self) -> Fraction:
        """The extent of the smallest path, in pixels."""
        return min(span.least for span in self.spans)

    @property
    def start(self) -> Fraction:
        """The centre of what the first position sees, where that of the first pixel is 0.5."""
        low, high = self.span_bounds(0)
        return (low + high + 1) / 2

    @property
    def extent(self) -> Fraction:
        """The most pixels that a position sees, first to last.

        The first or the last position does: the width of a union of spans is a convex function.
        """
        if self.fields is not None:
            return max(high - low + 1 for low, high in self.fields)
        first_low, first_high = self.bounds(0)
        last_low, last_high = self.bounds(self.size - 1)
        return max(first_high - first_low, last_high - last_low) + 1

    def span_bounds(self, position: int) -> Pair:
        """The first and the last pixel of a position by its spans, as if windows were even."""
        return hull([span.bounds(position) for span in self.spans])

    def bounds(self, position: int) -> Pair:
        """The first and the last pixel that a position sees."""
        if self.fields is not None:
            return self.fields[position]
        return self.span_bounds(position)

    @property
    def together(self) -> Pair:
        """The first and the last pixel that all positions see together."""
        if self.fields is not None:
            return hull(self.fields)
        return hull([self.bounds(0), self.bounds(self.size - 1)])

    def window(self, size: int, before: int, extent: int, stride: Fraction | int) -> Axis:
        """The axis of ``size`` windows of ``extent`` positions, the first ``before`` ahead."""
        spans = tuple(span.window(before, extent, stride) for span in self.spans)
        # A window of one position over one position pools nothing.
        takes_all = size == 1 and extent >= self.size > 1
        return Axis(size, spans, whole=self.whole or takes_all)

    def uneven_windows(self, windows: Sequence[tuple[int, int]]) -> Axis:
        """The axis of windows that are given by their first and last position."""
        fields = []
        for first, last in windows:
            fields.append(hull([self.bounds(first), self.bounds(last)]))
        # The spans of the largest window stand in the table, with the mean distance as jump.
        extent = max(last - first + 1 for first, last in windows)
        stride = Fraction(self.size, len(windows))
        axis = self.window(len(windows), 0, extent, stride)
        return replace(axis, fields=tuple(fields))

    def join(self, other: Axis) -> Axis:
        """The union of the paths of two tensors that are summed or concatenated."""
        # Paths of one jump stay beside each other, so that one span holds their union.
        by_jump = {span.jump: span for span in self.spans}
        for span in other.spans:
            mine = by_jump.get(span.jump, span)
            by_jump[span.jump] = mine.union(span)

        spans = tuple(by_jump.values())
        joined = Axis(self.size, spans, whole=self.whole and other.whole)
        if self.even and other.even:
            return joined

        # Where one of the two is uneven, so is the union.
        fields = []
        for position in range(self.size):
            fields.append(hull([self.bounds(position), other.bounds(position)]))
        return replace(joined, fields=tuple(fields))

    def flipped(self) -> Axis:
        """The axis with its first position last."""
        spans = tuple(span.flipped(self.size) for span in self.spans)
        fields = None
        if self.fields is not None:
            fields = self.fields[::-1]
        return replace(self, spans=spans, fields=fields)

    def collapsed(self, together: Pair | None = None) -> Axis:
        """One position that sees what all see together, or the first and the last pixel given."""
        low, high = together or self.together
        # As if a window over all positions had slid on by its own size.
        span = Span(abs(self.jump) * self.size, low, high, self.least)
        return Axis(1, (span,), whole=self.whole or self.size > 1)


@dataclass(frozen=True)
class View:
    """What a tensor's positions see by rows and columns.

    Behind a linear layer the axes keep what the last layer of the image saw, and ``mixed`` holds,
    by axis, the first and the last pixel of all that was mixed.
    """

    axes: tuple[Axis, Axis]  # rows, columns
    layout: str = IMAGE  # how the positions lie in the tensor's shape
    source: str = "image"  # the layer that made them
    mixed: tuple[Pair, Pair] | None = None

    @property
    def flat(self) -> bool:
        """Whether rows and columns are mixed with the channels."""
        return self.layout == FLAT

    @property
    def even(self) -> bool:
        """Whether the windows on the way were equally large and far apart, by both axes."""
        return self.axes[0].even and self.axes[1].even

    @property
    def sizes(self) -> Pair:
        """The number of rows and of columns."""
        return self.axes[0].size, self.axes[1].size

    @property
    def jumps(self) -> Pair:
        """The pixels between neighbours, by rows and by columns."""
        return self.axes[0].jump, self.axes[1].jump

    @property
    def extents(self) -> Pair:
        """The rows and the columns of the image that a position sees."""
        return self.axes[0].extent, self.axes[1].extent

    @property
    def together(self) -> tuple[Pair, Pair]:
        """By axis, the first and the last pixel that the whole tensor sees."""
        if self.mixed is not None:
            return self.mixed
        return self.axes[0].together, self.axes[1].together

    def collapsed(self) -> View:
        """One position that sees what the whole tensor sees."""
        rows, columns = self.axes
        row_bounds, column_bounds = self.together
        axes = rows.collapsed(row_bounds), columns.collapsed(column_bounds)
        return replace(self, axes=axes, mixed=None)
