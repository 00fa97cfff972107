"""``plot_test_curves``: what it draws, against numbers by hand, and what it refuses."""

from __future__ import annotations

import math

import pytest

from helpers.environment import CourseError
from helpers.plots.curves import plot_test_curves
from helpers.training import History


def history(*accuracies: float) -> History:
    rows = []
    for epoch, accuracy in enumerate(accuracies, 1):
        rows.append({"epoch": epoch, "test_accuracy": accuracy})
    return History(rows)


def test_seeds_are_thin_and_their_mean_is_thick():
    runs = [history(90, 98, 99.0), history(92, 98.5, 99.4)]
    ax = plot_test_curves({"ours": runs}, {"the report": [91, 99.2]}, target=99.4)
    thin = [list(line.get_ydata()) for line in ax.lines if line.get_linewidth() < 1]
    thick = [list(line.get_ydata()) for line in ax.lines if line.get_linewidth() > 2]
    assert thin == [[90, 98, 99.0], [92, 98.5, 99.4]] and thick == [[91, 98.25, 99.2]]

    # What others printed has no line, and hollow marks at its own epochs.
    marks = [line for line in ax.lines if line.get_marker() == "D"]
    assert [list(line.get_xdata()) for line in marks] == [[1, 2]]
    assert marks[0].get_markerfacecolor() == "none"
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert labels == ["ours (n = 2)", "the report", "target: 99.4 %"]


def test_the_first_epochs_lie_outside_and_all_late_ones_inside():
    ax = plot_test_curves(
        {"ours": [history(50, 60, 98, 99, 99.2, 99.3)]}, {"theirs": [40, 55, 99.35]}
    )
    low, high = ax.get_ylim()
    assert 60 < low < 98 and high > 99.35


def test_the_shortest_seed_says_how_many_epochs_are_drawn():
    ax = plot_test_curves({"ours": [history(98, 99), history(98, 99, 99.5)]})
    assert {len(line.get_xdata()) for line in ax.lines} == {2}


def curves_of(ax):
    """The lines of a figure without the dots at their ends."""
    return [line for line in ax.lines if line.get_linestyle() != "None"]


def test_many_seeds_are_a_band():
    runs = [history(98 + seed / 100, 99 + seed / 100) for seed in range(6)]
    ax = plot_test_curves({"ours": runs})
    assert len(curves_of(ax)) == 1
    [band] = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == 98 and heights.max() == pytest.approx(99.05)


def test_the_first_curve_is_dashed_and_on_top():
    ax = plot_test_curves({"ours": [history(98, 99)], "twin": [history(98, 99)]})
    first, second = curves_of(ax)
    assert first.get_linestyle() == "--" and second.get_linestyle() == "-"
    assert first.get_zorder() > second.get_zorder()


def test_the_last_epoch_has_a_tick():
    ax = plot_test_curves({"ours": [history(*[98.0] * 14, 99.0)]})
    assert max(ax.get_xticks()) == 15


def test_one_seed_is_drawn_once():
    ax = plot_test_curves({"ours": [history(98, 99)]})
    assert len(curves_of(ax)) == 1


def test_a_dot_beside_the_last_epoch_is_where_a_seed_ends():
    runs = {"ours": [history(98, 99.1), history(98, 99.3)], "theirs": [history(98, 98.5, 99.2)]}
    ours, theirs = (line for line in plot_test_curves(runs).lines if line.get_marker() == "o")
    assert ours.get_ydata().tolist() == [99.1, 99.3] and theirs.get_ydata().tolist() == [99.2]
    assert 2 < min(ours.get_xdata()) < 3 < min(theirs.get_xdata())


@pytest.mark.parametrize(
    "curves, others, words",
    [
        ({}, {}, "one to 4"),
        ({str(name): [history(98)] for name in range(5)}, {}, "one to 4"),
        ({"ours": []}, {}, "no epoch"),
        ({"ours": [history(98, math.nan)]}, {}, "ours: a test accuracy is not finite"),
        ({"ours": [history(98)]}, {"theirs": []}, "theirs: give a list"),
        ({"ours": [history(98)]}, {"theirs": [math.inf]}, "theirs: give a list"),
        ([history(98)], {}, "plot_test_curves"),
    ],
)
def test_what_cannot_be_drawn_is_said(curves, others, words):
    with pytest.raises(CourseError, match=words):
        plot_test_curves(curves, others)
