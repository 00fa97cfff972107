"""Pairs of numbers as clouds of points, with the long and the short axis of each cloud."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.plots.style import (
    BLUE,
    FONT,
    RED,
    label_axes,
    new_axes,
    number_array,
    require,
    with_note,
)

EQUAL = 1.01  # two deviations are, if the larger is no more than so many times the smaller


def plot_clouds(
    clouds: Mapping[str, Any], labels: Sequence[tuple[str, str]], note: str = ""
) -> np.ndarray:
    """A panel for each cloud: its points, and its two axes, two deviations to either side.

    clouds: title to points, [N, 2]
    labels: for each cloud what the two numbers of a point are, across and up
    note: that of the data, above all of them

    All panels have one scale, the same in both directions, so that equal deviations look equal. A
    cloud with two equal deviations has no long axis, and none is drawn. The title says how many
    points lie outside. Returns an Axes each. Raises ``CourseError`` without a cloud, for other
    labels than one pair for each, for points of another shape, for fewer than two of them, and for
    numbers that are not finite.
    """
    require(clouds, Mapping, "plot_clouds")
    if not clouds:
        raise CourseError("plot_clouds: give a title and its points, [N, 2]")
    if len(labels) != len(clouds):
        raise CourseError(f"plot_clouds: {len(labels)} pairs of labels for {len(clouds)} clouds")
    points = [checked_points(name, values) for name, values in clouds.items()]

    # The farthest of a hundred points sets the scale: single ones would make the clouds small.
    reach = max(float(np.percentile(np.abs(each), 99)) for each in points)
    limit = 1.15 * max(reach, 1e-6)
    axes = new_axes(9, 3.7, 1, len(points))
    # Points that lie over each other are darker.
    for ax, name, each, (across, up) in zip(axes, clouds, points, labels):
        ax.plot(each[:, 0], each[:, 1], ".", color=BLUE, markersize=3, alpha=0.4)
        draw_axes_of(ax, each)
        ax.set_xlim(-limit, limit)
        ax.set_ylim(-limit, limit)
        ax.set_aspect("equal")
        label_axes(ax, name + outside(each, limit), across, up)
    if note:
        axes[0].figure.suptitle(with_note("", note), fontsize=FONT)
    return axes


def outside(points: np.ndarray, limit: float) -> str:
    """A line of a title, which says how many points lie beyond the limit; empty without any."""
    # What a frame cuts off is not seen, so it has to be said.
    count = int((np.abs(points) > limit).any(axis=1).sum())
    if not count:
        return ""
    return f"\n{count:,} of {len(points):,} points lie outside"


def checked_points(name: str, values: Any) -> np.ndarray:
    """The points of a cloud as an array [N, 2]."""
    points = number_array(values, f"the points of {name}")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
        raise CourseError(f"{name}: give points as [N, 2], at least two, not {list(points.shape)}")
    if not np.isfinite(points).all():
        raise CourseError(f"{name}: a number of its points is not finite")
    return points


def draw_axes_of(ax: Axes, points: np.ndarray) -> None:
    """Lines through the middle of a cloud, along the eigenvectors of its covariance.

    Nothing is drawn where the two deviations are equal: every direction is an axis then.
    """
    middle = points.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(points.T))
    # Rounding may leave a variance of a flat cloud just below zero.
    deviations = np.sqrt(np.maximum(variances, 0))
    # The eigenvectors of equal variances are a matter of rounding.
    if deviations[1] <= EQUAL * deviations[0]:
        return
    for deviation, direction in zip(deviations, directions.T):
        half = 2 * deviation * direction
        ends = np.stack([middle - half, middle + half])
        ax.plot(ends[:, 0], ends[:, 1], color=RED, linewidth=3)
