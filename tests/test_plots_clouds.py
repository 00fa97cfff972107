"""Clouds of points: what is drawn are the points given and the axes of their covariance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plot_inputs import assert_legible

from helpers.environment import CourseError
from helpers.plots.clouds import plot_clouds


def cloud():
    """A long thin cloud along (3, 4) / 5, and its points turned and divided."""
    numbers = np.random.default_rng(0).normal(size=(400, 2))
    turned = np.array([[0.6, 0.8], [-0.8, 0.6]])
    return (numbers * [3.0, 0.5]) @ turned, torch.tensor(numbers)


def test_the_axes_of_a_cloud_are_two_deviations_to_either_side():
    long, round_cloud = cloud()
    names = [("one", "other"), ("across", "up")]
    axes = plot_clouds({"long": long, "round": round_cloud}, names, "practice data")
    assert [ax.get_title().split("\n")[0] for ax in axes] == ["long", "round"]
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes] == names
    points, short, longest = axes[0].lines
    np.testing.assert_allclose(points.get_xydata(), long)
    for line, direction, deviation in (
        (longest, [0.6, 0.8], 3.0),
        (short, [-0.8, 0.6], 0.5),
    ):
        begin, end = line.get_xydata()
        length = np.linalg.norm(end - begin)
        assert length == pytest.approx(4 * deviation, rel=0.1)
        assert abs((end - begin) / length @ direction) > 0.99
    # A round cloud is to look round, and both are seen at one scale.
    for ax in axes:
        assert ax.get_xlim() == ax.get_ylim() == axes[0].get_xlim()
        assert ax.get_aspect() == 1
        assert_legible(ax)


def test_points_outside_are_counted_in_the_title():
    long, _ = cloud()
    [ax] = plot_clouds({"long": long}, [("", "")])
    limit = ax.get_xlim()[1]
    far = sum(max(abs(across), abs(up)) > limit for across, up in long)
    assert far and ax.get_title() == f"long\n{far} of 400 points lie outside"


def test_a_cloud_without_a_long_axis_has_no_lines():
    long, _ = cloud()
    sizes, directions = np.linalg.eigh(np.cov(long.T))
    white = (long - long.mean(0)) @ directions / np.sqrt(sizes)
    axes = plot_clouds({"long": long, "white": white}, [("", "")] * 2)
    assert [len(ax.lines) for ax in axes] == [3, 1]


def test_a_flat_cloud_has_an_axis_of_no_length():
    line = np.arange(5.0)
    [ax] = plot_clouds({"a line": np.stack([line, line], 1) - 2}, [("", "")])
    _, short, longest = ax.lines
    assert np.ptp(short.get_xydata()) < 1e-6 < np.ptp(longest.get_xydata())


@pytest.mark.parametrize(
    "clouds, words",
    [
        ({}, "give a title"),
        ({"a": np.zeros((4, 3))}, r"a: give points as \[N, 2\].*\[4, 3\]"),
        ({"a": np.zeros((1, 2))}, r"at least two, not \[1, 2\]"),
        ({"a": [[0.0, np.nan], [1.0, 2.0]]}, "not finite"),
        ({"a": "points"}, "numbers"),
        ([np.zeros((4, 2))], "plot_clouds draws Mapping"),
    ],
)
def test_what_is_no_cloud_is_refused(clouds, words):
    with pytest.raises(CourseError, match=words):
        plot_clouds(clouds, [("", "")])


def test_each_cloud_has_its_labels():
    with pytest.raises(CourseError, match="1 pairs of labels for 2 clouds"):
        plot_clouds(dict(zip("ab", cloud())), [("one", "other")])
