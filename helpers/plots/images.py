"""Images with their classes and predictions."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from helpers.data import ImageSplit
from helpers.data.checks import as_places
from helpers.interpret import Predictions, misclassified
from helpers.plots.style import (
    FONT,
    RED,
    SMALL,
    new_axes,
    require,
    require_channels,
    require_count,
    with_note,
)

# One image, several, or a True or False for every image.
Indices = int | slice | Iterable[int] | np.ndarray | torch.Tensor


def show_images(
    split: ImageSplit,
    indices: Indices | None = None,
    count: int = 24,
    columns: int = 8,
    row_names: Sequence[str] = (),
) -> np.ndarray:
    """Images with their classes, ``columns`` in a row, an Axes each.

    Shows all ``indices`` (see ``chosen_images``), or the first ``count``; ``row_names`` stand
    upright, left of their rows. Raises ``CourseError`` for indices and counts that do not fit, and
    for images of other than 1 or 3 channels.
    """
    require(split, ImageSplit, "show_images")
    # The first images, unless others were asked for.
    if indices is None:
        indices = slice(require_count(count, "count"))
    chosen = chosen_images(indices, len(split))

    # A title is the name of a class.
    titles = []
    for label in split.labels[chosen].tolist():
        titles.append(split.classes[label])

    # An empty figure would leave the reader to guess.
    heading = ""
    if not titles:
        heading = "No image was chosen"
    axes = draw_grid(split, chosen, titles, columns, heading)

    # The layout makes room for what stands left of a picture.
    for ax, name in zip(axes[::columns], row_names):
        upright = {"rotation": 90, "ha": "right", "va": "center", "fontsize": SMALL}
        ax.text(-0.12, 0.5, name, transform=ax.transAxes, **upright)
    return axes


def show_predictions(
    predictions: Predictions,
    count: int = 12,
    seed: int = 0,
    indices: Indices | None = None,
) -> np.ndarray:
    """Images with label → answer and the answer's probability, the wrong ones in red.

    Shows all ``indices`` (see ``chosen_images``), or ``count`` images that ``seed`` picks.
    Returns an Axes for each. Raises ``CourseError`` for indices and counts that do not fit.
    """
    require(predictions, Predictions, "show_predictions")
    if indices is None:
        count = require_count(count, "count")
        # A generator of its own leaves torch's random numbers as they were.
        generator = torch.Generator().manual_seed(require_count(seed, "seed"))
        chosen = torch.randperm(len(predictions), generator=generator)[:count]
    else:
        chosen = chosen_images(indices, len(predictions))
    # A label can be wrong itself, so it is not called the true class.
    heading = "Label → answer, and the answer's probability"
    if not predictions.correct[chosen].all():
        heading = "Label → answer, wrong ones in red"
    return draw_predictions(predictions, chosen, heading)


def show_misclassified(predictions: Predictions, count: int = 12) -> np.ndarray:
    """The ``count`` mistakes with the highest loss, worst first, an Axes each.

    Titles as in ``show_predictions``. Raises ``CourseError`` where no logits were recorded.
    """
    require(predictions, Predictions, "show_misclassified")
    chosen = misclassified(predictions, require_count(count, "count"))
    # How many there are in all keeps the worst ones in proportion.
    heading = (
        f"{len(chosen)} of {predictions.mistakes:,} mistakes "
        f"in {len(predictions):,} images, highest loss first"
    )
    return draw_predictions(predictions, chosen, heading)


def chosen_images(indices: Indices, count: int) -> torch.Tensor:
    """Which of ``count`` images ``indices`` mean, int64 [n], in the order in which they are named.

    A whole number is one image, a slice means what it does for a list, and a mask (a True or False
    for every image) the images that are True, as for ``ImageSplit.subset``. Negative numbers count
    from the end. Raises ``CourseError`` for anything else.
    """
    # A number by itself is a list of one; NumPy's and torch's have no axis.
    if isinstance(indices, int):
        indices = [indices]
    elif isinstance(indices, np.ndarray | np.generic | torch.Tensor) and indices.ndim == 0:
        indices = indices.reshape(1)
    return as_places(indices, count)


def draw_predictions(predictions: Predictions, chosen: torch.Tensor, heading: str) -> np.ndarray:
    """The images at ``chosen``, int64 [n], under their labels and the answers."""
    # Long names need a line each.
    names = predictions.split.classes
    arrow = " →"
    if max(map(len, names), default=0) > 3:
        arrow = "\n→"

    # Label → answer, and its probability where it is known.
    titles = []
    for index in chosen.tolist():
        label = names[predictions.labels[index]]
        guess = names[predictions.predicted[index]]
        title = f"{label}{arrow} {guess}"
        if predictions.logits is not None:
            share = 100 * predictions.probabilities[index].max()
            title = f"{title}\n{share:.1f} %"
        titles.append(title)
    axes = draw_grid(predictions.split, chosen, titles, 6, heading)

    # Red alone would be lost on some readers: what is wrong is bold as well.
    for ax, right in zip(axes, predictions.correct[chosen].tolist()):
        if not right:
            ax.title.set_color(RED)
            ax.title.set_fontweight("bold")
    return axes


def draw_grid(
    split: ImageSplit,
    chosen: torch.Tensor,
    titles: list[str],
    columns: int,
    heading: str,
) -> np.ndarray:
    """The images at ``chosen``, int64 [n], row by row under their titles; an Axes each.

    Without an image one empty Axes is left, to carry the heading.
    """
    columns = require_count(columns, "columns", least=1)
    require_channels(split.images.shape[1])

    # The figure is as high as its images and the lines of their titles.
    lines = 1
    if titles:
        lines = titles[0].count("\n") + 1
    rows = max(1, -(-len(chosen) // columns))
    height = rows * (9 / columns + 0.2 * lines) + 0.4
    axes = new_axes(9, height, rows, columns)

    # No frames and ticks, also where the last row is not full.
    for ax in axes:
        ax.set_axis_off()

    # Matplotlib wants [H, W, C]; black and white are those of the file, not of the image.
    pictures = split.subset(chosen).images.permute(0, 2, 3, 1).cpu().numpy()
    for ax, picture, title in zip(axes, pictures, titles):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        ax.set_title(title, fontsize=SMALL, pad=3)
    axes[0].figure.suptitle(with_note(heading, split.note), fontsize=FONT)
    return axes[: max(1, len(chosen))]
