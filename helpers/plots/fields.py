"""Receptive fields drawn over an image, and measured ones as heat maps."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from helpers.data import ImageSplit
from helpers.environment import CourseError
from helpers.plots.style import BLUE, FONT, ORANGE, RED, SMALL, new_axes, noted
from helpers.receptive_field.table import ReceptiveFieldTable


def plot_receptive_field(
    field: Any, split: ImageSplit | None = None, index: int = 0, axes: Any = None
) -> np.ndarray:
    """What a layer's middle position sees of an image of ``split``, to scale: 12 layers at most, where a table grows.

    Or heat maps: of one EffectiveReceptiveField, several, or a dict by name. CourseError for a table without ``split``.
    """
    table = isinstance(field, ReceptiveFieldTable)
    looks = (("", RED, "-"),) if table else (("theory ", BLUE, "-"), ("measured ", ORANGE, "--"))
    heading, panels = (
        _grown(field, split, index)
        if table
        else (
            "Solid: theory, dashed: measured",
            [
                (name or "output", one.map.numpy() / (float(one.map.max()) or 1), one.box, one.seen)
                for name, one in (
                    field.items()
                    if isinstance(field, dict)
                    else [(one.layer and f"layer {one.layer}", one) for one in np.ravel(field)]
                )
            ],
        )
    )
    rows, columns = (1, len(panels)) if len(panels) < 5 else (2, -(-len(panels) // 2))
    height = rows * (min(4, 9 / columns) + 0.5) + 0.4
    axes = new_axes(min(9, 6 * columns), height, rows, columns) if axes is None else np.ravel(axes)
    for ax, (title, picture, *boxes) in zip(axes, panels):
        ax.imshow(
            picture,
            "gray" if table else "magma",
            vmin=0,
            vmax=255 if table else 1,
            interpolation="nearest",
        )
        for (top, left, bottom, right), (word, color, style) in (
            pair for pair in zip(boxes, looks) if pair[0]
        ):
            height, width = bottom - top + 1, right - left + 1  # with the last pixels
            ax.add_patch(
                plt.Rectangle(
                    (left - 0.5, top - 0.5), width, height, fill=False, ec=color, ls=style, lw=3
                )
            )
            title += f"\n{word}{height:g}×{width:g} px"
        ax.set_title(title, fontsize=SMALL)
    view = axes[0].dataLim.union([ax.dataLim for ax in axes[: len(panels)]]).padded(1)
    plt.setp(
        axes, xlim=view.intervalx, ylim=view.intervaly[::-1], xticks=[], yticks=[], frame_on=False
    )
    if not table:
        bar = axes[0].figure.colorbar(axes[0].images[0], ax=list(axes))
        bar.set_label("mean |gradient|, largest = 1", fontsize=FONT)
        bar.ax.tick_params(labelsize=SMALL)
    axes[0].figure.suptitle(noted(heading, split) if split else heading, fontsize=FONT)
    return axes[: len(panels)]


def _grown(
    table: ReceptiveFieldTable, split: ImageSplit | None, index: int
) -> tuple[str, list[tuple[Any, ...]]]:
    if split is None:
        raise CourseError(
            "a table is drawn over an image: give the split that holds it, such as data.test"
        )
    largest = np.maximum.accumulate([(0, 0), *(np.broadcast_to(row.rf, 2) for row in table)])
    grew, panels = np.flatnonzero(np.diff(largest, axis=0).any(1)), []
    for row in (
        table[grew[at]]
        for at in np.linspace(0, len(grew) - 1, min(12, len(grew))).round().astype(int)
    ):
        rf, start, jump, n_out = (
            np.broadcast_to(size, 2) for size in (row.rf, row.start, row.jump, row.n_out)
        )
        first = start + n_out // 2 * jump - rf / 2  # where the square begins, in pixels
        name = row.name if any(map(str.isalpha, row.name)) else f"{row.kind} {row.name}"
        panels.append(
            (name, split.images[index].permute(1, 2, 0).cpu().numpy(), (*first, *(first + rf - 1)))
        )
    return (
        f"Seen by the middle position, {f'12 of {len(grew)} layers' if len(grew) > 12 else 'layer by layer'}",
        panels,
    )
