"""A call of a torch function as its handler is given it, and where the handler records a layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from helpers.environment import CourseError
from helpers.receptive_field.spans import Axis, Pair, View

# The arguments of torch's functions in their order, as far as a handler asks for them.
SIGNATURES = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training"),
    "instance_norm": ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats"),
    "mean": ("input", "dim", "keepdim"),
    "sum": ("input", "dim", "keepdim"),
    "amax": ("input", "dim", "keepdim"),
    "amin": ("input", "dim", "keepdim"),
    "max": ("input", "dim", "keepdim"),
    "min": ("input", "dim", "keepdim"),
    "std": ("input", "dim", "unbiased", "keepdim"),
    "var": ("input", "dim", "unbiased", "keepdim"),
    "logsumexp": ("input", "dim", "keepdim"),
    "cat": ("tensors", "dim"),
    "concat": ("tensors", "dim"),
    "concatenate": ("tensors", "dim"),
    "stack": ("tensors", "dim"),
    "pad": ("input", "pad", "mode"),
    "split": ("input", "size", "dim"),
    "chunk": ("input", "count", "dim"),
    "softmax": ("input", "dim"),
    "log_softmax": ("input", "dim"),
    "special_softmax": ("input", "dim"),
    "special_log_softmax": ("input", "dim"),
    "softmin": ("input", "dim"),
    "glu": ("input", "dim"),
}

# NumPy's names for two of them, which many of torch's functions take as well.
NUMPY_NAMES = {"dim": "axis", "keepdim": "keepdims"}


@dataclass(frozen=True)
class Window:
    """The window of a layer, each size for rows and columns."""

    kernel_size: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)  # before the first position; negative where a slice cuts some off
    dilation: Pair = (1, 1)


@dataclass(frozen=True)
class Step:
    """A layer that the image came through."""

    name: str  # of the module, or of the function in it
    kind: str  # the class of the module, or the function
    window: Window | None  # None where it has none, such as a sum
    before: View  # what the layer is given sees
    after: View  # what it makes sees
    note: str


class Recorder:
    """Keeps the layers that a net meets, under the names of its modules."""

    def __init__(self) -> None:
        # The modules that run, the innermost last: kept by whoever runs the net.
        self.modules: list[tuple[str, nn.Module]] = []
        self.steps: list[Step] = []
        # How often each name was used: a second use of a layer is a row of its own.
        self.uses: Counter[str] = Counter()

    def refuse(self, what: str) -> CourseError:
        """The error for what is not understood, with the module that runs."""
        where = ""
        if self.modules and self.modules[-1][0]:
            where = f" (in {self.modules[-1][0]})"
        return CourseError(
            f"receptive field: {what} is not understood{where}; convolution, pooling, slicing, "
            "padding, sums, concatenation and pointwise layers are"
        )

    def record(
        self, function: str, before: View, after: View, window: Window | None, note: str
    ) -> View:
        """Keep a layer, and give what it makes, which bears its name."""
        name, kind = self._name_and_kind(function)
        self.uses[name] += 1
        if self.uses[name] > 1:
            name = f"{name} ({self.uses[name]})"
        after = replace(after, source=name)
        self.steps.append(Step(name, kind, window, before, after, note))
        return after

    def _name_and_kind(self, function: str) -> tuple[str, str]:
        """A layer's own name and class where it is one of torch's, else the function's."""
        path, module = self.modules[-1]
        is_layer = _is_torch_layer(module, function)
        kind = function
        if is_layer:
            kind = type(module).__name__

        # The net itself has no name, also where it is a single layer.
        if not path:
            return function, kind
        if is_layer:
            return path, kind
        return f"{path}.{function}", kind


def _is_torch_layer(module: nn.Module, function: str) -> bool:
    """Whether a call is all that a module of torch's own does."""
    if not type(module).__module__.startswith("torch.nn"):
        return False
    # A convolution that pads by reflection makes two calls, of which the pad is not its own.
    pads_first = function == "pad" and isinstance(module, nn.Conv2d)
    has_children = bool(list(module.children()))
    return not has_children and not pads_first


@dataclass(frozen=True)
class Call:
    """A call of a torch function: its name, what it was given and what it gave."""

    recorder: Recorder  # where its handler puts a layer
    name: str
    views: list[View]  # what the arguments made from the image see, in their order
    result: Any
    arguments: Sequence[Any]
    keywords: Mapping[str, Any]

    def argument(self, name: str, default: Any = None) -> Any:
        """An argument by its name, wherever it was given; ``default`` where it was not."""
        return find_argument(self.name, name, self.arguments, self.keywords, default)

    @property
    def view(self) -> View:
        """What the only followed tensor sees; refused where a second one is among the arguments."""
        if len(self.views) > 1:
            raise self.refuse(f"{self.name} with a second argument made from the image")
        return self.views[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result; of the first, where pooling gives its indices too."""
        result = self.result
        if isinstance(result, (tuple, list)):
            result = result[0]
        return tuple(result.shape)

    @property
    def sizes(self) -> Pair:
        """The rows and the columns of the result, where it is an image."""
        rows, columns = self.shape[-2:]
        return rows, columns

    def refuse(self, what: str) -> CourseError:
        """The error for what is not understood."""
        return self.recorder.refuse(what)

    def record(
        self,
        before: View,
        axes: Sequence[Axis],
        layout: str,
        *,
        name: str = "",
        window: Window | None = None,
        note: str = "",
    ) -> View:
        """Keep a layer that makes ``axes`` of what it is given, under another ``name`` if asked."""
        rows, columns = axes
        after = View((rows, columns), layout)
        return self.recorder.record(name or self.name, before, after, window, note)


def find_argument(
    function: str,
    name: str,
    arguments: Sequence[Any],
    keywords: Mapping[str, Any],
    default: Any = None,
) -> Any:
    """An argument of a torch function by its name, wherever it was given; else ``default``."""
    for given in (name, NUMPY_NAMES.get(name, name)):
        if given in keywords:
            return keywords[given]
    # Without a name it is known by its place.
    names = SIGNATURES.get(function, ("input",))
    if name in names and names.index(name) < len(arguments):
        return arguments[names.index(name)]
    return default


def pair(value: Any) -> Pair:
    """A size for rows and columns as torch takes it: a number, or a sequence of one or two."""
    # One number, alone or in a sequence, stands for both.
    if not isinstance(value, (tuple, list)):
        return value, value
    if len(value) == 1:
        return value[0], value[0]
    return value[0], value[1]


def dims_from_end(dims: Any, rank: int) -> set[int]:
    """Dimensions of a tensor counted from its end: -1 for columns, -2 for rows; none for None."""
    if dims is None:
        return set()
    if not isinstance(dims, (tuple, list)):
        dims = [dims]
    return {dim % rank - rank for dim in dims}
