"""Pictures of images, as ``helpers.plots`` gives them, and what those share with its charts: sizes, colours, notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from helpers.data import ImageSplit
from helpers.environment import CourseError
from helpers.interpret import Predictions, misclassified

# Okabe and Ito (2008), told apart with any colour vision.
BLUE, ORANGE, GREEN, PURPLE, RED, GREY = COLORS = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#767676"
SMALL, FONT, DPI = 11, 13, 90


def new_axes(width: float, height: float, rows: int = 1, columns: int = 1) -> np.ndarray:
    """The Axes of a new figure, [rows * columns]; width and height in inches."""
    figure = plt.figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure.subplots(rows, columns, squeeze=False).ravel()


def noted(title: str, split: ImageSplit | None, note: str = "") -> str:
    """A title that says what the data carry as a note: practice data must never pass for real ones."""
    note = note or getattr(split, "note", "")
    return f"{title} ({note})" if title and note else title or note


def _grid(shown: ImageSplit, titles: Sequence[str], heading: str, columns: int = 6,
          wrong: Sequence[bool] = ()) -> np.ndarray:
    columns, size = max(1, min(columns, len(shown))), min(9 / max(columns, 1), 1.5)
    rows, lines = -(-len(shown) // columns), max(title.count("\n") + 1 for title in titles)
    axes = new_axes(max(6, size * columns), rows * (size + 0.2 * lines) + 0.4, rows, columns)
    for ax in axes:
        ax.set_axis_off()
    for place, (image, title) in enumerate(zip(shown.images.permute(0, 2, 3, 1).cpu().numpy(), titles)):
        axes[place].imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        style = {"color": RED, "fontweight": "bold"} if any(wrong[place:place + 1]) else {}
        axes[place].set_title(title, fontsize=SMALL, pad=3, **style)
    axes[0].figure.suptitle(heading, fontsize=FONT)
    return axes[:len(shown)]


def show_images(split: ImageSplit, indices: Any = None, count: int = 24, columns: int = 8,
                titles: Sequence[str] | None = None, note: str = "") -> np.ndarray:
    """Images with their classes: all ``indices`` (numbers, a slice or a mask), or the first ``count``; one Axes each.

    CourseError for an index that is not there, for no image at all, or for another number of ``titles`` than images.
    """
    try:
        shown = split.subset(slice(max(count, 1)) if indices is None else indices)
    except IndexError as error:
        raise CourseError(f"no such image: {error}; the split has indices 0 to {len(split) - 1}") from error
    titles = [split.classes[label] for label in shown.labels.tolist()] if titles is None else titles
    if not len(shown) or len(titles) != len(shown):
        raise CourseError(f"{len(titles)} titles for {len(shown)} images: choose at least one image, and "
                          "give one title each or none")
    return _grid(shown, titles, noted("", split, note), columns)


def _verdicts(predictions: Predictions, indices: torch.Tensor, heading: str, note: str) -> np.ndarray:
    names = predictions.split.classes
    arrow = "\n→" if max(map(len, names)) > 3 else " →"
    pairs = zip(predictions.labels[indices].tolist(), predictions.predicted[indices].tolist())
    titles = [f"{names[true]}{arrow} {names[guess]}" for true, guess in pairs]
    if predictions.logits is not None:
        shares = (100 * predictions.probabilities[indices].amax(1)).tolist()
        titles = [f"{title}\n{share:.1f} %" for title, share in zip(titles, shares)]
    wrong = (~predictions.correct[indices]).tolist()
    return _grid(predictions.split.subset(indices), titles, noted(heading, predictions.split, note), wrong=wrong)


def show_predictions(predictions: Predictions, count: int = 12, seed: int = 0, note: str = "") -> np.ndarray:
    """Images drawn at random: true class → predicted class and its probability, wrong ones in red."""
    indices = torch.randperm(len(predictions), generator=torch.Generator().manual_seed(seed))[:max(count, 1)]
    return _verdicts(predictions, indices, "True class → prediction, wrong ones in red", note)


def show_misclassified(predictions: Predictions, count: int = 12, note: str = "") -> np.ndarray:
    """The mistakes with the highest loss, worst first: true class → predicted class and its probability."""
    indices, images = misclassified(predictions, max(count, 1)), f"{len(predictions):,} images"
    if len(indices):
        heading = f"{len(indices)} of {predictions.mistakes:,} mistakes in {images}, highest loss first"
        return _verdicts(predictions, indices, heading, note)
    axes = new_axes(9, 0.6)
    axes[0].set_axis_off()
    axes[0].set_title(noted(f"No mistakes in {images}", predictions.split, note), fontsize=FONT)
    return axes
