"""Networks drawn: where the parameters sit, and what maps a net makes."""

from collections import Counter

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import nn

from helpers.models import count_parameters
from helpers.models.residual import ResidualNet
from helpers.plots.style import BLUE, SMALL, label_axes, new_axes


def plot_parameters(model: nn.Module, ax: Axes | None = None) -> Axes:
    """Where the parameters sit: a bar for each layer that has some, the first on top; a shared tensor counts once."""
    counts = Counter()
    for name, parameter in model.named_parameters():
        counts[name.rpartition(".")[0]] += parameter.numel()
    labels = []
    for name in counts:
        layer = model.get_submodule(name)
        sizes = (
            f" {layer.in_channels}→{layer.out_channels}" if hasattr(layer, "in_channels") else ""
        )
        labels.append(f"{name} {type(layer).__name__}{sizes}".strip())
    ax = ax or new_axes(9, 1.2 + 0.3 * len(counts))[0]
    bars = ax.barh(labels, counts.values(), color=BLUE)
    shares = [f"{count:,} ({100 * count / counts.total():.1f} %)" for count in counts.values()]
    ax.bar_label(bars, shares, fontsize=SMALL, padding=4)
    ax.set(xlim=(0, 1.3 * max(counts.values())), ylim=(len(counts) - 0.4, -0.6))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.get_major_locator().set_params(nbins=5)
    return label_axes(ax, f"{counts.total():,} parameters", "parameters", "layer", "x")


def residual_net() -> Axes:
    """Document 000's net, map by map: higher for more rows, wider for more channels; an arc for every shortcut."""
    net, maps = ResidualNet().eval(), {}
    names = {
        layer: name
        for name, layer in net.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    }
    for layer in names:
        layer.register_forward_hook(
            lambda layer, _, output: maps.update({layer: (*output.shape[1:], 1, 1)[:3]})
        )
    net(torch.zeros(1, 1, 28, 28))
    ax = new_axes(9, 3.8)[0]
    for place, (layer, (channels, rows, columns)) in enumerate(maps.items()):
        block, width, height = (
            names[layer].rpartition(".")[0],
            0.15 + channels / 50,
            0.1 + rows / 20,
        )
        ax.add_patch(
            plt.Rectangle((place - width / 2, -height / 2), width, height, color=BLUE, alpha=0.35)
        )
        text = f"{names[layer]}\n{channels}×{rows}×{columns}".replace(".conv", "\nconv")
        ax.text(place, -0.9, text, ha="center", va="top", fontsize=SMALL)
        if layer is getattr(net.get_submodule(block), "conv2", None):  # the last of its block
            ax.annotate(
                "",
                (place + 0.5, 0.75),
                (place - 1.5, 0.75),
                arrowprops={"arrowstyle": "->", "connectionstyle": "arc3,rad=-0.5", "lw": 2},
            )
            words = (
                "every second pixel,\nzero channels"
                if net.get_submodule(block).stride > 1
                else "as it is"
            )
            ax.text(place - 0.5, 1.4, words, ha="center", fontsize=SMALL)
    ax.set(
        xlim=(-0.7, len(maps) - 0.3),
        ylim=(-1.7, 1.9),
        title=f"{count_parameters(net):,} parameters",
    )
    ax.set_axis_off()
    return ax
