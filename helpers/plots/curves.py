"""Test accuracy by epoch: several recipes in one picture, beside what a report printed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.plots.charts import Run, epoch_values, listed_runs
from helpers.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SMALL,
    label_axes,
    number_array,
    one_axes,
    require,
)

COLORS = (BLUE, ORANGE, GREEN, PURPLE)
MOST_LINES = 5  # seeds with a line of their own: more of them would be a thicket


def plot_test_curves(
    curves: Mapping[str, Sequence[Run]],
    others: Mapping[str, Sequence[float]] | None = None,
    target: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Test accuracy in percent after every epoch: a thin line a seed, a thick one their mean.

    Of more than ``MOST_LINES`` seeds a band from the lowest to the highest is drawn instead of
    their lines. The first curve is dashed and lies on top, so that another one that runs the same
    way is seen below it. Beside the last epoch a dot shows where each seed ends.

    curves: name to the histories of its seeds (``training.History``), four names at most
    others: name to what others printed after each epoch, hollow diamonds
    target: an accuracy drawn as a line

    The last two thirds of the epochs set the scale: the first ones may lie outside. Raises
    ``CourseError`` without a curve, for more than four, without an epoch, and for numbers that are
    not finite.
    """
    require(curves, Mapping, "plot_test_curves")
    if not 1 <= len(curves) <= len(COLORS):
        raise CourseError(f"plot_test_curves: give one to {len(COLORS)} curves, not {len(curves)}")
    ax = one_axes(ax, 9, 5.2)

    drawn: list[np.ndarray] = []
    ends = []
    for (name, histories), color in zip(curves.items(), COLORS, strict=False):
        values = epoch_values(listed_runs(histories), "test_accuracy").T
        drawn += draw_curve(ax, name, values, color, on_top=not drawn)
        ends.append((values.shape[1], values[:, -1], color))
    draw_ends(ax, ends)
    for name, printed in (others or {}).items():
        drawn.append(draw_printed(ax, name, printed))
    if target is not None:
        ax.axhline(target, color=GREY, linestyle="--", label=f"target: {target:g} %")

    show_late_epochs(ax, drawn, target)
    # Every second epoch, the last one among them.
    last = max(map(len, drawn))
    ax.set_xticks(range(last, 0, -2))
    # Below the axes, where no curve is.
    ax.figure.legend(fontsize=SMALL, loc="outside lower center", ncols=2)
    title = (
        "Thin lines are seeds, a band is all of them, thick is their mean; a dot is a seed's end"
    )
    return label_axes(ax, title, "epoch", "test accuracy (%)")


def draw_curve(
    ax: Axes, name: str, values: np.ndarray, color: str, on_top: bool = False
) -> list[np.ndarray]:
    """The seeds [seeds, epochs] of one recipe and their mean; returns a row for each seed."""
    epochs = np.arange(1, values.shape[1] + 1)
    if not np.isfinite(values).all():
        raise CourseError(f"{name}: a test accuracy is not finite, so there is no mean to draw")

    # One seed alone is its own mean.
    if len(values) > MOST_LINES:
        lowest, highest = values.min(axis=0), values.max(axis=0)
        ax.fill_between(epochs, lowest, highest, color=color, alpha=0.15, linewidth=0)
    elif len(values) > 1:
        ax.plot(epochs, values.T, color=color, linewidth=0.8, alpha=0.45)

    # Through the gaps of a dashed line its twin is seen.
    label = f"{name} (n = {len(values)})"
    style: dict[str, Any] = {"color": color, "linewidth": 2.5, "label": label}
    if on_top:
        style |= {"linestyle": "--", "zorder": 3}
    ax.plot(epochs, values.mean(axis=0), **style)
    return list(values)


def draw_ends(ax: Axes, ends: Sequence[tuple[float, np.ndarray, str]]) -> None:
    """A dot where each seed ends, to the right of the last epoch, a column for each recipe.

    ends: for each recipe its last epoch, the accuracies [seeds], and its colour
    """
    # So far apart that dots do not touch, however many epochs the axis has
    apart = max(epoch for epoch, _, _ in ends) / 60
    for column, (epoch, accuracies, color) in enumerate(ends, 1):
        # A recipe that ends earlier has its dots there.
        place = np.full(len(accuracies), epoch + column * apart)
        ax.plot(place, accuracies, "o", color=color, markersize=5, alpha=0.8)


def draw_printed(ax: Axes, name: str, printed: Sequence[float]) -> np.ndarray:
    """What others printed after each epoch, hollow; returns it as an array."""
    values = number_array(printed, f"the accuracies of {name}")
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise CourseError(f"{name}: give a list of finite accuracies, one for each epoch")
    ax.plot(
        np.arange(1, len(values) + 1),
        values,
        "D",
        color=RED,
        markerfacecolor="none",
        markeredgewidth=1.5,
        label=name,
    )
    return values


def show_late_epochs(ax: Axes, rows: Sequence[np.ndarray], target: float | None) -> None:
    """Let all but the first third of the epochs set the scale, and the target be seen."""
    first = max(len(row) for row in rows) // 3
    shown = np.concatenate([row[first:] for row in rows])
    if target is not None:
        shown = np.append(shown, target)
    margin = 0.1 * np.ptp(shown) + 0.02
    ax.set_ylim(shown.min() - margin, shown.max() + margin)
