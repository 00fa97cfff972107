"""``plot_differences``: rows from top to bottom, and what is refused."""

from __future__ import annotations

import math

import pytest

from helpers.environment import CourseError
from helpers.intervals import Interval
from helpers.plots.differences import plot_differences

ROWS = {
    "better": Interval(0.1, 0.05, 0.15),
    "open": Interval(0.01, -0.04, 0.06),
    "worse": Interval(-0.2, -0.3, -0.1),
}


def test_a_row_for_each_difference_from_top_to_bottom():
    ax = plot_differences(ROWS, "points")
    assert [label.get_text() for label in ax.get_yticklabels()] == list(ROWS)
    bottom, top = ax.get_ylim()
    assert bottom > top and ax.get_xlabel() == "points"

    drawn, faces = [], []
    for container in ax.containers:
        mark, _, (bar,) = container.lines
        (left, place), (right, _) = bar.get_segments()[0]
        drawn.append((mark.get_xdata()[0], left, right, place))
        faces.append(mark.get_markerfacecolor() == "white")
    expected = [(*interval, place) for place, interval in enumerate(ROWS.values())]
    assert [pytest.approx(row) for row in expected] == drawn
    # What is undecided is hollow.
    assert faces == [False, True, False]


@pytest.mark.parametrize(
    "rows, words",
    [
        ({}, "no difference"),
        ({"a": Interval(0.0, -math.inf, 1.0)}, "the interval of a"),
        ({"a": Interval(math.nan, -1.0, 1.0)}, "the interval of a"),
        ([Interval(0.0, -1.0, 1.0)], "plot_differences"),
    ],
)
def test_what_cannot_be_drawn_is_said(rows, words):
    with pytest.raises(CourseError, match=words):
        plot_differences(rows)
