"""The pictures of README, drawn from the records into ``images/``."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from helpers.data import ImageData
from helpers.environment import ROOT
from helpers.experiments import load_result
from helpers.plots.charts import plot_history
from helpers.plots.classes import plot_per_class
from helpers.plots.images import show_misclassified, show_predictions
from helpers.plots.nets import plot_residual_net
from helpers.plots.seeds import plot_accuracy, separate_labels
from helpers.writing import replacing

DPI = 80  # pixels per inch

# The net whose curves, predictions and mistakes README shows.
SHOWN = "ladder-fewer"

# The records of the frontier, the smallest net first. (The tiny net lies far to the left.)
FRONTIER = (
    "small",
    "ladder-fewer",
    "pointwise",
    "ladder-best",
    "budget",
    "large",
    "residual",
)

# (parameters, accuracy in percent) as others state them.
ELSEWHERE = {
    "documents 001, 003 and 004: one run, mostly its best epoch": (
        (6_084, 99.45),
        (7_640, 99.42),
        (7_824, 99.50),
        (9_274, 99.52),
    ),
    "public repositories: one run, tuned on the test set": (
        (6_128, 99.44),
        (6_174, 99.47),
        (6_188, 99.44),
    ),
    "document 000 (40 epochs), and a public net of 18,614 chosen on other digits": (
        (19_074, 98.93),
        (18_614, 99.29),
    ),
}


def draw(data: ImageData, folder: Path = ROOT / "images") -> list[Path]:
    """Write every picture of README as a PNG; returns the files.

    Curves, predictions, mistakes and classes of one net, the frontier, the residual net. Raises
    ``CourseError`` where there is no record, or ``data`` is not what it was made on.
    """
    # One net for most of them: its curves over all seeds, its mistakes with the first.
    result = load_result(SHOWN)
    predictions = result.predictions(data)
    drawn: dict[str, Axes | np.ndarray] = {
        "history": plot_history(result.histories),
        "predictions": show_predictions(predictions, count=12),
        "mistakes": show_misclassified(predictions, count=12),
        "per_class": plot_per_class(predictions),
        "frontier": frontier(),
        "residual_net": plot_residual_net(),
    }

    # A record that is missing was found by now: nothing is written yet.
    written = []
    for name, axes in drawn.items():
        written.append(save(axes, folder / f"{name}.png"))
    return written


def frontier() -> Axes:
    """Accuracy against parameters: the course's nets from their records, and what others state."""
    # A dot for each record, named by its parameters.
    points = {}
    for name in FRONTIER:
        result = load_result(name)
        parameters = result.record["parameters"]
        accuracies = list(result.accuracies.values())
        points[f"{parameters:,}"] = (parameters, accuracies)
    ax = plot_accuracy(points, "parameters (logarithmic)", target=99.4, others=ELSEWHERE)

    # A logarithmic axis would label its ticks as powers of ten.
    ax.set_xscale("log")
    ticks = (3_000, 4_000, 6_000, 8_000, 10_000, 15_000, 20_000)
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.set_xticks([], minor=True)

    # Names of near nets would lie on each other.
    ax.margins(y=0.25)
    separate_labels(ax)
    return ax


def save(axes: Axes | np.ndarray, path: Path) -> Path:
    """Write the figure that ``axes``, one or an array of them, belong to, and close it.

    The same figure gives the same bytes, as long as matplotlib stays the same: its version is
    left out of the file.
    """
    # All panels belong to one figure, so the first of them is enough.
    figure = np.ravel(np.asarray(axes, dtype=object))[0].figure

    # A reader never meets half a file.
    with replacing(path) as temporary:
        figure.savefig(
            temporary,
            format="png",
            dpi=DPI,
            bbox_inches="tight",
            metadata={"Software": None},
        )
    plt.close(figure)
    return path
