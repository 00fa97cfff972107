"""Evidence beside mistakes: numbered images, occlusion maps, and the nearest training images."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from helpers.data import ImageSplit
from helpers.environment import CourseError
from helpers.interpret.occlusion import OcclusionMap
from helpers.plots.filters import DIVERGING
from helpers.plots.images import Indices, chosen_images
from helpers.plots.style import (
    BLUE,
    FONT,
    RED,
    SMALL,
    new_axes,
    require,
    require_channels,
    require_count,
    with_note,
)

MOST_COLUMNS = 8
STEPS = 13  # of colour in an occlusion map; the middle one is white
HATCH = "////"  # over the places at which a patch tips the answer
KEY = "red: the square raises p(label); blue: it lowers it; framed: it tips the answer"
LARGEST = 1.3  # inches: few images are no larger than these


def show_numbered(
    split: ImageSplit,
    indices: Indices,
    titles: Sequence[str] | None = None,
    heading: str = "",
    columns: int = MOST_COLUMNS,
    row_names: Sequence[str] | None = None,
) -> np.ndarray:
    """Images under titles of the caller's, in rows of nearly equal length; an Axes each.

    titles: one for each image; their numbers, from 1, unless given
    columns: at most so many in a row
    row_names: what each row shows, written along its left side

    Without an image one empty Axes says so. Raises ``CourseError`` for indices that do not fit (see
    ``chosen_images``), and for more or fewer titles than images, or names than rows.
    """
    require(split, ImageSplit, "show_numbered")
    columns = require_count(columns, "columns", least=1)
    chosen = chosen_images(indices, len(split))
    if titles is None:
        titles = [str(number) for number in range(1, len(chosen) + 1)]
    if len(titles) != len(chosen):
        raise CourseError(f"{len(titles)} titles for {len(chosen)} images: give one for each")
    if not len(chosen):
        heading = "No image was chosen"

    # As few rows as possible, and as equal: 13 images are 7 and 6, not 8 and 5.
    rows = max(1, -(-len(chosen) // columns))
    columns = max(1, -(-len(chosen) // rows))
    # A few images stand together in the middle, between as many empty places on either side.
    empty = max(0, 7 - columns) // 2
    across = columns + 2 * empty
    lines = 1 + max((title.count("\n") for title in titles), default=0)
    side = 0.2
    if len(chosen):
        side = min(LARGEST, 9 / across - 0.2)
    axes = new_axes(9, rows * (side + 0.22 * lines) + 0.5, rows, across)
    figure = axes[0].figure

    # No frames and ticks, also where the last row is not full.
    for ax in axes:
        ax.set_axis_off()
    axes = axes.reshape(rows, across)[:, empty : empty + columns].ravel()
    for ax, index, title in zip(axes, chosen.tolist(), titles):
        draw_image(ax, split, index)
        ax.set_title(title, fontsize=SMALL, pad=3)
    if row_names is not None and len(chosen):
        name_rows(axes[::columns], row_names)
    figure.suptitle(with_note(heading, split.note), fontsize=FONT)
    return axes[: max(1, len(chosen))]


def name_rows(first: Sequence[Axes] | np.ndarray, names: Sequence[str]) -> None:
    """The name of each row, turned along the left side of its first Axes."""
    if len(names) != len(first):
        raise CourseError(f"{len(names)} names for {len(first)} rows: give one for each")
    for ax, name in zip(first, names):
        place = {"rotation": 90, "ha": "right", "va": "center"}
        ax.text(-0.06, 0.5, name, transform=ax.transAxes, fontsize=SMALL, **place)


def draw_image(ax: Axes, split: ImageSplit, index: int) -> None:
    """One image of a split, its black and white those of the file."""
    require_channels(split.images.shape[1])
    # Matplotlib wants [H, W, C].
    picture = split.images[index].permute(1, 2, 0).cpu().numpy()
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def show_occlusion(
    split: ImageSplit,
    maps: Sequence[OcclusionMap],
    titles: Sequence[str],
    heading: str = "",
    limit: float | None = None,
) -> np.ndarray:
    """Images, and below each its occlusion map with the strokes drawn in; two rows of Axes.

    titles: one for each map, above its image
    limit: the change at which the colours end; the largest of these maps unless given. Where some
        change by more, the ends of the scale are pointed.

    Red: with the patch there, the label's class gets a higher probability. Blue: a lower one.
    Hatched and framed: with the patch there, a wrong answer becomes right, or a right one wrong. A
    line below says all three. The colour of a place stands at the patch's centre. Raises
    ``CourseError`` without a map, and for more or fewer titles than maps.
    """
    require(split, ImageSplit, "show_occlusion")
    if not len(maps) or len(titles) != len(maps):
        raise CourseError(f"{len(titles)} titles for {len(maps)} maps: give one for each, and one")
    largest = max(float(each.change.abs().max()) for each in maps)
    if limit is None:
        limit = largest
    limit = max(limit, 1e-6)  # all maps may be 0
    beyond = "both" if largest > limit else "neither"
    # Few steps of colour are told apart on a projector, and make a small file.
    scale = {"cmap": plt.get_cmap(DIVERGING, STEPS), "vmin": -limit, "vmax": limit}

    columns = len(maps)
    side = min(1.6, 8 / columns - 0.1)
    axes = new_axes(9, 2 * side + 1.2, 2, columns)
    for column, (each, title) in enumerate(zip(maps, titles)):
        above, below = axes[column], axes[columns + column]
        draw_image(above, split, each.index)
        above.set_title(title, fontsize=SMALL, pad=3)
        drawn = draw_map(below, split, each, scale)
        above.set_axis_off()
        below.set_xticks([])
        below.set_yticks([])

    # One scale for all of them.
    figure = axes[0].figure
    bar = figure.colorbar(drawn, ax=list(axes), fraction=0.03, pad=0.02, extend=beyond)
    bar.set_label("change of log p(label)", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    figure.suptitle(with_note(heading, split.note), fontsize=FONT)
    figure.supxlabel(KEY, fontsize=SMALL)
    return axes.reshape(2, columns)


def draw_map(ax: Axes, split: ImageSplit, each: OcclusionMap, scale: dict) -> object:
    """A map over the place of its image, whose strokes are drawn as outlines."""
    rows, columns = each.change.shape
    # A cell is as large as the patch moves, around the centre of the patch.
    half = each.stride / 2
    extent = (-half, columns * each.stride - half, rows * each.stride - half, -half)
    change = each.change.numpy()
    drawn = ax.imshow(change, extent=extent, interpolation="nearest", **scale)
    picture = split.images[each.index].float().mean(0).cpu().numpy()
    if picture.max() > picture.min():
        middle = (float(picture.max()) + float(picture.min())) / 2
        ax.contour(picture, levels=[middle], colors="black", linewidths=1.2)
    hatch_tips(ax, each, int(split.labels[each.index]))

    # The whole image, whatever the stride
    height, width = picture.shape
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    return drawn


def hatch_tips(ax: Axes, each: OcclusionMap, label: int) -> None:
    """Hatching over the places at which the patch makes a wrong answer right, or a right one wrong.

    The colours cannot show them: a net that is sure can lose half of its probability and be right.
    """
    tips = (each.predicted == label) != (each.answer == label)
    side = each.stride
    for row, column in tips.nonzero().tolist():
        corner = (column * side - side / 2, row * side - side / 2)
        ax.add_patch(Rectangle(corner, side, side, fill=False, hatch=HATCH, linewidth=0))

    # A frame around all of them: white under black is seen on every colour.
    frame = borders(tips.cpu().numpy(), side)
    for color, width in (("white", 2.4), ("black", 1.0)):
        ax.add_collection(LineCollection(frame, colors=color, linewidths=width))


def borders(cells: np.ndarray, side: float) -> list[list[tuple[float, float]]]:
    """The sides at which a chosen cell meets one that is not: lines from (x, y) to (x, y).

    cells: which are chosen, [rows, columns]; the first has its centre at 0, 0
    """
    around = np.pad(cells, 1)
    lines = []
    for row, column in np.argwhere(cells).tolist():
        left, top = column * side - side / 2, row * side - side / 2
        right, bottom = left + side, top + side
        # The padded array is one place ahead, in rows and in columns.
        if not around[row, column + 1]:
            lines.append([(left, top), (right, top)])
        if not around[row + 2, column + 1]:
            lines.append([(left, bottom), (right, bottom)])
        if not around[row + 1, column]:
            lines.append([(left, top), (left, bottom)])
        if not around[row + 1, column + 2]:
            lines.append([(right, top), (right, bottom)])
    return lines


def show_nearest(
    split: ImageSplit,
    indices: Sequence[int],
    titles: Sequence[str],
    bank: ImageSplit,
    neighbours: Sequence[Sequence[int]] | torch.Tensor,
    readings: Sequence[int],
    heading: str = "",
) -> np.ndarray:
    """A row for each image: itself, and beside it images of ``bank`` with their classes.

    titles: one for each image, to its right, such as ``4 → 9``
    neighbours: for each image places in ``bank``, nearest first
    readings: what the net names each image

    A neighbour's class is blue where it is the image's true class, red and bold where it is the
    net's reading. Raises ``CourseError`` without an image, and for rows that do not fit.
    """
    require(split, ImageSplit, "show_nearest")
    require(bank, ImageSplit, "show_nearest")
    rows = [[int(place) for place in row] for row in neighbours]
    if not len(indices) or not len(indices) == len(titles) == len(rows) == len(readings):
        raise CourseError("show_nearest: give a title, a row and a reading for each image")

    count = max(len(row) for row in rows)
    axes = new_axes(9, 0.74 * len(rows) + 0.5, len(rows), count + 1)
    for ax in axes:
        ax.set_axis_off()
    grid = axes.reshape(len(rows), count + 1)
    # The image and its title, then its neighbours in the colours of their classes.
    for line, index, title, row, reading in zip(grid, indices, titles, rows, readings):
        draw_image(line[0], split, int(index))
        write_beside(line[0], title, "black", "normal")
        true = int(split.labels[int(index)])
        for ax, place in zip(line[1:], row):
            draw_image(ax, bank, place)
            label = int(bank.labels[place])
            color, weight = "black", "normal"
            if label == true:
                color = BLUE
            elif label == int(reading):
                color, weight = RED, "bold"
            write_beside(ax, bank.classes[label], color, weight)
    axes[0].figure.suptitle(with_note(heading, split.note), fontsize=FONT)
    return grid


def write_beside(ax: Axes, text: str, color: str, weight: str) -> None:
    """A text to the right of an image, at half of its height."""
    ax.annotate(
        text,
        xy=(1, 0.5),
        xycoords="axes fraction",
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
        color=color,
        fontweight=weight,
    )
