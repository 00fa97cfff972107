"""Searches for a recipe, on a validation split alone."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from helpers import environment
from helpers.data import ImageData
from helpers.environment import CourseError, smoke
from helpers.experiments.assembling import DIGITS, current_commit
from helpers.experiments.catalogue import SEARCHES, for_practice
from helpers.experiments.folders import data_digest
from helpers.experiments.jobs import (
    Job,
    checked_seeds,
    checked_workers,
    plan,
    run_jobs,
)
from helpers.experiments.range_tests import recommended_rate
from helpers.experiments.ranges import NETS, PREFIX, RATES
from helpers.experiments.ranked import losses_compare, short_name
from helpers.experiments.recipe import Recipe
from helpers.experiments.record_checks import (
    Fields,
    check_fields,
    check_percentage,
    check_recipe,
    not_finite,
)
from helpers.experiments.records import evidence_root, is_file_name, results_root
from helpers.experiments.runs import load_for
from helpers.markdown import Table
from helpers.training.metrics import DivergedError
from helpers.writing import check_folder, replacing

Trial = dict[str, Any]
TRIAL: Fields = {"recipe": dict, "seed": int, "environment": dict, "commit": str}
# What it has beside these: where it was measured, and where a loss was no finite number.
MEASURED: Fields = {"validation_loss": float, "validation_accuracy": float}
ENDED: Fields = {"diverged": str}


def search(name: str, seeds: Sequence[int], jobs: int | None = None) -> list[Trial]:
    """Train every candidate of a search, and measure on 5,000 training images that are left out.

    No test image is loaded. Each trial (recipe, seed, validation loss and accuracy after the last
    epoch, machine and commit) is kept in ``results/search/NAME.json`` and not done again. One whose
    loss is no finite number is kept, too: it has None for both, and ``diverged`` says in which step
    it was. Raises ``CourseError`` for an unknown name, no seeds, no real data and a damaged file.
    """
    candidates = find_candidates(name)
    if smoke():
        candidates = [for_practice(recipe, 2) for recipe in candidates]
    seeds = checked_seeds(seeds)
    jobs = checked_workers(jobs)

    # What is left to do after the trials that are recorded.
    trials = kept_trials(name, results_root())
    done = [(trial["recipe"], trial["seed"]) for trial in trials]
    data = load_for(candidates[0], searching=True)
    planned, workers = plan(candidates, seeds, jobs, data_digest(data), searching=True)
    todo = []
    for job in planned:
        if (job.recipe.hyperparameters(), job.seed) not in done:
            todo.append(job)
    if not todo:
        return trials

    # What cannot be kept is not begun.
    check_folder(environment.runs_root())
    check_folder(results_root() / "search")

    # Worker processes train, and leave their nets in checkpoints, which this process reads.
    run_jobs(todo, workers)
    made = {"environment": environment.machine(), "commit": current_commit()}
    measured = [trial_of(job, data) | made for job in todo]

    # Another command may have added trials in the meantime.
    trials = kept_trials(name, results_root())
    done = [(trial["recipe"], trial["seed"]) for trial in trials]
    trials += [trial for trial in measured if (trial["recipe"], trial["seed"]) not in done]
    save_trials(name, trials)
    return trials


def trial_of(job: Job, data: ImageData) -> Trial:
    """What the record of a search keeps of one training."""
    trial: Trial = {"recipe": job.recipe.hyperparameters(), "seed": job.seed}
    try:
        history = job.train(data).history
    except DivergedError as problem:
        # JSON has no nan, and null can be taken for no number.
        nothing = dict.fromkeys(MEASURED)
        return trial | nothing | {"diverged": problem.where}

    # The history calls it test, but in a search it was measured on the validation split.
    last = history.last
    trial["validation_loss"] = round(last["test_loss"], DIGITS)
    trial["validation_accuracy"] = last["test_accuracy"]
    return trial


def save_trials(name: str, trials: Sequence[Trial]) -> None:
    """Write the record of a search."""
    # Earlier trials are among them: each says where it was made, and from which commit.
    kept = {"name": name, "trials": trials}
    with replacing(results_root() / "search" / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def find_candidates(name: str) -> list[Recipe]:
    """What a search compares: its list in ``catalogue.SEARCHES``, or the recipes of its record.

    A search over the rates of a range test has the rate that the test recommends as well.
    """
    if name in SEARCHES:
        return [*SEARCHES[name], *recommended_candidates(name)]

    # Without a list the record says what was compared.
    candidates = []
    for trial in kept_trials(name):
        recipe = Recipe.restored(trial["recipe"])
        if recipe not in candidates:  # a recipe has a trial for each of its seeds
            candidates.append(recipe)
    if not candidates:
        recorded = [path.stem for path in (evidence_root() / "search").glob("*.json")]
        raise environment.unknown("search", name, [*SEARCHES, *recorded])
    return candidates


def recommended_candidates(name: str) -> list[Recipe]:
    """The net of a range test at the recommended rate, once its test is recorded; else none."""
    net = name.removeprefix(PREFIX)
    if name == net or net not in NETS:
        return []
    rate = recommended_rate(net, results_root())
    if rate is None or rate in RATES[net]:
        return []
    return [replace(NETS[net], name=f"{name}/rate {rate}", learning_rate=rate)]


def kept_trials(name: str, folder: Path | None = None) -> list[Trial]:
    """The trials of a search that are recorded, with whole recipes; none without a record.

    They are read from ``notebooks/results`` unless a folder is given. Raises ``CourseError`` for a
    damaged file.
    """
    # A search that was never done has no trials.
    path = (folder or evidence_root()) / "search" / f"{name}.json"
    if not is_file_name(name) or not path.exists():
        return []
    trials: list[Trial] = []
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        for trial in written["trials"]:
            # Older files name one machine and one commit for all trials.
            for field in ("environment", "commit"):
                if field in written:
                    trial[field] = written[field]
            check_trial(trial)
            recipe = Recipe.restored(trial["recipe"])
            trials.append(trial | {"recipe": recipe.hyperparameters()})
        check_seeds(trials)
    except (ValueError, KeyError, TypeError, CourseError):
        raise CourseError(
            f"{path} is damaged: restore it or move it away, and give the same command again"
        ) from None
    return trials


def check_trial(trial: Any) -> None:
    """Raise ``ValueError`` unless a trial has finite numbers, or says where it diverged."""
    check_fields("a trial", trial, TRIAL)
    check_recipe(trial["recipe"])
    if trial["seed"] < 0:
        raise ValueError(f"a trial has the seed {trial['seed']}")
    if "diverged" not in trial:
        check_fields("a trial", trial, MEASURED)
        check_percentage("validation_accuracy", trial["validation_accuracy"])
    else:
        check_fields("a trial", trial, ENDED)
        for name in MEASURED:
            if trial[name] is not None:
                raise ValueError(f"a trial that diverged has a {name}")
    if not_finite(trial):
        raise ValueError(not_finite(trial))


def check_seeds(trials: Sequence[Trial]) -> None:
    """Raise ``ValueError`` where a training stands there twice: it would count as two seeds."""
    seen = []
    for trial in trials:
        training = (trial["recipe"], trial["seed"])
        if training in seen:
            raise ValueError(f"seed {trial['seed']} of a recipe stands there twice")
        seen.append(training)


def ranking(trials: Sequence[Trial], short: bool = False) -> Table:
    """Candidates by mean validation loss, lowest first, with mean accuracy and number of seeds.

    Where some were trained with smoothed labels and others without, or with other ones, they go by
    mean accuracy, highest first: a net that is asked for less certainty has a higher loss for that
    reason alone. Those that diverged, in any of their seeds, come last, with a dash in the place of
    a mean. ``short`` leaves out the name of the search, with which a candidate's name begins.
    """
    # All seeds of a candidate belong together.
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(json.dumps(trial["recipe"]), []).append(trial)

    # A candidate's mean loss comes first, because the rows are sorted by it as a rule.
    means = []
    ended = []
    for group in groups.values():
        name = group[0]["recipe"]["name"]
        if short:
            name = short_name(group[0])
        count = sum("diverged" in trial for trial in group)
        if count:
            ended.append((f"{name}: diverged in {count} of {len(group)}", "–", "–", len(group)))
            continue
        loss = statistics.fmean(trial["validation_loss"] for trial in group)
        accuracy = statistics.fmean(trial["validation_accuracy"] for trial in group)
        means.append((loss, accuracy, len(group), name))

    means.sort()
    if not losses_compare(trials):
        means.sort(key=lambda mean: mean[1], reverse=True)
    rows = []
    for loss, accuracy, seeds, candidate in means:
        rows.append((candidate, f"{loss:.5f}", f"{accuracy:.2f} %", seeds))
    rows.extend(ended)
    return Table(("candidate", "validation loss", "validation accuracy", "seeds"), rows)
