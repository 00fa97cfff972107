"""The stages of a net: what maps it makes of an image, seen while a copy of it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers.environment import CourseError, short_reason
from helpers.models import count_parameters, device_of, independent_copy
from helpers.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE

Shape = tuple[int, int, int]  # channels, rows, columns


@dataclass(frozen=True)
class Stage:
    """Maps that a net makes, and how."""

    made_by: str  # such as "conv 3×3"; nothing for the image itself
    shape: Shape
    color: str
    details: str = ""  # padding and stride, where they are not the usual ones
    followed_by: list[str] = field(default_factory=list)  # what leaves the shape as it is

    @property
    def size(self) -> str:
        """Channels × rows × columns."""
        return " × ".join(map(str, self.shape))


# Steps that leave a map's shape as it is, as labels name them, by torch's name of the function.
FOLLOWERS = {
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "prelu": "PReLU",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "softplus": "softplus",
    "hardswish": "hardswish",
    "hardsigmoid": "hardsigmoid",
    "hardtanh": "hardtanh",  # ReLU6 is one
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "batch_norm": "norm",
    "group_norm": "group norm",
    "layer_norm": "layer norm",
    "instance_norm": "instance norm",
    "local_response_norm": "local norm",
    "dropout": "dropout",
    "dropout2d": "dropout",
    "feature_alpha_dropout": "dropout",
    "alpha_dropout": "dropout",
}

# Steps that pool, as labels name them, and the colour of what they make.
POOLINGS = {
    "max_pool2d": ("max-pool", ORANGE),
    "adaptive_max_pool2d": ("max-pool", ORANGE),
    "amax": ("maximum", ORANGE),
    "avg_pool2d": ("average", GREEN),
    "adaptive_avg_pool2d": ("average", GREEN),
    "mean": ("average", GREEN),
}


def stages_of(model: nn.Module, shape: Shape) -> tuple[list[Stage], int]:
    """The stages of a net on an image of that shape, the image first, and its parameters."""
    name = type(model).__name__
    net = independent_copy(model).eval()
    device = device_of(net)
    image = torch.zeros(1, *shape, device=device)
    watcher = Watcher(image)
    try:
        # A net that draws random numbers leaves the reader's as they were.
        forked = torch.random.fork_rng(enabled=device.type in ("cpu", "cuda"))
        with forked, torch.no_grad(), watcher:
            net(image)
    except Exception as problem:  # a net can raise anything
        size = "×".join(map(str, shape))
        raise CourseError(
            f"{name} does not run on an image of {size}: {short_reason(problem)}"
        ) from problem
    if len(watcher.stages) == 1:
        raise CourseError(
            f"{name} has no convolution, pooling or linear layer to draw: give a net that has one"
        )
    return watcher.stages, count_parameters(net)


class Watcher(TorchFunctionMode):
    """Keeps the stages of a net that runs on ``image`` while the watcher is entered."""

    def __init__(self, image: torch.Tensor) -> None:
        super().__init__()
        # The end of the chain: what is made of it belongs to the chain, other steps run beside it.
        self.end = image
        self.stages = [Stage("", maps_shape(image), GREY)]

    def __torch_function__(
        self, function: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        # Concatenation is given a list of tensors.
        given = args
        if args and isinstance(args[0], list | tuple):
            given = args[0]
        in_chain = any(each is self.end for each in given)
        if in_chain and isinstance(result, torch.Tensor):
            # Methods, functions and operators differ in underscores alone: add, add_, __add__.
            name = function.__name__.strip("_")
            self.keep(name, args, kwargs or {}, result)
            self.end = result
        return result

    def keep(self, name: str, args: Any, kwargs: Any, result: torch.Tensor) -> None:
        """Add a stage, or note what leaves the last one's shape as it is."""
        followed_by = self.stages[-1].followed_by
        # A dropout that sets nothing to zero is no step.
        if name == "dropout" and kwargs.get("p", (args[1:] or (None,))[0]) == 0:
            return
        if name in FOLLOWERS:
            followed_by.append(FOLLOWERS[name])
        elif name in ("conv2d", "linear") or name in POOLINGS:
            self.stages.append(stage_of(name, args, kwargs, maps_shape(result)))
        elif result.numel() != self.end.numel():
            # Whatever else changes the shape is called as torch calls it.
            self.stages.append(Stage(name, maps_shape(result), PURPLE))
        elif name in ("add", "iadd", "radd") and is_sum_of_maps(args):
            followed_by.append("sum")


def is_sum_of_maps(args: Any) -> bool:
    """Whether both terms are maps: then a shortcut ends here."""
    return all(isinstance(term, torch.Tensor) and term.dim() == 4 for term in args[:2])


def stage_of(name: str, args: Any, kwargs: Any, shape: Shape) -> Stage:
    """What a convolution, a pooling or a linear layer makes, as ``draw_network`` shows it."""
    if name == "linear":
        return Stage("linear", shape, PURPLE)
    # In torch's functions the window, or the weight, is the second argument.
    window = kwargs.get("weight", kwargs.get("kernel_size", (args[1:] or (None,))[0]))
    if name == "conv2d":
        kind = "conv"
        # One filter for each channel, which sees that channel alone
        if window.shape[1] == 1 and args[0].shape[1] > 1:
            kind = "depthwise"
        details = convolution_details(args, kwargs)
        return Stage(f"{kind}\n{size_in_words(window.shape[2:])}", shape, BLUE, details)
    words, color = POOLINGS[name]
    # The window of the others is the whole map, or follows from the size that they make.
    if name in ("max_pool2d", "avg_pool2d"):
        words = f"{words}\n{size_in_words(window)}"
    return Stage(words, shape, color)


def convolution_details(args: Any, kwargs: Any) -> str:
    """Stride and padding of a convolution, a line each, where they are not 1 and 0."""
    lines = []
    for place, name, usual in ((3, "stride", 1), (4, "padding", 0)):
        value = usual
        if len(args) > place:
            value = args[place]
        value = kwargs.get(name, value)
        # One number stands for rows and columns.
        if isinstance(value, list | tuple) and len(set(value)) == 1:
            value = value[0]
        if value != usual:
            lines.append(f"{name} {value}")
    return "\n".join(lines)


def size_in_words(size: Any) -> str:
    """A window's size: 3×3, also where one number stands for both."""
    if isinstance(size, int):
        size = (size, size)
    return "×".join(map(str, size))


def maps_shape(maps: torch.Tensor) -> Shape:
    """The shape of one image's maps; a vector is a map of one pixel."""
    if maps.dim() == 4:
        return maps.shape[1], maps.shape[2], maps.shape[3]
    return maps.numel(), 1, 1
