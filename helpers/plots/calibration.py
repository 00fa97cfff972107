"""Accuracy against confidence: whether a net's probabilities are what they say."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.interpret.calibration import ConfidenceBin, expected_calibration_error
from helpers.plots.style import BLUE, GREY, SMALL, label_axes, one_axes, with_note


def plot_calibration(bins: Sequence[ConfidenceBin], ax: Axes | None = None, note: str = "") -> Axes:
    """A dot for each bin with images, with its 95 % Wilson interval.

    Below the axis stand the bin, how many images it has, and its part of the expected error, in
    points. On the dashed line accuracy equals confidence. A dot stands at the mean confidence of
    its bin, between two faint lines at the bin's borders. Empty bins at the left end are left out,
    which the label of the axis says. ``note`` is that of the data. Raises ``CourseError`` where no
    bin has an image.
    """
    filled = [row for row in bins if row.count > 0]
    if not filled:
        raise CourseError("plot_calibration: no bin has an image: give predictions of one at least")
    ax = one_axes(ax, 9, 3.8)
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=1.5, linestyle="--", label="calibrated")
    first = min(row.floor for row in filled)
    shown = [row for row in bins if row.floor >= first]
    draw_borders(ax, shown)

    draw_accuracies(ax, filled)

    name_bins(ax, shown, sum(row.count for row in bins))
    name_rows(ax, "bin (%)", "pictures", "error part")
    ax.set_xlim(first - 2, 102)
    ax.set_ylim(0, 103)
    ax.legend(fontsize=SMALL, loc="lower right")
    error = expected_calibration_error(bins)
    title = with_note(f"Expected calibration error: {error:.2f} points", note)
    xlabel = "bins of the answer's probability, and each one's part of the error (points)"
    if first > 0:
        xlabel += f"\n(no picture below {first:.0f} %)"
    return label_axes(ax, title, xlabel, "accuracy (%)", grid="y")


def draw_accuracies(ax: Axes, bins: Sequence[ConfidenceBin]) -> None:
    """A dot for each bin, with its interval."""
    places = np.array([row.confidence for row in bins])
    heights = np.array([row.accuracy for row in bins])
    # Intervals are not centred, so both ends are given.
    below = heights - [row.low for row in bins]
    above = [row.high for row in bins] - heights
    ax.errorbar(
        places,
        heights,
        (below, above),
        fmt="o",
        color=BLUE,
        markersize=8,
        capsize=5,
        elinewidth=2,
        label="accuracy, with 95 % Wilson interval",
    )


def name_bins(ax: Axes, bins: Sequence[ConfidenceBin], total: int) -> None:
    """The range, count and part of each bin below the axis, where nothing else is drawn.

    total: images in all bins
    """
    middles, names = [], []
    for row in bins:
        middles.append((row.floor + row.ceiling) / 2)
        # An empty bin has no gap, and no part in the error.
        part = "–"
        if row.count > 0:
            part = f"{row.count / total * abs(row.accuracy - row.confidence):.3f}"
        names.append(f"{row.floor:.0f}–{row.ceiling:.0f}\n{row.count:,}\n{part}")
    ax.set_xticks(middles, names)


def name_rows(ax: Axes, *names: str) -> None:
    """What the rows of numbers below the axis are, at their left end."""
    ax.annotate(
        "\n".join(names),
        xy=(0, 0),
        xycoords="axes fraction",
        xytext=(-4, -7),  # as far below the axis as the numbers
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=SMALL,
    )


def draw_borders(ax: Axes, bins: Sequence[ConfidenceBin]) -> None:
    """A faint line at each border of these bins, behind everything else."""
    borders = {row.floor for row in bins} | {row.ceiling for row in bins}
    # A dot is seldom in the middle of its bin, where the count stands.
    for border in sorted(borders):
        ax.axvline(border, color=GREY, linewidth=0.6, alpha=0.4, zorder=0)
