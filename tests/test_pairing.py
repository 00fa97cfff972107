"""Two records are compared seed by seed only where their histories say that the nets are one."""

from __future__ import annotations

import copy

import pytest
from made_records import result
from scipy.stats import ttest_ind, ttest_rel

from helpers.experiments.pairing import same_trainings
from helpers.experiments.tables import difference

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
    assert difference(one, six) == pytest.approx((sum(ONE) / 3 - sum(SIX) / 3, low, high))


@pytest.mark.parametrize(
    "epoch, name",
    [(0, "train_loss"), (0, "train_accuracy"), (1, "train_loss"), (0, "learning_rate")],
)
def test_a_number_that_differs_makes_them_two_samples(epoch, name):
    six, one = record("speed", SIX), record("speed-one-view", ONE)
    one.record["runs"][1]["epochs"][epoch][name] += 1e-5
    assert not same_trainings(one, six)
    low, high = ttest_ind(ONE, SIX).confidence_interval(0.95)
    assert difference(one, six) == pytest.approx((sum(ONE) / 3 - sum(SIX) / 3, low, high))


def test_seconds_and_what_is_measured_of_a_net_may_differ():
    six, one = record("speed", SIX), record("speed-one-view", ONE)
    one.record["runs"][0]["epochs"][0]["seconds"] = 9.0
    one.record["runs"][0]["epochs"][0]["test_accuracy"] = 50.0
    one.record["runs"][0]["epochs"][1]["test_loss"] = 0.4
    assert same_trainings(one, six)


def test_other_seeds_other_recipes_and_other_lengths_are_not_the_same():
    six = record("speed", SIX)
    assert not same_trainings(record("speed-one-view", ONE, seeds=(3, 4, 5)), six)
    assert not same_trainings(record("speed-relu", SIX), six)
    short = record("speed-one-view", ONE)
    del short.record["runs"][2]["epochs"][0]
    assert not same_trainings(short, six)


def test_seeds_that_only_one_of_them_holds_are_left_out():
    six = record("speed", SIX)
    one = record("speed-one-view", ONE, seeds=(1, 0, 3))
    assert same_trainings(one, six) and same_trainings(six, one)
    # Seed 1 of the one stands first there, and second in the other.
    low, high = ttest_rel(ONE[:2], (SIX[1], SIX[0])).confidence_interval(0.95)
    mean = (ONE[0] - SIX[1] + ONE[1] - SIX[0]) / 2
    assert difference(one, six) == pytest.approx((mean, low, high))
