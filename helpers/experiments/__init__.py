"""Experiments: a named recipe over several seeds, recorded; searches for a recipe; what a notebook shows of both."""

import json
from datetime import datetime, timezone
from pathlib import Path
from collections.abc import Sequence

from helpers import environment, models
from helpers.data import ImageData
from helpers.environment import NOTEBOOKS, CourseError, unknown
from helpers.experiments.catalogue import EXPERIMENTS, find, quick
from helpers.experiments.jobs import plan, run_jobs
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import Result, commit, results_root
from helpers.experiments.runs import MEASURED, Trained, load_for, train
from helpers.interpret import predict

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

    runs = [
        {
            "seed": seed,
            "seconds": round(sum(row["seconds"] for row in history.epochs), 1),
            "epochs": [
                {key: round(value, 6) for key, value in row.items()} for row in history.epochs
            ],
        }
        for seed, (_, history) in trained.items()
    ]
    logits = numpy.stack(
        [predict(model, data.test, MEASURED).logits.numpy() for model, _ in trained.values()]
    )
    arrays = {"predictions": logits.argmax(2).astype("uint8")}
    if recipe.headline:
        weights = next(iter(trained.values()))[0].state_dict()
        small = sum(value.nbytes for value in weights.values()) <= WEIGHTS_LIMIT
        arrays |= {"logits": logits.astype("float16")}
        arrays |= {
            f"weights/{name}": value.numpy(force=True) for name, value in weights.items() if small
        }
    record = {
        "name": recipe.name,
        "recipe": recipe.hyperparameters(),
        "parameters": models.count_parameters(recipe.build_model()),
        "train_images": len(data.train),
        "data": {"name": data.name, "source": data.source, "digest": data.digest},
        "environment": environment.machine(),
        "commit": commit(),
        "recorded": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "runs": runs,
    }
    return Result(record, arrays)


def show_or_train(name: str, data: ImageData) -> Result:
    """A notebook's headline: the recorded runs; or one trained on a GPU, with COURSE_TRAIN=1, or on practice data."""
    recipe = find(name)
    if (
        data.source != "practice"
        and not environment.train_live()
        and environment.pick_device().type == "cpu"
    ):
        result = load_result(name)
        print(f"{result.provenance}: {result.command}")
        return result
    recipe = quick(recipe, 3) if data.source == "practice" else recipe
    return assemble(recipe, data, {0: train(recipe, 0, data.train, data.test)})


def load_result(name: str, folder: Path | None = None, recipe: Recipe | None = None) -> Result:
    """The record of an experiment, from ``notebooks/results`` unless a folder is given.

    Raises ``CourseError`` where there is none, a damaged one, or one of another recipe than the named (or given) one.
    """
    import numpy

    recipe, path = (
        recipe or EXPERIMENTS.get(name),
        (folder or NOTEBOOKS / "results") / f"{name}.json",
    )
    command = f"python -m helpers experiment {name}"
    if not path.exists():
        missing = CourseError(f"{path.name} is not recorded yet: {command}")
        raise missing if recipe else unknown("record", name, EXPERIMENTS)
    try:
        with numpy.load(path.with_suffix(".npz")) as stored:
            result = Result(json.loads(path.read_text(encoding="utf-8")), dict(stored))
        whole = len(result.record["runs"]) == len(result.arrays["predictions"])
        same = (
            recipe is None or Recipe.completed(result.record["recipe"]) == recipe.hyperparameters()
        )
    except Exception:  # a damaged archive can raise anything
        whole = same = False
    if not (whole and same):
        what = (
            "of another recipe than helpers/recipes.py has"
            if whole
            else "damaged, or not of one piece with its npz"
        )
        raise CourseError(f"the record {path.name} is {what}: {command} --fresh")
    return result
