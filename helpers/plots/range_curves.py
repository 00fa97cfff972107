"""The parts of a range test's picture: its curve, the rates that are read off it, and their names.

The names stand above the axes, each left of its line and one row higher than that of the next lower
rate, so that no line leads through a name, and none leaves the axes at the right.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.lr_finder import LRRangeTest
from helpers.lr_finder.answers import RangeAnswer, median_rate
from helpers.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SMALL

ROW = 15  # points: the height of a row of names above the axes
FREE = 4  # points between a line and its name


class Mark(NamedTuple):
    """A rate with a line, and a name left of it, in a row from 0 upwards."""

    rate: float
    name: str
    color: str
    style: str
    row: int


def answer_of(test: LRRangeTest) -> RangeAnswer | None:
    """The answer of a range test, or None: a curve without one is drawn as well."""
    try:
        return test.answer()
    except CourseError:
        return None


def end_of(test: LRRangeTest) -> float | None:
    """The rate at which a test was ended, the median of its orders; None where none was."""
    ends = []
    for curve in test.curves:
        count = curve.shape[1]
        if count < len(test.rates):
            ends.append(float(test.rates[count - 1]))
    if not ends:
        return None
    return median_rate(ends)


def marks_of(test: LRRangeTest) -> list[Mark]:
    """The lines of a range test from the lowest rate to the highest, each in a higher row.

    They are where learning is under way, the recommended rate, the edge, and the end of the test
    where it came early.
    """
    rates = []
    answer = answer_of(test)
    if answer is not None:
        begins, edge, highest = answer
        rates = [
            (begins, f"learning under way {begins:.2g}", GREY, "--"),
            (highest, f"recommended {highest:.2g}", GREEN, "-"),
            (edge, f"edge {edge:.2g}", ORANGE, "-"),
        ]
    end = end_of(test)
    if end is not None:
        # The median of the edges is never above that of the ends, unless orders have no answer.
        if answer is not None:
            end = max(end, answer.edge)
        rates.append((end, f"test ended at {end:.2g}", RED, ":"))
    # A recommended rate may lie below the one where learning is under way.
    marks = []
    for row, (rate, name, color, style) in enumerate(sorted(rates, key=lambda each: each[0])):
        marks.append(Mark(rate, name, color, style, row))
    return marks


def draw_curve(ax: Axes, test: LRRangeTest) -> None:
    """The losses of the batches, the smoothed loss and the band of the orders; their legend."""
    # What was measured lies behind, in grey; what is read is the smoothed curve.
    handles: list[Any] = []
    orders = len(test.curves)
    words = "loss of each batch"
    if orders > 1:
        words += f", mean of {orders} orders"
    handles += ax.plot(test.lrs, test.losses, color=GREY, linewidth=0.8, label=words)
    handles += ax.plot(test.lrs, test.smoothed, color=BLUE, linewidth=2.5, label="smoothed loss")

    # Several orders of the same data show how much of a curve is chance.
    if orders > 1:
        low, high = test.band
        label = f"lowest to highest of {orders} orders"
        band = ax.fill_between(test.lrs, low, high, color=BLUE, alpha=0.2, linewidth=0, label=label)
        handles.append(band)
        draw_ends(ax, test)

    # Rates were raised by the same factor at each step: a logarithmic axis spaces them evenly.
    ax.set_xscale("log")
    show_fall(ax, test)
    place: dict[str, Any] = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, -0.16),
        "ncols": len(handles),
    }
    ax.legend(handles=handles, fontsize=SMALL, frameon=False, **place)


def draw_ends(ax: Axes, test: LRRangeTest) -> None:
    """A thin line for each order that goes on behind the mean, which ends with the first."""
    start = len(test.lrs) - 1
    for _, smoothed in test.curves:
        rates = test.rates[start : len(smoothed)]
        ax.plot(rates, smoothed[start:], color=BLUE, linewidth=0.9, alpha=0.8)


def show_fall(ax: Axes, test: LRRangeTest) -> None:
    """Let the loss from the first to the lowest fill the axes, and as much of the rise as fits."""
    smoothed = test.smoothed
    finite = np.isfinite(smoothed)
    if not finite.all():
        step = int(finite.argmin())
        raise CourseError(f"the smoothed loss of step {step} is {smoothed[step]}: give finite ones")

    # From the highest point before the lowest one; what comes far above it after that diverges.
    lowest = smoothed.argmin()
    low = min(float(curve[1].min()) for curve in test.curves)
    high = smoothed[: lowest + 1].max()

    # A curve that never falls sets its own scale, a constant one gets some.
    fall = high - low
    if fall == 0:
        fall = float(np.ptp(smoothed))
    if fall == 0:
        fall = 4
    ax.set_ylim(low - 0.1 * fall, high + 0.2 * fall)


def draw_marks(ax: Axes, marks: Sequence[Mark], name: bool = True) -> None:
    """A line through the axes for each mark, and its name above them."""
    across = ax.get_xaxis_transform()  # x is a rate, y a share of the height
    for mark in marks:
        look: dict[str, Any] = {"color": mark.color, "linestyle": mark.style, "linewidth": 2}
        ax.axvline(mark.rate, label=mark.name, **look)
        if not name:
            continue
        # The text is where the line would end, if it went on up to the row.
        height = FREE + ROW * mark.row
        ax.annotate(
            mark.name,
            xy=(mark.rate, 1),
            xycoords=across,
            xytext=(-FREE, height),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=SMALL,
        )
        lead: dict[str, Any] = {
            "arrowstyle": "-",
            "color": mark.color,
            "linestyle": mark.style,
            "linewidth": 2,
        }
        top = (0, height + ROW - FREE)
        ends: dict[str, Any] = {"xy": (mark.rate, 1), "xycoords": across, "xytext": top}
        ax.annotate(
            "", textcoords="offset points", arrowprops=lead | {"shrinkA": 0, "shrinkB": 0}, **ends
        )


def room_for(marks: Sequence[Mark]) -> float:
    """How far above the axes a title has to stand, in points, to be above all names."""
    rows = 0
    for mark in marks:
        rows = max(rows, mark.row + 1)
    return FREE + ROW * rows + FREE


def draw_suggestions(ax: Axes, test: LRRangeTest, rules: Sequence[str]) -> None:
    """A dot on the smoothed curve for what each of fastai's rules suggests, and their legend."""
    # Each dot is smaller than the one before: where they meet, rings are seen.
    looks = ((ORANGE, 16), (RED, 13), (GREEN, 10), (PURPLE, 7))
    dots = []
    for number, rule in enumerate(rules):
        color, size = looks[number % len(looks)]
        try:
            rate = test.suggest(rule)
        except CourseError:
            continue  # the curve never falls, or is too short for this rule
        # The curve is straight between its points, on the logarithmic axis.
        height = np.interp(np.log(rate), np.log(test.lrs), test.smoothed)
        dots += ax.plot(rate, height, "o", color=color, ms=size, label=f"{rule} {rate:.2g}")

    # Beside the axes, where no curve is; the first legend stays where it is.
    first = ax.get_legend()
    beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
    ax.legend(handles=dots, fontsize=SMALL, **beside)
    if first is not None:
        ax.add_artist(first)
        first.set_clip_on(False)  # it stands below the axes
