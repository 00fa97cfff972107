"""Accuracies over seeds: a mean with its deviation for every net, beside what others state."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
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
        raise CourseError(f"{name} has the accuracies {accuracies}: give a finite one a seed")

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
    labels = [text for text in ax.texts if isinstance(text, Annotation)]
    for label in labels:
        # Away from the dot, up or down, a few points at a time.
        across, away = label.xyann
        step = 4 * np.sign(away)
        box = label.get_window_extent().padded(4)
        while box.count_overlaps(occupied) and abs(away) < 90:
            away += step
            label.xyann = (across, away)
            box = label.get_window_extent().padded(4)
        occupied.append(box)


def drawn_boxes(ax: Axes) -> list[Bbox]:
    """What dots and lines cover, in pixels of the figure."""
    boxes = []
    for line in ax.lines:
        # A line without marks is the target, from edge to edge.
        if line.get_marker() == "None":
            boxes.append(line.get_window_extent())
            continue
        # Half of a mark of 8 points is about 5 pixels.
        points = ax.transData.transform(line.get_xydata())
        for x, y in points:
            boxes.append(Bbox.from_extents(x - 5, y - 5, x + 5, y + 5))
    return boxes
