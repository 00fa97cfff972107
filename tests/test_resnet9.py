"""ResNet-9 against its assignment, the table of document 002, and a forward pass written out."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.models import count_parameters
from helpers.models.resnet9 import ResNet9, conv_layer
from helpers.receptive_field.table import receptive_field_table
from helpers.summary import summarize

ROW = re.compile(r"^ *(\w+)-\d+ +\[-1, ([\d, ]+)\] +([\d,]+)$", re.MULTILINE)

# Document 002's torchsummary table without the two rows of its residual blocks:
# (in, out, pooled, rows) of each layer.
LAYERS = [
    (3, 64, 0, 32),
    (64, 128, 1, 32),
    (128, 128, 0, 16),
    (128, 128, 0, 16),
    (128, 256, 1, 16),
    (256, 512, 1, 8),
    (512, 512, 0, 4),
    (512, 512, 0, 4),
]


def documents_rows():
    """As the document has them: depthwise, norm, ReLU, 1×1, pooling, norm, ReLU."""
    for before, after, pooled, size in LAYERS:
        smaller = size // 2 if pooled else size
        yield from (
            ("Conv2d", [before, size, size], 9 * before),
            ("BatchNorm2d", [before, size, size], 2 * before),
            ("ReLU", [before, size, size], 0),
            ("Conv2d", [after, size, size], before * after),
        )
        if pooled:
            yield "MaxPool2d", [after, smaller, smaller], 0
        yield from (
            ("BatchNorm2d", [after, smaller, smaller], 2 * after),
            ("ReLU", [after, smaller, smaller], 0),
        )
    yield from (("MaxPool2d", [512, 1, 1], 0), ("Linear", [10], 5130))


def test_the_rows_are_those_that_the_document_prints():
    """A few of them as they stand there, so that the list above is not only equal to the net."""
    rows = list(documents_rows())
    assert len(rows) == 53 and sum(row[2] for row in rows) == 757_931
    assert rows[3] == ("Conv2d", [64, 32, 32], 192) and rows[10] == ("MaxPool2d", [128, 16, 16], 0)
    assert rows[28] == ("Conv2d", [256, 16, 16], 32_768) and rows[-3] == ("ReLU", [512, 4, 4], 0)


def test_every_leaf_row_of_the_grouped_net_is_the_documents():
    rows = [
        (kind, [int(size) for size in shape.split(", ")], int(count.replace(",", "")))
        for kind, shape, count in ROW.findall(summarize(ResNet9(grouped=True), (3, 32, 32)))
        if kind not in ("Sequential", "Residual", "ResNet9")
    ]
    assert rows == list(documents_rows())


@pytest.mark.parametrize("grouped, count", [(False, 6_573_130), (True, 757_931)])
def test_counts_are_exact(grouped, count):
    assert count_parameters(ResNet9(grouped)) == count


@pytest.mark.parametrize("grouped", [False, True])
def test_the_net_is_its_assignment_written_out(grouped):
    torch.manual_seed(0)
    net, x = ResNet9(grouped, scale=0.125).eval(), torch.randn(2, 3, 32, 32)
    for norm in (layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)):
        (
            nn.init.uniform_(norm.weight, 0.5, 2),
            nn.init.normal_(norm.bias),
            nn.init.uniform_(norm.running_var, 0.5, 2),
        )
    images, found = (
        x,
        {name: layer for name, layer in net.named_modules() if isinstance(layer, nn.Sequential)},
    )

    def layer(x, name, pool=False):
        parts = list(found[name])
        norms = [part for part in parts if isinstance(part, nn.BatchNorm2d)]
        convs = [part.weight for part in parts if isinstance(part, nn.Conv2d)]
        x = F.conv2d(x, convs[0], padding=1, groups=x.shape[1] if grouped else 1)
        if grouped:
            x = F.conv2d(norms[0](x).clamp(min=0), convs[1])
        if pool:
            x = F.max_pool2d(x, 2)
        return norms[-1](x).clamp(min=0)

    def residual(x, name):
        return x + layer(layer(x, f"{name}.layers.0"), f"{name}.layers.1")

    x = residual(layer(layer(x, "prep"), "layer1.0", pool=True), "layer1.1")
    x = residual(layer(layer(x, "layer2", pool=True), "layer3.0", pool=True), "layer3.1")
    expected = (x.amax((2, 3)) @ net.linear.weight.T + net.linear.bias) / 8
    torch.testing.assert_close(net(images), expected, atol=1e-4, rtol=1e-4)


def test_the_softmax_is_left_to_the_loss():
    logits = ResNet9()(torch.randn(4, 3, 32, 32))
    assert logits.shape == (4, 10) and (logits.sum(1) - 1).abs().max() > 0.01


def test_a_grouped_layer_has_a_filter_a_channel():
    depthwise, pointwise = (
        part for part in conv_layer(6, 4, grouped=True) if isinstance(part, nn.Conv2d)
    )
    assert depthwise.weight.shape == (6, 1, 3, 3) and pointwise.weight.shape == (4, 6, 1, 1)


def test_the_largest_and_the_smallest_path_are_those_of_the_formula():
    """prep 3; layer 1: 5, pooled 6; layer 2: 10, pooled 12; layer 3: 20, pooled 24.

    At the end 48, over the last 4×4 of jump 8.
    The blocks that the smallest path goes around add two windows each, of jump 2 and of jump 8.
    """
    last = receptive_field_table(ResNet9(), (3, 32, 32))[-2]
    assert (last.rf_min, last.rf, last.jump_in) == (48, 48 + 2 * 2 * 2 + 2 * 2 * 8, 8)


def test_mirrored_views_are_averaged_in_evaluation_alone():
    torch.manual_seed(0)
    net, x = ResNet9(width=4, mirror=True), torch.randn(3, 3, 32, 32)
    plain = ResNet9(width=4)
    plain.load_state_dict(net.state_dict())
    torch.testing.assert_close(net(x), plain(x))
    net.eval(), plain.eval()
    torch.testing.assert_close(net(x), (plain(x) + plain(x.flip(3))) / 2)
    torch.testing.assert_close(net(x), net(x.flip(3)))


def test_a_narrower_net_has_a_share_of_the_channels():
    sizes = [
        tuple(part.weight.shape[:2])
        for part in ResNet9(width=16).modules()
        if isinstance(part, nn.Conv2d)
    ]
    assert sizes == [(after // 4, before // 4 if before > 3 else 3) for before, after, *_ in LAYERS]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("pool", [False, True])
def test_a_seed_draws_what_the_recorded_trainings_began_with(grouped, pool):
    """A grouped layer draws a 3×3 convolution too, which it does not use."""
    torch.manual_seed(5)
    layer = conv_layer(6, 4, grouped, pool)
    after = torch.rand(3)
    torch.manual_seed(5)
    wanted = [nn.Conv2d(6, 4, 3, bias=False).weight]
    if grouped:
        depthwise = nn.Conv2d(6, 6, 3, groups=6, bias=False)
        wanted = [depthwise.weight, nn.Conv2d(6, 4, 1, bias=False).weight]
    found = [part.weight for part in layer if isinstance(part, nn.Conv2d)]
    assert len(found) == len(wanted)
    assert all(torch.equal(one, other) for one, other in zip(found, wanted))
    assert torch.equal(torch.rand(3), after)


@pytest.mark.parametrize("width, count", [(4, 26_350), (8, 103_954)])
def test_narrow_counts_are_exact(width, count):
    assert count_parameters(ResNet9(width=width)) == count
    assert count_parameters(ResNet9(True, 8)) == 15_035


def test_logits_are_scaled_in_training_and_in_evaluation():
    torch.manual_seed(0)
    net, images = ResNet9(width=4, scale=0.125, mirror=True), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(net(images), net.logits(images) * 0.125)
    net.eval()
    both = (net.logits(images) + net.logits(images.flip(-1))) / 2
    torch.testing.assert_close(net(images), both * 0.125)
