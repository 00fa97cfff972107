"""What a softmax at the end of a net was given: its outputs sum to one, whatever the image is."""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from helpers.models import tensors_in
from helpers.receptive_field.calls import find_argument
from helpers.receptive_field.operations import JOINS, POINTWISE, REDUCTIONS, RESHAPES, SOFTMAXES


class SoftmaxInputs(TorchFunctionMode):
    """While it is entered, keeps beside each probability the logit that it was made of.

    Reshapes, means and sums of probabilities are done to their logits too; a weighting of something
    else by probabilities, as in attention, is no end of a net, and is not followed.
    """

    def __init__(self) -> None:
        super().__init__()
        # Logits by the id of their probabilities, which are kept so that no id is given twice.
        self.logits: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def before_softmax(self, output: Any) -> Any:
        """The logits that an output was made of, or the output where it was made of none."""
        if id(output) not in self.logits:
            return output
        _, logits = self.logits[id(output)]
        return logits

    def __torch_function__(
        self, function: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        # The net runs as it is; only what is kept beside it differs.
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            logits = self.logits_of(function, args, kwargs)
            # A function in place gives a tensor that is known already.
            self.logits.pop(id(result), None)
            if logits is not None:
                self.logits[id(result)] = result, logits
        return result

    def logits_of(self, function: Callable, args: Any, kwargs: Any) -> torch.Tensor | None:
        """The logits behind the result of a function; None where there are none."""
        name = function.__name__.strip("_")
        if name in SOFTMAXES:
            return self.softmax_input(args, kwargs)
        # Behind a softmax: all that it is given has logits.
        given = list(tensors_in((args, kwargs)))
        if not given or not all(id(tensor) in self.logits for tensor in given):
            return None

        # log, clamp and the like would make something else of logits: these stay as they are.
        if name in POINTWISE:
            return self.before_softmax(given[0])
        if name in RESHAPES | JOINS | REDUCTIONS:
            args = self.with_logits(args)
            kwargs = self.with_logits(kwargs)
            logits = function(*args, **kwargs)
            if isinstance(logits, torch.Tensor):
                return logits
        return None

    def softmax_input(self, args: Any, kwargs: Any) -> torch.Tensor | None:
        """What a softmax over classes or channels was given; None for one over rows or columns."""
        # Without a dimension torch takes the classes, or the channels.
        tensor = find_argument("softmax", "input", args, kwargs)
        dim = find_argument("softmax", "dim", args, kwargs)
        if tensor.dim() > 2 and dim is not None and dim % tensor.dim() != 1:
            return None
        # A later function may change the logits in place: they are copied.
        return self.before_softmax(tensor).clone()

    def with_logits(self, value: Any) -> Any:
        """Nested arguments with logits in place of probabilities."""
        if isinstance(value, torch.Tensor):
            return self.before_softmax(value)
        if isinstance(value, dict):
            # Keyword arguments.
            return {name: self.with_logits(each) for name, each in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.with_logits(each) for each in value)
        return value
