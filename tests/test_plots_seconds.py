"""Figures with seconds: the bars and curves are the numbers given, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from plot_inputs import assert_legible, make_rows

from helpers.environment import CourseError
from helpers.plots.seconds import plot_accuracy_by_time, plot_time_shares
from helpers.training import History


def test_shares_stand_below_each_other_the_largest_first():
    ax = plot_time_shares({"small": 1.0, "large": 6.0, "middle": 3.0}, "practice data")
    bars = sorted(ax.patches, key=lambda bar: bar.get_y())
    assert [bar.get_width() for bar in bars] == pytest.approx([60.0, 30.0, 10.0])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["large", "middle", "small"]
    assert [label.get_text() for label in ax.texts] == ["60.0 %", "30.0 %", "10.0 %"]
    bottom, top = ax.get_ylim()
    assert bottom > top and "practice data" in ax.get_title()
    assert_legible(ax)


@pytest.mark.parametrize(
    "seconds, words",
    [
        ({}, "each kind of work"),
        ({"a": 0.0, "b": 0.0}, "no time"),
        ({"a": -1.0, "b": 2.0}, "at least 0"),
        ({"a": math.nan}, "finite"),
        ([1.0, 2.0], "plot_time_shares draws Mapping"),
    ],
)
def test_times_that_cannot_be_shared_are_refused(seconds, words):
    with pytest.raises(CourseError, match=words):
        plot_time_shares(seconds)


def timed(epochs, seconds, shift=0.0):
    rows = make_rows(epochs, shift)
    for row in rows:
        row["seconds"] = seconds
    return History(rows)


def test_accuracies_stand_over_the_minutes_that_were_spent():
    slow, fast = timed(4, 60.0), timed(3, 30.0, 0.2)
    ax = plot_accuracy_by_time({"slow": [slow, slow], "fast": [fast]}, 99.0, "practice data")
    assert "practice data" in ax.get_title()
    first, second, third, line = ax.lines
    assert list(first.get_xdata()) == pytest.approx([1, 2, 3, 4])
    assert list(third.get_xdata()) == pytest.approx([0.5, 1.0, 1.5])
    reached = [row["test_accuracy"] for row in fast.epochs]
    assert list(third.get_ydata()) == pytest.approx(reached)
    assert first.get_color() == second.get_color() != third.get_color()
    assert set(line.get_ydata()) == {99.0}
    [legend] = ax.figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["slow (n = 2)", "fast (n = 1)", "target: 99 %"]
    low, high = ax.get_ylim()
    assert low < 99.0 < high and np.all(np.array(reached[-2:]) < high)
    assert ax.get_xscale() == "linear" and ax.get_xlim()[0] == 0
    assert_legible(ax)


def test_a_curve_of_seconds_is_seen_beside_one_of_minutes():
    ax = plot_accuracy_by_time({"a CPU": [timed(4, 300.0)], "a GPU": [timed(4, 2.0)]}, 99.0)
    assert ax.get_xscale() == "log"
    left, right = ax.get_xlim()
    assert 0 < left < 2 / 60 and right > 20
    assert_legible(ax)


def test_one_short_run_is_drawn():
    ax = plot_accuracy_by_time({"live": [timed(1, 10.0)]})
    assert len(ax.lines) == 1


@pytest.mark.parametrize(
    "curves, words",
    [
        ({}, "one to 4 curves"),
        ({str(number): [timed(2, 1.0)] for number in range(5)}, "one to 4 curves"),
        ({"a": [History()]}, "no epoch"),
        ({"a": [timed(2, math.inf)]}, "a: an accuracy or a time"),
        ([timed(2, 1.0)], "plot_accuracy_by_time draws Mapping"),
    ],
)
def test_curves_that_cannot_be_drawn_are_refused(curves, words):
    with pytest.raises(CourseError, match=words):
        plot_accuracy_by_time(curves)
