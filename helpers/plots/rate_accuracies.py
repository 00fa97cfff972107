"""Accuracies of trainings at several rates, where some of them diverge: a panel of a figure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.plots.style import BLUE, GREY, RED, SMALL, number_array, require

LETTER = 6.5  # points, the width of a letter of 11 points: a guess that is rather too large
STRIP = 0.4  # of the height between the lowest and the highest accuracy that is shown
ABOVE, BELOW = 0.1, 0.04  # of that height: free above the best, and above the line of the strip
STRIP_TOP = (STRIP - BELOW) / (ABOVE + 1 + STRIP)  # where that line is, as a share of the axes


class Trained(NamedTuple):
    """What became of the seeds at one rate: finite accuracies, and how many diverged."""

    rate: float
    accuracies: tuple[float, ...]
    diverged: int

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))


def checked_rates(accuracies: Mapping[float, Any]) -> list[Trained]:
    """What became of every rate, from the lowest to the highest.

    Raises ``CourseError`` where there is no rate, for one that is not a finite number above 0, and
    for accuracies that are no percentages.
    """
    require(accuracies, Mapping, "plot_rates")
    if not accuracies:
        raise CourseError("there is no rate to plot: give rates, each with its accuracies")
    trained = []
    for rate, values in accuracies.items():
        number = number_array(rate, "rates")
        if number.ndim != 0 or not 0 < number < np.inf:
            raise CourseError(f"a learning rate is a finite number above 0, not {rate!r}")
        trained.append(Trained(float(number), *finite_and_diverged(rate, values)))
    return sorted(trained)


def finite_and_diverged(rate: object, values: Any) -> tuple[tuple[float, ...], int]:
    """The finite accuracies at a rate, and how many of its seeds diverged: None, nan, no seed."""
    given = number_array(values, f"the accuracies at {rate}")
    if given.ndim != 1:
        raise CourseError(f"the rate {rate}: give a list with one accuracy for each seed")
    finite = given[np.isfinite(given)]
    if ((finite < 0) | (finite > 100)).any():
        raise CourseError(f"the rate {rate}: accuracies are percentages, not {finite.tolist()}")
    # No accuracy at all is a training that had none.
    diverged = len(given) - len(finite)
    if len(given) == 0:
        diverged = 1
    return tuple(finite.tolist()), diverged


def floor_of(trained: Sequence[Trained], target: float | None) -> tuple[float, float]:
    """The lowest and the highest accuracy that the panel shows.

    Near the best one differences are what matters: a rate that is far worse would hide them. What
    lies below is named at the bottom instead.
    """
    means = [each.mean for each in trained if each.accuracies]
    highest = [max(each.accuracies) for each in trained if each.accuracies]
    if not means:
        return 0.0, 100.0
    best = max(highest)
    middle = float(np.median(means))
    span = max(4 * (max(means) - middle), 1.0)

    # All of them where they are close together.
    lowest = min(min(each.accuracies) for each in trained if each.accuracies)
    floor = max(lowest, best - span)
    if target is not None:
        floor, best = min(floor, target), max(best, target)
    return floor, max(best, floor + 0.2)


def draw_rates(ax: Axes, trained: Sequence[Trained], target: float | None) -> None:
    """A dot for each seed, a line through the means, and below a strip for what is not shown."""
    floor, best = floor_of(trained, target)
    height = best - floor
    bottom = floor - STRIP * height
    ax.set_xscale("log")
    ax.set_ylim(bottom, best + ABOVE * height)

    # The means, from the lowest rate to the highest; where seeds diverge there is none.
    means = []
    for each in trained:
        shown = [value for value in each.accuracies if value >= floor]
        ax.plot([each.rate] * len(shown), shown, "o", color=BLUE, ms=5, alpha=0.8)
        if each.accuracies and not each.diverged and each.mean >= floor:
            means.append((each.rate, each.mean))
        else:
            means.append((each.rate, np.nan))
    ax.plot(*zip(*means), color=BLUE, linewidth=2, label="mean over seeds")
    if target is not None:
        draw_target(ax, target)

    # The strip holds no accuracies, so the axis has no numbers there.
    ax.axhline(floor - BELOW * height, color=GREY, linewidth=0.8)
    ax.set_yticks([tick for tick in ax.get_yticks() if floor <= tick <= best + ABOVE * height])
    ax.set_ylim(bottom, best + ABOVE * height)
    draw_strip(ax, trained, floor, height)


def draw_target(ax: Axes, target: float) -> None:
    """A dashed line at an accuracy, with its name at the left, where rates are too low to learn."""
    words = f"target: {target:g} %"
    ax.axhline(target, color=GREY, linestyle="--", label=words)
    place: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
    ax.annotate(words, (0, target), (6, -3), va="top", fontsize=SMALL, **place)


def draw_strip(ax: Axes, trained: Sequence[Trained], floor: float, height: float) -> None:
    """A red cross for what diverged, a triangle for what lies lower, and words above them."""
    place = floor - (STRIP - 0.06) * height
    labels = []
    for each in trained:
        words = words_below(each, floor)
        if words:
            labels.append((each.rate, words))
        if each.diverged:
            ax.plot(each.rate, place, "x", color=RED, ms=9, mew=2.5)
        elif words:
            ax.plot(each.rate, place, "v", color=BLUE, ms=8)
    write_in_rows(ax, merged(labels), place)


def words_below(each: Trained, floor: float) -> str:
    """How many seeds at a rate diverged, and how many lie below the panel; empty where none do.

    A number of seeds is left out where it is all of them.
    """
    total = len(each.accuracies) + each.diverged
    low = [value for value in each.accuracies if value < floor]
    if each.diverged and low:
        # Whole percents, because these words are the longest.
        return f"{each.diverged} of {total} diverged, {len(low)} at {np.mean(low):.0f} %"
    if each.diverged == total:
        return "diverged"
    if each.diverged:
        return f"{each.diverged} of {total} diverged"
    if not low:
        return ""

    # A dot above shows what became of the other seeds.
    where = f"{np.mean(low):.3g} %"
    if len(low) == total:
        return where
    return f"{len(low)} of {total} at {where}"


def merged(labels: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Labels from left to right; the same word at neighbouring rates is written once, between."""
    groups: list[tuple[list[float], str]] = []
    for rate, words in labels:
        if groups and words == "diverged" == groups[-1][1]:
            groups[-1][0].append(rate)
        else:
            groups.append(([rate], words))
    between = []
    for rates, words in groups:
        between.append((float(np.sqrt(rates[0] * rates[-1])), words))
    return between


def write_in_rows(ax: Axes, labels: Sequence[tuple[float, str]], height: float) -> None:
    """Words above marks at one height, each in the lowest row where it touches no other."""
    ends: list[float] = []  # where each row is free from, in points
    to_points = 72 / ax.figure.dpi
    left, right = ax.bbox.x0 * to_points, ax.bbox.x1 * to_points
    for rate, words in labels:
        # Where the word would be, on the final axis of rates; beside its mark where it would stand
        # out of the axes.
        place = ax.transData.transform((rate, height))[0] * to_points
        half = LETTER * len(words) / 2
        middle = min(max(place, left + half), right - half)
        row = 0
        while row < len(ends) and ends[row] > middle - half:
            row += 1
        if row == len(ends):
            ends.append(0)
        ends[row] = middle + half
        # White behind it, because a line may lead through.
        behind: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        look: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": SMALL, "bbox": behind}
        above = (middle - place, 7 + 13 * row)
        ax.annotate(words, (rate, height), above, textcoords="offset points", **look)
