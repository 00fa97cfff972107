"""Many trainings in parallel processes that can be killed at any moment and go on later."""

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
from collections.abc import Sequence

import torch
from tqdm import tqdm

from helpers import augment, environment, training
from helpers.data import Batches, ImageData
from helpers.environment import CourseError, runs_root
from helpers.experiments.recipe import Recipe
from helpers.experiments.runs import OnEpoch, Trained, load_for, train
from helpers.models import residual, resnet9, small


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
        trained = train(
            self.recipe,
            self.seed,
            data.train,
            data.validation if self.searching else data.test,
            self.folder / f"seed-{self.seed}.checkpoint",
            show=False,
            on_epoch=on_epoch,
        )
        for left in self.folder.glob(
            f".seed-{self.seed}.*.tmp"
        ):  # of processes killed while they wrote
            left.unlink(missing_ok=True)
        return trained


def _work(job: Job, messages: Connection) -> None:
    """The body of a worker process, which ends when its parent does: send a row an epoch, and None or an error."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the parent too, which ends its workers
    tqdm.set_lock(
        threading.RLock()
    )  # its own is a semaphore, of which a worker that is ended leaves a warning
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
                    bar.write(
                        f"{name}: {training.line(message, job.recipe.epochs)}", file=sys.stdout
                    )
                    bar.update()
                else:
                    del active[reader]
                    process.join()
    finally:
        for _, process in active.values():
            process.terminate()
            process.join()
        bar.close()


def plan(
    recipes: Sequence[Recipe], seeds: Sequence[int], workers: int | None, digest: str
) -> tuple[list[Job], int]:
    """The jobs and the number of workers; with a ``digest`` of test labels for an experiment, without for a search.

    A folder is named after all that its numbers depend on (of an experiment also the code), so that none is mixed up.
    """
    if not seeds or (workers is not None and workers < 1):
        raise CourseError(f"--seeds {len(seeds)} --jobs {workers}: give at least 1 for each")
    device = environment.pick_device().type
    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    workers = workers or (min(len(seeds) * len(recipes), processors) if device == "cpu" else 1)
    threads = max(1, processors // workers)
    parts = (augment, small, residual, resnet9, training, Batches, Recipe, train) if digest else ()
    code = "".join(map(inspect.getsource, parts))

    def folder(recipe: Recipe) -> Path:
        key = json.dumps(
            [recipe.hyperparameters(), digest + code, threads, device, torch.__version__]
        )
        name = f"{re.sub('[^a-z0-9]+', '-', recipe.name)}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
        return runs_root() / ("experiments" if digest else "search") / name

    return [
        Job(recipe, seed, folder(recipe), threads, not digest)
        for recipe in recipes
        for seed in seeds
    ], workers
