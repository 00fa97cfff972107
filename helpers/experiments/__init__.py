"""Experiments: a named recipe over several seeds, recorded; and what a notebook shows of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from helpers import environment
from helpers.data import ImageData
from helpers.environment import CourseError, unknown
from helpers.experiments.catalogue import EXPERIMENTS, find, for_practice
from helpers.experiments.folders import checkpoint_in, data_digest, run_folder
from helpers.experiments.jobs import checked_seeds, checked_workers, plan, run_jobs
from helpers.experiments.recipe import Recipe
from helpers.experiments.recording import assemble
from helpers.experiments.records import Result, digest_of, evidence_root, results_root
from helpers.experiments.runs import load_for, train_net

WEIGHTS = "weights/"  # what the names of recorded weights begin with


def run(name: str, seeds: Sequence[int], jobs: int | None = None, fresh: bool = False) -> Result:
    """Train the experiment ``name`` with every seed, ``jobs`` at a time, and record it.

    The last epoch is the result. A record that has these seeds is returned as it is; one that lacks
    some is made anew, for which finished trainings in ``COURSE_RUNS`` are only read; ``fresh``
    replaces it, whatever it holds. Raises ``CourseError`` for an unknown name, no seeds, no real
    data, and a damaged record or one of another recipe.
    """
    recipe = find(name)
    seeds = checked_seeds(seeds)
    jobs = checked_workers(jobs)

    # A record that is there already says what is left to do.
    folder = results_root()
    if (folder / f"{name}.json").exists() and not fresh:
        recorded = load_result(name, folder, recipe)
        if set(seeds) <= set(recorded.accuracies):
            return recorded
        seeds = sorted({*seeds, *recorded.accuracies})

    # Worker processes train, and leave their nets in checkpoints, which this process reads.
    data = load_for(recipe, searching=False)
    todo, workers = plan([recipe], seeds, jobs, data_digest(data))
    run_jobs(todo, workers)
    trained = {job.seed: job.train(data) for job in todo}

    # What is returned is what was written.
    assemble(recipe, data, trained).save()
    return load_result(name, folder, recipe)


def show_or_train(name: str, data: ImageData) -> Result:
    """What a notebook shows of a headline: the recorded runs, or one that is trained now.

    It trains on a GPU, with COURSE_TRAIN=1, and on practice data (then over three epochs). A run
    that was cut off, as where Colab takes its machine away, goes on from its last finished epoch.
    """
    recipe = find(name)
    practice = data.source == "practice"
    on_cpu = environment.pick_device().type == "cpu"
    if on_cpu and not practice and not environment.train_live():
        result = load_result(name)
        print(f"{result.provenance}: {result.command}")
        return result

    # Real data are trained on whole; practice data only show that everything works.
    if practice:
        recipe = for_practice(recipe, 3)

    # The folder is that of the experiment command: the same training, the same numbers.
    folder = run_folder(recipe, data_digest(data), torch.get_num_threads())
    checkpoint = checkpoint_in(folder, seed=0)
    if checkpoint.exists():
        print(f"Goes on from its checkpoint: experiments/{folder.name} in COURSE_RUNS.")
    return assemble(recipe, data, {0: train_net(recipe, 0, data.train, data.test, checkpoint)})


def load_model(name: str) -> nn.Module:
    """The trained net of a recorded headline, of its first seed; in evaluation mode, on the CPU.

    Raises ``CourseError`` as ``load_result``, and where a record holds no weights, because its net
    is no headline or too large.
    """
    # The arrays hold the weights beside the predictions, each under its name in the net.
    result = load_result(name)
    weights = {}
    for key, array in result.arrays.items():
        if key.startswith(WEIGHTS):
            weights[key.removeprefix(WEIGHTS)] = torch.from_numpy(array)
    if not weights:
        raise CourseError(
            f"the record {name} holds no weights, which only small headline nets keep: train "
            "EXPERIMENTS[...] with helpers.experiments.runs.train, or load another record's net"
        )

    # A new net of the same recipe takes them over.
    net = result.recipe.build_model()
    net.load_state_dict(weights)
    return result.recipe.measured(net).eval()


def load_result(name: str, folder: Path | None = None, recipe: Recipe | None = None) -> Result:
    """The record of an experiment, from ``notebooks/results`` unless a folder is given.

    It is compared with ``recipe``, the one of that name unless it is given. Raises ``CourseError``
    where there is no record, a damaged one, one whose two files were saved at different times, or
    one of another recipe.
    """
    # Where it is, whose it should be, and the command that makes it.
    path = (folder or evidence_root()) / f"{name}.json"
    recipe = recipe or EXPERIMENTS.get(name)
    command = f"python -m helpers experiment {name}"
    if not path.exists():
        if recipe is None:
            raise unknown("record", name, EXPERIMENTS)
        raise CourseError(f"{path.name} is not recorded yet: {command}")

    try:
        record, arrays = read_record(path)
        digest = record.get("arrays")
        whole = len(record["runs"]) == len(arrays["predictions"])
        kept = Recipe.completed(record["recipe"])
    except Exception:  # a damaged archive can raise anything
        raise CourseError(f"the record {path.name} is damaged: {command} --fresh") from None

    # The digest says that both files were written by one save, and the recipe what was trained.
    if digest is None:
        raise CourseError(
            f"the record {path.name} has no digest of its npz: python -m helpers digests"
        )
    if not whole or digest != digest_of(path.with_suffix(".npz")):
        raise CourseError(
            f"the record {path.name} is not of one piece with its npz, as where a save was cut "
            f"off: {command} --fresh"
        )
    if recipe is not None and kept != recipe.hyperparameters():
        raise CourseError(
            f"the record {path.name} is of another recipe than helpers/experiments has: "
            f"{command} --fresh"
        )
    return Result(record, arrays)


def read_record(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the JSON of a record holds, and the arrays of the NPZ beside it."""
    import numpy

    record = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    with numpy.load(path.with_suffix(".npz")) as stored:
        arrays = dict(stored)
    return record, arrays


def refuse(constant: str) -> None:
    """Called for ``NaN`` and ``Infinity``, which are no JSON. Raises ``ValueError``."""
    raise ValueError(f"{constant} is not a finite number")
