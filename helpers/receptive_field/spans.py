"""What the positions of a tensor see of the image, along rows and along columns."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

Pair = tuple[Any, Any]


class Path(NamedTuple):
    """Position i sees the pixels from ``low + i * jump`` to ``high + i * jump``, counted from 0 and beyond the border.

    ``least`` is the extent of the smallest path alone.
    """

    jump: Fraction
    low: Fraction
    high: Fraction
    least: Fraction

    @property
    def centre(self) -> Fraction:
        """The middle of what position 0 sees; that of the first pixel is 0.5."""
        return (self.low + self.high + 1) / 2


@dataclass(frozen=True)
class Axis:
    """Rows or columns of a tensor: ``size`` positions, and for every jump that paths to it have the union of those.

    ``whole``: all positions were once pooled into one; ``even``: windows on the way were equally large and far apart.
    """

    size: int
    paths: tuple[Path, ...] = (Path(*map(Fraction, (1, 0, 0, 1))),)
    whole: bool = False
    even: bool = True

    def window(self, size: int, before: int, extent: int, stride: Fraction | int) -> Axis:
        """The axis of ``size`` windows of ``extent`` positions over this one, the first beginning ``before`` ahead."""
        return Axis(
            size,
            tuple(
                Path(
                    jump * stride,
                    low - before * jump,
                    high + (extent - 1 - before) * jump,
                    least + (extent - 1) * jump,
                )
                for jump, low, high, least in self.paths
            ),
            self.whole or size == 1 and extent >= self.size > 1,
            self.even,
        )

    def join(self, other: Axis) -> Axis:
        """The union of the paths of two tensors that are summed or concatenated."""
        joined = {path.jump: path for path in self.paths}
        for path in other.paths:
            mine = joined.get(path.jump, path)
            joined[path.jump] = Path(
                path.jump,
                min(mine.low, path.low),
                max(mine.high, path.high),
                min(mine.least, path.least),
            )
        return Axis(
            self.size, tuple(joined.values()), self.whole and other.whole, self.even and other.even
        )

    def bounds(self, position: int) -> Pair:
        """The first and the last pixel that a position sees."""
        return (
            min(path.low + position * path.jump for path in self.paths),
            max(path.high + position * path.jump for path in self.paths),
        )

    @property
    def extent(self) -> Fraction:
        """Most pixels that a position sees; the first or the last one does, because the hull of lines is convex."""
        return max(high - low + 1 for low, high in map(self.bounds, (0, self.size - 1)))


class View(NamedTuple):
    """What a tensor's positions see by rows and columns; ``flat`` once those are gone; ``source`` names its layer."""

    axes: tuple[Axis, Axis]
    flat: bool
    source: str
