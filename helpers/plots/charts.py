"""Curves and charts."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError
from helpers.interpret import Predictions, confusion_matrix, per_class_accuracy
from helpers.lr_finder import RULES, LRRangeTest
from helpers.plots.style import (
    BLUE,
    FONT,
    ORANGE,
    RED,
    SMALL,
    class_ticks,
    label_axes,
    new_axes,
    noted,
)


def plot_history(history: Any, axes: Sequence[Axes] | None = None, note: str = "") -> np.ndarray:
    """Train against test loss and accuracy by epoch, the gap shaded; thin lines are runs, the thick one is their mean.

    ``history``: one or several ``training.History``. Later epochs set the scale: the gap stays visible, and the first
    epochs may lie outside. ``note``: that of the data. Returns two Axes; CourseError without an epoch.
    """
    runs = [history] if hasattr(history, "epochs") else history
    epochs = list(zip(*(run.epochs for run in runs)))
    if not epochs:
        raise CourseError("there is no epoch to plot: train for one epoch at least")
    axes = new_axes(9, 3.6, 1, 2) if axes is None else np.asarray(axes)
    for ax, key, form in zip(axes, ("loss", "accuracy"), ("{}, last {:.4f}", "{}, last {:.2f} %")):
        _train_and_test(ax, epochs, key, form)
        of = f", mean of {len(runs)} runs" if len(runs) > 1 else ""
        label_axes(ax, key.capitalize() + of, "epoch", key + (" (%)" if key == "accuracy" else ""))
    if note:
        axes[0].figure.suptitle(note, fontsize=FONT)
    return axes


def _train_and_test(
    ax: Axes, epochs: list[tuple[dict[str, float], ...]], key: str, form: str
) -> None:
    numbers, means = [rows[0]["epoch"] for rows in epochs], []
    for part, color in (("train", BLUE), ("test", ORANGE)):
        values = np.array([[row[f"{part}_{key}"] for row in rows] for rows in epochs])
        mean = values.mean(1)
        ax.plot(
            numbers,
            mean,
            "o-",
            color=color,
            linewidth=2.5,
            markersize=5,
            label=form.format(part, mean[-1]),
        )
        if len(epochs[0]) > 1:
            ax.plot(numbers, values, color=color, linewidth=1, alpha=0.5)
        means.append(mean)
    ax.fill_between(numbers, *means, color="grey", alpha=0.2, linewidth=0)
    late = np.array(means)[:, len(epochs) // 4 :]
    margin = 0.08 * np.ptp(late) or 1
    ax.set_ylim(late.min() - margin, late.max() + margin)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.legend(fontsize=SMALL)


def plot_schedule(
    lrs: Sequence[float],
    steps_per_epoch: int | None = None,
    ax: Axes | None = None,
    label: str | None = None,
) -> Axes:
    """Learning rate of every step, over epochs with ``steps_per_epoch``; with a ``label``, several fit in one Axes."""
    if not len(lrs):
        raise CourseError("there is no learning rate to plot: give one for each step")
    lrs, unit, scale = (
        np.asarray(lrs, dtype=float),
        "epoch" if steps_per_epoch else "step",
        steps_per_epoch or 1,
    )
    ax = ax or new_axes(9, 3.4)[0]
    ax.stairs(lrs, np.arange(len(lrs) + 1) / scale, baseline=None, linewidth=2.5, label=label)
    if label:
        ax.legend(fontsize=SMALL)
    highest = (
        "" if label else f": highest {lrs.max():.3g} at {unit} {round(lrs.argmax() / scale, 1):g}"
    )
    return label_axes(ax, f"Learning rate{highest}", unit, "learning rate")


def plot_by_depth(
    values: Mapping[str, Sequence[float]], ylabel: str, ax: Axes | None = None
) -> Axes:
    """A curve for every name: one value above 0 for each layer, the first layer first, on a logarithmic scale."""
    if not values:
        raise CourseError(
            "there is no net to plot: give a name and one value for each of its layers"
        )
    ax = ax or new_axes(9, 3.8)[0]
    for name, sizes in values.items():
        ax.plot(range(1, len(sizes) + 1), sizes, "o-", linewidth=2.5, markersize=5, label=name)
    ax.set_yscale("log")
    ax.legend(fontsize=SMALL)
    return label_axes(ax, f"{ylabel.capitalize()} by depth", "layer", ylabel)


def plot_per_class(predictions: Predictions, ax: Axes | None = None) -> Axes:
    """Accuracy of every class as bars with 95 % Wilson intervals; the axis starts below them, not at zero."""
    rows, ax = per_class_accuracy(predictions), ax or new_axes(9, 4)[0]
    values, lows, highs = np.array([row[3:] for row in rows]).T
    ax.bar(
        range(len(rows)),
        values,
        color=BLUE,
        yerr=(values - lows, highs - values),
        capsize=5,
        error_kw={"elinewidth": 2, "capthick": 2},
    )
    class_ticks(ax, [row.name if row.count else f"{row.name} (none)" for row in rows])
    span = 100 - min(row.low for row in rows if row.count)
    ax.set(xlim=(-0.6, len(rows) - 0.4), ylim=(max(0, 100 - 1.2 * span), 100 + 0.03 * span))
    title = noted("Accuracy by class, with 95 % Wilson intervals", predictions.split)
    return label_axes(ax, title, "class", "accuracy (%)", "y")


def plot_confusion(predictions: Predictions, ax: Axes | None = None) -> Axes:
    """Counts of true against predicted class; the diagonal is grey, so that the mistakes alone set the colours."""
    matrix, names = confusion_matrix(predictions).numpy(), predictions.split.classes
    wrong = np.ma.masked_array(matrix, np.eye(len(names)))
    ax, most = ax or new_axes(7.5, 6.5)[0], wrong.max()
    ax.imshow(
        wrong, cmap=plt.get_cmap("Blues").with_extremes(bad="#E8E8E8"), vmin=0, vmax=max(1, most)
    )
    for (row, column), count in np.ndenumerate(matrix):
        color = "white" if row != column and count > 0.55 * most else "black"
        ax.text(
            column, row, str(count or ""), ha="center", va="center", fontsize=SMALL, color=color
        )
    class_ticks(ax, names)
    ax.set_yticks(range(len(names)), names)
    title = f"{predictions.mistakes:,} mistakes in {len(predictions):,} images"
    return label_axes(ax, noted(title, predictions.split), "predicted class", "true class", "")


def plot_accuracy(
    points: Mapping[str, tuple[float, Sequence[float]]],
    xlabel: str,
    target: float | None = None,
    others: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Accuracy in percent against a number of each net: name to (number, one accuracy a seed), with ± one deviation.

    ``others``: label to (number, accuracy) pairs of results that are no means over seeds, hollow; ``target``: a line.
    """
    ax = ax or new_axes(9, 5.5 if others else 4.6)[0]
    for number, (name, (place, values)) in enumerate(
        sorted(points.items(), key=lambda point: point[1][0])
    ):
        mean, deviation = np.mean(values), np.std(values, ddof=1) if len(values) > 1 else 0
        ax.errorbar(
            place, mean, deviation, fmt="o", color=BLUE, markersize=8, capsize=5, elinewidth=2
        )
        side, anchor = (
            (-1, "top") if number % 2 else (1, "bottom")
        )  # neighbours' labels on different sides
        ax.annotate(
            f"{name}\nn = {len(values)}",
            (place, mean + side * deviation),
            (0, 7 * side),
            fontsize=SMALL,
            textcoords="offset points",
            ha="center",
            va=anchor,
        )
    for (label, pairs), marker in zip((others or {}).items(), "Dsv^"):
        ax.plot(
            *zip(*pairs),
            marker,
            color=RED,
            markersize=8,
            markerfacecolor="none",
            markeredgewidth=2,
            label=label,
        )
    if target is not None:
        ax.axhline(target, color="grey", linestyle="--", label=f"{target} %")
    if others or target is not None:
        ax.legend(fontsize=SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    ax.margins(x=0.15, y=0.15)
    return label_axes(
        ax, "Last epoch, mean ± standard deviation over seeds", xlabel, "test accuracy (%)"
    )


def plot_lr_range_test(
    test: LRRangeTest,
    rules: Sequence[str] = ("valley", "steep", "minimum", "slide"),
    ax: Axes | None = None,
) -> Axes:
    """Smoothed loss by learning rate, raw ones faint, several orders as a band, and a dot for every suggestion.

    The fall sets the scale: a loss that diverges leaves the picture. Raises CourseError for an unknown rule.
    """
    ax, lowest = ax or new_axes(9, 4.2)[0], test.smoothed.argmin()
    ax.plot(test.lrs, test.losses, color=BLUE, linewidth=1, alpha=0.35, label="loss of each batch")
    ax.plot(test.lrs, test.smoothed, color=BLUE, linewidth=2.5, label="smoothed")
    if len(test.curves) > 1:
        ax.fill_between(
            test.lrs, *test.band, color=BLUE, alpha=0.2, linewidth=0, label="lowest to highest"
        )
    for rule, color, size in zip(
        rules, (ORANGE, RED, "#009E73", "#CC79A7"), (16, 13, 10, 7)
    ):  # rings where they meet
        with contextlib.suppress(*[CourseError] * (rule in RULES)):
            rate = test.suggest(rule)
            height = np.interp(np.log(rate), np.log(test.lrs), test.smoothed)
            ax.plot(rate, height, "o", color=color, markersize=size, label=f"{rule} {rate:.3g}")
    low, high = test.smoothed[lowest], test.smoothed[: lowest + 1].max()
    margin = 0.25 * (high - low) or 0.25 * np.ptp(test.smoothed) or 1
    ax.set(xscale="log", ylim=(low - margin, high + margin))
    ax.legend(fontsize=SMALL, loc="center left", bbox_to_anchor=(1, 0.5))
    mean = f", mean of {len(test.curves)} orders" if len(test.curves) > 1 else ""
    return label_axes(ax, noted(f"Learning-rate range test{mean}", test), "learning rate", "loss")
