"""The pictures of README, drawn from the records into ``images/``."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import fmean

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from helpers.data import ImageData
from helpers.environment import ROOT
from helpers.experiments import load_result
from helpers.plots.names import separate_labels
from helpers.plots.seeds import plot_accuracy
from helpers.plots.style import BLUE, GREY, RED, SMALL
from helpers.upkeep.palettes import with_palette
from helpers.upkeep.thumbnails import RUNGS, thumbnails
from helpers.writing import replacing

DPI = 200  # pixels per inch, before a picture is made smaller

# The most pixels from left to right and from top to bottom: README shows pictures at half that
# width, so that they are sharp on a screen of double density too.
WHOLE_WIDTH = (1_500, 1_000)
THUMBNAIL = (360, 204)

# The records of the frontier, the smallest net first. (The tiny net lies far to the left.)
FRONTIER = (
    "small-separable",
    "small",
    "ladder-fewer",
    "pointwise",
    "ladder-average",
    "ladder-best",
    "budget",
    "large",
    "large-wider",
    "residual",
)

# Which records a picture shows. Each says so in itself, so that one that is out of date is found.
SHOWN = {
    "frontier": FRONTIER,
    "session_04": tuple(f"ladder-{name}" for name in RUNGS),
    "session_05": ("ladder-fewer",),
}

# (report, parameters, accuracy in percent) as the student reports state them.
ELSEWHERE = (
    ("003", 6_084, 99.45),
    ("004", 7_640, 99.42),
    ("003", 7_824, 99.50),
    ("001", 9_274, 99.52),
)
FAR_BELOW = ("report 000: 98.93 %\nafter 40 epochs", 19_074)
SCALE = (99.2, 99.8)  # percent; all other nets lie between
TO_THE_LEFT = 0.935  # by more than a mark is wide: two nets of ours have nearly equal parameters


def draw(data: ImageData, folder: Path = ROOT / "images") -> list[Path]:
    """Write every picture of README as a PNG; returns the files.

    The frontier, and a thumbnail for each session. Raises ``CourseError`` where there is no record,
    or ``data`` is not what it was made on.
    """
    drawn: dict[str, Axes | np.ndarray] = {"frontier": frontier(), **thumbnails(data)}

    # A record that is missing was found by now: nothing is written yet.
    written = []
    for name, axes in drawn.items():
        box = THUMBNAIL
        if name == "frontier":
            box = WHOLE_WIDTH
        records = digest_of(SHOWN.get(name, ()))
        written.append(save(axes, folder / f"{name}.png", box, records))
    return written


def digest_of(names: Sequence[str]) -> str:
    """SHA-256 of what these records hold of every seed; empty without a name."""
    if not names:
        return ""
    digest = hashlib.sha256()
    for name in names:
        record = load_result(name).record
        # The digest of the arrays is that of every prediction.
        digest.update(f"{name} {record['parameters']} {record['arrays']}\n".encode())
    return digest.hexdigest()


def frontier() -> Axes:
    """Accuracy against parameters: the course's nets from their records, and what reports state."""
    # A dot for each record, named by its parameters.
    points = {}
    for name in FRONTIER:
        result = load_result(name)
        parameters = result.record["parameters"]
        accuracies = list(result.accuracies.values())
        points[f"{parameters:,}"] = (parameters, accuracies)

    stated = [(TO_THE_LEFT * parameters, accuracy) for _, parameters, accuracy in ELSEWHERE]
    label = "a report, mostly its best epoch (drawn a little to the left)"
    ax = plot_accuracy(
        points,
        "parameters (logarithmic)",
        target=99.4,
        others={label: stated},
        intervals=True,
    )
    for (report, _, _), place in zip(ELSEWHERE, stated, strict=True):
        ax.annotate(
            report,
            place,
            (0, 8),
            textcoords="offset points",
            color=RED,
            fontsize=SMALL,
            ha="center",
        )

    # A logarithmic axis would label its ticks as powers of ten.
    ax.set_xscale("log")
    ticks = (3_000, 4_000, 6_000, 8_000, 10_000, 15_000, 20_000)
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.set_xticks([], minor=True)

    # Names of near nets would lie on each other.
    ax.set_ylim(*SCALE)
    separate_labels(ax)
    draw_far_below(ax, *FAR_BELOW)
    draw_staircase(ax, points)
    return ax


def draw_far_below(ax: Axes, words: str, parameters: int) -> None:
    """What lies below the axes, as words with an arrow that points down to it."""
    ax.annotate(
        words,
        (TO_THE_LEFT * parameters, SCALE[0]),
        (0, 32),
        textcoords="offset points",
        color=RED,
        fontsize=SMALL,
        ha="center",
        arrowprops={"arrowstyle": "->", "color": RED},
    )


def draw_staircase(ax: Axes, points: Mapping[str, tuple[int, Sequence[float]]]) -> None:
    """The best mean that was found with at most so many parameters, from left to right."""
    means = sorted((parameters, fmean(accuracies)) for parameters, accuracies in points.values())
    places = [parameters for parameters, _ in means]
    best = list(accumulate((mean for _, mean in means), max))
    # As far as the axis goes, which stays as it is.
    right = ax.get_xlim()[1]
    ax.step(
        [*places, right],
        [*best, best[-1]],
        where="post",
        label="the frontier",
        color=GREY,
        linewidth=1.5,
        alpha=0.6,
        zorder=0,
    )
    ax.set_xlim(right=right)
    # One mark in the legend stands for all dots.
    handles, _ = ax.get_legend_handles_labels()
    ours = "our nets: the mean of n seeds, with its 95 % interval"
    handles.append(Line2D([], [], marker="o", linestyle="", color=BLUE, markersize=8, label=ours))
    ax.legend(handles=handles, fontsize=SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.17))


def save(axes: Axes | np.ndarray, path: Path, box: tuple[int, int], records: str = "") -> Path:
    """Write the figure that ``axes``, one or an array of them, belong to, and close it.

    ``box``: the width and the height in pixels that it has to fit into. ``records``: a text that
    the file says beside its picture. The same figure gives the same bytes, as long as matplotlib
    and Pillow stay the same.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    # All panels belong to one figure, so the first of them is enough.
    figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, bbox_inches="tight")
    plt.close(figure)

    # Drawn large and made smaller, so that lines and letters keep their proportions.
    image = Image.open(drawn).convert("RGB")
    scale = min(box[0] / image.width, box[1] / image.height)
    size = (round(scale * image.width), round(scale * image.height))
    image = image.resize(size, Image.Resampling.LANCZOS)
    plain = io.BytesIO()
    image.save(plain, "PNG", optimize=True)

    notes = PngInfo()
    if records:
        notes.add_text("records", records)

    # A reader never meets half a file.
    small = Image.open(io.BytesIO(with_palette(plain.getvalue())))
    with replacing(path) as temporary:
        small.save(temporary, "PNG", optimize=True, pnginfo=notes)
    return path
