"""Every net against what the documents state: parameter counts, and tables layer by layer."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from helpers.environment import CourseError
from helpers.models import count_parameters, device_of, independent_copy
from helpers.models.residual import ResidualNet
from helpers.models.separable import separable_net
from helpers.models.small import (
    PointwiseNet,
    SharedNet,
    basic_net,
    budget_net,
    compact_net,
    early_pool_net,
    field_net,
    first_net,
    he_normal,
    starter_net,
    wide_net,
)
from helpers.models.speed import SpeedNet

NETS = (
    starter_net,
    first_net,
    budget_net,
    wide_net,
    compact_net,
    basic_net,
    early_pool_net,
    PointwiseNet,
)
LAYERS = {
    "conv": "Conv2d",
    "relu": "ReLU",
    "norm": "BatchNorm2d",
    "drop": "Dropout",
    "max": "MaxPool2d",
    "avg": "AvgPool2d",
}

# Each entry: layer, channels, side of the square output, parameters; as in the document's table.
DOCUMENT_001 = """conv 4 28 40, relu 4 28 0, norm 4 28 8, conv 4 28 148, relu 4 28 0, norm 4 28 8,
    conv 8 28 296, relu 8 28 0, norm 8 28 16, max 8 14 0,
    conv 12 14 876, relu 12 14 0, norm 12 14 24, conv 12 14 1308, relu 12 14 0, norm 12 14 24,
    conv 16 12 1744, relu 16 12 0, norm 16 12 32, max 16 6 0,
    conv 20 6 2900, relu 20 6 0, norm 20 6 40, conv 10 4 1810, avg 10 1 0"""
DOCUMENT_003 = """conv 4 26 36, relu 4 26 0, norm 4 26 8, drop 4 26 0, conv 10 24 360, relu 10 24 0,
    norm 10 24 20, drop 10 24 0, max 10 12 0, conv 8 12 80, relu 8 12 0, norm 8 12 16, drop 8 12 0,
    conv 4 12 32, relu 4 12 0, norm 4 12 8, drop 4 12 0, conv 10 10 360, relu 10 10 0,
    norm 10 10 20, drop 10 10 0, conv 16 8 1440, relu 16 8 0, norm 16 8 32, drop 16 8 0,
    conv 12 6 1728, relu 12 6 0, norm 12 6 24, drop 12 6 0, conv 16 4 1728, relu 16 4 0,
    norm 16 4 32, drop 16 4 0, avg 16 1 0, conv 10 1 160"""
# This document's table ends after row 12; from there on by its code.
DOCUMENT_004 = """conv 8 26 72, norm 8 26 16, drop 8 26 0, conv 16 24 1152, norm 16 24 32,
    drop 16 24 0, max 16 12 0,
    conv 8 12 128, norm 8 12 16, drop 8 12 0, conv 16 10 1152, norm 16 10 32, drop 16 10 0,
    conv 24 8 3456, norm 24 8 48, drop 24 8 0, avg 24 1 0, conv 32 1 768, norm 32 1 64, drop 32 1 0,
    conv 16 1 512, norm 16 1 32, drop 16 1 0, conv 10 1 160"""


def document_rows(table: str) -> list[tuple[str, tuple[int, ...], int]]:
    rows = []
    for kind, channels, side, count in map(str.split, table.split(",")):
        rows.append((LAYERS[kind], (-1, int(channels), int(side), int(side)), int(count)))
    return rows


def layer_rows(net: nn.Module) -> list[tuple[str, tuple[int, ...], int]]:
    """Type, output shape and parameters of each layer, in the order that an image meets them."""
    rows = []
    for layer in [each for each in net.eval().modules() if not list(each.children())]:
        layer.register_forward_hook(
            lambda layer, _, output: rows.append(
                (
                    type(layer).__name__,
                    (-1, *output.shape[1:]),
                    sum(value.numel() for value in layer.parameters()),
                )
            )
        )
    net(torch.rand(1, 1, 28, 28))
    return rows


@pytest.mark.parametrize(
    ("net", "table", "total"), [(budget_net, DOCUMENT_001, 9274), (compact_net, DOCUMENT_003, 6084)]
)
def test_every_row_of_the_documents_table_is_rebuilt(net, table, total):
    *rows, flatten = layer_rows(net())
    assert rows == document_rows(table) and sum(count for _, _, count in rows) == total
    assert flatten == (
        "Flatten",
        (-1, 10),
        0,
    )  # the documents reshape in forward(), where no table shows it


def test_every_row_of_document_004_is_rebuilt():
    rows = layer_rows(PointwiseNet())
    assert rows == document_rows(DOCUMENT_004) and sum(count for _, _, count in rows) == 7640


def test_document_004_orders_relu_and_normalisation_as_its_code_does():
    """By the formulas of its forward pass, written out; no ReLU where its code has none."""
    torch.manual_seed(0)
    net, x = PointwiseNet().eval(), torch.rand(2, 1, 28, 28)
    c, n = net.convs, net.norms
    for norm in n:
        nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    y = torch.relu(n[0](c[0](x)))
    y = n[2](c[2](nn.functional.max_pool2d(n[1](c[1](y)), 2, 2)))
    y = n[4](torch.relu(c[4](n[3](torch.relu(c[3](y))))))
    y = nn.functional.avg_pool2d(y, 8)
    y = n[6](torch.relu(c[6](n[5](torch.relu(c[5](y))))))
    torch.testing.assert_close(net(x), c[7](y).view(-1, 10))


@pytest.mark.parametrize("net, before", [(basic_net, 3), (early_pool_net, 2), (compact_net, 2)])
def test_the_ladder_pools_after_a_field_of_seven_or_five(net, before):
    kinds = [type(layer) for layer in net()]
    convs = [layer for layer in net()[: kinds.index(nn.MaxPool2d)] if isinstance(layer, nn.Conv2d)]
    assert [layer.kernel_size for layer in convs] == [(3, 3)] * before
    assert count_parameters(net()) < 8000


@pytest.mark.parametrize(
    "options", [{}, {"channels": 6, "uses": (1, 3)}, {"channels": 8, "separable": True}]
)
def test_the_shared_net_is_one_convolution_used_again_with_its_own_norms_and_shortcuts(options):
    torch.manual_seed(0)
    net, x = SharedNet(**options).eval(), torch.rand(2, 1, 28, 28)
    for norm in net.norms.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight), nn.init.normal_(norm.running_mean)
    y = net.stem(x)
    for norms in net.norms:
        y = nn.functional.max_pool2d(y, 2)
        for norm in norms:
            y = (y + norm(net.conv(y))).clamp(min=0)
    torch.testing.assert_close(net(x), y.flatten(2).mean(2) @ net.linear.weight.T + net.linear.bias)
    assert tuple(len(norms) for norms in net.norms) == options.get("uses", (2, 2, 2))


def test_the_field_nets_differ_in_their_pooling_alone():
    nets = [
        [layer for layer in field_net(pools) if not isinstance(layer, nn.MaxPool2d)]
        for pools in ((), (3,), (2, 4), (1, 2), (1, 2, 3))
    ]
    assert {str(net) for net in nets} == {str(nets[0])}


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (starter_net, 6_379_786),
        (budget_net, 9_274),
        (lambda: budget_net(batch_norm=False), 9_122),
        (lambda: budget_net(widths=[4, 4, 6, 8, 8, 10, 9]), 3_901),
        (lambda: budget_net(widths=[4] * 7), 1_354),
        (lambda: budget_net(widths=[4, 4, 8, 10, 10, 16, 18]), 7_960),
        (lambda: budget_net(widths=[8, 8, 16, 16, 16, 24, 24]), 17_554),
        (compact_net, 6_084),
        (first_net, 5_958),
        (wide_net, 9_292),
        (basic_net, 7_964),
        (early_pool_net, 7_824),
        (PointwiseNet, 7_640),
        (SharedNet, 4_270),
        (lambda: SharedNet(separable=True), 1_250),
        (lambda: SharedNet(8, (1, 3, 2)), 850),
        (field_net, 4_874),
        (lambda: field_net([1, 2, 3]), 4_874),
        (lambda: compact_net(widths=[3, 5, 7, 2, 9, 8, 6, 4]), 1_797),
    ],
)
def test_counts_are_exact(net, count):
    assert count_parameters(net()) == count


def test_the_starters_count_is_that_of_seven_convolutions_with_biases():
    channels = [1, 32, 64, 128, 256, 512, 1024, 10]
    assert sum(9 * i * o + o for i, o in zip(channels, channels[1:])) == count_parameters(
        starter_net()
    )
    assert not [layer for layer in starter_net() if isinstance(layer, (nn.Linear, nn.BatchNorm2d))]


def test_the_wide_net_has_half_the_convolutions_at_the_same_budget():
    deep, wide = budget_net(), wide_net()
    assert abs(count_parameters(wide) / count_parameters(deep) - 1) <= 0.03
    assert [sum(isinstance(layer, nn.Conv2d) for layer in net) for net in (deep, wide)] == [8, 4]


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("count", [1, 3])
def test_images_become_ten_logits(net, count):
    torch.manual_seed(0)
    logits = net().eval()(torch.rand(count, 1, 28, 28))
    assert logits.shape == (count, 10) and logits.dtype == torch.float32
    assert not torch.allclose(logits.sum(1), torch.ones(count))  # logits, not probabilities


@pytest.mark.parametrize("net", NETS)
def test_no_net_has_a_fully_connected_layer(net):
    assert not [layer for layer in net().modules() if isinstance(layer, nn.Linear)]


def test_images_of_a_batch_do_not_meet_in_evaluation():
    net, images = budget_net().eval(), torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(net(images)[1:2], net(images[1:2]))


def test_without_batch_normalisation_only_the_normalisations_are_gone():
    kinds = [type(layer) for layer in budget_net() if not isinstance(layer, nn.BatchNorm2d)]
    assert [type(layer) for layer in budget_net(batch_norm=False)] == kinds


def test_dropout_is_as_strong_as_asked_for():
    assert {layer.p for layer in compact_net(0.03) if isinstance(layer, nn.Dropout)} == {0.03}
    assert {layer.p for layer in compact_net() if isinstance(layer, nn.Dropout)} == {0.0}


def test_a_shared_tensor_counts_once():
    shared = nn.Conv2d(4, 4, 3)
    tied = nn.Linear(5, 5, bias=False)
    tied.weight = nn.Parameter(torch.zeros(5, 5))
    also = nn.Linear(5, 5, bias=False)
    also.weight = tied.weight
    assert (
        count_parameters(nn.Sequential(shared, nn.ReLU(), shared, tied, also)) == 4 * 4 * 9 + 4 + 25
    )


def test_frozen_parameters_and_buffers_do_not_count():
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    net[0].bias.requires_grad_(False)
    assert count_parameters(net) == 3 * 2 + 2 + 2


def test_bare_parameters_count():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(7))

    assert count_parameters(Scale()) == 7


@pytest.mark.parametrize(
    "build",
    [
        *NETS[1:],
        field_net,
        SharedNet,
        lambda: SharedNet(separable=True),
        lambda: budget_net(batch_norm=False),
        lambda: budget_net(widths=(8, 8, 16, 16, 16, 24, 24)),
    ],
)
def test_a_seed_draws_the_weights_layer_after_layer(build):
    """So that the same seed makes the net that was recorded, whatever the file looks like."""
    torch.manual_seed(5)
    drawn = build().state_dict()
    again = build()
    torch.manual_seed(5)
    for layer in again.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    assert list(again.state_dict()) == list(drawn)
    assert all(torch.equal(value, drawn[name]) for name, value in again.state_dict().items())


def test_names_of_weights_stay_as_records_have_them():
    assert list(PointwiseNet().state_dict())[:9] == [
        *(f"convs.{number}.weight" for number in range(8)),
        "norms.0.weight",
    ]
    shared = dict(SharedNet(uses=(1, 2)).named_parameters())
    assert list(shared) == [
        *("stem.0.weight", "stem.1.weight", "stem.1.bias", "conv.weight"),
        *("norms.0.0.weight", "norms.0.0.bias", "norms.1.0.weight", "norms.1.0.bias"),
        *("norms.1.1.weight", "norms.1.1.bias", "linear.weight", "linear.bias"),
    ]
    places = [name for name in budget_net().state_dict() if name.endswith("weight")]
    assert places == [
        f"{number}.weight" for number in (0, 2, 3, 5, 6, 8, 10, 12, 13, 15, 16, 18, 20, 22, 23)
    ]


@pytest.mark.parametrize(
    "widths",
    [
        (4, 8),
        (4,) * 6,
        (4,) * 9,
        (),
        4,
        "4488",
        (4, 4, 8, 12, 12, 16, 0),
        [4, 4, 8, 8, 8, 8, 8, 1.5],
    ],
)
def test_widths_are_as_many_as_the_convolutions(widths):
    for net, count in ((budget_net, 7), (compact_net, 8)):
        words = rf"^widths={re.escape(repr(widths))}: .*: give {count} whole numbers, each at"
        with pytest.raises(CourseError, match=words):
            net(widths=widths)


@pytest.mark.parametrize("pools", [(6,), [1, 6], (0,), (-1,), 2, (1.5,), "12"])
def test_a_pooling_comes_behind_a_convolution_that_is_there(pools):
    words = rf"^pools={re.escape(repr(pools))}: .* give a list of their numbers, from 1 to"
    with pytest.raises(CourseError, match=f"{words} 5$"):
        field_net(pools)
    with pytest.raises(CourseError, match=f"{words} 3$"):
        separable_net((4, 4, 6), pools)


@pytest.mark.parametrize("net", [separable_net, ResidualNet, SpeedNet])
@pytest.mark.parametrize("widths", [(), 8, (8, 0), (8, 2.5), None, "88"])
def test_a_net_of_any_depth_has_at_least_one_width(net, widths):
    with pytest.raises(CourseError, match=rf"^widths={re.escape(repr(widths))}: give the channels"):
        net(widths=widths)


def test_widths_and_pools_are_taken_from_arrays_as_from_lists():
    widths, pools = [4, 4, 6, 6, 6, 8, 6], [2, 4]
    of_arrays = [budget_net(widths=np.array(widths)), field_net(np.array(pools))]
    of_lists = [budget_net(widths=widths), field_net(set(pools))]
    assert str(of_arrays) == str(of_lists)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (PointwiseNet, r"PointwiseNet is a class, and no net: give an object, .* PointwiseNet\(\)"),
        (first_net, r"give a net, such as first_net\(\), not something of type function"),
        (3, "give a net, .* not something of type int"),
    ],
)
def test_only_a_net_is_copied(wrong, words):
    with pytest.raises(CourseError, match=f"^{words}$"):
        independent_copy(wrong)


def test_the_device_of_a_net_is_that_of_its_parameters_or_else_of_its_buffers():
    fixed = nn.BatchNorm1d(2, affine=False, device="meta")
    assert device_of(fixed).type == "meta" and device_of(nn.ReLU()).type == "cpu"
    assert device_of(nn.Sequential(fixed, nn.Linear(2, 2))).type == "cpu"


def test_hes_weights_have_the_deviation_of_their_rule_and_no_bias():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(16, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(256, 500))
    he_normal(net)
    # A window of the convolution has 16 · 3 · 3 inputs, the linear layer 256.
    assert net[0].weight.std().item() == pytest.approx((2 / 144) ** 0.5, rel=0.03)
    assert net[3].weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.03)
    assert not net[0].bias.any() and not net[3].bias.any()


def test_with_hes_weights_activations_keep_their_size_without_normalisation():
    # Torch's own rule loses a factor of several hundred over the same seven layers.
    sizes = {}
    for he in (True, False):
        torch.manual_seed(0)
        net = budget_net(batch_norm=False, he=he)[:-3]
        images = torch.randn(32, 1, 28, 28)
        with torch.no_grad():
            sizes[he] = (net(images) - net(images * 0)).std().item()
    assert sizes[True] > 0.1 and sizes[False] < sizes[True] / 50


def test_hes_weights_change_neither_the_layers_nor_the_count():
    plain, drawn = budget_net(batch_norm=False), budget_net(batch_norm=False, he=True)
    assert str(plain) == str(drawn) and count_parameters(plain) == count_parameters(drawn) == 9122
