"""A dry run of a net that knows, of every tensor, which part of the image reaches its positions.

The net runs on torch's ``meta`` device, where tensors have shapes and no values, and every torch
function that it calls comes to a handler by its name (``helpers.receptive_field.operations``).
What has no handler is an error: nothing is guessed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers.data.checks import image_shape
from helpers.environment import CourseError
from helpers.models import tensors_in
from helpers.receptive_field.calls import Call, Recorder, Step
from helpers.receptive_field.copies import copy_without_values, first_line
from helpers.receptive_field.operations import HANDLERS
from helpers.receptive_field.spans import IMAGE, Axis, View

# Functions that ask for the shape or the kind of a tensor, and read no value.
QUESTIONS = frozenset(
    "size dim ndimension numel is_floating_point is_complex is_contiguous stride is_tensor len "
    "has_names".split()
)


class Tracer(TorchFunctionMode):
    """Follows the image, while it is entered, through every torch function.

    ``recorder`` keeps each layer that is not pointwise. Raises ``CourseError`` at a function that
    is not understood.
    """

    def __init__(self, image: torch.Tensor) -> None:
        super().__init__()
        self.recorder = Recorder()
        # What tensors see, by id; they are kept, so that no id is given to a second one.
        self.followed: dict[int, tuple[torch.Tensor, View]] = {}
        rows, columns = image.shape[-2:]
        self.followed[id(image)] = image, View((Axis(rows), Axis(columns)))

    def view_of(self, value: Any) -> View | None:
        """What a tensor sees; None for all that does not depend on the image."""
        # Tensors cannot be keys by value: two equal ones may see different pixels.
        if id(value) not in self.followed:
            return None
        _, view = self.followed[id(value)]
        return view

    def views_in(self, arguments: Any) -> list[View]:
        """The views of all followed tensors among nested arguments, in order."""
        # ``torch.cat`` is given a list, and a slice a tuple, perhaps of tensors.
        views = []
        for tensor in tensors_in(arguments):
            view = self.view_of(tensor)
            if view is not None:
                views.append(view)
        return views

    def __torch_function__(
        self, function: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        # Methods, functions and operators differ in underscores alone: add, add_, __add__.
        kwargs = kwargs or {}
        name = function.__name__.strip("_")
        views = self.views_in((args, kwargs))

        # What does not depend on the image, or asks for no value of it, is left alone.
        if not views or name in QUESTIONS:
            return function(*args, **kwargs)
        if name == "get":
            return self.read_attribute(function, args, kwargs)
        if name not in HANDLERS:
            raise self.recorder.refuse(name)

        # The function runs, and its handler says what the result sees.
        result = function(*args, **kwargs)
        call = Call(self.recorder, name, views, result, args, kwargs)
        view = HANDLERS[name](call)
        self.check_in_place(call, view)
        self.follow(call, view)
        return result

    def read_attribute(self, function: Any, args: Any, kwargs: Any) -> Any:
        """An attribute, such as the shape; one that is a tensor is refused."""
        value = function(*args, **kwargs)
        if isinstance(value, torch.Tensor):
            raise self.recorder.refuse(f"the attribute {function.__self__.__name__}")
        return value

    def check_in_place(self, call: Call, view: View) -> None:
        """Refuse a function that writes what sees more into a part of a tensor."""
        # Only a function that gives back what it was given may have written into it.
        if not any(call.result is each for each in call.arguments):
            return
        # A part that is a view of a larger tensor: what the whole one sees would change too.
        old = self.view_of(call.result)
        unchanged = old is not None and old.axes == view.axes
        if call.result._is_view() and not unchanged:
            raise call.refuse(f"{call.name} in place, into a part of a tensor,")

    def follow(self, call: Call, view: View) -> None:
        """Keep what a result sees, or each part of it."""
        # Splits and pooling with indices give several.
        parts = call.result
        if not isinstance(parts, (tuple, list)):
            parts = [parts]
        for tensor in parts:
            if not isinstance(tensor, torch.Tensor):
                continue
            # A last guard: rows and columns are where the handler thinks they are.
            if view.layout == IMAGE and tuple(tensor.shape[-2:]) != view.sizes:
                raise call.refuse(f"{call.name} to {tuple(tensor.shape)}")
            self.followed[id(tensor)] = tensor, view


def one_line(value: Any) -> str:
    """A value as an error shows it: arrays and tensors would take several lines."""
    words = " ".join(str(value).split())
    return words[:100]


def trace(
    model: nn.Module, input_shape: Sequence[int]
) -> tuple[list[Step], dict[str, View | None]]:
    """The layers that an image meets, and by a module's name what its output sees.

    The model is only read: what runs is a copy without values. Raises ``CourseError`` for a shape
    that does not fit, a function that is not understood, and a net that looks at no window.
    """
    # A copy and an image without values.
    shape = image_shape(input_shape)
    net = copy_without_values(model)
    image = torch.empty(1, *shape, device="meta")
    tracer = Tracer(image)

    # One run, which the tracer follows.
    views = follow_modules(net, tracer)
    with torch.no_grad(), torch.device("meta"), tracer:
        run_net(net, image)

    # A net of pointwise layers alone is most likely a mistake.
    steps = tracer.recorder.steps
    if all(step.window is None for step in steps):
        raise CourseError(
            "the net has no convolution, pooling or other layer that looks at a window of the image"
        )
    return steps, views


def follow_modules(net: nn.Module, tracer: Tracer) -> dict[str, View | None]:
    """Hang hooks on all modules, and return where they will put what each module's output sees."""
    # A module that is used under two names bears the first.
    names = {module: name for name, module in net.named_modules()}
    running = tracer.recorder.modules
    views = {}

    def enter(module: nn.Module, given: Any) -> None:
        running.append((names[module], module))

    def leave(module: nn.Module, given: Any, output: Any) -> None:
        name, _ = running.pop()
        views[name] = tracer.view_of(output)

    for module in names:
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    return views


def run_net(net: nn.Module, images: torch.Tensor) -> None:
    """Call the net; what it raises because of the images becomes one line."""
    try:
        net(images)
    except CourseError:
        raise
    except Exception as problem:  # a net can raise anything
        shape = tuple(images.shape[1:])
        raise CourseError(
            f"the net does not run on images of {shape} (channels, height, width), on its own "
            f"device: {first_line(problem)}"
        ) from problem
