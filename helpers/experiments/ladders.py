"""Ladders of recipes, one change a row: what each change brought, and which rows have no record."""

from collections.abc import Iterable, Mapping

from helpers.experiments import load_result
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import is_recorded
from helpers.experiments.tables import difference
from helpers.intervals import Interval
from helpers.markdown import NOTHING, Table
from helpers.plots.differences import plot_differences

FAMILY = "cifar-resnet9-"
COMMAND = "python -m helpers experiment cifar --seeds 5 (on a GPU)"


def short(name: str) -> str:
    """A recipe's name without that of its family, as figures and tables have room for."""
    return name.removeprefix(FAMILY)


def changes(recipes: Iterable[Recipe]) -> tuple[dict[str, Interval], list[str]]:
    """The difference that each recipe makes to the one it changes, and the names without one.

    A name is without one where it or what it changes is not recorded, with two seeds at least.
    """
    found: dict[str, Interval] = {}
    without = []
    for recipe in recipes:
        interval = change(recipe)
        if interval is None:
            without.append(short(recipe.name))
        else:
            found[short(recipe.name)] = interval
    return found, without


def change(recipe: Recipe) -> Interval | None:
    """The difference of a recipe to the one it changes; None without the two records."""
    names = (recipe.name, recipe.baseline)
    if not recipe.baseline or not all(map(is_recorded, names)):
        return None
    new, old = map(load_result, names)
    # One seed has no deviation.
    if min(len(new.accuracies), len(old.accuracies)) < 2:
        return None
    return difference(new, old)


def show_changes(recipes: Iterable[Recipe]) -> dict[str, Interval]:
    """Draw the difference of each recipe to the one it changes, and print what is missing."""
    found, without = changes(recipes)
    if found:
        plot_differences(found, "points of test accuracy, against the row that it changes")
    if without:
        print("not drawn (it or what it changes is not recorded):", ", ".join(without))
        print(f"   {COMMAND}")
    return found


def ladder_table(recipes: Iterable[Recipe], why: Mapping[str, str] | None = None) -> Table:
    """Each recipe in words, with what it reads after its last epoch, if it is recorded.

    why: a clause for each row, by its short name, in a column of its own
    """
    rows = []
    for recipe in recipes:
        row = [short(recipe.name), recipe.title]
        if why is not None:
            row.append(why.get(short(recipe.name), NOTHING))
        reads = "not recorded yet"
        if is_recorded(recipe.name):
            reads = load_result(recipe.name).accuracy
        rows.append([*row, reads])
    head = ["row", "what it changes", "last epoch"]
    if why is not None:
        head.insert(2, "why it may help")
    return Table(head, rows)
