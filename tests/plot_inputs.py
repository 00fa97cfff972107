"""Images, predictions and epochs for the tests of the plots, and how their figures are read."""

from __future__ import annotations

import io

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.text import Text
from torch import nn

from helpers.data import ImageSplit
from helpers.interpret import Predictions

NAMES = ("ant", "bee", "cow", "dog")


def make_split(
    count: int = 40, channels: int = 1, classes: tuple[str, ...] = NAMES, note: str = ""
) -> ImageSplit:
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, channels, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % len(classes)
    return ImageSplit(images, labels, classes, (0.3,) * channels, (0.2,) * channels, note)


def make_predictions(**options: object) -> Predictions:
    split = make_split(**options)
    noise = torch.randn(len(split), len(split.classes), generator=torch.Generator().manual_seed(1))
    return Predictions(split, nn.functional.one_hot(split.labels, len(split.classes)) * 2 + noise)


def make_rows(epochs: int, shift: float = 0.0) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "learning_rate": 0.1,
            "train_loss": 0.5 / epoch + shift,
            "train_accuracy": 99 - 9 / epoch,
            "test_loss": 0.4 / epoch + shift,
            "test_accuracy": 99.4 - 5 / epoch + shift,
            "seconds": 1.0,
        }
        for epoch in range(1, epochs + 1)
    ]


def png(ax: Axes) -> bytes:
    file = io.BytesIO()
    ax.figure.savefig(file, dpi=ax.figure.dpi)
    return file.getvalue()


def drawn(ax: Axes) -> np.ndarray:
    return np.asarray(ax.get_images()[0].get_array())


def assert_legible(ax: Axes) -> None:
    """9 inches of 1,200 pixels or more at most, a small file, no text too small for a projector."""
    assert len(png(ax)) < 250_000
    assert ax.figure.get_figwidth() <= 9 and 1200 <= 9 * ax.figure.dpi <= 1280
    texts = [*(ax.findobj(Text) if ax.axison else [ax.title]), *ax.figure.texts]
    assert min(text.get_fontsize() for text in texts if text.get_text()) >= 11
