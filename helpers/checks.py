"""What the training loops ask of a batch, a net and an optimizer, and one line for what is otherwise."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from helpers.environment import CourseError


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's first parameter; the CPU for a net without any."""
    for parameter in model.parameters():
        return parameter.device
    return torch.device("cpu")


def unpack(batch: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The images [B, C, H, W] and the targets int64 [B] of a batch, on ``device``.

    Raises ``CourseError`` for a batch that is no pair of tensors, and for targets that are no
    class numbers (one-hot rows, floats), which would be compared with the net's answers to no sense.
    """
    if not isinstance(batch, tuple | list):
        raise CourseError(
            f"a batch is a {type(batch).__name__}: give batches that are pairs (images, targets)"
        )
    if len(batch) != 2:
        raise CourseError(
            f"a batch has {len(batch)} items: give batches that are pairs (images, targets)"
        )
    images, targets = batch
    for name, part in (("images", images), ("targets", targets)):
        if not isinstance(part, torch.Tensor):
            raise CourseError(f"the {name} of a batch are a {type(part).__name__}: give a tensor")
    whole = not targets.is_floating_point() and not targets.is_complex()
    if not whole or targets.shape != images.shape[:1]:
        kind = str(targets.dtype).removeprefix("torch.")
        raise CourseError(
            f"the targets of a batch of {len(images)} images are {kind} {list(targets.shape)}: "
            f"give class numbers, int64 [{len(images)}]"
        )
    return images.to(device), targets.to(device, torch.int64)


def check_logits(logits: Any, targets: torch.Tensor) -> None:
    """Raise ``CourseError`` unless ``logits`` are a tensor [B, classes], as ``targets`` [B] ask."""
    if not isinstance(logits, torch.Tensor):
        raise CourseError(
            f"the model returns a {type(logits).__name__}: the net has to return the logits alone"
        )
    count = len(targets)
    if logits.dim() == 2 and len(logits) == count:
        return
    shape = list(logits.shape)
    if count == 1 and logits.dim() < 2:
        raise CourseError(
            f"the model returns {shape} for a batch of one image: a squeeze() in the net removes "
            "the batch's axis too; write flatten(1), or leave a last batch of one out with "
            "Batches(drop_last=True)"
        )
    raise CourseError(
        f"the model returns {shape} for {count} images: the net has to return [{count}, classes]"
    )


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn those of torch's errors whose cause lies in the batches into one line that names it."""
    try:
        yield
    except ValueError as problem:
        if "Expected more than 1 value per channel" not in str(problem):
            raise
        raise CourseError(
            "batch norm cannot be trained on one image, and a batch (the last?) holds no more: leave "
            "it out with Batches(drop_last=True), or take another batch_size"
        ) from problem
    except IndexError as problem:
        if "Target" not in str(problem) or "out of bounds" not in str(problem):
            raise
        raise CourseError(
            f"{problem} The targets have to lie between 0 and the number of the net's logits less 1"
        ) from problem


def strangers(model: nn.Module, optimizer: Optimizer) -> tuple[int, int]:
    """How many of the optimizer's parameters are not the model's, and how many to train it lacks."""
    held = set()
    for group in optimizer.param_groups:
        held.update(group["params"])
    own = set(model.parameters())
    trained = {parameter for parameter in own if parameter.requires_grad}
    return len(held - own), len(trained - held)
