"""Networks drawn as blocks: their sizes and layers, room for labels, and the net left as it was."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plot_inputs import assert_legible
from torch import nn

from helpers.environment import CourseError
from helpers.models import small
from helpers.models.residual import ResidualNet
from helpers.models.resnet9 import ResNet9
from helpers.plots.nets import draw_network

matplotlib.use("Agg")

DIGIT = (1, 28, 28)
NETS = {
    "starter": (small.starter_net, DIGIT),
    "first": (small.first_net, DIGIT),
    "budget": (small.budget_net, DIGIT),
    "basic": (small.basic_net, DIGIT),
    "early pool": (small.early_pool_net, DIGIT),
    "compact": (small.compact_net, DIGIT),
    "wide": (small.wide_net, DIGIT),
    "field": (lambda: small.field_net((1, 2, 3)), DIGIT),
    "pointwise": (small.PointwiseNet, DIGIT),
    "shared": (small.SharedNet, DIGIT),
    "separable": (lambda: small.SharedNet(separable=True), DIGIT),
    "residual": (ResidualNet, DIGIT),
    "deep": (lambda: ResidualNet(blocks=3, shortcut="conv"), DIGIT),
    "resnet9": (lambda: ResNet9(width=8, mirror=True), (3, 32, 32)),
    "grouped": (lambda: ResNet9(grouped=True), (3, 32, 32)),
}
EVERY = pytest.mark.parametrize(("make", "shape"), NETS.values(), ids=NETS)


def sizes(ax: Axes) -> list[str]:
    found = []
    for text in ax.texts:
        first = text.get_text().split("\n")[0]
        if " × " in first:
            found.append(first)
    return found


def between(ax: Axes) -> list[str]:
    found = []
    for text in ax.texts:
        words = text.get_text()
        if words and " × " not in words and not words.startswith(("padding", "stride")):
            found.append(words.replace("\n", " "))
    return found


def test_the_first_net_is_drawn_from_the_image_to_the_logits() -> None:
    ax = draw_network(small.first_net(), DIGIT)
    assert sizes(ax) == [
        "1 × 28 × 28",
        "8 × 26 × 26",
        "8 × 13 × 13",
        "16 × 11 × 11",
        "16 × 5 × 5",
        "20 × 3 × 3",
        "10 × 1 × 1",
    ]
    pool = "max-pool 2×2"
    assert between(ax) == ["conv 3×3", pool, "conv 3×3", pool, "conv 3×3", "conv 3×3"]
    assert ax.get_title() == "5,958 parameters"

    # A block is as high as its rows, and as wide as its channels.
    heights = [block.get_height() for block in ax.patches[:6]]
    assert [height / heights[0] * 28 for height in heights] == pytest.approx([28, 26, 13, 11, 5, 3])
    widths = [block.get_width() for block in ax.patches[1:]]
    assert [width / widths[0] * 8 for width in widths] == pytest.approx([8, 8, 16, 16, 20, 10])


def test_steps_that_keep_the_shape_are_named_below_their_block() -> None:
    ax = draw_network(small.compact_net(dropout=0.05), DIGIT)
    below = [text.get_text() for text in ax.texts if " × " in text.get_text()]
    assert " ".join(below[1].split()) == "4 × 26 × 26 ReLU, norm, dropout"
    assert below[3] == "10 × 12 × 12" and below[-1] == "10 × 1 × 1"
    assert between(ax)[-2:] == ["average 4×4", "conv 1×1"]


FOLLOWING = {
    "leaky ReLU": nn.LeakyReLU(inplace=True),
    "PReLU": nn.PReLU(),
    "ELU": nn.ELU(),
    "SELU": nn.SELU(),
    "CELU": nn.CELU(0.3),
    "SiLU": nn.SiLU(),
    "Mish": nn.Mish(),
    "softplus": nn.Softplus(),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardtanh": nn.Hardtanh(),
    "group norm": nn.GroupNorm(2, 4),
    "layer norm": nn.LayerNorm(26),
    "instance norm": nn.InstanceNorm2d(4),
    "local norm": nn.LocalResponseNorm(3),
    "dropout": nn.AlphaDropout(0.1),
}


@pytest.mark.parametrize(("name", "layer"), FOLLOWING.items(), ids=FOLLOWING)
def test_activations_and_norms_have_names_of_their_own(name: str, layer: nn.Module) -> None:
    ax = draw_network(nn.Sequential(nn.Conv2d(1, 4, 3), layer), DIGIT)
    assert " ".join(ax.texts[-1].get_text().split()) == f"4 × 26 × 26 {name}"


def test_a_dropout_of_nothing_is_no_step() -> None:
    ax = draw_network(small.compact_net(dropout=0.0), DIGIT)
    assert not any("dropout" in text.get_text() for text in ax.texts)


def test_padding_and_stride_are_said_where_they_are_not_the_usual_ones() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 5, stride=2, padding=2), nn.Conv2d(4, 4, (3, 1), (1, 2)))
    ax = draw_network(net, DIGIT)
    words = [text.get_text() for text in ax.texts]
    assert "stride 2\npadding 2" in words and "stride (1, 2)" in words
    assert between(ax) == ["conv 5×5", "conv 3×1"]
    assert sizes(ax) == ["1 × 28 × 28", "4 × 14 × 14", "4 × 12 × 7"]


def test_functions_are_seen_as_layers_are() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 6, 3)
            self.deep = nn.Conv2d(6, 6, 3, groups=6)
            self.linear = nn.Linear(6, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.max_pool2d(F.relu(self.conv(x)), kernel_size=2)
            x = torch.cat([x, self.deep(F.pad(x, (1, 1, 1, 1)))], dim=1)[:, :6]
            return self.linear(x.mean((2, 3)))

    ax = draw_network(Net(), DIGIT)
    assert between(ax)[:2] == ["conv 3×3", "max-pool 2×2"]
    assert between(ax)[-2:] == ["average", "linear"]
    assert sizes(ax)[-2:] == ["6 × 1 × 1", "10 × 1 × 1"]


def test_what_runs_beside_the_chain_is_not_drawn_and_a_shortcut_is_a_sum() -> None:
    plain = draw_network(ResidualNet(), DIGIT)
    for shortcut in ("conv", "none"):
        ax = draw_network(ResidualNet(shortcut=shortcut), DIGIT)
        assert sizes(ax) == sizes(plain) and between(ax) == between(plain)
    assert between(plain) == ["conv 3×3"] * 7 + ["average", "linear"]
    assert sum("sum" in text.get_text() for text in plain.texts) == 3
    mirrored = draw_network(ResNet9(width=8, mirror=True), (3, 32, 32))
    assert len(mirrored.patches) == 14 and "sum" not in mirrored.texts[-1].get_text()


@EVERY
def test_labels_touch_nothing_and_are_not_cut_off(make: Callable, shape: tuple) -> None:
    ax = draw_network(make(), shape)
    assert_legible(ax)
    page = ax.figure.bbox
    boxes = []
    for text in ax.texts:
        if text.get_text():
            boxes.append(text.get_window_extent())
    for at, box in enumerate(boxes):
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
        assert not box.count_overlaps(boxes[:at]), ax.texts[at]
        assert not box.count_overlaps([block.get_window_extent() for block in ax.patches])


def test_the_net_and_the_random_numbers_stay_as_they_were() -> None:
    net = small.compact_net(dropout=0.1)
    net[2].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    draw_network(net, DIGIT)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in net.modules()] == modes
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(module._forward_hooks for module in net.modules())


def test_a_shape_may_be_an_array_or_a_tensor() -> None:
    for shape in (np.array(DIGIT), torch.tensor(DIGIT), torch.zeros(DIGIT).shape):
        assert sizes(draw_network(small.first_net(), shape))[0] == "1 × 28 × 28"


def test_given_axes_are_used() -> None:
    given = Figure().subplots()
    assert draw_network(small.first_net(), [1, 28, 28], ax=given) is given


class Broken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("no such\nthing")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: draw_network(small.first_net, DIGIT), "Module, not function"),
        (lambda: draw_network(small.first_net(), (28, 28)), r"is \(channels, height, width\)"),
        (lambda: draw_network(small.first_net(), 28), "input_shape is .* not 28"),
        (lambda: draw_network(small.first_net(), (1, 28, 0)), "input_shape is"),
        (lambda: draw_network(small.first_net(), "abc"), "input_shape is"),
        (lambda: draw_network(small.first_net(), (3, 28, 28)), "an image of 3×28×28"),
        (lambda: draw_network(small.first_net(), (1, 8, 8)), "an image of 1×8×8"),
        (lambda: draw_network(Broken(), DIGIT), "Broken does not run"),
        (lambda: draw_network(nn.ReLU(), DIGIT), "ReLU has no convolution"),
        (lambda: draw_network(small.first_net(), DIGIT, ax="left"), "not str"),
    ],
)
def test_a_wrong_input_is_an_error_of_one_line(draw: Callable, message: str) -> None:
    with pytest.raises(CourseError, match=message) as caught:
        draw()
    assert "\n" not in str(caught.value)
