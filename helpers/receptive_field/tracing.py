"""A dry run of a net that knows, of every tensor, which part of the image reaches each of its positions.

The net runs on torch's ``meta`` device, where tensors have shapes and no values, and every torch function that it calls
comes to a handler by its name (``helpers.receptive_field.operations``). What has none is an error: nothing is guessed.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers.environment import CourseError
from helpers.receptive_field.spans import Axis, Pair, View

READS = frozenset(
    "size dim ndimension numel is_floating_point is_complex is_contiguous stride is_tensor len "
    "has_names".split()
)


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

    def __torch_function__(
        self, function: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
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
        old = getattr(result, "course_view", None)
        if (
            any(result is each for each in args)
            and result._is_view()
            and (old is None or old.axes != view.axes)
        ):
            raise self.refuse(f"{name} in place, into a part of a tensor,")
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
        return CourseError(
            f"receptive field: {what} is not understood{self.where}; convolution, pooling, slicing, "
            "padding, sums, concatenation and pointwise layers are"
        )

    def step(
        self,
        name: str,
        before: View,
        axes: Sequence[Axis],
        flat: bool = False,
        window: Any = None,
        note: str = "",
    ) -> View:
        """Keep a layer, by its own name and class where it is one of torch's, else by the function's."""
        path, module = self.modules[-1] if self.modules else ("", nn.Identity())
        layer = (
            type(module).__module__.startswith("torch.nn")
            and not list(module.children())
            and not (name == "pad" and isinstance(module, nn.Conv2d))
        )  # a convolution that pads by reflection
        full = path if layer and path else ".".join(filter(None, (path, name)))
        self.uses[full] += 1
        full += f" ({self.uses[full]})" * (self.uses[full] > 1)
        after = View(tuple(axes), flat, full)
        self.steps.append(
            Step(full, type(module).__name__ if layer else name, window, before, after, note)
        )
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
        raise CourseError(
            f"input_shape is (channels, height, width), such as (1, 28, 28), not {input_shape}"
        )
    return shape


def copied(model: nn.Module, values: bool = True) -> nn.Module:
    """A copy in evaluation mode, without the hooks of others; without ``values`` it takes no memory."""
    if not isinstance(model, nn.Module):
        raise CourseError(f"a net (an nn.Module) is needed, not {type(model).__name__}")
    if any(
        isinstance(each, nn.parameter.UninitializedTensorMixin)
        for each in (*model.parameters(), *model.buffers())
    ):
        raise CourseError("the net has lazy layers without sizes yet: run it on one batch first")
    # deepcopy takes what its memo holds for copied already: no weight is copied, and none is needed
    memo = (
        {}
        if values
        else {
            id(tensor): _without_values(tensor)
            for module in model.modules()
            for holder in (vars(module), module._parameters, module._buffers)
            for tensor in holder.values()
            if isinstance(tensor, torch.Tensor)
        }
    )
    try:
        net = copy.deepcopy(model, memo).eval()
    except Exception as problem:  # a module can hold anything
        raise CourseError(
            f"the net cannot be copied ({_line(problem)}): build it anew"
        ) from problem
    for module in net.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return net


def trace(
    model: nn.Module, input_shape: Sequence[int], handlers: dict[str, Callable]
) -> tuple[list[Step], dict[str, View | None]]:
    """The layers that a copy without values meets, and what the output of each module sees; the model is only read."""
    shape = image_shape(input_shape)
    net, image = copied(model, values=False), torch.empty(1, *shape, device="meta")
    tracer, views = Tracer(image, handlers), {}

    def leave(module: nn.Module, given: Any, output: Any) -> None:
        views[tracer.modules.pop()[0]] = getattr(output, "course_view", None)

    for name, module in net.named_modules():
        module.register_forward_pre_hook(
            lambda module, _, name=name: tracer.modules.append((name, module))
        )
        module.register_forward_hook(leave)
    with torch.no_grad(), torch.device("meta"), tracer:
        run(net, image)
    if all(step.window is None for step in tracer.steps):
        raise CourseError(
            "the net has no convolution, pooling or other layer that looks at a window of the image"
        )
    return tracer.steps, views


def run(net: nn.Module, images: torch.Tensor) -> None:
    """Call the net; what it raises because of the images becomes one line."""
    try:
        net(images)
    except CourseError:
        raise
    except Exception as problem:  # a net can raise anything
        raise CourseError(
            f"the net does not run on images of {tuple(images.shape[1:])} (channels, height, width), on "
            f"its own device: {_line(problem)}"
        ) from problem


def _line(problem: Exception) -> str:
    return f"{type(problem).__name__}: {str(problem).strip()}".splitlines()[0][:200]


def _without_values(tensor: torch.Tensor) -> torch.Tensor:
    empty = torch.empty_like(
        tensor, device="meta", dtype=torch.float32 if tensor.is_floating_point() else None
    )
    return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty
