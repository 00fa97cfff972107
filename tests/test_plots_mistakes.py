"""Figures of session 05: numbered images, occlusion, neighbours, calibration, pairs of nets."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from plot_inputs import NAMES, assert_legible, drawn, make_predictions, make_split

from helpers.environment import CourseError
from helpers.interpret.calibration import calibration, expected_calibration_error
from helpers.interpret.occlusion import OcclusionMap
from helpers.interpret.pairs import ByLuck
from helpers.plots.calibration import plot_calibration
from helpers.plots.evidence import borders, show_nearest, show_numbered, show_occlusion
from helpers.plots.pairs import plot_pairs
from helpers.plots.style import BLUE, RED

matplotlib.use("Agg")


# Numbered images.


def test_numbered_images_are_those_asked_for_under_their_numbers() -> None:
    split = make_split()
    axes = show_numbered(split, [5, 3, 9], heading="three")
    for ax, index in zip(axes, [5, 3, 9], strict=True):
        assert np.array_equal(drawn(ax).squeeze(), split.images[index, 0].numpy())
        assert ax.get_images()[0].get_clim() == (0, 255)
    assert [ax.get_title() for ax in axes] == ["1", "2", "3"]
    assert axes[0].figure.get_suptitle() == "three"
    assert_legible(axes[0])
    titles = [ax.get_title() for ax in show_numbered(split, [0, 1], ["a\nb", "c"])]
    assert titles == ["a\nb", "c"]


@pytest.mark.parametrize(
    "count, rows, columns",
    [(1, 1, 1), (2, 1, 2), (7, 1, 7), (8, 1, 8), (9, 2, 5), (13, 2, 7), (17, 3, 6), (24, 3, 8)],
)
def test_rows_are_of_nearly_equal_length(count: int, rows: int, columns: int) -> None:
    axes = show_numbered(make_split(), range(count))
    places = [ax.get_subplotspec() for ax in axes]
    by_row = [place.rowspan.start for place in places]
    assert len(axes) == count and len(set(by_row)) == rows
    in_rows = [by_row.count(row) for row in range(rows)]
    assert max(in_rows) == columns and columns - min(in_rows) < rows
    # As many empty places to the left as to the right.
    first = min(place.colspan.start for place in places)
    last = max(place.colspan.start for place in places)
    assert first == places[0].get_gridspec().ncols - 1 - last
    assert_legible(axes[0])


def test_rows_have_names_along_their_left_side() -> None:
    names = ["upper", "lower"]
    axes = show_numbered(make_split(), range(12), columns=6, row_names=names)
    assert [axes[0].texts[0].get_text(), axes[6].texts[0].get_text()] == names
    assert sum(len(ax.texts) for ax in axes) == 2
    # Turned, inside of the figure, and left of the first image.
    figure = axes[0].figure
    figure.canvas.draw()
    for ax in axes[::6]:
        box = ax.texts[0].get_window_extent()
        assert box.x0 >= 0 and box.x1 <= ax.get_window_extent().x0 and box.height > box.width
        assert abs(box.y0 + box.y1 - sum(ax.get_window_extent().intervaly)) < 4
    assert_legible(axes[0])


@pytest.mark.parametrize("names", [[], ["one"], ["one", "two", "three"]])
def test_other_names_than_rows_are_refused(names: list[str]) -> None:
    with pytest.raises(CourseError, match=f"{len(names)} names for 2 rows"):
        show_numbered(make_split(), range(12), columns=6, row_names=names)


def test_no_image_is_said_and_practice_data_are_named() -> None:
    axes = show_numbered(make_split(note="practice data"), [], heading="none")
    assert len(axes) == 1 and not axes[0].get_images()
    assert axes[0].figure.get_suptitle() == "No image was chosen · practice data"


def test_titles_and_indices_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CourseError, match="1 titles for 2 images"):
        show_numbered(make_split(), [1, 2], ["one"])
    with pytest.raises(CourseError):
        show_numbered(make_split(), [40])


# Occlusion maps.


def some_map(index: int = 0, stride: int = 1, change: float = 1.0) -> OcclusionMap:
    side = -(-8 // stride)
    values = torch.linspace(-change, change, side * side).view(side, side)
    return OcclusionMap(index, 3, stride, values, torch.zeros(side, side, dtype=torch.int64), 0)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_map_lies_over_its_image_and_all_share_a_scale(stride: int) -> None:
    split = make_split()
    maps = [some_map(3, stride, 0.5), some_map(7, stride, 2.0)]
    axes = show_occlusion(split, maps, ["a", "b"], "two")
    assert axes.shape == (2, 2)
    for column, each in enumerate(maps):
        above, below = axes[:, column]
        assert np.array_equal(drawn(above).squeeze(), split.images[each.index, 0].numpy())
        image = below.get_images()[0]
        assert np.allclose(np.asarray(image.get_array()), each.change)
        assert image.get_clim() == (-2, 2)
        # The first cell lies around pixel 0, the next around pixel ``stride``.
        left, right, bottom, top = image.get_extent()
        assert left == top == -stride / 2
        assert right == bottom == stride * each.change.shape[0] - stride / 2
        assert below.get_xlim() == (-0.5, 7.5) and below.get_ylim() == (7.5, -0.5)
    assert [ax.get_title() for ax in axes[0]] == ["a", "b"]
    assert_legible(axes[0, 0])
    # Pointed ends of the scale say that some places change by more than its colours show.
    for limit, ends in ((5, "neither"), (2, "neither"), (1, "both")):
        image = show_occlusion(split, maps, ["a", "b"], limit=limit)[1, 1].get_images()[0]
        assert image.get_clim() == (-limit, limit) and image.colorbar.extend == ends


@pytest.mark.parametrize("stride", [1, 2])
def test_places_that_tip_the_answer_are_hatched(stride: int) -> None:
    split = make_split()
    label = int(split.labels[5])
    other = (label + 1) % 4
    side = -(-8 // stride)
    for answer in (label, other):
        # One place gives the label, one another class, and the rest what the net says anyway.
        predicted = torch.full((side, side), answer)
        predicted[1, 2], predicted[3, 0] = label, other
        each = OcclusionMap(5, 3, stride, torch.zeros(side, side), predicted, answer)
        [[_], [below]] = show_occlusion(split, [each], ["a"])
        [patch] = below.patches
        row, column = (3, 0) if answer == label else (1, 2)
        assert patch.get_xy() == (column * stride - stride / 2, row * stride - stride / 2)
        assert patch.get_width() == patch.get_height() == stride and patch.get_hatch()
        # A frame of four sides, white under black.
        white, black = below.collections[-2:]
        assert len(white.get_segments()) == len(black.get_segments()) == 4
        assert white.get_linewidth() > black.get_linewidth()
        # A class that is as wrong as the answer tips nothing.
        predicted[3, 0] = (other + 1) % 4 if (other + 1) % 4 != label else (other + 2) % 4
        [[_], [below]] = show_occlusion(split, [each], ["a"])
        assert len(below.patches) == 1


def test_a_frame_has_the_sides_that_a_picture_of_the_cells_has_around_it() -> None:
    generator = np.random.default_rng(0)
    for cells in (generator.random((5, 7)) < 0.5, np.ones((2, 3), bool), np.zeros((2, 2), bool)):
        lines = borders(cells, 2)
        # A picture of the cells, each of 2 × 2 pixels, changes at each pixel of each side.
        picture = np.pad(np.kron(cells, np.ones((2, 2))), 1)
        pixels = np.abs(np.diff(picture, axis=0)).sum() + np.abs(np.diff(picture, axis=1)).sum()
        assert 2 * len(lines) == pixels
        ends = np.array(lines).reshape(-1, 2, 2)
        assert (np.abs(ends[:, 1] - ends[:, 0]).sum(1) == 2).all() and len(lines) == len(
            {tuple(map(tuple, line)) for line in lines}
        )


def test_maps_without_a_change_and_images_without_a_stroke_are_drawn() -> None:
    split = make_split()
    split.images[0] = 0
    axes = show_occlusion(split, [some_map(change=0.0)], ["black"])
    low, high = axes[1, 0].get_images()[0].get_clim()
    assert low == -high < 0
    with pytest.raises(CourseError):
        show_occlusion(split, [], [])
    with pytest.raises(CourseError, match="1 titles for 2 maps"):
        show_occlusion(split, [some_map(), some_map()], ["one"])


# Nearest training images.


def test_neighbours_stand_beside_their_image_in_the_colour_of_their_class() -> None:
    split, bank = make_split(), make_split(24)
    rows = torch.tensor([[1, 2, 3], [5, 6, 4]])
    grid = show_nearest(split, [5, 2], ["bee → cow", "cow → dog"], bank, rows, [2, 3], "near")
    assert grid.shape == (2, 4)
    for line, index, row in zip(grid, (5, 2), rows.tolist(), strict=True):
        assert np.array_equal(drawn(line[0]).squeeze(), split.images[index, 0].numpy())
        for ax, place in zip(line[1:], row, strict=True):
            assert np.array_equal(drawn(ax).squeeze(), bank.images[place, 0].numpy())
            assert ax.texts[0].get_text() == NAMES[bank.labels[place]]
    # The first is a bee (1) that was read as a cow (2); its neighbours are of classes 1, 2, 3.
    colors = [to_hex(ax.texts[0].get_color()).upper() for ax in grid[0, 1:]]
    assert colors == [BLUE, RED, "#000000"]
    weights = [ax.texts[0].get_fontweight() for ax in grid[0, 1:]]
    assert weights == ["normal", "bold", "normal"]
    assert_legible(grid[0, 0])


def test_neighbours_that_do_not_fit_are_refused() -> None:
    split = make_split()
    with pytest.raises(CourseError):
        show_nearest(split, [], [], split, [], [])
    with pytest.raises(CourseError):
        show_nearest(split, [1, 2], ["a", "b"], split, [[1]], [0, 0])


# Calibration.


def test_a_dot_for_each_bin_with_images_at_its_mean_probability() -> None:
    bins = calibration(make_predictions())
    filled = [row for row in bins if row.count]
    ax = plot_calibration(bins, note="practice data")
    (bars,) = ax.containers
    line, _, (segments,) = bars.lines[0], bars.lines[1], bars.lines[2]
    assert line.get_xdata().tolist() == pytest.approx([row.confidence for row in filled])
    assert line.get_ydata().tolist() == pytest.approx([row.accuracy for row in filled])
    ends = [segment[:, 1].tolist() for segment in segments.get_segments()]
    for end, row in zip(ends, filled, strict=True):
        assert end == pytest.approx([row.low, row.high])
    lines = [tick.get_text().split("\n") for tick in ax.get_xticklabels()]
    assert sum(int(count) for _, count, _ in lines) == 40
    # The parts of the error, which add up to it; an empty bin has none.
    parts = [float(part) for _, count, part in lines if count != "0"]
    assert sum(parts) == pytest.approx(expected_calibration_error(bins), abs=0.004)
    assert all(part == "–" for _, count, part in lines if count == "0")
    first = filled[0].floor
    assert first > 0 and ax.get_xlabel().endswith(f"(no picture below {first:.0f} %)")
    assert ax.get_title().endswith("· practice data")
    # Faint lines at the borders of the bins that are drawn, behind the dots
    borders = [one.get_xdata()[0] for one in ax.lines if one.get_zorder() == 0]
    assert borders == [row.floor for row in bins if row.floor >= first] + [100]
    assert_legible(ax)


def test_a_calibration_from_the_lowest_bin_on_leaves_nothing_out() -> None:
    ax = plot_calibration(calibration(make_predictions(), bins=1))
    assert ax.get_xlabel().endswith("part of the error (points)")
    assert [text.get_text() for text in ax.texts] == ["bin (%)\npictures\nerror part"]


def test_a_calibration_of_nothing_is_refused() -> None:
    with pytest.raises(CourseError, match="no bin has an image"):
        plot_calibration([])


# All pairs of nets.


@pytest.mark.parametrize("count", [1, 10, 45])
def test_every_pair_has_a_dot_and_those_below_5_percent_are_red(count: int) -> None:
    chances = np.random.default_rng(count).uniform(0, 0.4, count).tolist()
    luck = np.linspace(0.1, 0.9, count)
    by_deals = ByLuck(luck - 0.1, luck, luck + 0.05)
    ax = plot_pairs(chances, by_deals, note="practice data")
    by_luck, blue, red, limit = ax.lines
    assert sorted(chances) == pytest.approx([*red.get_ydata() / 100, *blue.get_ydata() / 100])
    assert len(red.get_ydata()) == sum(chance < 0.05 for chance in chances)
    assert to_hex(red.get_color()).upper() == RED and to_hex(blue.get_color()).upper() == BLUE
    assert set(limit.get_ydata()) == {5}
    assert red.get_markersize() == blue.get_markersize() == (4 if count > 20 else 7)
    assert by_luck.get_xdata().tolist() == list(range(1, count + 1))
    assert by_luck.get_ydata().tolist() == pytest.approx((100 * luck).tolist())
    # A bar for each pair, from the lower end to the upper one, behind the dots
    [bars] = ax.collections
    wanted = [[[k, 100 * p - 10], [k, 100 * p + 5]] for k, p in enumerate(luck, 1)]
    assert np.array(bars.get_segments()) == pytest.approx(np.array(wanted))
    assert bars.get_zorder() < by_luck.get_zorder()
    by_text, dot_text = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "luck" in by_text and dot_text == "a pair of our seeds" == blue.get_label()
    expected = f"{len(red.get_ydata())} of {count} pairs below 5 %; by luck alone "
    assert ax.get_title().startswith(f"{expected}at most {count / 20:g} on average")
    assert "likely" not in ax.get_xlabel() and "coin" in ax.get_ylabel()
    assert ax.get_title().endswith("· practice data")
    assert_legible(ax)


@pytest.mark.parametrize("luck", [None, ByLuck(*np.full((3, 2), 0.3))])
@pytest.mark.parametrize(
    "chances, color", [([0.2, 0.9], BLUE), ([0.01, 0.9], BLUE), ([0.01, 0.02], RED)]
)
def test_the_legend_says_once_what_a_dot_is(chances, color, luck) -> None:
    legend = plot_pairs(chances, luck).get_legend()
    handles = {text.get_text(): line for text, line in zip(legend.get_texts(), legend.get_lines())}
    assert to_hex(handles.pop("a pair of our seeds").get_color()).upper() == color
    # Beside it the line of luck, where there is one.
    assert len(handles) == (luck is not None) and all("luck" in text for text in handles)


def test_without_lucks_line_its_place_is_empty_and_another_number_is_refused() -> None:
    ax = plot_pairs([0.2, 0.5, 0.9])
    assert not len(ax.lines[0].get_xdata())
    with pytest.raises(CourseError, match="2 chances by luck for 3 pairs"):
        plot_pairs([0.2, 0.5, 0.9], ByLuck(*np.full((3, 2), 0.1)))
    with pytest.raises(CourseError, match="luck: give a row of chances"):
        plot_pairs([0.2], ByLuck(*np.full((3, 1), 1.2)))


def test_of_one_net_there_is_no_pair() -> None:
    ax = plot_pairs([], ByLuck(*np.zeros((3, 0))))
    assert ax.get_title() == "One net alone makes no pair" and ax.get_legend() is None
    assert not len(ax.lines[0].get_xdata())
    assert_legible(ax)


def test_chances_outside_0_to_1_are_refused() -> None:
    for wrong in ([0.5, 1.2], [-0.1], [float("nan")], [[0.1, 0.2]], 0.3, "often"):
        with pytest.raises(CourseError):
            plot_pairs(wrong)
