"""Many trainings in parallel processes that can be killed at any moment and go on later."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tqdm import tqdm

from helpers.data import ImageData
from helpers.environment import CourseError, checked_seed, pick_device, whole_number
from helpers.experiments.epochs_bar import EpochsBar
from helpers.experiments.folders import checkpoint_in, run_folder
from helpers.experiments.reach import code_digest
from helpers.experiments.recipe import Recipe
from helpers.experiments.runs import OnEpoch, Trained, load_for, train_on
from helpers.leftovers import remove_leftovers
from helpers.training.metrics import DivergedError
from helpers.writing import replacing

CUT_OFF = "its process ended too early; the same command goes on from its last finished epoch"


@dataclass(frozen=True, eq=False)
class Job:
    """One seed of one recipe, for a process of its own.

    ``searching`` measures on the validation images instead of the test images. ``code`` is the
    digest of the files that the training reaches (``reach.code_digest``), as they were planned.
    """

    recipe: Recipe
    seed: int
    folder: Path
    threads: int
    searching: bool
    code: str = ""

    def train(self, data: ImageData, on_epoch: OnEpoch | None = None, team: Any = None) -> Trained:
        """Train, going on from the last finished epoch; where all are, only read the outcome.

        Raises ``DivergedError`` for a loss that is no finite number. A search asks once: where the
        training diverged before, that is read, too. A ``team`` trains it together.
        """
        checkpoint = checkpoint_in(self.folder, self.seed)
        remove_leftovers(self.folder, checkpoint.name)
        mark = checkpoint.with_suffix(".diverged")
        if self.searching and mark.exists():
            # Its first colon ends the place, such as "epoch 1/5, step 7".
            where, _, reason = mark.read_text(encoding="utf-8").partition(": ")
            raise DivergedError(where, reason)
        try:
            return train_on(
                self.recipe,
                self.seed,
                data,
                self.searching,
                self.threads,
                checkpoint=checkpoint,
                show=False,
                on_epoch=on_epoch,
                team=team,
            )
        except DivergedError as problem:
            # A worker has found it, and the process that reads the outcomes must not train again.
            if self.searching:
                with replacing(mark) as temporary:
                    temporary.write_text(str(problem), encoding="utf-8")
            raise


def plan(
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    workers: int | None,
    data: str,
    searching: bool = False,
    together: Any = None,
) -> tuple[list[Job], int]:
    """A job for every seed of every recipe, and the number of processes that work on them.

    ``workers`` is that number where it is asked for, and ``data`` the digest of the images
    (``folders.data_digest``). ``together`` is what a folder says of processes that train each net
    together, which ``workers`` counts then.
    """
    # The number of threads decides the last digits: it is part of what a folder is named after.
    workers, threads = share_processors(len(recipes) * len(seeds), workers)
    jobs = []
    for recipe in recipes:
        folder = run_folder(recipe, data, threads, searching, together=together)
        code = code_digest(recipe)
        for seed in seeds:
            jobs.append(Job(recipe, seed, folder, threads, searching, code))
    return jobs, workers


def share_processors(jobs: int, workers: int | None) -> tuple[int, int]:
    """How many processes work at a time, and with how many threads each.

    Unless ``workers`` are asked for: on a GPU one, on a CPU one per job, as far as there are
    processors.
    """
    processors = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # those that this process may use, on systems that say so
        processors = len(os.sched_getaffinity(0))

    # Several processes on one GPU would wait for each other.
    if workers is None and pick_device().type == "cpu":
        workers = min(jobs, processors)
    elif workers is None:
        workers = 1
    return workers, max(1, processors // workers)


def checked_seeds(seeds: Iterable[int]) -> list[int]:
    """The seeds as plain ints, each once. Raises ``CourseError`` for none, or a wrong one."""
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise CourseError(f"seeds are a list such as range(5), not {seeds!r}")
    checked = {}  # by number, which is found faster than in a list
    for seed in seeds:
        checked[checked_seed(seed)] = True
    if not checked:
        raise CourseError("there is no seed to train with: give at least 1 to --seeds")
    return list(checked)


def checked_workers(workers: int | None) -> int | None:
    """The number of processes as a plain int, or None. Raises ``CourseError`` below 1."""
    if workers is None:
        return None
    number = whole_number(workers, least=1)
    if number is None:
        raise CourseError(f"--jobs {workers}: give at least 1")
    return number


def work(job: Job, messages: Connection) -> None:
    """The body of a worker process, which ends when its parent does.

    It sends the row of every finished epoch, and at the end None, or the text of an error.
    """
    # Ctrl-C reaches the parent too, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # tqdm's own lock is a semaphore, of which Python would warn when this worker is ended.
    tqdm.set_lock(threading.RLock())
    threading.Thread(target=end_with_parent, daemon=True).start()

    # Only the parent prints.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            data = load_for(job.recipe, job.searching)
            check_unchanged(job)
            with outcome_of_a_search(job):
                job.train(data, on_epoch=messages.send)
            messages.send(None)
        except (CourseError, OSError) as problem:
            messages.send(str(problem))


def check_unchanged(job: Job) -> None:
    """Raise ``CourseError`` where this process has other code than the one that planned the job.

    A process imports what the files say when it starts, and seeds start hours after each other.
    """
    if job.code and job.code != code_digest(job.recipe):
        raise CourseError(
            "files that this training reaches have been changed since the command was given: "
            "give it again, and it begins anew with the files as they are now"
        )


@contextlib.contextmanager
def outcome_of_a_search(job: Job) -> Iterator[None]:
    """Take a training that diverges in this block for done, where a search asks for it."""
    try:
        yield
    except DivergedError:
        # Of a rate that is too high this is what the search is to find out.
        if not job.searching:
            raise


def end_with_parent() -> None:
    """Wait for the end of the parent process, then end this one: nobody takes its numbers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


@contextlib.contextmanager
def no_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from a process that starts in this block, before it can ignore it itself."""
    # A process takes over which signals its parent holds back; this one lets them through again.
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Python's own helper process, if it began within the block, would let them through too early.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_all(processes: Sequence[BaseProcess]) -> None:
    """End processes at once, then wait for them; a second Ctrl-C stops the waiting alone."""
    started = [process for process in processes if process.pid is not None]

    # Whoever presses Ctrl-C twice must not stop this loop halfway.
    before: Any = None
    if threading.current_thread() is threading.main_thread():  # others may not ask for that
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for process in started:
        process.terminate()
    if before is not None:
        signal.signal(signal.SIGINT, before)

    for process in started:
        process.join()


def run_jobs(jobs: Sequence[Job], workers: int) -> None:
    """Work off ``jobs``, so many at a time, with a bar and a line per epoch.

    Finished epochs are not done again. Raises ``CourseError`` with the first problem of a worker,
    and ends the others.
    """
    context = multiprocessing.get_context("spawn")  # a fork would share torch's threads
    waiting = list(jobs)
    active: dict[Connection, tuple[Job, BaseProcess]] = {}  # by the end that is read here
    bar = EpochsBar([job.recipe for job in jobs])

    try:
        while waiting or active:
            # Start workers while there is a place for one.
            while waiting and len(active) < workers:
                job = waiting.pop(0)
                reader, writer = context.Pipe(duplex=False)
                worker = context.Process(target=work, args=(job, writer))
                active[reader] = job, worker
                with no_interrupts():
                    worker.start()
                # Now the worker alone holds the writing end: once it is dead, reading raises an
                # error instead of waiting for ever.
                writer.close()

            # Each worker that has finished an epoch has sent its row.
            ready = wait(list(active))
            for reader in list(active):
                if reader not in ready:
                    continue
                job, process = active[reader]
                row = next_row(reader, job)
                if row is None:
                    # The last message has come: all epochs of this worker are done.
                    del active[reader]
                    process.join()
                    bar.ended(job.recipe, job.seed)
                else:
                    bar.show(job.recipe, job.seed, row)
    finally:
        end_all([process for _, process in active.values()])
        bar.close()


def next_row(reader: Connection, job: Job) -> dict[str, float] | None:
    """The row of an epoch that a worker sends; None where it has done its job.

    Raises ``CourseError`` where it sends the text of an error, or has ended without a word.
    """
    try:
        message = reader.recv()
    except (EOFError, OSError):
        message = CUT_OFF
    if isinstance(message, str):
        raise CourseError(f"{job.recipe.name}, seed {job.seed}: {message}")
    return message
