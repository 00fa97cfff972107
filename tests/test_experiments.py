"""An experiment ends with the same numbers however often it is killed, and records what it did."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy
import psutil
import pytest
import torch

from helpers import data, environment, experiments
from helpers.__main__ import main
from helpers.environment import ROOT, CourseError
from helpers.experiments import catalogue, jobs, load_result, records
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS, SEARCHES, find
from helpers.experiments.mnist import FIRST
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import commit
from helpers.experiments.runs import load_for, train
from helpers.experiments.search import ranking, search
from helpers.interpret import predict
from helpers.models.small import first_net

NAME, SEEDS = "budget", [0, 1]
LINE = re.compile(rf"{NAME}, seed (\d): epoch +(\d)/2 ")


# Killed at any moment.


def start(runs, workers):
    """The command of an experiment of two seeds and two epochs, in a process group of its own.

    One worker gets one processor: several threads wait for each other for long where others use the machine too.
    """

    def prepare():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test in the background ignores it
        if workers == 1 and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    command = [
        sys.executable,
        "-m",
        "helpers",
        "experiment",
        NAME,
        "--seeds",
        "2",
        "--jobs",
        str(workers),
    ]
    switches = {"COURSE_RUNS": str(runs), "COURSE_SMOKE": "1"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | switches,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=prepare,
    )


def read_until(process, wanted):
    """The (seed, epoch) pairs that the command prints, until ``wanted`` says of them that it is enough."""
    printed = []
    while not wanted(printed) and (text := process.stdout.readline()):
        printed += [tuple(map(int, pair)) for pair in LINE.findall(text)]
    return printed


def workers_of(process, count):
    """The worker processes, once there are so many."""
    while process.poll() is None:
        children = psutil.Process(process.pid).children()
        found = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        if len(found) >= count:
            return found
        time.sleep(0.02)


def ended(processes, seconds=60):
    """Whether all have ended in time (one that nobody has reaped yet has)."""
    limit = time.monotonic() + seconds
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in processes):
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def stop(process, workers, how, runs):
    """End the command in one of four ways; status and error text. No worker outlives it, or trains on."""
    children = workers_of(process, workers)
    if how == "in the first epoch":
        while sum(children[0].cpu_times()[:2]) < 3 and children[0].is_running():
            time.sleep(0.02)
    saved = checkpoints(runs)
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.kill(children[0].pid if how == "a worker" else process.pid, signal.SIGKILL)
    status, error = process.wait(60), process.stderr.read()
    assert ended(children) and (workers > 1 or checkpoints(runs) == saved)
    return status, error


def checkpoints(runs):
    return {path.name: path.stat().st_mtime_ns for path in runs.rglob("*.checkpoint")}


@functools.cache
def uninterrupted(threads):
    """The same experiment in this process, with so many threads and without a checkpoint."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    recipe, images = find(NAME), data.load("mnist", validation=0)
    trained = {
        seed: experiments.train(recipe, seed, images.train, images.test, show=False)
        for seed in SEEDS
    }
    result = experiments.assemble(recipe, images, trained)
    torch.set_num_threads(before)
    return result


def numbers(record):
    """A record without what is allowed to differ between two runs."""
    runs = [
        run | {"seconds": 0, "epochs": [row | {"seconds": 0} for row in run["epochs"]]}
        for run in record["runs"]
    ]
    return record | {"runs": runs, "recorded": "", "commit": ""}


def saw(*pairs):
    return lambda printed: set(pairs) <= set(printed)


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


@pytest.mark.skipif(
    os.name == "nt", reason="Windows has neither SIGKILL nor process groups to signal"
)
@pytest.mark.parametrize("workers", KILLS)
def test_a_killed_experiment_goes_on_and_ends_with_the_same_numbers(workers, tmp_path, monkeypatch):
    met = []
    for wanted, how in KILLS[workers]:
        process = start(tmp_path, workers)
        met += read_until(process, wanted)
        status, error = stop(process, workers, how, tmp_path)
        assert status == {"Ctrl-C": 130, "a worker": 2}.get(how, -signal.SIGKILL)
        if status > 0:
            assert error.count("\n") == 1 and "goes on from its last finished epoch" in error, error

    (folder,) = (tmp_path / "experiments").iterdir()
    for left in (
        folder / ".seed-0.checkpoint.1.0.tmp",
        tmp_path / "results" / f".{NAME}.npz.1.0.tmp",
    ):
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"of a process killed while it wrote")

    process = start(tmp_path, workers)
    rest = read_until(process, lambda printed: False)
    assert process.wait(60) == 0, process.stderr.read()
    assert len(met + rest) == len({*met, *rest})  # no epoch was trained twice once it had ended
    assert workers == 2 or (met, rest) == ([(0, 1), (0, 2), (1, 1)], [(1, 2)])
    assert not list(tmp_path.rglob("*.tmp"))

    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    result = experiments.run(NAME, SEEDS)  # nothing is left to do: this is the record
    expected = uninterrupted(result.record["environment"]["threads"])
    assert numbers(result.record) == numbers(expected.record)
    assert result.arrays.keys() == expected.arrays.keys() > {"predictions", "logits"}
    assert all(
        numpy.array_equal(result.arrays[name], expected.arrays[name]) for name in expected.arrays
    )


# In this process, on few images.


def processors(monkeypatch, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(count), raising=False)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder for runs, 800 training and 100 test images, one thread, and no workers: the parent does their work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    processors(monkeypatch, 1)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    monkeypatch.setattr(data, "SMOKE_SIZES", {"train": 800, "test": 100})
    monkeypatch.setattr(experiments, "run_jobs", lambda jobs, workers: None)
    yield tmp_path
    torch.set_num_threads(threads)


def test_a_record_holds_what_is_needed_to_judge_and_repeat_it(small):
    experiments.run(NAME, SEEDS)
    record = json.loads((small / "results" / f"{NAME}.json").read_text(encoding="utf-8"))
    assert list(record) == [
        "name",
        "recipe",
        "parameters",
        "train_images",
        "data",
        "environment",
        "commit",
        "recorded",
        "runs",
    ]
    assert (record["name"], record["parameters"], record["train_images"]) == (NAME, 9274, 800)
    assert record["recipe"] == json.loads(json.dumps(find(NAME).hyperparameters()))
    assert record["data"] == {
        "name": "mnist",
        "source": "practice",
        "digest": data.load("mnist").digest,
    }
    assert record["environment"].keys() >= {"device", "device_name", "torch", "python", "threads"}
    assert [run["seed"] for run in record["runs"]] == SEEDS
    for run in record["runs"]:
        assert [list(row) for row in run["epochs"]] == 2 * [
            [
                "epoch",
                "learning_rate",
                "train_loss",
                "train_accuracy",
                "test_loss",
                "test_accuracy",
                "seconds",
            ]
        ]
        assert [row["epoch"] for row in run["epochs"]] == [1, 2]
        assert run["seconds"] == pytest.approx(
            sum(row["seconds"] for row in run["epochs"]), abs=0.06
        )


def test_the_commit_is_marked_where_the_package_differs_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == "unknown"

    def git(*command):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        return subprocess.check_output(["git", *identity, *command], cwd=tmp_path, text=True)

    (tmp_path / "helpers").mkdir()
    for name in ("README.md", "helpers/code.py"):
        (tmp_path / name).write_text("old")
    git("init", "-q"), git("add", "."), git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD").strip()
    assert len(head) == 40 and commit() == head
    (tmp_path / "README.md").write_text("new")
    assert commit() == head
    (tmp_path / "helpers" / "code.py").write_text("new")
    assert commit() == head + "+"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() == "unknown"


def test_a_headline_keeps_logits_and_weights_that_give_its_accuracy(small):
    result, images = experiments.run(NAME, SEEDS), data.load("mnist", validation=0)
    with numpy.load(small / "results" / f"{NAME}.npz") as stored:
        arrays = dict(stored)
    assert arrays["predictions"].shape == (2, 100) and arrays["predictions"].dtype == numpy.uint8
    assert arrays["logits"].shape == (2, 100, 10) and arrays["logits"].dtype == numpy.float16
    right = (arrays["predictions"] == images.test.labels.numpy()).mean(1) * 100
    assert right.tolist() == pytest.approx(
        [run["epochs"][-1]["test_accuracy"] for run in result.record["runs"]]
    )
    model = find(NAME).build_model()
    model.load_state_dict(
        {name[8:]: torch.from_numpy(arrays[name]) for name in arrays if name.startswith("weights/")}
    )
    assert numpy.array_equal(predict(model, images.test).predicted, arrays["predictions"][0])


def test_other_nets_keep_predictions_alone_and_large_ones_no_weights(small, monkeypatch):
    assert experiments.run("first", [0]).arrays.keys() == {"predictions"}
    monkeypatch.setattr(
        experiments, "WEIGHTS_LIMIT", 4 * 9274
    )  # batch normalisation's statistics are too much now
    assert experiments.run(NAME, [0]).arrays.keys() == {"predictions", "logits"}


def test_predictions_are_those_of_the_full_logits_where_rounded_ones_tie(small):
    class Close(torch.nn.Linear):
        def forward(self, images):
            return torch.tensor([[1.0, 1.0001] + 8 * [0.0]]).expand(len(images), -1)

    images = data.load("mnist", validation=0)
    arrays = experiments.assemble(
        find(NAME), images, {0: (Close(1, 1), experiments_history())}
    ).arrays
    assert (arrays["predictions"] == 1).all() and (arrays["logits"].argmax(2) == 0).all()


def experiments_history():
    return jobs.training.History([{"epoch": 1, "test_accuracy": 10.0, "seconds": 1.0}])


def test_a_seed_repeats_its_numbers_and_another_gives_others(small):
    images = data.load("mnist", validation=0)
    first, again, other = (
        experiments.train(find(NAME), seed, images.train, images.test, show=False)[1].epochs
        for seed in (3, 3, 4)
    )
    assert [row | {"seconds": 0} for row in first] == [row | {"seconds": 0} for row in again]
    assert first[-1]["train_loss"] != other[-1]["train_loss"]


def test_a_record_with_the_seeds_is_not_made_again_and_one_that_lacks_some_is(small, monkeypatch):
    first = experiments.run("first", [0, 1])
    trained = []
    monkeypatch.setattr(
        jobs.training, "train_one_epoch", spy(trained, jobs.training.train_one_epoch)
    )
    assert experiments.run("first", [0]).record == first.record and not trained
    more = experiments.run("first", [0, 1, 2])
    assert len(trained) == 2 and list(more.accuracies) == [0, 1, 2]  # two epochs of the third seed
    assert more.record["runs"][:2] == first.record["runs"]
    shutil.rmtree(small / "experiments")
    anew = experiments.run("first", range(4))
    assert len(trained) == 10 and numbers(anew.record)["runs"][:3] == numbers(more.record)["runs"]
    assert len(load_result("first", small / "results", find("first")).arrays["predictions"]) == 4


def spy(calls, function):
    def called(*arguments, **options):
        calls.append((arguments, options))
        return function(*arguments, **options)

    return called


def test_a_record_of_another_recipe_is_refused_until_it_is_made_anew(small, monkeypatch):
    experiments.run("first", [0])
    monkeypatch.setitem(EXPERIMENTS, "first", replace(FIRST, learning_rate=0.01))
    with pytest.raises(CourseError, match="another recipe.*--fresh"):
        experiments.run("first", [0])
    assert experiments.run("first", [0], fresh=True).record["recipe"]["learning_rate"] == 0.01


def folders(*recipe, seeds=(0,), workers=1, digest="abc"):
    return {job.folder for job in jobs.plan(recipe, seeds, workers, digest)[0]}


def test_a_folder_belongs_to_all_that_numbers_depend_on(small, monkeypatch):
    recipe = FIRST
    seen = [
        folders(recipe),
        folders(replace(recipe, momentum=0.8)),
        folders(recipe, digest="abd"),
        folders(recipe, digest=""),
    ]
    processors(monkeypatch, 64)
    seen += [folders(recipe), folders(recipe, workers=16)]
    monkeypatch.setattr(jobs.inspect, "getsource", lambda _: "other code")
    seen.append(folders(recipe))
    assert all(len(folder) == 1 for folder in seen) and len(set.union(*seen)) == len(seen)
    assert folders(replace(recipe, title="told otherwise"), seeds=(0, 1)) == seen[-1]


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


def test_on_a_gpu_one_process_works_at_a_time(monkeypatch):
    monkeypatch.setattr(environment, "pick_device", lambda: torch.device("cuda"))
    assert jobs.plan([FIRST], range(5), None, "abc")[1] == 1


# Bad input.


def error_of(capsys, *command):
    """The one line that a failing command says."""
    assert main(command) == 2
    output = capsys.readouterr()
    assert (
        output.err.startswith("error: ")
        and output.err.count("\n") == 1
        and "Traceback" not in output.out
    )
    return output.err


@pytest.mark.parametrize(
    "numbers", [("--seeds", "0"), ("--jobs", "0"), ("--seeds", "-1"), ("--jobs", "-2")]
)
def test_no_seeds_or_no_jobs_are_refused(small, capsys, numbers):
    assert "at least 1" in error_of(capsys, "experiment", NAME, *numbers)


@pytest.mark.parametrize("command", ["experiment", "search"])
def test_an_unknown_name_brings_up_the_near_ones(capsys, command):
    assert "budget" in error_of(capsys, command, "bugdet")


def test_without_real_data_the_command_names_three_ways_out(small, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_SMOKE")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "empty"))
    monkeypatch.setattr(data, "download", lambda *_: None)
    monkeypatch.setattr(data, "PRACTICE_SIZES", {"train": 100, "test": 50})
    monkeypatch.setattr(records, "NOTEBOOKS", tmp_path)
    for command in ("experiment", "search"):
        said = error_of(capsys, command, NAME)
        assert (
            str(tmp_path / "empty") in said
            and "COURSE_DATA" in said
            and "python -m helpers data" in said
        )
    assert not (tmp_path / "results").exists()


def checkpoint_of(name, seed=0):
    recipe = find(name)
    (job,) = jobs.plan([recipe], [seed], 1, load_for(recipe, False).digest)[0]
    job.folder.mkdir(parents=True, exist_ok=True)
    return job, job.folder / f"seed-{seed}.checkpoint"


def test_a_damaged_checkpoint_is_named_by_the_command(small, capsys, monkeypatch):
    job, path = checkpoint_of("first")
    path.write_bytes(b"cut short")
    monkeypatch.setattr(experiments, "run_jobs", jobs.run_jobs)  # in a real worker
    said = error_of(capsys, "experiment", "first", "--seeds", "1", "--jobs", "1")
    assert str(path) in said and "first, seed 0" in said and "delete it" in said
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_checkpoint_cut_short_or_of_another_net_is_refused(small):
    images = data.load("mnist", validation=0)
    job, path = checkpoint_of("first")
    job.train(images)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CourseError, match="damaged"):
        job.train(images)
    other, place = checkpoint_of(NAME)
    place.write_bytes(whole)
    with pytest.raises(CourseError, match="of another run"):
        other.train(images)


class Quits(jobs.Job):
    """A job whose process ends without a word, as one that ran out of memory."""

    def train(self, *_):
        os._exit(0 if self.seed else 9)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_worker_that_just_ends_is_an_error(small, seed):
    with pytest.raises(CourseError, match=f"first, seed {seed}: its process ended too early"):
        jobs.run_jobs([Quits(find("first"), seed, small, 1, False)], 1)


def scarce(monkeypatch, limit):
    """A device whose memory holds ``limit`` images at once."""

    def build(recipe):
        def forward(module, images):
            if len(images[0]) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")

        net = first_net()
        net.register_forward_pre_hook(forward)
        return net

    monkeypatch.setattr(Recipe, "build_model", build)


@pytest.mark.parametrize(
    "limit, words",
    [
        (40, "those of 32 do"),
        (64, "those of 64 do"),
        (1, "those of 1 do"),
        (0, "no smaller ones do"),
    ],
)
def test_memory_that_is_too_small_is_told_with_the_batch_that_fits(
    small, monkeypatch, limit, words
):
    scarce(monkeypatch, limit)
    with pytest.raises(
        CourseError,
        match=f"first: batches of 128 do not fit into .* {words}: .*finished epochs are",
    ):
        checkpoint_of("first")[0].train(data.load("mnist", validation=0))


def test_memory_that_runs_out_later_leaves_the_finished_epochs(small, monkeypatch):
    job, path = checkpoint_of("first")
    scarce(monkeypatch, 128)
    images, begun = data.load("mnist", validation=0), []
    with pytest.raises(CourseError, match="those of 64 do"):
        job.train(images, lambda row: (begun.append(row), scarce(monkeypatch, 64), fail()))
    assert len(begun) == 1 and len(torch.load(path)["epochs"]) == 1


def fail():
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_compiled_net_keeps_the_names_of_its_weights(monkeypatch):
    compiled = []
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda net: compiled.append(list(net.state_dict()))
    )
    split = data.load("mnist", validation=0).train.subset(range(4))
    recipe = replace(find("first"), epochs=2, batch_size=2, compile=True)
    net, _ = train(recipe, 0, split, split, show=False)
    assert compiled == [list(net.state_dict())]


def test_one_command_records_every_net_of_cifar_10(small, monkeypatch, capsys):
    """Practice data, narrow nets, and one process for all: other tests start the workers."""
    monkeypatch.setattr(data, "SMOKE_SIZES", {"train": 1100, "test": 20})
    assert main(["experiment", "cifar", "--seeds", "5"]) == 0
    names = GROUPS["cifar"]
    lines = [line for line in capsys.readouterr().out.splitlines() if "(n = 5)" in line]
    assert [line.partition(":")[0] for line in lines] == names
    assert sorted(path.stem for path in (small / "results").glob("*.json")) == sorted(names)
    for name in names:
        record = json.loads((small / "results" / f"{name}.json").read_text(encoding="utf-8"))
        assert [run["seed"] for run in record["runs"]] == [0, 1, 2, 3, 4] and record["recipe"][
            "mixed"
        ]
        assert all(len(run["epochs"]) == 2 for run in record["runs"])
        with numpy.load(small / "results" / f"{name}.npz") as arrays:
            assert arrays["predictions"].shape == (5, 20)


# Searches, and what a notebook shows.


@pytest.fixture
def tiny(small, monkeypatch):
    """A search of two candidates, and a list of the options of every load."""
    found = tuple(
        replace(find("first"), name=f"tiny/{rate}", learning_rate=rate, epochs=1, peak_epoch=0.5)
        for rate in (0.05, 0.1)
    )
    monkeypatch.setitem(SEARCHES, "tiny", found)
    loads = []
    monkeypatch.setattr(jobs, "load", spy(loads, data.load))
    return loads


def test_a_search_never_loads_the_test_images(tiny, monkeypatch):
    measured = []
    monkeypatch.setattr(jobs, "Batches", spy(measured, data.Batches))
    search("tiny", [0])
    assert tiny and all(options == {"validation": 5000, "test": False} for _, options in tiny)
    assert len(load_for(FIRST, searching=True).test) == 0
    assert [len(arguments[0]) for arguments, _ in measured] == 2 * [600, 200]  # no 100 test images


def test_every_trial_is_kept_and_none_is_done_again(tiny, small, monkeypatch):
    first = search("tiny", [0])
    trained = []
    monkeypatch.setattr(
        jobs.training, "train_one_epoch", spy(trained, jobs.training.train_one_epoch)
    )
    both = search("tiny", [0, 1])
    assert len(first) == 2 and both[:2] == first and len(trained) == 2
    kept = json.loads((small / "results" / "search" / "tiny.json").read_text(encoding="utf-8"))
    assert kept["trials"] == both and kept.keys() >= {"name", "environment", "commit"}
    assert [(trial["recipe"]["name"], trial["seed"]) for trial in both] == [
        ("tiny/0.05", 0),
        ("tiny/0.1", 0),
        ("tiny/0.05", 1),
        ("tiny/0.1", 1),
    ]
    assert all(
        trial["validation_loss"] > 0 and 0 <= trial["validation_accuracy"] <= 100 for trial in both
    )
    assert search("tiny", [1]) == both and len(trained) == 2


def test_a_damaged_record_of_a_search_is_named(tiny, small, capsys):
    path = small / "results" / "search" / "tiny.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"trials": [')
    assert str(path) in error_of(capsys, "search", "tiny") and not tiny


def test_candidates_are_ranked_by_mean_validation_loss():
    def trial(name, rate, loss, accuracy):
        recipe = {"name": name, "learning_rate": rate}
        return {"recipe": recipe, "validation_loss": loss, "validation_accuracy": accuracy}

    trials = [
        trial("b", 1, 0.3, 90),
        trial("a", 1, 0.1, 99),
        trial("a", 1, 0.4, 97),
        trial("b", 2, 0.2, 98),
    ]
    assert ranking(trials).splitlines() == [
        "0.20000  98.00 %  n = 1  b",
        "0.25000  98.00 %  n = 2  a",
        "0.30000  90.00 %  n = 1  b",
    ]


def test_a_notebook_shows_the_record_on_real_data_and_trains_where_it_is_asked_to(
    small, monkeypatch, capsys
):
    images = data.load("mnist", validation=0)
    real = replace(images, source="folder")
    monkeypatch.setattr(environment, "pick_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(records, "NOTEBOOKS", small)
    monkeypatch.setitem(EXPERIMENTS, NAME, find(NAME))
    with pytest.raises(CourseError, match="python -m helpers experiment budget"):
        experiments.show_or_train(NAME, real)
    recorded = experiments.run(NAME, SEEDS)
    capsys.readouterr()
    shown = experiments.show_or_train(NAME, real)
    assert (
        shown.record == recorded.record
        and capsys.readouterr().out == f"{recorded.provenance}: {recorded.command}\n"
    )
    monkeypatch.setenv("COURSE_TRAIN", "1")
    live = experiments.show_or_train(NAME, real)
    assert (
        capsys.readouterr().out.count("epoch ") >= 2 and live.record["data"]["source"] == "folder"
    )
    assert numbers(live.record)["runs"] == numbers(recorded.record)["runs"][:1]


def test_a_notebook_trains_on_practice_data_and_judges_nothing(small, monkeypatch):
    monkeypatch.setattr(catalogue, "smoke", lambda: False)
    result = experiments.show_or_train(NAME, data.load("mnist", validation=0))
    assert len(result.histories[0].epochs) == 3 and len(result.record["runs"]) == 1
    assert "NOT JUDGED" in str(result.judge(EXPERIMENTS[NAME].claim))
