"""Experiments: a named recipe over several seeds, recorded; and what a notebook shows of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from helpers import environment
from helpers.data import ImageData
from helpers.environment import CourseError, unknown
from helpers.experiments import record_file, together
from helpers.experiments.assembling import assemble
from helpers.experiments.catalogue import EXPERIMENTS, find, for_practice
from helpers.experiments.folders import checkpoint_in, data_digest, run_folder
from helpers.experiments.jobs import checked_seeds, checked_workers, plan, run_jobs
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import Result, evidence_root, is_file_name, results_root
from helpers.experiments.runs import load_for, train_on
from helpers.writing import check_folder

WEIGHTS = "weights/"  # what the names of recorded weights begin with


def run(
    name: str, seeds: Sequence[int], jobs: int | None = None, fresh: bool = False, team: Any = None
) -> Result:
    """Train the experiment ``name`` with every seed, ``jobs`` at a time, and record it.

    The last epoch is the result. A record that has these seeds is returned as it is; one that lacks
    some is made anew, for which finished trainings in ``COURSE_RUNS`` are only read; ``fresh``
    replaces it, whatever it holds. A ``team`` of processes trains each net together (``together``).
    Raises ``CourseError`` for an unknown name, no seeds, no real data, and a damaged record or one
    of another recipe.
    """
    recipe = find(name)
    seeds = checked_seeds(seeds)
    jobs = checked_workers(jobs)

    # Seeds of an older record stay in the new one.
    folder = results_root()
    record_file.finish_save(folder / f"{name}.json")
    if (folder / f"{name}.json").exists() and not fresh:
        recorded = load_result(name, folder, recipe)
        if set(seeds) <= set(recorded.accuracies):
            return recorded
        seeds = sorted({*seeds, *recorded.accuracies})

    # What cannot be kept is not begun.
    data = load_for(recipe, searching=False)
    check_folder(environment.runs_root())
    check_folder(folder)

    # Worker processes train, and leave their nets in checkpoints, which this process reads.
    if team is None:
        todo, workers = plan([recipe], seeds, jobs, data_digest(data))
        run_jobs(todo, workers)
    else:
        todo = together.run_jobs(team, recipe, seeds, data)
    trained = {job.seed: job.train(data) for job in todo}

    # The files are read again, so that a caller gets what a later reader will get.
    result = assemble(recipe, data, trained)
    if team is not None:
        result.record["environment"].update(team.facts())
    result.save()
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

    # That of the experiment command, where it trains with as many threads: the same numbers.
    threads = torch.get_num_threads()
    folder = run_folder(recipe, data_digest(data), threads)
    checkpoint = checkpoint_in(folder, seed=0)
    check_folder(environment.runs_root())
    if checkpoint.exists():
        print(f"Goes on from its checkpoint: experiments/{folder.name} in COURSE_RUNS.")
    trained = train_on(recipe, 0, data, False, threads, checkpoint=checkpoint)
    return assemble(recipe, data, {0: trained})


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
            f"the record {name} holds no weights, which only small headline nets keep: "
            f"train EXPERIMENTS[{name!r}] with helpers.experiments.runs.train, or load the net of "
            "another record"
        )

    # A new net of the same recipe has places of the same names.
    net = result.recipe.build_model()
    net.load_state_dict(weights)
    return result.recipe.measured(net).eval()


def load_result(name: str, folder: Path | None = None, recipe: Recipe | None = None) -> Result:
    """The record of an experiment, from ``notebooks/results`` unless a folder is given.

    It is compared with ``recipe``, the one of that name unless it is given. Raises ``CourseError``
    where there is no record, a damaged one, one whose two files were saved at different times, or
    one of another recipe.
    """
    # The name alone leads to the recipe, and to the command that makes the record.
    path = (folder or evidence_root()) / f"{name}.json"
    recipe = recipe or EXPERIMENTS.get(name)
    command = f"python -m helpers experiment {name}"
    if not is_file_name(name):
        raise unknown("record", name, EXPERIMENTS)
    record_file.finish_save(path)
    if not path.exists():
        if recipe is None:
            raise unknown("record", name, EXPERIMENTS)
        raise CourseError(f"{path.name} is not recorded yet: {command}")

    # A record that is sound can still be of a recipe that has changed since.
    record, arrays = record_file.read(path)
    result = Result(record, arrays)
    if recipe is not None and result.hyperparameters != recipe.hyperparameters():
        raise CourseError(
            f"the record {path.name} is of another recipe than helpers/experiments has: "
            f"{command} --fresh"
        )
    return result
