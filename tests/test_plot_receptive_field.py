"""Receptive fields as they are drawn: squares worked out by hand, heat maps, titles, limits."""

from __future__ import annotations

from collections import OrderedDict

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import nn

from helpers.data import ImageSplit
from helpers.environment import CourseError
from helpers.plots.fields import (
    plot_effective_fields,
    plot_field_growth,
    plot_receptive_field,
    square_holding,
    two_lines,
)
from helpers.receptive_field.measured import EffectiveReceptiveField
from helpers.receptive_field.table import ReceptiveFieldTable, receptive_field_table

matplotlib.use("Agg")


def make_split(channels: int = 1, note: str = "") -> ImageSplit:
    images = torch.randint(
        0, 256, (3, channels, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    return ImageSplit(
        images, torch.arange(3), ("a", "b", "c"), (0.3,) * channels, (0.2,) * channels, note
    )


def make_field(box: tuple | None, largest: float = 4, layer: str = "") -> EffectiveReceptiveField:
    values = torch.zeros(28, 28)
    values[3:7, 4:10] = torch.linspace(largest / 2, largest, 6)
    return EffectiveReceptiveField(values, layer, (1, 1), box, 0.0455)


def check(axes: np.ndarray, *expected: tuple[str, list[tuple[float, ...]]]) -> None:
    """Titles and squares (left, top, width, height), within limits that all share; legible."""
    (left, right), (bottom, top) = axes[0].get_xlim(), axes[0].get_ylim()
    for ax, (title, squares) in zip(axes, expected, strict=True):
        drawn = [(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in ax.patches]
        assert (ax.get_title(), drawn) == (title, squares)
        assert (ax.get_xlim(), ax.get_ylim()) == (
            (left, right),
            (bottom, top),
        ) and ax.get_aspect() == 1
        assert all(patch.get_linewidth() >= 2 and not patch.get_fill() for patch in ax.patches)
        for x, y, width, height in [*squares, (-0.5, -0.5, 28, 28)]:
            assert left < x < x + width < right and top < y < y + height < bottom
    axes[0].figure.canvas.draw()
    assert (
        min(text.get_fontsize() for text in axes[0].figure.findobj(Text) if text.get_text()) >= 11
    )


def test_squares_are_where_the_hand_puts_them_and_only_where_the_field_grows() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.MaxPool2d(2), nn.Conv2d(2, 2, 3)
    )
    split, given = make_split(note="practice data"), Figure().subplots(2, 2)
    axes = plot_receptive_field(receptive_field_table(net, (1, 28, 28)), split, 2, given)
    assert list(axes) == list(given.flat)[:3]
    assert np.array_equal(axes[0].get_images()[0].get_array().squeeze(), split.images[2, 0].numpy())
    assert axes[0].get_images()[0].get_interpolation() == "nearest" and axes[0].get_images()[
        0
    ].get_clim() == (0, 255)
    assert (
        axes[0].figure.get_suptitle()
        == "Seen by the middle position, layer by layer · practice data"
    )
    check(
        axes,
        ("Conv2d 0\n3×3 px", [(12.5, 12.5, 3, 3)]),
        ("MaxPool2d 3\n4×4 px", [(11.5, 11.5, 4, 4)]),
        ("Conv2d 4\n8×8 px", [(9.5, 9.5, 8, 8)]),
    )  # positions 13, 6 and 5 see the pixels 13–15, 12–15 and 10–17


def test_oblong_kernels_colour_images_names_and_squares_beyond_the_border() -> None:
    layers = {
        "stem": nn.Conv2d(3, 2, (3, 5), stride=(1, 2)),
        "wide": nn.Conv2d(2, 2, (1, 21), padding=(0, 10)),
    }
    table, split = (
        receptive_field_table(nn.Sequential(OrderedDict(layers)), (3, 28, 28)),
        make_split(3),
    )
    axes = plot_receptive_field(
        ReceptiveFieldTable((*table, table[0])), split
    )  # last a branch that sees less
    assert np.array_equal(
        axes[0].get_images()[0].get_array(), split.images[0].permute(1, 2, 0).numpy()
    )
    check(axes, ("stem\n3×5 px", [(11.5, 12.5, 5, 3)]), ("wide\n3×45 px", [(-8.5, 12.5, 45, 3)]))


def test_twelve_of_many_layers_and_no_table_without_an_image() -> None:
    table = receptive_field_table(
        nn.Sequential(*[nn.Conv2d(1, 1, 3, padding=1) for _ in range(40)]), (1, 28, 28)
    )
    axes = plot_receptive_field(table, make_split())
    numbers = [int(ax.get_title().split()[1]) for ax in axes]
    assert (len(numbers), numbers[0], numbers[-1]) == (12, 0, 39) and set(np.diff(numbers)) <= {
        3,
        4,
    }
    assert axes[0].figure.get_suptitle() == "Seen by the middle position, 12 of 40 layers"
    with pytest.raises(CourseError, match="split"):
        plot_receptive_field(table)


def test_heat_maps_with_both_boxes_and_sizes() -> None:
    fields = {
        "before": make_field((-2, 1, 19, 22)),
        "after": make_field(None),
        "none": make_field(None, 0),
    }
    axes = plot_receptive_field(fields, make_split(note="practice data"))
    for image, field, largest in zip(
        [ax.get_images()[0] for ax in axes], fields.values(), (4, 4, 1), strict=True
    ):
        assert np.array_equal(
            image.get_array(), field.map.numpy() / largest
        ) and image.get_clim() == (0, 1)
    assert [patch.get_linestyle() for ax in axes for patch in ax.patches] == ["-", "--", "--"]
    texts = axes[0].figure.get_suptitle(), axes[0].figure.axes[-1].get_ylabel()
    assert texts == (
        "Solid: theory, dashed: half of the gradient · practice data",
        "mean |gradient|, largest = 1",
    )
    check(
        axes,
        (
            "before\ntheory 22×22 px\nhalf within 12×12 px",
            [(0.5, -2.5, 22, 22), (5.5, 2.5, 12, 12)],
        ),
        ("after\nhalf within 5×5 px", [(4.5, 1.5, 5, 5)]),
        ("none", []),
    )
    check(plot_receptive_field([make_field(None, 0, "29")] * 2), *[("layer 29", [])] * 2)
    check(
        plot_receptive_field(make_field(None)), ("output\nhalf within 5×5 px", [(4.5, 1.5, 5, 5)])
    )


def test_the_one_entry_draws_what_the_two_plots_draw() -> None:
    table, split = receptive_field_table(nn.Conv2d(1, 1, 3), (1, 28, 28)), make_split()
    field = make_field((-2, 1, 19, 22))
    for one, two in (
        (plot_receptive_field(table, split, -1), plot_field_growth(table, split, 2)),
        (plot_receptive_field(field), plot_effective_fields([field])),
    ):
        assert len(one) == len(two) == 1 and one[0].get_title() == two[0].get_title()
        first, second = one[0].get_images()[0], two[0].get_images()[0]
        assert np.array_equal(first.get_array(), second.get_array())


def test_too_few_axes_are_told_in_one_line() -> None:
    with pytest.raises(CourseError, match="2 panels need 2 Axes, not 1"):
        plot_receptive_field([make_field(None)] * 2, axes=Figure().subplots())


def test_the_outline_of_a_field_far_larger_than_the_image_is_drawn_whole() -> None:
    chain = nn.Sequential(*[nn.Conv2d(1, 1, 9, padding=4) for _ in range(12)])
    axes = plot_field_growth(receptive_field_table(chain, (1, 28, 28)), make_split())
    figure = axes[-1].figure
    figure.canvas.draw()

    # Half of the line lies outside the box; 72 points are an inch.
    (box,) = axes[-1].patches
    half = box.get_linewidth() / 2 * figure.dpi / 72
    corners = axes[-1].transData.transform(box.get_corners())
    assert np.all(corners.min(axis=0) - half >= axes[-1].bbox.min)
    assert np.all(corners.max(axis=0) + half <= axes[-1].bbox.max)


def test_long_names_take_two_lines() -> None:
    assert two_lines("layer1.1.layers.0.0") == "layer1.1.\nlayers.0.0"
    assert two_lines("layer1.1.1") == "layer1.1.1"
    assert two_lines("a" * 30) == "a" * 30


def test_half_of_the_gradient_lies_in_a_square_that_one_noisy_pixel_does_not_move() -> None:
    values = torch.zeros(9, 9)
    values[3:6, 3:6] = 1
    values[4, 4] = 2
    field = EffectiveReceptiveField(values, "", (4, 4), (0, 0, 8, 8), 0.0455)
    assert square_holding(field, 0.2) == (4, 4, 4, 4)
    assert square_holding(field, 0.5) == square_holding(field, 1) == (3, 3, 5, 5)
    values[0, 0] = 1  # far above the threshold
    assert field.seen == (0, 0, 5, 5) and square_holding(field, 0.5) == (3, 3, 5, 5)
    with pytest.raises(CourseError, match="share"):
        square_holding(field, 0)
