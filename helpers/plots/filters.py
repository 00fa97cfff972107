"""Convolutions in pictures: one step of the window, the filters of a layer, the maps they make."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from helpers.environment import CourseError
from helpers.plots.style import (
    FONT,
    RED,
    SMALL,
    new_axes,
    number_array,
    readable_on,
    require_count,
)

# Blue below zero, white at zero, red above.
DIVERGING = "RdBu_r"

# Beyond so many cells in a row, numbers of a size to read from afar do not fit into them.
WITH_NUMBERS = 5


def show_convolution(
    image: Any, kernel: Any, row: int, column: int, bias: float = 0.0
) -> np.ndarray:
    """One step of a convolution, number by number: pixels × kernel, and the sum; four Axes.

    image: [H, W], a channel of an image or a map
    kernel: [k, k], or of more rows than columns, or fewer
    row, column: of the window's first pixel, and of the number that it makes in the output
    bias: what is added to the sum, a number

    The title of the last panel is what ``conv2d`` without padding has at [row, column]. Raises
    ``CourseError`` for other shapes, and for a window that is not inside the image.
    """
    pixels = finite_array(image, "the pixels", 2, "[H, W]")
    weights = finite_array(kernel, "the weights of the kernel", 2, "[k, k]")
    added = finite_array(bias, "the bias", 0, "a number").item()
    row = require_count(row, "row")
    column = require_count(column, "column")

    # As far as the window can go
    height, width = weights.shape
    last_row = pixels.shape[0] - height
    last_column = pixels.shape[1] - width
    if row > last_row or column > last_column:
        raise CourseError(
            f"a window of {height}×{width} at row {row}, column {column} is not inside an image "
            f"of {pixels.shape[0]}×{pixels.shape[1]}: give a row up to {last_row} and a column "
            f"up to {last_column}"
        )
    patch = pixels[row : row + height, column : column + width]
    products = patch * weights

    # Patch and image share their greys.
    axes = new_axes(9, 2.75, 1, 4)
    grey = {"cmap": "gray", "vmin": pixels.min(), "vmax": pixels.max()}
    axes[0].imshow(pixels, interpolation="nearest", **grey)
    corner = (column - 0.5, row - 0.5)
    axes[0].add_patch(Rectangle(corner, width, height, fill=False, edgecolor=RED, linewidth=2.5))
    axes[0].set_title(f"image, window at\nrow {row}, column {column}", fontsize=FONT)
    draw_numbers(axes[1], patch, "pixels of the window", **grey)

    # Weights and products have a sign, each with a scale of its own.
    draw_numbers(axes[2], weights, "kernel", **signed_scale(weights))
    draw_numbers(axes[3], products, sum_in_words(products.sum(), added), **signed_scale(products))
    for ax, sign in ((axes[2], "×"), (axes[3], "=")):
        ax.text(
            -0.09, 0.5, sign, transform=ax.transAxes, ha="center", va="center", fontsize=FONT + 4
        )
    for ax in axes:
        ax.set_axis_off()
    return axes


def sum_in_words(total: float, bias: float) -> str:
    """The title of the products: their sum, and what it is with the bias."""
    words = cell_text(total, 2)
    if bias == 0:
        return f"products,\nsum {words}"
    sign = "+"
    if bias < 0:
        sign = "−"
    added = cell_text(abs(bias), 2)
    return f"products, sum {words}\n{sign} bias {added} = {cell_text(total + bias, 2)}"


def draw_numbers(ax: Axes, values: np.ndarray, title: str, **scale: Any) -> None:
    """A cell for each number, coloured by it, with the number where there is room."""
    image = ax.imshow(values, interpolation="nearest", **scale)
    ax.set_title(title, fontsize=FONT)
    if max(values.shape) > WITH_NUMBERS:
        return
    # Five cells in a row leave room for one decimal.
    decimals = 2
    if max(values.shape) > 3:
        decimals = 1
    # Each number in black or white, as its cell is light or dark.
    for (row, column), value in np.ndenumerate(values):
        text = cell_text(value, decimals)
        color = readable_on(to_hex(image.to_rgba(np.array([value]))[0]))
        ax.text(column, row, text, ha="center", va="center", color=color, fontsize=SMALL)


def cell_text(value: float, decimals: int) -> str:
    """A number as its cell shows it: whole numbers without a point, and a true minus sign."""
    if value == round(value):
        decimals = 0
    # Adding 0 takes the sign from a zero.
    text = f"{round(value, decimals) + 0:.{decimals}f}"
    return text.replace("-", "−")


def show_maps(
    maps: Any, titles: Sequence[str] | None = None, columns: int = 8, title: str = ""
) -> np.ndarray:
    """The maps of one image, [C, H, W], as grey pictures ``columns`` in a row; an Axes each.

    titles: one for each map; its channel, counted from 0, unless given
    title: above all of them

    All maps share one scale, which stands below them, so that a map that does not answer is seen
    as one. Raises ``CourseError`` for another shape, and for numbers that are not finite.
    """
    values = finite_array(maps, "maps", 3, "[channels, H, W]")
    if titles is None:
        titles = [str(channel) for channel in range(len(values))]
    titles = list(titles)
    if len(titles) != len(values):
        raise CourseError(f"{len(titles)} titles for {len(values)} maps: give one for each")

    # One scale for all, and what its ends mean
    low, high = values.min(), values.max()
    scale = {"cmap": "gray", "vmin": low, "vmax": high}
    axes = draw_panels(values, titles, columns, title, scale)
    words = f"black is {cell_text(low, 2)}, white is {cell_text(high, 2)}"
    axes[0].figure.supxlabel(words, fontsize=SMALL)
    return axes


def show_filters(weight: Any, columns: int = 8, title: str = "", channel: int = 0) -> np.ndarray:
    """The filters of a convolution on one input channel, blue below 0 and red above; an Axes each.

    weight: [out_channels, in_channels, k, k], as a convolution has it; with one input channel also
        [out_channels, k, k]
    title: above all of them
    channel: which input channel's weights are shown

    All filters share one scale, with white at 0. Raises ``CourseError`` for another shape, and for
    a channel that there is not.
    """
    values = finite_array(weight, "weights", None, "")
    if values.ndim == 3:
        values = values[:, None]
    if values.ndim != 4 or not values.size:
        raise CourseError(
            f"weights of shape {list(values.shape)} are no filters: give "
            "[out_channels, in_channels, k, k], as the weight of a convolution"
        )
    channel = require_count(channel, "channel")
    if channel >= values.shape[1]:
        raise CourseError(f"channel={channel} of {values.shape[1]}: they are counted from 0")
    chosen = values[:, channel]

    titles = [str(number) for number in range(len(chosen))]
    axes = draw_panels(chosen, titles, columns, title, signed_scale(chosen))
    # One scale for all stands beside them.
    bar = axes[0].figure.colorbar(axes[0].get_images()[0], ax=list(axes), fraction=0.03, pad=0.01)
    bar.ax.tick_params(labelsize=SMALL)
    return axes


def draw_panels(
    values: np.ndarray, titles: Sequence[str], columns: int, title: str, scale: dict[str, Any]
) -> np.ndarray:
    """A picture for each of ``values``, [n, H, W], on one colour scale, and a title above all."""
    columns = require_count(columns, "columns", least=1)
    columns = min(columns, len(values))
    rows = -(-len(values) // columns)

    # Few panels are no larger than those of a row of four.
    side = 9 / max(columns, 4)
    shape = values.shape[1] / values.shape[2]
    axes = new_axes(9, rows * (side * min(shape, 1.5) + 0.3) + 0.7, rows, columns)
    # No frames and ticks, also where the last row is not full
    for ax in axes:
        ax.set_axis_off()
    for ax, value, name in zip(axes, values, titles):
        ax.imshow(value, interpolation="nearest", **scale)
        ax.set_title(name, fontsize=SMALL, pad=3)
    axes[0].figure.suptitle(title, fontsize=FONT)
    return axes[: len(values)]


def signed_scale(values: np.ndarray) -> dict[str, Any]:
    """Colours for numbers with a sign, as far below 0 as above, so that 0 is white."""
    largest = float(np.abs(values).max())
    if largest == 0:
        largest = 1
    return {"cmap": DIVERGING, "vmin": -largest, "vmax": largest}


def finite_array(values: Any, name: str, dimensions: int | None, shape: str) -> np.ndarray:
    """Numbers as an array; ``CourseError`` for other dimensions, none, and what is not finite."""
    # What is drawn is known to have the dimensions that its panel has.
    array = number_array(values, name)
    if dimensions is not None and (array.ndim != dimensions or not array.size):
        raise CourseError(f"{name}: give {shape}, not the shape {list(array.shape)}")
    if not np.isfinite(array).all():
        raise CourseError(f"{name}: a number is not finite, which has no colour")
    return array
