"""All pairs of nets: how often a fair coin divides two nets as unevenly as each pair is."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.interpret.pairs import ByLuck
from helpers.plots.style import (
    BLUE,
    GREY,
    RED,
    SMALL,
    label_axes,
    number_array,
    one_axes,
    whole_ticks,
    with_note,
)

LIMIT = 5.0  # percent: what a coin does more seldom is often called a discovery
MANY = 20  # pairs: more of them get smaller dots, which would lie on each other


def plot_pairs(
    chances: Sequence[float],
    luck: ByLuck | None = None,
    ax: Axes | None = None,
    note: str = "",
) -> Axes:
    """A dot for each pair of nets, the rarest first, those below the line of 5 % in red.

    chances: how often a coin divides the pictures that tell at least so unevenly, from 0 to 1

    luck: what luck alone makes of so many pairs, in the same unit, as ``dealt_chances`` gives it: a
        thin line for the mean of the deals, and grey bars for the middle 90 % of them

    The title counts the dots below 5 %, and how many there would be at most, on average: whole
    counts cannot hit 5 % exactly. Without a pair the Axes say so. ``note`` is that of the data.
    Raises ``CourseError`` for what is no row of chances, and for two rows of different length.
    """
    shares = sorted_shares(chances, "chances")
    rows = luck or ByLuck(*np.zeros((3, 0)))
    low, by_luck, high = (sorted_shares(row, "luck") for row in rows)
    if luck and len(by_luck) != len(shares):
        raise CourseError(f"plot_pairs: {len(by_luck)} chances by luck for {len(shares)} pairs")
    ax = one_axes(ax, 9, 3.8)
    count = len(shares)
    places = np.arange(1, count + 1)

    # One net alone has nobody to be compared with.
    rare = shares < LIMIT
    expected = f"by luck alone at most {LIMIT * count / 100:g} on average"
    title = f"{rare.sum()} of {count} pairs below 5 %; {expected}"
    if not count:
        title = "One net alone makes no pair"
    # The dashes are seen where there is one pair only, which has no line.
    [line] = ax.plot(places[: len(by_luck)], by_luck, color=GREY, marker="_", markersize=8)
    if len(by_luck):
        line.set_label("luck: the mean of many deals;\ngrey bars: 90 % of them")
    # Bars behind all else, because the band of a single pair would have no width.
    ax.vlines(places[: len(by_luck)], low, high, color=GREY, alpha=0.3, linewidth=6, zorder=0)
    size = 7
    if count > MANY:
        size = 4
    [blue] = ax.plot(places[~rare], shares[~rare], "o", color=BLUE, markersize=size)
    [red] = ax.plot(places[rare], shares[rare], "D", color=RED, markersize=size)
    # What a dot is needs to be said once, beside a blue one unless all are red.
    told = blue
    if rare.all():
        told = red
    told.set_label("a pair of our seeds")

    # The line, with its name beyond its right end, where no dot can lie.
    ax.axhline(LIMIT, color=RED, linewidth=1.5, linestyle="--")
    ax.annotate(
        "5 %",
        xy=(1, LIMIT),
        xycoords=("axes fraction", "data"),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
    )
    ax.set_ylim(-3, 106)
    ax.set_xlim(0.4, max(count, 2) + 0.6)
    whole_ticks(ax.xaxis)
    # The dots rise from left to right: room is at the lower right, above the line of 5 %.
    if count:
        ax.legend(fontsize=SMALL, loc="lower right", bbox_to_anchor=(1, 0.1))
    xlabel = "pair of seeds, the most uneven first"
    ylabel = "how often a coin is as uneven (%)"
    return label_axes(ax, with_note(title, note), xlabel, ylabel, grid="y")


def sorted_shares(chances: Sequence[float] | np.ndarray, name: str) -> np.ndarray:
    """Chances in percent, the lowest first; ``CourseError`` where they are none."""
    shares = 100 * number_array(chances, name)
    if shares.ndim != 1 or not ((shares >= 0) & (shares <= 100)).all():
        raise CourseError(f"plot_pairs: {name}: give a row of chances, each from 0 to 1")
    return np.sort(shares)
