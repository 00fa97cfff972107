"""What the plots draw: images, titles, heights of bars and lengths of error bars, against the numbers themselves."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.text import Text
from torch import nn

from helpers import plots
from helpers.data import ImageSplit
from helpers.environment import CourseError
from helpers.interpret import Predictions, confusion_matrix, misclassified
from helpers.intervals import wilson
from helpers.models.small import first_net, starter_net
from helpers.plots.charts import (
    plot_accuracy,
    plot_by_depth,
    plot_confusion,
    plot_history,
    plot_per_class,
    plot_schedule,
)
from helpers.plots.images import show_images, show_misclassified, show_predictions
from helpers.plots.nets import plot_parameters
from helpers.plots.style import RED
from helpers.training import History, one_cycle

matplotlib.use("Agg")
NAMES = ("ant", "bee", "cow", "dog")


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def make_split(
    count: int = 40, channels: int = 1, classes: tuple[str, ...] = NAMES, note: str = ""
) -> ImageSplit:
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, channels, 8, 8), generator=generator, dtype=torch.uint8)
    return ImageSplit(
        images,
        torch.arange(count) % len(classes),
        classes,
        (0.3,) * channels,
        (0.2,) * channels,
        note,
    )


def make_predictions(**options: object) -> Predictions:
    split = make_split(**options)
    noise = torch.randn(len(split), len(split.classes), generator=torch.Generator().manual_seed(1))
    return Predictions(split, nn.functional.one_hot(split.labels, len(split.classes)) * 2 + noise)


def make_rows(epochs: int, shift: float = 0.0) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "learning_rate": 0.1,
            "train_loss": 0.5 / epoch + shift,
            "train_accuracy": 99 - 9 / epoch,
            "test_loss": 0.4 / epoch + shift,
            "test_accuracy": 99.4 - 5 / epoch + shift,
            "seconds": 1.0,
        }
        for epoch in range(1, epochs + 1)
    ]


def png(ax: Axes) -> bytes:
    file = io.BytesIO()
    ax.figure.savefig(file, dpi=ax.figure.dpi)
    return file.getvalue()


def drawn(ax: Axes) -> np.ndarray:
    return np.asarray(ax.get_images()[0].get_array())


def assert_legible(ax: Axes) -> None:
    """At most 9 inches wide and 100 dpi, a small file, and no text too small for a projector."""
    assert len(png(ax)) < 150_000
    assert ax.figure.get_figwidth() <= 9 and ax.figure.dpi <= 100
    texts = [*(ax.findobj(Text) if ax.axison else [ax.title]), *ax.figure.texts]
    assert min(text.get_fontsize() for text in texts if text.get_text()) >= 11


@pytest.mark.parametrize("channels", [1, 3])
def test_show_images_draws_the_pixels_and_classes(channels: int) -> None:
    split = make_split(channels=channels)
    axes = show_images(split, [3, 0, 17])
    for ax, index in zip(axes, [3, 0, 17], strict=True):
        pixels = split.images[index].permute(1, 2, 0).numpy()
        assert np.array_equal(drawn(ax).reshape(pixels.shape), pixels)
        assert ax.get_title() == NAMES[int(split.labels[index])]
        assert ax.get_images()[0].get_interpolation() == "nearest"
        assert channels == 3 or ax.get_images()[0].get_clim() == (0, 255)
    assert_legible(axes[0])


def test_show_images_draws_the_first_24_in_rows_of_8_by_default() -> None:
    axes = show_images(make_split())
    assert len(axes) == 24 and len({round(ax.get_subplotspec().rowspan.start) for ax in axes}) == 3
    assert [ax.get_title() for ax in axes[:5]] == ["ant", "bee", "cow", "dog", "ant"]
    assert len(show_images(make_split(5))) == 5


def test_show_images_takes_masks_and_slices() -> None:
    split = make_split()
    assert [ax.get_title() for ax in show_images(split, split.labels == 2)] == ["cow"] * 10
    assert [ax.get_title() for ax in show_images(split, slice(1, 3))] == ["bee", "cow"]


def test_show_images_says_that_no_image_was_chosen() -> None:
    axes = show_images(make_split(note="practice data"), [])
    assert (
        axes[0].figure.get_suptitle() == "No image was chosen · practice data"
        and not axes[0].get_images()
    )


@pytest.mark.parametrize("classes", [("0", "1", "2"), ("automobile", "airplane", "ship")])
@pytest.mark.parametrize("channels", [1, 3])
def test_show_predictions_says_true_and_predicted_class_and_marks_the_wrong_ones(
    classes: tuple, channels: int
) -> None:
    predictions = make_predictions(classes=classes, channels=channels)
    axes = show_predictions(predictions, count=10, seed=4)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(4)).tolist()[:10]
    assert 0 < int(predictions.correct[order].sum()) < 10
    for ax, index in zip(axes, order, strict=True):
        true, guess = classes[predictions.labels[index]], classes[predictions.predicted[index]]
        words = ax.get_title().split()
        assert words[:3] == [true, "→", guess]
        assert float(words[3]) == pytest.approx(
            100 * float(predictions.probabilities[index].max()), abs=0.051
        )
        assert (to_hex(ax.title.get_color()).upper() == RED) == (true != guess)
    assert_legible(axes[0])


def test_show_predictions_repeats_with_its_seed_and_leaves_the_global_one() -> None:
    predictions = make_predictions()
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    first, again, other = (show_predictions(predictions, 3, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert len(first) == 3
    assert all(
        np.array_equal(drawn(one), drawn(two)) for one, two in zip(first, again, strict=True)
    )
    assert not all(
        np.array_equal(drawn(one), drawn(two)) for one, two in zip(first, other, strict=True)
    )


def test_show_predictions_of_chosen_images_keeps_their_order_and_may_be_of_none() -> None:
    predictions = make_predictions()
    chosen = [7, 2, 31]
    axes = show_predictions(predictions, indices=torch.tensor(chosen))
    for ax, index in zip(axes, chosen, strict=True):
        assert np.array_equal(drawn(ax), predictions.split.images[index, 0].numpy())
    assert not show_predictions(predictions, indices=[])[0].get_images()


def test_show_predictions_of_recorded_classes_gives_no_probability() -> None:
    predictions = Predictions(make_split(6), None, [0, 1, 2, 3, 0, 2])
    titles = sorted(ax.get_title() for ax in show_predictions(predictions))
    assert titles == ["ant → ant", "ant → ant", "bee → bee", "bee → cow", "cow → cow", "dog → dog"]


def test_show_misclassified_goes_from_the_highest_loss_down() -> None:
    predictions = make_predictions(channels=3)
    ranked = misclassified(predictions).tolist()
    axes = show_misclassified(predictions, count=3)
    assert len(ranked) > 3 == len(axes)
    for ax, index in zip(axes, ranked, strict=False):
        assert np.array_equal(drawn(ax), predictions.split.images[index].permute(1, 2, 0).numpy())
        assert (
            ax.get_title().split()[2]
            == NAMES[predictions.predicted[index]]
            != ax.get_title().split()[0]
        )
    assert (
        axes[0].figure.get_suptitle()
        == f"3 of {len(ranked)} mistakes in 40 images, highest loss first"
    )


def test_show_misclassified_of_a_perfect_net_says_so() -> None:
    split = make_split()
    axes = show_misclassified(Predictions(split, nn.functional.one_hot(split.labels)))
    assert (
        axes[0].figure.get_suptitle().startswith("0 of 0 mistakes in 40 images")
        and not axes[0].get_images()
    )
    assert_legible(axes[0])


@pytest.mark.parametrize(
    "show",
    [
        lambda predictions: show_images(predictions.split, count=2)[0].figure.get_suptitle(),
        lambda predictions: show_images(predictions.split.subset([1]))[0].figure.get_suptitle(),
        lambda predictions: show_predictions(predictions, count=2)[0].figure.get_suptitle(),
        lambda predictions: show_misclassified(predictions, count=2)[0].figure.get_suptitle(),
        lambda predictions: plot_per_class(predictions).get_title(),
        lambda predictions: plot_confusion(predictions).get_title(),
        lambda predictions: plot_history(History(make_rows(2)), note=predictions.split.note)[
            0
        ].figure.get_suptitle(),
    ],
)
def test_every_picture_carries_the_note_of_its_data(show: object) -> None:
    assert show(make_predictions(note="practice data")).endswith("practice data")
    assert "practice" not in show(make_predictions()) and "·" not in show(make_predictions())


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
    axes = plt.figure().subplots(1, 2)
    assert list(plot_history(History(make_rows(3)), axes)) == list(axes)
    for nothing in ([], History(), [History(), History()]):
        with pytest.raises(CourseError, match="no epoch"):
            plot_history(nothing)


def test_plot_history_stops_at_the_epoch_that_every_run_has() -> None:
    line = main_lines(plot_history([History(make_rows(6)), History(make_rows(4))])[0])[0]
    assert line.get_xdata().tolist() == [1, 2, 3, 4]


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


def test_plot_per_class_bars_are_accuracies_and_error_bars_wilson_intervals() -> None:
    predictions = make_predictions(count=80)
    ax = plot_per_class(predictions)
    segments = ax.collections[0].get_segments()
    low, high = ax.get_ylim()
    for index, (bar, segment) in enumerate(zip(ax.patches, segments, strict=True)):
        mine = predictions.labels == index
        right = int((predictions.predicted[mine] == index).sum())
        assert bar.get_height() == pytest.approx(100 * right / int(mine.sum()))
        assert segment[:, 1].tolist() == pytest.approx(list(wilson(right, int(mine.sum()))))
        assert low <= segment[0, 1] < segment[1, 1] <= high
        assert segment[:, 0].tolist() == [index, index] == [bar.get_x() + bar.get_width() / 2] * 2
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
    assert [bar.get_height() for bar in ax.patches] == pytest.approx(
        [100, 100, math.nan, 100], nan_ok=True
    )
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
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert ax.get_title() == f"{predictions.mistakes} mistakes in 80 images"
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


def test_nothing_is_shown_and_given_axes_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("plt.show was called"))
    predictions = make_predictions()
    for plot in (
        lambda ax: plot_schedule([1.0], ax=ax),
        lambda ax: plot_per_class(predictions, ax=ax),
        lambda ax: plot_confusion(predictions, ax=ax),
        lambda ax: plot_parameters(first_net(), ax=ax),
    ):
        given = plt.figure().subplots()
        before = len(plt.get_fignums())
        assert plot(given) is given and len(plt.get_fignums()) == before


def test_the_modules_of_the_plots_know_no_training() -> None:
    for module in ("plots.py", "show.py"):
        source = (Path(plots.__file__).parent / module).read_text(encoding="utf-8")
        assert "import training" not in source and "helpers.training" not in source


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
        ("a\nn = 3", "bottom"),
        ("b\nn = 1", "top"),
    }
    assert ax.get_xlabel() == "parameters"
    assert [text.get_text() for text in ax.get_legend().texts] == ["document", "99.4 %"]
