"""Two records are compared seed by seed only where their histories say that the nets are one."""

from __future__ import annotations

import copy

import pytest
from made_records import result
from scipy.stats import ttest_ind, ttest_rel

from helpers.experiments.pairing import change, same_trainings

SIX, ONE = (94.1, 94.3, 93.9), (93.8, 94.05, 93.75)


def record(name, accuracies, seeds=(0, 1, 2)):
    """Three seeds of two epochs, which differ in the last measurement alone."""
    made = result(name, accuracies, seeds=seeds)
    for run in made.record["runs"]:
        first = copy.deepcopy(run["epochs"][0])
        first |= {"train_loss": 0.5 + run["seed"], "test_accuracy": 80.0 + run["seed"]}
        run["epochs"] = [first, run["epochs"][0] | {"epoch": 2}]
    return made


def test_equal_histories_are_paired():
    six, one = record("speed", SIX), record("speed-one-view", ONE)
    assert same_trainings(one, six)
    low, high = ttest_rel(ONE, SIX).confidence_interval(0.95)
    assert change(one, six) == pytest.approx((sum(ONE) / 3 - sum(SIX) / 3, low, high))


@pytest.mark.parametrize(
    "epoch, name",
    [(0, "train_loss"), (0, "test_accuracy"), (0, "test_loss"), (1, "train_loss")],
)
def test_a_number_that_differs_makes_them_two_samples(epoch, name):
    six, one = record("speed", SIX), record("speed-one-view", ONE)
    one.record["runs"][1]["epochs"][epoch][name] += 1e-5
    assert not same_trainings(one, six)
    low, high = ttest_ind(ONE, SIX).confidence_interval(0.95)
    assert change(one, six) == pytest.approx((sum(ONE) / 3 - sum(SIX) / 3, low, high))


def test_seconds_and_the_last_measurement_may_differ():
    six, one = record("speed", SIX), record("speed-one-view", ONE)
    one.record["runs"][0]["epochs"][0]["seconds"] = 9.0
    one.record["runs"][0]["epochs"][1]["test_loss"] = 0.4
    assert same_trainings(one, six)


def test_other_seeds_other_recipes_and_other_lengths_are_not_the_same():
    six = record("speed", SIX)
    assert not same_trainings(record("speed-one-view", ONE, seeds=(0, 1, 3)), six)
    assert not same_trainings(record("speed-relu", SIX), six)
    short = record("speed-one-view", ONE)
    del short.record["runs"][2]["epochs"][0]
    assert not same_trainings(short, six)
