"""What a search can tell of its candidates: which are worse than the first, and by how much."""

import textwrap
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from helpers.experiments.changes import WIDTH
from helpers.experiments.recipe import Recipe
from helpers.intervals import pooled_sd, student_half

Trials = Sequence[Mapping[str, Any]]
Losses = dict[str, list[float]]


def spoken(trials: Trials, recipe: Recipe | None = None) -> str:
    """What the ranking of a search can tell, in lines of text; ``recipe`` is the one that is used.

    Seeds of one candidate scatter by a deviation s, pooled over all candidates. A candidate is
    called worse than the first only where their difference is more than t · s · √(1/n + 1/m). A
    candidate with a seed that diverged is not compared, and nothing is said of losses that measure
    different things (``losses_compare``).
    """
    losses = best_first(trials)
    if not losses:
        return "no candidate was trained to its end with every seed"
    lines = [f"candidates: {len(losses)}, seeds of each: {seed_counts(losses)}"]
    lines += at_an_end(losses, trials)

    # Where no candidate has two seeds, nobody knows how far they scatter.
    scatter = pooled_sd(losses.values())
    if not losses_compare(trials):
        lines.append("labels are smoothed differently: the order goes by accuracy, not by loss")
    elif scatter[1] == 0:
        lines.append("one seed each: the order may be luck, and no interval can be given")
    else:
        worse = far_behind(losses, scatter)
        lines.append(f"deviation between the seeds of a candidate, pooled: {scatter[0]:.4f}")
        lines.append(f"worse than the first at 95 %: {', '.join(worse) or 'none'}")
    if recipe is not None:
        lines.append(place_of(recipe, trials, losses, scatter))
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="   ") for line in lines)


def losses_compare(trials: Trials) -> bool:
    """Whether a lower loss is better: not where some labels are smoothed and others are not.

    A net that is asked for less certainty has a higher loss for that reason alone.
    """
    smoothings = {trial["recipe"].get("label_smoothing", 0.0) for trial in trials}
    return len(smoothings) <= 1


def best_first(trials: Trials) -> Losses:
    """Validation losses of every candidate, the best first, as ``search.ranking`` has them.

    The best has the lowest mean loss, and where losses do not compare the highest mean accuracy.
    """
    losses = losses_by_candidate(trials)
    if losses_compare(trials):
        return losses
    accuracies = by_candidate(trials, "validation_accuracy")
    names = sorted(losses, key=lambda name: fmean(accuracies[name]), reverse=True)
    return {name: losses[name] for name in names}


def losses_by_candidate(trials: Trials) -> Losses:
    """Validation losses of every candidate, the lowest mean first."""
    losses = by_candidate(trials, "validation_loss")
    names = sorted(losses, key=lambda name: fmean(losses[name]))
    return {name: losses[name] for name in names}


def by_candidate(trials: Trials, field: str) -> dict[str, list[float]]:
    """One number of each seed, ``validation_loss`` or ``validation_accuracy``, by candidate.

    Names are those of the ranking without the search's. A candidate of which a seed diverged is
    left out.
    """
    groups: dict[str, list[Any]] = {}
    for trial in trials:
        groups.setdefault(short_name(trial), []).append(trial[field])
    return {name: values for name, values in groups.items() if None not in values}


def short_name(trial: Mapping[str, Any]) -> str:
    """A candidate's name without that of its search."""
    return str(trial["recipe"]["name"]).rpartition("/")[2]


def seed_counts(losses: Losses) -> str:
    """How many seeds the candidates have: one number, or the range of several."""
    counts = sorted({len(values) for values in losses.values()})
    if len(counts) == 1:
        return str(counts[0])
    return f"{counts[0]} to {counts[-1]}"


def far_behind(losses: Losses, scatter: tuple[float, int]) -> list[str]:
    """The candidates whose difference from the first is larger than its interval."""
    first, *others = losses
    found = []
    for name in others:
        half = student_half(*scatter, (len(losses[first]), len(losses[name])))
        if fmean(losses[name]) - fmean(losses[first]) > half:
            found.append(name)
    return found


def at_an_end(losses: Losses, trials: Trials) -> list[str]:
    """Which rates and decays were tried, and whether the first candidate has an outermost one.

    Nothing where the candidates differ in anything else: each form has rates of its own.
    """
    lines: list[str] = []
    numbers = {"learning_rate": "rates", "weight_decay": "decays"}
    if not losses or not set(varied_fields(trials)) <= set(numbers):
        return lines
    recipes = {short_name(trial): trial["recipe"] for trial in trials}
    first = next(iter(losses))
    for field, called in numbers.items():
        values = sorted({recipe[field] for recipe in recipes.values()})
        if len(values) < 2:
            continue
        line = f"{called} tried: {', '.join(f'{value:g}' for value in values)}"
        if recipes[first][field] in (values[0], values[-1]):
            line += "; that of the first lies at an end, and beyond it may be a better one"
        lines.append(line)
    return lines


def place_of(recipe: Recipe, trials: Trials, losses: Losses, scatter: tuple[float, int]) -> str:
    """Where the used recipe stands in the ranking, and whether it can be told from the first."""
    name = used_candidate(recipe, trials)
    if name not in losses:
        return "what is used here is not among these candidates"
    place = list(losses).index(name) + 1
    text = f"used here: {name}, number {place} of {len(losses)}"
    if place == 1 or not losses_compare(trials):
        return text

    # The reason why it is used all the same.
    first = next(iter(losses))
    behind = fmean(losses[name]) - fmean(losses[first])
    text += f", {behind:.4f} behind the first"
    if scatter[1] == 0:
        return f"{text}; with one seed each that may be luck"
    half = student_half(*scatter, (len(losses[first]), len(losses[name])))
    if behind > half:
        return f"{text}, which is more than the ± {half:.4f} of seeds: the first would do better"
    return f"{text}; the interval of that, ± {half:.4f}, holds 0: they cannot be told apart"


def used_candidate(recipe: Recipe, trials: Trials) -> str:
    """The candidate with the recipe's values in all that the candidates differ in; "" for none."""
    fields = varied_fields(trials)
    settings = recipe.hyperparameters()
    for trial in trials:
        if all(trial["recipe"][field] == settings[field] for field in fields):
            return short_name(trial)
    return ""


def varied_fields(trials: Trials) -> list[str]:
    """The settings in which the candidates of a search differ."""
    candidates = [trial["recipe"] for trial in trials]
    fields = []
    for field in candidates[0]:
        values = [candidate[field] for candidate in candidates]
        if field != "name" and any(value != values[0] for value in values):
            fields.append(field)
    return fields
