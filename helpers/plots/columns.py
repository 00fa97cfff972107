"""The columns of ``plot_seeds``: dots, means with their intervals, names, and one legend."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from helpers.intervals import mean_interval
from helpers.plots.style import BLUE, ORANGE, RED, SMALL

# Percentage points that the axis of ``plot_seeds`` spans at least: differences far below the
# scatter of seeds would otherwise look large.
LEAST_SPAN = 0.4


def draw_seeds(ax: Axes, place: float, accuracies: list[float]) -> None:
    """A dot for each seed, left of the mean with its interval."""
    # Side by side in their order, so that equal ones are seen.
    offsets = np.zeros(1)
    if len(accuracies) > 1:
        offsets = np.linspace(-0.3, -0.05, len(accuracies))
    ax.plot(place + offsets, accuracies, "o", color=ORANGE, markersize=5, label="a seed")
    if len(accuracies) < 2:
        return

    mean, low, high = mean_interval(accuracies)
    ax.errorbar(
        place + 0.12,
        mean,
        [[mean - low], [high - mean]],
        fmt="o",
        color=BLUE,
        markersize=8,
        capsize=5,
        elinewidth=2,
        label="mean, 95 % interval",
    )


def draw_stated(ax: Axes, place: float, accuracy: float, label: str) -> None:
    """A hollow diamond for what others state; ``label`` says in the legend who does."""
    ax.plot(
        place,
        accuracy,
        "D",
        color=RED,
        markersize=8,
        markerfacecolor="none",
        markeredgewidth=2,
        label=label,
    )


def label_columns(ax: Axes, columns: list[str], accuracies: Mapping[str, list[float]]) -> None:
    """Names below their columns, on two or three lines, with the number of seeds."""
    # About ten letters of this size are an inch.
    width = max(7, 84 // len(columns))
    labels = []
    slanted = False
    for name in columns:
        lines = broken_name(name, width)
        slanted = slanted or max(map(len, lines)) > width
        if name in accuracies:
            lines.append(f"n = {len(accuracies[name])}")
        labels.append(lines)
    if not slanted:
        ax.set_xticks(range(len(columns)), ["\n".join(lines) for lines in labels])
        return

    # A word is longer than its column: names in one line, slanted, touch none beside them.
    words = []
    for name, lines in zip(columns, labels):
        count = ""
        if name in accuracies:
            count = f" ({lines[-1]})"
        words.append(f"{name}{count}")
    ax.set_xticks(range(len(columns)), words)
    for label in ax.get_xticklabels():
        label.set(rotation=35, ha="right", rotation_mode="anchor")


def broken_name(name: str, width: int) -> list[str]:
    """A name in lines of at most ``width`` letters, broken at spaces and behind hyphens."""
    # textwrap breaks at hyphens between letters alone, and not before the 5 of budget-5.
    lines = textwrap.wrap(str(name).replace("-", "- "), width, break_long_words=False)
    return [line.replace("- ", "-") for line in lines] or [""]


def widen(ax: Axes) -> None:
    """Let the axis of accuracies show all there is, and never less than ``LEAST_SPAN``."""
    ax.margins(y=0.08)
    ax.autoscale_view(scalex=False)
    low, high = ax.get_ylim()
    missing = LEAST_SPAN - (high - low)
    if missing > 0:
        ax.set_ylim(low - missing / 2, high + missing / 2)


def one_legend(ax: Axes) -> None:
    """A legend with one line for each kind of mark, below the axes."""
    handles, labels = ax.get_legend_handles_labels()
    kinds = dict(zip(labels, handles))
    ax.figure.legend(
        kinds.values(), kinds.keys(), fontsize=SMALL, loc="outside lower center", ncols=4
    )
