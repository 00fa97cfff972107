"""Residual blocks against convolutions and formulas written out; counts, depths and fields."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.environment import CourseError
from helpers.models import count_parameters
from helpers.models.residual import BasicBlock, ResidualNet, pad_shortcut
from helpers.receptive_field.table import receptive_field_table


def randomised(net: nn.Module) -> nn.Module:
    """In evaluation mode, with normalisations that do something."""
    torch.manual_seed(0)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values in (norm.weight, norm.bias, norm.running_mean):
                nn.init.normal_(values)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    return net.eval()


def test_a_shortcut_never_drops_channels():
    with pytest.raises(CourseError, match="out_channels is at least 8, .* not 4$"):
        pad_shortcut(torch.zeros(1, 8, 4, 4), 4, 1)


@pytest.mark.parametrize(
    "before, after, stride, size",
    [
        (8, 16, 2, (28, 28)),
        (3, 8, 2, (7, 5)),
        (4, 4, 1, (6, 6)),
        (2, 5, 3, (9, 4)),
        (1, 1, 2, (1, 1)),
    ],
)
def test_the_shortcut_is_a_convolution_whose_weights_are_fixed(before, after, stride, size):
    """A 1×1 convolution with a 1 for each channel that passes, and zeros in front and behind."""
    x, kernel = torch.randn(2, before, *size), torch.zeros(after, before, 1, 1)
    for channel in range(before):
        kernel[(after - before) // 2 + channel, channel] = 1
    assert torch.equal(pad_shortcut(x, after, stride), F.conv2d(x, kernel, stride=stride))


def test_a_gradient_goes_through_the_shortcut_untouched():
    x = torch.randn(1, 4, 6, 6, requires_grad=True)
    pad_shortcut(x, 8, 2).sum().backward()
    wanted = torch.zeros_like(x)
    wanted[:, :, ::2, ::2] = 1
    assert torch.equal(x.grad, wanted)


@pytest.mark.parametrize("shortcut", ["pad", "conv", "none"])
@pytest.mark.parametrize(
    "before, after, stride, size", [(4, 8, 2, (9, 6)), (4, 4, 1, (5, 5)), (3, 6, 1, (4, 7))]
)
def test_a_block_is_its_formula(shortcut, before, after, stride, size):
    block = randomised(BasicBlock(before, after, stride, shortcut))
    x = torch.randn(2, before, *size)

    def norm(values, layer):
        mean, var, weight, bias = (
            each.view(-1, 1, 1)
            for each in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
        )
        return (values - mean) / (var + layer.eps).sqrt() * weight + bias

    y = norm(F.conv2d(x, block.conv1.weight, stride=stride, padding=1), block.norm1).clamp(min=0)
    y = norm(F.conv2d(y, block.conv2.weight, padding=1), block.norm2)
    if shortcut == "conv" and (before, stride) != (after, 1):
        y = y + norm(F.conv2d(x, block.project[0].weight, stride=stride), block.project[1])
    elif shortcut != "none":
        front = (after - before) // 2
        y[:, front : front + before] += x[:, :, ::stride, ::stride]
    torch.testing.assert_close(block(x), y.clamp(min=0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "options, count",
    [
        ({}, 19_074),
        ({"shortcut": "none"}, 19_074),
        ({"shortcut": "conv"}, 19_074 + 8 * 16 + 2 * 16 + 16 * 32 + 2 * 32),
        ({"stride": 2}, 19_074),
        ({"blocks": 2}, 19_074 + sum(2 * 9 * width**2 + 4 * width for width in (8, 16, 32))),
    ],
)
def test_counts_are_exact(options, count):
    assert count_parameters(ResidualNet(**options)) == count


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_the_depth_is_two_layers_a_block_and_two_more(blocks):
    layers = [
        layer
        for layer in ResidualNet(blocks=blocks).modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    assert len(layers) == 2 * blocks * 3 + 2


@pytest.mark.parametrize(
    "options", [{}, {"widths": (4, 6), "blocks": 2}, {"shortcut": "conv"}, {"stride": 2}]
)
def test_the_net_is_its_blocks_between_a_convolution_and_an_average(options):
    net, images = randomised(ResidualNet(**options)), torch.rand(3, 1, 28, 21)
    x = torch.relu(net.norm(net.conv(images)))
    first = options.get("stride", 1)
    assert x.shape[2:] == (
        -(-28 // first),
        -(-21 // first),
    )  # neither stride, unless asked for, nor pooling
    for block in net.blocks:
        x = block(x)
    smaller = first * 2 ** (len(options.get("widths", (8, 16, 32))) - 1)
    assert x.shape[2:] == (-(-28 // smaller), -(-21 // smaller))
    logits = net(images)
    assert isinstance(logits, torch.Tensor) and logits.shape == (3, 10)
    torch.testing.assert_close(logits, x.flatten(2).mean(2) @ net.linear.weight.T + net.linear.bias)


def test_without_its_convolutions_a_block_passes_what_is_not_negative():
    block, x = BasicBlock(4, 8, 2).eval(), torch.rand(1, 4, 6, 6)
    nn.init.zeros_(block.norm2.weight)
    assert torch.equal(block(x), pad_shortcut(x, 8, 2))


def test_the_smallest_path_sees_three_pixels_until_the_average():
    rows = list(receptive_field_table(ResidualNet(), (1, 28, 28)))
    sums = [row for row in rows if row.name.endswith("add")]
    assert [(row.rf, row.rf_min) for row in sums] == [(7, 3), (13, 3), (25, 3)]


def test_another_shortcut_is_refused():
    with pytest.raises(CourseError, match="unknown shortcut 'pda'; choose one of: pad"):
        BasicBlock(4, 8, 2, "pda")


@pytest.mark.parametrize(
    "options",
    [{}, {"blocks": 3}, {"shortcut": "conv"}, {"shortcut": "none", "blocks": 2}, {"stride": 2}],
)
def test_a_seed_draws_the_weights_layer_after_layer(options):
    torch.manual_seed(5)
    drawn = ResidualNet(**options).state_dict()
    again = ResidualNet(**options)
    torch.manual_seed(5)
    for layer in again.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    assert list(again.state_dict()) == list(drawn)
    assert all(torch.equal(value, drawn[name]) for name, value in again.state_dict().items())


def test_names_of_weights_stay_as_records_have_them():
    kinds = ["conv1", "norm1", "norm1", "conv2", "norm2", "norm2"]
    names = [name.split(".") for name, _ in ResidualNet(blocks=2).named_parameters()]
    assert [name[0] for name in names] == [
        "conv",
        "norm",
        "norm",
        *["blocks"] * 36,
        *["linear"] * 2,
    ]
    blocks = [name for name in names if name[0] == "blocks"]
    assert [name[1] for name in blocks] == [str(number) for number in range(6) for _ in kinds]
    assert [name[2] for name in blocks] == kinds * 6
    # A shortcut has weights only where the shape changes.
    projections = {
        name.split(".")[1]
        for name in ResidualNet(blocks=2, shortcut="conv").state_dict()
        if "project" in name
    }
    assert projections == {"2", "4"}


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_the_first_block_of_each_stage_but_the_first_halves(blocks):
    net = ResidualNet((4, 6, 8, 8), blocks)
    sizes = []
    for block in net.blocks:
        sizes.append((block.conv1.in_channels, block.out_channels, block.stride))
    wanted = []
    for before, after, stride in ((4, 4, 1), (4, 6, 2), (6, 8, 2), (8, 8, 2)):
        wanted += [(before, after, stride)] + [(after, after, 1)] * (blocks - 1)
    assert sizes == wanted
