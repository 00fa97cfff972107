"""One training of a recipe, and many in parallel processes that can be killed at any moment and go on later."""

import contextlib
import hashlib
import inspect
import json
import multiprocessing
import os
import re
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Callable, Sequence

import torch
from torch import nn
from tqdm import tqdm

from helpers import augment, environment, models, residual, training
from helpers.data import Batches, ImageData, ImageSplit, load
from helpers.environment import CourseError, runs_root, smoke
from helpers.recipe import Recipe

VALIDATION = 5_000  # training images that a search measures on
MEASURED = 1_000  # images a batch where a net is measured: a logit's last digits depend on it

OnEpoch = Callable[[dict[str, float]], None]
Trained = tuple[nn.Module, training.History]


def train(recipe: Recipe, seed: int, train_split: ImageSplit, test_split: ImageSplit, checkpoint: Path | None = None,
          show: bool = True, on_epoch: OnEpoch | None = None) -> Trained:
    """Train ``recipe`` once, in this process: the model to use (the averaged one where asked for) and its history.

    Raises ``CourseError`` as ``training.fit``, and where a batch does not fit into the memory of a GPU.
    """
    generator, device = environment.seed_everything(seed), environment.pick_device()
    model = recipe.build_model().to(device)
    if recipe.compile:
        model.compile()
    optimizer = recipe.build_optimizer(model)
    batches = Batches(train_split, recipe.batch_size, recipe.build_augment(), True, device, generator)
    average = training.moving_average(model, recipe.average) if recipe.average else None
    try:
        history = training.fit(
            model, batches, Batches(test_split, MEASURED, device=device), recipe.epochs, optimizer,
            recipe.build_scheduler(optimizer, len(batches)), loss_fn=recipe.loss, average=average,
            checkpoint=checkpoint, show=show, on_epoch=on_epoch, mixed=recipe.mixed)
        return (average.module if average else model), history
    except torch.OutOfMemoryError:
        pass  # what the failed step held is free once this block is left
    fits = fitting(recipe, train_split, device)
    raise CourseError(f"{recipe.name}: batches of {recipe.batch_size} do not fit into the free memory of the "
                      f"{device.type} device, {f'those of {fits} do' if fits else 'and no smaller ones do'}: end what "
                      "else uses it, or take that batch_size; finished epochs are kept")


def fitting(recipe: Recipe, split: ImageSplit, device: torch.device) -> int:
    """The largest half, quarter … of a recipe's batch whose training step fits into the device's memory; 0 if none."""
    size = recipe.batch_size
    while size := size // 2:
        with contextlib.suppress(torch.OutOfMemoryError):
            model, batches = recipe.build_model().to(device), Batches(split.subset(slice(size)), size, device=device)
            training.train_one_epoch(model, batches, recipe.build_optimizer(model))
            break
    return size


@dataclass(frozen=True, eq=False)
class Job:
    """One seed of one recipe, for a process of its own; ``searching`` measures on training images that it leaves out."""

    recipe: Recipe
    seed: int
    folder: Path
    threads: int
    searching: bool

    def train(self, data: ImageData, on_epoch: OnEpoch | None = None) -> Trained:
        """Train, going on from the last finished epoch: where all are finished, only their outcome is read."""
        torch.set_num_threads(self.threads)
        trained = train(self.recipe, self.seed, data.train, data.validation if self.searching else data.test,
                        self.folder / f"seed-{self.seed}.checkpoint", show=False, on_epoch=on_epoch)
        for left in self.folder.glob(f".seed-{self.seed}.*.tmp"):  # of processes killed while they wrote
            left.unlink(missing_ok=True)
        return trained


def load_for(recipe: Recipe, searching: bool) -> ImageData:
    """All training images and the test images; for a search a validation split, and no test images at all.

    Raises ``CourseError`` without real data, because a record is evidence. (The fast profile records elsewhere.)
    """
    data = load(recipe.data, validation=VALIDATION if searching else 0, test=not searching)
    if data.source == "practice" and not smoke():
        raise CourseError(f"no {data.name} data: put it into {environment.data_root()}, name its folder in "
                          "COURSE_DATA, or connect to a network and run: python -m helpers data")
    return data


def _work(job: Job, messages: Connection) -> None:
    """The body of a worker process, which ends when its parent does: send a row an epoch, and None or an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its workers
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, of which a worker that is ended leaves a warning
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    sys.stdout = open(os.devnull, "w")
    try:
        job.train(load_for(job.recipe, job.searching), messages.send)
        messages.send(None)
    except (CourseError, OSError) as problem:
        messages.send(str(problem))


def run_jobs(jobs: Sequence[Job], workers: int) -> None:
    """Work off ``jobs``, ``workers`` at a time, with a bar and a line an epoch; finished epochs are not done again."""
    context, waiting, active = multiprocessing.get_context("spawn"), list(jobs), {}
    bar = training.progress(None, "epochs", total=sum(job.recipe.epochs for job in jobs))
    try:
        while waiting or active:
            while waiting and len(active) < workers:
                reader, writer = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(waiting[0], writer))
                process.start()
                writer.close()  # the worker holds the only other copy: its end, however it comes, ends the pipe
                active[reader] = waiting.pop(0), process
            for reader in wait(list(active)):
                job, process = active[reader]
                name = f"{job.recipe.name}, seed {job.seed}"
                try:
                    message = reader.recv()
                except (EOFError, OSError):
                    message = "its process ended too early; the same command goes on from its last finished epoch"
                if isinstance(message, str):
                    raise CourseError(f"{name}: {message}")
                if message:
                    bar.write(f"{name}: {training.line(message, job.recipe.epochs)}", file=sys.stdout)
                    bar.update()
                else:
                    del active[reader]
                    process.join()
    finally:
        for _, process in active.values():
            process.terminate()
            process.join()
        bar.close()


def plan(recipes: Sequence[Recipe], seeds: Sequence[int], workers: int | None, digest: str) -> tuple[list[Job], int]:
    """The jobs and the number of workers; with a ``digest`` of test labels for an experiment, without for a search.

    A folder is named after all that its numbers depend on (of an experiment also the code), so that none is mixed up.
    """
    if not seeds or (workers is not None and workers < 1):
        raise CourseError(f"--seeds {len(seeds)} --jobs {workers}: give at least 1 for each")
    device = environment.pick_device().type
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = workers or (min(len(seeds) * len(recipes), processors) if device == "cpu" else 1)
    threads = max(1, processors // workers)
    parts = (augment, models, residual, training, Batches, Recipe, train) if digest else ()
    code = "".join(map(inspect.getsource, parts))

    def folder(recipe: Recipe) -> Path:
        key = json.dumps([recipe.hyperparameters(), digest + code, threads, device, torch.__version__])
        name = f"{re.sub('[^a-z0-9]+', '-', recipe.name)}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
        return runs_root() / ("experiments" if digest else "search") / name

    return [Job(recipe, seed, folder(recipe), threads, not digest) for recipe in recipes for seed in seeds], workers
