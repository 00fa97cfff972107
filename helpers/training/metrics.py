"""The mean loss and the accuracy of an epoch, sample by sample."""

import torch

from helpers.environment import CourseError


class RunningAverage:
    """A mean loss and an accuracy in which every sample counts once, however batches are cut."""

    def __init__(self) -> None:
        self.loss: torch.Tensor | float = 0.0
        self.correct: torch.Tensor | int = 0
        self.samples = 0

    def add(self, loss: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """Add a batch: its mean loss [], logits [B, classes] and targets [B]."""
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
            raise CourseError("there is no batch to measure on: the loader is empty")
        mean_loss = float(self.loss) / self.samples
        accuracy = 100.0 * int(self.correct) / self.samples
        return mean_loss, accuracy
