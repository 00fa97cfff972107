"""Records that the tests of records and tables make by hand."""

from __future__ import annotations

import numpy
import torch

from helpers.data import ImageData, ImageSplit
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.records import Result

LABELS = (1, 2, 4)


# What each trial of a search says of its making.
MADE_WITH = {"environment": {"device": "cpu"}, "commit": "a" * 40}


def images(labels: tuple[int, ...] = LABELS) -> ImageData:
    """A data set of three black images."""
    pixels = torch.zeros(len(labels), 1, 28, 28, dtype=torch.uint8)
    split = ImageSplit(pixels, torch.tensor(labels), tuple("0123456789"), (0.1,), (0.3,))
    return ImageData("mnist", "folder", split.classes, split.mean, split.std, split, split, split)


def result(
    name="first", accuracies=(99.0,), source="folder", seeds=None, commit="a" * 40, **arrays
):
    """A record of one epoch a seed; its predictions, 1, 2 and 3, are of three images."""
    runs = []
    for seed, accuracy in zip(seeds or range(len(accuracies)), accuracies):
        row = {"epoch": 1, "learning_rate": 0.1, "train_loss": 0.2, "train_accuracy": 90.0}
        row |= {"test_loss": 0.1, "test_accuracy": accuracy, "seconds": 2.0}
        runs.append({"seed": seed, "seconds": 2.0, "epochs": [row]})
    record = {
        "name": name,
        "recipe": EXPERIMENTS[name].hyperparameters(),
        "parameters": 5958,
        "data": {"name": "mnist", "source": source, "digest": images().digest},
        "environment": {"device": "cpu", "device_name": "x86", "threads": 2, "torch": "2.9.0"},
        "commit": commit,
        "recorded": "2026-01-02T03:04:05+00:00",
        "runs": runs,
    }
    predictions = numpy.tile(numpy.array([1, 2, 3], dtype="uint8"), (len(runs), 1))
    return Result(record, {"predictions": predictions} | arrays)
