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
BLUE, ORANGE, GREEN, PURPLE, RED, GREY = COLORS = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#767676"
SMALL, FONT, DPI = 11, 13, 90


def _axes(width: float, height: float, rows: int = 1, columns: int = 1) -> np.ndarray:
    figure = plt.figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure.subplots(rows, columns, squeeze=False).ravel()


def _label(ax: Axes, title: str, xlabel: str, ylabel: str, grid: str = "both") -> Axes:
    for text, words in ((ax.title, title), (ax.xaxis.label, xlabel), (ax.yaxis.label, ylabel)):
        text.set(text=words, fontsize=FONT)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(axis=grid, alpha=0.3)
        ax.set_axisbelow(True)
    return ax


def _noted(title: str, split: ImageSplit | None, note: str = "") -> str:
    note = note or getattr(split, "note", "")
    return f"{title} ({note})" if title and note else title or note


def _slant(names: Sequence[str]) -> dict[str, Any]:
    return {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 4 else {}


def _grid(split: ImageSplit, indices: Sequence[int], titles: Sequence[str], heading: str, columns: int = 6,
          wrong: Sequence[bool] = ()) -> np.ndarray:
    columns = max(1, min(columns, len(indices)))
    rows, lines, size = -(-len(indices) // columns), max(title.count("\n") + 1 for title in titles), min(9 / columns, 1.5)
    axes = _axes(max(6, size * columns), rows * (size + 0.2 * lines) + 0.4, rows, columns)
    for place, (index, title) in enumerate(zip(indices, titles)):
        image = split.images[index].permute(1, 2, 0).cpu()
        axes[place].imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        style = {"color": RED, "fontweight": "bold"} if any(wrong[place:place + 1]) else {}
        axes[place].set_title(title, fontsize=SMALL, pad=3, **style)
    for ax in axes:
        ax.set_axis_off()
    axes[0].figure.suptitle(heading, fontsize=FONT)
    return axes[:len(indices)]


def show_images(split: ImageSplit, indices: Any = None, count: int = 24, columns: int = 8,
                titles: Sequence[str] | None = None, note: str = "") -> np.ndarray:
    """Images with their classes: all ``indices``, or the first ``count``; one Axes each.

    CourseError for an index that is not there, or for another number of ``titles`` than images.
    """
    indices = range(min(count, len(split))) if indices is None else torch.as_tensor(indices).reshape(-1).tolist()
    beyond = [index for index in indices if not 0 <= index < len(split)]
    if beyond or not indices:
        raise CourseError(f"no image to show at {beyond[:3] or 'an empty list of indices'}: the split has {len(split):,}")
    titles = [split.classes[int(split.labels[index])] for index in indices] if titles is None else titles
    if len(titles) != len(indices):
        raise CourseError(f"{len(titles)} titles for {len(indices)} images: give one each, or none")
    return _grid(split, indices, titles, _noted("", split, note), columns)


def _verdicts(predictions: Predictions, indices: Sequence[int], heading: str, note: str) -> np.ndarray:
    split, titles = predictions.split, []
    arrow = "\n→" if max(map(len, split.classes)) > 3 else " →"
    for index in indices:
        titles.append(f"{split.classes[predictions.labels[index]]}{arrow} {split.classes[predictions.predicted[index]]}")
        if predictions.logits is not None:
            titles[-1] += f"\n{100 * float(predictions.probabilities[index].max()):.1f} %"
    wrong = (~predictions.correct[indices]).tolist()
    return _grid(split, indices, titles, _noted(heading, split, note), wrong=wrong)


def show_predictions(predictions: Predictions, count: int = 12, seed: int = 0, note: str = "") -> np.ndarray:
    """Images drawn at random: true class → predicted class and its probability, wrong ones in red."""
    indices = torch.randperm(len(predictions), generator=torch.Generator().manual_seed(seed))[:count].tolist()
    return _verdicts(predictions, indices, "True class → prediction, wrong ones in red", note)


def show_misclassified(predictions: Predictions, count: int = 12, note: str = "") -> np.ndarray:
    """The mistakes with the highest loss, worst first: true class → predicted class and its probability."""
    indices, images = misclassified(predictions, count).tolist(), f"{len(predictions):,} images"
    if indices:
        heading = f"{len(indices)} of {predictions.mistakes:,} mistakes in {images}, highest loss first"
        return _verdicts(predictions, indices, heading, note)
    axes = _axes(9, 0.6)
    axes[0].set_axis_off()
    axes[0].set_title(_noted(f"No mistakes in {images}", predictions.split, note), fontsize=FONT)
    return axes


def _runs(history: Any) -> list[list[dict[str, float]]]:
    if hasattr(history, "epochs"):
        return _runs(history.epochs)
    if isinstance(history, dict):
        return _runs(history["runs"] if "runs" in history else history["epochs"])
    items = list(history)
    return [items] if items and "epoch" in items[0] else [run for item in items for run in _runs(item)]


def plot_history(history: Any, axes: Sequence[Axes] | None = None, note: str = "") -> np.ndarray:
    """Train against test loss and accuracy by epoch, the gap shaded; thin lines are runs, the thick one is their mean.

    ``history``: a ``training.History``, a record, rows of epochs, or a sequence of these. Later epochs set the scale, so
    that the gap stays visible and the first ones may lie outside. Returns two Axes; CourseError without an epoch.
    """
    runs = [run for run in _runs(history) if run]
    if not runs:
        raise CourseError("there is no epoch to plot: train for one epoch at least")
    axes = _axes(9, 3.6, 1, 2) if axes is None else np.asarray(axes)
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
        ax.plot(epochs, means[-1], "o-", color=color, linewidth=2.5, markersize=5, label=form.format(part, means[-1][-1]))
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
    """Learning rate of every step, over steps or, with ``steps_per_epoch``, over epochs; ``label`` tells several apart."""
    unit, scale, peak = "epoch" if steps_per_epoch else "step", steps_per_epoch or 1, int(np.argmax(lrs))
    ax = ax or _axes(9, 3.4)[0]
    ax.plot(np.arange(len(lrs) + 1) / scale, [*lrs, lrs[-1]], color=COLORS[len(ax.lines) % len(COLORS)],
            drawstyle="steps-post", linewidth=2.5, label=label)
    if label:
        ax.legend(fontsize=SMALL)
    title = "Learning rate" if label else f"Learning rate: highest {lrs[peak]:.3g} at {unit} {peak / scale:.3g}"
    return _label(ax, title, unit, "learning rate")


def plot_per_class(rows_or_predictions: Predictions | Iterable[ClassAccuracy], ax: Axes | None = None) -> Axes:
    """Accuracy of every class as bars with 95 % Wilson intervals; the axis starts below them, not at zero."""
    split = getattr(rows_or_predictions, "split", None)
    rows = per_class_accuracy(rows_or_predictions) if split is not None else list(rows_or_predictions)
    ax, seen = ax or _axes(9, 4)[0], [place for place, row in enumerate(rows) if row.count]
    values, lows, highs = np.array([rows[place][3:] for place in seen]).reshape(-1, 3).T
    ax.bar(seen, values, color=BLUE, yerr=(values - lows, highs - values), capsize=5,
           error_kw={"elinewidth": 2, "capthick": 2})
    names = [row.name if row.count else f"{row.name} (none)" for row in rows]
    ax.set_xticks(range(len(rows)), names, **_slant(names))
    span = 100 - lows.min(initial=100) or 100
    ax.set(xlim=(-0.6, len(rows) - 0.4), ylim=(max(0, 100 - 1.2 * span), 100 + 0.03 * span))
    return _label(ax, _noted("Accuracy by class, with 95 % Wilson intervals", split), "class", "accuracy (%)", "y")


def plot_confusion(predictions: Predictions, ax: Axes | None = None) -> Axes:
    """Counts of true against predicted class; the diagonal is grey, so that the mistakes alone set the colours."""
    matrix, names = confusion_matrix(predictions).numpy(), predictions.split.classes
    wrong = np.ma.masked_array(matrix, np.eye(len(names)))
    ax, most = ax or _axes(7.5, 6.5)[0], wrong.max()
    ax.imshow(wrong, cmap=plt.get_cmap("Blues").with_extremes(bad="#E8E8E8"), vmin=0, vmax=max(1, most))
    for (row, column), count in np.ndenumerate(matrix):
        color = "#505050" if row == column else "white" if count > 0.55 * most else "black"
        ax.text(column, row, str(count or ""), ha="center", va="center", fontsize=SMALL, color=color)
    ax.set_xticks(range(len(names)), names, **_slant(names))
    ax.set_yticks(range(len(names)), names)
    title = f"{predictions.mistakes:,} mistakes in {len(predictions):,} images"
    return _label(ax, _noted(title, predictions.split), "predicted class", "true class", "")


def plot_parameters(model: nn.Module, ax: Axes | None = None) -> Axes:
    """Where the parameters sit: a bar for each layer that has some, the first on top; a shared tensor counts once."""
    counts, met = {}, set()
    for name, module in model.named_modules():
        own = {parameter for parameter in module.parameters(recurse=False)} - met
        met |= own
        sizes = f" {module.in_channels}→{module.out_channels}" if hasattr(module, "in_channels") else ""
        if own:
            counts[f"{name} {type(module).__name__}{sizes}".strip()] = sum(parameter.numel() for parameter in own)
    total, ax = sum(counts.values()), ax or _axes(9, 1.2 + 0.3 * len(counts))[0]
    bars = ax.barh(list(counts), list(counts.values()), color=BLUE)
    ax.bar_label(bars, [f"{count:,} ({100 * count / total:.1f} %)" for count in counts.values()], fontsize=SMALL, padding=4)
    ax.set(xlim=(0, 1.25 * max(counts.values(), default=1)), ylim=(len(counts) - 0.4, -0.6))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.get_major_locator().set_params(nbins=5)
    return _label(ax, f"{total:,} parameters", "parameters", "layer", "x")


def plot_comparison(rows: Iterable[tuple[str, Sequence[float]]], xlabel: str = "test accuracy (%)",
                    title: str = "What one change did", ax: Axes | None = None) -> Axes:
    """Each (label, values over seeds) as dots with mean ± sample standard deviation; a dashed line at the first mean."""
    rows = [(label, np.asarray(values, dtype=float)) for label, values in rows]
    if not rows or not all(values.size for _, values in rows):
        raise CourseError("nothing to compare: give every row a label and its values over seeds")
    ax = ax or _axes(9, 1.4 + 0.6 * len(rows))[0]
    for place, (_, values) in enumerate(rows):
        spread = values.std(ddof=1) if len(values) > 1 else None
        ax.errorbar(values.mean(), place, xerr=spread, fmt="o", color=BLUE, markersize=8, elinewidth=2.5, capsize=6, capthick=2)
        ax.plot(values, np.full(len(values), place + 0.22), "o", color=GREY, markersize=5, alpha=0.7)
    ax.axvline(rows[0][1].mean(), color=GREY, linestyle="--", linewidth=2, zorder=0)
    ax.set_yticks(range(len(rows)), [f"{label}\n{values.mean():.2f}, n = {len(values)}" for label, values in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.xaxis.get_major_locator().set_params(nbins=6)
    return _label(ax, title, f"{xlabel}: mean ± standard deviation, dots are seeds", "", "x")
