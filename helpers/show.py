"""Images and fields over them, as ``helpers.plots`` gives them, and what those share with its charts."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from helpers.data import ImageSplit
from helpers.environment import CourseError
from helpers.interpret import Predictions, misclassified
from helpers.receptive_field import ReceptiveFieldTable

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


def show_predictions(predictions: Predictions, count: int = 12, seed: int = 0, indices: Any = None) -> np.ndarray:
    """All ``indices``, or ``count`` at random: true class → predicted class and its probability, wrong ones in red."""
    if indices is None:
        indices = torch.randperm(len(predictions), generator=torch.Generator().manual_seed(seed))[:count]
    chosen = torch.as_tensor(indices, dtype=torch.int64)
    return _verdicts(predictions, chosen, "True class → prediction, wrong ones in red")


def show_misclassified(predictions: Predictions, count: int = 12) -> np.ndarray:
    """The mistakes with the highest loss, worst first: true class → predicted class and its probability."""
    indices = misclassified(predictions, count)
    heading = f"{len(indices)} of {predictions.mistakes:,} mistakes in {len(predictions):,} images, highest loss first"
    return _verdicts(predictions, indices, heading)


def plot_receptive_field(field: Any, split: ImageSplit | None = None, index: int = 0, axes: Any = None) -> np.ndarray:
    """What a layer's middle position sees of an image of ``split``, to scale: 12 layers at most, where a table grows.

    Or heat maps: of one EffectiveReceptiveField, several, or a dict by name. CourseError for a table without ``split``.
    """
    table = isinstance(field, ReceptiveFieldTable)
    looks = (("", RED, "-"),) if table else (("theory ", BLUE, "-"), ("measured ", ORANGE, "--"))
    heading, panels = _grown(field, split, index) if table else ("Solid: theory, dashed: measured", [
        (name or "output", one.map.numpy() / (float(one.map.max()) or 1), one.box, one.seen) for name, one in (
            field.items() if isinstance(field, dict) else
            [(one.layer and f"layer {one.layer}", one) for one in np.ravel(field)])])
    rows, columns = (1, len(panels)) if len(panels) < 5 else (2, -(-len(panels) // 2))
    height = rows * (min(4, 9 / columns) + 0.5) + 0.4
    axes = new_axes(min(9, 6 * columns), height, rows, columns) if axes is None else np.ravel(axes)
    for ax, (title, picture, *boxes) in zip(axes, panels):
        ax.imshow(picture, "gray" if table else "magma", vmin=0, vmax=255 if table else 1, interpolation="nearest")
        for (top, left, bottom, right), (word, color, style) in (pair for pair in zip(boxes, looks) if pair[0]):
            height, width = bottom - top + 1, right - left + 1  # with the last pixels
            ax.add_patch(plt.Rectangle((left - 0.5, top - 0.5), width, height, fill=False, ec=color, ls=style, lw=3))
            title += f"\n{word}{height:g}×{width:g} px"
        ax.set_title(title, fontsize=SMALL)
    view = axes[0].dataLim.union([ax.dataLim for ax in axes[:len(panels)]]).padded(1)
    plt.setp(axes, xlim=view.intervalx, ylim=view.intervaly[::-1], xticks=[], yticks=[], frame_on=False)
    if not table:
        bar = axes[0].figure.colorbar(axes[0].images[0], ax=list(axes))
        bar.set_label("mean |gradient|, largest = 1", fontsize=FONT)
        bar.ax.tick_params(labelsize=SMALL)
    axes[0].figure.suptitle(noted(heading, split) if split else heading, fontsize=FONT)
    return axes[:len(panels)]


def _grown(table: ReceptiveFieldTable, split: ImageSplit | None, index: int) -> tuple[str, list[tuple[Any, ...]]]:
    if split is None:
        raise CourseError("a table is drawn over an image: give the split that holds it, such as data.test")
    largest = np.maximum.accumulate([(0, 0), *(np.broadcast_to(row.rf, 2) for row in table)])
    grew, panels = np.flatnonzero(np.diff(largest, axis=0).any(1)), []
    for row in (table[grew[at]] for at in np.linspace(0, len(grew) - 1, min(12, len(grew))).round().astype(int)):
        rf, start, jump, n_out = (np.broadcast_to(size, 2) for size in (row.rf, row.start, row.jump, row.n_out))
        first = start + n_out // 2 * jump - rf / 2  # where the square begins, in pixels
        name = row.name if any(map(str.isalpha, row.name)) else f"{row.kind} {row.name}"
        panels.append((name, split.images[index].permute(1, 2, 0).cpu().numpy(), (*first, *(first + rf - 1))))
    return f"Seen by the middle position, {f'12 of {len(grew)} layers' if len(grew) > 12 else 'layer by layer'}", panels
