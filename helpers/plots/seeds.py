"""Accuracies over seeds: a mean with its deviation for every net, beside what others state."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from helpers.environment import CourseError
from helpers.intervals import mean_sd
from helpers.plots.style import BLUE, GREY, RED, SMALL, label_axes, new_axes

MARKERS = "Dsv^"  # of single results: diamonds, squares, triangles


def plot_accuracy(
    points: Mapping[str, tuple[float, Sequence[float]]],
    xlabel: str,
    target: float | None = None,
    others: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Accuracy in percent against a number of each net, mean ± standard deviation over seeds.

    points: name to (number, one accuracy for each seed); one seed has no deviation
    xlabel: what the number is
    target: an accuracy drawn as a line
    others: label to (number, accuracy) pairs of results that are no means over seeds, hollow
    ax: where to draw; a new figure unless given

    Raises ``CourseError`` for a net without an accuracy, or with one that is not finite.
    """
    # A legend below the axes needs some height.
    others = others or {}
    if ax is None:
        height = 4.6
        if others:
            height = 5.5
        ax = new_axes(9, height)[0]

    # From left to right, names stand above and below in turn, so that neighbours do not touch.
    ordered = sorted(points, key=lambda name: points[name][0])
    for number, name in enumerate(ordered):
        place, values = points[name]
        draw_mean(ax, name, place, values, above=number % 2 == 0)

    # What others state is marked otherwise: no mean, no deviation.
    for number, (label, pairs) in enumerate(others.items()):
        draw_single_results(ax, label, pairs, MARKERS[number % len(MARKERS)])
    if target is not None:
        ax.axhline(target, color=GREY, linestyle="--", label=f"{target} %")
    if others or target is not None:
        ax.legend(fontsize=SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.17))

    # Room for the names at the edges.
    ax.margins(x=0.15, y=0.15)
    title = "Last epoch, mean ± standard deviation over seeds"
    return label_axes(ax, title, xlabel, "test accuracy (%)")


def draw_mean(ax: Axes, name: str, place: float, values: Sequence[float], above: bool) -> None:
    """A dot with its deviation, and its name with the number of seeds above or below it."""
    accuracies = np.ravel(values).astype(float).tolist()
    if not accuracies or not np.isfinite(accuracies).all():
        raise CourseError(
            f"{name} has the accuracies {accuracies}: give a finite one for each seed"
        )

    # With one seed the deviation is 0: a dot without a line.
    mean, deviation = mean_sd(accuracies)
    ax.errorbar(
        place,
        mean,
        deviation,
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
        xy=(place, mean + side * deviation),
        xytext=(0, 7 * side),
        textcoords="offset points",
        fontsize=SMALL,
        ha="center",
        va=anchor,
    )


def draw_single_results(
    ax: Axes,
    label: str,
    pairs: Sequence[tuple[float, float]],
    marker: str,
) -> None:
    """Hollow marks for results of one run, which no deviation belongs to."""
    places = [place for place, _ in pairs]
    accuracies = [accuracy for _, accuracy in pairs]
    ax.plot(
        places,
        accuracies,
        marker,
        color=RED,
        markersize=8,
        markerfacecolor="none",
        markeredgewidth=2,
        label=label,
    )


def separate_labels(ax: Axes) -> None:
    """Move the names of ``plot_accuracy`` away from their dots until they touch nothing.

    For figures with many nets, once their axes are final.
    """
    # Where everything lies is known after the layout.
    ax.figure.canvas.draw()
    occupied = drawn_boxes(ax)
    for label in ax.texts:
        if isinstance(label, Annotation):
            move_to_free_place(label, ax, occupied)
            occupied.append(label.get_window_extent())


def move_to_free_place(label: Annotation, ax: Axes, occupied: list[Bbox]) -> None:
    """Put a label near its dot where nothing lies, in the axes; it stays if there is no room.

    The nearest place is taken: in the middle, to the right or to the left, above or below the dot.
    """
    place = label.xyann
    anchor = label.get_verticalalignment()

    # From near to far, a few points at a time.
    near = abs(place[1])
    for distance in np.arange(near, near + 80, 3):
        for across in (0, 18, -18, 36, -36):
            label.xyann = (across, distance)
            label.set_verticalalignment("bottom")
            if is_free(label, ax, occupied):
                return
            label.xyann = (across, -distance)
            label.set_verticalalignment("top")
            if is_free(label, ax, occupied):
                return

    # There is no room anywhere near: back to where it was.
    label.xyann = place
    label.set_verticalalignment(anchor)


def is_free(label: Annotation, ax: Axes, occupied: list[Bbox]) -> bool:
    """Whether a label lies within the axes and touches none of the boxes."""
    box = label.get_window_extent().padded(2)
    inside = ax.bbox.contains(box.x0, box.y0) and ax.bbox.contains(box.x1, box.y1)
    return inside and not box.count_overlaps(occupied)


def drawn_boxes(ax: Axes) -> list[Bbox]:
    """What dots, lines and deviations cover, in pixels of the figure."""
    boxes = []
    for line in ax.lines:
        # A line without marks is the target, from edge to edge.
        if line.get_marker() == "None":
            boxes.append(line.get_window_extent())
            continue
        # Half of a mark of 8 points is about 5 pixels.
        for x, y in ax.transData.transform(line.get_xydata()):
            boxes.append(Bbox.from_extents(x - 5, y - 5, x + 5, y + 5))

    # Deviations are vertical lines.
    for bars in ax.collections:
        if not isinstance(bars, LineCollection):
            continue
        for ends in bars.get_segments():
            boxes.append(Bbox(ax.transData.transform(ends)).padded(1))
    return boxes
