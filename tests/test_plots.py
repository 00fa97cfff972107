"""What charts draw: bars, error bars, lines and labels, against the numbers themselves."""

from __future__ import annotations

import math
import statistics
import warnings

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plot_inputs import NAMES, assert_legible, make_predictions, make_rows, make_split
from torch import nn

from helpers.environment import CourseError
from helpers.interpret import Predictions, confusion_matrix
from helpers.intervals import wilson
from helpers.models import count_parameters
from helpers.models.small import starter_net
from helpers.plots.charts import plot_by_depth, plot_history
from helpers.plots.classes import plot_confusion, plot_per_class
from helpers.plots.names import separate_labels
from helpers.plots.nets import plot_parameters
from helpers.plots.rates import plot_schedule
from helpers.plots.seeds import plot_accuracy
from helpers.training import History
from helpers.training.schedule import one_cycle

matplotlib.use("Agg")


def main_lines(ax: Axes) -> list:
    return [line for line in ax.get_lines() if line.get_linewidth() >= 2]


@pytest.mark.parametrize("epochs", [1, 2, 15])
def test_plot_history_draws_train_against_test(epochs: int) -> None:
    rows = make_rows(epochs)
    axes = plot_history(History(rows))
    for ax, key in zip(axes, ["loss", "accuracy"], strict=True):
        for line, part in zip(main_lines(ax), ["train", "test"], strict=True):
            assert line.get_xdata().tolist() == list(range(1, epochs + 1))
            assert line.get_ydata().tolist() == [row[f"{part}_{key}"] for row in rows]
            name, last = line.get_label().removesuffix(" %").split(", last ")
            assert name == part and float(last) == pytest.approx(
                rows[-1][f"{part}_{key}"], abs=0.005
            )
        assert (ax.get_xlabel(), ax.get_title()) == ("epoch", key.capitalize())
        assert key in ax.get_ylabel() and len(ax.get_legend().get_texts()) == 2
        assert all(tick == int(tick) for tick in ax.get_xticks())
        assert_legible(ax)


def test_plot_history_leaves_losses_of_two_kinds_apart() -> None:
    shaded = [len(ax.collections) for ax in plot_history(History(make_rows(5)))]
    apart = [len(ax.collections) for ax in plot_history(History(make_rows(5)), shade_losses=False)]
    assert shaded == [1, 1] and apart == [0, 1]


def test_plot_history_keeps_the_gap_of_the_last_epoch_visible() -> None:
    rows = make_rows(15)
    ax = plot_history(History(rows))[1]
    low, high = ax.get_ylim()
    assert low > rows[0]["test_accuracy"], "the first epoch would flatten all others"
    for row in rows[4:]:
        assert low < row["train_accuracy"] < high and low < row["test_accuracy"] < high
    assert (rows[-1]["test_accuracy"] - rows[-1]["train_accuracy"]) / (high - low) > 0.1


def test_plot_history_of_several_runs_draws_their_mean_and_each() -> None:
    runs = [make_rows(6, shift) for shift in (0.0, 0.1, 0.5)]
    axes = plot_history([History(run) for run in runs])
    lines = main_lines(axes[1])
    assert len(lines) == 2 and len(axes[1].get_lines()) == 2 + 2 * len(runs)
    wanted = [statistics.fmean(run[epoch]["test_accuracy"] for run in runs) for epoch in range(6)]
    assert lines[1].get_ydata().tolist() == pytest.approx(wanted)
    assert axes[1].get_title() == "Accuracy, mean of 3 runs"


def test_plot_history_draws_into_given_axes_and_refuses_nothing_at_all() -> None:
    axes = Figure().subplots(1, 2)
    assert list(plot_history(History(make_rows(3)), axes)) == list(axes)
    for nothing in ([], History(), [History(), History()]):
        with pytest.raises(CourseError, match="no epoch"):
            plot_history(nothing)


def test_plot_history_stops_at_the_epoch_that_every_run_has() -> None:
    line = main_lines(plot_history([History(make_rows(6)), History(make_rows(4))])[0])[0]
    assert line.get_xdata().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_plot_history_draws_a_hole_where_a_loss_is_not_finite_and_says_so(value: float) -> None:
    rows = make_rows(8)
    rows[2]["test_loss"] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss, accuracy = plot_history([History(rows), History(make_rows(8))])
        loss.figure.canvas.draw()
    assert loss.get_title() == "Loss, mean of 2 runs\nfirst not finite in epoch 3"
    assert accuracy.get_title() == "Accuracy, mean of 2 runs"
    train, test = main_lines(loss)
    wanted = [math.nan if epoch == 3 else 0.4 / epoch for epoch in range(1, 9)]
    assert test.get_ydata().tolist() == pytest.approx(wanted, nan_ok=True)
    assert np.isfinite(train.get_ydata()).all()
    assert test.get_label() == "test, last 0.0500" and np.isfinite(loss.get_ylim()).all()
    assert loss.get_xlim()[0] < 1 and loss.get_xlim()[1] > 8


def test_plot_history_draws_a_run_that_diverged_and_one_without_a_finite_loss() -> None:
    rows = make_rows(8)
    for row in rows[2:]:
        row["train_loss"] = row["test_loss"] = math.nan
    loss = plot_history(History(rows))[0]
    low, high = loss.get_ylim()
    assert low < 0.2 and high > 0.5  # what is finite sets the scale: 0.5, 0.25, 0.4 and 0.2
    assert [line.get_label() for line in main_lines(loss)] == [
        "train, last not finite",
        "test, last not finite",
    ]
    for row in rows:
        row["train_loss"] = row["test_loss"] = math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = plot_history(History(rows))[0]
        loss.figure.canvas.draw()
    assert loss.get_title() == "Loss\nfirst not finite in epoch 1"


def test_plot_schedule_holds_every_rate_over_its_step() -> None:
    lrs = [0.1, 0.4, 0.3, 0.2, 0.1, 0.0]
    ax = plot_schedule(lrs, steps_per_epoch=2)
    values, edges, baseline = ax.patches[0].get_data()
    assert values.tolist() == lrs and edges.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert baseline is None and ax.patches[0].get_linewidth() >= 2 and ax.get_ylim()[1] > 0.4
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "learning rate")
    assert ax.get_title() == "Learning rate: highest 0.4 at epoch 0.5"
    assert_legible(ax)


def test_plot_schedule_of_one_cycle_shows_its_peak_where_it_was_asked_for() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler, lrs = (
        one_cycle(optimizer, max_lr=0.4, epochs=24, steps_per_epoch=98, peak_epoch=5),
        [],
    )
    for _ in range(24 * 98):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    ax = plot_schedule(lrs, steps_per_epoch=98)
    assert ax.get_title() == "Learning rate: highest 0.4 at epoch 5"
    assert ax.get_ylim()[1] > 0.4 and ax.get_xlim()[0] <= 0 and ax.get_xlim()[1] >= 24


def test_plot_schedule_counts_steps_and_compares_several() -> None:
    ax = plot_schedule(np.array([0.1, 0.2]), label="one-cycle")
    assert plot_schedule(torch.tensor([0.3, 0.3, 0.3]), ax=ax, label="constant") is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one-cycle", "constant"]
    assert ax.get_xlabel() == "step" and ax.get_title() == "Learning rate"
    assert len({line.get_edgecolor() for line in ax.patches}) == 2
    with pytest.raises(CourseError, match="learning rate"):
        plot_schedule([])
    # The first step is step 1.
    assert plot_schedule([0.1, 0.4, 0.3]).get_title() == "Learning rate: highest 0.4 at step 2"
    with pytest.raises(CourseError, match="the learning rate of step 2 is nan"):
        plot_schedule([0.1, math.nan])


def test_plot_by_depth_has_a_curve_for_every_net_on_a_logarithmic_scale() -> None:
    sizes = {"with shortcuts": [3e-2, 1e-3, 0.5], "without": torch.tensor([1.0, 10.0])}
    ax = plot_by_depth(sizes, "gradient")
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert drawn["with shortcuts"] == [[1, 3e-2], [2, 1e-3], [3, 0.5]] and drawn["without"] == [
        [1, 1],
        [2, 10],
    ]
    assert ax.get_yscale() == "log" and (ax.get_xlabel(), ax.get_ylabel()) == ("layer", "gradient")
    assert plot_by_depth({"one": [1.0]}, "gradient", ax=ax) is ax
    with pytest.raises(CourseError, match="no net to plot"):
        plot_by_depth({}, "gradient")


def test_plot_per_class_dots_are_accuracies_and_lines_wilson_intervals() -> None:
    predictions = make_predictions(count=80)
    ax = plot_per_class(predictions)
    segments = ax.collections[0].get_segments()
    low, high = ax.get_ylim()
    dots = ax.lines[0].get_xydata().tolist()
    for index, (dot, segment) in enumerate(zip(dots, segments, strict=True)):
        mine = predictions.labels == index
        right = int((predictions.predicted[mine] == index).sum())
        assert dot == pytest.approx([index, 100 * right / int(mine.sum())])
        assert segment[:, 1].tolist() == pytest.approx(list(wilson(right, int(mine.sum()))))
        assert low <= segment[0, 1] < segment[1, 1] <= high
        assert segment[:, 0].tolist() == [index, index]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list(NAMES)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("class", "accuracy (%)")
    assert_legible(ax)


def test_plot_per_class_zooms_in_on_good_nets_and_knows_an_empty_class() -> None:
    split = make_split(4000)
    keep = split.labels != 2
    split = split.subset(keep)
    perfect = Predictions(split, nn.functional.one_hot(split.labels, 4))
    ax = plot_per_class(perfect)
    assert [tick.get_text() for tick in ax.get_xticklabels()][2] == "cow (none)"
    heights = ax.lines[0].get_ydata().tolist()
    assert heights == pytest.approx([100, 100, math.nan, 100], nan_ok=True)
    assert ax.get_ylim()[0] > 99 and ax.get_ylim()[1] > 100
    assert_legible(ax)


def test_plot_confusion_writes_the_counts_and_keeps_the_diagonal_out_of_the_colours() -> None:
    predictions = make_predictions(count=80, classes=("automobile", "airplane", "ship"))
    ax, matrix = plot_confusion(predictions), confusion_matrix(predictions)
    written = {
        (round(text.get_position()[1]), round(text.get_position()[0])): text.get_text()
        for text in ax.texts
    }
    assert written == {
        (row, column): str(int(matrix[row, column]) or "")
        for row in range(3)
        for column in range(3)
    }
    image, off_diagonal = ax.get_images()[0], matrix.clone().fill_diagonal_(0)
    assert image.get_clim() == (0, int(off_diagonal.max())) and int(matrix.diagonal().max()) > int(
        off_diagonal.max()
    )
    assert image.get_array().mask.tolist() == np.eye(3, dtype=bool).tolist()
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(predictions.split.classes)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer", "label")
    assert ax.get_title() == f"{predictions.mistakes} mistakes in 80 pictures"
    assert_legible(ax)


def test_plot_confusion_of_a_perfect_net_has_no_colour_scale_of_zero() -> None:
    split = make_split()
    ax = plot_confusion(Predictions(split, nn.functional.one_hot(split.labels)))
    assert ax.get_images()[0].get_clim() == (0, 1) and ax.get_title().startswith("0 mistakes")
    assert_legible(ax)


def test_plot_parameters_has_a_bar_for_every_layer_with_parameters() -> None:
    model = starter_net()
    ax = plot_parameters(model)
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d)]
    counts = [layer.weight.numel() + layer.bias.numel() for layer in layers]
    assert [bar.get_width() for bar in ax.patches] == counts and sum(counts) == 6_379_786
    assert (
        ax.get_title() == "6,379,786 parameters"
        and ax.get_xlabel() == "parameters"
        and ax.get_ylabel() == "layer"
    )
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels[0] == "0 Conv2d 1→32" and labels[-1] == "14 Conv2d 1024→10"
    assert ax.texts[-2].get_text() == "4,719,616 (74.0 %)"
    assert ax.yaxis_inverted()
    assert_legible(ax)


def test_plot_parameters_counts_shared_and_bare_parameters_once() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
            self.second.weight = self.first.weight
            self.scale = nn.Parameter(torch.ones(3))

    ax = plot_parameters(Shared())
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    bars = dict(zip(labels, [bar.get_width() for bar in ax.patches], strict=True))
    assert bars == {"Shared": 3, "first Linear": 6, "second Linear": 2}


def test_plot_parameters_counts_what_is_trained_alone() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 3))
    net[0].requires_grad_(False)
    ax = plot_parameters(net)
    assert ax.get_title() == f"{count_parameters(net)} parameters" == "9 parameters"
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["1 Linear"]
    with pytest.raises(CourseError, match="no parameters that are trained"):
        plot_parameters(net.requires_grad_(False))


def test_plot_accuracy_shows_means_with_their_deviation_and_single_results_apart() -> None:
    points = {"a": (5_000, [99.0, 99.2, 99.4]), "b": (9_000, [99.5])}
    ax = plot_accuracy(
        points, "parameters", target=99.4, others={"document": [(6_000, 99.3), (7_000, 99.1)]}
    )
    bars = [container.lines[2][0].get_segments()[0] for container in ax.containers]
    np.testing.assert_allclose(bars, [[[5000, 99.0], [5000, 99.4]], [[9000, 99.5], [9000, 99.5]]])
    diamond = next(line for line in ax.lines if line.get_marker() == "D")
    assert (*diamond.get_xdata(), *diamond.get_ydata(), diamond.get_markerfacecolor()) == (
        6000,
        7000,
        99.3,
        99.1,
        "none",
    )
    assert {(text.get_text(), text.get_va()) for text in ax.texts} == {
        ("a\nn = 3", "top"),
        ("b\nn = 1", "bottom"),
    }
    assert ax.get_xlabel() == "parameters"
    assert [text.get_text() for text in ax.get_legend().texts] == ["document", "99.4 %"]


def test_plot_accuracy_shows_the_interval_of_the_mean_where_it_is_asked_for() -> None:
    ax = plot_accuracy(
        {"a": (5_000, [99.0, 99.2, 99.4]), "b": (6_000, [99.0])}, "x", intervals=True
    )
    # t = 4.303 for two degrees of freedom, and the deviation is 0.2.
    half = 4.302653 * 0.2 / 3**0.5
    bars = [container.lines[2][0].get_segments()[0] for container in ax.containers]
    np.testing.assert_allclose(bars[0][:, 1], [99.2 - half, 99.2 + half], rtol=1e-6)
    np.testing.assert_allclose(bars[1][:, 1], [99.0, 99.0])
    assert "95 % intervals" in ax.get_title()


def test_plot_accuracy_of_one_seed_has_no_deviation_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plot_accuracy({"one": (5, [99.0]), "two": (6, torch.tensor([99.0, 98.0]))}, "x")
        ax.figure.canvas.draw()
    one, two = [container.lines[2][0].get_segments()[0][:, 1] for container in ax.containers]
    assert one.tolist() == [99, 99]
    assert two.tolist() == pytest.approx([98.5 - 0.5**0.5, 98.5 + 0.5**0.5])


def test_plot_accuracy_takes_accuracies_by_seed_as_a_result_has_them() -> None:
    values = {0: 99.0, 1: 99.5, 2: 99.4}
    for given in (values, values.values(), np.array([*values.values()]), [*values.values()]):
        ax = plot_accuracy({"a": (9274, given)}, "parameters")
        place, mean = ax.containers[0].lines[0].get_xydata()[0]
        assert (place, mean) == (9274, pytest.approx(statistics.fmean(values.values())))
        assert ax.texts[0].get_text() == "a\nn = 3"


def test_what_requires_grad_is_drawn_without_its_history() -> None:
    numbers = torch.tensor([0.5, 2.0, 1.0], requires_grad=True)
    for given in (numbers, numbers * 1, list(numbers * 1), tuple(numbers.bfloat16())):
        ax = plot_schedule(given)
        assert ax.patches[0].get_data().values.tolist() == [0.5, 2, 1]
        ax = plot_by_depth({"net": given}, "size of the gradient")
        assert ax.lines[0].get_ydata().tolist() == [0.5, 2, 1]
        ax = plot_accuracy({"net": (numbers[0], given)}, "x")
        ((place, mean),) = ax.containers[0].lines[0].get_xydata()
        assert (place, mean) == (0.5, pytest.approx(3.5 / 3))
    assert numbers.requires_grad


def test_a_layer_of_zeros_does_not_hide_the_others() -> None:
    ax = plot_by_depth({"dead": [1.0, 0.0, 2.0]}, "size")
    assert ax.lines[0].get_xydata().tolist() == [[1, 1], [2, 0], [3, 2]]


def test_plot_accuracy_has_a_mark_for_every_group_of_others() -> None:
    others = {str(number): [(number, 99.0)] for number in range(5)}
    ax = plot_accuracy({}, "x", others=others)
    assert [line.get_label() for line in ax.lines] == list(others)


def test_names_are_moved_until_they_touch_nothing() -> None:
    points = {f"net {number}": (10 + number, [99.0, 99.1]) for number in range(6)}
    ax = plot_accuracy(points, "x", target=98.95)
    ax.set_xlim(0, 30)
    ax.margins(y=0.5)
    before = [label.xyann for label in ax.texts]
    separate_labels(ax)
    boxes = [label.get_window_extent() for label in ax.texts]
    for at, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:at])
        target = ax.lines[-1].get_window_extent()
        assert not box.overlaps(target)
        assert ax.bbox.x0 < box.x0 < box.x1 < ax.bbox.x1
        assert ax.bbox.y0 < box.y0 < box.y1 < ax.bbox.y1
    assert before != [label.xyann for label in ax.texts]
    # A line leads from the end of a bar to each name that stands far from it.
    leads = ax.collections[-1].get_segments()
    dots = ax.transData.transform([label.xy for label in ax.texts])
    near = [min(np.hypot(*(ax.transData.transform(lead[0]) - dots).T)) for lead in leads]
    assert leads and max(near) < 5


def test_of_two_neighbours_the_better_one_is_named_above_and_each_nearest_to_its_dot() -> None:
    points = {
        "low": (7640, [99.36, 99.57, 99.44, 99.38]),
        "high": (7960, [99.52, 99.58]),
        "alone": (20_000, [99.5]),
        "far below": (19_000, [99.2, 99.3]),
    }
    ax = plot_accuracy(points, "parameters", target=99.4)
    ax.set_xscale("log")
    ax.margins(y=0.25)
    separate_labels(ax)
    dots, middles = {}, {}
    for label in ax.texts:
        name = label.get_text().split("\n")[0]
        dots[name] = ax.transData.transform(label.xy)
        box = label.get_window_extent()
        middles[name] = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
    assert middles["high"][1] > dots["high"][1] and middles["low"][1] < dots["low"][1]
    for name, middle in middles.items():
        distances = {other: np.linalg.norm(dot - middle) for other, dot in dots.items()}
        assert min(distances, key=distances.get) == name


def test_ticks_of_layers_and_epochs_are_whole_numbers() -> None:
    ax = plot_by_depth({"a": [1.0, 2.0, 3.0]}, "size")
    assert all(tick == int(tick) for tick in ax.get_xticks())
