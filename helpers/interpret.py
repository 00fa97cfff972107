"""What a net got wrong: predictions over a whole split, mistakes by loss, accuracy per class, confusions."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.data import Batches, ImageSplit
from helpers.environment import CourseError


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a net says about every image of a split, in the split's order.

    ``logits``: [N, classes], kept as float32 on the CPU; recorded float16 or NumPy arrays are accepted. Where only
    classes were recorded, ``Predictions.from_classes`` makes one without logits: it knows accuracy and confusions, and
    raises CourseError when asked for probabilities or losses. Sizes that do not fit the split raise CourseError.
    """

    split: ImageSplit
    logits: Tensor | None = field(repr=False)
    predicted: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.logits is None and self.predicted is None:
            raise CourseError("predictions need logits [N, classes] or recorded classes [N]; neither was given")
        if self.logits is not None:
            logits = torch.as_tensor(self.logits).detach().to("cpu", torch.float32)
            self._check("logits", logits, (len(self.split), len(self.split.classes)))
            object.__setattr__(self, "logits", logits)
        predicted = self.logits.argmax(1) if self.predicted is None else torch.as_tensor(self.predicted).to("cpu")
        self._check("predicted classes", predicted, (len(self.split),))
        if not all(0 <= value < len(self.split.classes) for value in predicted.unique().tolist()):
            raise CourseError(f"predicted classes {predicted.unique().tolist()} go beyond the split's classes, 0 to "
                              f"{len(self.split.classes) - 1}: use the split that they were made on")
        object.__setattr__(self, "predicted", predicted.long())

    def _check(self, what: str, given: Tensor, wanted: tuple[int, ...]) -> None:
        if tuple(given.shape) != wanted:
            raise CourseError(f"{what} of shape {tuple(given.shape)} do not fit the split, which needs {wanted}: "
                              "use the split that they were made on")

    @classmethod
    def from_classes(cls, split: ImageSplit, predicted: Any) -> Predictions:
        """Predictions from recorded classes [N] alone (a tensor, an array or a list of integers)."""
        return cls(split, None, predicted)

    def __len__(self) -> int:
        return len(self.predicted)

    def _recorded(self) -> Tensor:
        if self.logits is None:
            raise CourseError("only classes were recorded, so there are no probabilities or losses: "
                              "use a record with logits, or predict again")
        return self.logits

    @property
    def labels(self) -> Tensor:
        """True classes, int64 [N] on the CPU."""
        return self.split.labels.cpu()

    @cached_property
    def probabilities(self) -> Tensor:
        """Softmax of the logits, [N, classes]."""
        return self._recorded().softmax(1)

    @cached_property
    def losses(self) -> Tensor:
        """Cross-entropy of each image in nats, [N]."""
        return F.cross_entropy(self._recorded(), self.labels, reduction="none")

    @property
    def correct(self) -> Tensor:
        """Where the predicted class is the true one, bool [N]."""
        return self.predicted == self.labels

    @property
    def mistakes(self) -> int:
        """Number of misclassified images."""
        return len(self) - int(self.correct.sum())

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy in percent; nan for an empty split."""
        return 100 * (len(self) - self.mistakes) / len(self) if len(self) else math.nan


class ClassAccuracy(NamedTuple):
    """One class: accuracy in percent (nan without images) and its 95 % Wilson interval [low, high]."""

    name: str
    correct: int
    count: int
    accuracy: float
    low: float
    high: float


@contextlib.contextmanager
def _evaluating(model: nn.Module, device: torch.device) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    # A net may draw random numbers in eval mode too, as F.dropout does by default.
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            model.eval()
            yield
        finally:
            for module, training in modes.items():
                module.training = training


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    output = model(images)
    if not isinstance(output, Tensor):
        raise CourseError(f"the model returned a {type(output).__name__}, not a tensor of logits [batch, classes]: "
                          "let forward() return the logits alone")
    return output.float().cpu()


def predict(model: nn.Module, split: ImageSplit, batch_size: int = 500,
            device: torch.device | str | None = None) -> Predictions:
    """Predict every image of ``split`` in evaluation mode; modes of all submodules and random states are put back.

    ``device``: where the images go, the model's own by default. CourseError where the model is elsewhere, where the
    split is empty, or where the model returns anything but logits [batch, classes].
    """
    own = next((tensor.device for tensor in [*model.parameters(), *model.buffers()]), None)
    device = torch.device(device or own or "cpu")
    if own is not None and own.type != device.type:
        raise CourseError(f"the model is on {own.type} and the images would go to {device.type}: call "
                          f"model.to({device.type!r}) first, or leave device out")
    with _evaluating(model, device):
        logits = [_logits(model, images) for images, _ in Batches(split, batch_size, device=device)]
    return Predictions(split, torch.cat(logits))


def misclassified(predictions: Predictions, count: int | None = None) -> Tensor:
    """Indices of misclassified images, highest loss first (equal losses in the split's order); ``count`` at most."""
    wrong = (~predictions.correct).nonzero()[:, 0]
    order = predictions.losses[wrong].argsort(descending=True, stable=True)
    return wrong[order][:count]


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Score interval of a proportion in percent (Wilson 1927); (0, 100) without trials.

    Its ends p solve (successes / trials - p)^2 = z^2 p (1 - p) / trials.
    """
    if not 0 <= successes <= trials:
        raise CourseError(f"{successes} successes in {trials} trials: successes must lie between 0 and the trials")
    if trials == 0:
        return 0.0, 100.0
    share, square = successes / trials, z * z / trials
    centre = (share + square / 2) / (1 + square)
    half = math.sqrt(square * share * (1 - share) + square * square / 4) / (1 + square)
    # Exact at both ends, where rounding would leave the share outside its own interval.
    return (100 * (centre - half) if successes else 0.0), (100 * (centre + half) if successes < trials else 100.0)


def per_class_accuracy(predictions: Predictions) -> list[ClassAccuracy]:
    """Accuracy of every class with its 95 % Wilson interval, in the order of the classes."""
    names = predictions.split.classes
    counts = predictions.labels.bincount(minlength=len(names)).tolist()
    hits = predictions.labels[predictions.correct].bincount(minlength=len(names)).tolist()
    return [ClassAccuracy(name, hit, count, 100 * hit / count if count else math.nan, *wilson_interval(hit, count))
            for name, hit, count in zip(names, hits, counts)]


def markdown_table(rows: Iterable[ClassAccuracy]) -> str:
    """The rows of ``per_class_accuracy`` as a Markdown table, with counts and intervals."""
    lines = ["| class | correct | of | accuracy | 95 % interval |", "|---|---:|---:|---:|:---:|"]
    for row in rows:
        figures = f"{row.accuracy:.2f} % | {row.low:.2f}–{row.high:.2f} %" if row.count else "– | –"
        lines.append(f"| {row.name} | {row.correct:,} | {row.count:,} | {figures} |")
    return "\n".join(lines)


def confusion_matrix(predictions: Predictions) -> Tensor:
    """Counts int64 [classes, classes]: row the true class, column the predicted one."""
    count = len(predictions.split.classes)
    return (predictions.labels * count + predictions.predicted).bincount(minlength=count * count).view(count, count)


def most_confused(predictions: Predictions, count: int = 5) -> list[tuple[str, str, int]]:
    """The ``count`` most frequent confusions as (true, predicted, how often); equal counts in the order of classes."""
    matrix = confusion_matrix(predictions).fill_diagonal_(0)
    names = predictions.split.classes
    pairs = [(names[row], names[column], int(matrix[row, column])) for row, column in matrix.nonzero().tolist()]
    return sorted(pairs, key=lambda pair: -pair[2])[:count]
