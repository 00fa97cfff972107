"""The pictures of README, drawn from the records into ``images/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers import plots
from helpers.data import ImageData
from helpers.environment import ROOT, replacing
from helpers.records import load_result

DPI = 80


def draw(data: ImageData, folder: Path = ROOT / "images") -> list[Path]:
    """Curves, mistakes and accuracy per class of the 9,274-parameter net; returns the files written.

    Raises ``CourseError`` where there is no record, or ``data`` is not what it was made on.
    """
    result = load_result("budget")
    predictions = result.predictions(data)
    return [_save(folder / "budget_history.png", plots.plot_history(result.histories)),
            _save(folder / "budget_mistakes.png", plots.show_misclassified(predictions, count=12)),
            _save(folder / "budget_per_class.png", plots.plot_per_class(predictions))]


def _save(path: Path, axes: Any) -> Path:
    """Write the figure that ``axes`` (one, or an array of them) belong to, and close it."""
    import matplotlib.pyplot as plt
    import numpy

    figure = numpy.asarray(axes).flat[0].figure
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return path
