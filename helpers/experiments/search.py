"""Searches for a recipe, on a validation split alone."""

import json
import statistics
from pathlib import Path
from typing import Any
from collections.abc import Sequence

from helpers import environment
from helpers.environment import NOTEBOOKS, CourseError, replacing, smoke
from helpers.experiments.catalogue import SEARCHES
from helpers.experiments.jobs import plan, run_jobs
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import commit, results_root
from helpers.experiments.runs import load_for


def search(name: str, seeds: Sequence[int], jobs: int | None = None) -> list[dict[str, Any]]:
    """Train every candidate of a search on all training images but 5,000 and measure on those; no test image is loaded.

    Each trial (recipe, seed, validation loss and accuracy after the last epoch) is kept in ``results/search/NAME.json``
    and not done again. Raises ``CourseError`` for an unknown name, no real data and a damaged file.
    """
    candidates = [recipe.shortened(2) if smoke() else recipe for recipe in find_candidates(name)]
    trials, path = kept_trials(name, results_root()), results_root() / "search" / f"{name}.json"
    known = [(trial["recipe"], trial["seed"]) for trial in trials]
    data = load_for(candidates[0], searching=True)
    todo, workers = plan(candidates, seeds, jobs, "")
    todo = [job for job in todo if (job.recipe.hyperparameters(), job.seed) not in known]
    run_jobs(todo, workers)
    for job in todo:
        last = job.train(data)[1].last
        trials.append(
            {
                "recipe": job.recipe.hyperparameters(),
                "seed": job.seed,
                "validation_loss": round(last["test_loss"], 6),
                "validation_accuracy": last["test_accuracy"],
            }
        )
    kept = {
        "name": name,
        "environment": environment.machine(),
        "commit": commit(),
        "trials": trials,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return trials


def find_candidates(name: str) -> list[Recipe]:
    """What a search compares: its list in ``helpers.recipes``, or the recipes of its record."""
    kept = {
        json.dumps(trial["recipe"]): Recipe.restored(trial["recipe"]) for trial in kept_trials(name)
    }
    if not kept and name not in SEARCHES:
        recorded = [path.stem for path in (NOTEBOOKS / "results" / "search").glob("*.json")]
        raise environment.unknown("search", name, [*SEARCHES, *recorded])
    return list(SEARCHES.get(name, kept.values()))


def kept_trials(name: str, folder: Path = NOTEBOOKS / "results") -> list[dict[str, Any]]:
    """The trials of a search that are recorded, with whole recipes. Raises ``CourseError`` for a damaged file."""
    path = folder / "search" / f"{name}.json"
    try:
        trials = json.loads(path.read_text(encoding="utf-8"))["trials"] if path.exists() else []
        return [
            trial | {"recipe": Recipe.completed(trial["recipe"]), "seed": trial["seed"]}
            for trial in trials
        ]
    except (ValueError, KeyError, TypeError):
        raise CourseError(
            f"{path} is damaged: restore it or move it away, and give the same command again"
        ) from None


def ranking(trials: Sequence[dict[str, Any]]) -> str:
    """Candidates by mean validation loss, best first, with mean accuracy and number of seeds."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for trial in trials:
        groups.setdefault(json.dumps(trial["recipe"]), []).append(trial)
    rows = sorted(
        (
            statistics.fmean(trial["validation_loss"] for trial in group),
            statistics.fmean(trial["validation_accuracy"] for trial in group),
            len(group),
            group[0]["recipe"]["name"],
        )
        for group in groups.values()
    )
    return "\n".join(
        f"{loss:.5f}  {accuracy:.2f} %  n = {count}  {name}" for loss, accuracy, count, name in rows
    )
