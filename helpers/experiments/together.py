"""Experiments of which each training is shared by several processes (see ``training.several``).

torchrun starts the command once in each process. Process 0 does what the command does anyway; where
it would hand trainings to workers, it tells the others what to train, and trains with them. The
others print and write nothing, and end when it says so.
"""

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NoReturn

import torch
import torch.distributed as dist

from helpers.data import ImageData
from helpers.environment import CourseError, pick_device, short_reason
from helpers.experiments.epochs_bar import EpochsBar
from helpers.experiments.folders import data_digest
from helpers.experiments.jobs import Job, plan
from helpers.experiments.recipe import Recipe
from helpers.experiments.runs import load_for
from helpers.training.connections import JOINING, PATIENCE, launched, lost_connections
from helpers.training.several import Team

STOPPED = "stopped; the same command goes on from the last finished epoch"
SAID = "said"  # in the team's table: what went wrong has been printed


@contextlib.contextmanager
def joined(synchronised: bool = False, workers: int | None = None) -> Iterator[Team | None]:
    """The team of this process in a block; None where the command was started alone.

    ``synchronised`` is ``--sync-norms``, and ``workers`` what ``--jobs`` asks for. What goes wrong
    in the block is said in one line by the first process that notices it, and then all end.
    """
    if not launched():
        if synchronised:
            raise CourseError("--sync-norms is for several GPUs: give the command to torchrun")
        yield None
        return

    # From here on they can agree on who speaks.
    team = join(synchronised)
    try:
        try:
            check_machine(team, workers)
            connect(team)
            yield team
            # The others wait for another training, or for this.
            if team.leads:
                team.from_leader()
        except (CourseError, OSError) as problem:
            end(team, f"error: {problem}", 2)
    except KeyboardInterrupt:
        # It may have come while an error was about to be said.
        end(team, STOPPED, 130)
    # Nets that are no longer used, and wait in circles of references, would hold the connections
    # open until Python's own end.
    gc.collect()
    dist.destroy_process_group()


def join(synchronised: bool) -> Team:
    """This process among those that were started with it.

    Raises ``CourseError`` without torch.distributed, where the port of their common table is taken,
    and where nobody answers there.
    """
    if not dist.is_available() or not dist.is_gloo_available():
        raise CourseError(
            "several processes need torch.distributed, which this build of torch lacks: start the "
            "command without torchrun"
        )
    # torchrun has its table already; by hand, the first process makes it at this port.
    try:
        store, rank, size = next(dist.rendezvous("env://", timeout=JOINING))
    except (RuntimeError, ValueError) as problem:
        port = os.environ.get("MASTER_PORT")
        if "EADDRINUSE" in str(problem) or "already in use" in str(problem):
            raise CourseError(
                f"the port {port} is in use, perhaps by another run: give torchrun --standalone, "
                "which takes a free one"
            ) from problem
        raise CourseError(
            f"the processes do not find each other at port {port} ({short_reason(problem)}): start "
            "them with torchrun --standalone"
        ) from problem
    return Team(rank, size, store, synchronised)


def check_machine(team: Team, workers: int | None) -> None:
    """Raise ``CourseError`` where this machine or this command is not for so many processes."""
    # There may be further machines with more processes.
    device = pick_device().type
    here = int(os.environ.get("LOCAL_WORLD_SIZE") or team.size)
    if workers is not None:
        raise CourseError("--jobs trains nets side by side, torchrun one net at a time: choose one")
    if device == "mps":
        raise CourseError("several processes train on NVIDIA GPUs or on a CPU, and not on mps")
    if device == "cuda" and here > torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise CourseError(f"{here} processes for {count} GPUs: give --nproc-per-node {count}")
    if team.synchronised and device == "cpu":
        raise CourseError("--sync-norms: SyncBatchNorm does not exist on a CPU: leave it away")


def connect(team: Team) -> None:
    """Connect the processes: over nccl between GPUs, over gloo for what lies on the CPU."""
    # Each process has a GPU of its own, which "cuda" means in it from here on.
    backend = "gloo"
    if pick_device().type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or team.rank))
        backend = "cpu:gloo,cuda:nccl"
    # One of them may die before it has begun.
    with lost_connections():
        dist.init_process_group(
            backend, store=team.store, rank=team.rank, world_size=team.size, timeout=PATIENCE
        )


def speaks_unasked(team: Team) -> bool:
    """Whether this process says what is wrong where it cannot ask if another one has said it."""
    # torchrun keeps the common table itself. Where that is gone, so is torchrun, and the leader is
    # being ended like all others. A process that was started by hand may be the last one.
    return team.leads or "TORCHELASTIC_RUN_ID" not in os.environ


def end(team: Team, line: str, status: int) -> NoReturn:
    """End this process, with its line if no other one has said what is wrong."""
    # torchrun ends all as soon as one has ended, and there is nothing to stop any more.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if team.first_to("say", unreachable=speaks_unasked(team)):
        print(line, file=sys.stderr, flush=True)
        with contextlib.suppress(RuntimeError):
            team.store.set(SAID, "")
    else:
        # The line has to be out before the first of them ends.
        with contextlib.suppress(RuntimeError):
            team.store.wait([SAID], timedelta(seconds=5))
    # Python's own end would wait for connections that are gone.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(status)


def to_record(team: Team | None, names: Sequence[str]) -> Sequence[str]:
    """The names of recipes that this process records.

    One that follows has none: it trains along until the leader has recorded all of them.
    """
    if team is None or team.leads:
        return names
    follow(team)
    return []


def run_jobs(team: Team, recipe: Recipe, seeds: Sequence[int], data: ImageData) -> list[Job]:
    """Train a recipe with every seed, one after the other, all processes together; the leader's.

    It prints a line per epoch, and returns the jobs, whose outcomes lie in their folders.
    """
    # The number of threads comes out of it, too: processors are shared among the processes.
    digest = data_digest(data)
    todo, _ = plan([recipe], seeds, team.size, digest, together=team.facts())
    bar = EpochsBar([job.recipe for job in todo])
    try:
        for job in todo:
            team.from_leader(job)
            train(team, job, data, bar)
    finally:
        bar.close()
    return todo


def follow(team: Team) -> None:
    """Train what the leader says, until it says that there is nothing more."""
    # As in a worker, only the leader prints.
    data: dict[str, ImageData] = {}
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        while True:
            job = team.from_leader()
            if job is None:
                return
            # The leader has it already, so that nothing is downloaded twice.
            name = job.recipe.data
            if name not in data:
                data[name] = load_for(job.recipe, job.searching)
            train(team, job, data[name])


def train(team: Team, job: Job, data: ImageData, bar: EpochsBar | None = None) -> None:
    """Take part in a training. Raises ``CourseError`` as it does, with its name and seed."""

    def show(row: dict[str, float]) -> None:
        """Print a finished epoch; the leader alone has a bar."""
        if bar is not None:
            bar.show(job.recipe, job.seed, row)

    # All processes raise the errors of a training in the same words, and one of them says it.
    try:
        job.train(data, on_epoch=show, team=team)
    except CourseError as problem:
        raise CourseError(f"{job.recipe.name}, seed {job.seed}: {problem}") from problem
    if bar is not None:
        bar.ended(job.recipe, job.seed)
