"""What the records of session 08 say, in the lines and tables that its notebook shows.

A record that is not there yet is told by the command that makes it.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from helpers.experiments import load_result
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS, to_record
from helpers.experiments.pairing import same_trainings
from helpers.experiments.ranked import losses_compare
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import Result, is_recorded
from helpers.experiments.search import kept_trials, ranking
from helpers.experiments.tables import difference, interval_text
from helpers.intervals import Interval
from helpers.markdown import NOTHING, Table


def recorded(names: Sequence[str]) -> list[str]:
    """Those of the recipes that have a record, in their order."""
    return [name for name in names if is_recorded(name)]


def made_by(name: str) -> str:
    """What makes the record of a recipe, and on what."""
    # Rows that belong together are recorded by one command.
    if name in GROUPS["speed-rows"]:
        return f"made on a GPU by: {to_record('speed-rows', 5)}"
    if name in GROUPS["speed-minutes-rows"]:
        return f"made by: {to_record('speed-minutes-rows', 3)}"
    return f"made by: {to_record(name, 3)}"


def missing(names: Sequence[str]) -> None:
    """Print by which commands the recipes without a record get one."""
    for line in sorted({made_by(name) for name in names if not is_recorded(name)}):
        print("not recorded yet,", line)


def duration(seconds: float) -> str:
    """Seconds below two minutes, then minutes, and hours from two of them on."""
    if seconds < 120:
        return f"{seconds:,.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:,.1f} minutes"
    return f"{seconds / 3600:,.1f} hours"


def seconds_of(name: str) -> float:
    """What a training took with its measuring: the mean over the seeds of a record."""
    # Seeds run side by side, and not all of them take as long.
    spent = []
    for run in load_result(name).histories:
        spent.append(sum(row["seconds"] for row in run.epochs))
    return fmean(spent)


def time_of(name: str) -> str:
    """The same in words."""
    return duration(seconds_of(name))


def seconds_an_epoch(name: str) -> float:
    """The mean over the epochs and the seeds of a record, with measuring."""
    return seconds_of(name) / len(load_result(name).histories[0].epochs)


def machine(name: str) -> str:
    """What a record was made on, and with which numbers."""
    result = load_result(name)
    words = f"{result.record['environment']['device_name']}, {result.threads}"
    return f"{words}, {result.numbers}".removesuffix(", ")


def overview(names: Sequence[str]) -> Table:
    """What each recipe reads after its last epoch, how long it took, and on which machine."""
    rows = []
    for name in names:
        # A row without a record says so, and is there all the same.
        told = ("not recorded yet", NOTHING, NOTHING)
        if name in GROUPS["speed-rows"]:
            told = ("to be recorded on a GPU", NOTHING, NOTHING)
        if is_recorded(name):
            told = (load_result(name).accuracy, time_of(name), machine(name))
        rows.append((name, EXPERIMENTS[name].title, *told))
    return Table(("recipe", "what it is", "last epoch", "time", "on"), rows)


def several(*results: Result) -> bool:
    """Whether each of the records has seeds enough for an interval."""
    return min(len(result.accuracies) for result in results) > 1


def without(word: str) -> None:
    """Print what the records say of a recipe that lacks one trick, on a GPU and on a CPU."""
    # Not every trick has a row in both groups.
    for start in ("speed", "speed-minutes"):
        name = f"{start}-{word}"
        if name not in EXPERIMENTS:
            continue
        if len(recorded([start, name])) < 2:
            print(f"{name} is not recorded yet, {made_by(name)}")
            continue
        lacking, complete = load_result(name), load_result(start)
        print(f"with it:    {complete.accuracy}, {time_of(start)} ({start})")
        print(f"without it: {lacking.accuracy}, {time_of(name)} ({name})")
        if several(lacking, complete):
            print(f"   in points: {interval_text(difference(lacking, complete))}")
            print_whether_paired(lacking, complete)


def print_whether_paired(lacking: Result, complete: Result) -> None:
    """Print how seeds were compared, where a recipe differs in its last measurement alone."""
    # Other trainings are other nets, and nobody would think of pairs.
    if not lacking.recipe.trains_as(complete.recipe):
        return
    if same_trainings(lacking, complete):
        print("   the histories are equal, so the nets are the same: compared in pairs of seeds")
    else:
        print("   the histories differ, so the nets are others: compared as two samples")


def changes(start: str, group: Sequence[Recipe]) -> dict[str, Interval]:
    """For each recorded row of a group: what it reads more than the recipe that begins the group.

    The names are those of the recipes without that of the first. Rows of a single seed are left
    out.
    """
    # A figure has a mark for each, in the order of the group.
    found: dict[str, Interval] = {}
    for each in group:
        if each.name == start or len(recorded([start, each.name])) < 2:
            continue
        row, complete = load_result(each.name), load_result(start)
        if several(row, complete):
            found[each.name.removeprefix(f"{start}-")] = difference(row, complete)
    return found


def steps_of_saving(group: Sequence[Recipe]) -> None:
    """Print what each recipe reads more than the one that it is made from, and both times."""
    for each in group:
        if not each.baseline or len(recorded([each.name, each.baseline])) < 2:
            continue
        # What was saved has a price, so both stand together.
        new, old = load_result(each.name), load_result(each.baseline)
        if several(new, old):
            words = interval_text(difference(new, old))
            print(f"{each.name} against {each.baseline}, in points: {words}")
            print(f"   {time_of(each.baseline)} → {time_of(each.name)}")


def seconds_to(name: str, target: float) -> list[float]:
    """Of each seed that comes to ``target`` percent: the seconds until its first epoch there."""
    reached = []
    for run in load_result(name).histories:
        spent = 0.0
        for row in run.epochs:
            # Measured after each epoch, so that the time is known to an epoch.
            spent += row["seconds"]
            if row["test_accuracy"] >= target:
                reached.append(spent)
                break
    return reached


def times_to(names: Sequence[str], target: float) -> Table | None:
    """For each recorded recipe the mean seconds to ``target``, if all its seeds come there."""
    rows = []
    for name in recorded(names):
        reached, seeds = seconds_to(name, target), len(load_result(name).histories)
        # A mean over those that come there alone would make a bad recipe look fast.
        mean = NOTHING
        if len(reached) == seeds:
            mean = f"{fmean(reached):,.0f}"
        rows.append((name, mean, f"{len(reached)} of {seeds}", machine(name)))
    if not rows:
        return None
    return Table(("recipe", f"seconds to {target:g} %", "seeds that come there", "on"), rows)


def searched(
    name: str, own: str = "", price: Callable[[Recipe], float] | None = None
) -> Table | None:
    """The candidates of a search, best first; prints whether ``own`` is the first of them.

    ``price`` gives the PFLOP of a recipe, for a column of its own. Without a record it prints the
    command, and returns nothing.
    """
    trials = kept_trials(name)
    if not trials:
        print(f"not recorded yet: python -m helpers search {name} --seeds 3")
        return None
    table = ranking(trials)
    best = table.rows[0][0]
    # The first row is the lowest mean, however close the next one is.
    verdict = f"{name}: {best} has the lowest mean loss"
    if not losses_compare(trials):
        verdict = f"{name}: {best} has the highest mean accuracy"
    if own == best:
        verdict += ", and it is the recipe as it is"
    elif own:
        verdict += f", and not {own} as it is"
    print(verdict)
    if price is not None:
        return with_prices(table, trials, price)
    return table


def with_prices(
    table: Table, trials: Sequence[Mapping[str, Any]], price: Callable[[Recipe], float]
) -> Table:
    """The table of a search with a column more: what each candidate costs, in PFLOP."""
    # A row has the candidate's name alone, and the trials have the recipes.
    recipes = {}
    for trial in trials:
        recipe = Recipe.restored(trial["recipe"])
        recipes[recipe.name] = recipe
    rows = []
    for row in table.rows:
        # One that diverged says so behind its name.
        recipe = recipes[row[0].split(":")[0]]
        rows.append((*row, f"{price(recipe):.3f}"))
    return Table((*table.head, "PFLOP"), rows)
