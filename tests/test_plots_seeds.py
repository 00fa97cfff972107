"""Seeds side by side and the loss of every step: what is drawn, against the numbers themselves."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from plot_inputs import assert_legible
from scipy import stats

from helpers.environment import CourseError
from helpers.plots.charts import plot_losses
from helpers.plots.columns import LEAST_SPAN
from helpers.plots.seeds import plot_seeds

matplotlib.use("Agg")
TEN = {
    f"budget-{number}-augment": (99.3 + 0.03 * number + 0.05 * np.sin(np.arange(10))).tolist()
    for number in range(10)
}


def test_every_seed_has_a_dot_and_several_a_mean_with_students_interval() -> None:
    values = [99.1, 99.3, 99.3, 99.6]
    for given in (values, dict(enumerate(values)), torch.tensor(values, dtype=torch.float64)):
        ax = plot_seeds({"a": given, "b": [99.0]})
        dots = [line for line in ax.lines if line.get_label() == "a seed"]
        assert dots[0].get_ydata().tolist() == values and dots[1].get_ydata().tolist() == [99]
        places = dots[0].get_xdata()
        assert len(set(places)) == 4 and max(abs(places)) < 0.5
        (bars,) = ax.containers
        low, high = bars.lines[2][0].get_segments()[0][:, 1]
        mean, error = statistics.fmean(values), stats.sem(values)
        wanted = stats.t.interval(0.95, 3, mean, error)
        assert (low, high) == pytest.approx(wanted)
        assert bars.lines[0].get_ydata().tolist() == pytest.approx([mean])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a\nn = 4", "b\nn = 1"]
    assert_legible(ax)


def test_equal_seeds_have_an_interval_of_one_point_and_a_small_difference_looks_small() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plot_seeds({"a": [99.4] * 3, "b": [99.41] * 3})
        ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    assert high - low >= LEAST_SPAN - 1e-9 and low < 99.4 < 99.41 < high


def test_a_single_seed_is_told_without_an_interval() -> None:
    assert plot_seeds({"a": [99.0]}).get_title() == "Last epoch: every seed"
    assert plot_seeds({}, others={"a": 99.0}).get_title() == "Last epoch: every seed"
    several = plot_seeds({"a": [99.0], "b": [99.0, 99.2]}).get_title()
    assert several == "Last epoch: every seed, and the mean with its 95 % interval"


def test_the_axis_shows_all_there_is() -> None:
    ax = plot_seeds({"a": [99.0, 99.4], "b": [98.0]}, target=99.9, others={"a": 97.5})
    low, high = ax.get_ylim()
    ends = ax.containers[0].lines[2][0].get_segments()[0][:, 1]
    assert low < min(97.5, *ends) and high > max(99.9, *ends)


def test_others_are_hollow_diamonds_and_the_target_is_a_line_with_its_label() -> None:
    ax = plot_seeds({"a": [99, 98]}, target=99.4, others={"a": 99.2, "c": 99.5}, xlabel="net")
    diamonds = [line for line in ax.lines if line.get_marker() == "D"]
    assert [line.get_ydata().tolist() for line in diamonds] == [[99.2], [99.5]]
    # Beside the seeds of its row, and above its name where it has no seeds.
    assert [line.get_xdata().tolist() for line in diamonds] == [[0.3], [1.0]]
    assert {line.get_markerfacecolor() for line in diamonds} == {"none"}
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a\nn = 2", "c"]
    (legend,) = ax.figure.legends
    words = {text.get_text() for text in legend.get_texts()}
    assert words == {"a seed", "mean, 95 % interval", "stated elsewhere", "target: 99.4 %"}
    assert ax.get_xlabel() == "net"
    named = plot_seeds({"a": [99, 98]}, others={"a": 99.2}, stated="the report")
    words = {text.get_text() for text in named.figure.legends[0].get_texts()}
    assert words == {"a seed", "mean, 95 % interval", "the report"}


LONG = {"normalisation of everything": [99.0] * 10, **dict(list(TEN.items())[1:])}


@pytest.mark.parametrize("rows", [TEN, LONG, {"one": [99.0]}, dict(list(TEN.items())[:3])])
def test_names_of_ten_rows_touch_nothing(rows: dict) -> None:
    ax = plot_seeds(rows, target=99.4)
    assert_legible(ax)
    boxes = []
    for tick in ax.get_xticklabels():
        box = tick.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= ax.figure.bbox.x1 and box.y0 >= 0
        if tick.get_rotation() == 0:
            assert not box.count_overlaps(boxes), tick
        boxes.append(box)


def test_the_loss_of_every_step_is_drawn_with_its_running_mean() -> None:
    losses = np.exp(-np.arange(400) / 100) + 0.1 * np.sin(np.arange(400))
    ax = plot_losses(losses, steps_per_epoch=100, chance=math.log(10), note="practice data")
    thin, mean, *epochs, chance = ax.lines
    assert thin.get_xdata().tolist() == list(range(1, 401))
    assert thin.get_ydata().tolist() == losses.tolist()
    assert (
        thin.get_linewidth() < 1 < mean.get_linewidth() and mean.get_label() == "mean of 10 steps"
    )
    assert mean.get_ydata()[0] == pytest.approx(losses[:10].mean())
    assert mean.get_ydata()[-1] == pytest.approx(losses[-10:].mean())
    assert mean.get_xdata()[0] == pytest.approx(5.5)
    assert [line.get_xdata()[0] for line in epochs] == [100.5, 200.5, 300.5, 400.5]
    assert chance.get_ydata()[0] == pytest.approx(math.log(10))
    assert chance.get_linestyle() == "--" and ax.texts[0].get_text() == "chance: 2.30"
    assert ax.get_title() == "Loss of each step · practice data"
    low, high = ax.get_ylim()
    assert low == pytest.approx(min(0, losses.min())) and high > math.log(10)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")
    assert_legible(ax)


def test_the_lowest_possible_loss_is_a_line_with_its_label():
    ax = plot_losses([2.0, 1.5, 1.2], chance=math.log(10), lowest=0.87)
    *_, lowest = ax.lines
    assert lowest.get_ydata()[0] == 0.87 and lowest.get_linestyle() == "-."
    assert [text.get_text() for text in ax.texts] == ["chance: 2.30", "lowest possible: 0.87"]
    with pytest.raises(CourseError, match="lowest=nan"):
        plot_losses([1.0], lowest=math.nan)


def test_losses_may_be_tensors_that_remember_their_history() -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    losses = [weight * number for number in range(1, 4)]
    for given in (losses, torch.stack(losses)):
        assert plot_losses(given).lines[0].get_ydata().tolist() == [2, 4, 6]
    given = Figure().subplots()
    assert plot_losses([1.0], ax=given) is given


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_a_hole_and_is_said(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plot_losses([2.0, 1.0, value, 1.0], chance=2.3)
        plot_losses([value] * 3).figure.canvas.draw()
        ax.figure.canvas.draw()
    assert ax.get_title() == "Loss of each step, first not finite in step 3"
    assert np.isnan(ax.lines[0].get_ydata()).tolist() == [False, False, True, False]


def test_many_epochs_have_few_lines() -> None:
    ax = plot_losses(np.ones(1000), steps_per_epoch=10)
    lines = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert len(lines) == 20 and lines[0].get_label() == "end of every 5 epochs"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_seeds({}), "there is no row to plot"),
        (lambda: plot_seeds([99.0]), "Mapping, not list"),
        (lambda: plot_seeds({"a": []}), r"a has the accuracies \[\]"),
        (lambda: plot_seeds({"a": 99.0}), "a: give one accuracy for each seed"),
        (lambda: plot_seeds({"a": [math.nan]}), "a has the accuracies"),
        (lambda: plot_seeds({"a": ["b"]}), "accuracies of a are numbers"),
        (lambda: plot_seeds({"a": [99.0]}, target=math.inf), "the target: give finite"),
        (lambda: plot_seeds({"a": [99.0]}, others={"b": [1, 2]}), "b: give one number"),
        (lambda: plot_seeds({"a": [99.0]}, others={"b": math.nan}), "the result of b"),
        (lambda: plot_seeds({"a": [99.0]}, ax="left"), "not str"),
        (lambda: plot_losses([]), "at least one"),
        (lambda: plot_losses(2.0), "give a sequence"),
        (lambda: plot_losses([[1.0], [2.0]]), "give a sequence"),
        (lambda: plot_losses("abc"), "losses are numbers, not str"),
        (lambda: plot_losses([1.0], steps_per_epoch=0), "steps_per_epoch=0"),
        (lambda: plot_losses([1.0], chance=math.nan), "chance=nan"),
    ],
)
def test_a_wrong_input_is_an_error_of_one_line(draw: Callable, message: str) -> None:
    with pytest.raises(CourseError, match=message) as caught:
        draw()
    assert "\n" not in str(caught.value)
