"""Whether two records measure the very same nets: only then are they compared seed by seed."""

from helpers.experiments.records import Result
from helpers.training import History

# What a training says of itself. The rest of a row is measured of the net after an epoch.
TRAINED = ("epoch", "learning_rate", "train_loss", "train_accuracy")


def same_trainings(one: Result, other: Result) -> bool:
    """Whether two records measure the same nets, seed by seed, in different ways.

    Recipes that differ in averages or views alone train the same net, if sums are made in the same
    order. A CPU does that, and a GPU need not. So what the trainings of the seeds that both hold
    say of themselves is compared, number by number. False where they have no seed in common.
    """
    # Recipes that train otherwise may agree for an epoch by chance.
    if not one.recipe.trains_as(other.recipe):
        return False
    mine, theirs = histories_by_seed(one), histories_by_seed(other)
    common = mine.keys() & theirs.keys()
    return bool(common) and all(mine[seed] == theirs[seed] for seed in common)


def histories_by_seed(result: Result) -> dict[int, list[tuple[float, ...]]]:
    """The rows of every seed's training."""
    found = {}
    for seed, history in zip(result.accuracies, result.histories, strict=True):
        found[seed] = rows_of(history)
    return found


def rows_of(history: History) -> list[tuple[float, ...]]:
    """The numbers of a history that do not depend on how its nets are measured."""
    return [tuple(row[name] for name in TRAINED) for row in history.epochs]
