"""What is said of recipes and searches in words: changes, rankings, and the rungs of a ladder."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest
from scipy.stats import ttest_ind

from helpers.experiments import load_result, ranked, rungs
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.changes import WIDTH, changed, changes
from helpers.experiments.recipe import variant
from helpers.experiments.search import kept_trials, ranking
from helpers.intervals import pooled_sd, student_half

BASE = EXPERIMENTS["ladder-pool"]


def against(**settings):
    return changes(variant(BASE, "new", "new", **settings), BASE)


# What a recipe changes.


@pytest.mark.parametrize(
    "settings, words",
    [
        ({}, []),
        ({"learning_rate": 0.5}, ["learning rate 0.01 → 0.5"]),
        # A factor that the schedule has no use for is no change.
        ({"gamma": 0.3}, []),
        ({"gamma": 0.3, "schedule": "step"}, ["schedule constant → step", "gamma 0.3"]),
        ({"schedule": "one_cycle", "gamma": 0.5}, ["schedule constant → one_cycle"]),
        ({"optimizer": "adamw", "nesterov": True}, ["optimizer sgd → adamw"]),
        ({"model": "models.small.basic_net"}, ["net early_pool_net → basic_net"]),
        ({"model_options": {}}, ["no dropout"]),
        ({"model_options": {"dropout": 0.1}}, ["dropout 0.05 → 0.1"]),
        ({"model_options": {"dropout": 0.05, "widths": [4]}}, ["widths [4]"]),
        (
            {"augment": EXPERIMENTS["ladder-augment"].augment},
            ["augmentation none → turn 6°, shift 5 %, scale 5 %, shear 5°"],
        ),
    ],
)
def test_changes_are_those_that_do_something(settings, words):
    assert against(**settings) == words


def test_of_many_changes_only_the_names_are_said():
    settings = {"epochs": 3, "batch_size": 8, "learning_rate": 1.0, "weight_decay": 0.1}
    new = variant(BASE, "new", "new", **settings)
    assert set(changes(new, BASE)) == {"epochs", "batch size", "learning rate", "weight decay"}
    assert "epochs 15 → 3" in changes(new, BASE, most=4)


def test_every_change_can_be_printed():
    for name, recipe in EXPERIMENTS.items():
        if recipe.baseline and name.startswith(("ladder", "pointwise")):
            assert max(map(len, changed(name).splitlines())) <= WIDTH


# What a search can tell.


def trials(losses, **settings):
    """Trials of candidates at rates, with a loss for each seed."""
    made = []
    for rate, values in losses.items():
        recipe = replace(BASE, name=f"some/rate {rate}", learning_rate=rate, **settings)
        for seed, loss in enumerate(values):
            kept = recipe.hyperparameters()
            made.append({"recipe": kept, "seed": seed, "validation_loss": loss})
    return made


NEAR = {0.1: [0.030, 0.034], 0.01: [0.031, 0.032], 1.0: [0.09, 0.08]}


def test_a_ranking_names_what_is_worse_than_its_first():
    text = ranked.spoken(trials(NEAR))
    assert (
        "candidates: 3, seeds of each: 2" in text and "worse than the first at 95 %: rate 1" in text
    )
    assert "rates tried: 0.01, 0.1, 1" in text and "lies at an end" in text
    assert "rate 0.1," not in text.partition("worse")[2]


def test_the_interval_is_students_where_two_candidates_are_compared():
    first, second = [0.030, 0.034, 0.033], [0.041, 0.036, 0.040]
    scatter = pooled_sd([first, second])
    low, high = ttest_ind(second, first).confidence_interval(0.95)
    assert student_half(*scatter, (3, 3)) == pytest.approx((high - low) / 2)
    decided = bool(ranked.far_behind({"a": first, "b": second}, scatter))
    assert decided == (low > 0) and fmean(second) > fmean(first)


@pytest.mark.parametrize(
    "losses, rate, words",
    [
        (NEAR, 0.01, "number 1 of 3"),
        (NEAR, 0.1, "they cannot be told apart"),
        (NEAR, 1.0, "the first would do better"),
        (NEAR, 0.5, "not among these candidates"),
        ({0.1: [0.03], 0.2: [0.04]}, 0.2, "with one seed each that may be luck"),
    ],
)
def test_a_ranking_says_where_the_used_recipe_stands(losses, rate, words):
    used = replace(BASE, learning_rate=rate, batch_size=128)
    text = ranked.spoken(trials(losses), used)
    assert words in " ".join(text.split())


def test_one_seed_each_decides_nothing():
    text = ranked.spoken(trials({0.1: [0.03], 0.2: [0.9]}))
    assert "no interval can be given" in text and "worse" not in text


def test_what_diverged_is_not_compared():
    text = ranked.spoken(trials({0.1: [0.03, 0.04], 0.2: [None, 0.03]}))
    assert text.startswith("candidates: 1, ")
    assert "no candidate" in ranked.spoken(trials({0.1: [None]}))


def test_where_labels_are_smoothed_differently_the_order_is_that_of_accuracy():
    made = trials({0.1: [0.03, 0.031], 0.2: [0.05, 0.051]})
    made += trials({0.3: [0.9, 0.91]}, label_smoothing=0.1)
    for trial in made:
        trial["validation_accuracy"] = 90 + 10 * trial["recipe"]["learning_rate"]
    assert list(ranked.best_first(made)) == ["rate 0.3", "rate 0.2", "rate 0.1"]
    table = ranking(made)
    assert [row[0].rpartition("/")[2] for row in table.rows] == list(ranked.best_first(made))
    assert list(ranked.losses_by_candidate(made)) == ["rate 0.1", "rate 0.2", "rate 0.3"]

    # Nothing is said of how much worse a loss is.
    text = ranked.spoken(made, replace(BASE, learning_rate=0.1))
    assert "not by loss" in text and text.endswith("used here: rate 0.1, number 3 of 3")
    assert "worse" not in text and "deviation" not in text


def test_the_recorded_searches_of_the_session_can_be_told():
    for search in ("ladder-constant", "ladder-adamw", "frontier-finalists", "frontier-small"):
        text = ranked.spoken(kept_trials(search))
        assert max(map(len, text.splitlines())) <= WIDTH


# The ladder.


def test_every_rung_but_the_first_has_a_verdict():
    found = rungs.verdicts()
    labels = [label for group in found.values() for label in group]
    assert sorted(labels) == sorted(list(rungs.RUNGS)[1:])
    for name in rungs.RUNGS.values():
        assert load_result(name).record["name"] == name


def test_what_session_04_begins_with_is_so():
    """Some rungs are better, some undecided: more would give a guess away."""
    found = rungs.verdicts()
    assert found["better"] and found["undecided"]
