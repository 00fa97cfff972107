"""All pairs of nets: by how many mistakes two differ, and how likely that is by luck."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.plots.style import (
    BLUE,
    FONT,
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


def plot_pairs(
    differences: Sequence[int],
    chances: Sequence[float],
    ax: Axes | None = None,
    note: str = "",
) -> Axes:
    """A dot for each pair of nets, those below the line of 5 % in red.

    differences: by how many mistakes the two nets of a pair differ; the sign does not count
    chances: how likely so uneven a split is by luck, from 0 to 1

    The title counts the dots below the line, and how many of so many pairs would lie there by luck.
    Without a pair the Axes say so. ``note`` is that of the data. Raises ``CourseError`` for numbers
    that do not fit together, and for a chance outside 0 to 1.
    """
    gaps = np.abs(number_array(differences, "differences"))
    shares = 100 * number_array(chances, "chances")
    if gaps.ndim != 1 or gaps.shape != shares.shape:
        raise CourseError(
            f"plot_pairs: {gaps.size} differences and {shares.size} chances: one of each for a pair"
        )
    if not ((shares >= 0) & (shares <= 100)).all():
        raise CourseError("plot_pairs: a chance lies between 0 and 1")
    ax = one_axes(ax, 9, 3.8)

    # One net alone has nobody to be compared with.
    rare = shares < LIMIT
    title = f"{rare.sum()} of {len(gaps)} pairs below 5 %; by luck about {0.05 * len(gaps):.1f}"
    if not len(gaps):
        title = "One net alone makes no pair"
    for chosen, color, marker in ((~rare, BLUE, "o"), (rare, RED, "D")):
        ax.plot(gaps[chosen], shares[chosen], marker, color=color, markersize=8, alpha=0.75)

    # The line, with its name beyond its right end, where no dot can lie.
    ax.axhline(LIMIT, color=GREY, linewidth=1.5, linestyle="--")
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
    ax.set_xlim(-0.8, max(gaps.max(initial=0), 5) + 0.8)
    whole_ticks(ax.xaxis)
    label_axes(
        ax,
        with_note(title, note),
        "difference between two seeds, in mistakes",
        "chance by luck alone (%)",
        grid="y",
    )
    ax.title.set_fontsize(FONT)
    return ax
