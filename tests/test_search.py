"""A search compares candidates on validation images, keeps every trial, and repeats none."""

import json
import math
import re
from dataclasses import replace

import pytest
import torch
from small_experiments import checkpoints, small_profile
from torch import nn

from helpers import data, environment, training
from helpers.__main__ import main
from helpers.environment import CourseError
from helpers.experiments import jobs, run, runs
from helpers.experiments import search as searching
from helpers.experiments.assembling import current_commit
from helpers.experiments.catalogue import SEARCHES, find
from helpers.experiments.folders import checkpoint_in
from helpers.experiments.jobs import Job
from helpers.experiments.mnist_basics import FIRST
from helpers.experiments.runs import load_for, train_net
from helpers.experiments.search import kept_trials, ranking, search
from helpers.training.metrics import DivergedError, LossWatch, check_measures


@pytest.fixture
def small(tmp_path, monkeypatch):
    yield from small_profile(tmp_path, monkeypatch)


@pytest.fixture
def tiny(small, monkeypatch):
    """A search of two candidates, and a list of the options of every load."""
    found = []
    for rate in (0.05, 0.1):
        name = f"tiny/{rate}"
        short = replace(find("first"), epochs=1, peak_epoch=0.5)
        found.append(replace(short, name=name, learning_rate=rate))
    monkeypatch.setitem(SEARCHES, "tiny", tuple(found))
    loads = []

    def load(name, **options):
        loads.append(options)
        return data.load(name, **options)

    monkeypatch.setattr(runs, "load", load)
    return loads


def test_a_search_never_loads_the_test_images(tiny):
    search("tiny", [0])
    assert tiny and all(options == {"validation": 5000, "test": False} for options in tiny)
    found = load_for(FIRST, searching=True)
    assert (len(found.train), len(found.validation), len(found.test)) == (600, 200, 0)


def test_a_trial_is_measured_on_the_validation_images(tiny):
    trial = search("tiny", [0])[0]
    images = load_for(FIRST, searching=True)
    recipe = SEARCHES["tiny"][0]
    last = train_net(recipe, 0, images.train, images.validation, show=False).history.last
    assert trial == {
        "recipe": recipe.hyperparameters(),
        "seed": 0,
        "validation_loss": round(last["test_loss"], 6),
        "validation_accuracy": last["test_accuracy"],
        "environment": environment.machine(),
        "commit": current_commit(),
    }


def test_every_trial_is_kept_and_none_is_done_again(tiny, small):
    first = search("tiny", [0])
    written = checkpoints(small)
    both = search("tiny", [0, 1])
    assert len(first) == 2 and both[:2] == first
    assert checkpoints(small).items() > written.items() and len(checkpoints(small)) == 4
    path = small / "results" / "search" / "tiny.json"
    text = path.read_text(encoding="utf-8")
    kept = json.loads(text)
    assert list(kept) == ["name", "trials"] and kept["trials"] == both
    assert [(trial["recipe"]["name"], trial["seed"]) for trial in both] == [
        ("tiny/0.05", 0),
        ("tiny/0.1", 0),
        ("tiny/0.05", 1),
        ("tiny/0.1", 1),
    ]

    # Where nothing is left to do, nothing is written either.
    path.write_text(text + "\n", encoding="utf-8")
    before = path.read_bytes()
    assert search("tiny", [1]) == both and path.read_bytes() == before


def test_every_trial_names_the_machine_and_the_commit_that_it_was_made_with(
    tiny, small, monkeypatch
):
    monkeypatch.setattr(searching, "current_commit", lambda: "a" * 40)
    first = search("tiny", [0])

    # Older files name one of each for all of their trials.
    path = small / "results" / "search" / "tiny.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    for trial in kept["trials"]:
        machine, commit = trial.pop("environment"), trial.pop("commit")
    kept |= {"environment": machine, "commit": commit}
    path.write_text(json.dumps(kept), encoding="utf-8")
    assert kept_trials("tiny", small / "results") == first

    monkeypatch.setattr(searching, "current_commit", lambda: "b" * 40)
    monkeypatch.setattr(searching.environment, "machine", lambda: {"device": "another"})
    both = search("tiny", [0, 1])
    assert [trial["commit"][0] for trial in both] == ["a", "a", "b", "b"]
    machines = [trial["environment"] for trial in both]
    assert machines[:2] == [machine] * 2 and machines[2:] == [{"device": "another"}] * 2
    assert json.loads(path.read_text(encoding="utf-8"))["trials"] == both


def test_trials_that_another_command_adds_meanwhile_are_kept(tiny, monkeypatch):
    theirs = search("tiny", [0])

    def slowly(todo, workers):
        monkeypatch.setattr(searching, "run_jobs", lambda todo, workers: None)
        search("tiny", [2])  # a second command, which is done before the first

    monkeypatch.setattr(searching, "run_jobs", slowly)
    found = search("tiny", [1])
    assert [trial["seed"] for trial in found] == [0, 0, 2, 2, 1, 1] and found[:2] == theirs
    assert kept_trials("tiny", searching.results_root()) == found


def test_a_search_without_seeds_is_refused_also_where_trials_are_recorded(tiny):
    search("tiny", [0])
    with pytest.raises(CourseError, match="give at least 1 to --seeds"):
        search("tiny", [])
    with pytest.raises(CourseError, match="--jobs -1: give at least 1"):
        search("tiny", [0], jobs=-1)


@pytest.fixture
def wild(small, monkeypatch):
    """A search of one rate that a net learns at, and one at which its loss is soon no number."""
    short = replace(find("first"), epochs=2, peak_epoch=0.5)
    calm = replace(short, name="wild/calm", learning_rate=0.05)
    high = replace(short, name="wild/high", learning_rate=1e30)
    monkeypatch.setitem(SEARCHES, "wild", (high, calm))
    return small


def test_a_trial_that_diverges_is_kept_and_ends_no_search(wild, monkeypatch):
    high, calm = search("wild", [0])
    assert calm["validation_loss"] > 0 and "diverged" not in calm
    assert high["recipe"]["name"] == "wild/high" and high["seed"] == 0
    assert high["validation_loss"] is high["validation_accuracy"] is None
    assert re.fullmatch(r"epoch [12]/2(, step \d+)?", high["diverged"])

    # It is read as it was written, in JSON that every reader takes, and never done again.
    text = (wild / "results" / "search" / "wild.json").read_text(encoding="utf-8")
    assert "NaN" not in text and kept_trials("wild", wild / "results") == [high, calm]
    trained = []
    monkeypatch.setattr("helpers.experiments.jobs.train_on", lambda *given, **_: trained.append(1))
    assert search("wild", [0]) == [high, calm] and trained == []


def test_what_a_worker_found_to_diverge_is_not_trained_again(wild, monkeypatch):
    recipe = SEARCHES["wild"][0]
    job = Job(recipe, 0, wild / "folder", 1, True)
    images = load_for(recipe, searching=True)
    messages = Messages()
    monkeypatch.setattr(jobs, "end_with_parent", lambda: None)
    jobs.work(job, messages)
    assert messages == [None]
    monkeypatch.setattr(jobs, "train_on", None)
    with pytest.raises(DivergedError, match="the (test )?loss is (nan|inf) at a learning rate"):
        job.train(images)


def test_an_experiment_that_diverges_ends_with_the_words_of_the_training(wild, monkeypatch):
    recipe = SEARCHES["wild"][0]
    job = Job(recipe, 0, wild / "folder", 1, False)
    messages = Messages()
    monkeypatch.setattr(jobs, "end_with_parent", lambda: None)
    jobs.work(job, messages)
    assert len(messages) == 1 and "take a lower" in messages[0]
    assert not list((wild / "folder").glob("*.diverged"))


class Messages(list):
    """A list in the place of a pipe's writing end."""

    send = list.append


@pytest.mark.parametrize(
    "loss, where",
    [
        ([math.nan], "epoch 3/5, step 1"),
        ([1.0] * 30 + [math.inf], "epoch 3/5, step 31"),
    ],
)
def test_divergence_says_where_it_was(loss, where):
    watch = LossWatch("epoch 3/5")
    for each in loss:
        watch.add(torch.tensor(each), 0.1)
    with pytest.raises(DivergedError) as said:
        watch.finish()
    assert said.value.where == where and str(said.value).startswith(f"{where}: the loss is ")


@pytest.mark.parametrize("losses", [(math.nan, 1.0), (1.0, math.inf), (1.0, -math.inf)])
def test_divergence_that_shows_in_the_measured_losses_is_known_as_well(losses):
    with pytest.raises(DivergedError) as said:
        check_measures(*losses, 0.1, "epoch 3/5")
    assert said.value.where == "epoch 3/5"


def test_other_errors_are_no_divergence():
    with pytest.raises(CourseError) as said:
        training.train_one_epoch(nn.Flatten(), [], torch.optim.SGD([nn.Parameter(torch.ones(1))]))
    assert not isinstance(said.value, DivergedError)


def test_the_mark_of_a_divergence_is_read_with_its_place(wild):
    """Marks of earlier versions hold the same line."""
    job = Job(SEARCHES["wild"][0], 0, wild / "folder", 1, True)
    line = "epoch 2/9, step 41: the loss is nan at a learning rate of 3: take a lower one"
    mark = checkpoint_in(job.folder, job.seed).with_suffix(".diverged")
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(line, encoding="utf-8")
    with pytest.raises(DivergedError) as said:
        job.train(None)
    assert said.value.where == "epoch 2/9, step 41" and str(said.value) == line


def test_a_damaged_record_of_a_search_is_named(tiny, small, capsys):
    path = small / "results" / "search" / "tiny.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"trials": [')
    assert main(["search", "tiny"]) == 2
    error = capsys.readouterr().err
    assert str(path) in error and error.count("\n") == 1 and not tiny


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
    table = ranking(trials)
    assert table.head == ["candidate", "validation loss", "validation accuracy", "seeds"]
    assert table.rows == [
        ["b", "0.20000", "98.00 %", "1"],
        ["a", "0.25000", "98.00 %", "2"],
        ["b", "0.30000", "90.00 %", "1"],
    ]
    trials[0]["recipe"]["name"] = "a search/b"
    assert ranking(trials).rows[2][0] == "a search/b"
    assert [row[0] for row in ranking(trials, short=True).rows] == ["b", "a", "b"]


def test_candidates_with_other_targets_are_ranked_by_accuracy():
    """A smoothed label asks for less certainty, and so the loss is higher for that reason alone."""

    def trial(name, loss, accuracy, smoothing):
        recipe = {"name": name, "label_smoothing": smoothing}
        return {"recipe": recipe, "validation_loss": loss, "validation_accuracy": accuracy}

    alike = [trial("a", 0.1, 98, 0.1), trial("b", 0.2, 99, 0.1)]
    assert [row[0] for row in ranking(alike).rows] == ["a", "b"]
    other = [trial("a", 0.1, 98, 0.0), trial("b", 0.4, 99, 0.2), trial("c", 0.3, 99, 0.2)]
    assert [row[0] for row in ranking(other).rows] == ["c", "b", "a"]


def test_candidates_that_diverged_come_last():
    def trial(name, loss):
        recipe = {"name": name}
        if loss is None:
            nothing = {"validation_loss": None, "validation_accuracy": None}
            return {"recipe": recipe, **nothing, "diverged": "epoch 1/5, step 3"}
        return {"recipe": recipe, "validation_loss": loss, "validation_accuracy": 90.0}

    trials = [trial("c", None), trial("a", 0.1), trial("a", None), trial("b", 2.3)]
    table = ranking(trials)
    assert table.rows == [
        ["b", "2.30000", "90.00 %", "1"],
        ["c: diverged in 1 of 1", "–", "–", "1"],
        ["a: diverged in 1 of 2", "–", "–", "2"],
    ]
    assert table.sides() == ["left", "right", "right", "right"]


@pytest.mark.parametrize(
    "old, new",
    [
        ('"seed": 0', '"seed": "0"'),
        ('"seed": 0', '"sead": 0'),
        ('"validation_loss": ', '"validation_loss": NaN, "was": '),
        ('"validation_loss": ', '"validation_loss": -Infinity, "was": '),
        ('"validation_accuracy": ', '"validation_accuracy": 1e999, "was": '),
        ('"validation_accuracy": ', '"validation_accuracy": null, "was": '),
        ('"validation_loss": ', '"diverged": "epoch 1", "validation_loss": '),
        ('"validation_loss": ', '"diverged": true, "validation_loss": '),
        ('"learning_rate": 0.05', '"learning_rate": NaN'),
        ('"momentum": ', '"momentun": '),
        ('"augment": ', '"augments": '),
        ('"learning_rate": 0.05', '"learning_rate": "0.05"'),
        ('"learning_rate": 0.05', '"learning_rate": [0.05]'),
        ('"learning_rate": 0.05', '"learning_rate": true'),
        ('"nesterov": true', '"nesterov": 1'),
        ('"seed": 0', '"seed": -1'),
        ('"validation_accuracy": ', '"validation_accuracy": 500, "was": '),
        ('"commit": ', '"comit": '),
        ('"environment": ', '"environments": '),
    ],
)
def test_a_trial_with_other_fields_or_without_a_finite_number_is_damaged(tiny, small, old, new):
    trials = search("tiny", [0])
    assert kept_trials("tiny", small / "results") == trials
    path = small / "results" / "search" / "tiny.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(CourseError, match=r"tiny\.json is damaged: restore it") as error:
        kept_trials("tiny", small / "results")
    assert "\n" not in str(error.value)


def test_a_training_that_stands_there_twice_is_damage(tiny, small):
    search("tiny", [0])
    path = small / "results" / "search" / "tiny.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["trials"] *= 2
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(CourseError, match=r"tiny\.json is damaged: restore it"):
        kept_trials("tiny", small / "results")


@pytest.mark.parametrize("seeds", [5, None, "012"])
def test_seeds_are_a_list(tiny, seeds):
    words = re.escape(f"seeds are a list such as range(5), not {seeds!r}")
    with pytest.raises(CourseError, match=words):
        search("tiny", seeds)
    with pytest.raises(CourseError, match=words):
        run("first", seeds=seeds)
