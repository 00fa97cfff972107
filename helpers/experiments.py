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
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Sequence

import torch
from torch import nn

from helpers import data as data_module
from helpers import environment, training
from helpers.data import Batches, ImageData, ImageSplit
from helpers.environment import ROOT, CourseError, replacing, runs_root, smoke
from helpers.interpret import predict
from helpers.models import count_parameters
from helpers.recipes import EXPERIMENTS, SEARCHES, Claim, Recipe, find
from helpers.records import Result, judge, load_result, results_root, save_result

__all__ = ["EXPERIMENTS", "SEARCHES", "Claim", "Recipe", "Result", "judge", "load_result", "run", "search", "show_or_train", "train"]
WEIGHTS_LIMIT = 200_000  # bytes: larger weights are not recorded
SEARCH_VALIDATION = 5_000


def train(recipe: Recipe, seed: int, train_split: ImageSplit, test_split: ImageSplit, checkpoint: Path | None = None,
          show: bool = True, on_epoch: Callable[[dict[str, float]], None] | None = None) -> tuple[nn.Module, training.History]:
    """Train ``recipe`` once in this process: the model to be used (the averaged one where asked for) and its history."""
    generator = environment.seed_everything(seed)
    device = environment.pick_device()
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
    """One seed of one recipe, for a process of its own; ``searching`` trains on 55,000 and measures on 5,000 of them."""

    recipe: Recipe
    seed: int
    folder: Path
    threads: int
    searching: bool = False

    @property
    def finished(self) -> Path:
        """The file that holds the job's outcome once it is done."""
        return self.folder / f"seed-{self.seed}.result"

    def work(self, on_epoch: Callable[[dict[str, float]], None]) -> None:
        """Train, going on from the last finished epoch, and write the outcome."""
        torch.set_num_threads(self.threads)
        data = load(self.recipe, self.searching)
        held_out = data.validation if self.searching else data.test
        checkpoint = self.folder / f"seed-{self.seed}.checkpoint"
        model, history = train(self.recipe, self.seed, data.train, held_out, checkpoint, show=False, on_epoch=on_epoch)
        outcome: dict[str, Any] = {"epochs": history.epochs}
        if not self.searching:
            logits = predict(model, held_out).logits
            outcome |= {"logits": logits.half(), "predictions": logits.argmax(1).to(torch.uint8)}
            outcome["weights"] = {name: value.cpu() for name, value in model.state_dict().items()}
        with replacing(self.finished) as temporary:
            torch.save(outcome, temporary)
        checkpoint.unlink(missing_ok=True)


def load(recipe: Recipe, searching: bool) -> ImageData:
    """The recipe's data: all training images, or for a search a validation split and no test images at all."""
    data = data_module.load(recipe.data, validation=SEARCH_VALIDATION if searching else 0)
    return replace(data, test=data.test.subset(slice(0, 0))) if searching else data


def _work(job: Job, messages: Any) -> None:
    """The body of a worker process; it ends when its parent does."""
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
                _listen(messages, bar, wait=0.2)
                if active.pop(job).exitcode or not job.finished.exists():
                    raise CourseError(f"{job.recipe.name}, seed {job.seed}: its process ended before it was done; the same "
                                      "command goes on from its last finished epoch")
    finally:
        for process in active.values():
            process.terminate()
        bar.close()


def _listen(messages: Any, bar: Any, wait: float = 0.5) -> None:
    """Show what the workers have sent; raise the error that one of them met."""
    try:
        while True:
            job, message = messages.get(timeout=wait)
            if isinstance(message, str):
                raise CourseError(f"{job.recipe.name}, seed {job.seed}: {message}")
            bar.update(max(0, min(1, bar.total - bar.n)))
            bar.write(f"{job.recipe.name} seed {job.seed}: {training.line(message, job.recipe.epochs)}", file=sys.stdout)
            sys.stdout.flush()
    except queue.Empty:
        return


def _plan(recipe: Recipe, seeds: Sequence[int], workers: int | None, searching: bool, digest: str) -> tuple[list[Job], int]:
    """The jobs and the number of workers. A folder is named after all that its numbers depend on, so none is mixed up."""
    workers = workers or (1 if environment.pick_device().type != "cpu" else min(len(seeds), os.cpu_count() or 1))
    threads = max(1, (os.cpu_count() or 1) // workers)
    key = json.dumps([recipe.hyperparameters(), digest, threads, searching, torch.__version__, environment.pick_device().type])
    folder = runs_root() / ("search" if searching else "experiments") / f"{re.sub('[^a-z0-9]+', '-', recipe.name)}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
    return [Job(recipe, seed, folder, threads, searching) for seed in seeds], workers


def _real(data: ImageData) -> ImageData:
    """The data, unless it is practice data: a record is evidence. (The fast profile may record it, elsewhere.)"""
    if data.source == "practice" and not smoke():
        raise CourseError(f"no {data.name} data: put it into {environment.data_root()}, or name its folder in COURSE_DATA, or "
                          "connect to a network and run: python -m helpers data")
    return data


def run(name: str, seeds: Sequence[int], jobs: int | None = None, fresh: bool = False) -> Result:
    """Train the experiment ``name`` with every seed and record it in ``results/NAME.json``; the last epoch is the result.

    Seeds already recorded with the same recipe, data and environment are kept; ``fresh`` starts the record anew. Raises
    ``CourseError`` for an unknown name, without real data, and where the record is of another recipe or environment.
    """
    recipe = find(name)
    data = _real(load(recipe, searching=False))
    todo, workers = _plan(recipe, seeds, jobs, False, data.digest)
    record = _new_record(recipe, data, todo[0].threads)
    known = _recorded(record, fresh)
    run_jobs([job for job in todo if job.seed not in known], workers)
    known = {job.seed: torch.load(job.finished, weights_only=True) for job in todo if job.seed not in known} | known
    return _save(recipe, record, known)


def _new_record(recipe: Recipe, data: ImageData, threads: int) -> dict[str, Any]:
    return {"name": recipe.name, "recipe": recipe.hyperparameters(), "parameters": count_parameters(recipe.build_model()),
            "train_images": len(data.train), "data": {"name": data.name, "source": data.source, "digest": data.digest},
            "environment": environment.machine() | {"threads": threads}, "commit": commit(),
            "recorded": datetime.now(timezone.utc).isoformat(timespec="seconds"), "runs": []}


def _recorded(record: dict[str, Any], fresh: bool) -> dict[int, dict[str, Any]]:
    """Outcomes by seed of the record that is there; none for a fresh start."""
    if fresh or not (results_root() / f"{record['name']}.json").exists():
        return {}
    old = load_result(record["name"])
    for part in ("recipe", "data", "environment"):
        differing = [key for key in record[part] if key != "source" and old.record[part].get(key) != record[part][key]]
        if differing:
            raise CourseError(f"the record {record['name']}.json has another {part} ({', '.join(differing)}): seeds cannot be "
                              "added to it; --fresh records it anew")
    arrays = {key: old.arrays[key] for key in ("predictions", "logits") if key in old.arrays}
    weights = {key[8:]: value for key, value in old.arrays.items() if key.startswith("weights/")}
    return {run["seed"]: {"epochs": run["epochs"], "weights": weights, **{key: array[place] for key, array in arrays.items()}}
            for place, run in enumerate(old.record["runs"])}


def _save(recipe: Recipe, record: dict[str, Any], outcomes: dict[int, dict[str, Any]]) -> Result:
    """Merge the outcomes of all seeds into a record and write it; logits and weights for a headline net alone."""
    import numpy

    seeds = sorted(outcomes)
    runs = [{"seed": seed, "seconds": round(sum(row["seconds"] for row in outcomes[seed]["epochs"]), 1),
             "epochs": [{key: round(value, 6) for key, value in row.items()} for row in outcomes[seed]["epochs"]]}
            for seed in seeds]
    arrays = {"predictions": numpy.stack([numpy.asarray(outcomes[seed]["predictions"]) for seed in seeds])}
    if recipe.headline:
        arrays["logits"] = numpy.stack([numpy.asarray(outcomes[seed]["logits"]) for seed in seeds])
        weights = {name: numpy.asarray(value) for name, value in outcomes[seeds[0]]["weights"].items()}
        if sum(value.nbytes for value in weights.values()) <= WEIGHTS_LIMIT:
            arrays |= {f"weights/{name}": value for name, value in weights.items()}
    result = Result(record | {"runs": runs}, arrays)
    save_result(result)
    return result


def commit() -> str:
    """The commit of the code that runs, with ``+`` where tracked files differ from it; ``unknown`` outside a repository."""
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if not done.returncode else ""

    try:
        return (git("rev-parse", "HEAD") or "unknown") + "+" * bool(git("status", "--porcelain", "-uno", "--", "helpers"))
    except OSError:
        return "unknown"


def search(name: str, seeds: Sequence[int], jobs: int | None = None) -> list[dict[str, Any]]:
    """Train every candidate of a search on 55,000 images and measure on 5,000 others; the test images are never loaded.

    Every trial ({recipe, seed, validation loss and accuracy of the last epoch}) is kept in ``results/search/NAME.json``,
    best mean validation loss first.
    """
    if name not in SEARCHES:
        raise environment.unknown("search", name, SEARCHES)
    candidates = [recipe.shortened(2) if smoke() else recipe for recipe in SEARCHES[name]]
    data = _real(load(candidates[0], searching=True))
    plans = [_plan(recipe, seeds, jobs, True, data.digest) for recipe in candidates]
    run_jobs([job for todo, _ in plans for job in todo], plans[0][1])
    path = results_root() / "search" / f"{name}.json"
    trials = json.loads(path.read_text(encoding="utf-8"))["trials"] if path.exists() else []
    for job in (job for todo, _ in plans for job in todo):
        last = torch.load(job.finished, weights_only=True)["epochs"][-1]
        trial = {"recipe": job.recipe.hyperparameters(), "seed": job.seed, "validation_loss": round(last["test_loss"], 6),
                 "validation_accuracy": last["test_accuracy"]}
        trials = [old for old in trials if (old["recipe"], old["seed"]) != (trial["recipe"], trial["seed"])] + [trial]
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"name": name, "environment": environment.machine(), "trials": trials}, indent=1) + "\n")
    return trials


def show_or_train(name: str, data: ImageData) -> Result:
    """A notebook's headline: the recorded run, or on a GPU, with COURSE_TRAIN=1 or on practice data one trained here."""
    live = data.source == "practice" or environment.train_live() or environment.pick_device().type != "cpu"
    if not live:
        result = load_result(name)
        print(result.provenance)
        return result
    recipe = find(name) if data.source != "practice" else find(name).shortened(3)
    test = data.test
    model, history = train(recipe, 0, data.train, test)
    record = _new_record(recipe, data, torch.get_num_threads())
    record["runs"] = [{"seed": 0, "seconds": sum(row["seconds"] for row in history.epochs), "epochs": history.epochs}]
    return Result(record, {"logits": predict(model, test).logits.numpy()[None]})


def ranking(trials: Sequence[dict[str, Any]]) -> str:
    """Candidates by mean validation loss, best first, with the number of seeds."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for trial in trials:
        by_name.setdefault(trial["recipe"]["name"], []).append(trial)
    rows = sorted((sum(trial["validation_loss"] for trial in group) / len(group), name, len(group),
                   sum(trial["validation_accuracy"] for trial in group) / len(group)) for name, group in by_name.items())
    return "\n".join(f"{loss:.5f}  {accuracy:.2f} %  n = {count}  {name}" for loss, name, count, accuracy in rows)
