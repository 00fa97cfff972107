"""Receptive fields drawn over an image, and measured ones as heat maps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from helpers.data import ImageSplit
from helpers.environment import CourseError, whole_number
from helpers.plots.style import (
    BLUE,
    FONT,
    ORANGE,
    RED,
    SMALL,
    given_axes,
    new_axes,
    require,
    require_channels,
    with_note,
)
from helpers.receptive_field.measured import EffectiveReceptiveField
from helpers.receptive_field.table import ReceptiveFieldTable, Row

MOST_LAYERS = 12  # that one figure shows
LONGEST_TITLE = 17  # characters that fit above one of six panels
HALF = 0.5  # the share of the gradient that is drawn

Fields = (
    EffectiveReceptiveField
    | Iterable[EffectiveReceptiveField]
    | Mapping[str, EffectiveReceptiveField]
)


class Box(NamedTuple):
    """A rectangle of pixels, its last row and column included; they may lie beyond the border."""

    top: float
    left: float
    bottom: float
    right: float

    @property
    def height(self) -> float:
        return self.bottom - self.top + 1

    @property
    def width(self) -> float:
        return self.right - self.left + 1

    def __str__(self) -> str:
        return f"{self.height:g}×{self.width:g} px"


def plot_receptive_field(
    field: ReceptiveFieldTable | Fields,
    split: ImageSplit | None = None,
    index: int = 0,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """A receptive field drawn, by ``plot_field_growth`` or by ``plot_effective_fields``.

    What ``field`` is decides which of the two is called:

    - A ``ReceptiveFieldTable``: ``plot_field_growth(field, split, index, axes)`` draws squares over
      the image ``index`` of ``split``. Without ``split`` it is a ``CourseError``.
    - One or several ``EffectiveReceptiveField``: ``plot_effective_fields(field, axes, note)`` draws
      heat maps. The note is that of ``split``, if one is given; ``index`` is not used.
    """
    if isinstance(field, ReceptiveFieldTable):
        if split is None:
            raise CourseError(
                "a table is drawn over an image: give the split that holds it, such as data.test"
            )
        return plot_field_growth(field, split, index, axes)
    note = ""
    if split is not None:
        note = split.note
    return plot_effective_fields(field, axes, note)


def plot_field_growth(
    table: ReceptiveFieldTable,
    split: ImageSplit,
    index: int = 0,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """What a layer's middle position sees of an image of ``split``, as a square drawn to scale.

    One Axes for each layer whose field exceeds all before it, 12 of them at most, evenly chosen.
    Raises ``CourseError`` for a table without rows, an index beyond the split, images of other than
    1 or 3 channels, and too few Axes.
    """
    require(split, ImageSplit, "plot_field_growth")
    require_channels(split.images.shape[1])
    place = whole_number(index)
    if place is None or not -len(split) <= place < len(split):
        raise CourseError(f"index={index!r} of {len(split)} images: give one of them, from 0 on")

    # Layers that see no more than those before them say nothing new.
    rows = growing_rows(table)
    if not rows:
        raise CourseError("the table has no row to draw: make one with receptive_field_table")

    # Of a deep net the first, the last, and layers evenly spaced between them.
    heading = "Seen by the middle position, layer by layer"
    if len(rows) > MOST_LAYERS:
        heading = f"Seen by the middle position, {MOST_LAYERS} of {len(rows)} layers"
        chosen = np.linspace(0, len(rows) - 1, MOST_LAYERS).round().astype(int)
        rows = [rows[number] for number in chosen]

    # The same image in every panel, and on it what the layer sees.
    picture = split.images[place].permute(1, 2, 0).cpu().numpy()
    panels = panel_axes(len(rows), axes)
    for ax, row in zip(panels, rows):
        ax.imshow(picture, "gray", vmin=0, vmax=255, interpolation="nearest")
        box = seen_from_the_middle(row)
        draw_box(ax, box, RED, "-")
        ax.set_title(f"{two_lines(row.title)}\n{box}", fontsize=SMALL)
    share_view(panels)
    panels[0].figure.suptitle(with_note(heading, split.note), fontsize=FONT)
    return panels


def plot_effective_fields(
    fields: Fields,
    axes: Axes | Sequence[Axes] | np.ndarray | None = None,
    note: str = "",
) -> np.ndarray:
    """Heat maps of measured receptive fields, an Axes each, every one scaled to its largest value.

    ``fields``: one ``EffectiveReceptiveField``, several, or a dictionary by title. A solid box is
    the field by formula, a dashed one the smallest square around its middle that holds half of the
    gradient. ``note``: that of the data. Raises ``CourseError`` for no field, for anything else,
    and for too few Axes.
    """
    named = titled_fields(fields)
    panels = panel_axes(len(named), axes)
    for ax, (title, field) in zip(panels, named):
        # A map without any gradient stays black.
        largest = float(field.map.max())
        if largest == 0:
            largest = 1.0
        ax.imshow(field.map.numpy() / largest, "magma", vmin=0, vmax=1, interpolation="nearest")

        # By formula; some layers are beyond it.
        if field.box is not None:
            box = Box(*field.box)
            draw_box(ax, box, BLUE, "-")
            title = f"{title}\ntheory {box}"

        # As measured; a dead layer sees nothing.
        half = square_holding(field, HALF)
        if half is not None:
            draw_box(ax, half, ORANGE, "--")
            title = f"{title}\nhalf within {half}"
        ax.set_title(title, fontsize=SMALL)
    share_view(panels)

    # One scale of colours for all: each map is scaled to its own largest value.
    figure = panels[0].figure
    bar = figure.colorbar(panels[0].images[0], ax=list(panels))
    bar.set_label("mean |gradient|, largest = 1", fontsize=FONT)
    bar.ax.tick_params(labelsize=SMALL)
    figure.suptitle(with_note("Solid: theory, dashed: half of the gradient", note), fontsize=FONT)
    return panels


def square_holding(field: EffectiveReceptiveField, share: float) -> Box | None:
    """The smallest square around the middle of a field that holds a share of its gradient.

    The middle is that of the field by formula, or else the gradient's centre of mass. ``share`` is
    from above 0 to 1. None where there is no gradient. The square may be larger than the image.
    Unlike the outermost pixel above a threshold, one noisy pixel hardly moves it.
    """
    if not 0 < share <= 1:
        raise CourseError(f"share={share!r}: give a share of the gradient, above 0 and at most 1")
    values = field.map.double().numpy()
    total = values.sum()
    if total == 0:
        return None

    # The middle of the square.
    rows, columns = np.indices(values.shape)
    if field.box is not None:
        top, left, bottom, right = field.box
        row, column = (top + bottom) / 2, (left + right) / 2
    else:
        row = round(float((rows * values).sum() / total))
        column = round(float((columns * values).sum() / total))

    # From the middle outwards, ring by ring, until the share is reached.
    distances = np.maximum(abs(rows - row), abs(columns - column))
    reach = distances.max()
    for distance in np.unique(distances):
        # Rounding must not ask for a ring more where the last pixel is needed.
        if values[distances <= distance].sum() >= share * total * (1 - 1e-9):
            reach = distance
            break
    return Box(float(row - reach), float(column - reach), float(row + reach), float(column + reach))


def titled_fields(fields: Fields) -> list[tuple[str, EffectiveReceptiveField]]:
    """Every measured field with its title: its name, or else its layer."""
    named = []
    # A dictionary brings its own titles.
    if isinstance(fields, Mapping):
        named = list(fields.items())
    else:
        # One field is a list of one, and is called after its layer.
        if not isinstance(fields, Iterable):
            fields = [fields]
        for field in fields:
            layer = getattr(field, "layer", "")
            title = "output"
            if layer:
                title = f"layer {layer}"
            named.append((title, field))

    if not named:
        raise CourseError("there is no field to draw: measure one with effective_receptive_field")
    for _, field in named:
        require(field, EffectiveReceptiveField, "plot_effective_fields")
    return named


def growing_rows(table: ReceptiveFieldTable) -> list[Row]:
    """The rows whose field is larger than all before it, along rows or columns."""
    # A branch may see less than the layers before it.
    growing = []
    largest = np.zeros(2)
    for row in table:
        size = np.broadcast_to(row.rf, 2)
        if (size > largest).any():
            growing.append(row)
        largest = np.maximum(largest, size)
    return growing


def seen_from_the_middle(row: Row) -> Box:
    """What the middle output position of a layer sees, in pixels.

    ``start`` is the centre of what the first position sees, and each position lies ``jump`` pixels
    after the one before it.
    """
    # A table holds one number where rows and columns agree.
    size = np.broadcast_to(row.rf, 2)
    middle = np.broadcast_to(row.n_out, 2) // 2
    centre = np.broadcast_to(row.start, 2) + middle * np.broadcast_to(row.jump, 2)

    # In pixels counted from 0, first and last included.
    first = centre - size / 2
    last = first + size - 1
    return Box(top=first[0], left=first[1], bottom=last[0], right=last[1])


def two_lines(title: str) -> str:
    """A long name such as ``layer1.1.layers.0.0``, broken at a dot; a short one as it is."""
    parts = title.split(".")
    if len(title) <= LONGEST_TITLE or len(parts) == 1:
        return title
    middle = len(parts) // 2
    first = ".".join(parts[:middle])
    second = ".".join(parts[middle:])
    return f"{first}.\n{second}"


def panel_axes(count: int, axes: Axes | Sequence[Axes] | np.ndarray | None) -> np.ndarray:
    """An Axes for each of ``count`` panels: those given, or new ones in one row or two."""
    # Up to four panels fit beside each other.
    rows = 1
    columns = count
    if count > 4:
        rows = 2
        columns = -(-count // 2)
    if axes is None:
        width = min(9, 6 * columns)
        height = rows * (min(4, 9 / columns) + 0.5) + 0.4
        axes = new_axes(width, height, rows, columns)

    # Places beyond the last panel stay empty.
    every = given_axes(axes, count)
    for unused in every[count:]:
        unused.set_axis_off()
    return every[:count]


def draw_box(ax: Axes, box: Box, color: str, style: str) -> None:
    """The outline of a box; the middle of a pixel is a whole number, its edges lie half beside."""
    corner = (box.left - 0.5, box.top - 0.5)
    outline = Rectangle(corner, box.width, box.height, fill=False, ec=color, ls=style, lw=3)
    ax.add_patch(outline)


def share_view(panels: np.ndarray) -> None:
    """The same limits for all panels, so that sizes compare, with a margin beyond the largest."""
    # What images and boxes cover, in all panels together.
    view = panels[0].dataLim.union([ax.dataLim for ax in panels])
    # A pixel of a small view has room for the line of a box, one of a large view is too narrow.
    view = view.padded(max(1, 0.02 * view.width))
    for ax in panels:
        ax.set_xlim(view.intervalx)
        ax.set_ylim(view.intervaly[::-1])  # row 0 on top
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_frame_on(False)
