"""The range test as it is drawn: curves, band, dots with their legend, the scale of the fall."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from helpers.environment import CourseError
from helpers.lr_finder import LRRangeTest
from helpers.plots.rates import plot_lr_range_test

matplotlib.use("Agg")


def made(*shifts: float, steps: int = 100, note: str = "") -> LRRangeTest:
    smoothed = np.interp(range(steps), [0, 40, 70, 99], [2, 2, 1, 80])  # diverges
    return LRRangeTest(
        np.geomspace(1e-6, 1, 100),
        [np.stack([smoothed + 0.1, smoothed + by]) for by in shifts],
        note,
    )


def test_curves_dots_legend_and_a_scale_that_shows_the_fall() -> None:
    test, given = made(0, note="practice data"), Figure().subplots()
    ax = plot_lr_range_test(test, ax=given)
    raw, smooth, *dots = ax.lines
    assert (
        ax is given
        and ax.get_xscale() == "log"
        and ax.get_title() == "Learning-rate range test · practice data"
    )
    for line, values in ((raw, test.losses), (smooth, test.smoothed)):
        assert np.array_equal(line.get_xydata(), np.stack([test.lrs, values], 1))
    assert (
        raw.get_color() != smooth.get_color()
        and raw.get_linewidth() < 1
        and smooth.get_linewidth() >= 2
        and len(ax.collections) == 0
    )
    for dot, rule in zip(dots, ("valley", "steep", "minimum", "slide"), strict=True):
        ((rate, height),) = dot.get_xydata()
        assert (
            rate == test.suggest(rule)
            and dot.get_label() == f"{rule} {rate:.3g}"
            and dot.get_marker() == "o"
        )
        assert height == pytest.approx(np.interp(np.log(rate), np.log(test.lrs), test.smoothed))
    assert len({dot.get_color() for dot in dots}) == 4
    assert [text.get_text() for text in ax.get_legend().get_texts()][2:] == [
        dot.get_label() for dot in dots
    ]
    assert ax.get_ylim() == pytest.approx(
        (0.75, 2.25)
    )  # a quarter of the fall above and below it, whatever follows


def test_several_orders_are_a_band_and_only_suggestions_that_exist_are_marked() -> None:
    ax = plot_lr_range_test(made(0, 0.2, 0.6), ("valley",))
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), ax.get_title()) == (
        1,
        "Learning-rate range test, mean of 3 orders",
    ) and len(ax.lines) == 3
    rising = plot_lr_range_test(
        LRRangeTest(np.geomspace(1, 10, 30), [np.linspace([1, 1], [2, 2], 30).T])
    )
    assert len(rising.lines) == 2 and rising.get_ylim() == pytest.approx((0.75, 1.25))
    assert len(plot_lr_range_test(made(0, steps=1)).lines) == 2
    with pytest.raises(CourseError, match="unknown rule 'vally'"):
        plot_lr_range_test(made(0), ("vally",))


def test_the_name_of_one_rule_is_one_rule() -> None:
    one, several = (plot_lr_range_test(made(0), rules) for rules in ("valley", ["valley"]))
    assert [line.get_label() for line in one.lines] == [line.get_label() for line in several.lines]
    assert len(one.lines) == 3
    with pytest.raises(CourseError, match="unknown rule 'vally'"):
        plot_lr_range_test(made(0), "vally")
