"""What all nets have in common: how to count their parameters, and how to measure without a trace.

The nets are in the other files of this room, ``small`` first; none of them is imported here.
"""

import copy
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from helpers.environment import CourseError, short_reason, whole_number


def kind_of(value: Any) -> str:
    """What a value is, in words for an error."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"something of type {type(value).__name__}"


def check_net(model: Any, function: str = "") -> None:
    """Raise ``CourseError`` unless this is a net, and not its class or a function.

    ``function`` is what the net was given to, with which the error begins.
    """
    if isinstance(model, nn.Module):
        return
    where = ""
    if function:
        where = f"{function}: "
    # The class is often given where an object of it was meant.
    if isinstance(model, type) and issubclass(model, nn.Module):
        name = model.__name__
        raise CourseError(f"{where}{name} is a class, and no net: give an object, such as {name}()")
    raise CourseError(f"{where}give a net, such as first_net(), not {kind_of(model)}")


def check_widths(widths: Any, count: int | None = None) -> None:
    """Raise ``CourseError`` unless these are channels of ``count`` layers, or of one or more."""
    numbers = whole_list(widths)
    if count is None:
        if not numbers:
            raise CourseError(
                f"widths={widths!r}: give the channels of each layer or stage, a list of whole "
                "numbers, each at least 1"
            )
    elif numbers is None or len(numbers) != count:
        raise CourseError(
            f"widths={widths!r}: the net has {count} layers whose widths are asked for: give "
            f"{count} whole numbers, each at least 1"
        )


def check_pools(pools: Any, count: int) -> None:
    """Raise ``CourseError`` unless these are numbers of layers, from 1 to ``count``."""
    numbers = whole_list(pools)
    if numbers is None or max(numbers, default=0) > count:
        raise CourseError(
            f"pools={pools!r}: a pooling comes behind a layer: give a list of their numbers, from "
            f"1 to {count}"
        )


def whole_list(values: Any) -> list[int] | None:
    """The whole numbers of a list, each at least 1; None for anything else."""
    if not isinstance(values, Collection):
        return None
    numbers = []
    for value in values:
        number = whole_number(value, least=1)
        if number is None:
            return None
        numbers.append(number)
    return numbers


def count_parameters(model: nn.Module) -> int:
    """Number of trainable values; a tensor that is used in several places counts once."""
    count = 0
    for parameter in model.parameters():
        if parameter.requires_grad:
            count += parameter.numel()
    return count


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode, and each of its modules back into its own mode at the end.

    A mode is set as it was found, also after an error: a part that was frozen in evaluation mode
    while the rest trained stays so.
    """
    # model.train() would put all modules into one mode, so each one's is kept.
    modes = []
    for module in model.modules():
        modes.append((module, module.training))

    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def device_of(model: nn.Module) -> torch.device:
    """The device of the first parameter, else of the first buffer; the CPU where there is none."""
    for parameter in model.parameters():
        return parameter.device
    # A net of fixed filters, for example, has only buffers.
    for buffer in model.buffers():
        return buffer.device
    return torch.device("cpu")


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in lists, tuples and dictionaries, however deep."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors_in(each)
    elif isinstance(value, (list, tuple)):
        # What else a net keeps, such as other modules, is walked through elsewhere or not at all.
        for each in value:
            yield from tensors_in(each)


def without_history(tensor: torch.Tensor) -> torch.Tensor | None:
    """A copy of what a forward pass has left in a net; None for a tensor that deepcopy takes."""
    if tensor.is_leaf:
        return None
    return tensor.detach().clone()


def independent_copy(
    model: nn.Module, stand_in: Callable[[torch.Tensor], torch.Tensor | None] = without_history
) -> nn.Module:
    """A copy of the model that shares no tensor with it.

    A tensor that a module keeps from its last forward pass (``self.features = …``, the ``weight``
    of the old ``weight_norm``) hangs on the graph of that pass, and is copied without it.
    ``stand_in`` may say otherwise: it gives what the copy has in a tensor's place, or None for the
    tensor's plain copy. Raises ``CourseError`` for what is no net, and for a net that cannot be
    copied.
    """
    check_net(model)
    # What deepcopy finds in this table it takes, and copies it no further.
    stand_ins: dict[int, Any] = {}
    try:
        for module in model.modules():
            for tensor in tensors_in(vars(module)):
                replacement = stand_in(tensor)
                if replacement is not None:
                    stand_ins[id(tensor)] = replacement
        return copy.deepcopy(model, stand_ins)
    except Exception as problem:  # a module can hold anything
        name = type(model).__name__
        raise CourseError(
            f"the net {name} cannot be copied ({short_reason(problem)}): build it anew, and let it "
            "keep no results of a forward pass, or only detached ones (self.features = x.detach())"
        ) from problem
