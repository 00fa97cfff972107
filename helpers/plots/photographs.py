"""Photographs of digits on their way to a net's input, and what a net reads in them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from helpers.data.photographs import Photographs, Steps
from helpers.environment import CourseError
from helpers.plots.images import Indices, chosen_images
from helpers.plots.style import (
    BLUE,
    FONT,
    GREY,
    RED,
    SMALL,
    new_axes,
    number_array,
    require,
    require_count,
)

HEADS = ("grey", "its light", "grey ÷ light", "the ink's box", "the net's input")
READING_HEADS = ("photograph", "the net's input")
WIDTHS = (1, 1, 2)  # of these and the bars: ten of them need more room than a picture
MOST = 3  # rows, unless others are asked for: more are too small to be read


def show_photograph_steps(
    photographs: Photographs, indices: Indices | None = None, count: int = MOST
) -> np.ndarray:
    """A row for each photograph: what ``data.from_images`` has made of it, step by step.

    Shows all ``indices`` (see ``chosen_images``), or the first ``count``. Returns an array of Axes,
    [photographs, steps]. Raises ``CourseError`` for indices and counts that do not fit.
    """
    require(photographs, Photographs, "show_photograph_steps")
    chosen = chosen_photographs(photographs, indices, count)
    axes = new_axes(9, 1.75 * len(chosen) + 0.6, len(chosen), len(HEADS))
    grid = axes.reshape(len(chosen), len(HEADS))
    for row, index in zip(grid, chosen):
        steps = photographs.steps[index]
        pictures = (steps.grey, steps.light, steps.even, steps.ink, steps.digit)
        for ax, picture in zip(row, pictures):
            show_grey(ax, picture)
        # The box, and the centre of mass that lies in the middle of the input.
        draw_box(row[3], steps)
        mark_middle(row[4], steps.digit)
        row[0].set_ylabel(titled(photographs, index), fontsize=SMALL)

    # What a column shows, above its first picture.
    for ax, head in zip(grid[0], HEADS):
        ax.set_title(head, fontsize=SMALL, pad=4)
    heading = "From a photograph to the input, step by step"
    grid[0, 0].figure.suptitle(heading, fontsize=FONT)
    return grid


def show_photograph_readings(
    photographs: Photographs, probabilities: Any, indices: Indices | None = None, count: int = MOST
) -> np.ndarray:
    """A row for each photograph: itself, the input, and the probabilities of the ten digits.

    probabilities: [N, 10], such as ``model(photographs.inputs).softmax(1)``

    The bar of the label is blue, of a wrong reading red; without a label none has a colour.
    Photographs are chosen as by ``show_photograph_steps``. Returns an array of Axes,
    [photographs, 3]. Raises ``CourseError`` for probabilities that are none, or of other
    photographs.
    """
    require(photographs, Photographs, "show_photograph_readings")
    chances = checked_chances(probabilities, len(photographs))
    chosen = chosen_photographs(photographs, indices, count)
    axes = new_axes(9, 1.75 * len(chosen) + 0.6, len(chosen), 3)
    grid = axes.reshape(len(chosen), 3)
    grid[0, 0].get_gridspec().set_width_ratios(WIDTHS)
    for row, index in zip(grid, chosen):
        # What was taken, what the net is given, and what it says.
        show_grey(row[0], photographs.steps[index].grey)
        show_grey(row[1], photographs.steps[index].digit)
        row[0].set_ylabel(titled(photographs, index), fontsize=SMALL)
        draw_chances(row[2], chances[index], photographs.labels[index])

    # Above the bars stands the reading of each, and at their axis what they are.
    for ax, head in zip(grid[0], READING_HEADS):
        ax.set_title(head, fontsize=SMALL, pad=4)
    grid[-1, 2].set_xlabel("digit", fontsize=SMALL)
    grid[0, 0].figure.suptitle("What the net reads", fontsize=FONT)
    return grid


def chosen_photographs(photographs: Photographs, indices: Indices | None, count: int) -> list[int]:
    """Which photographs are drawn; ``CourseError`` where it would be none."""
    # The first ones, unless others were asked for.
    if indices is None:
        indices = slice(require_count(count, "count", least=1))
    chosen = chosen_images(indices, len(photographs)).tolist()
    if not chosen:
        raise CourseError("no photograph was chosen: give the numbers of some, from 0")
    return chosen


def checked_chances(probabilities: Any, count: int) -> np.ndarray:
    """Probabilities as an array [count, 10]; ``CourseError`` where they are none."""
    chances = number_array(probabilities, "probabilities")
    if chances.shape != (count, 10):
        raise CourseError(
            f"probabilities {chances.shape} do not fit {count} photographs of ten digits: give "
            "model(photographs.inputs).softmax(1)"
        )
    # Logits would make bars of any length, and below nothing.
    if chances.min() < 0 or np.abs(chances.sum(1) - 1).max() > 0.01:
        raise CourseError("probabilities add up to 1 in each row: give logits.softmax(1)")
    return chances


def titled(photographs: Photographs, index: int) -> str:
    """The name of a photograph, and what it shows where that is known."""
    name = photographs.steps[index].name
    # A phone's names are long, and what differs stands at their ends.
    if len(name) > 18:
        name = "…" + name[-17:]
    label = photographs.labels[index]
    if label is None:
        return name
    return f"{name}\nlabel {label}"


def show_grey(ax: Axes, picture: np.ndarray) -> None:
    """A picture, uint8 [H, W], without ticks."""
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])


def draw_box(ax: Axes, steps: Steps) -> None:
    """The ink's box over the picture of the ink."""
    box = steps.box
    # The middle of a pixel is a whole number, its edge lies half a pixel before.
    place = (box.left - 0.5, box.top - 0.5)
    ax.add_patch(Rectangle(place, box.width, box.height, fill=False, color=RED, linewidth=1.5))


def mark_middle(ax: Axes, digit: np.ndarray) -> None:
    """A cross at the centre of mass of a digit, which lies in the middle of the input."""
    # Each pixel counts with its brightness.
    mass = digit / digit.sum()
    down, across = np.indices(digit.shape)
    ax.plot((mass * across).sum(), (mass * down).sum(), "+", color=RED, markersize=9)


def draw_chances(ax: Axes, chances: np.ndarray, label: int | None) -> None:
    """Ten bars; the reading and its probability in the title."""
    reading = int(chances.argmax())
    # Colour says right or wrong, and the words say it again; where nobody knows, all are grey.
    colors = [GREY] * 10
    words = f"read as {reading}, {100 * chances[reading]:.1f} %"
    if label is not None:
        colors[reading] = RED
        colors[label] = BLUE
    if label is not None and label != reading:
        words = f"{words}, and is {label}"
    ax.bar(range(10), 100 * chances, color=colors)
    # One scale for all, so that doubt is seen beside certainty.
    ax.set_ylim(0, 100)
    ax.set_xticks(range(10))
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_ylabel("probability (%)", fontsize=SMALL)
    ax.set_title(words, fontsize=SMALL, pad=4)
