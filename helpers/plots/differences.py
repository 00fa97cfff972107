"""Differences with their intervals, one below the other, and a line at zero."""

from collections.abc import Mapping

from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.intervals import Interval
from helpers.plots.seeds import require_finite
from helpers.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    SMALL,
    label_axes,
    number_array,
    one_axes,
    require,
)


def plot_differences(
    intervals: Mapping[str, Interval], xlabel: str = "", ax: Axes | None = None
) -> Axes:
    """A row for each difference: its estimate, its 95 % interval, and a line at zero.

    intervals: name to interval, the first one on top; those that do not hold zero are drawn in
        another colour, with filled marks
    xlabel: what the differences are, with their unit

    Raises ``CourseError`` where there is none, and for a number that is not finite.
    """
    require(intervals, Mapping, "plot_differences")
    if not intervals:
        raise CourseError("there is no difference to plot: give a name and its interval")
    ax = one_axes(ax, 9, 1.6 + 0.36 * len(intervals))

    # From top to bottom in their order, as a table has them.
    for place, (name, interval) in enumerate(intervals.items()):
        require_finite(number_array(interval, f"the interval of {name}"), f"the interval of {name}")
        draw_interval(ax, place, Interval(*interval))
    ax.axvline(0, color=GREY, linestyle="--")
    ax.set_yticks(range(len(intervals)), list(intervals), fontsize=SMALL)
    ax.set_ylim(len(intervals) - 0.5, -0.5)
    return label_axes(ax, "Differences with their 95 % intervals", xlabel, "", grid="x")


def draw_interval(ax: Axes, place: int, interval: Interval) -> None:
    """One row: filled and blue where the sign is decided, hollow and orange where it is not."""
    color, face, label = ORANGE, "white", "undecided"
    if interval.decided:
        color, face, label = BLUE, BLUE, "decided"
    reach = [[interval.estimate - interval.low], [interval.high - interval.estimate]]
    ax.errorbar(
        interval.estimate,
        place,
        xerr=reach,
        fmt="o",
        color=color,
        markerfacecolor=face,
        markersize=8,
        capsize=5,
        elinewidth=2,
        label=label,
    )
