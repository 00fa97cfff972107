"""One step of a convolution, filters and maps: what the panels show, against torch itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from plot_inputs import assert_legible, drawn
from torch import nn

from helpers.environment import CourseError
from helpers.plots.filters import show_convolution, show_filters, show_maps
from helpers.plots.style import readable_on

matplotlib.use("Agg")


def number(text: str) -> float:
    return float(text.replace("−", "-"))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("bias", [0.0, 0.4, -0.4])
def test_the_sum_is_what_conv2d_gives(size: int, bias: float) -> None:
    generator = torch.Generator().manual_seed(size)
    image = torch.rand(28, 28, generator=generator)
    kernel = torch.randn(size, size, generator=generator)
    wanted = F.conv2d(image[None, None], kernel[None, None], torch.tensor([bias]))[0, 0]
    for row, column in ((0, 0), (10, 12), (28 - size, 28 - size)):
        title = show_convolution(image, kernel, row, column, bias)[3].get_title()
        last = number(title.split()[-1])
        assert last == pytest.approx(float(wanted[row, column]), abs=0.0051)


def test_the_panels_show_the_patch_the_kernel_and_their_products() -> None:
    image = torch.arange(36).reshape(6, 6).float()
    kernel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], requires_grad=True)
    axes = show_convolution(image, nn.Parameter(kernel), 1, 2)
    patch = image[1:4, 2:5].numpy()
    assert np.array_equal(drawn(axes[0]), image.numpy())
    assert np.array_equal(drawn(axes[1]), patch)
    assert np.array_equal(drawn(axes[2]), kernel.detach().numpy())
    assert np.array_equal(drawn(axes[3]), patch * kernel.detach().numpy())

    # The window lies around the pixels of the patch, whose greys are those of the image.
    (window,) = axes[0].patches
    assert window.get_bbox().extents.tolist() == [1.5, 0.5, 4.5, 3.5]
    assert axes[1].get_images()[0].get_clim() == axes[0].get_images()[0].get_clim()
    words = [text.get_text() for text in axes[2].texts]
    assert words == ["1", "0", "−1", "2", "0", "−2", "1", "0", "−1", "×"]
    assert axes[0].get_title() == "image, window at\nrow 1, column 2"
    assert_legible(axes[0])


def test_a_large_kernel_has_no_numbers_and_zeros_have_no_sign() -> None:
    axes = show_convolution(torch.ones(9, 9), -torch.zeros(7, 7), 0, 0)
    assert [text.get_text() for text in axes[2].texts] == ["×"] and not axes[1].texts
    assert axes[3].get_title() == "products,\nsum 0"
    words = show_convolution(torch.ones(3, 3), torch.full((2, 2), -0.001), 0, 0)[2].texts
    assert words[0].get_text() == "0.00"


def test_numbers_stand_in_their_cells() -> None:
    axes = show_convolution(torch.full((9, 9), 255), torch.full((3, 3), -0.377), 3, 3)
    axes[0].figure.canvas.draw()
    for ax in axes[1:]:
        cell = ax.get_window_extent().width / 3
        for text in ax.texts[:9]:
            assert text.get_window_extent().width < cell


def test_maps_share_one_scale_that_is_written_below_them() -> None:
    maps = torch.linspace(-1, 3, 5 * 6 * 4, requires_grad=True).reshape(5, 6, 4)
    axes = show_maps(maps, columns=3, title="maps of a digit")
    assert len(axes) == 5 and [ax.get_title() for ax in axes] == list("01234")
    for ax, one in zip(axes, maps, strict=True):
        assert np.allclose(drawn(ax), one.detach().numpy())
        assert ax.get_images()[0].get_clim() == (-1, 3)
    figure = axes[0].figure
    assert figure.get_suptitle() == "maps of a digit"
    assert figure.get_supxlabel() == "black is −1, white is 3"
    assert_legible(axes[0])


def test_numbers_are_black_or_white_whichever_has_the_higher_contrast() -> None:
    # Around the grey on which both have 4.6.
    assert (readable_on("#757575"), readable_on("#777777")) == ("white", "black")
    image = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.4, 0.6]])
    patch = show_convolution(image, np.ones((3, 3)), 0, 0)[1]
    colors = {text.get_text(): text.get_color() for text in patch.texts}
    assert colors == {"0": "white", "1": "black", "0.40": "white", "0.60": "black"}


def test_maps_take_titles_of_their_own() -> None:
    axes = show_maps(np.zeros((2, 3, 3)), titles=["before", "after"])
    assert [ax.get_title() for ax in axes] == ["before", "after"]


def test_filters_have_white_at_zero_and_one_scale() -> None:
    layer = nn.Conv2d(3, 10, 3)
    for channel in range(3):
        axes = show_filters(layer.weight, title="filters", channel=channel)
        weights = layer.weight[:, channel].detach().numpy()
        largest = np.abs(weights).max()
        assert len(axes) == 10
        for ax, one in zip(axes, weights, strict=True):
            image = ax.get_images()[0]
            assert np.allclose(drawn(ax), one)
            assert image.get_clim() == pytest.approx((-largest, largest))
        red, _, blue, _ = image.to_rgba(np.array([[largest]]))[0, 0]
        assert red > blue
        assert min(image.to_rgba(np.array([[0.0]]))[0, 0]) > 0.95
    assert_legible(axes[0])


def test_filters_of_one_channel_need_none_and_zeros_are_drawn() -> None:
    assert len(show_filters(torch.zeros(4, 3, 3))) == 4


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: show_convolution(torch.ones(1, 9, 9), torch.ones(3, 3), 0, 0), "the pixels: give"),
        (lambda: show_convolution(torch.ones(9, 9), torch.ones(1, 1, 3, 3), 0, 0), "the kernel:"),
        (lambda: show_convolution(torch.ones(9, 9), torch.ones(3, 3), 7, 0), "a row up to 6"),
        (lambda: show_convolution(torch.ones(9, 9), torch.ones(3, 3), 0, 7), "a column up to 6"),
        (lambda: show_convolution(torch.ones(2, 2), torch.ones(3, 3), 0, 0), "not inside an image"),
        (lambda: show_convolution(torch.ones(9, 9), torch.ones(3, 3), -1, 0), "row=-1"),
        (lambda: show_convolution(torch.ones(9, 9), torch.ones(3, 3), 0, 1.5), "column=1.5"),
        (lambda: show_convolution(torch.ones(9, 9), torch.ones(3, 3), 0, 0, [1]), "the bias"),
        (lambda: show_convolution("image", torch.ones(3, 3), 0, 0), "are numbers, not str"),
        (lambda: show_maps(torch.ones(1, 8, 9, 9)), r"give \[channels, H, W\]"),
        (lambda: show_maps(torch.ones(0, 9, 9)), "maps: give"),
        (lambda: show_maps(torch.full((1, 2, 2), math.nan)), "not finite"),
        (lambda: show_maps(torch.ones(2, 9, 9), titles=["one"]), "1 titles for 2 maps"),
        (lambda: show_maps(torch.ones(2, 9, 9), columns=0), "columns=0"),
        (lambda: show_filters(torch.ones(8, 9)), r"of shape \[8, 9\] are no filters"),
        (lambda: show_filters(torch.ones(8, 3, 3, 3), channel=3), "channel=3 of 3"),
        (lambda: show_filters(nn.Conv2d(1, 1, 3)), "weights are numbers, not Conv2d"),
    ],
)
def test_a_wrong_input_is_an_error_of_one_line(draw: Callable, message: str) -> None:
    with pytest.raises(CourseError, match=message) as caught:
        draw()
    assert "\n" not in str(caught.value)
