"""The pictures of README, drawn from the records into ``images/``."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from helpers.data import ImageData
from helpers.environment import ROOT, replacing
from helpers.experiments import load_result
from helpers.plots import charts, images, nets

DPI = 80
SHOWN = "ladder-fewer"  # the net whose curves, predictions and mistakes README shows
FRONTIER = (
    "tiny",
    "small",
    "ladder-fewer",
    "pointwise",
    "ladder-best",
    "budget",
    "large",
    "residual",
)
ELSEWHERE = {  # (parameters, accuracy) as others state it
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
    """Curves, predictions, mistakes and classes of one net, the frontier, the residual net; returns the files written.

    Raises ``CourseError`` where there is no record, or ``data`` is not what it was made on.
    """
    result = load_result(SHOWN)
    predictions = result.predictions(data)
    return [
        _save(folder / "history.png", charts.plot_history(result.histories)),
        _save(folder / "predictions.png", images.show_predictions(predictions, count=12)),
        _save(folder / "mistakes.png", images.show_misclassified(predictions, count=12)),
        _save(folder / "per_class.png", charts.plot_per_class(predictions)),
        _save(folder / "frontier.png", frontier()),
        _save(folder / "residual_net.png", nets.residual_net()),
    ]


def frontier() -> Axes:
    """Accuracy against parameters: the course's nets from their records, and what others state."""
    results = [load_result(name) for name in FRONTIER]
    points = {
        f"{result.record['parameters']:,}": (
            result.record["parameters"],
            list(result.accuracies.values()),
        )
        for result in results
    }
    ax = charts.plot_accuracy(points, "parameters (logarithmic)", target=99.4, others=ELSEWHERE)
    ax.set_xscale("log")
    ticks = (1_000, 2_000, 5_000, 10_000, 20_000)
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.set_xticks([], minor=True)
    return ax


def _save(path: Path, axes: Any) -> Path:
    """Write the figure that ``axes`` (one, or an array of them) belong to, and close it."""
    import numpy

    figure = numpy.asarray(axes).flat[0].figure
    with replacing(path) as temporary:
        figure.savefig(
            temporary, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None}
        )
    plt.close(figure)
    return path
