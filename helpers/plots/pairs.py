"""All pairs of nets: how likely each pair's difference is by luck alone."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
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

LIMIT = 5.0  # percent: what is rarer by luck is often called a discovery


def plot_pairs(chances: Sequence[float], ax: Axes | None = None, note: str = "") -> Axes:
    """A dot for each pair of nets, the rarest first, those below the line of 5 % in red.

    chances: how likely a pair's difference, or a larger one, is by luck, from 0 to 1

    Were all pairs alike but for luck, and independent, the dots would lie along the thin line. The
    title counts the dots below 5 %, and how many luck alone would put there. Without a pair the
    Axes say so. ``note`` is that of the data. Raises ``CourseError`` for what is no row of chances.
    """
    shares = 100 * number_array(chances, "chances")
    if shares.ndim != 1 or not ((shares >= 0) & (shares <= 100)).all():
        raise CourseError("plot_pairs: give a row of chances, each from 0 to 1")
    shares = np.sort(shares)
    ax = one_axes(ax, 9, 3.8)
    count = len(shares)
    places = np.arange(1, count + 1)

    # One net alone has nobody to be compared with.
    rare = shares < LIMIT
    title = f"{rare.sum()} of {count} pairs below 5 %; luck alone: about {LIMIT * count / 100:.1f}"
    if not count:
        title = "One net alone makes no pair"
    spread = 100 * (places - 0.5) / max(count, 1)
    ax.plot(places, spread, color=GREY, linewidth=1.5, label="luck alone spreads them evenly")
    for chosen, color, marker in ((~rare, BLUE, "o"), (rare, RED, "D")):
        ax.plot(places[chosen], shares[chosen], marker, color=color, markersize=7)

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
    # The dots rise from left to right.
    ax.legend(fontsize=SMALL, loc="upper left")
    xlabel = "pair of seeds, the least likely first"
    return label_axes(ax, with_note(title, note), xlabel, "chance by luck alone (%)", grid="y")
