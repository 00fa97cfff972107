"""Grids of images, as ``helpers.plots`` gives them, and what those share with its charts: sizes, colours, notes."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from helpers.data import ImageSplit
from helpers.interpret import Predictions, misclassified

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


def _grid(split: ImageSplit, titles: list[str], columns: int, heading: str) -> np.ndarray:
    rows, lines = max(1, -(-len(split) // columns)), "".join(titles[:1]).count("\n") + 1
    axes = new_axes(9, rows * (9 / columns + 0.2 * lines) + 0.4, rows, columns)
    for ax in axes:
        ax.set_axis_off()
    for ax, image, title in zip(axes, split.images.permute(0, 2, 3, 1).cpu().numpy(), titles):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        ax.set_title(title, fontsize=SMALL, pad=3)
    axes[0].figure.suptitle(noted(heading, split), fontsize=FONT)
    return axes[:max(1, len(split))]


def show_images(split: ImageSplit, indices: Any = None, count: int = 24, columns: int = 8) -> np.ndarray:
    """Images with their classes, an Axes each: all ``indices`` (numbers, a slice or a mask), or the first ``count``."""
    shown = split.subset(slice(count) if indices is None else indices)
    titles = [split.classes[label] for label in shown.labels]
    return _grid(shown, titles, columns, "" if titles else "No image was chosen")


def _verdicts(predictions: Predictions, indices: torch.Tensor, heading: str) -> np.ndarray:
    names, guessed = predictions.split.classes, predictions.predicted
    arrow = "\n→" if max(map(len, names)) > 3 else " →"
    titles = [f"{names[predictions.labels[index]]}{arrow} {names[guessed[index]]}" for index in indices]
    if predictions.logits is not None:
        shares = 100 * predictions.probabilities[indices].amax(1)
        titles = [f"{title}\n{share:.1f} %" for title, share in zip(titles, shares)]
    axes = _grid(predictions.split.subset(indices), titles, 6, heading)
    for ax in axes[:len(indices)][~predictions.correct[indices].numpy()]:
        ax.title.set(color=RED, fontweight="bold")
    return axes


def show_predictions(predictions: Predictions, count: int = 12, seed: int = 0) -> np.ndarray:
    """Images drawn at random: true class → predicted class and its probability, wrong ones in red."""
    indices = torch.randperm(len(predictions), generator=torch.Generator().manual_seed(seed))[:count]
    return _verdicts(predictions, indices, "True class → prediction, wrong ones in red")


def show_misclassified(predictions: Predictions, count: int = 12) -> np.ndarray:
    """The mistakes with the highest loss, worst first: true class → predicted class and its probability."""
    indices = misclassified(predictions, count)
    heading = f"{len(indices)} of {predictions.mistakes:,} mistakes in {len(predictions):,} images, highest loss first"
    return _verdicts(predictions, indices, heading)
