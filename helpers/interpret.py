"""What a net got wrong: predictions over a whole split, mistakes by loss, accuracy per class, confusions."""

import math
from functools import cached_property
from typing import Any, NamedTuple

import torch

from helpers.data import Batches, ImageSplit
from helpers.environment import CourseError
from helpers.intervals import wilson
from helpers.markdown import Table


class Predictions:
    """What a net says about every image of a split, in the split's order; tensors on the CPU.

    ``logits``: float32 [N, classes], None where only classes were recorded; ``labels`` (the truth) and ``predicted``
    (unless given, the highest logit): int64 [N]; ``correct``: bool [N]; ``mistakes``: a count; ``accuracy``: percent.
    CourseError for what does not fit the split, and for probabilities or losses without logits.
    """

    def __init__(self, split: ImageSplit, logits: Any, predicted: Any = None) -> None:
        self.split, self.labels = split, split.labels.cpu()
        self.logits = None if logits is None else torch.as_tensor(logits).detach().float().cpu()
        self.predicted = (
            self.logits.argmax(-1) if predicted is None else torch.as_tensor(predicted).long().cpu()
        )
        classes = range(len(split.classes))
        for given, wanted in (
            (self.logits, (len(split), len(classes))),
            (self.predicted, (len(split),)),
        ):
            if given is not None and given.shape != wanted:
                raise CourseError(
                    f"predictions {tuple(given.shape)} do not fit a split of {wanted}: use their own"
                )
        if not set(self.predicted.tolist()) <= set(classes):
            raise CourseError(
                f"predicted classes go beyond the split's, 0 to {len(classes) - 1}: use their own split"
            )
        self.correct = self.predicted == self.labels
        self.mistakes = len(split) - int(self.correct.sum())
        self.accuracy = 100 * (len(split) - self.mistakes) / len(split) if len(split) else math.nan

    def __len__(self) -> int:
        return len(self.predicted)

    @cached_property
    def probabilities(self) -> torch.Tensor:
        """Softmax of the logits, [N, classes]."""
        return self._recorded_logits().softmax(1)

    @cached_property
    def losses(self) -> torch.Tensor:
        """Cross-entropy of each image in nats, [N]."""
        return torch.nn.functional.cross_entropy(
            self._recorded_logits(), self.labels, reduction="none"
        )

    def _recorded_logits(self) -> torch.Tensor:
        if self.logits is None:
            raise CourseError(
                "only classes were recorded, no probabilities or losses: use a record with logits"
            )
        return self.logits


class ClassAccuracy(NamedTuple):
    """One class: accuracy in percent (nan without images) and its 95 % Wilson interval [low, high]."""

    name: str
    correct: int
    count: int
    accuracy: float
    low: float
    high: float


def predict(model: torch.nn.Module, split: ImageSplit, batch_size: int = 500) -> Predictions:
    """Logits of a whole split, in evaluation mode on the model's device; modes are put back. No images: CourseError."""
    device = next((parameter.device for parameter in model.parameters()), None)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            outputs = [model(images) for images, _ in Batches(split, batch_size, device=device)]
    finally:
        for module, training in modes:
            module.training = training
    return Predictions(split, torch.cat(outputs))


def misclassified(predictions: Predictions, count: int | None = None) -> torch.Tensor:
    """Indices of misclassified images, highest loss first (equal losses in the split's order); ``count`` at most."""
    wrong = (~predictions.correct).nonzero()[:, 0]
    return wrong[predictions.losses[wrong].argsort(descending=True, stable=True)][:count]


def per_class_accuracy(predictions: Predictions) -> list[ClassAccuracy]:
    """Accuracy of every class with its 95 % Wilson interval, in the order of the classes."""
    matrix = confusion_matrix(predictions)
    counts = zip(predictions.split.classes, matrix.diagonal().tolist(), matrix.sum(1).tolist())
    return [
        ClassAccuracy(
            name, hits, count, 100 * hits / count if count else math.nan, *wilson(hits, count)
        )
        for name, hits, count in counts
    ]


def per_class_table(predictions: Predictions) -> Table:
    """``per_class_accuracy`` as a table, with counts and intervals."""
    rows = []
    for row in per_class_accuracy(predictions):
        interval = f"{row.low:.2f}–{row.high:.2f} %"
        rows.append(
            (row.name, f"{row.correct:,}", f"{row.count:,}", f"{row.accuracy:.2f} %", interval)
        )
    return Table(("class", "correct", "of", "accuracy", "95 % interval"), rows)


def confusion_matrix(predictions: Predictions) -> torch.Tensor:
    """Counts int64 [classes, classes]: row the true class, column the predicted one."""
    count = len(predictions.split.classes)
    return (
        (predictions.labels * count + predictions.predicted)
        .bincount(minlength=count * count)
        .view(count, count)
    )


def most_confused(predictions: Predictions, count: int = 5) -> list[tuple[str, str, int]]:
    """The ``count`` most frequent confusions as (true, predicted, how often); equal counts in the order of classes."""
    matrix, names = confusion_matrix(predictions).fill_diagonal_(0), predictions.split.classes
    pairs = [
        (names[row], names[column], int(matrix[row, column]))
        for row, column in matrix.nonzero().tolist()
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:count]
