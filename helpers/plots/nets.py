"""Networks drawn: where the parameters sit, and what maps a net makes."""

import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers.environment import CourseError, short_reason, whole_number
from helpers.models import count_parameters, device_of, independent_copy
from helpers.models.residual import BasicBlock, ResidualNet
from helpers.plots.style import (
    BLUE,
    FONT,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SMALL,
    label_axes,
    new_axes,
    one_axes,
    require,
)

Shape = tuple[int, int, int]  # channels, rows, columns


def plot_parameters(model: nn.Module, ax: Axes | None = None) -> Axes:
    """Where the parameters sit: a bar for each layer that has some, the first on top.

    A tensor that several layers share counts once, for the first. Raises ``CourseError`` for a
    model without parameters.
    """
    require(model, nn.Module, "plot_parameters")
    # A parameter's name begins with that of its layer.
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        layer = name.rpartition(".")[0]
        counts[layer] += parameter.numel()
    total = counts.total()
    if not total:
        raise CourseError(f"{type(model).__name__} has no parameters: give a net that has some")

    # What stands left of a bar, and right of it.
    labels = []
    shares = []
    for name, count in counts.items():
        labels.append(layer_label(name, model.get_submodule(name)))
        shares.append(f"{count:,} ({100 * count / total:.1f} %)")

    # As high as its bars need.
    ax = one_axes(ax, 9, 1.2 + 0.3 * len(counts))
    bars = ax.barh(labels, list(counts.values()), color=BLUE)
    ax.bar_label(bars, shares, fontsize=SMALL, padding=4)

    # The longest bar leaves room for its label; the first layer is on top.
    ax.set_xlim(0, 1.3 * max(counts.values()))
    ax.set_ylim(len(counts) - 0.4, -0.6)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    return label_axes(ax, f"{total:,} parameters", "parameters", "layer", grid="x")


def layer_label(name: str, layer: nn.Module) -> str:
    """A layer's name and kind, and its channels where it has some: ``0 Conv2d 1→32``."""
    label = f"{name} {type(layer).__name__}".strip()
    if hasattr(layer, "in_channels"):
        label = f"{label} {layer.in_channels}→{layer.out_channels}"
    return label


def plot_residual_net() -> Axes:
    """Document 000's net, map by map, from left to right.

    A map of more rows is drawn higher, one of more channels wider; an arc stands for a shortcut.
    """
    # One image through the net gives the size of every map.
    net = ResidualNet()
    maps = map_shapes(net, (1, 28, 28))

    # Maps at 0, 1, 2 and so on, shortcuts above them.
    ax = new_axes(9, 3.8)[0]
    for place, (name, shape) in enumerate(maps.items()):
        draw_map(ax, place, name, shape)
        # The second convolution is the last of its block: here the shortcut comes in.
        owner, _, layer = name.rpartition(".")
        block = net.get_submodule(owner)
        if isinstance(block, BasicBlock) and layer == "conv2":
            draw_shortcut(ax, place, block.stride)
    ax.set_xlim(-0.7, len(maps) - 0.3)
    ax.set_ylim(-1.7, 1.9)
    ax.set_title(f"{count_parameters(net):,} parameters")
    ax.set_axis_off()
    return ax


def map_shapes(net: nn.Module, input_shape: Shape) -> dict[str, Shape]:
    """The maps that each convolution and linear layer makes, by name, in the order of running."""
    shapes: dict[str, Shape] = {}

    def recorder(name: str) -> Callable[..., None]:
        def record(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
            # A vector is drawn as a map of one pixel.
            shapes[name] = (output.shape[1], 1, 1)
            if output.dim() == 4:
                shapes[name] = (output.shape[1], output.shape[2], output.shape[3])

        return record

    # A hook sees what its layer gives while the net runs.
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(recorder(name))

    # In evaluation mode, one image is enough for batch normalisation.
    net.eval()
    with torch.no_grad():
        net(torch.zeros(1, *input_shape))
    return shapes


def draw_map(ax: Axes, place: int, name: str, shape: Shape) -> None:
    """A rectangle for a map, with its layer and its size below."""
    # In units of the axes, where maps lie 1 apart.
    channels, rows, columns = shape
    width = 0.15 + channels / 50
    height = 0.1 + rows / 20
    corner = (place - width / 2, -height / 2)
    ax.add_patch(Rectangle(corner, width, height, facecolor=(BLUE, 0.35), edgecolor=BLUE))

    # A block's layer takes two lines, so that names do not touch.
    title = name.replace(".conv", "\nconv")
    text = f"{title}\n{channels}×{rows}×{columns}"
    ax.text(place, -0.9, text, ha="center", va="top", fontsize=SMALL)


def draw_shortcut(ax: Axes, place: int, stride: int) -> None:
    """An arc from before a block to after it, and what the shortcut does with the map."""
    arrow = {"arrowstyle": "->", "connectionstyle": "arc3,rad=-0.5", "lw": 2}
    ax.annotate("", xy=(place + 0.5, 0.75), xytext=(place - 1.5, 0.75), arrowprops=arrow)

    # Without parameters a smaller map is every second pixel of the larger one.
    words = "as it is"
    if stride > 1:
        words = "every second pixel,\nzero channels"
    ax.text(place - 0.5, 1.4, words, ha="center", fontsize=SMALL)


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
    "leaky_relu": "ReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "batch_norm": "norm",
    "dropout": "dropout",
    "dropout2d": "dropout",
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


def draw_network(model: nn.Module, input_shape: Sequence[int], ax: Axes | None = None) -> Axes:
    """The maps of a net as blocks, from the image to the logits, and the layer between two of them.

    A block is as high as its rows and as wide as its channels; below it stand ``channels × rows ×
    columns`` and the steps that leave the shape as it is. What runs beside the chain, such as a
    convolution in a shortcut, is not drawn.

    input_shape: (channels, rows, columns) of an image
    ax: where to draw; a new figure unless given

    The net is run on one image as a copy, and stays as it was. Raises ``CourseError`` for what is
    no net, for another shape, for a net that does not run on such an image, and for one without a
    convolution, a pooling or a linear layer.
    """
    require(model, nn.Module, "draw_network")
    stages, parameters = stages_of(model, checked_shape(input_shape))

    # Rows of about equal length, of as many blocks as their labels leave room for
    longest = max(len(stage.size) for stage in stages)
    most = 7
    if longest > 12:
        most = 6
    rows = -(-len(stages) // most)
    in_a_row = -(-len(stages) // rows)
    scale = Scale(stages, in_a_row)
    lines = []
    for start in range(0, len(stages), in_a_row):
        lines.append(stages[start : start + in_a_row])
    heights = [scale.row_height(line) for line in lines]

    # Row below row, in inches of a new figure
    ax = one_axes(ax, 9, sum(heights) + 0.4)
    top = 0.0
    for line, height in zip(lines, heights):
        middle = top - scale.block_height(line) / 2
        for place, stage in enumerate(line):
            draw_stage(ax, stage, scale, place, middle)
            draw_size(ax, stage, scale, place, top - scale.block_height(line))
        top -= height
    ax.set_xlim(0, 9)
    ax.set_ylim(top, 0)
    ax.set_axis_off()
    ax.set_title(f"{parameters:,} parameters", fontsize=FONT)
    return ax


# In inches: the highest block, a row of low ones with the words above and below its arrows, a line
# of text, and an arrow.
BLOCK_HEIGHT = 1.35
LOW_ROW = 0.95
LINE = 0.19
ARROW = 0.5


class Scale:
    """How large blocks are drawn, in inches."""

    def __init__(self, stages: Sequence[Stage], in_a_row: int) -> None:
        self.distance = 9 / (in_a_row + 0.1)
        self.pixel = BLOCK_HEIGHT / max(stage.shape[1] for stage in stages)
        self.channel = 0.3 * self.distance / max(stage.shape[0] for stage in stages)

    def block(self, shape: Shape) -> tuple[float, float]:
        """Width and height of a block, which is never too thin to be seen."""
        width = max(0.05, shape[0] * self.channel)
        height = max(0.05, shape[1] * self.pixel)
        return width, height

    def block_height(self, stages: Sequence[Stage]) -> float:
        """What the blocks of a row need, and the words beside them."""
        highest = max(self.block(stage.shape)[1] for stage in stages)
        return max(LOW_ROW, highest) + 0.05

    def row_height(self, stages: Sequence[Stage]) -> float:
        """What a row needs with the lines below it, and the distance from the next one."""
        lines = max(len(self.lines_below(stage)) for stage in stages)
        return self.block_height(stages) + LINE * lines + 0.25

    def lines_below(self, stage: Stage) -> list[str]:
        """A block's size, and what leaves it as it is, in lines as long as there is room."""
        steps = ", ".join(dict.fromkeys(stage.followed_by))
        letters = round(10 * self.distance)
        return [stage.size, *textwrap.wrap(steps, letters)]


def checked_shape(input_shape: Sequence[int]) -> Shape:
    """The shape of an image as whole numbers; ``CourseError`` for anything else."""
    wrong = CourseError(
        f"input_shape={input_shape!r}: give (channels, rows, columns), such as (1, 28, 28)"
    )
    if not isinstance(input_shape, Sequence) or len(input_shape) != 3:
        raise wrong
    numbers = [whole_number(size, least=1) for size in input_shape]
    channels, rows, columns = numbers
    if channels is None or rows is None or columns is None:
        raise wrong
    return channels, rows, columns


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
        self.stages = [Stage("", image_shape(image), GREY)]

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
        if name in FOLLOWERS:
            followed_by.append(FOLLOWERS[name])
        elif name in ("conv2d", "linear") or name in POOLINGS:
            self.stages.append(stage_of(name, args, kwargs, image_shape(result)))
        elif result.numel() != self.end.numel():
            # Whatever else changes the shape is called as torch calls it.
            self.stages.append(Stage(name, image_shape(result), PURPLE))
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


def image_shape(maps: torch.Tensor) -> Shape:
    """The shape of one image's maps; a vector is a map of one pixel."""
    if maps.dim() == 4:
        return maps.shape[1], maps.shape[2], maps.shape[3]
    return maps.numel(), 1, 1


def draw_stage(ax: Axes, stage: Stage, scale: Scale, place: int, middle: float) -> None:
    """A block, and left of it an arrow with the step that makes it."""
    width, height = scale.block(stage.shape)
    left = (place + 0.62) * scale.distance - width / 2
    corner = (left, middle - height / 2)
    color = stage.color
    ax.add_patch(Rectangle(corner, width, height, facecolor=(color, 0.35), edgecolor=color))
    # The image is made by nothing.
    if not stage.made_by:
        return

    # The arrow ends at the block; the words stand above it, what is unusual below.
    end = left - 0.04
    arrow = {"arrowstyle": "->", "lw": 1.5, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=(end, middle), xytext=(end - ARROW, middle), arrowprops=arrow)
    words: dict[str, Any] = {"ha": "right", "fontsize": SMALL, "linespacing": 1.1}
    ax.text(end, middle + 0.06, stage.made_by, va="bottom", **words)
    if stage.details:
        ax.text(end, middle - 0.08, stage.details, va="top", **words)


def draw_size(ax: Axes, stage: Stage, scale: Scale, place: int, top: float) -> None:
    """Below a block its size, and what leaves it as it is."""
    text = "\n".join(scale.lines_below(stage))
    ax.text((place + 0.62) * scale.distance, top, text, ha="center", va="top", fontsize=SMALL)
