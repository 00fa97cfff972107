"""Curves: losses and accuracies by epoch, learning rates, sizes by depth, the range test."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError, unknown
from helpers.lr_finder import RULES, LRRangeTest
from helpers.plots.classes import plot_confusion, plot_per_class  # noqa: F401  for a while
from helpers.plots.seeds import plot_accuracy  # noqa: F401  for a while
from helpers.plots.style import (
    BLUE,
    FONT,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SMALL,
    given_axes,
    label_axes,
    new_axes,
    next_color,
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
    history: Run | Sequence[Run],
    axes: Sequence[Axes] | np.ndarray | None = None,
    note: str = "",
) -> np.ndarray:
    """Train against test loss and accuracy by epoch, the gap shaded; two Axes.

    ``history``: one or several ``training.History``; a thin line is a run, the thick one their
    mean, over the epochs that all have. ``note``: that of the data. Later epochs set the scale, so
    that the gap stays visible: the first epochs may lie outside. Where a value is not finite the
    line has a hole, and the title says which epoch was the first. Raises ``CourseError`` without
    an epoch.
    """
    # One run is a list of one.
    if hasattr(history, "epochs"):
        history = [history]
    runs = list(history)
    for run in runs:
        if not hasattr(run, "epochs"):
            given = type(run).__name__
            raise CourseError(f"plot_history draws what fit returns, a History, not {given}")
    if not runs or not min(len(run.epochs) for run in runs):
        raise CourseError("there is no epoch to plot: train for one epoch at least")

    # Side by side: the loss is trained on, the accuracy is what one wants.
    if axes is None:
        axes = new_axes(9, 3.6, 1, 2)
    axes = given_axes(axes, 2)[:2]
    draw_train_and_test(axes[0], runs, "loss", "")
    draw_train_and_test(axes[1], runs, "accuracy", "%")
    if note:
        axes[0].figure.suptitle(note, fontsize=FONT)
    return axes


def draw_train_and_test(ax: Axes, runs: Sequence[Run], key: str, unit: str) -> None:
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
    ax.fill_between(numbers, means[0], means[1], color=GREY, alpha=0.25, linewidth=0)

    # What is shown, and how many runs it is the mean of.
    title = key.capitalize()
    if len(runs) > 1:
        title = f"{title}, mean of {len(runs)} runs"
    holes = np.isnan(means).any(axis=0)
    if holes.any():
        # The title tells of it, and the axis still reaches the last epoch.
        title = f"{title}\nfirst not finite in epoch {numbers[holes][0]:g}"
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
            values[row, column] = run.epochs[row][key]
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


def plot_schedule(
    lrs: Sequence[float],
    steps_per_epoch: int | None = None,
    ax: Axes | None = None,
    label: str | None = None,
) -> Axes:
    """The learning rate of every step, held until the next one.

    ``lrs``: one rate a step; with ``steps_per_epoch`` the axis counts epochs. With a ``label``
    several schedules fit in one Axes, else the title says where the rate is highest. Raises
    ``CourseError`` for no rate, for one that is not finite, and for ``steps_per_epoch`` below 1.
    """
    rates = finite_rates(lrs)
    # The axis counts steps, or epochs of so many steps.
    unit = "step"
    steps = 1
    if steps_per_epoch is not None:
        unit = "epoch"
        steps = require_count(steps_per_epoch, "steps_per_epoch", least=1)
    if ax is None:
        ax = new_axes(9, 3.4)[0]

    # A rate holds until the next step: a stair, not a slope.
    edges = np.arange(len(rates) + 1) / steps
    color = next_color(ax)
    ax.stairs(rates, edges, baseline=None, linewidth=2.5, label=label, color=color)

    # With one curve the title has room for its peak, with several there is a legend.
    title = "Learning rate"
    if label:
        ax.legend(fontsize=SMALL)
    else:
        place = round(rates.argmax() / steps, 1)
        title = f"Learning rate: highest {rates.max():.3g} at {unit} {place:g}"
    return label_axes(ax, title, unit, "learning rate")


def finite_rates(lrs: Sequence[float]) -> np.ndarray:
    """Learning rates as floats, [steps]; ``CourseError`` unless there is a finite one a step."""
    # Anything else ends in an error of matplotlib's, or in an empty picture.
    try:
        rates = np.asarray(lrs, dtype=float)
    except (TypeError, ValueError):
        given = type(lrs).__name__
        raise CourseError(f"learning rates are numbers, one for each step, not {given}") from None
    if rates.ndim != 1 or not len(rates):
        raise CourseError("there is no learning rate to plot: give one for each step")
    if not np.isfinite(rates).all():
        step = int(np.flatnonzero(~np.isfinite(rates))[0])
        raise CourseError(f"the learning rate of step {step} is {rates[step]}: give finite ones")
    return rates


def plot_by_depth(
    values: Mapping[str, Sequence[float]],
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """A curve for every name, on a logarithmic scale: one value above 0 for each layer.

    The first layer stands first. Raises ``CourseError`` without a name, and without a value above
    0.
    """
    if not values:
        raise CourseError(
            "there is no net to plot: give a name and one value for each of its layers"
        )
    # On a logarithmic scale there is no zero.
    for name, sizes in values.items():
        if not (np.asarray(sizes, dtype=float) > 0).any():
            raise CourseError(f"{name}: no value above 0, which a logarithmic scale needs")
    if ax is None:
        ax = new_axes(9, 3.8)[0]

    # A curve for each net, and layers counted from one.
    for name, sizes in values.items():
        layers = range(1, len(sizes) + 1)
        color = next_color(ax)
        ax.plot(layers, sizes, "o-", color=color, linewidth=2.5, markersize=5, label=name)
    ax.set_yscale("log")
    whole_ticks(ax.xaxis)
    ax.legend(fontsize=SMALL)
    return label_axes(ax, f"{ylabel.capitalize()} by depth", "layer", ylabel)


def plot_lr_range_test(
    test: LRRangeTest,
    rules: Sequence[str] = ("valley", "steep", "minimum", "slide"),
    ax: Axes | None = None,
) -> Axes:
    """Smoothed loss by learning rate, raw losses behind it, and a dot for every suggestion.

    Several orders of the data are drawn as their mean and a band. The fall sets the scale: a loss
    that diverges leaves the picture. A rule that finds no rate has no dot. Raises ``CourseError``
    for an unknown rule.
    """
    # A misspelt rule is told before anything is drawn.
    require(test, LRRangeTest, "plot_lr_range_test")
    for rule in rules:
        if rule not in RULES:
            raise unknown("rule", rule, RULES)
    if ax is None:
        ax = new_axes(9, 4.2)[0]

    # What was measured lies behind, in grey; what is read is the smoothed curve.
    ax.plot(test.lrs, test.losses, color=GREY, linewidth=0.8, label="loss of each batch")
    ax.plot(test.lrs, test.smoothed, color=BLUE, linewidth=2.5, label="smoothed")

    # Several orders of the same data show how much of a curve is chance.
    title = "Learning-rate range test"
    if len(test.curves) > 1:
        title = f"{title}, mean of {len(test.curves)} orders"
        low, high = test.band
        label = "lowest to highest"
        ax.fill_between(test.lrs, low, high, color=BLUE, alpha=0.2, linewidth=0, label=label)

    # Rates were raised by a factor a step: a logarithmic axis spaces them evenly.
    mark_suggestions(ax, test, rules)
    ax.set_xscale("log")
    show_fall(ax, test.smoothed)
    ax.legend(fontsize=SMALL, loc="center left", bbox_to_anchor=(1, 0.5))
    return label_axes(ax, with_note(title, test.note), "learning rate", "loss")


def mark_suggestions(ax: Axes, test: LRRangeTest, rules: Sequence[str]) -> None:
    """A dot on the smoothed curve for what each rule suggests."""
    # Each dot is smaller than the one before: where they meet, rings are seen.
    looks = ((ORANGE, 16), (RED, 13), (GREEN, 10), (PURPLE, 7))
    for number, rule in enumerate(rules):
        color, size = looks[number % len(looks)]
        try:
            rate = test.suggest(rule)
        except CourseError:
            continue  # the curve never falls, or is too short for this rule
        # The curve is straight between its points, on the logarithmic axis.
        height = np.interp(np.log(rate), np.log(test.lrs), test.smoothed)
        ax.plot(rate, height, "o", color=color, markersize=size, label=f"{rule} {rate:.3g}")


def show_fall(ax: Axes, smoothed: np.ndarray) -> None:
    """Let the fall of the loss set the scale, with a quarter of it above and below."""
    # From the highest point before the lowest one; what comes after it diverges.
    lowest = smoothed.argmin()
    low = smoothed[lowest]
    high = smoothed[: lowest + 1].max()

    # A curve that never falls sets its own scale, a constant one gets some.
    margin = 0.25 * (high - low)
    if margin == 0:
        margin = 0.25 * np.ptp(smoothed)
    if margin == 0:
        margin = 1
    ax.set_ylim(low - margin, high + margin)
