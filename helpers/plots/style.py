"""Colours, sizes and labels that all figures share."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from helpers.data import ImageSplit

# Okabe and Ito (2008), told apart with any colour vision.
BLUE, ORANGE, RED = "#0072B2", "#E69F00", "#D55E00"
SMALL, FONT, DPI = 11, 13, 90


def new_axes(width: float, height: float, rows: int = 1, columns: int = 1) -> np.ndarray:
    """The Axes of a new figure, [rows * columns]; width and height in inches."""
    figure = plt.figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure.subplots(rows, columns, squeeze=False).ravel()


def noted(title: str, split: ImageSplit) -> str:
    """A title that ends in the note that the data carry: practice data must never pass for real ones."""
    return " · ".join(text for text in (title, split.note) if text)


def label_axes(ax: Axes, title: str, xlabel: str, ylabel: str, grid: str = "both") -> Axes:
    for text, words in ((ax.title, title), (ax.xaxis.label, xlabel), (ax.yaxis.label, ylabel)):
        text.set(text=words, fontsize=FONT)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(axis=grid, alpha=0.3)
        ax.set_axisbelow(True)
    return ax


def class_ticks(ax: Axes, names: Sequence[str]) -> None:
    slant = (
        {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        if max(map(len, names)) > 4
        else {}
    )
    ax.set_xticks(range(len(names)), names, **slant)
