"""Names beside the dots of a figure, moved until they touch nothing."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from helpers.plots.style import GREY

FAR = 12.0  # points: a name that stands farther from its dot's bar is led to it by a line
Side = Literal["bottom", "top"]  # of a name: the one that is turned to its dot


def separate_labels(ax: Axes) -> None:
    """Move the names of ``plot_accuracy`` away from their dots until they touch nothing.

    For figures with many nets, once their axes are final. A thin line leads to a name that had to
    go far.
    """
    # Where everything lies is known after the layout.
    ax.figure.canvas.draw()
    occupied = drawn_boxes(ax)
    labels = [text for text in ax.texts if isinstance(text, Annotation)]
    dots = ax.transData.transform([label.xy for label in labels])

    # From the highest dot to the lowest: of two neighbours the higher one is named above.
    for label in sorted(labels, key=lambda label: -label.xy[1]):
        move_to_free_place(label, ax, occupied, dots)
        occupied.append(label.get_window_extent())
    lines = [line_to(label, ax, dot) for label, dot in zip(labels, dots, strict=True)]
    far = [ax.transData.inverted().transform(line) for line in lines if len(line)]
    ax.add_collection(LineCollection(far, colors=GREY, linewidths=0.9, zorder=0.5), autolim=False)


def line_to(label: Annotation, ax: Axes, dot: np.ndarray) -> np.ndarray:
    """From a dot to a label that stands away from it, [2, 2] in pixels of the figure; else empty.

    The line begins and ends a little apart from both.
    """
    box = label.get_window_extent()
    # The nearest point of the label's box, as seen from the dot
    end = np.array([np.clip(dot[0], box.x0, box.x1), np.clip(dot[1], box.y0, box.y1)])
    way = end - dot
    length = float(np.hypot(*way))
    gap = 2 * pixels_of_a_point(ax)
    if length <= FAR * pixels_of_a_point(ax):
        return np.empty((0, 2))
    return np.array([dot + way * gap / length, end - way * gap / length])


def move_to_free_place(label: Annotation, ax: Axes, occupied: list[Bbox], dots: np.ndarray) -> None:
    """Put a label near its dot where nothing lies, in the axes; it stays if there is no room.

    No other of the ``dots``, in pixels of the figure, is nearer to it than its own, as long as
    there is such a place.
    """
    here = label.xyann
    anchor: Side = "top"
    if here[1] > 0:
        anchor = "bottom"
    free = []
    for place, side in places_near(label):
        label.xyann = place
        label.set_verticalalignment(side)
        if is_free(label, ax, occupied):
            free.append((place, side))
            if is_nearest(label, ax, dots):
                return

    # The first free place, or where it was.
    place, side = [*free, (here, anchor)][0]
    label.xyann = place
    label.set_verticalalignment(side)


def places_near(label: Annotation) -> Iterator[tuple[tuple[float, float], Side]]:
    """Places from near to far, a few points at a time, and which side of the label stands there.

    In the middle, to the right or to the left, above or below the dot.
    """
    near = abs(label.xyann[1])
    for distance in np.arange(near, near + 80, 3):
        for across in (0, 18, -18, 36, -36):
            yield (across, distance), "bottom"
            yield (across, -distance), "top"


def is_free(label: Annotation, ax: Axes, occupied: list[Bbox]) -> bool:
    """Whether a label lies within the axes and touches none of the boxes."""
    box = label.get_window_extent().padded(1.6 * pixels_of_a_point(ax))
    inside = ax.bbox.contains(box.x0, box.y0) and ax.bbox.contains(box.x1, box.y1)
    return inside and not box.count_overlaps(occupied)


def is_nearest(label: Annotation, ax: Axes, dots: np.ndarray) -> bool:
    """Whether a label's own dot is the nearest of all to its middle."""
    box = label.get_window_extent()
    middle = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
    own = np.linalg.norm(ax.transData.transform(label.xy) - middle)
    return bool(own <= np.linalg.norm(dots - middle, axis=1).min() + 1e-6)


def drawn_boxes(ax: Axes) -> list[Bbox]:
    """What dots, lines and deviations cover, in pixels of the figure."""
    boxes = []
    point = pixels_of_a_point(ax)
    for line in ax.lines:
        # A line without marks is the target, from edge to edge.
        if line.get_marker() == "None":
            boxes.append(line.get_window_extent())
            continue
        # Half of a mark of 8 points
        half = 4 * point
        for x, y in ax.transData.transform(line.get_xydata()):
            boxes.append(Bbox.from_extents(x - half, y - half, x + half, y + half))

    # Deviations are vertical lines.
    for bars in ax.collections:
        if not isinstance(bars, LineCollection):
            continue
        for ends in bars.get_segments():
            boxes.append(Bbox(ax.transData.transform(ends)).padded(0.8 * point))
    return boxes


def pixels_of_a_point(ax: Axes) -> float:
    """Pixels of the figure for a point, the unit of marks and texts; 72 points are an inch."""
    return ax.figure.dpi / 72
