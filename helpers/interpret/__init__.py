"""What a net got wrong: predictions over a whole split, mistakes by loss, confusions.

Nothing here trains. A measure is always over all images of a split, never over one batch.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from helpers.data import Batches, ImageSplit
from helpers.data.checks import is_whole
from helpers.environment import CourseError, whole_number
from helpers.intervals import wilson
from helpers.models import check_net, device_of, evaluating, kind_of
from helpers.training.checks import check_logits, explained


class Predictions:
    """What a net says about every image of a split, in the split's order; tensors on the CPU.

    logits: float32 [N, classes], or float64 where they were; None where only classes were recorded.
    labels: the true classes, int64 [N].
    predicted: the classes that the net names, int64 [N]; the highest logit's unless given.
    correct: bool [N].
    mistakes: how many are not correct.
    accuracy: percent; nan for a split without images.

    Raises ``CourseError`` for logits or classes that do not fit the split, for logits that are not
    finite, and for probabilities or losses where only classes were recorded.
    """

    def __init__(self, split: ImageSplit, logits: Any, predicted: Any = None) -> None:
        check_split("Predictions", split)
        self.split = split
        self.labels = split.labels.cpu().long()

        # A record may hold classes alone: they take less room than logits.
        self.logits = None
        if logits is not None:
            self.logits = as_logits(logits, split)

        # Recorded logits are rounded, which can move the highest: recorded classes go before them.
        if predicted is not None:
            self.predicted = as_classes(predicted, split)
        else:
            self.predicted = self._recorded_logits().argmax(1)

        # Of an empty split there is no share, and the count alone would divide by zero.
        count = len(split)
        self.correct = self.predicted == self.labels
        self.mistakes = count - int(self.correct.sum())
        self.accuracy = math.nan
        if count > 0:
            self.accuracy = 100 * (count - self.mistakes) / count

    def __len__(self) -> int:
        return len(self.predicted)

    @cached_property
    def probabilities(self) -> torch.Tensor:
        """Softmax of the logits, [N, classes]."""
        return self._recorded_logits().softmax(1)

    @cached_property
    def losses(self) -> torch.Tensor:
        """Cross-entropy of each image in nats, [N]."""
        return F.cross_entropy(self._recorded_logits(), self.labels, reduction="none")

    def _recorded_logits(self) -> torch.Tensor:
        if self.logits is None:
            raise CourseError(
                "only classes were recorded, no probabilities or losses: use a record with logits"
            )
        return self.logits


def as_logits(values: Any, split: ImageSplit) -> torch.Tensor:
    """Logits of all images of a split, as float32 or float64 [N, classes] on the CPU."""
    # Float64 stays: rounded to float32, two logits that differ could become equal.
    logits = torch.as_tensor(values).detach().cpu()
    if logits.dtype != torch.float64:
        logits = logits.float()
    check_shape(logits, (len(split), len(split.classes)))

    # The largest of numbers that are none would be the first class, without a word.
    finite = logits.isfinite().all(1)
    if not finite.all():
        index = int(finite.int().argmin())
        raise CourseError(
            f"the logits of {int((~finite).sum())} of {len(split)} images are not finite, first at "
            f"index {index}: give a net whose weights are finite numbers, such as a new one"
        )
    return logits


def as_classes(values: Any, split: ImageSplit) -> torch.Tensor:
    """A class number for every image of a split, from whole numbers of any type, as int64 [N]."""
    classes = torch.as_tensor(values).cpu()
    check_shape(classes, (len(split),))
    if len(classes) > 0 and not is_whole(classes.dtype):
        raise CourseError(
            f"predicted classes of a split are whole numbers, not {classes.dtype}: give int64"
        )

    # Wide numbers first: a comparison of unsigned ones with 0 says little.
    classes = classes.long()
    highest = len(split.classes) - 1
    outside = (classes < 0) | (classes > highest)
    if outside.any():
        index = int(outside.nonzero()[0])
        raise CourseError(
            f"predicted class {int(classes[index])} at index {index} is none of the split's, "
            f"0 to {highest}: use the split that was predicted"
        )
    return classes


def check_shape(values: torch.Tensor, wanted: tuple[int, ...]) -> None:
    """Raise ``CourseError`` unless predictions have the shape that a split wants."""
    if values.shape != wanted:
        raise CourseError(
            f"predictions {tuple(values.shape)} do not fit a split of {wanted}: use their own"
        )


def check_split(name: str, split: Any) -> None:
    """Raise ``CourseError`` unless this is a split, and not all of a data set or batches of it."""
    if not isinstance(split, ImageSplit):
        raise CourseError(f"{name}: give a split, such as data.test, not {kind_of(split)}")


def check_images(name: str, images: Any) -> None:
    """Raise ``CourseError`` unless these are images [N, C, H, W] that can have a gradient."""
    wanted = "give a tensor of floats [N, C, H, W], normalised as the net wants them"
    if not isinstance(images, torch.Tensor):
        raise CourseError(f"{name}: the images are {kind_of(images)}: {wanted}")
    # Those of a split are whole numbers, for which there is no gradient.
    if images.dim() != 4 or not images.is_floating_point():
        kind = str(images.dtype).removeprefix("torch.")
        raise CourseError(f"{name}: the images are {kind} {list(images.shape)}: {wanted}")


def check_outputs(name: str, logits: torch.Tensor, split: ImageSplit) -> None:
    """Raise ``CourseError`` unless logits [N, classes] are those of each class of a split."""
    found, wanted = logits.shape[1], len(split.classes)
    if found == wanted:
        return
    words = f"{found} logits"
    if found == 1:
        words = "one logit"
    raise CourseError(
        f"{name}: the net gives {words} for each image, and the split has {wanted} classes: give a "
        f"net with {wanted} outputs"
    )


def check_classes(name: str, classes: torch.Tensor, logits: torch.Tensor) -> None:
    """Raise ``CourseError`` unless each class [N] is one that the logits [N, classes] have."""
    count = logits.shape[1]
    outside = classes[(classes < 0) | (classes >= count)].tolist()
    if outside:
        raise CourseError(
            f"{name}: there is no class {outside[0]} where the net gives {count} logits: give "
            f"classes from 0 to {count - 1}"
        )


def check_predictions(name: str, predictions: Any) -> None:
    """Raise ``CourseError`` unless these are predictions."""
    if not isinstance(predictions, Predictions):
        raise CourseError(
            f"{name}: give what predict(net, data.test) returns, not {kind_of(predictions)}"
        )


def predict(model: nn.Module, split: ImageSplit, batch_size: int = 500) -> Predictions:
    """Logits of a whole split, in evaluation mode on the model's device; all modes are put back.

    Raises ``CourseError`` for a split without images, for a net that does not take them, and for
    one that returns anything but a row of finite logits for each image and each class of the split.
    """
    check_split("predict", split)
    check_net(model, "predict")

    # Dropout off and recorded statistics in batch norm, so that no image depends on its batch.
    outputs = []
    with evaluating(model), torch.no_grad():
        for images, labels in Batches(split, batch_size, device=device_of(model)):
            with explained(images):
                logits = model(images)
            check_logits(logits, labels)
            check_outputs("predict", logits, split)
            outputs.append(logits)
    return Predictions(split, torch.cat(outputs))


def misclassified(predictions: Predictions, count: int | None = None) -> torch.Tensor:
    """Indices int64 of misclassified images, highest loss first; equal losses in the split's order.

    ``count`` at most, all of them for None. Raises ``CourseError`` for another count, and where
    only classes were recorded.
    """
    check_predictions("misclassified", predictions)
    check_count("misclassified", count)
    # The net was most certain of the mistakes with the highest loss: they teach most.
    wrong = (~predictions.correct).nonzero().flatten()
    order = predictions.losses[wrong].argsort(descending=True, stable=True)
    return wrong[order][:count]


def check_count(name: str, count: int | None) -> None:
    """Raise ``CourseError`` unless a count is a whole number or None, which stands for all."""
    if count is not None and whole_number(count, least=0) is None:
        raise CourseError(
            f"{name}: count is a whole number of at least 0, or None for all, not {count!r}"
        )


@dataclass(frozen=True)
class ClassAccuracy:
    """One class: accuracy in percent (nan without images) with its 95 % Wilson interval."""

    name: str
    correct: int
    count: int
    accuracy: float
    low: float
    high: float


def per_class_accuracy(predictions: Predictions) -> list[ClassAccuracy]:
    """Accuracy of every class with its 95 % Wilson interval, in the order of the classes.

    Raises ``CourseError`` for what is not the outcome of ``predict``.
    """
    check_predictions("per_class_accuracy", predictions)
    matrix = confusion_matrix(predictions)
    # On the diagonal truth and prediction agree; a row holds all images of a class.
    correct_counts = matrix.diagonal().tolist()
    counts = matrix.sum(1).tolist()

    rows = []
    for name, correct, count in zip(predictions.split.classes, correct_counts, counts):
        accuracy = math.nan
        if count > 0:
            accuracy = 100 * correct / count
        low, high = wilson(correct, count)
        rows.append(ClassAccuracy(name, correct, count, accuracy, low, high))
    return rows


def confusion_matrix(predictions: Predictions) -> torch.Tensor:
    """Counts int64 [classes, classes]: row the true class, column the predicted one.

    Raises ``CourseError`` for what is not the outcome of ``predict``.
    """
    check_predictions("confusion_matrix", predictions)
    size = len(predictions.split.classes)
    # Each pair (true, predicted) gets a number of its own, and equal numbers are counted.
    pairs = predictions.labels * size + predictions.predicted
    return pairs.bincount(minlength=size * size).view(size, size)


def most_confused(predictions: Predictions, count: int | None = 5) -> list[tuple[str, str, int]]:
    """The most frequent confusions as (true, predicted, how often); equal ones in class order.

    ``count`` at most, all of them for None. Raises ``CourseError`` for another count.
    """
    check_predictions("most_confused", predictions)
    check_count("most_confused", count)
    names = predictions.split.classes
    matrix = confusion_matrix(predictions)
    matrix.fill_diagonal_(0)  # what is right is no confusion

    confusions = []
    for true, predicted in matrix.nonzero().tolist():
        times = int(matrix[true, predicted])
        confusions.append((names[true], names[predicted], times))

    # Sorted by the third entry; equal counts stay in the order of their classes.
    confusions.sort(key=itemgetter(2), reverse=True)
    return confusions[:count]
