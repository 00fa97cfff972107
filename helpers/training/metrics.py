"""The mean loss and the accuracy of an epoch, sample by sample, and losses that are no number."""

import math
from typing import Any

import torch

from helpers.environment import CourseError
from helpers.training.losses import check_loss


class DivergedError(CourseError):
    """A training that a loss which is no finite number has ended.

    ``where``: the epoch and the step of that loss; ``reason``: what it was, and the way out.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process sends it to its parent, which makes it anew from both parts.
        return type(self), (self.where, self.reason)


class RunningAverage:
    """A mean loss and an accuracy in which every sample counts once, however batches are cut."""

    def __init__(self) -> None:
        self.loss: torch.Tensor | float = 0.0
        self.correct: torch.Tensor | int = 0
        self.samples = 0

    def add(self, loss: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """Add a batch: its mean loss [], logits [B, classes] and targets [B].

        Raises ``CourseError`` for a loss that is not one number.
        """
        check_loss(loss)
        count = len(targets)
        right = logits.detach().argmax(1) == targets

        # The last batch may be smaller: its mean loss counts for fewer images.
        # The sums stay on the device, because reading one would make the program wait for it.
        self.loss = self.loss + loss.detach() * count
        self.correct = self.correct + right.sum()
        self.samples += count

    def result(self) -> tuple[float, float]:
        """Mean loss and accuracy in percent. Raises ``CourseError`` if there was no sample."""
        if self.samples == 0:
            raise CourseError(
                "there is no batch to measure on: the loader is empty, as a generator is after its "
                "first epoch: give one that can be repeated, such as Batches"
            )
        mean_loss = float(self.loss) / self.samples
        accuracy = 100.0 * int(self.correct) / self.samples
        return mean_loss, accuracy


class LossWatch:
    """Ends an epoch in which a loss is not a finite number, with a ``DivergedError``.

    It looks only every 100 steps, because reading a loss makes the program wait for the GPU.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.losses: list[torch.Tensor] = []
        self.rates: list[float] = []

    def add(self, loss: torch.Tensor, rate: float) -> None:
        """Take in the loss [] and the learning rate of a step, and look after every 100th."""
        self.losses.append(loss.detach())
        self.rates.append(rate)
        if len(self.losses) % 100 == 0:
            self.look()

    def finish(self) -> None:
        """Look at the end of an epoch, which has at least one step."""
        self.look()

    def look(self) -> None:
        """Raise ``DivergedError`` with step and rate of the first loss that is not finite."""
        finite = torch.stack(self.losses).isfinite()
        if finite.all():
            return

        # Name the first such loss: those after it are only its consequence.
        first = int(finite.int().argmin())
        loss = float(self.losses[first])
        rate = self.rates[first]
        advice = "take a lower one, and a new model, because the weights of this one are ruined"
        if first == 0:  # then no step of this epoch can be to blame
            advice = (
                "images or weights were no finite numbers before it: take a new model, and, if it "
                "was trained before, a lower rate"
            )
        raise DivergedError(
            f"{self.label}, step {first + 1}",
            f"the loss is {loss} at a learning rate of {rate:.3g}: {advice}",
        )


def check_measures(train_loss: float, test_loss: float, rate: float, label: str) -> None:
    """Raise ``DivergedError`` unless both losses of an epoch are finite, as a record needs them."""
    for name, loss in (("training", train_loss), ("test", test_loss)):
        if not math.isfinite(loss):
            raise DivergedError(
                label,
                f"the {name} loss is {loss} at a learning rate of {rate:.3g}: take a lower one "
                "and a new model, and images that are finite numbers",
            )
