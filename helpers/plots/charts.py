"""Curves: losses by step, losses and accuracies by epoch, sizes by depth."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.plots.style import (
    BLUE,
    FONT,
    GREY,
    ORANGE,
    SMALL,
    finite_number,
    given_axes,
    label_axes,
    new_axes,
    next_color,
    number_array,
    one_axes,
    require,
    require_count,
    whole_ticks,
    with_note,
)


class Run(Protocol):
    """What is drawn of a ``training.History``: a dictionary for each epoch."""

    @property
    def epochs(self) -> Sequence[Mapping[str, float]]: ...


def plot_history(
    history: Run | Iterable[Run],
    axes: Sequence[Axes] | np.ndarray | None = None,
    note: str = "",
    shade_losses: bool = True,
) -> np.ndarray:
    """Train against test loss and accuracy by epoch, the gap shaded; two Axes.

    ``history``: one or several ``training.History``; a thin line is a run, the thick one their
    mean, over the epochs that all have. ``note``: that of the data. ``shade_losses``: False where
    the two losses are of two kinds, so that a gap between them means nothing. Later epochs set the
    scale, so that the gap stays visible: the first epochs may lie outside. Where a value is not
    finite the line has a hole, and the title says which epoch was the first. Raises ``CourseError``
    without an epoch.
    """
    runs = listed_runs(history)
    # Side by side: the loss is trained on, the accuracy is what one wants.
    if axes is None:
        axes = new_axes(9, 3.6, 1, 2)
    axes = given_axes(axes, 2)[:2]
    draw_train_and_test(axes[0], runs, "loss", "", shade_losses)
    draw_train_and_test(axes[1], runs, "accuracy", "%")
    if note:
        axes[0].figure.suptitle(note, fontsize=FONT)
    return axes


def listed_runs(history: Any) -> list[Run]:
    """The runs as a list; ``CourseError`` for anything else, and where there is no epoch."""
    # One run is a list of one.
    runs = [history]
    if isinstance(history, Iterable):
        runs = list(history)
    for run in runs:
        if not hasattr(run, "epochs"):
            given = type(run).__name__
            raise CourseError(f"plot_history draws what fit returns, a History, not {given}")

    # The shortest run says how many epochs all have.
    if not runs or not min(len(run.epochs) for run in runs):
        raise CourseError("there is no epoch to plot: train for one epoch at least")
    return runs


def draw_train_and_test(
    ax: Axes, runs: Sequence[Run], key: str, unit: str, shaded: bool = True
) -> None:
    """One panel of ``plot_history``: the loss or the accuracy of training and of testing."""
    # The mean over runs is thick, each run thin.
    numbers = epoch_values(runs, "epoch")[:, 0]
    means = []
    for part, color in (("train", BLUE), ("test", ORANGE)):
        values = epoch_values(runs, f"{part}_{key}")
        mean = values.mean(axis=1)
        means.append(mean)
        label = f"{part}, last {last_value(mean[-1], unit)}"
        ax.plot(numbers, mean, "o-", color=color, linewidth=2.5, markersize=5, label=label)
        if len(runs) > 1:
            ax.plot(numbers, values, color=color, linewidth=0.8)

    # The gap between training and testing is what a reader looks for.
    if shaded:
        ax.fill_between(numbers, means[0], means[1], color=GREY, alpha=0.25, linewidth=0)

    # What is shown, how many runs it is the mean of, and where it is not finite.
    title = key.capitalize()
    if len(runs) > 1:
        title = f"{title}, mean of {len(runs)} runs"
    holes = np.isnan(means).any(axis=0)
    if holes.any():
        title = f"{title}\nfirst not finite in epoch {numbers[holes][0]:g}"
        # The axis reaches the last epoch all the same.
        ax.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)

    # The unit stands on the axis, and later epochs set its scale.
    ylabel = key
    if unit:
        ylabel = f"{key} ({unit})"
    label_axes(ax, title, "epoch", ylabel)
    show_late_epochs(ax, np.array(means))
    whole_ticks(ax.xaxis)
    ax.legend(fontsize=SMALL)


def epoch_values(runs: Sequence[Run], key: str) -> np.ndarray:
    """``key`` of every epoch that all runs have, [epochs, runs]; nan where it is not finite."""
    epochs = min(len(run.epochs) for run in runs)
    # A column for each run.
    values = np.empty((epochs, len(runs)))
    for column, run in enumerate(runs):
        for row in range(epochs):
            epoch = run.epochs[row]
            if key not in epoch:
                raise CourseError(f"epoch {row + 1} has no {key}: give the epochs that fit returns")
            values[row, column] = epoch[key]
    # Matplotlib leaves a hole at nan, and stumbles over infinity.
    values[~np.isfinite(values)] = np.nan
    return values


def last_value(value: float, unit: str) -> str:
    """The last value of a curve as its legend gives it."""
    if np.isnan(value):
        return "not finite"
    if unit:
        return f"{value:.2f} {unit}"
    return f"{value:.4f}"


def show_late_epochs(ax: Axes, means: np.ndarray) -> None:
    """Let all but the first quarter of the epochs set the scale; ``means``: [2, epochs]."""
    # The first quarter falls so steeply that all the rest would be flat.
    late = means[:, means.shape[1] // 4 :]
    late = late[np.isfinite(late)]
    # Where the loss stays finite for some epochs only, those are shown.
    if not len(late):
        late = means[np.isfinite(means)]
    if not len(late):
        return

    # A little room above and below; a constant needs some too.
    margin = 0.08 * np.ptp(late)
    if margin == 0:
        margin = 1
    ax.set_ylim(late.min() - margin, late.max() + margin)


def plot_by_depth(
    values: Mapping[str, Sequence[float]],
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """A curve for every name, on a logarithmic scale: one value above 0 for each layer.

    The first layer stands first. Raises ``CourseError`` without a name, for a value that is not
    finite or below 0, and without a value above 0.
    """
    require(values, Mapping, "plot_by_depth")
    if not values:
        raise CourseError(
            "there is no net to plot: give a name and one value for each of its layers"
        )
    curves = {}
    for name, sizes in values.items():
        curves[name] = heights_by_layer(name, sizes)
    ax = one_axes(ax, 9, 3.8)

    # A curve for each net, and layers counted from one.
    for name, heights in curves.items():
        layers = range(1, len(heights) + 1)
        color = next_color(ax)
        ax.plot(layers, heights, "o-", color=color, linewidth=2.5, markersize=5, label=name)
    ax.set_yscale("log")
    whole_ticks(ax.xaxis)
    ax.legend(fontsize=SMALL)
    return label_axes(ax, f"{ylabel.capitalize()} by depth", "layer", ylabel)


def heights_by_layer(name: str, sizes: Sequence[float]) -> np.ndarray:
    """What a net's curve shows, [layers]; ``CourseError`` for what a logarithm does not have."""
    heights = np.ravel(number_array(sizes, f"the values of {name}"))
    wrong = ~np.isfinite(heights) | (heights < 0)
    if wrong.any():
        layer = int(wrong.argmax())
        raise CourseError(
            f"{name}: the value of layer {layer + 1} is {heights[layer]:g}, "
            "which a logarithmic scale does not have: give finite ones above 0"
        )
    # A layer of zeros is a hole in the curve; a curve needs something beside it.
    if not (heights > 0).any():
        raise CourseError(f"{name}: no value above 0, which a logarithmic scale needs")
    return heights


def plot_losses(
    losses: Sequence[float] | np.ndarray,
    steps_per_epoch: int | None = None,
    chance: float | None = None,
    ax: Axes | None = None,
    note: str = "",
    lowest: float | None = None,
) -> Axes:
    """The loss of every step, thin, and its running mean, thick.

    losses: one for each step, numbers or tensors
    steps_per_epoch: with it a vertical line marks the end of each epoch
    chance: the loss of a net that knows nothing, such as log 10 of ten classes: a dashed line
    note: that of the data, for the title
    lowest: a loss below which no net comes, such as that of smoothed labels: a line of dashes and
        dots

    Where a loss is not finite the line has a hole, and the title says which step was the first.
    Raises ``CourseError`` without a step, and for what is no row of numbers.
    """
    values = number_array(losses, "losses")
    if values.ndim != 1 or not len(values):
        raise CourseError("losses: give a sequence with one loss for each step, and at least one")
    ax = one_axes(ax, 9, 3.8)

    # Matplotlib leaves a hole at nan, and stumbles over infinity.
    title = "Loss of each step"
    finite = np.isfinite(values)
    if not finite.all():
        title = f"{title}, first not finite in step {int(finite.argmin()) + 1}"
        values = np.where(finite, values, np.nan)

    # Steps are counted from one.
    steps = np.arange(1, len(values) + 1)
    ax.plot(steps, values, color=BLUE, linewidth=0.8, label="loss of a step")
    window = max(1, len(values) // 40)
    if window > 1:
        # A mean belongs to the middle of its window; where a loss is missing, so is the mean.
        mean = np.convolve(values, np.full(window, 1 / window), mode="valid")
        middle = np.convolve(steps, np.full(window, 1 / window), mode="valid")
        ax.plot(middle, mean, color=ORANGE, linewidth=2.5, label=f"mean of {window} steps")
    ax.set_xlim(0, 1.01 * len(values) + 1)

    if steps_per_epoch is not None:
        draw_epochs(ax, len(values), require_count(steps_per_epoch, "steps_per_epoch", least=1))
    if chance is not None:
        draw_chance(ax, chance)
    if lowest is not None:
        draw_lowest(ax, lowest)
    ax.set_ylim(bottom=np.nanmin(values, initial=0))
    whole_ticks(ax.xaxis)
    # Where a loss falls to 0, the middle of the right is free, elsewhere a lower corner. Below the
    # lowest loss no curve comes, and its label stands on the left.
    if lowest is None:
        ax.legend(fontsize=SMALL, loc="best")
    else:
        ax.legend(fontsize=SMALL, loc="lower right")
    return label_axes(ax, with_note(title, note), "step", "loss", grid="y")


def draw_epochs(ax: Axes, steps: int, steps_per_epoch: int) -> None:
    """A vertical line at the end of each epoch; of every so many where there are more than 20."""
    epochs = steps // steps_per_epoch
    every = max(1, -(-epochs // 20))
    label = "end of an epoch"
    if every > 1:
        label = f"end of every {every} epochs"
    for epoch in range(every, epochs + 1, every):
        # Half a step behind the last of the epoch
        place = epoch * steps_per_epoch + 0.5
        ax.axvline(place, color=GREY, linewidth=1, linestyle=":", label=label)
        # One line in the legend stands for all.
        label = "_"


def draw_chance(ax: Axes, chance: float) -> None:
    """The loss of a net that knows nothing: a dashed line with its label."""
    height = finite_number(chance, "chance")
    ax.axhline(height, color=GREY, linewidth=1.5, linestyle="--")

    # Above the line, near its right end, where a net that learns is far below.
    ax.annotate(
        f"chance: {height:.2f}",
        xy=(1, height),
        xycoords=("axes fraction", "data"),
        xytext=(-22, 3),
        textcoords="offset points",
        ha="right",
        fontsize=SMALL,
    )
    top = ax.get_ylim()[1]
    ax.set_ylim(top=max(top, 1.15 * height))


def draw_lowest(ax: Axes, lowest: float) -> None:
    """The loss that no net comes below: a line of dashes and dots with its label."""
    height = finite_number(lowest, "lowest")
    ax.axhline(height, color="black", linewidth=1.5, linestyle="-.")

    # Below the line, where no curve comes, and at its left end: the legend stands on the right.
    ax.annotate(
        f"lowest possible: {height:.2f}",
        xy=(0, height),
        xycoords=("axes fraction", "data"),
        xytext=(4, -4),
        textcoords="offset points",
        ha="left",
        va="top",
        fontsize=SMALL,
    )
