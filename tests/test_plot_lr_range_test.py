"""The range test as it is drawn: curve, band, lines with their names, the scale of the fall."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from plot_inputs import assert_legible

from helpers.environment import CourseError
from helpers.lr_finder import LRRangeTest
from helpers.lr_finder.rules import RULES
from helpers.plots.descriptions import describe
from helpers.plots.range_curves import marks_of
from helpers.plots.rate_accuracies import STRIP_TOP, checked_rates, floor_of
from helpers.plots.rates import plot_lr_range_test, plot_rates

matplotlib.use("Agg")
RATES = np.geomspace(1e-4, 10, 101)


def curve(edge: float = 1.0, last: float = 10.0, low: float = 0.5, falls: float = 0.01):
    """Losses [2, n] of 2 that fall to ``low`` at the edge, and are at 30 at the last rate."""
    logs = np.log10(RATES[last * 1.001 >= RATES])
    points = [-4, math.log10(falls), math.log10(edge), math.log10(last) + 1e-9]
    smoothed = np.interp(logs, points, [2, 2, low, 30])
    return np.stack([smoothed + 0.1, smoothed])


def made(*curves: np.ndarray, note: str = "") -> LRRangeTest:
    return LRRangeTest(RATES, curves or [curve()], note)


def lines_of(ax: Axes) -> dict[str, float]:
    """The rate of every line from the bottom to the top that has a name."""
    found = {}
    for line in ax.lines:
        places = line.get_xdata()
        if len(places) == 2 and places[0] == places[1] and not line.get_label().startswith("_"):
            found[line.get_label()] = float(places[0])
    return found


def boxes_of(ax: Axes) -> list:
    """What each word in or above the axes covers, in pixels."""
    ax.figure.draw_without_rendering()
    texts = [text for text in [*ax.texts, ax.title] if text.get_text()]
    return [Annotation.get_window_extent(text) if isinstance(text, Annotation)
            else text.get_window_extent() for text in texts]  # fmt: skip


def assert_apart(ax: Axes) -> None:
    boxes = boxes_of(ax)
    assert len(boxes) > 1
    for number, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:number]) == 0


def test_the_curve_and_the_scale_of_its_fall() -> None:
    test, given = made(note="practice data"), Figure().subplots()
    ax = plot_lr_range_test(test, ax=given)
    raw, smooth = ax.lines[:2]
    assert ax is given and ax.get_xscale() == "log"
    assert ax.get_title() == "Learning-rate range test · practice data"
    for line, values in ((raw, test.losses), (smooth, test.smoothed)):
        assert np.array_equal(line.get_xydata(), np.stack([test.lrs, values], 1))
    assert raw.get_linewidth() < 1 and smooth.get_linewidth() >= 2
    # The fall is 1.5, and the loss at the end is 30: the fall fills 10 of 13 parts of the axes.
    assert ax.get_ylim() == pytest.approx((0.5 - 0.15, 2 + 0.3))
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["loss of each batch", "smoothed loss"]


def test_lines_are_at_the_answer_and_named() -> None:
    test = made()
    begins, edge, highest = test.answer()
    assert lines_of(plot_lr_range_test(test)) == {
        f"learning under way {begins:.2g}": begins,
        f"recommended {highest:.2g}": highest,
        f"edge {edge:.2g}": edge,
    }
    words = [text.get_text() for text in plot_lr_range_test(test).texts if text.get_text()]
    assert words == [f"learning under way {begins:.2g}", "recommended 0.25", "edge 1"]
    said = describe(plot_lr_range_test(test).figure)
    assert "loss against learning rate" in said and "recommended 0.25; edge 1" in said


def test_where_orders_diverge_a_line_is_at_their_median() -> None:
    test = made(curve(last=2), curve(last=5), curve(last=10))
    ends = [RATES[test.curves[order].shape[1] - 1] for order in (0, 1)]
    lines = lines_of(plot_lr_range_test(test))
    # The third order ends where the test was planned to end.
    assert lines["test ended at 3"] == pytest.approx(math.sqrt(ends[0] * ends[1]), rel=0.01)
    assert not any("test ended" in name for name in lines_of(plot_lr_range_test(made())))


def test_several_orders_are_a_mean_with_a_band_and_each_goes_on_to_its_own_end() -> None:
    test = made(curve(last=2, low=0.4), curve(last=5))
    ax = plot_lr_range_test(test)
    assert ax.get_title() == "Learning-rate range test, mean of 2 orders"
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(0.4) and len(ax.get_legend().get_texts()) == 3
    ends = [line.get_xdata()[-1] for line in ax.lines[2:4]]
    assert ends == [RATES[curve.shape[1] - 1] for curve in test.curves]
    assert ax.get_ylim()[0] < 0.4


@pytest.mark.parametrize(
    "test",
    [
        made(),
        made(curve(last=1.5)),
        made(curve(last=2), curve(last=5), curve(last=10)),
        made(curve(edge=0.003, falls=0.0005, last=0.01)),
        made(curve(edge=9, falls=3)),  # learning is under way above a quarter of the edge
    ],
)
def test_names_touch_nothing_and_can_be_read_on_a_projector(test: LRRangeTest) -> None:
    for rules in (False, True):
        ax = plot_lr_range_test(test, rules=rules)
        assert_apart(ax)
        assert_legible(ax)
        # No line leads through a name: it is on one side of every line in its row or below.
        point = ax.figure.dpi / 72
        for text, mark in zip([one for one in ax.texts if one.get_text()], marks_of(test)):
            box = text.get_window_extent()
            assert box.x1 < ax.bbox.x1
            for other in marks_of(test):
                place = ax.transData.transform((other.rate, 1))[0]
                if other.row >= mark.row:  # lower ones end below the name
                    assert not box.x0 - point < place < box.x1 + point, (mark.name, other.name)


def test_a_curve_without_an_answer_is_drawn_and_says_so() -> None:
    for losses in (np.linspace(1, 2, 101), np.linspace(2, 1, 101), np.ones(101)):
        ax = plot_lr_range_test(made(np.stack([losses, losses])))
        assert ax.get_title() == "Learning-rate range test: no answer within these rates"
        assert len(ax.lines) == 2 and not ax.texts
        low, high = ax.get_ylim()
        assert low < losses.min() and losses.max() < high + 1


def test_fastais_rules_are_dots_on_request() -> None:
    test = made()
    none = plot_lr_range_test(test)
    assert not [line for line in none.lines if line.get_marker() == "o"]
    ax = plot_lr_range_test(test, rules=True)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    for dot, rule in zip(dots, RULES, strict=True):
        ((rate, height),) = dot.get_xydata()
        assert rate == test.suggest(rule) and dot.get_label() == f"{rule} {rate:.2g}"
        assert height == pytest.approx(np.interp(np.log(rate), np.log(test.lrs), test.smoothed))
    assert len({dot.get_color() for dot in dots}) == 4
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        dot.get_label() for dot in dots
    ]
    for rules in ("valley", ["valley"]):
        ax = plot_lr_range_test(test, rules=rules)
        assert [line.get_label()[:6] for line in ax.lines if line.get_marker() == "o"] == ["valley"]
    for rules in ("vally", ["vally"]):
        with pytest.raises(CourseError, match="unknown rule 'vally'"):
            plot_lr_range_test(test, rules=rules)


# Accuracies below.

ACCURACIES = {
    0.01: [98.0, 98.2, 98.1],
    0.0316: [98.8, 98.9, 98.7],
    0.1: [99.0, 99.1, 99.2],
    0.316: [99.2, 99.3, 99.1],
    1.0: [99.2, 99.0, 99.1],
    3.16: [98.9, None, math.nan],
    10.0: [],
}


def test_both_panels_have_one_axis_of_rates_and_the_recommended_rate_goes_through_both() -> None:
    test = made()
    above, below = plot_rates(test, ACCURACIES, note="practice data", target=99.4)
    assert above.get_xlim() == below.get_xlim() and below.get_xscale() == "log"
    low, high = above.get_xlim()
    assert low < 1e-4 and high > 10 and (above.get_xlabel(), below.get_xlabel())[0] == ""
    assert above.get_title() == "Learning-rate range test"
    assert below.get_title() == (
        "Accuracy after five epochs at these highest rates · practice data"
    )
    longer = plot_rates(test, ACCURACIES, trained="24 epochs")[1]
    assert longer.get_title() == "Accuracy after 24 epochs at these highest rates"
    for ax in (above, below):
        assert lines_of(ax)["recommended 0.25"] == test.answer().highest
    shares = {text.get_text(): text.xy[0] for text in below.texts}
    edge = test.answer().edge
    assert shares["edge/12"] == pytest.approx(edge / 12) and shares["edge/4"] == edge / 4
    assert shares["3/4·edge"] == 0.75 * edge
    # No line leads through the strip of words below: its heights are shares of the axes.
    upright = [line for line in below.lines if line.get_transform() == below.get_xaxis_transform()]
    assert {line.get_ydata()[0] for line in upright} == {STRIP_TOP}
    assert above.figure is below.figure
    said = describe(above.figure)
    assert "accuracy (%) against learning rate" in said and "target: 99.4 %" in said


def test_seeds_are_dots_and_what_diverged_is_a_red_cross_with_the_word() -> None:
    below = plot_rates(made(), ACCURACIES)[1]
    dots = {}
    for line in below.lines:
        if line.get_marker() == "o" and len(line.get_xdata()):
            dots[line.get_xdata()[0]] = sorted(line.get_ydata())
    # Those at 0.01 are more than a point below the best: they are named at the bottom.
    assert dots == {
        0.0316: [98.7, 98.8, 98.9],
        0.1: [99.0, 99.1, 99.2],
        0.316: [99.1, 99.2, 99.3],
        1.0: [99.0, 99.1, 99.2],
        3.16: [98.9],
    }
    crosses = [line.get_xdata()[0] for line in below.lines if line.get_marker() == "x"]
    assert crosses == [3.16, 10.0]
    words = [text.get_text() for text in below.texts]
    assert "2 of 3 diverged" in words and "diverged" in words
    bottom = floor_of(checked_rates(ACCURACIES), None)[0]
    for line in below.lines:
        if line.get_marker() == "x":
            assert below.get_ylim()[0] < line.get_ydata()[0] < bottom
    # The mean has a hole where a seed diverged.
    (mean,) = [line for line in below.lines if line.get_label() == "mean over seeds"]
    assert mean.get_ydata() == pytest.approx(
        [math.nan, 98.8, 99.1, 99.2, 99.1, math.nan, math.nan], nan_ok=True
    )


def test_rates_that_are_far_worse_are_named_at_the_bottom() -> None:
    given = ACCURACIES | {0.00316: [70.0, 71.0], 10.0: [11.46, 11.46]}
    below = plot_rates(made(), given)[1]
    triangles = [line.get_xdata()[0] for line in below.lines if line.get_marker() == "v"]
    assert triangles == [0.00316, 10.0]
    words = [text.get_text() for text in below.texts]
    assert "70.5 %" in words and "11.5 %" in words
    floor, best = floor_of(checked_rates(given), None)
    # Means are 70.5, 98.1, 98.8, 99.1, 99.2, 99.1, 98.9, 11.46: four times the best over the
    # middle, 98.85, are 1.4 points.
    assert (floor, best) == pytest.approx((99.3 - 4 * 0.35, 99.3))
    assert all(tick >= floor for tick in below.get_yticks())
    assert floor_of(checked_rates({1: [99.0], 2: []}), 99.4) == (99.0, 99.4)
    assert floor_of(checked_rates({1: []}), None) == (0, 100)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([None, 11.46, 11.46], "1 of 3 diverged, 2 at 11 %"),
        ([10.1, math.nan, None], "2 of 3 diverged, 1 at 10 %"),
        ([None, 11.46, 99.1], "1 of 3 diverged, 1 at 11 %"),
        ([None, 99.0, 99.1], "1 of 3 diverged"),
        ([None, None, None], "diverged"),
        ([11.46, 99.0, 99.1], "1 of 3 at 11.5 %"),
        ([11.46, 9.8, 99.1], "2 of 3 at 10.6 %"),
        ([10.1, 11.46, 9.7], "10.4 %"),
        ([11.46], "11.5 %"),
    ],
)
def test_the_strip_says_of_how_many_seeds_it_speaks(values: list, words: str) -> None:
    # Good rates enough, so that bad ones lie below the panel.
    good = {rate: [99.0, 99.1, 99.2] for rate in (0.01, 0.0316, 0.1)}
    below = plot_rates(made(), good | {1.0: values})[1]
    strip = [text.get_text() for text in below.texts if " %" in text.get_text()]
    assert words in [text.get_text() for text in below.texts] and len(strip) <= 1
    # A red cross where one diverged, a triangle otherwise; one mark a rate.
    marks = [line.get_marker() for line in below.lines if line.get_marker() in "xv"]
    assert marks == ["x" if "diverged" in words else "v"]


@pytest.mark.parametrize(
    "accuracies",
    [
        ACCURACIES,
        # Session 01's net, and the colour pictures' narrow one.
        {0.1: [98.8, 98.7], 0.316: [98.7, 11.46], 1.0: [None, 11.46], 3.16: [None, None]},
        {0.1: [79.0, 79.3], 1.0: [70.1, 71.3], 3.16: [None, 10.0, 10.0], 10.0: [None, 10, 10]},
        {0.1: [None], 0.316: [None], 1.0: [None]},
        ACCURACIES | {3.16: [11.5, 11.5], 0.00316: [None, 90.0], 0.5: [99.0]},
        {0.01: [40.0], 0.1: [70.0], 1.0: [75.0], 1.1: [10.0], 1.3: [9.0], 10: [None]},
        {1e-4: [None, None, 40.0], 0.1: [99.0], 10.0: [None, None, 98.0]},
    ],
)
def test_words_below_touch_no_other_and_stay_inside(accuracies: dict) -> None:
    for test in (made(), made(curve(last=1.5), curve(edge=0.4, last=1))):
        above, below = plot_rates(test, accuracies, target=99.4)
        for ax in (above, below):
            assert_apart(ax)
        frame = below.get_window_extent()
        for text in below.texts:
            box = text.get_window_extent()
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1, text.get_text()
    assert_legible(below)


def test_given_axes_are_drawn_in() -> None:
    given = Figure(figsize=(9, 7)).subplots(2)
    axes = plot_rates(made(), ACCURACIES, ax=given)
    assert list(axes) == list(given)
    # A test without an answer still shows what the rates reached.
    flat = plot_rates(made(np.ones((2, 101))), ACCURACIES)
    assert not any("recommended" in name for name in lines_of(flat[1]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"accuracies": {}}, "no rate to plot"),
        ({"accuracies": [99.0]}, "Mapping, not list"),
        ({"accuracies": {0: [99.0]}}, "finite number above 0, not 0"),
        ({"accuracies": {math.nan: [99.0]}}, "finite number above 0, not nan"),
        ({"accuracies": {"low": [99.0]}}, "rates are numbers, not str"),
        ({"accuracies": {0.1: 99.0}}, "rate 0.1: give a list"),
        ({"accuracies": {0.1: [101.0]}}, "are percentages"),
        ({"accuracies": {0.1: ["good"]}}, "accuracies at 0.1 are numbers"),
        ({"target": math.inf}, "target is a finite accuracy"),
        ({"test": 5}, "plot_rates draws LRRangeTest, not int"),
        ({"ax": Figure().subplots()}, "2 panels need 2 Axes, not 1"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(given: dict, words: str) -> None:
    options = {"test": made(), "accuracies": ACCURACIES} | given
    with pytest.raises(CourseError, match=words) as problem:
        plot_rates(**options)
    assert "\n" not in str(problem.value)
