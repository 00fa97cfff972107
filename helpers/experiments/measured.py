"""How good the range test's answers are: its recommended rates beside the best of several."""

import statistics
from typing import NamedTuple

from helpers.experiments.range_tests import (
    is_range_test_recorded,
    load_range_test,
    recommended_rate,
    record_range_test,
)
from helpers.experiments.ranges import NETS, PREFIX, RATES
from helpers.experiments.recipe import Recipe
from helpers.experiments.search import Trial, kept_trials
from helpers.markdown import NOTHING, Table

__all__ = ["load_range_test", "range_verdicts", "rate_accuracies", "record_range_test"]


# So many points below the best rate still hold. The narrow nets for CIFAR-10 deviate by 0.3 to 0.6.
WITHIN = {"mnist": 0.1, "cifar10": 0.7}
LEAST = 5  # nets are needed for a verdict, and all but one of them have to hold


class RangeVerdict(NamedTuple):
    """A recommended rate beside the best of the rates that were tried; accuracies in percent.

    ``accuracy`` is None where a seed diverged.
    """

    best_rate: float
    best_accuracy: float
    rate: float
    accuracy: float | None
    within: float

    @property
    def difference(self) -> float | None:
        """How much the recommended rate is better than the best one, in points."""
        if self.accuracy is None:
            return None
        return self.accuracy - self.best_accuracy

    @property
    def holds(self) -> bool:
        """Whether the recommended rate did not diverge, and is as good as the best, or nearly."""
        # Half of the last recorded digit decides nothing.
        return self.difference is not None and self.difference >= -self.within - 1e-9


def rate_accuracies(name: str) -> dict[float, list[float | None]]:
    """The validation accuracy of every seed at each rate of a net's search, for ``plot_rates``.

    None stands for a training that diverged. Empty where the search is not recorded.
    """
    accuracies: dict[float, list[float | None]] = {}
    for trial in trials_of(name):
        rate = trial["recipe"]["learning_rate"]
        accuracies.setdefault(rate, []).append(trial["validation_accuracy"])
    return dict(sorted(accuracies.items()))


def trials_of(name: str) -> list[Trial]:
    """The recorded trials of a net's search that are of the recipe as it is today."""
    today = same_but_rate(NETS[name].hyperparameters())
    found = []
    for trial in kept_trials(PREFIX + name):
        if same_but_rate(trial["recipe"]) == today:
            found.append(trial)
    return found


def same_but_rate(hyperparameters: dict) -> dict:
    """Hyperparameters without what differs between the trials of a search over rates."""
    return Recipe.completed(hyperparameters) | {"name": "", "learning_rate": 0}


def mean_of(accuracies: list[float | None]) -> float | None:
    """The mean over seeds; None where one of them diverged, or there is none."""
    finite = [value for value in accuracies if value is not None]
    if not finite or len(finite) < len(accuracies):
        return None
    return statistics.fmean(finite)


def best_of(name: str) -> tuple[float, float] | None:
    """The best of the rates that a search was planned with, and its mean accuracy.

    The recommended rate is not among them. None where no rate has an accuracy.
    """
    best = None
    for rate, accuracies in rate_accuracies(name).items():
        mean = mean_of(accuracies)
        if rate in RATES[name] and mean is not None and (best is None or mean > best[1]):
            best = rate, mean
    return best


def range_verdict(name: str) -> RangeVerdict | None:
    """How the recommended rate of a net did; None as long as it, or the others, are not trained."""
    best = best_of(name)
    rate = recommended_rate(name)
    tried = rate_accuracies(name)
    if best is None or rate is None or rate not in tried:
        return None
    return RangeVerdict(*best, rate, mean_of(tried[rate]), WITHIN[NETS[name].data])


def range_verdicts() -> Table:
    """A row for each net whose range test is recorded: its answer, and how it did.

    The edge is the median over the orders, and their lowest to their highest. The difference is the
    accuracy at the recommended rate minus that at the best of the others, in points.
    """
    head = ("net", "edge", "recommended", "best rate tried", "best / edge", "difference", "")
    rows = []
    verdicts = []
    missing = []
    for name, recipe in NETS.items():
        if not is_range_test_recorded(name):
            missing.append(name)
            continue
        verdict = range_verdict(name)
        verdicts.append(verdict)
        cells = [recipe.title, *answer_cells(name), *best_cells(name), *verdict_cells(verdict)]
        rows.append(cells)
    return Table(head, rows, note=" ".join(notes(verdicts, missing)))


def answer_cells(name: str) -> list[str]:
    """The edge with its spread, and the recommended rate."""
    test = load_range_test(name)
    if recommended_rate(name) is None:
        return ["no answer", NOTHING]
    edges = [answer.edge for answer in test.answers]
    answer = test.answer()
    return [f"{answer.edge:.2g} ({min(edges):.2g}–{max(edges):.2g})", f"{answer.highest:.2g}"]


def best_cells(name: str) -> list[str]:
    """The best of the rates that were tried, and how many times the edge it is."""
    best = best_of(name)
    if best is None:
        return [NOTHING, NOTHING]
    if recommended_rate(name) is None:
        return [rate_cell(name, best[0]), NOTHING]
    return [rate_cell(name, best[0]), f"{best[0] / load_range_test(name).answer().edge:.2g}"]


def verdict_cells(verdict: RangeVerdict | None) -> list[str]:
    """The difference, and whether the recommended rate holds; on which side it lies if not."""
    if verdict is None:
        return [NOTHING, "not trained yet"]
    if verdict.difference is None:
        return [NOTHING, "FAILS: diverged"]
    difference = f"{verdict.difference:+.2f}"
    if verdict.holds:
        return [difference, "HOLDS"]
    side = "too high"
    if verdict.rate < verdict.best_rate:
        side = "too low"
    return [difference, f"FAILS: {side}"]


def rate_cell(name: str, rate: float) -> str:
    """A best rate, and whether a better one may lie beyond the rates that were tried."""
    # Those that diverged were tried as well: then the best one is not the outermost.
    tried = rate_accuracies(name)
    planned = [each for each in RATES[name] if each in tried]
    text = f"{rate:g}"
    if rate in (planned[0], planned[-1]):
        text += ", the outermost"
    return text


def notes(verdicts: list[RangeVerdict | None], missing: list[str]) -> list[str]:
    """Below the table: how many hold, whether that is enough, and how the rest is recorded."""
    sentences = ["Five epochs, validation images; edges: median (lowest–highest) over the orders."]
    judged = [verdict for verdict in verdicts if verdict is not None]
    if judged:
        holding = sum(verdict.holds for verdict in judged)
        diverged = sum(verdict.accuracy is None for verdict in judged)
        word = "FAILS"
        if len(judged) < LEAST:
            word = "So far"
        elif holding >= len(judged) - 1 and diverged == 0:
            word = "HOLDS"
        sentences.append(
            f"{word}: {holding} of {len(judged)} recommended rates come near enough to the best, "
            f"and {diverged} diverged; asked are all but one of at least {LEAST} nets, and that "
            "none diverges."
        )
    if missing:
        first = missing[0]
        sentences.append(
            f"Not recorded yet: {', '.join(missing)}; python -m helpers range-test {first}, then "
            f"python -m helpers search {PREFIX}{first} --seeds 3."
        )
    return sentences
