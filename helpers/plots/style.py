"""Colours, sizes, axes and labels that all figures share."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.environment import CourseError, whole_number
from helpers.plots.descriptions import describe_in_notebook

# Near the colours of Okabe and Ito (2008), which any colour vision tells apart, and darker, as
# WCAG 2.2 asks: a line has a contrast of 3 : 1 with a white page (criterion 1.4.11), RED and
# GREY have the 4.5 : 1 of text (criterion 1.4.3). All have 3 : 1 with a black image, too.
BLUE = "#0072B2"
ORANGE = "#D17A00"
RED = "#C8102E"
GREEN = "#009E73"
PURPLE = "#CC79A7"
GREY = "#767676"

# Curves take their colours in this order.
COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)

# Sizes of text in points: ticks and legends, titles and labels.
SMALL = 11
FONT = 13
DPI = 135  # pixels per inch: 9 inches are 1,215 pixels, as a projector of 1,280 has them

# Matplotlib's ways of drawing that open no window and show nothing in a notebook.
WITHOUT_SCREEN = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")


def new_axes(width: float, height: float, rows: int = 1, columns: int = 1) -> np.ndarray:
    """The Axes of a new figure, [rows * columns], row by row; width and height in inches.

    In a notebook or beside a window pyplot keeps the figure: the notebook shows it when the cell
    ends and forgets it, the window is the reader's to close. Elsewhere nothing keeps it.
    """
    size = (width, height)
    if plt.get_backend().lower() in WITHOUT_SCREEN:
        # Beside pyplot's register: the figure goes with its last Axes.
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)  # what draws it
    else:
        with warnings.catch_warnings():
            # A cell may draw more than twenty figures: they are closed when it ends.
            warnings.filterwarnings("ignore", "More than .* figures have been opened")
            figure = plt.figure(figsize=size, dpi=DPI, layout="constrained")
        # Only now has a notebook chosen how it draws.
        describe_in_notebook()
    return figure.subplots(rows, columns, squeeze=False).ravel()


def one_axes(ax: Axes | Sequence[Axes] | np.ndarray | None, width: float, height: float) -> Axes:
    """The Axes that the caller gave, also as an array of one, or that of a new figure.

    Raises ``CourseError`` for several Axes, and for what is none.
    """
    if ax is None:
        return new_axes(width, height)[0]
    flat = given_axes(ax, 1)
    if len(flat) > 1:
        raise CourseError(f"one Axes is needed, not {len(flat)}: give one of them, as axes[0]")
    return flat[0]


def given_axes(axes: Axes | Sequence[Axes] | np.ndarray, count: int) -> np.ndarray:
    """All Axes that the caller gave, in one row; ``CourseError`` for fewer than ``count``."""
    flat = np.ravel(np.asarray(axes, dtype=object))
    for each in flat:
        if not isinstance(each, Axes):
            given = type(each).__name__
            raise CourseError(f"Axes are needed to draw in, not {given}: new_axes makes them")
    if len(flat) < count:
        raise CourseError(f"{count} panels need {count} Axes, not {len(flat)}: new_axes makes them")
    return flat


def next_color(ax: Axes) -> str:
    """The colour of the next curve in ``ax``: each of ``COLORS`` in turn."""
    # Lines are curves through points, patches are curves in steps.
    curves = len(ax.lines) + len(ax.patches)
    return COLORS[curves % len(COLORS)]


def with_note(title: str, note: str) -> str:
    """A title that ends in the note of its data: practice data must never pass for real ones."""
    if title and note:
        return f"{title} · {note}"
    return title or note


def label_axes(
    ax: Axes,
    title: str,
    xlabel: str,
    ylabel: str,
    grid: Literal["both", "x", "y"] | None = "both",
) -> Axes:
    """Title and labels at the sizes of a projector, and grid lines along ``grid``."""
    ax.set_title(title, fontsize=FONT)
    ax.set_xlabel(xlabel, fontsize=FONT)
    ax.set_ylabel(ylabel, fontsize=FONT)
    ax.tick_params(labelsize=SMALL)

    # What carries no information goes, or stays behind what does.
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(axis=grid, alpha=0.3)
        ax.set_axisbelow(True)
    return ax


def readable_on(background: str) -> str:
    """Black or white, whichever stands out more from a colour.

    The one with the higher contrast by WCAG 2.2, (L + 0.05) / (l + 0.05) with L and l the
    relative luminances of the lighter and the darker colour: 4.5 at least.
    """
    # How bright the colour is to the eye: most of that is green.
    luminance = 0.0
    for share, channel in zip((0.2126, 0.7152, 0.0722), to_rgb(background)):
        if channel <= 0.04045:
            linear = channel / 12.92
        else:
            linear = ((channel + 0.055) / 1.055) ** 2.4
        luminance += share * linear

    # Contrast is a ratio, with a little light that every screen scatters.
    on_white = 1.05 / (luminance + 0.05)
    on_black = (luminance + 0.05) / 0.05
    if on_white > on_black:
        return "white"
    return "black"


def whole_ticks(axis: Axis) -> None:
    """Ticks at whole numbers alone, also where only one fits: there is no epoch 1.5."""
    steps = [1, 2, 2.5, 5, 10]
    axis.set_major_locator(MaxNLocator("auto", steps=steps, integer=True, min_n_ticks=1))


def label_classes(ax: Axes, names: Sequence[str]) -> None:
    """A tick for every class; names too long to stand side by side are slanted."""
    ax.set_xticks(range(len(names)), names)
    longest = max(map(len, names), default=0)
    if longest > 4:
        slanted = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        plt.setp(ax.get_xticklabels(), **slanted)


def require(value: object, kind: type, function: str) -> None:
    """Raise a ``CourseError`` of one line where ``function`` was given another kind of thing."""
    if not isinstance(value, kind):
        given = type(value).__name__
        raise CourseError(f"{function} draws {kind.__name__}, not {given}: give it one")


def require_channels(channels: int) -> None:
    """Raise a ``CourseError`` where images of so many channels cannot be shown."""
    # Matplotlib would take four channels for red, green, blue and how opaque a pixel is.
    if channels not in (1, 3):
        raise CourseError(f"images of {channels} channels cannot be shown: give 1 (grey) or 3")


def number_array(values: Any, name: str) -> np.ndarray:
    """Numbers as an array of floats, of the shape in which they are given.

    ``values`` is a number, a sequence, an array, a tensor (also one that requires grad), or a
    dictionary, whose values are taken. Raises ``CourseError``, which says ``name``, for the rest.
    """
    if isinstance(values, Mapping):
        values = values.values()
    # A loss or a weight remembers how it was calculated, which no drawing needs.
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double()
    elif isinstance(values, Iterable) and not isinstance(values, np.ndarray | str):
        plain = []
        for value in values:
            if isinstance(value, torch.Tensor):
                value = value.detach().cpu().double()
            plain.append(value)
        values = plain
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        given = type(values).__name__
        raise CourseError(f"{name} are numbers, not {given}: give a sequence of them") from None


def finite_number(value: float, name: str) -> float:
    """A loss as a number; ``CourseError`` for what is none, or not finite."""
    height = number_array(value, name)
    if height.ndim != 0 or not np.isfinite(height):
        raise CourseError(f"{name}={value!r}: give a finite number, such as math.log(10)")
    return float(height)


def require_count(value: object, name: str, least: int = 0) -> int:
    """``value`` as an int; ``CourseError`` where it is no whole number of at least ``least``."""
    number = whole_number(value, least)
    if number is None:
        raise CourseError(f"{name}={value!r}: give a whole number of at least {least}")
    return number
