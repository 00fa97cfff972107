"""A trained net as plain numbers, which the script of ``draw_a_digit.html`` can run.

The script knows convolutions, ReLU, batch normalisation in evaluation mode, and pooling. A linear
layer is a convolution whose window is the whole map, and dropout does nothing in evaluation mode.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from helpers.environment import CourseError
from helpers.receptive_field.table import Row, receptive_field_table

SHAPE = (1, 28, 28)  # channels, rows and columns of an image of MNIST
CLASSES = 10

# Layers that change nothing of what a trained net says.
WITHOUT_EFFECT = (nn.Identity, nn.Dropout, nn.Dropout2d)
KNOWN_LAYERS = (
    "Conv2d, ReLU, BatchNorm2d, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), Linear, Flatten "
    "and dropout"
)


@dataclass
class Exported:
    """Layers and stages for the page's JSON, and the weights that they point into."""

    layers: list[dict[str, Any]] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    weights: list[torch.Tensor] = field(default_factory=list)
    count: int = 0  # numbers in ``weights``

    def keep(self, values: torch.Tensor) -> int:
        """Add numbers to the weights; returns the place of the first one."""
        place = self.count
        self.weights.append(values.detach().flatten().float())
        self.count += values.numel()
        return place

    def packed(self) -> bytes:
        """All weights as float32, the low byte first."""
        return torch.cat(self.weights).numpy().astype("<f4").tobytes()


def export(net: nn.Module) -> Exported:
    """The layers of a net that maps images [N, 1, 28, 28] to logits [N, 10].

    Raises ``CourseError`` for a net that the page cannot run: one that is no chain of known layers,
    and one with another input or output.
    """
    # What each position sees, by the names that the layers have in the net.
    chain = list(layers_of(net, ""))
    rows = {row.name: row for row in receptive_field_table(net, SHAPE)}
    exported = Exported()
    maps = torch.zeros(1, *SHAPE)
    for name, layer in chain:
        # What goes in decides how many numbers a mean or a linear layer sees.
        before = maps
        with torch.no_grad():
            maps = layer(before)
        entry = entry_of(name, layer, image_shape(before, exported), exported)
        if entry is None:
            continue

        # A layer with a window begins a stage; ReLU and normalisation belong to the one before.
        exported.layers.append(entry)
        if name in rows:
            exported.stages.append(stage_of(layer, rows[name], image_shape(maps, exported)))
        add_step(exported, entry)

    # The page has ten bars.
    if maps.numel() != CLASSES:
        raise CourseError(f"the net gives {maps.numel()} numbers, and the page shows {CLASSES}")
    return exported


def layers_of(net: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a chain with their names; chains inside of it are followed."""
    if not isinstance(net, nn.Sequential):
        yield name, net
        return
    for key, layer in net.named_children():
        yield from layers_of(layer, f"{name}.{key}".removeprefix("."))


def image_shape(maps: torch.Tensor, exported: Exported) -> tuple[int, int, int]:
    """Channels, rows and columns of maps [1, C, H, W]; flattened, they have those from before."""
    if maps.dim() == 4:
        return maps.shape[1], maps.shape[2], maps.shape[3]
    # Ten numbers behind a linear layer, or the maps of the last stage in one row.
    if exported.stages:
        channels, rows, columns = exported.stages[-1]["size"]
        if channels * rows * columns == maps.numel():
            return channels, rows, columns
    return maps.numel(), 1, 1


def entry_of(
    name: str, layer: nn.Module, shape: tuple[int, int, int], exported: Exported
) -> dict[str, Any] | None:
    """What the page needs of one layer; None for a layer without an effect."""
    if isinstance(layer, WITHOUT_EFFECT) or is_plain_flatten(layer):
        return None
    # Layers with numbers of their own, each in the only form that the script has.
    if isinstance(layer, nn.ReLU):
        return {"kind": "relu"}
    if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros":
        return convolution(layer, exported)
    if isinstance(layer, nn.Linear):
        return linear(layer, shape, exported)
    if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
        return normalisation(layer, exported)
    # What is left is a pooling, or nothing that the script knows.
    pooling = pooling_of(layer, shape)
    if pooling is None:
        raise cannot_run(name, layer)
    return pooling


def cannot_run(name: str, layer: nn.Module) -> CourseError:
    """The error for a layer that the page's script does not know."""
    # A net inside of the net prints as many lines.
    words = " ".join(str(layer).split())[:110]
    return CourseError(
        f"the page cannot run the layer {name or 'that is the net'}, {words}: "
        f"it runs an nn.Sequential of {KNOWN_LAYERS}"
    )


def is_plain_flatten(layer: nn.Module) -> bool:
    """Whether a layer only writes all maps of an image in one row."""
    return isinstance(layer, nn.Flatten) and layer.start_dim == 1 and layer.end_dim == -1


def convolution(layer: nn.Conv2d, exported: Exported) -> dict[str, Any]:
    """A convolution: its window, and where its weights begin."""
    # Padding may be a word, "same" or "valid", that torch turns into numbers of its own.
    padding = layer.padding
    if isinstance(padding, str):
        padding = padding_in_numbers(layer)
    return {
        "kind": "convolution",
        "out": layer.out_channels,
        "groups": layer.groups,
        "kernel": list(layer.kernel_size),
        "stride": list(layer.stride),
        "padding": list(padding),
        "dilation": list(layer.dilation),
        "weight": exported.keep(layer.weight),
        "bias": kept_bias(layer.bias, exported),
    }


def padding_in_numbers(layer: nn.Conv2d) -> tuple[int, int]:
    """The padding along rows and columns that a word stands for."""
    left, right, top, bottom = layer._reversed_padding_repeated_twice
    # An even window has no middle, and "same" pads one side more.
    if left != right or top != bottom:
        raise CourseError(f"the page cannot run {layer}: it pads both sides of an axis alike")
    return top, left


def linear(layer: nn.Linear, shape: tuple[int, int, int], exported: Exported) -> dict[str, Any]:
    """A linear layer, as the convolution that sees the whole map at once."""
    return {
        "kind": "convolution",
        "out": layer.out_features,
        "groups": 1,
        # Flattened maps lie channel by channel and row by row, as a window's weights do.
        "kernel": list(shape[1:]),
        "stride": [1, 1],
        "padding": [0, 0],
        "dilation": [1, 1],
        "weight": exported.keep(layer.weight),
        "bias": kept_bias(layer.bias, exported),
    }


def kept_bias(bias: torch.Tensor | None, exported: Exported) -> int:
    """The place of a bias; -1 where the layer has none."""
    if bias is None:
        return -1
    return exported.keep(bias)


def normalisation(layer: nn.BatchNorm2d, exported: Exported) -> dict[str, Any]:
    """Batch normalisation in evaluation mode: a factor and a summand for each channel."""
    assert layer.running_mean is not None and layer.running_var is not None
    # In float64, so that the page's float32 is as near as it can be.
    factor = (layer.running_var.double() + layer.eps).rsqrt()
    # Both are left out by affine=False.
    if layer.weight is not None:
        factor = factor * layer.weight.double()
    summand = -layer.running_mean.double() * factor
    if layer.bias is not None:
        summand = summand + layer.bias.double()
    return {
        "kind": "normalisation",
        "factor": exported.keep(factor),
        "summand": exported.keep(summand),
    }


def pooling_of(layer: nn.Module, shape: tuple[int, int, int]) -> dict[str, Any] | None:
    """A pooling: its kind and its window; None for any other layer."""
    # The mean of a whole map is one window.
    if isinstance(layer, nn.AdaptiveAvgPool2d) and pair(layer.output_size) == [1, 1]:
        window = list(shape[1:])
        return {"kind": "average", "kernel": window, "stride": window, "padding": [0, 0]}
    # Windows that reach over the edge, and other odd options, are left out of the script.
    if not isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) or layer.ceil_mode:
        return None
    kind = "maximum"
    # A mean with padding counts it or not; the largest never sees it.
    if isinstance(layer, nn.AvgPool2d):
        kind = "average"
        if layer.divisor_override is not None or pair(layer.padding) != [0, 0]:
            return None
    elif pair(layer.dilation) != [1, 1]:
        return None
    return {
        "kind": kind,
        "kernel": pair(layer.kernel_size),
        "stride": pair(layer.stride),
        "padding": pair(layer.padding),
    }


def pair(size: Any) -> list[Any]:
    """A size along rows and columns, where one number stands for both."""
    if isinstance(size, list | tuple):
        return list(size)
    return [size, size]


def stage_of(layer: nn.Module, row: Row, size: tuple[int, int, int]) -> dict[str, Any]:
    """A row of maps on the page: what makes them, their size, and what a position sees."""
    return {
        "title": title_of(layer),
        "size": list(size),
        "field": pair(row.rf),
        "jump": pair(row.jump),
        "start": pair(row.start),
        "steps": [],
    }


def title_of(layer: nn.Module) -> str:
    """What makes the maps, in words."""
    # Windows by their sizes, poolings by what they take.
    if isinstance(layer, nn.Conv2d):
        rows, columns = layer.kernel_size
        return f"{rows}×{columns} convolution"
    if isinstance(layer, nn.MaxPool2d):
        rows, columns = pair(layer.kernel_size)
        return f"Largest of {rows}×{columns} (max pooling)"
    if isinstance(layer, nn.AvgPool2d):
        rows, columns = pair(layer.kernel_size)
        return f"Mean of {rows}×{columns} (average pooling)"
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return "Mean of each map (average pooling)"
    return "Linear layer"


def add_step(exported: Exported, entry: dict[str, Any]) -> None:
    """Note a layer among the steps of the last stage: the page can show the maps after each."""
    if not exported.stages:
        raise CourseError("the page cannot run a net that does not begin with a window")
    step = {"layer": len(exported.layers) - 1, "kind": entry["kind"]}
    exported.stages[-1]["steps"].append(step)
