"""Images with their classes and predictions."""

from typing import Any

import numpy as np
import torch

from helpers.data import ImageSplit
from helpers.interpret import Predictions, misclassified
from helpers.plots.style import FONT, RED, SMALL, new_axes, noted


def _grid(split: ImageSplit, titles: list[str], columns: int, heading: str) -> np.ndarray:
    rows, lines = max(1, -(-len(split) // columns)), "".join(titles[:1]).count("\n") + 1
    axes = new_axes(9, rows * (9 / columns + 0.2 * lines) + 0.4, rows, columns)
    for ax in axes:
        ax.set_axis_off()
    for ax, image, title in zip(axes, split.images.permute(0, 2, 3, 1).cpu().numpy(), titles):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        ax.set_title(title, fontsize=SMALL, pad=3)
    axes[0].figure.suptitle(noted(heading, split), fontsize=FONT)
    return axes[: max(1, len(split))]


def show_images(
    split: ImageSplit, indices: Any = None, count: int = 24, columns: int = 8
) -> np.ndarray:
    """Images with their classes, an Axes each: all ``indices`` (numbers, a slice or a mask), or the first ``count``."""
    shown = split.subset(slice(count) if indices is None else indices)
    titles = [split.classes[label] for label in shown.labels]
    return _grid(shown, titles, columns, "" if titles else "No image was chosen")


def _verdicts(predictions: Predictions, indices: torch.Tensor, heading: str) -> np.ndarray:
    names, guessed = predictions.split.classes, predictions.predicted
    arrow = "\n→" if max(map(len, names)) > 3 else " →"
    titles = [
        f"{names[predictions.labels[index]]}{arrow} {names[guessed[index]]}" for index in indices
    ]
    if predictions.logits is not None:
        shares = 100 * predictions.probabilities[indices].amax(1)
        titles = [f"{title}\n{share:.1f} %" for title, share in zip(titles, shares)]
    axes = _grid(predictions.split.subset(indices), titles, 6, heading)
    for ax in axes[: len(indices)][~predictions.correct[indices].numpy()]:
        ax.title.set(color=RED, fontweight="bold")
    return axes


def show_predictions(
    predictions: Predictions, count: int = 12, seed: int = 0, indices: Any = None
) -> np.ndarray:
    """All ``indices``, or ``count`` at random: true class → predicted class and its probability, wrong ones in red."""
    if indices is None:
        indices = torch.randperm(len(predictions), generator=torch.Generator().manual_seed(seed))[
            :count
        ]
    chosen = torch.as_tensor(indices, dtype=torch.int64)
    return _verdicts(predictions, chosen, "True class → prediction, wrong ones in red")


def show_misclassified(predictions: Predictions, count: int = 12) -> np.ndarray:
    """The mistakes with the highest loss, worst first: true class → predicted class and its probability."""
    indices = misclassified(predictions, count)
    heading = f"{len(indices)} of {predictions.mistakes:,} mistakes in {len(predictions):,} images, highest loss first"
    return _verdicts(predictions, indices, heading)
