"""A search compares candidates on validation images, keeps every trial, and repeats none."""

import json
import math
import re
from dataclasses import replace

import pytest
from small_experiments import checkpoints, small_profile
from torch import nn

from helpers import data
from helpers.__main__ import main
from helpers.environment import CourseError
from helpers.experiments import run, runs
from helpers.experiments.catalogue import SEARCHES, find
from helpers.experiments.jobs import Job
from helpers.experiments.mnist_basics import FIRST
from helpers.experiments.runs import Trained, load_for, train_net
from helpers.experiments.search import kept_trials, ranking, search, trial_of
from helpers.training import History


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
    assert list(kept) == ["name", "environment", "commit", "trials"] and kept["trials"] == both
    assert [(trial["recipe"]["name"], trial["seed"]) for trial in both] == [
        ("tiny/0.05", 0),
        ("tiny/0.1", 0),
        ("tiny/0.05", 1),
        ("tiny/0.1", 1),
    ]

    # Where nothing is left to do, nothing is written either: the commit stays that of the trials.
    path.write_text(text.replace('"commit": "', '"commit": "older '), encoding="utf-8")
    before = path.read_bytes()
    assert search("tiny", [1]) == both and path.read_bytes() == before


def test_a_search_without_seeds_is_refused_also_where_trials_are_recorded(tiny):
    search("tiny", [0])
    with pytest.raises(CourseError, match="give at least 1 to --seeds"):
        search("tiny", [])
    with pytest.raises(CourseError, match="--jobs -1: give at least 1"):
        search("tiny", [0], jobs=-1)


def test_a_loss_that_is_not_finite_is_no_trial(tmp_path):
    job = Job(find("first"), 3, tmp_path, 1, True)
    history = History([{"test_loss": math.nan, "test_accuracy": 10.0}])
    with pytest.raises(CourseError, match="first, seed 3: the validation loss is nan"):
        trial_of(job, Trained(nn.Identity(), history))


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


@pytest.mark.parametrize(
    "old, new",
    [
        ('"seed": 0', '"seed": "0"'),
        ('"seed": 0', '"sead": 0'),
        ('"validation_loss": ', '"validation_loss": NaN, "was": '),
        ('"validation_loss": ', '"validation_loss": -Infinity, "was": '),
        ('"validation_accuracy": ', '"validation_accuracy": 1e999, "was": '),
        ('"validation_accuracy": ', '"validation_accuracy": null, "was": '),
        ('"learning_rate": 0.05', '"learning_rate": NaN'),
        ('"momentum": ', '"momentun": '),
        ('"augment": ', '"augments": '),
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


@pytest.mark.parametrize("seeds", [5, None, "012"])
def test_seeds_are_a_list(tiny, seeds):
    words = re.escape(f"seeds are a list such as range(5), not {seeds!r}")
    with pytest.raises(CourseError, match=words):
        search("tiny", seeds)
    with pytest.raises(CourseError, match=words):
        run("first", seeds=seeds)
