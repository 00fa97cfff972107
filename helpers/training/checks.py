"""What the training loops ask of a batch, a net, a loss and an optimizer.

Anything else is an error of one line.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from helpers.environment import CourseError, whole_number


def unpack(batch: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The images [B, ...] and the targets int64 [B] of a batch, on ``device``.

    Raises ``CourseError`` for a batch that is no pair of tensors, and for targets that are no class
    numbers: with floats or one-hot rows, an accuracy would be meaningless.
    """
    # A pair: not a dictionary, nor images, labels and something more.
    if not isinstance(batch, tuple | list):
        kind = type(batch).__name__
        raise CourseError(f"a batch is a {kind}: give pairs (images, targets)")
    if len(batch) != 2:
        raise CourseError(f"a batch has {len(batch)} items: give pairs (images, targets)")
    images, targets = batch

    # Of tensors: arrays would have to be converted, and know no device.
    for name, part in (("images", images), ("targets", targets)):
        if not isinstance(part, torch.Tensor):
            kind = type(part).__name__
            raise CourseError(f"the {name} of a batch are a {kind}: give a tensor")

    # One class number per image: neither floats, nor one-hot rows.
    numbers = targets.is_floating_point() or targets.is_complex()
    count = len(images)
    if numbers or targets.shape != (count,):
        kind = str(targets.dtype).removeprefix("torch.")
        shape = list(targets.shape)
        raise CourseError(
            f"the targets of a batch of {count} images are {kind} {shape}: give class numbers, "
            f"int64 [{count}]"
        )

    # cross_entropy takes int64 alone.
    return images.to(device), targets.to(device, torch.int64)


def check_logits(logits: Any, targets: torch.Tensor) -> None:
    """Raise ``CourseError`` unless the net's answers are a tensor [B, classes] for B targets."""
    # Some nets return their features, or a second head, beside the logits.
    if not isinstance(logits, torch.Tensor):
        kind = type(logits).__name__
        raise CourseError(
            f"the model returns a {kind}: the net has to return the logits alone, as a tensor"
        )

    # One row of logits per image.
    count = len(targets)
    if logits.dim() == 2 and len(logits) == count:
        return

    # squeeze() removes every axis of length one, and thereby a batch of one image.
    shape = list(logits.shape)
    if count == 1 and logits.dim() < 2:
        raise CourseError(
            f"the model returns {shape} for a batch of one image: a squeeze() in the net removes "
            "the axis of the batch too; write flatten(1) there, or take a batch size that leaves "
            "no last batch of one image (in training also Batches(drop_last=True))"
        )
    raise CourseError(
        f"the model returns {shape} for {count} images: the net has to return [{count}, classes]"
    )


@contextmanager
def explained() -> Iterator[None]:
    """Turn those of torch's errors whose cause lies in a batch into one line that names it."""
    try:
        yield
    # The deviation of a single number is not defined.
    except ValueError as problem:
        if "Expected more than 1 value per channel" not in str(problem):
            raise
        raise CourseError(
            "batch norm cannot be trained on a batch of one image, and the last batch holds one: "
            "leave it out with Batches(drop_last=True), or take another batch_size"
        ) from problem
    # Only the CPU raises this error; a GPU stops at some later operation.
    except IndexError as problem:
        words = str(problem).rstrip(".")
        if not (words.startswith("Target ") and words.endswith(" is out of bounds")):
            raise
        raise CourseError(
            f"a class number is out of bounds ({words}): with n logits per image, targets lie "
            "between 0 and n - 1"
        ) from problem


class LossWatch:
    """Ends an epoch in which a loss is not a finite number.

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
        """Raise ``CourseError`` with step and rate of the first loss that is not finite."""
        finite = torch.stack(self.losses).isfinite()
        if finite.all():
            return

        # Name the first such loss: those after it are only its consequence.
        first = int(finite.int().argmin())
        loss = float(self.losses[first])
        rate = self.rates[first]
        advice = "take a lower one, and a new model, because the weights of this one are ruined"
        if first == 0:  # then no step of this epoch can be to blame
            advice = "images or weights were no finite numbers before it: take a new model"
        raise CourseError(
            f"{self.label}, step {first + 1}: the loss is {loss} at a learning rate of "
            f"{rate:.3g}: {advice}"
        )


def check_measures(train_loss: float, test_loss: float, rate: float, label: str) -> None:
    """Raise ``CourseError`` unless both losses of an epoch are finite, as a record needs them."""
    for name, loss in (("training", train_loss), ("test", test_loss)):
        if not math.isfinite(loss):
            raise CourseError(
                f"{label}: the {name} loss is {loss} at a learning rate of {rate:.3g}: take a "
                "lower one and a new model, and images that are finite numbers"
            )


def unmatched_parameters(model: nn.Module, optimizer: Optimizer) -> tuple[int, int]:
    """How many parameters of the optimizer are not the model's, and how many to train it lacks."""
    # The parameters that the optimizer updates.
    held = set()
    for group in optimizer.param_groups:
        held.update(group["params"])

    # The parameters to be trained: frozen ones may be left out.
    own = set(model.parameters())
    trained = set()
    for parameter in own:
        if parameter.requires_grad:
            trained.add(parameter)
    return len(held - own), len(trained - held)


def check_run(model: nn.Module, optimizer: Optimizer, epochs: int, step_every: str) -> None:
    """Raise ``CourseError`` for arguments of ``fit`` that cannot work."""
    if step_every not in ("batch", "epoch"):
        raise CourseError(f"fit: step_every is 'batch' or 'epoch', not {step_every!r}")
    if whole_number(epochs, least=1) is None:
        raise CourseError(f"fit: epochs is a whole number of at least 1, not {epochs!r}")

    # An optimizer of another net would silently leave this one as it is.
    foreign, lacking = unmatched_parameters(model, optimizer)
    if lacking:
        raise CourseError(
            f"fit: the optimizer lacks {lacking} of the parameters to be trained, and holds "
            f"{foreign} that are not the model's: make it from model.parameters(); what is to stay "
            "as it is, freeze with requires_grad_(False)"
        )
