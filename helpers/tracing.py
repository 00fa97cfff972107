"""A dry run of a net that knows, of every tensor, which part of the image reaches each of its positions.

The net runs on torch's ``meta`` device, where tensors have shapes and no values, and every torch function that it calls
comes to a handler by its name (``helpers.operations``). What has none is an error: nothing is guessed.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers.environment import CourseError

READS = frozenset("size dim ndimension numel is_floating_point is_complex is_contiguous stride is_tensor len "
                  "has_names".split())
Pair = tuple[Any, Any]


class Path(NamedTuple):
    """Position i sees the pixels from ``low + i * jump`` to ``high + i * jump``, counted from 0 and beyond the border.

    ``least`` is the extent of the smallest path alone.
    """

    jump: Fraction
    low: Fraction
    high: Fraction
    least: Fraction

    @property
    def centre(self) -> Fraction:
        """The middle of what position 0 sees; that of the first pixel is 0.5."""
        return (self.low + self.high + 1) / 2


@dataclass(frozen=True)
class Axis:
    """Rows or columns of a tensor: ``size`` positions, and for every jump that paths to it have the union of those."""

    size: int
    paths: tuple[Path, ...] = (Path(*map(Fraction, (1, 0, 0, 1))),)

    def window(self, size: int, before: int, extent: int, stride: Fraction | int) -> Axis:
        """The axis of ``size`` windows of ``extent`` positions over this one, the first beginning ``before`` ahead."""
        return Axis(size, tuple(Path(jump * stride, low - before * jump, high + (extent - 1 - before) * jump,
                                     least + (extent - 1) * jump) for jump, low, high, least in self.paths))

    def join(self, other: Axis) -> Axis:
        """The union of the paths of two tensors that are summed or concatenated."""
        joined = {path.jump: path for path in self.paths}
        for path in other.paths:
            mine = joined.get(path.jump, path)
            joined[path.jump] = Path(path.jump, min(mine.low, path.low), max(mine.high, path.high),
                                     min(mine.least, path.least))
        return Axis(self.size, tuple(joined.values()))

    def bounds(self, position: int) -> Pair:
        """The first and the last pixel that a position sees."""
        return (min(path.low + position * path.jump for path in self.paths),
                max(path.high + position * path.jump for path in self.paths))

    @property
    def extent(self) -> Fraction:
        """Most pixels that a position sees; the first or the last one does, because the hull of lines is convex."""
        return max(high - low + 1 for low, high in map(self.bounds, (0, self.size - 1)))


class View(NamedTuple):
    """What a tensor's positions see by rows and columns; ``flat`` once those are gone; ``source`` names its layer."""

    axes: tuple[Axis, Axis]
    flat: bool
    source: str


class Step(NamedTuple):
    """A layer that was met; ``window`` is (kernel size, stride, padding, dilation), each a pair; or None."""

    name: str
    kind: str
    window: Sequence[Pair] | None
    before: View
    after: View
    note: str


class Tracer(TorchFunctionMode):
    """Follows, while it is entered, every torch function; ``steps`` has each layer that is not pointwise.

    ``modules`` is the stack of modules that run, with their names, kept by whoever runs the net.
    """

    def __init__(self, image: torch.Tensor, handlers: dict[str, Callable]) -> None:
        super().__init__()
        self.handlers = handlers
        self.modules, self.steps, self.uses = [], [], Counter()
        image.course_view = View(tuple(map(Axis, image.shape[-2:])), False, "image")

    def __torch_function__(self, function: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, function.__name__.strip("_")
        views = list(_views((args, kwargs)))
        if not views or name in READS:
            return function(*args, **kwargs)
        if name != "get" and name not in self.handlers:
            raise self.refuse(name)
        result = function(*args, **kwargs)
        if name == "get":  # an attribute, such as shape
            if isinstance(result, torch.Tensor):
                raise self.refuse(f"the attribute {function.__self__.__name__}")
            return result
        view = self.handlers[name](self, name, views, result, args, kwargs)
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if not isinstance(tensor, torch.Tensor):
                continue
            if not view.flat and tuple(tensor.shape[-2:]) != tuple(axis.size for axis in view.axes):
                raise self.refuse(f"{name} to {tuple(tensor.shape)}")
            tensor.course_view = view
        return result

    @property
    def where(self) -> str:
        """The module that runs, for an error; nothing for the net itself."""
        return f" (in {self.modules[-1][0]})" if self.modules and self.modules[-1][0] else ""

    def refuse(self, what: str) -> CourseError:
        """The error for what is not understood."""
        return CourseError(f"receptive field: {what} is not understood{self.where}; convolution, pooling, slicing, "
                           "padding, sums, concatenation and pointwise layers are")

    def step(self, name: str, before: View, axes: Sequence[Axis], flat: bool = False, window: Any = None,
             note: str = "") -> View:
        """Keep a layer, by its own name and class where it is one of torch's, else by the function's."""
        path, module = self.modules[-1] if self.modules else ("", nn.Identity())
        layer = type(module).__module__.startswith("torch.nn") and not list(module.children()) and not (
            name == "pad" and isinstance(module, nn.Conv2d))  # a convolution that pads by reflection
        full = path if layer and path else ".".join(filter(None, (path, name)))
        self.uses[full] += 1
        full += f" ({self.uses[full]})" * (self.uses[full] > 1)
        after = View(tuple(axes), flat, full)
        self.steps.append(Step(full, type(module).__name__ if layer else name, window, before, after, note))
        return after


def _views(value: Any) -> Iterator[View]:
    """The views of all followed tensors among nested arguments, in order."""
    if isinstance(value, torch.Tensor):
        if hasattr(value, "course_view"):
            yield value.course_view
    elif isinstance(value, (tuple, list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _views(each)


def image_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape as a tuple, where it is one of an image."""
    shape = tuple(input_shape) if isinstance(input_shape, Sequence) else ()
    if len(shape) != 3 or not all(isinstance(size, int) and size > 0 for size in shape):
        raise CourseError(f"input_shape is (channels, height, width), such as (1, 28, 28), not {input_shape}")
    return shape


def trace(model: nn.Module, input_shape: Sequence[int],
          handlers: dict[str, Callable]) -> tuple[list[Step], dict[str, View | None]]:
    """The layers that a copy without values meets, and what the output of each module sees; the model is only read."""
    shape = image_shape(input_shape)
    # deepcopy takes what its memo holds for copied already: no weight is copied, and none is needed
    memo = {id(tensor): _without_values(tensor) for module in model.modules()
            for holder in (vars(module), module._parameters, module._buffers)
            for tensor in holder.values() if isinstance(tensor, torch.Tensor)}
    net, image = copy.deepcopy(model, memo).eval(), torch.empty(1, *shape, device="meta")
    tracer, views = Tracer(image, handlers), {}

    def leave(module: nn.Module, given: Any, output: Any) -> None:
        views[tracer.modules.pop()[0]] = getattr(output, "course_view", None)

    for name, module in net.named_modules():
        module.register_forward_pre_hook(lambda module, _, name=name: tracer.modules.append((name, module)))
        module.register_forward_hook(leave)
    with torch.no_grad(), torch.device("meta"), tracer:
        run(net, image)
    if all(step.window is None for step in tracer.steps):
        raise CourseError("the net has no convolution, pooling or other layer that looks at a window of the image")
    return tracer.steps, views


def run(net: nn.Module, images: torch.Tensor) -> None:
    """Call the net; what it raises because of the images becomes one line."""
    try:
        net(images)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as problem:
        raise CourseError(f"the net does not accept images of {tuple(images.shape[1:])} (channels, height, width): "
                          f"{str(problem).splitlines()[0]}") from problem


def _without_values(tensor: torch.Tensor) -> torch.Tensor:
    empty = torch.empty_like(tensor, device="meta", dtype=torch.float32 if tensor.is_floating_point() else None)
    return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty
