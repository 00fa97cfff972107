"""What shares of the edge would have cost, on records by hand."""

from __future__ import annotations

import math

import pytest
from test_measured import records, save  # noqa: F401  (a fixture)
from test_range_tests import write

from helpers.experiments.factors import accuracy_at, best_of, distances, mean_cell, share_table
from helpers.experiments.ranges import NETS

MEANS = {0.01: 97.0, 0.1: 98.0, 1.0: 99.0, 10.0: None}


@pytest.mark.parametrize(
    ("rate", "accuracy"),
    [
        (0.01, 97.0),
        (0.1, 98.0),
        (0.1005, 98.0),  # a rate that was rounded
        (10**-1.5, 97.5),
        (10**-0.25, 98.75),
        (2.0, None),
        (10.0, None),
    ],
)
def test_between_two_rates_the_line_counts(rate, accuracy):
    expected = accuracy
    if accuracy is not None:
        expected = pytest.approx(accuracy, abs=1e-9)
    assert accuracy_at(MEANS, rate) == expected


@pytest.mark.parametrize("rate", [0.005, 20.0])
def test_outside_of_the_rates_there_is_no_accuracy(rate):
    assert math.isnan(accuracy_at(MEANS, rate))


def test_a_row_for_each_recorded_net_and_their_means(records):  # noqa: F811
    assert distances("first") is None and share_table().rows == []
    assert "range-test residual" in share_table().note
    # The median of the edges is 0.1259 = 10 to the power of -0.9.
    write(records, [0.0794328, 0.125893, 0.398107])
    assert distances("first") is None
    seeds = {0.01: [97.0, 97.0], 0.1: [98.0, 98.0], 1.0: [98.9, 99.1], 10.0: [98.0, None]}
    save(records, seeds)
    expected = 10**-0.9
    found = distances("first")
    assert list(found) == ["edge/12", "edge/4", "edge/2", "3/4·edge"]
    for (_, distance), share in zip(found.items(), (1 / 12, 1 / 4, 1 / 2, 3 / 4)):
        # Accuracies rise by a point a decade: at a rate of 1 there are 99 %.
        assert distance == pytest.approx(math.log10(share * expected), abs=0.01)
    row, mean = share_table().rows
    assert row[0] == NETS["first"].title and mean[0] == "mean, MNIST"
    assert mean[1] == f"{row[1]} (n = 1)"
    # The quarter is the recommended rate, which is trained as it is told, with two digits.
    assert found["edge/4"] == pytest.approx(math.log10(0.031), abs=1e-9)
    # The best of the three is three quarters of the edge here, and the table says so.
    assert share_table().head[-1] == "best of the three" and row[-1] == row[4]
    assert "first" not in share_table().note.split("without an answer: ")[1].split(";")[0]


def test_means_count_numbers_alone():
    assert mean_cell([-0.1, -0.3, None]) == "-0.20 (n = 2), 1 diverged"
    assert mean_cell([math.nan]) == "–" and mean_cell([None]) == "–, 1 diverged"


def test_the_best_of_three_is_the_highest_number():
    assert best_of([-0.3, -0.1, None]) == -0.1
    assert best_of([None, math.nan, -2.0]) == -2.0
    assert best_of([None, math.nan]) is None
