"""Pictures and charts for a projector: ``show_*`` draws images, ``plot_*`` curves and charts; each returns its Axes.

None trains anything or calls ``plt.show``: in a notebook, end the line with a semicolon. Where data carries a note, as
practice data does, the title says so.
"""

from __future__ import annotations

from typing import Any, Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import nn

from helpers.data import ImageSplit
from helpers.environment import CourseError
from helpers.interpret import ClassAccuracy, Predictions, confusion_matrix, misclassified, per_class_accuracy

# Okabe and Ito (2008), told apart with any colour vision.
BLUE, ORANGE, RED, GREY = "#0072B2", "#E69F00", "#D55E00", "#767676"
SMALL, FONT, DPI = 11, 13, 90


def _figure(width: float, height: float) -> Any:
    return plt.figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _label(ax: Axes, title: str, xlabel: str, ylabel: str, grid: str = "both") -> Axes:
    ax.set_title(title, fontsize=FONT)
    ax.set_xlabel(xlabel, fontsize=FONT)
    ax.set_ylabel(ylabel, fontsize=FONT)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, alpha=0.3)
    ax.set_axisbelow(True)
    return ax


def _noted(title: str, split: ImageSplit | None = None, note: str = "") -> str:
    note = note or getattr(split, "note", "")
    return f"{title} ({note})" if title and note else title or note


def _grid(split: ImageSplit, indices: Sequence[int], titles: Sequence[str], heading: str, columns: int = 6,
          wrong: Sequence[bool] = ()) -> np.ndarray:
    """Images in rows of ``columns``, one Axes each, under one heading; titles of wrong ones in red and bold."""
    columns = max(1, min(columns, len(indices)))
    rows, lines = -(-len(indices) // columns), max(title.count("\n") + 1 for title in titles)
    cell = min(9 / columns, 1.5)
    axes = _figure(max(6, cell * columns), rows * (cell + 0.2 * lines) + 0.4).subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for place, (ax, index, title) in enumerate(zip(axes, indices, titles)):
        style = {"color": RED, "fontweight": "bold"} if any(wrong[place:place + 1]) else {}
        ax.imshow(split.images[index].permute(1, 2, 0).cpu(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        ax.set_title(title, fontsize=SMALL, pad=3, **style)
    axes[0].figure.suptitle(heading, fontsize=FONT)
    return axes[:len(indices)]


def show_images(split: ImageSplit, indices: Any = None, count: int = 24, columns: int = 8,
                titles: Sequence[str] | None = None, note: str = "") -> np.ndarray:
    """Images with their classes: all ``indices``, or the first ``count``. Returns one Axes an image.

    CourseError for an index that is not there, or for another number of ``titles`` than images.
    """
    indices = range(min(count, len(split))) if indices is None else torch.as_tensor(indices).reshape(-1).tolist()
    beyond = [index for index in indices if not 0 <= index < len(split)]
    if beyond or not indices:
        raise CourseError(f"no image to show at {beyond[:3] or 'an empty list of indices'}: the split has {len(split):,}")
    titles = [split.classes[int(split.labels[index])] for index in indices] if titles is None else list(titles)
    if len(titles) != len(indices):
        raise CourseError(f"{len(titles)} titles for {len(indices)} images: give one each, or none")
    return _grid(split, indices, titles, _noted("", split, note), columns)


def _verdicts(predictions: Predictions, indices: Sequence[int], heading: str) -> np.ndarray:
    names, titles = predictions.split.classes, []
    for index in indices:
        true, guess = names[int(predictions.labels[index])], names[int(predictions.predicted[index])]
        titles.append(f"{true} → {guess}" if len(true + guess) < 9 else f"{true}\n→ {guess}")
        if predictions.logits is not None:
            titles[-1] += f"\n{100 * float(predictions.probabilities[index].max()):.1f} %"
    return _grid(predictions.split, indices, titles, heading, wrong=(~predictions.correct[indices]).tolist())


def show_predictions(predictions: Predictions, count: int = 12, seed: int = 0, note: str = "") -> np.ndarray:
    """Images drawn at random: true class → predicted class and its probability, wrong ones in red."""
    indices = torch.randperm(len(predictions), generator=torch.Generator().manual_seed(seed))[:count].tolist()
    return _verdicts(predictions, indices, _noted("True class → prediction, wrong ones in red", predictions.split, note))


def show_misclassified(predictions: Predictions, count: int = 12, note: str = "") -> np.ndarray:
    """The mistakes with the highest loss, worst first: true class → predicted class and its probability."""
    indices, images = misclassified(predictions, count).tolist(), f"{len(predictions):,} images"
    if indices:
        heading = f"{len(indices)} of {predictions.mistakes:,} mistakes in {images}, highest loss first"
        return _verdicts(predictions, indices, _noted(heading, predictions.split, note))
    ax = _figure(9, 1).subplots()
    ax.set_axis_off()
    ax.set_title(_noted(f"No mistakes in {images}", predictions.split, note), fontsize=FONT)
    return np.array([ax])


def _runs(history: Any) -> list[list[dict[str, float]]]:
    """The epochs of every run in a History, a record, the epochs themselves, or a sequence of any of these."""
    if isinstance(history, dict):
        return _runs(history["runs"] if "runs" in history else history["epochs"])
    if hasattr(history, "epochs"):
        return _runs(history.epochs)
    items = list(history)
    return [items] if items and "epoch" in items[0] else [run for item in items for run in _runs(item)]


def plot_history(history: Any, axes: Sequence[Axes] | None = None, note: str = "") -> np.ndarray:
    """Train against test loss and accuracy by epoch, the gap shaded; a thick line is the mean over runs, thin ones the runs.

    ``history``: a ``training.History``, a record, rows of epochs, or a sequence of these. Later epochs set the scale, so
    that the gap stays visible and the first epochs may lie outside. Returns two Axes; CourseError without an epoch.
    """
    runs = [run for run in _runs(history) if run]
    if not runs:
        raise CourseError("there is no epoch to plot: train for one epoch at least")
    axes = _figure(9, 3.6).subplots(1, 2) if axes is None else np.asarray(axes)
    epochs = [row["epoch"] for row in min(runs, key=len)]
    for ax, key, unit in zip(axes, ("loss", "accuracy"), ("", " %")):
        means = []
        for part, color in (("train", BLUE), ("test", ORANGE)):
            values = np.array([[row.get(f"{part}_{key}") for row in run[:len(epochs)]] for run in runs], dtype=float)
            if len(runs) > 1:
                ax.plot(epochs, values.T, color=color, linewidth=1, alpha=0.4)
            means.append(values.mean(0))
            ax.plot(epochs, means[-1], color=color, linewidth=2.5, marker="o", markersize=5 if len(epochs) < 30 else 0,
                    label=f"{part}, last {means[-1][-1]:.{2 if unit else 4}f}{unit}")
        ax.fill_between(epochs, *means, color=GREY, alpha=0.2, linewidth=0)
        _zoom(ax, np.array(means), from_top=key == "loss")
        of = f", mean of {len(runs)} runs" if len(runs) > 1 else ""
        _label(ax, _noted(("Cross-entropy" if key == "loss" else "Top-1 accuracy") + of, note=note), "epoch", key + unit)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        ax.legend(fontsize=SMALL)
    return axes


def _zoom(ax: Axes, means: np.ndarray, from_top: bool) -> None:
    """Let the epochs after the first fifth set the scale: the first ones would flatten all that follow."""
    late = means[:, means.shape[1] // 5:]
    low, high = np.nanmin(late), np.nanmax(late)
    margin = 0.08 * (high - low)
    if means.shape[1] > 4 and margin > 0:
        ax.set_ylim(low - margin, high + margin)


def plot_schedule(lrs: Sequence[float], steps_per_epoch: int | None = None, ax: Axes | None = None,
                  label: str | None = None) -> Axes:
    """Learning rate of every step, over steps or, with ``steps_per_epoch``, over epochs; the title says where it peaks."""
    lrs = [float(lr) for lr in lrs]
    if not lrs:
        raise CourseError("there is no learning rate to plot: give one for each step")
    unit, scale = ("epoch", steps_per_epoch) if steps_per_epoch else ("step", 1)
    ax = ax or _figure(9, 3.4).subplots()
    ax.plot(np.arange(len(lrs) + 1) / scale, lrs + lrs[-1:], drawstyle="steps-post", linewidth=2.5, label=label)
    if label:
        ax.legend(fontsize=SMALL)
    peak = lrs.index(max(lrs)) / scale
    return _label(ax, f"Learning rate: highest {max(lrs):.3g} at {unit} {peak:.3g}", unit, "learning rate")


def plot_per_class(rows_or_predictions: Predictions | Iterable[ClassAccuracy], ax: Axes | None = None) -> Axes:
    """Accuracy of every class as bars with their 95 % Wilson intervals; the axis starts where it shows them."""
    split = getattr(rows_or_predictions, "split", None)
    rows = per_class_accuracy(rows_or_predictions) if split is not None else list(rows_or_predictions)
    ax = ax or _figure(9, 4).subplots()
    places = [place for place, row in enumerate(rows) if row.count]
    seen = [row for row in rows if row.count]
    accuracies = np.array([row.accuracy for row in seen])
    errors = np.array([[row.accuracy - row.low for row in seen], [row.high - row.accuracy for row in seen]])
    ax.bar(places, accuracies, color=BLUE, yerr=errors, capsize=5, error_kw={"elinewidth": 2, "capthick": 2})
    ax.set_xticks(range(len(rows)), [row.name if row.count else f"{row.name}\n(none)" for row in rows],
                  rotation=30 * any(len(row.name) > 6 for row in rows))
    low = min((row.low for row in seen), default=0)
    ax.set_ylim(max(0, low - (100 - low) * 0.3), 100)
    return _label(ax, _noted("Accuracy by class, with 95 % Wilson intervals", split), "class", "accuracy (%)", "y")


def plot_confusion(predictions: Predictions, ax: Axes | None = None) -> Axes:
    """Counts of true against predicted class; the diagonal is grey, so that mistakes alone set the colours."""
    matrix, names = confusion_matrix(predictions).numpy(), predictions.split.classes
    wrong = matrix * (1 - np.eye(len(names), dtype=int))
    ax = ax or _figure(7.5, 6.5).subplots()
    ax.imshow(np.ma.masked_equal(wrong, 0), cmap="Blues", vmin=0, vmax=max(1, wrong.max()), interpolation="nearest")
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            color = GREY if row == column else "white" if count > 0.6 * wrong.max() else "black"
            ax.text(column, row, f"{count}", ha="center", va="center", fontsize=SMALL, color=color)
    ax.set_xticks(range(len(names)), names, rotation=45 * any(len(name) > 3 for name in names))
    ax.set_yticks(range(len(names)), names)
    title = f"{predictions.mistakes:,} mistakes in {len(predictions):,} images"
    return _label(ax, _noted(title, predictions.split), "predicted class", "true class")


def plot_parameters(model: nn.Module, ax: Axes | None = None) -> Axes:
    """Where the parameters sit: a bar for every layer that has some, first layer on top; a shared tensor counts once."""
    counts, met = {}, set()
    for name, module in model.named_modules():
        own = [parameter for parameter in module.parameters(recurse=False) if parameter not in met]
        met.update(own)
        if own:
            sizes = f" {module.in_channels}→{module.out_channels}" if hasattr(module, "in_channels") else ""
            counts[f"{name} {type(module).__name__}{sizes}".strip()] = sum(parameter.numel() for parameter in own)
    total = sum(counts.values())
    if not total:
        raise CourseError(f"{type(model).__name__} has no parameters to plot")
    ax = ax or _figure(9, 1.2 + 0.3 * len(counts)).subplots()
    bars = ax.barh(list(counts), list(counts.values()), color=BLUE)
    ax.bar_label(bars, [f"{count:,} ({count / total:.1%})" for count in counts.values()], fontsize=SMALL, padding=4)
    ax.invert_yaxis()
    ax.margins(x=0.2)
    return _label(ax, f"{type(model).__name__}: {total:,} parameters", "parameters", "layer", "x")


def plot_comparison(rows: Iterable[tuple[str, Sequence[float]]], xlabel: str = "test accuracy (%)",
                    title: str = "What one change did", ax: Axes | None = None) -> Axes:
    """Values over seeds of each (label, values): dots, their mean and the sample standard deviation, first row on top.

    A dashed line continues the first mean, to compare with. CourseError for a row without values.
    """
    rows = [(label, np.asarray(values, dtype=float)) for label, values in rows]
    if not rows or not all(values.size for _, values in rows):
        raise CourseError("nothing to compare: give every row a label and its values over seeds")
    ax = ax or _figure(9, 1.4 + 0.6 * len(rows)).subplots()
    for place, (_, values) in enumerate(rows):
        spread = values.std(ddof=1) if len(values) > 1 else None
        ax.errorbar(values.mean(), place, xerr=spread, fmt="o", color=BLUE, markersize=8, elinewidth=2.5, capsize=6, capthick=2)
        ax.plot(values, np.full(len(values), place + 0.22), "o", color=GREY, markersize=5, alpha=0.7)
    ax.axvline(rows[0][1].mean(), color=GREY, linestyle="--", linewidth=2, zorder=0)
    ax.set_yticks(range(len(rows)), [f"{label}\n{values.mean():.2f}, n = {len(values)}" for label, values in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    return _label(ax, title, f"{xlabel}: mean ± standard deviation, dots are seeds", "", "x")
