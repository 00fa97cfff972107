"""Networks drawn: where the parameters sit, and what maps a net makes."""

from collections import Counter
from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import nn

from helpers.environment import CourseError
from helpers.models import count_parameters
from helpers.models.residual import BasicBlock, ResidualNet
from helpers.plots.style import BLUE, SMALL, label_axes, new_axes, one_axes, require

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
