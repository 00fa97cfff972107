"""What the training loops ask of a batch, a net, a loss and an optimizer.

Anything else is an error of one line.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from helpers.data.checks import shown
from helpers.environment import CourseError, real_number, short_reason, whole_number
from helpers.models import check_net
from helpers.training.losses import check_loss_fn

# The class number that cross_entropy ignores, unless it is told another one.
IGNORED = -100
CLASS_NUMBERS = "with n logits per image, targets lie between 0 and n - 1"

# The ways out where a batch of one image cannot be calculated with.
NOT_ONE = (
    "take a batch size that leaves no last batch of one image (in training also "
    "Batches(drop_last=True))"
)
SQUEEZED = (
    "a squeeze() in the net removes the axis of the batch too; write flatten(1) there, or "
    f"{NOT_ONE}"
)

# What torch says where images have other channels, another size or type than a layer takes.
MISFITS = (
    "Given groups=",
    "Given input size",
    "Input type (",
    "D input (got",
    "Expected 3D (unbatched) or 4D (batched) input",
    "Kernel size can't be greater than actual input size",
    "is invalid for input of size",
    "mat1 and mat2",
    "not implemented for 'Byte'",
    "running_mean should contain",
)


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

    # cross_entropy takes int64 alone. It would leave out the images of one number without a word;
    # on a GPU, to look would be to wait.
    targets = targets.to(torch.int64)
    if targets.device.type == "cpu" and (targets == IGNORED).any():
        raise CourseError(
            f"a class number is out of bounds (Target {IGNORED} is out of bounds): {CLASS_NUMBERS}"
        )
    return images.to(device), targets.to(device)


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
        raise CourseError(f"the model returns {shape} for a batch of one image: {SQUEEZED}")
    raise CourseError(
        f"the model returns {shape} for {count} images: the net has to return [{count}, classes]"
    )


@contextmanager
def explained(images: torch.Tensor) -> Iterator[None]:
    """Turn those of torch's errors whose cause is known into one line that names it.

    ``images`` [B, ...] are the batch that the net is given.
    """
    try:
        yield
    except (ValueError, IndexError, RuntimeError, TypeError, AttributeError) as problem:
        cause = cause_of(problem, images)
        if not cause:
            raise
        raise CourseError(cause) from problem


def cause_of(problem: Exception, images: torch.Tensor) -> str:
    """What is wrong with batch, net, loss or optimizer, in words; empty where it is not known."""
    words = short_reason(problem).rstrip(".")

    # Nothing to take a deviation of; or one axis too few, in a batch of one image.
    if words.startswith("Expected more than 1 "):
        return cause_in_norm(problem, words, len(images))
    one_axis = "Dimension out of range" in words or "got 1D input" in words
    if one_axis and len(images) == 1:
        return f"the net fails on a batch of one image ({words}): {SQUEEZED}"

    # Only the CPU raises this error; a GPU stops at some later operation.
    if words.startswith("Target ") and words.endswith(" is out of bounds"):
        return f"a class number is out of bounds ({words}): {CLASS_NUMBERS}"

    # The loss, and the optimizer.
    if "only for scalar outputs" in words:
        return "loss_fn returns a number per image: let it take their mean (reduction='mean')"
    if words.endswith("has no attribute 'backward'"):
        return f"the loss is no tensor ({words}): loss_fn has to calculate it with torch"
    if "does not require grad" in words:
        return (
            "nothing can be trained, for the loss depends on no parameter with requires_grad: "
            "unfreeze a part of the net with requires_grad_(True), and leave detach() away"
        )
    if words.endswith("required positional argument: 'closure'"):
        return f"the optimizer needs a closure ({words}): take SGD or Adam, or give fit a step"

    return cause_in_images(words, images)


def cause_in_images(words: str, images: torch.Tensor) -> str:
    """That a layer does not take such images, in words; empty where something else is wrong."""
    for sign in MISFITS:
        if sign in words:
            kind = str(images.dtype).removeprefix("torch.")
            shape = list(images.shape)
            return (
                f"the net cannot calculate with images {kind} {shape} ({words}): give float32 "
                "images of the channels and the size that it was made for"
            )
    return ""


def cause_in_norm(problem: Exception, words: str, count: int) -> str:
    """Why a normalisation has a single value to normalise in a batch of ``count`` images."""
    # The function of torch's that was called last names the kind.
    norm = "a normalisation"
    for frame, _ in traceback.walk_tb(problem.__traceback__):
        name = frame.f_code.co_name
        if name in ("batch_norm", "group_norm", "instance_norm"):
            norm = name.replace("_", " ")

    # This one looks at every image by itself.
    if norm == "instance norm":
        return f"instance norm has one value per channel ({words}): give it larger feature maps"
    too_few = f"{norm} cannot be calculated with one value per channel, which is all that"
    if count > 1:
        return (
            f"{too_few} a part of the batch of {count} images has ({words}): give it fewer parts "
            "(ghosts), or larger feature maps"
        )
    return f"{too_few} a batch of one image has: {NOT_ONE}"


def check_given(model: Any, batches: Any, loss_fn: Any) -> None:
    """Raise ``CourseError`` unless these are a net, batches and a loss function by their kind."""
    check_net(model)

    # A split has images, but nobody has cut it into batches.
    iterable = hasattr(batches, "__iter__") or hasattr(batches, "__getitem__")
    if isinstance(batches, type) or not iterable:
        kind = type(batches).__name__
        raise CourseError(
            f"batches are wanted, and a {kind} is given: give data.Batches(split, batch_size)"
        )
    check_loss_fn(loss_fn)


def number_of(batches: Any) -> int | None:
    """How many batches there are; None where they do not say so, as a generator."""
    try:
        return len(batches)
    except TypeError:
        return None


def check_optimizer(optimizer: Any) -> None:
    """Raise ``CourseError`` for what is no optimizer, such as a class, and for a rate of no use."""
    if not hasattr(optimizer, "param_groups"):
        name = getattr(optimizer, "__name__", shown(optimizer))
        raise CourseError(
            f"optimizer={name} is no optimizer: give one that was made from the net's parameters, "
            "such as torch.optim.SGD(model.parameters(), lr=0.1)"
        )
    # An array of a single number is none of Python's numbers either.
    for group in optimizer.param_groups:
        rate = group.get("lr", 0.0)
        if real_number(rate) is None:
            raise CourseError(f"the optimizer's lr is one finite number, not {shown(rate)}")


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


def check_run(epochs: int, step_every: str) -> None:
    """Raise ``CourseError`` for numbers and times of ``fit`` that cannot be."""
    if step_every not in ("batch", "epoch"):
        raise CourseError(f"fit: step_every is 'batch' or 'epoch', not {shown(step_every)}")
    if whole_number(epochs, least=1) is None:
        raise CourseError(f"fit: epochs is a whole number of at least 1, not {shown(epochs)}")


def check_trained(model: nn.Module, optimizer: Optimizer) -> None:
    """Raise ``CourseError`` unless this is an optimizer of all that is to be trained."""
    check_optimizer(optimizer)

    # An optimizer of another net would silently leave this one as it is.
    foreign, lacking = unmatched_parameters(model, optimizer)
    if lacking:
        raise CourseError(
            f"the optimizer lacks {lacking} of the parameters to be trained, and holds "
            f"{foreign} that are not the model's: make it from model.parameters(); what is to stay "
            "as it is, freeze with requires_grad_(False)"
        )


def check_parts(average: Any, views: Any = None, **functions: Any) -> None:
    """Raise ``CourseError`` for parts of a training that would fail only in or after an epoch.

    ``functions``: what is called besides ``views``, by name.
    """
    if average is not None:
        for name in ("update_parameters", "module", "state_dict", "load_state_dict"):
            if not hasattr(average, name):
                kind = type(average).__name__
                raise CourseError(
                    f"the average is a {kind}, which has no {name}: give "
                    "moving_average(model, 0.99), or None"
                )

    # Views that are a module would take the net for images.
    if isinstance(views, nn.Module):
        kind = type(views).__name__
        raise CourseError(
            f"views is an object {kind}(…): give the class {kind}, or a function of the net"
        )
    if views is not None:
        functions["views"] = views
    for name, function in functions.items():
        if not callable(function):
            raise CourseError(
                f"{name}={shown(function)} cannot be called: give a function, or leave it out"
            )
