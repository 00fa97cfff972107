"""Pictures and charts for a projector: ``show_*`` draws images, ``plot_*`` curves and charts; each returns its Axes.

None trains anything or calls ``plt.show``: in a notebook, end the line with a semicolon. Where data carry a note, as
practice data do, the title says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from torch import nn

from helpers.environment import CourseError
from helpers.interpret import ClassAccuracy, Predictions, confusion_matrix, per_class_accuracy
from helpers.show import (
    BLUE,
    COLORS,
    FONT,
    GREY,
    ORANGE,
    SMALL,
    new_axes,
    noted,
    show_images,
    show_misclassified,
    show_predictions,
)

__all__ = ["plot_comparison", "plot_confusion", "plot_history", "plot_parameters", "plot_per_class", "plot_schedule",
           "show_images", "show_misclassified", "show_predictions"]


def _label(ax: Axes, title: str, xlabel: str, ylabel: str, grid: str = "both") -> Axes:
    for text, words in ((ax.title, title), (ax.xaxis.label, xlabel), (ax.yaxis.label, ylabel)):
        text.set(text=words, fontsize=FONT)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(axis=grid, alpha=0.3)
        ax.set_axisbelow(True)
    return ax


def _slant(names: Sequence[str]) -> dict[str, Any]:
    return {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 4 else {}


def _runs(history: Any) -> list[list[dict[str, float]]]:
    if hasattr(history, "epochs"):
        return _runs(history.epochs)
    if isinstance(history, dict):
        return _runs(history["runs"] if "runs" in history else history["epochs"])
    items = list(history)
    if items and isinstance(items[0], dict) and "epoch" in items[0]:
        return [items]
    return [run for item in items for run in _runs(item)]


def plot_history(history: Any, axes: Sequence[Axes] | None = None, note: str = "") -> np.ndarray:
    """Train against test loss and accuracy by epoch, the gap shaded; thin lines are runs, the thick one is their mean.

    ``history``: a ``training.History``, a record, rows of epochs, or a sequence of these. Later epochs set the scale:
    the gap stays visible, and the first epochs may lie outside. Returns two Axes; CourseError without an epoch.
    """
    runs = [run for run in _runs(history) if run]
    if not runs:
        raise CourseError("there is no epoch to plot: train for one epoch at least")
    axes = new_axes(9, 3.6, 1, 2) if axes is None else np.asarray(axes)
    of = f", mean of {len(runs)} runs" if len(runs) > 1 else ""
    for ax, key, unit, form in zip(axes, ("loss", "accuracy"), ("", " (%)"), ("{}, last {:.4f}", "{}, last {:.2f} %")):
        _train_and_test(ax, runs, key, form)
        _label(ax, key.capitalize() + of, "epoch", key + unit)
    if note:
        axes[0].figure.suptitle(note, fontsize=FONT)
    return axes


def _train_and_test(ax: Axes, runs: list[list[dict[str, float]]], key: str, form: str) -> None:
    epochs, means = [row["epoch"] for row in min(runs, key=len)], []
    for part, color in (("train", BLUE), ("test", ORANGE)):
        values = np.array([[row[f"{part}_{key}"] for row in run[:len(epochs)]] for run in runs], dtype=float).T
        means.append(values.mean(1))
        label = form.format(part, means[-1][-1])
        ax.plot(epochs, means[-1], "o-", color=color, linewidth=2.5, markersize=5, label=label)
        if len(runs) > 1:
            ax.plot(epochs, values, color=color, linewidth=1, alpha=0.5)
    ax.fill_between(epochs, *means, color=GREY, alpha=0.2, linewidth=0)
    late = np.array(means)[:, len(epochs) // 4:]
    margin = 0.08 * (late.max() - late.min())
    if margin > 0:
        ax.set_ylim(late.min() - margin, late.max() + margin)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.legend(fontsize=SMALL)


def plot_schedule(lrs: Sequence[float], steps_per_epoch: int | None = None, ax: Axes | None = None,
                  label: str | None = None) -> Axes:
    """Learning rate of every step; over epochs with ``steps_per_epoch``. A ``label`` tells several in one Axes apart.

    CourseError without a rate.
    """
    if not len(lrs):
        raise CourseError("there is no learning rate to plot: give one for each step")
    lrs = [float(lr) for lr in lrs]
    unit, scale, peak = "epoch" if steps_per_epoch else "step", steps_per_epoch or 1, lrs.index(max(lrs))
    ax = ax or new_axes(9, 3.4)[0]
    ax.plot(np.arange(len(lrs) + 1) / scale, lrs + lrs[-1:], color=COLORS[len(ax.lines) % len(COLORS)],
            drawstyle="steps-post", linewidth=2.5, label=label)
    if label:
        ax.legend(fontsize=SMALL)
    title = "Learning rate" if label else f"Learning rate: highest {lrs[peak]:.3g} at {unit} {peak / scale:.3g}"
    return _label(ax, title, unit, "learning rate")


def plot_per_class(rows_or_predictions: Predictions | Iterable[ClassAccuracy], ax: Axes | None = None) -> Axes:
    """Accuracy of every class as bars with 95 % Wilson intervals; the axis starts below them, not at zero."""
    split = getattr(rows_or_predictions, "split", None)
    rows = per_class_accuracy(rows_or_predictions) if split is not None else list(rows_or_predictions)
    ax, seen = ax or new_axes(9, 4)[0], [place for place, row in enumerate(rows) if row.count]
    values, lows, highs = np.array([rows[place][3:] for place in seen]).reshape(-1, 3).T
    ax.bar(seen, values, color=BLUE, yerr=(values - lows, highs - values), capsize=5,
           error_kw={"elinewidth": 2, "capthick": 2})
    names = [row.name if row.count else f"{row.name} (none)" for row in rows]
    ax.set_xticks(range(len(rows)), names, **_slant(names))
    span = 100 - lows.min(initial=100) or 100
    ax.set(xlim=(-0.6, len(rows) - 0.4), ylim=(max(0, 100 - 1.2 * span), 100 + 0.03 * span))
    return _label(ax, noted("Accuracy by class, with 95 % Wilson intervals", split), "class", "accuracy (%)", "y")


def plot_confusion(predictions: Predictions, ax: Axes | None = None) -> Axes:
    """Counts of true against predicted class; the diagonal is grey, so that the mistakes alone set the colours."""
    matrix, names = confusion_matrix(predictions).numpy(), predictions.split.classes
    wrong = np.ma.masked_array(matrix, np.eye(len(names)))
    ax, most = ax or new_axes(7.5, 6.5)[0], wrong.max()
    ax.imshow(wrong, cmap=plt.get_cmap("Blues").with_extremes(bad="#E8E8E8"), vmin=0, vmax=max(1, most))
    for (row, column), count in np.ndenumerate(matrix):
        color = "#505050" if row == column else "white" if count > 0.55 * most else "black"
        ax.text(column, row, str(count or ""), ha="center", va="center", fontsize=SMALL, color=color)
    ax.set_xticks(range(len(names)), names, **_slant(names))
    ax.set_yticks(range(len(names)), names)
    title = f"{predictions.mistakes:,} mistakes in {len(predictions):,} images"
    return _label(ax, noted(title, predictions.split), "predicted class", "true class", "")


def plot_parameters(model: nn.Module, ax: Axes | None = None) -> Axes:
    """Where the parameters sit: a bar for each layer that has some, the first on top; a shared tensor counts once."""
    counts, met = {}, set()
    for name, module in model.named_modules():
        own = {parameter for parameter in module.parameters(recurse=False)} - met
        met |= own
        sizes = f" {module.in_channels}→{module.out_channels}" if hasattr(module, "in_channels") else ""
        if own:
            counts[f"{name} {type(module).__name__}{sizes}".strip()] = sum(parameter.numel() for parameter in own)
    total, ax = sum(counts.values()), ax or new_axes(9, 1.2 + 0.3 * len(counts))[0]
    bars = ax.barh(list(counts), list(counts.values()), color=BLUE)
    labels = [f"{count:,} ({100 * count / total:.1f} %)" for count in counts.values()]
    ax.bar_label(bars, labels, fontsize=SMALL, padding=4)
    ax.set(xlim=(0, 1.3 * max(counts.values(), default=1)), ylim=(len(counts) - 0.4, -0.6))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.get_major_locator().set_params(nbins=5)
    return _label(ax, f"{total:,} parameters", "parameters", "layer", "x")


def plot_comparison(rows: Iterable[tuple[str, Sequence[float]]], xlabel: str = "test accuracy (%)",
                    title: str = "What one change did", ax: Axes | None = None) -> Axes:
    """Each (label, values over seeds): dots, mean ± sample standard deviation; a dashed line at the first mean.

    CourseError without rows, or for a row without values.
    """
    rows = [(label, np.asarray(values, dtype=float)) for label, values in rows]
    if not rows or not all(values.size for _, values in rows):
        raise CourseError("nothing to compare: give every row a label and its values over seeds")
    ax = ax or new_axes(9, 1.4 + 0.6 * len(rows))[0]
    for place, (_, values) in enumerate(rows):
        spread = values.std(ddof=1) if len(values) > 1 else None
        ax.errorbar(values.mean(), place, xerr=spread, fmt="o", color=BLUE, markersize=8, elinewidth=2.5, capsize=6)
        ax.plot(values, np.full(len(values), place + 0.22), "o", color=GREY, markersize=5, alpha=0.7)
    ax.axvline(rows[0][1].mean(), color=GREY, linestyle="--", linewidth=2, zorder=0)
    ax.set_yticks(range(len(rows)), [f"{label}\n{values.mean():.2f}, n = {len(values)}" for label, values in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.xaxis.get_major_locator().set_params(nbins=6)
    return _label(ax, title, f"{xlabel}: mean ± standard deviation, dots are seeds", "", "x")
