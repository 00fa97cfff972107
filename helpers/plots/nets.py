"""Networks drawn: where the parameters sit, and what maps a net makes."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import nn

from helpers.data.checks import image_shape
from helpers.environment import CourseError
from helpers.plots.stages import Shape, Stage, stages_of
from helpers.plots.style import (
    BLUE,
    FONT,
    SMALL,
    label_axes,
    one_axes,
    require,
)


def plot_parameters(model: nn.Module, ax: Axes | None = None) -> Axes:
    """Where the parameters sit: a bar for each layer that has some, the first on top.

    Trainable ones alone count, as in ``count_parameters``, and a tensor that several layers share
    counts once, for the first. Raises ``CourseError`` for a model without such parameters.
    """
    require(model, nn.Module, "plot_parameters")
    # A parameter's name begins with that of its layer.
    counts: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = name.rpartition(".")[0]
        counts[layer] += parameter.numel()
    total = counts.total()
    if not total:
        raise CourseError(
            f"{type(model).__name__} has no parameters that are trained: give a net that has some"
        )

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


def draw_network(model: nn.Module, input_shape: Sequence[int], ax: Axes | None = None) -> Axes:
    """The maps of a net as blocks, from the image to the logits, and the layer between two of them.

    A block is as high as its rows and as wide as its channels; below it stand ``channels × rows ×
    columns`` and the steps that leave the shape as it is. A pale block comes from a depthwise
    convolution, which mixes no channels. What runs beside the chain, such as a
    convolution in a shortcut, is not drawn.

    input_shape: (channels, rows, columns) of an image
    ax: where to draw; a new figure unless given

    The net is run on one image as a copy, and stays as it was. Raises ``CourseError`` for what is
    no net, for another shape, for a net that does not run on such an image, and for one without a
    convolution, a pooling or a linear layer.
    """
    require(model, nn.Module, "draw_network")
    stages, parameters = stages_of(model, image_shape(input_shape))

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
        # The widest block leaves room for the words beside it; "depthwise" is the longest.
        share = 0.3
        if any(mixes_nothing(stage) for stage in stages):
            share = 0.2
        self.channel = share * self.distance / max(stage.shape[0] for stage in stages)

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


def mixes_nothing(stage: Stage) -> bool:
    """Whether a block comes from a depthwise convolution, which takes each channel by itself."""
    return stage.made_by.startswith("depthwise")


def draw_stage(ax: Axes, stage: Stage, scale: Scale, place: int, middle: float) -> None:
    """A block, and left of it an arrow with the step that makes it."""
    width, height = scale.block(stage.shape)
    left = (place + 0.62) * scale.distance - width / 2
    corner = (left, middle - height / 2)
    color = stage.color
    strength = 0.35
    if mixes_nothing(stage):
        strength = 0.07
    ax.add_patch(Rectangle(corner, width, height, facecolor=(color, strength), edgecolor=color))
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
