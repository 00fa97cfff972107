"""Run recipes over seeds, in parallel processes that can be killed at any moment, and record what came out."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import queue
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Sequence

import torch
from torch import nn

from helpers import environment, training
from helpers.data import Batches, ImageData, ImageSplit, load
from helpers.environment import ROOT, CourseError, replacing, runs_root, smoke
from helpers.interpret import predict
from helpers.models import count_parameters
from helpers.recipes import EXPERIMENTS, SEARCHES, Claim, Recipe, find
from helpers.records import Result, judge, load_result, results_root

__all__ = ["EXPERIMENTS", "SEARCHES", "Claim", "Recipe", "Result", "judge", "load_result", "run", "search", "show_or_train", "train"]
WEIGHTS_LIMIT = 200_000  # bytes: larger weights are not recorded
VALIDATION = 5_000  # training images that a search measures on

OnEpoch = Callable[[dict[str, float]], None]


def train(recipe: Recipe, seed: int, train_split: ImageSplit, test_split: ImageSplit, checkpoint: Path | None = None,
          show: bool = True, on_epoch: OnEpoch | None = None) -> tuple[nn.Module, training.History]:
    """Train ``recipe`` once in this process: the model to be used (the averaged one where asked for) and its history."""
    generator, device = environment.seed_everything(seed), environment.pick_device()
    model = recipe.build_model().to(device)
    optimizer = recipe.build_optimizer(model)
    batches = Batches(train_split, recipe.batch_size, recipe.build_augment(), shuffle=True, device=device, generator=generator)
    average = training.moving_average(model, recipe.average) if recipe.average else None
    history = training.fit(
        model, batches, Batches(test_split, 1000, device=device), recipe.epochs, optimizer,
        recipe.build_scheduler(optimizer, len(batches)), loss_fn=recipe.loss, average=average, checkpoint=checkpoint,
        show=show, on_epoch=on_epoch)
    return (average.module if average else model), history


@dataclass(frozen=True, eq=False)
class Job:
    """One seed of one recipe, for a process of its own; ``searching`` trains on 55,000 images and measures on 5,000."""

    recipe: Recipe
    seed: int
    folder: Path
    threads: int
    searching: bool

    @property
    def finished(self) -> Path:
        """The file that holds the job's outcome once it is done."""
        return self.folder / f"seed-{self.seed}.result"

    def work(self, on_epoch: OnEpoch) -> None:
        """Train, going on from the last finished epoch, and write the outcome."""
        torch.set_num_threads(self.threads)
        data = load_for(self.recipe, self.searching)
        held_out = data.validation if self.searching else data.test
        checkpoint = self.folder / f"seed-{self.seed}.checkpoint"
        model, history = train(self.recipe, self.seed, data.train, held_out, checkpoint, show=False, on_epoch=on_epoch)
        weights = {name: value.cpu() for name, value in model.state_dict().items()}
        with replacing(self.finished) as temporary:
            torch.save({"epochs": history.epochs, "logits": predict(model, held_out).logits.half(), "weights": weights}, temporary)
        checkpoint.unlink(missing_ok=True)


def load_for(recipe: Recipe, searching: bool) -> ImageData:
    """All training images and the test images; for a search a validation split, and no test images at all.

    Raises ``CourseError`` without real data, because a record is evidence. (The fast profile records elsewhere.)
    """
    data = load(recipe.data, validation=VALIDATION if searching else 0, test=not searching)
    if data.source == "practice" and not smoke():
        raise CourseError(f"no {data.name} data: put it into {environment.data_root()}, or name its folder in COURSE_DATA, or "
                          "connect to a network and run: python -m helpers data")
    return data


def _work(job: Job, messages: Any) -> None:
    """The body of a worker process, which ends when its parent does."""
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    sys.stdout = open(os.devnull, "w")
    try:
        job.work(lambda row: messages.put((job, row)))
    except CourseError as problem:
        messages.put((job, str(problem)))
        sys.exit(1)


def run_jobs(jobs: Sequence[Job], workers: int) -> None:
    """Work off ``jobs``, ``workers`` at a time, with a bar and a line an epoch; finished ones are not done again."""
    context = multiprocessing.get_context("spawn")
    messages, active = context.Queue(), {}
    waiting = [job for job in jobs if not job.finished.exists()]
    bar = training.progress(None, "epochs", total=sum(job.recipe.epochs for job in waiting))
    try:
        while waiting or active:
            while waiting and len(active) < workers:
                job = waiting.pop(0)
                active[job] = context.Process(target=_work, args=(job, messages))
                active[job].start()
            _listen(messages, bar)
            for job in [job for job, process in active.items() if not process.is_alive()]:
                _listen(messages, bar)
                if active.pop(job).exitcode or not job.finished.exists():
                    raise CourseError(f"{job.recipe.name}, seed {job.seed}: its process ended before it was done; the same "
                                      "command goes on from its last finished epoch")
    finally:
        for process in active.values():
            process.terminate()
        bar.close()


def _listen(messages: Any, bar: Any) -> None:
    """Show what the workers have sent until they are quiet; raise the error that one of them met."""
    try:
        while True:
            job, message = messages.get(timeout=0.3)
            if isinstance(message, str):
                raise CourseError(f"{job.recipe.name}, seed {job.seed}: {message}")
            bar.write(f"{job.recipe.name} seed {job.seed}: {training.line(message, job.recipe.epochs)}", file=sys.stdout)
            bar.update()
            sys.stdout.flush()
    except queue.Empty:
        return


def _plan(recipes: Sequence[Recipe], seeds: Sequence[int], workers: int | None, searching: bool, digest: str) -> tuple[list[Job], int]:
    """The jobs and the number of workers. A folder is named after all that its numbers depend on, so none is mixed up."""
    device = environment.pick_device().type
    workers = workers or (1 if device != "cpu" else min(len(seeds) * len(recipes), os.cpu_count() or 1))
    threads = max(1, (os.cpu_count() or 1) // workers)

    def folder(recipe: Recipe) -> Path:
        key = json.dumps([recipe.hyperparameters(), digest, threads, device, torch.__version__])
        name = f"{re.sub('[^a-z0-9]+', '-', recipe.name)}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
        return runs_root() / ("search" if searching else "experiments") / name

    return [Job(recipe, seed, folder(recipe), threads, searching) for recipe in recipes for seed in seeds], workers


def run(name: str, seeds: Sequence[int], jobs: int | None = None, fresh: bool = False) -> Result:
    """Train the experiment ``name`` with every seed and record it in ``results/NAME.json``; the last epoch is the result.

    A record that has these seeds already is returned as it is; ``fresh`` replaces it, whatever it holds. Raises
    ``CourseError`` for an unknown name, without real data, and where the record is of another recipe or damaged.
    """
    recipe, path = find(name), results_root() / f"{name}.json"
    if path.exists() and not fresh:
        recorded = load_result(name, results_root(), recipe)
        if set(seeds) <= set(recorded.accuracies):
            return recorded
    data = load_for(recipe, searching=False)
    todo, workers = _plan([recipe], seeds, jobs, False, data.digest)
    run_jobs(todo, workers)
    outcomes = [torch.load(job.finished, weights_only=True) for job in todo]
    result = assemble(recipe, data, seeds, outcomes, todo[0].threads)
    result.save()
    return result


def assemble(recipe: Recipe, data: ImageData, seeds: Sequence[int], outcomes: Sequence[dict[str, Any]], threads: int) -> Result:
    """The record of finished runs; logits and the first seed's weights for a headline net alone."""
    import numpy

    runs = [{"seed": seed, "seconds": round(sum(row["seconds"] for row in outcome["epochs"]), 1),
             "epochs": [{key: round(value, 6) for key, value in row.items()} for row in outcome["epochs"]]}
            for seed, outcome in zip(seeds, outcomes)]
    logits = numpy.stack([outcome["logits"].numpy() for outcome in outcomes])
    arrays = {"predictions": logits.argmax(2).astype("uint8")}
    if recipe.headline:
        weights = {f"weights/{name}": value.numpy() for name, value in outcomes[0]["weights"].items()}
        small = sum(value.nbytes for value in weights.values()) <= WEIGHTS_LIMIT
        arrays |= {"logits": logits} | (weights if small else {})
    record = {"name": recipe.name, "recipe": recipe.hyperparameters(), "parameters": count_parameters(recipe.build_model()),
              "train_images": len(data.train), "data": {"name": data.name, "source": data.source, "digest": data.digest},
              "environment": environment.machine() | {"threads": threads}, "commit": commit(),
              "recorded": datetime.now(timezone.utc).isoformat(timespec="seconds"), "runs": runs}
    return Result(record, arrays)


def commit() -> str:
    """The commit of the code that runs, with ``+`` where the package differs from it; ``unknown`` outside a repository."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True).stdout.strip()

    try:
        return (git("rev-parse", "HEAD") or "unknown") + "+" * bool(git("status", "--porcelain", "-uno", "--", "helpers"))
    except OSError:
        return "unknown"


def search(name: str, seeds: Sequence[int], jobs: int | None = None) -> list[dict[str, Any]]:
    """Train every candidate of a search on 55,000 images and measure on 5,000 others; test images are never loaded.

    Every trial (recipe, seed, validation loss and accuracy after the last epoch) is kept in ``results/search/NAME.json``.
    """
    if name not in SEARCHES:
        raise environment.unknown("search", name, SEARCHES)
    candidates = [recipe.shortened(2) if smoke() else recipe for recipe in SEARCHES[name]]
    load_for(candidates[0], searching=True)
    todo, workers = _plan(candidates, seeds, jobs, True, "")
    run_jobs(todo, workers)
    path = results_root() / "search" / f"{name}.json"
    trials = json.loads(path.read_text(encoding="utf-8"))["trials"] if path.exists() else []
    for job in todo:
        last = torch.load(job.finished, weights_only=True)["epochs"][-1]
        trial = {"recipe": job.recipe.hyperparameters(), "seed": job.seed, "validation_loss": round(last["test_loss"], 6),
                 "validation_accuracy": last["test_accuracy"]}
        trials = [old for old in trials if (old["recipe"], old["seed"]) != (trial["recipe"], trial["seed"])] + [trial]
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"name": name, "environment": environment.machine(), "commit": commit(), "trials": trials},
                                        indent=1) + "\n", encoding="utf-8")
    return trials


def ranking(trials: Sequence[dict[str, Any]]) -> str:
    """Candidates by mean validation loss, best first, with mean accuracy and number of seeds."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for trial in trials:
        groups.setdefault(trial["recipe"]["name"], []).append(trial)
    rows = sorted((sum(trial["validation_loss"] for trial in group) / len(group), name) for name, group in groups.items())
    return "\n".join(f"{loss:.5f}  {sum(trial['validation_accuracy'] for trial in groups[name]) / len(groups[name]):.2f} %  "
                     f"n = {len(groups[name])}  {name}" for loss, name in rows)


def show_or_train(name: str, data: ImageData) -> Result:
    """A notebook's headline: the recorded runs, or one trained here on a GPU, with COURSE_TRAIN=1 or on practice data."""
    recipe = find(name)
    if data.source != "practice" and not environment.train_live() and environment.pick_device().type == "cpu":
        result = load_result(name)
        print(f"{result.provenance}: {result.command}")
        return result
    recipe = recipe.shortened(3) if data.source == "practice" else recipe
    model, history = train(recipe, 0, data.train, data.test)
    weights = {name: value.cpu() for name, value in model.state_dict().items()}
    outcome = {"epochs": history.epochs, "logits": predict(model, data.test).logits, "weights": weights}
    return assemble(recipe, data, [0], [outcome], torch.get_num_threads())
