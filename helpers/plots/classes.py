"""Charts of what a net says of each class: its accuracy, and what it is taken for."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, to_hex

from helpers.environment import CourseError
from helpers.interpret import Predictions, confusion_matrix, per_class_accuracy
from helpers.plots.style import (
    BLUE,
    SMALL,
    label_axes,
    label_classes,
    one_axes,
    readable_on,
    require,
    with_note,
)

RIGHT = "#E8E8E8"  # the grey of what was classified right


def plot_per_class(predictions: Predictions, ax: Axes | None = None) -> Axes:
    """Accuracy of every class as a dot with its 95 % Wilson interval.

    The axis starts below the lowest interval, not at zero. Raises ``CourseError`` where there is
    no image.
    """
    require(predictions, Predictions, "plot_per_class")
    if not len(predictions):
        raise CourseError("there is no image to judge: give predictions of one image at least")
    ax = one_axes(ax, 9, 4)

    # A class without images keeps its place, without a dot.
    rows = per_class_accuracy(predictions)
    names = []
    lowest = 100.0
    for row in rows:
        if row.count:
            names.append(row.name)
            lowest = min(lowest, row.low)
        else:
            names.append(f"{row.name} (none)")

    # Intervals are not centred: near 100 % they reach further down than up.
    heights = np.array([row.accuracy for row in rows])
    below = heights - [row.low for row in rows]
    above = [row.high for row in rows] - heights
    ax.errorbar(
        range(len(rows)),
        heights,
        (below, above),
        fmt="o",
        color=BLUE,
        markersize=8,
        capsize=5,
        elinewidth=2,
    )
    label_classes(ax, names)

    # Room for a fifth of what is shown below the intervals, and for the line above 100 %.
    span = 100 - lowest
    ax.set_xlim(-0.6, len(rows) - 0.4)
    ax.set_ylim(max(0, 100 - 1.2 * span), 100 + 0.03 * span)
    title = with_note("Accuracy by class, with 95 % Wilson intervals", predictions.split.note)
    return label_axes(ax, title, "class", "accuracy (%)", grid="y")


def plot_confusion(predictions: Predictions, ax: Axes | None = None) -> Axes:
    """Counts of labels (rows) against answers (columns), a number in each cell.

    The diagonal is grey, so that the mistakes alone set the colours. A count of zero is left out.
    """
    require(predictions, Predictions, "plot_confusion")
    ax = one_axes(ax, 7.5, 6.5)
    matrix = confusion_matrix(predictions).numpy()
    names = predictions.split.classes

    # What is right is masked: the mistakes alone set the colours.
    diagonal = np.eye(len(names), dtype=bool)
    mistakes: Any = np.ma.masked_array(matrix, diagonal)
    highest = max(1, matrix[~diagonal].max(initial=0))
    colors = plt.get_cmap("Blues").with_extremes(bad=RIGHT)
    ax.imshow(mistakes, cmap=colors, vmin=0, vmax=highest)

    write_counts(ax, matrix, colors, highest)
    label_classes(ax, names)
    ax.set_yticks(range(len(names)), names)

    # The title says how few the coloured cells are.
    heading = f"{predictions.mistakes:,} mistakes in {len(predictions):,} pictures"
    title = with_note(heading, predictions.split.note)
    return label_axes(ax, title, "answer", "label", grid=None)


def write_counts(ax: Axes, matrix: np.ndarray, colors: Colormap, highest: int) -> None:
    """A number in every cell that is not empty, dark or light as its background asks."""
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            # The colours run from 0 to the highest number of mistakes.
            background = RIGHT
            if row != column:
                background = to_hex(colors(count / highest))
            ax.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=SMALL,
                color=readable_on(background),
            )
