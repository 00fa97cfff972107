"""An experiment records what it did, and a notebook shows it or trains."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy
import pytest
import torch
from small_experiments import checkpoints, numbers, small_profile
from torch import nn

from helpers import data, environment, experiments
from helpers.__main__ import main
from helpers.environment import CourseError
from helpers.experiments import assembling, catalogue, load_model, load_result
from helpers.experiments.assembling import assemble, current_commit
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS, find
from helpers.experiments.mnist_basics import FIRST
from helpers.experiments.runs import train_net
from helpers.interpret import predict
from helpers.training import History

NAME, SEEDS = "budget", [0, 1]
FIELDS = ["epoch", "learning_rate", "train_loss", "train_accuracy", "test_loss", "test_accuracy"]


@pytest.fixture
def small(tmp_path, monkeypatch):
    yield from small_profile(tmp_path, monkeypatch)


# What is recorded.


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
        "arrays",
        "runs",
    ]
    assert (record["name"], record["parameters"], record["train_images"]) == (NAME, 9274, 800)
    assert record["recipe"] == find(NAME).hyperparameters()
    digest = data.load("mnist").digest
    assert record["data"] == {"name": "mnist", "source": "practice", "digest": digest}
    assert record["environment"].keys() >= {"device", "device_name", "torch", "python", "threads"}
    assert [run["seed"] for run in record["runs"]] == SEEDS
    for run in record["runs"]:
        assert [list(row) for row in run["epochs"]] == 2 * [[*FIELDS, "seconds"]]
        assert [row["epoch"] for row in run["epochs"]] == [1, 2]
        seconds = sum(row["seconds"] for row in run["epochs"])
        assert run["seconds"] == pytest.approx(seconds, abs=0.06)


def made_history(**numbers):
    row = {"epoch": 1, "test_accuracy": 10.0, "seconds": 1.0} | numbers
    return History([row])


def test_numbers_are_recorded_to_the_sixth_digit(small):
    images = data.load("mnist", validation=0)
    net = find(NAME).build_model()
    history = made_history(test_loss=0.123456789, learning_rate=3.16e-6, seconds=12.3456789)
    (run,) = assemble(find(NAME), images, {7: (net, history)}).record["runs"]
    row = {"epoch": 1, "test_accuracy": 10.0, "test_loss": 0.123457, "learning_rate": 3e-6}
    assert run == {"seed": 7, "seconds": 12.3, "epochs": [row | {"seconds": 12.345679}]}
    whole = made_history(test_loss=1 / 3, learning_rate=0.0316227766)
    (run,) = assemble(find(NAME), images, {0: (net, whole)}).record["runs"]
    assert abs(run["epochs"][0]["test_loss"] - 1 / 3) < 1e-6
    assert run["epochs"][0]["learning_rate"] == 0.031623


def test_the_commit_is_marked_where_the_package_differs_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(assembling, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert current_commit() == "unknown"

    def git(*command):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        return subprocess.check_output(["git", *identity, *command], cwd=tmp_path, text=True)

    (tmp_path / "helpers").mkdir()
    for name in ("README.md", "helpers/code.py"):
        (tmp_path / name).write_text("old")
    git("init", "-q"), git("add", "."), git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD").strip()
    assert len(head) == 40 and current_commit() == head
    (tmp_path / "README.md").write_text("new")
    assert current_commit() == head
    (tmp_path / "helpers" / "code.py").write_text("new")
    assert current_commit() == head + "+"
    # Code that no commit holds counts as well; notes beside it do not.
    (tmp_path / "helpers" / "code.py").write_text("old")
    (tmp_path / "helpers" / "notes.txt").write_text("mine")
    assert current_commit() == head
    (tmp_path / "helpers" / "deep").mkdir()
    (tmp_path / "helpers" / "deep" / "mine.py").write_text("new")
    assert current_commit() == head + "+"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert current_commit() == "unknown"


def test_a_headline_keeps_logits_and_weights_that_give_its_accuracy(small, monkeypatch):
    result, images = experiments.run(NAME, SEEDS), data.load("mnist", validation=0)
    arrays = result.arrays
    assert arrays["predictions"].shape == (2, 100) and arrays["predictions"].dtype == numpy.uint8
    assert arrays["logits"].shape == (2, 100, 10) and arrays["logits"].dtype == numpy.float16
    right = (arrays["predictions"] == images.test.labels.numpy()).mean(1) * 100
    assert right.tolist() == pytest.approx(list(result.accuracies.values()))

    # The net that load_model gives back is that of the first seed, ready to be used.
    monkeypatch.setattr(environment, "NOTEBOOKS", small)
    monkeypatch.setitem(EXPERIMENTS, NAME, find(NAME))
    net = load_model(NAME)
    assert not any(module.training for module in net.modules())
    assert numpy.array_equal(predict(net, images.test).predicted, arrays["predictions"][0])
    assert not numpy.array_equal(arrays["predictions"][0], arrays["predictions"][1])


def test_other_nets_keep_predictions_alone_and_large_ones_no_weights(small, monkeypatch):
    assert experiments.run("first", [0]).arrays.keys() == {"predictions"}
    # The statistics of batch normalisation are too much now.
    monkeypatch.setattr(assembling, "WEIGHTS_LIMIT", 4 * 9274)
    monkeypatch.setattr(assembling, "LOGITS_OF", 1)
    arrays = experiments.run(NAME, SEEDS).arrays
    assert arrays.keys() == {"predictions", "logits"}
    assert arrays["logits"].shape == (1, 100, 10) and arrays["predictions"].shape == (2, 100)
    monkeypatch.setattr(environment, "NOTEBOOKS", small)
    for name in (NAME, "first"):
        monkeypatch.setitem(EXPERIMENTS, name, find(name))
        words = rf"record {name} holds no weights.*EXPERIMENTS\['{name}'\]"
        with pytest.raises(CourseError, match=words) as error:
            load_model(name)
        assert "\n" not in str(error.value)


def test_the_net_of_a_name_without_a_record_is_told_like_the_record(small, monkeypatch):
    monkeypatch.setattr(environment, "NOTEBOOKS", small)
    with pytest.raises(CourseError, match="not recorded yet"):
        load_model(NAME)
    with pytest.raises(CourseError, match="unknown record 'bugdet'; choose one of: budget"):
        load_model("bugdet")


class Close(nn.Linear):
    """Gives two logits that 16 bits do not tell apart."""

    def forward(self, images):
        return torch.tensor([[1.0, 1.0001] + 8 * [0.0]]).expand(len(images), -1)


def test_predictions_are_those_of_the_full_logits_where_rounded_ones_tie(small):
    images = data.load("mnist", validation=0)
    arrays = assemble(find(NAME), images, {0: (Close(1, 1), made_history())}).arrays
    assert (arrays["predictions"] == 1).all() and (arrays["logits"].argmax(2) == 0).all()


def test_a_seed_repeats_its_numbers_and_another_gives_others(small):
    images = data.load("mnist", validation=0)
    runs = []
    for seed in (3, 3, 4):
        net, history = train_net(find(NAME), seed, images.train, images.test, show=False)
        runs.append([row | {"seconds": 0} for row in history.epochs])
    assert runs[0] == runs[1] and runs[0] != runs[2]


# What is done again, and what is not.


def test_a_record_with_the_seeds_is_not_made_again_and_one_that_lacks_some_is(small):
    first = experiments.run("first", [0, 1])
    written = checkpoints(small)
    assert experiments.run("first", [0]).record == first.record
    assert experiments.run("first", numpy.arange(2)).record == first.record

    # Finished seeds are only read: equal to the last second.
    more = experiments.run("first", [2])
    assert list(more.accuracies) == [0, 1, 2] and more.record["runs"][:2] == first.record["runs"]
    assert checkpoints(small).items() > written.items()

    # Where their checkpoints are gone they are trained anew, with equal numbers.
    shutil.rmtree(small / "experiments")
    anew = experiments.run("first", range(4))
    assert numbers(anew.record)["runs"][:3] == numbers(more.record)["runs"]
    assert anew.record["runs"][:3] != more.record["runs"]
    assert len(load_result("first", small / "results", find("first")).arrays["predictions"]) == 4


def test_a_record_of_another_recipe_is_refused_until_it_is_made_anew(small, monkeypatch):
    experiments.run("first", [0])
    monkeypatch.setitem(EXPERIMENTS, "first", replace(FIRST, learning_rate=0.01))
    with pytest.raises(CourseError, match="another recipe.*--fresh"):
        experiments.run("first", [0])
    assert experiments.run("first", [0], fresh=True).record["recipe"]["learning_rate"] == 0.01


def test_the_files_of_two_saves_are_made_anew_from_what_was_trained(small):
    first = experiments.run("first", [0])
    path = small / "results" / "first.npz"
    experiments.run("first", [0, 1])
    path.write_bytes(path.read_bytes() + b"of another save")
    with pytest.raises(CourseError, match="does not match its npz.*--fresh$"):
        experiments.run("first", [0])
    assert experiments.run("first", [0], fresh=True).record["runs"] == first.record["runs"]


# Bad input.


@pytest.mark.parametrize(
    "options, words",
    [
        ({"seeds": []}, "give at least 1 to --seeds"),
        ({"seeds": range(-1)}, "give at least 1 to --seeds"),
        ({"seeds": [-1]}, "a seed is a whole number from 0 to 4294967295, not -1"),
        ({"seeds": [2**32]}, "not 4294967296"),
        ({"seeds": [1.0]}, "not 1.0"),
        ({"seeds": [True]}, "not True"),
        ({"seeds": [0], "jobs": 0}, "--jobs 0: give at least 1"),
        ({"seeds": [0], "jobs": 1.5}, "--jobs 1.5: give at least 1"),
    ],
)
def test_no_seeds_and_wrong_ones_are_refused_also_with_a_record_there(small, options, words):
    experiments.run("first", [0])
    with pytest.raises(CourseError, match=words):
        experiments.run("first", **options)


def test_a_seed_that_is_given_twice_is_trained_once(small):
    assert list(experiments.run("first", [1, numpy.int64(1), 0]).accuracies) == [1, 0]


def error_of(capsys, *command):
    """The one line that a failing command says."""
    assert main(command) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ") and output.err.count("\n") == 1
    assert "Traceback" not in output.out
    return output.err


@pytest.mark.parametrize(
    "numbers", [("--seeds", "0"), ("--jobs", "0"), ("--seeds", "-1"), ("--jobs", "-2")]
)
@pytest.mark.parametrize("command", ["experiment", "search"])
def test_no_seeds_or_no_jobs_are_one_line_and_status_2(small, capsys, command, numbers):
    name = {"experiment": "first", "search": "compact"}[command]
    if command == "experiment":
        experiments.run(name, [0])
        capsys.readouterr()
    assert "at least 1" in error_of(capsys, command, name, *numbers)


@pytest.mark.parametrize("command", ["experiment", "search"])
def test_an_unknown_name_brings_up_the_near_ones(capsys, command):
    assert "budget" in error_of(capsys, command, "bugdet")


def test_without_real_data_the_command_names_three_ways_out(small, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_SMOKE")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "empty"))
    monkeypatch.setattr(data, "download", lambda *_: None)
    monkeypatch.setattr(data, "PRACTICE_SIZES", {"train": 100, "test": 50})
    monkeypatch.setattr(environment, "NOTEBOOKS", tmp_path)
    (tmp_path / "01_first.ipynb").touch()
    said = error_of(capsys, "experiment", NAME)
    assert str(tmp_path / "empty") in said and "COURSE_DATA" in said
    assert "python -m helpers data" in said
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_one_command_records_every_net_of_cifar_10(small, monkeypatch, capsys):
    """Practice data, narrow nets, one seed and one process: others test several, and workers."""
    monkeypatch.setattr(data, "SMOKE_SIZES", {"train": 1100, "test": 20})
    assert main(["experiment", "cifar", "--seeds", "1"]) == 0
    names = GROUPS["cifar"]
    lines = [line for line in capsys.readouterr().out.splitlines() if "(n = 1)" in line]
    assert [line.partition(":")[0] for line in lines] == names
    assert sorted(path.stem for path in (small / "results").glob("*.json")) == sorted(names)
    for name in names:
        result = load_result(name, small / "results", find(name))
        assert list(result.accuracies) == [0] and result.recipe.mixed
        assert [len(history.epochs) for history in result.histories] == [2]
        assert result.arrays["predictions"].shape == (1, 20)

    # A second seed joins the first.
    name = "cifar-resnet9-grouped"
    assert main(["experiment", name, "--seeds", "2"]) == 0
    assert f"{name}: " in capsys.readouterr().out
    result = load_result(name, small / "results", find(name))
    assert list(result.accuracies) == [0, 1] and result.arrays["predictions"].shape == (2, 20)


# What a notebook shows.


@pytest.fixture
def real(small, monkeypatch):
    """Images that count as real ones on a machine without a GPU."""
    monkeypatch.setattr(environment, "NOTEBOOKS", small)
    monkeypatch.setitem(EXPERIMENTS, NAME, find(NAME))
    monkeypatch.setattr(environment, "pick_device", lambda: torch.device("cpu"))
    return replace(data.load("mnist", validation=0), source="folder")


def test_a_notebook_shows_the_record_on_real_data(real, capsys):
    with pytest.raises(CourseError, match="python -m helpers experiment budget"):
        experiments.show_or_train(NAME, real)
    recorded = experiments.run(NAME, SEEDS)
    capsys.readouterr()
    shown = experiments.show_or_train(NAME, real)
    assert shown.record == recorded.record
    assert capsys.readouterr().out == f"{recorded.provenance}: {recorded.command}\n"


def test_a_notebook_trains_where_it_is_asked_to_and_goes_on_where_it_was_cut_off(
    real, small, monkeypatch, capsys
):
    monkeypatch.setenv("COURSE_TRAIN", "1")
    live = experiments.show_or_train(NAME, real)
    assert capsys.readouterr().out.count("epoch ") >= 2
    assert live.record["data"]["source"] == "folder"
    (checkpoint,) = checkpoints(small)

    # The machine goes after one of two epochs: another one finds its checkpoint.
    state = torch.load(checkpoint, weights_only=False)
    checkpoint.unlink()

    def goes(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_net(find(NAME), 0, real.train, real.test, checkpoint, show=False, on_epoch=goes)
    capsys.readouterr()
    again = experiments.show_or_train(NAME, real)
    printed = capsys.readouterr().out
    assert "Goes on from its checkpoint" in printed and printed.count("epoch  ") == 1
    assert numbers(again.record) == numbers(live.record) and len(state["epochs"]) == 2

    # Finished, it is only read; other images are another training.
    assert experiments.show_or_train(NAME, real).record["runs"] == again.record["runs"]
    real.train.labels[0] = (real.train.labels[0] + 1) % 10
    other = experiments.show_or_train(NAME, real)
    assert numbers(other.record)["runs"] != numbers(live.record)["runs"]


def test_a_notebook_trains_on_practice_data_and_judges_nothing(small, monkeypatch):
    monkeypatch.setattr(catalogue, "smoke", lambda: False)
    result = experiments.show_or_train(NAME, data.load("mnist", validation=0))
    assert len(result.histories[0].epochs) == 3 and len(result.record["runs"]) == 1
    assert "NOT JUDGED" in str(result.judge(EXPERIMENTS[NAME].claim))
