"""Figures with seconds: what a training spends them on, and what accuracy they buy."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.plots.charts import Run, epoch_values, listed_runs
from helpers.plots.curves import COLORS
from helpers.plots.style import (
    BLUE,
    FONT,
    GREY,
    SMALL,
    label_axes,
    number_array,
    one_axes,
    require,
    with_note,
)


def plot_time_shares(seconds: Mapping[str, float], note: str = "", ax: Axes | None = None) -> Axes:
    """A bar for each kind of work: its share of the time in percent, the largest on top.

    seconds: name to time, in any unit
    note: that of the data, for the title

    Raises ``CourseError`` without a kind, where no time was spent at all, and for a time that is
    negative or not finite.
    """
    require(seconds, Mapping, "plot_time_shares")
    values = number_array(seconds, "times")
    if not len(values) or not np.isfinite(values).all() or (values < 0).any():
        raise CourseError("plot_time_shares: give each kind of work a finite time of at least 0")
    if values.sum() == 0:
        raise CourseError(
            "plot_time_shares: no time was spent at all, so there is nothing to share"
        )
    ax = one_axes(ax, 9, 1.4 + 0.4 * len(values))

    # The largest share stands on top, as in a ranking; equal ones keep their order.
    order = np.argsort(-values, kind="stable")
    names = [list(seconds)[place] for place in order]
    shares = 100 * values[order] / values.sum()
    places = range(len(shares))
    ax.barh(places, shares, color=BLUE, height=0.7)

    # The figure behind each bar: two short bars are hard to tell apart by eye.
    for place, share in zip(places, shares):
        ax.text(share + 1, place, f"{share:.1f} %", va="center", fontsize=FONT)
    ax.set_yticks(places, names)
    ax.set_ylim(len(shares) - 0.4, -0.6)
    # Room for the figure behind the longest one.
    ax.set_xlim(0, 1.15 * shares.max())
    title = with_note("Where the time of a training step goes", note)
    return label_axes(ax, title, "share of the time (%)", "", grid="x")


FAR_APART = 10.0  # times as long as another curve: no common scale of minutes from 0 shows both


def plot_accuracy_by_time(
    curves: Mapping[str, Sequence[Run]],
    target: float | None = None,
    note: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Test accuracy in percent against the minutes that were spent: a mark for every epoch.

    curves: name to the histories of its seeds (``training.History``), four names at most; a thin
        line is a seed
    target: an accuracy drawn as a line
    note: that of the data, for the title

    The minutes are those of training and measuring; they are on a logarithmic scale where one curve
    takes ten times as long as another. The later half of the epochs sets the scale of accuracies.
    Raises ``CourseError`` without a curve, for more than four, without an epoch, and
    for numbers that are not finite.
    """
    require(curves, Mapping, "plot_accuracy_by_time")
    if not 1 <= len(curves) <= len(COLORS):
        most = len(COLORS)
        raise CourseError(f"plot_accuracy_by_time: give one to {most} curves, not {len(curves)}")
    ax = one_axes(ax, 9, 5.2)

    # A colour for each recipe, in the order in which they are given.
    late, spent = [], []
    for (name, histories), color in zip(curves.items(), COLORS, strict=False):
        accuracies, minutes = draw_seeds_by_time(ax, name, listed_runs(histories), color)
        late.append(accuracies)
        spent.append(minutes)
    show_between(ax, np.concatenate(late), target)

    # A curve of seconds beside one of an hour would be a stroke at the left edge.
    if max(spent) >= FAR_APART * min(spent) > 0:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    else:
        ax.set_xlim(left=0)

    # Below the axes, where no curve is.
    ax.figure.legend(fontsize=SMALL, loc="outside lower center", ncols=2)
    title = with_note("Test accuracy by time: a line is a seed, a mark is an epoch", note)
    return label_axes(ax, title, "minutes of training and measuring", "test accuracy (%)")


def draw_seeds_by_time(
    ax: Axes, name: str, runs: Sequence[Run], color: str
) -> tuple[np.ndarray, float]:
    """A line for each seed of a recipe.

    Returns the accuracies of the later half of the epochs, and the minutes of the longest seed.
    """
    accuracies = epoch_values(runs, "test_accuracy")  # [epochs, seeds]
    minutes = epoch_values(runs, "seconds").cumsum(axis=0) / 60
    if not (np.isfinite(accuracies).all() and np.isfinite(minutes).all()):
        raise CourseError(f"{name}: an accuracy or a time is not finite")

    # One line in the legend stands for all seeds.
    label = f"{name} (n = {len(runs)})"
    for spent, reached in zip(minutes.T, accuracies.T):
        ax.plot(spent, reached, "o-", color=color, linewidth=1.2, markersize=4, label=label)
        label = "_"
    return accuracies[len(accuracies) // 2 :].ravel(), float(minutes[-1].max())


def show_between(ax: Axes, values: np.ndarray, target: float | None) -> None:
    """Let these accuracies, and the target if there is one, set the scale."""
    # The first epochs rise so steeply that all the rest would be flat.
    if target is not None:
        ax.axhline(target, color=GREY, linestyle="--", label=f"target: {target:g} %")
        values = np.append(values, target)
    # A constant needs some room, too.
    margin = max(0.08 * np.ptp(values), 0.1)
    ax.set_ylim(values.min() - margin, values.max() + margin)
