"""Experiments: a named recipe over several seeds, recorded; searches for a recipe; what a notebook shows of both."""

import json
import statistics
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Sequence

from helpers import environment, models
from helpers.data import ImageData
from helpers.environment import NOTEBOOKS, ROOT, CourseError, replacing, smoke
from helpers.interpret import predict
from helpers.jobs import MEASURED, Trained, load_for, plan, run_jobs, train
from helpers.recipes import EXPERIMENTS as EXPERIMENTS, SEARCHES, Claim as Claim, Recipe, find, quick
from helpers.records import Result, judge as judge, load_result, results_root

WEIGHTS_LIMIT = 200_000  # bytes: larger weights are not recorded


def run(name: str, seeds: Sequence[int], jobs: int | None = None, fresh: bool = False) -> Result:
    """Train the experiment ``name`` with every seed, ``jobs`` at a time, and record it in ``results/NAME.json``.

    The last epoch is the result. A record that has these seeds is returned as it is; one that lacks some is made anew,
    for which finished trainings in ``COURSE_RUNS`` are only read; ``fresh`` replaces it, whatever it holds. Raises
    ``CourseError`` for an unknown name, no real data, and a damaged record or one of another recipe.
    """
    recipe = find(name)
    if (results_root() / f"{name}.json").exists() and not fresh:
        kept = load_result(name, results_root(), recipe)
        if set(seeds) <= set(kept.accuracies):
            return kept
        seeds = sorted({*seeds, *kept.accuracies})
    data = load_for(recipe, searching=False)
    todo, workers = plan([recipe], seeds, jobs, data.digest)
    run_jobs(todo, workers)
    result = assemble(recipe, data, {job.seed: job.train(data) for job in todo})
    result.save()
    return result


def assemble(recipe: Recipe, data: ImageData, trained: dict[int, Trained]) -> Result:
    """The record of runs by seed; logits (float16) and the first seed's weights for a headline net alone."""
    import numpy

    runs = [{"seed": seed, "seconds": round(sum(row["seconds"] for row in history.epochs), 1),
             "epochs": [{key: round(value, 6) for key, value in row.items()} for row in history.epochs]}
            for seed, (_, history) in trained.items()]
    logits = numpy.stack([predict(model, data.test, MEASURED).logits.numpy() for model, _ in trained.values()])
    arrays = {"predictions": logits.argmax(2).astype("uint8")}
    if recipe.headline:
        weights = next(iter(trained.values()))[0].state_dict()
        small = sum(value.nbytes for value in weights.values()) <= WEIGHTS_LIMIT
        arrays |= {"logits": logits.astype("float16")}
        arrays |= {f"weights/{name}": value.numpy(force=True) for name, value in weights.items() if small}
    record = {"name": recipe.name, "recipe": recipe.hyperparameters(),
              "parameters": models.count_parameters(recipe.build_model()), "train_images": len(data.train),
              "data": {"name": data.name, "source": data.source, "digest": data.digest},
              "environment": environment.machine(), "commit": commit(),
              "recorded": datetime.now(timezone.utc).isoformat(timespec="seconds"), "runs": runs}
    return Result(record, arrays)


def commit() -> str:
    """The commit of the code that runs, with ``+`` where ``helpers`` differs from it; ``unknown`` without git."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "-uno", "--", "helpers")
        return (git("rev-parse", "HEAD") or "unknown") + "+" * bool(changed)
    except OSError:
        return "unknown"


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
        trials.append({"recipe": job.recipe.hyperparameters(), "seed": job.seed,
                       "validation_loss": round(last["test_loss"], 6), "validation_accuracy": last["test_accuracy"]})
    kept = {"name": name, "environment": environment.machine(), "commit": commit(), "trials": trials}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return trials


def find_candidates(name: str) -> list[Recipe]:
    """What a search compares: its list in ``helpers.recipes``, or the recipes of its record."""
    kept = {json.dumps(trial["recipe"]): Recipe.restored(trial["recipe"]) for trial in kept_trials(name)}
    if not kept and name not in SEARCHES:
        recorded = [path.stem for path in (NOTEBOOKS / "results" / "search").glob("*.json")]
        raise environment.unknown("search", name, [*SEARCHES, *recorded])
    return list(SEARCHES.get(name, kept.values()))


def kept_trials(name: str, folder: Path = NOTEBOOKS / "results") -> list[dict[str, Any]]:
    """The trials of a search that are recorded, with whole recipes. Raises ``CourseError`` for a damaged file."""
    path = folder / "search" / f"{name}.json"
    try:
        trials = json.loads(path.read_text(encoding="utf-8"))["trials"] if path.exists() else []
        return [trial | {"recipe": Recipe.completed(trial["recipe"]), "seed": trial["seed"]} for trial in trials]
    except (ValueError, KeyError, TypeError):
        raise CourseError(f"{path} is damaged: restore it or move it away, and give the same command again") from None


def ranking(trials: Sequence[dict[str, Any]]) -> str:
    """Candidates by mean validation loss, best first, with mean accuracy and number of seeds."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for trial in trials:
        groups.setdefault(json.dumps(trial["recipe"]), []).append(trial)
    rows = sorted((statistics.fmean(trial["validation_loss"] for trial in group),
                   statistics.fmean(trial["validation_accuracy"] for trial in group),
                   len(group), group[0]["recipe"]["name"]) for group in groups.values())
    return "\n".join(f"{loss:.5f}  {accuracy:.2f} %  n = {count}  {name}" for loss, accuracy, count, name in rows)


def show_or_train(name: str, data: ImageData) -> Result:
    """A notebook's headline: the recorded runs; or one trained on a GPU, with COURSE_TRAIN=1, or on practice data."""
    recipe = find(name)
    if data.source != "practice" and not environment.train_live() and environment.pick_device().type == "cpu":
        result = load_result(name)
        print(f"{result.provenance}: {result.command}")
        return result
    recipe = quick(recipe, 3) if data.source == "practice" else recipe
    return assemble(recipe, data, {0: train(recipe, 0, data.train, data.test)})
