"""Separable convolutions against whole ones, shortcuts by hand, and the count of a net."""

import pytest
import torch
import torch.nn.functional as F

from helpers.models import count_parameters
from helpers.models.separable import SeparableBlock, separable_net
from helpers.plots.nets import draw_network
from helpers.receptive_field.table import receptive_field_table


@pytest.mark.parametrize(("c_in", "c_out"), [(3, 5), (5, 3), (4, 4), (1, 1), (1, 2)])
def test_a_block_is_a_whole_convolution_whose_kernels_are_products(c_in, c_out):
    torch.manual_seed(0)
    block = SeparableBlock(c_in, c_out).eval()
    block.norm.running_mean.normal_()
    block.norm.running_var.uniform_(0.5, 2)
    images = torch.randn(2, c_in, 6, 7)

    # The kernel from channel i to channel o is i's depthwise kernel, times a number.
    mix, look = block.mix.weight.detach()[:, :, 0, 0], block.look.weight.detach()[:, 0]
    kernel = torch.einsum("oi,ihw->oihw", mix, look)
    deviation = (block.norm.running_var + block.norm.eps).sqrt()[:, None, None]
    change = F.conv2d(images, kernel, padding=1) - block.norm.running_mean[:, None, None]
    change = change / deviation
    if c_in == c_out:
        change = change + images
    torch.testing.assert_close(block(images), change.clamp(min=0), rtol=1e-4, atol=1e-5)


def count_by_hand(widths):
    total = 9 * widths[0] + 2 * widths[0]
    for c_in, c_out in zip(widths, widths[1:]):
        total += 9 * c_in + c_in * c_out + 2 * c_out
    return total + 10 * widths[-1] + 10


@pytest.mark.parametrize(
    ("widths", "pools"),
    [
        ([12, 12, 12, 16, 16, 16, 20, 20], [3, 6]),
        ([10, 10, 14, 14, 14, 18, 18, 18], [2, 5]),
        ([7], []),
        ([3, 5], [1, 2]),
    ],
)
def test_a_net_has_the_count_of_its_formula_and_maps_halved_by_each_pooling(widths, pools):
    net = separable_net(widths, pools)
    assert count_parameters(net) == count_by_hand(widths)
    assert net(torch.randn(2, 1, 28, 28)).shape == (2, 10)
    size = 28
    for _ in pools:
        size //= 2
    (mean,) = [row for row in receptive_field_table(net, (1, 28, 28)) if "Avg" in row.kind]
    assert mean.n_in == size
    draw_network(net, (1, 28, 28))


def test_by_default_it_has_the_parameters_that_its_docstring_names():
    assert f"{count_parameters(separable_net()):,} parameters" in separable_net.__doc__
