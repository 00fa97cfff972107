"""Differences between two records: seed by seed only where the nets were the same ones."""

from collections.abc import Sequence
from itertools import zip_longest

from helpers.experiments.records import Result
from helpers.intervals import Interval, mean_difference, paired_difference
from helpers.training import History

# What a training says of itself; the rest of a row is measured of the net after each epoch.
TRAINED = ("epoch", "learning_rate", "train_loss", "train_accuracy")
MEASURED = ("test_loss", "test_accuracy")


def same_trainings(one: Result, other: Result) -> bool:
    """Whether two records measure the very same nets, seed by seed, and differ in the last epoch.

    Recipes that differ in their views alone train the same net, if sums are made in the same order.
    A CPU does that, and a GPU need not. So the histories are compared, number by number, up to the
    last measurement.
    """
    # A pair needs both of its halves.
    if list(one.accuracies) != list(other.accuracies):
        return False
    # Recipes that train otherwise may agree for an epoch by chance.
    if not one.recipe.trains_as(other.recipe):
        return False
    return all(map(same_history, one.histories, other.histories))


def same_history(one: History, other: History) -> bool:
    """Whether two histories are equal up to the measurement after the last epoch."""
    return steps_of(one.epochs) == steps_of(other.epochs)


def steps_of(epochs: Sequence[dict[str, float]]) -> list[tuple[float, ...]]:
    """The numbers of a history that do not depend on how its last net is measured."""
    rows = []
    for row, later in zip_longest(epochs, epochs[1:]):
        names = list(TRAINED)
        # The last measurement is the one in which the two may differ.
        if later is not None:
            names.extend(MEASURED)
        rows.append(tuple(row[name] for name in names))
    return rows


def change(result: Result, baseline: Result) -> Interval:
    """What a record reads more than its baseline after the last epoch, in points, at 95 %.

    Paired by seed where both measure the same nets (``same_trainings``), and else between two
    independent samples. Raises ``CourseError`` where there are fewer than two seeds.
    """
    if same_trainings(result, baseline):
        return paired_difference(result.accuracies, baseline.accuracies)
    return mean_difference(result.accuracies, baseline.accuracies)
