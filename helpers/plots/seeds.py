"""Accuracies over seeds: a mean with its deviation for every net, beside what others state."""

import operator
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.intervals import mean_interval, mean_sd
from helpers.plots.columns import (
    draw_seeds,
    draw_stated,
    label_columns,
    one_legend,
    widen,
)
from helpers.plots.style import (
    BLUE,
    GREY,
    RED,
    SMALL,
    label_axes,
    number_array,
    one_axes,
    require,
)

# The place of a net on the axis, its name and its accuracies
Mean = tuple[float, str, list[float]]
MARKERS = "Dsv^"  # of single results: diamonds, squares, triangles


def plot_accuracy(
    points: Mapping[str, tuple[float, Sequence[float] | Mapping[int, float]]],
    xlabel: str,
    target: float | None = None,
    others: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    ax: Axes | None = None,
    intervals: bool = False,
) -> Axes:
    """Accuracy in percent against a number of each net, mean ± standard deviation over seeds.

    points: name to (number, one accuracy for each seed, or a dictionary of them by seed); one seed
        has no deviation
    xlabel: what the number is
    target: an accuracy drawn as a line
    others: label to (number, accuracy) pairs of results that are no means over seeds, hollow
    ax: where to draw; a new figure unless given
    intervals: the bars are the 95 % intervals of the means, instead of deviations

    Raises ``CourseError`` where there is no net, for a net without an accuracy, and for a number
    that is not finite.
    """
    means, singles = checked_results(points, others or {}, target)
    # A legend below the axes needs some height.
    height = 4.6
    if singles:
        height = 5.5
    ax = one_axes(ax, 9, height)

    for number, (place, name, accuracies) in enumerate(means):
        above = is_named_above(number, means)
        draw_mean(ax, name, place, accuracies, above, half_width(accuracies, intervals))

    # What others state is marked otherwise: no mean, no deviation.
    for number, (label, pairs) in enumerate(singles.items()):
        draw_single_results(ax, label, pairs, MARKERS[number % len(MARKERS)])
    if target is not None:
        ax.axhline(target, color=GREY, linestyle="--", label=f"{target} %")
    if singles or target is not None:
        ax.legend(fontsize=SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.17))

    # Room for the names at the edges.
    ax.margins(x=0.15, y=0.15)
    title = "Last epoch, mean ± standard deviation over seeds"
    if intervals:
        title = "Last epoch: means over seeds with their 95 % intervals"
    return label_axes(ax, title, xlabel, "test accuracy (%)")


def checked_results(
    points: Mapping, others: Mapping, target: float | None
) -> tuple[list[tuple[float, str, list[float]]], dict[str, np.ndarray]]:
    """All that ``plot_accuracy`` draws: nets from left to right, and pairs [n, 2] by label.

    A net is (number, name, accuracies). Raises ``CourseError`` for what cannot be drawn.
    """
    require(points, Mapping, "plot_accuracy")
    require(others, Mapping, "plot_accuracy")
    if not points and not others:
        raise CourseError("there is no net to plot: give a name, its number and its accuracies")
    if target is not None:
        require_finite(number_array(target, "targets"), "the target")

    means = []
    for name, point in points.items():
        place, accuracies = number_and_accuracies(name, point)
        means.append((place, name, accuracies))
    # In the order of their numbers alone: those that share one stay as they were given.
    means.sort(key=operator.itemgetter(0))

    singles = {}
    for label, pairs in others.items():
        results = number_array(pairs, f"the results of {label}")
        if results.ndim != 2 or results.shape[1] != 2:
            raise CourseError(f"{label}: give pairs (number, accuracy), one for each result")
        require_finite(results, f"the results of {label}")
        singles[label] = results
    return means, singles


def number_and_accuracies(name: str, point: Sequence) -> tuple[float, list[float]]:
    """The number of a net and its accuracies over seeds; ``CourseError`` for anything else."""
    wrong = f"{name}: give (number, accuracies), with one accuracy for each seed"
    # Two accuracies alone look like a pair, too; but the second of a pair is a sequence.
    if not isinstance(point, tuple | list) or len(point) != 2:
        raise CourseError(wrong)
    place = number_array(point[0], f"the numbers of {name}")
    values = number_array(point[1], f"the accuracies of {name}")
    if place.ndim != 0 or values.ndim != 1:
        raise CourseError(wrong)
    require_finite(place, f"the number of {name}")

    return float(place), finite_accuracies(name, values)


def finite_accuracies(name: str, values: np.ndarray) -> list[float]:
    """Accuracies of [seeds] as a list; ``CourseError`` without one, and where one is not finite."""
    accuracies = values.tolist()
    if not accuracies or not np.isfinite(values).all():
        raise CourseError(
            f"{name} has the accuracies {accuracies}: give a finite one for each seed"
        )
    return accuracies


def require_finite(values: np.ndarray, name: str) -> None:
    """Raise a ``CourseError`` where a number is not finite, which matplotlib would leave out."""
    if not np.isfinite(values).all():
        raise CourseError(f"{name}: give finite numbers, not {values.tolist()}")


def is_named_above(number: int, means: list[Mean]) -> bool:
    """Whether a net's name stands above it: of two neighbours the better one has it there."""
    place, _, accuracies = means[number]
    nearest, highest = np.inf, -np.inf
    for other, _, values in means:
        distance = abs(other - place)
        if 0 < distance < nearest:
            nearest, highest = distance, fmean(values)

    # Of equally good ones every second.
    mean = fmean(accuracies)
    return mean > highest or (mean == highest and number % 2 == 0)


def half_width(accuracies: list[float], interval: bool) -> float:
    """How far a bar reaches from the mean: the deviation, or half the 95 % interval."""
    # With one seed there is neither: a dot without a line.
    if interval and len(accuracies) > 1:
        mean, _, high = mean_interval(accuracies)
        return high - mean
    return mean_sd(accuracies)[1]


def draw_mean(
    ax: Axes, name: str, place: float, accuracies: list[float], above: bool, half: float
) -> None:
    """A dot with its bar, and its name with the number of seeds above or below it."""
    mean = fmean(accuracies)
    ax.errorbar(
        place,
        mean,
        half,
        fmt="o",
        color=BLUE,
        markersize=8,
        capsize=5,
        elinewidth=2,
    )

    # The name stands clear of the line's end.
    side, anchor = -1, "top"
    if above:
        side, anchor = 1, "bottom"
    ax.annotate(
        f"{name}\nn = {len(accuracies)}",
        xy=(place, mean + side * half),
        xytext=(0, 7 * side),
        textcoords="offset points",
        fontsize=SMALL,
        ha="center",
        va=anchor,
    )


def draw_single_results(
    ax: Axes,
    label: str,
    pairs: np.ndarray,
    marker: str,
) -> None:
    """Hollow marks for results of one run, [n, 2], which no deviation belongs to."""
    ax.plot(
        pairs[:, 0],
        pairs[:, 1],
        marker,
        color=RED,
        markersize=8,
        markerfacecolor="none",
        markeredgewidth=2,
        label=label,
    )


def plot_seeds(
    rows: Mapping[str, Sequence[float] | Mapping[int, float]],
    target: float | None = None,
    others: Mapping[str, float] | None = None,
    xlabel: str = "",
    ax: Axes | None = None,
    stated: str = "stated elsewhere",
) -> Axes:
    """Accuracies in percent, a dot for each seed, beside their mean and its 95 % interval.

    rows: name to one accuracy for each seed, or a dictionary of them by seed; one seed has no
        interval
    target: an accuracy drawn as a line
    others: name to an accuracy that others state, a hollow diamond: beside the seeds of that name,
        or in a column of its own
    xlabel: what the names are
    ax: where to draw; a new figure unless given
    stated: what the legend calls the numbers of others

    The interval is Student's: mean ± t · s / √n. Raises ``CourseError`` where there is no row, for
    one without an accuracy, and for a number that is not finite.
    """
    accuracies, singles = checked_rows(rows, others or {}, target)
    ax = one_axes(ax, 9, 4.6)

    # A column for each name; those of others alone come last.
    columns = list(dict.fromkeys([*accuracies, *singles]))
    for place, name in enumerate(columns):
        if name in accuracies:
            draw_seeds(ax, place, accuracies[name])
        if name in singles:
            # Right of the seeds, or above its name where there are none.
            aside = 0.3 if name in accuracies else 0.0
            draw_stated(ax, place + aside, singles[name], stated)
    if target is not None:
        ax.axhline(target, color=GREY, linestyle="--", label=f"target: {target:g} %")

    # Names with the number of their seeds
    label_columns(ax, columns, accuracies)
    ax.set_xlim(-0.6, len(columns) - 0.4)
    widen(ax)
    one_legend(ax)
    # One seed alone has no mean, and no interval.
    title = "Last epoch: every seed"
    if max(map(len, accuracies.values()), default=0) > 1:
        title += ", and the mean with its 95 % interval"
    return label_axes(ax, title, xlabel, "test accuracy (%)", grid="y")


def checked_rows(
    rows: Mapping, others: Mapping, target: float | None
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """What ``plot_seeds`` draws: accuracies by name, and single ones of others by name."""
    require(rows, Mapping, "plot_seeds")
    require(others, Mapping, "plot_seeds")
    if not rows and not others:
        raise CourseError("there is no row to plot: give a name and its accuracies")
    if target is not None:
        require_finite(number_array(target, "targets"), "the target")

    accuracies = {}
    for name, given in rows.items():
        values = number_array(given, f"the accuracies of {name}")
        if values.ndim != 1:
            raise CourseError(f"{name}: give one accuracy for each seed, in a list or by seed")
        accuracies[name] = finite_accuracies(name, values)
    stated = {}
    for name, value in others.items():
        number = number_array(value, f"the result of {name}")
        require_finite(number, f"the result of {name}")
        if number.ndim != 0:
            raise CourseError(f"{name}: give one number for what others state")
        stated[name] = float(number)
    return accuracies, stated
