"""An experiment ends with the same numbers however often it is killed, and its workers with it."""

import functools
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy
import pytest
import torch
from processes import descendants, has_ended
from small_experiments import checkpoints, numbers, processors, small_profile

import helpers
from helpers import data, environment, experiments
from helpers.__main__ import main
from helpers.environment import ROOT, CourseError
from helpers.experiments import folders as folders_module
from helpers.experiments import jobs
from helpers.experiments.assembling import assemble
from helpers.experiments.catalogue import find
from helpers.experiments.folders import checkpoint_in, data_digest
from helpers.experiments.mnist_basics import FIRST
from helpers.experiments.runs import load_for, train, train_net
from helpers.leftovers import is_running, remove_leftovers

NAME, SEEDS = "budget", [0, 1]
LINE = re.compile(r"(\w+), seed (\d): epoch +(\d)/2 ")
UNIX = pytest.mark.skipif(os.name == "nt", reason="Windows has neither SIGKILL nor process groups")


@pytest.fixture
def small(tmp_path, monkeypatch):
    yield from small_profile(tmp_path, monkeypatch)


# Killed at any moment.


def start(runs, workers, name=NAME):
    """The command of an experiment of two seeds and two epochs, in a process group of its own.

    One worker gets one processor: several threads wait for each other for long where others use
    the machine too.
    """

    def prepare():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test in the background ignores it
        if workers == 1 and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    command = [sys.executable, "-m", "helpers", "experiment", name, "--seeds", "2"]
    return subprocess.Popen(
        [*command, "--jobs", str(workers)],
        cwd=ROOT,
        env=os.environ | {"COURSE_RUNS": str(runs), "COURSE_SMOKE": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=prepare,
    )


def read_until(process, wanted):
    """The (seed, epoch) pairs that the command prints, until ``wanted`` says it is enough."""
    printed = []
    while not wanted(printed):
        text = process.stdout.readline()
        if not text:
            break
        for _, seed, epoch in LINE.findall(text):
            printed.append((int(seed), int(epoch)))
    return printed


def workers_of(process, count):
    """The worker processes, once there are so many."""
    while process.poll() is None:
        found = descendants(process, lambda below: "spawn_main" in " ".join(below.cmdline()))
        if len(found) >= count:
            return found
        time.sleep(0.02)
    return []


def ended(processes, seconds=60):
    """Whether all have ended in time."""
    limit = time.monotonic() + seconds
    while not all(has_ended(process) for process in processes):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def stop(process, workers, how, runs):
    """End the command in one of four ways; status and error text. No worker outlives it."""
    children = workers_of(process, workers)
    if how == "in the first epoch":
        # A worker takes two seconds to begin and one for an epoch, so it has not finished any.
        while sum(children[0].cpu_times()[:2]) < 1.5 and children[0].is_running():
            time.sleep(0.02)
    saved = checkpoints(runs)
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.kill(children[0].pid if how == "a worker" else process.pid, signal.SIGKILL)
    status, error = process.wait(60), process.stderr.read()
    assert ended(children) and (workers > 1 or checkpoints(runs) == saved)
    return status, error


@functools.cache
def uninterrupted(threads):
    """The same experiment in this process, with so many threads and without a checkpoint."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    recipe, images = find(NAME), data.load("mnist", validation=0)
    trained = {}
    for seed in SEEDS:
        trained[seed] = train_net(recipe, seed, images.train, images.test, show=False)
    result = assemble(recipe, images, trained)
    torch.set_num_threads(before)
    return result


def saw(*pairs):
    return lambda printed: set(pairs) <= set(printed)


def pid_of_an_ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


KILLS = {
    1: [
        (lambda printed: True, "in the first epoch"),
        (saw((0, 1)), "Ctrl-C"),
        (saw((1, 1)), "the parent"),
    ],
    2: [
        (lambda printed: printed, "a worker"),
        (lambda printed: printed[-1:] and printed[-1][1] == 2, "the parent"),
    ],
}


@UNIX
@pytest.mark.slow
@pytest.mark.parametrize("workers", KILLS)
def test_a_killed_experiment_goes_on_and_ends_with_the_same_numbers(workers, tmp_path, monkeypatch):
    before = []
    for wanted, how in KILLS[workers]:
        process = start(tmp_path, workers)
        before += read_until(process, wanted)
        status, error = stop(process, workers, how, tmp_path)
        assert status == {"Ctrl-C": 130, "a worker": 2}.get(how, -signal.SIGKILL)
        if status > 0:
            assert error.count("\n") == 1 and "last finished epoch" in error, error

    (folder,) = (tmp_path / "experiments").iterdir()
    gone = pid_of_an_ended_process()
    for left in (
        folder / f".seed-0.checkpoint.{gone}.0.tmp",
        tmp_path / "results" / f".{NAME}.npz.{gone}.0.tmp",
    ):
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"of a process killed while it wrote")

    process = start(tmp_path, workers)
    rest = read_until(process, lambda printed: False)
    assert process.wait(60) == 0, process.stderr.read()
    # No epoch was trained twice once it had ended.
    assert len(before + rest) == len({*before, *rest})
    assert workers == 2 or (before, rest) == ([(0, 1), (0, 2), (1, 1)], [(1, 2)])
    assert not list(tmp_path.rglob("*.tmp"))

    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    result = experiments.run(NAME, SEEDS)  # nothing is left to do: this is the record
    expected = uninterrupted(result.record["environment"]["threads"])
    assert numbers(result.record) == numbers(expected.record | {"arrays": ""})
    assert result.arrays.keys() == expected.arrays.keys() > {"predictions", "logits"}
    for name, array in expected.arrays.items():
        assert numpy.array_equal(result.arrays[name], array)


@UNIX
@pytest.mark.slow
def test_two_commands_of_one_experiment_leave_each_other_in_peace(tmp_path, monkeypatch):
    commands = [start(tmp_path, 1, "first") for _ in range(2)]
    for command in commands:
        _, error = command.communicate(timeout=200)
        assert (command.returncode, error.count("error")) == (0, 0), error
    assert not list(tmp_path.rglob("*.tmp"))
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    assert list(experiments.run("first", SEEDS).accuracies) == SEEDS


SLEEPERS = """
import os, sys, time
from pathlib import Path
from helpers.experiments import jobs
from helpers.experiments.catalogue import find

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else None

class Sleeper(jobs.Job):
    def train(self, data, on_epoch=None):
        (self.folder / f"{os.getpid()}.started").touch()
        time.sleep(600)

if __name__ == "__main__":
    todo = [Sleeper(find("first"), seed, FOLDER, 1, False) for seed in range(2)]
    try:
        jobs.run_jobs(todo, 2)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@UNIX
@pytest.mark.slow
@pytest.mark.parametrize("started, presses", [(0, 1), (2, 1), (2, 20)])
def test_ctrl_c_however_often_ends_all_workers_at_once(tmp_path, started, presses):
    """Also while the workers are still starting, when none of them ignores it yet."""
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "sleepers.py", tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    children = workers_of(process, 2)
    while len(list(tmp_path.glob("*.started"))) < started:
        time.sleep(0.02)
    for _ in range(presses):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.003)
    assert ended(children, seconds=20)
    process.wait(20)
    if presses == 1:  # with more of them the end of the parent itself is interrupted
        assert (process.returncode, process.stderr.read()) == (130, "")


# Temporary files.


@UNIX
def test_what_dead_processes_left_is_removed_and_what_is_being_written_stays(tmp_path):
    gone = pid_of_an_ended_process()
    dead = [f".seed-1.checkpoint.{gone}.00ff.tmp", f".seed-1.checkpoint.{gone}.1.tmp"]
    kept = [
        f".seed-1.checkpoint.{os.getpid()}.00ff.tmp",
        f".seed-1.checkpoint.{os.getppid()}.00ff.tmp",
        ".seed-1.checkpoint.1.00ff.tmp",  # the first process of all is always there
        f".seed-10.checkpoint.{gone}.00ff.tmp",
        ".seed-1.checkpoint.x.00ff.tmp",
        "seed-1.checkpoint",
    ]
    for name in (*dead, *kept):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "seed-1.checkpoint")
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
    remove_leftovers(tmp_path / "nowhere", "seed-1.checkpoint")


@UNIX
def test_a_process_is_alive_or_not():
    assert is_running(os.getpid()) and is_running(1)
    assert not is_running(pid_of_an_ended_process())


# Processors.


@pytest.mark.parametrize(
    "cores, seeds, workers, expected",
    [
        (8, 5, None, (5, 1)),
        (8, 2, None, (2, 4)),
        (2, 5, None, (2, 1)),
        (2, 5, 1, (1, 2)),
        (2, 5, 4, (4, 1)),
    ],
)
def test_processors_are_shared_out_among_the_workers(monkeypatch, cores, seeds, workers, expected):
    processors(monkeypatch, cores)
    todo, workers = jobs.plan([FIRST], range(seeds), workers, "abc")
    assert (workers, todo[0].threads) == expected and len(todo) == seeds


def test_the_number_of_threads_and_the_images_name_the_folder(monkeypatch):
    processors(monkeypatch, 8)
    folders = set()
    for workers, images in ((1, "abc"), (2, "abc"), (1, "abd")):
        todo, _ = jobs.plan([FIRST], [0, 1], workers, images)
        assert todo[0].folder == todo[1].folder
        folders.add(todo[0].folder)
    assert len(folders) == 3


def test_the_kind_of_numbers_names_the_folder_where_precision_is_mixed(monkeypatch):
    mixed = replace(FIRST, name="mixed", mixed=True)
    found: dict = {mixed.name: set(), FIRST.name: set()}
    for number in (None, torch.bfloat16, torch.float16):
        monkeypatch.setattr(folders_module, "half_precision", lambda device, kind=number: kind)
        for recipe in (mixed, FIRST):
            found[recipe.name].add(jobs.plan([recipe], [0], 1, "abc")[0][0].folder)
    assert len(found["mixed"]) == 3 and len(found[FIRST.name]) == 1


def test_a_worker_with_other_code_than_the_command_does_not_train(small, monkeypatch):
    job, _ = job_of("first")
    jobs.check_unchanged(job)
    messages: list = []
    pipe = SimpleNamespace(send=messages.append)
    monkeypatch.setattr(jobs, "end_with_parent", lambda: None)
    jobs.work(replace(job, code="0123456789abcdef"), pipe)
    assert len(messages) == 1 and "have been changed since the command was given" in messages[0]
    assert not list(small.rglob("*.checkpoint"))


def test_on_a_gpu_one_process_works_at_a_time(monkeypatch):
    monkeypatch.setattr(jobs, "pick_device", lambda: torch.device("cuda"))
    assert jobs.plan([FIRST], range(5), None, "abc")[1] == 1


# Workers that fail.


def job_of(name, seed=0):
    """A job of the command, and its checkpoint."""
    recipe = find(name)
    digest = data_digest(load_for(recipe, searching=False))
    (job,) = jobs.plan([recipe], [seed], 1, digest)[0]
    job.folder.mkdir(parents=True, exist_ok=True)
    return job, checkpoint_in(job.folder, seed)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_by_the_command(small, capsys, monkeypatch):
    _, path = job_of("first")
    path.write_bytes(b"cut short")
    monkeypatch.setattr(experiments, "run_jobs", jobs.run_jobs)  # in a real worker
    assert main(["experiment", "first", "--seeds", "1", "--jobs", "1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: first, seed 0: ") and error.count("\n") == 1
    assert str(path) in error
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_checkpoint_cut_short_or_of_another_net_is_refused(small):
    images = data.load("mnist", validation=0)
    job, path = job_of("first")
    job.train(images)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CourseError, match="damaged|cut short|cannot be read"):
        job.train(images)
    other, place = job_of(NAME)
    place.write_bytes(whole)
    with pytest.raises(CourseError, match="another run"):
        other.train(images)


class Quits(jobs.Job):
    """A job whose process ends without a word, as one that ran out of memory."""

    def train(self, *_, **__):
        os._exit(0 if self.seed else 9)


class Full(jobs.Job):
    """A job whose checkpoint finds no space left."""

    def train(self, *_, **__):
        raise OSError(28, "No space left on device", str(self.folder))


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, seed, words",
    [
        (Quits, 0, "first, seed 0: its process ended too early"),
        (Quits, 1, "first, seed 1: its process ended too early"),
        (Full, 2, "first, seed 2: .*No space left on device"),
    ],
)
def test_a_worker_that_fails_is_one_line(small, kind, seed, words):
    with pytest.raises(CourseError, match=words) as error:
        jobs.run_jobs([kind(find("first"), seed, small, 1, False)], 1)
    assert "\n" not in str(error.value)


# Memory.

SCARCE = """
import torch
from helpers.models.small import first_net
from helpers.training import training_step

def net(limit):
    def before_forward(module, images):
        if len(images[0]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")

    net = first_net()
    net.register_forward_pre_hook(before_forward)
    return net

def wasteful_step(model, images, *rest, **options):
    if len(images) > 16:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return training_step(model, images, *rest, **options)
"""


@pytest.fixture
def scarce(tmp_path, monkeypatch):
    """Makes a recipe whose net finds memory for no more than so many images at once."""
    (tmp_path / "scarce_memory.py").write_text(SCARCE)
    monkeypatch.setattr(helpers, "__path__", [*helpers.__path__, str(tmp_path)])

    def recipe(limit):
        options = {"limit": limit}
        return replace(find("first"), model="scarce_memory.net", model_options=options)

    yield recipe
    sys.modules.pop("helpers.scarce_memory", None)


@pytest.mark.parametrize(
    "limit, words",
    [
        (40, "those of 32 do"),
        (64, "those of 64 do"),
        (1, "those of 1 do"),
        (0, "no smaller ones do"),
    ],
)
def test_memory_that_is_too_small_is_told_with_the_batch_that_fits(small, scarce, limit, words):
    images = data.load("mnist", validation=0)
    expected = f"first: batches of 128 do not fit into .* {words}: .*finished epochs are"
    with pytest.raises(CourseError, match=expected) as error:
        train(scarce(limit), 0, images.train, images.test, show=False)
    assert "\n" not in str(error.value)


def test_the_batch_that_fits_is_found_with_the_step_of_the_recipe(small, scarce):
    images = data.load("mnist", validation=0)
    recipe = replace(scarce(64), step="scarce_memory.wasteful_step")
    with pytest.raises(CourseError, match="batches of 128 do not fit .* those of 16 do"):
        train(recipe, 0, images.train, images.test, show=False)


def test_memory_that_runs_out_later_leaves_the_finished_epochs(small, tmp_path):
    images = data.load("mnist", validation=0)
    checkpoint, finished = tmp_path / "seed-0.checkpoint", []

    def runs_out(row):
        finished.append(row)
        raise torch.OutOfMemoryError("CUDA out of memory")

    recipe, splits = find("first"), (images.train, images.test)
    with pytest.raises(CourseError, match="those of 64 do"):
        train(recipe, 0, *splits, checkpoint=checkpoint, show=False, on_epoch=runs_out)
    _, history = train(recipe, 0, *splits, checkpoint=checkpoint, show=False)
    assert len(finished) == 1 and history.epochs[0] == finished[0] and len(history.epochs) == 2


def test_a_compiled_net_keeps_the_names_of_its_weights(monkeypatch):
    compiled = []
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda net: compiled.append(list(net.state_dict()))
    )
    split = data.load("mnist", validation=0).train.subset(range(4))
    recipe = replace(find("first"), epochs=2, batch_size=2, compile=True)
    net, _ = train(recipe, 0, split, split, show=False)
    assert compiled == [list(net.state_dict())]
    assert environment.smoke()
