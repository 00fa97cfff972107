"""What another factor than a quarter would have cost: accuracies at shares of each net's edge."""

import math
import statistics
from collections.abc import Iterable

from helpers.data.known import KNOWN
from helpers.experiments.measured import mean_of, rate_accuracies
from helpers.experiments.range_tests import (
    load_range_test,
    recommended_rate,
)
from helpers.experiments.ranges import NETS, PREFIX
from helpers.lr_finder.answers import EDGE_SHARE, TRIED
from helpers.markdown import NOTHING, Table

# The three at which a learner is told to train, and the one that was recommended at first, from
# the smallest to the largest.
SHARES = dict(sorted((TRIED | {"edge/2": 1 / 2}).items(), key=lambda pair: pair[1]))

DIVERGED = "diverged"
BEST = "best of the three"


def share_table() -> Table:
    """A row for each net: how far its accuracies at shares of its edge lie off its best, in points.

    The last column is that of whoever trains at all three of ``TRIED`` and takes the best, as
    session 06 advises. The last rows have the means over the nets of each data set. Nets whose
    range test or whose accuracies are not recorded are named below the table.
    """
    head = ("net", *SHARES, BEST)
    rows = []
    by_data: dict[str, list[dict[str, float | None]]] = {}
    missing = []
    for name, recipe in NETS.items():
        # Nothing to say of a net without a record, but that it has none.
        found = distances(name)
        if found is None:
            missing.append(name)
            continue
        # Whoever trains at all three takes the best of them.
        found[BEST] = best_of(found[words] for words in TRIED)
        rows.append([recipe.title, *map(cell, found.values())])
        by_data.setdefault(recipe.data, []).append(found)

    # Points of one data set are no points of another, so each has means of its own.
    for data, nets in by_data.items():
        means = [mean_cell([each[words] for each in nets]) for words in head[1:]]
        rows.append([f"mean, {KNOWN[data].title}", *means])
    return Table(head, rows, note=" ".join(notes(missing)))


def distances(name: str) -> dict[str, float | None] | None:
    """By share the points that a net's accuracy there lies above its best one.

    None stands for a share near which a seed diverged, nan for one outside of the rates that were
    tried. None in all where nothing is recorded, or the test has no answer.
    """
    recommended = recommended_rate(name)
    if recommended is None:
        return None
    # The best of all rates, the recommended one among them, where that is trained.
    means: dict[float, float | None] = {}
    best = -math.inf
    for rate, accuracies in rate_accuracies(name).items():
        mean = mean_of(accuracies)
        means[rate] = mean
        if mean is not None:
            best = max(best, mean)
    if best == -math.inf:
        return None

    # The edge is the median over the orders, as everywhere.
    edge = load_range_test(name).answer().edge
    found: dict[str, float | None] = {}
    for words, share in SHARES.items():
        # The recommended rate was trained as it is told, rounded to two digits.
        rate = recommended if share == EDGE_SHARE else share * edge
        accuracy = accuracy_at(means, rate)
        found[words] = None
        if accuracy is not None:
            found[words] = accuracy - best
    return found


def best_of(distances: Iterable[float | None]) -> float | None:
    """The highest of those distances that are numbers; None where there is none."""
    finite = [each for each in distances if each is not None and not math.isnan(each)]
    return max(finite, default=None)


def accuracy_at(means: dict[float, float | None], rate: float) -> float | None:
    """The accuracy at a rate, on the straight line between its neighbours on an axis of factors.

    means: rate to mean accuracy, from the lowest rate to the highest; None where a seed diverged.
    None where a neighbour diverged, nan for a rate outside.
    """
    rates = list(means)
    # A rate that was tried is its own neighbour; one that was rounded is not outside.
    lower = [each for each in rates if each <= rate * 1.01]
    higher = [each for each in rates if each >= rate / 1.01]
    if not lower or not higher:
        return math.nan
    low, high = lower[-1], higher[0]
    below, above = means[low], means[high]
    if below is None or above is None:
        return None
    if high <= low:
        return below
    # Rates are compared by their factor, so that the line is straight on a logarithmic axis.
    share = math.log(rate / low) / math.log(high / low)
    return below + share * (above - below)


def cell(distance: float | None) -> str:
    """A distance in points, or why there is none."""
    if distance is None:
        return DIVERGED
    if math.isnan(distance):
        return "not tried"
    return f"{distance:+.2f}"


def mean_cell(distances: list[float | None]) -> str:
    """The mean of those nets that have a number, and how many diverged."""
    # One that was not tried is missing on both sides.
    finite = [each for each in distances if each is not None and not math.isnan(each)]
    text = NOTHING
    if finite:
        text = f"{statistics.fmean(finite):+.2f} (n = {len(finite)})"
    diverged = distances.count(None)
    if diverged:
        text += f", {diverged} diverged"
    return text


def notes(missing: list[str]) -> list[str]:
    """Below the table: what the numbers are, and how the rest is recorded."""
    sentences = ["Points of validation accuracy off the best of a net's rates, after five epochs."]
    if missing:
        first = missing[0]
        sentences.append(
            f"Not recorded yet, or without an answer: {', '.join(missing)}; python -m helpers "
            f"range-test {first}, then python -m helpers search {PREFIX}{first} --seeds 3."
        )
    return sentences
