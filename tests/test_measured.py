"""The verdict on recommended rates, on records by hand: what holds, what fails, what is missing."""

import json
from dataclasses import replace

import pytest
from made_records import MADE_WITH
from test_range_tests import write

from helpers.__main__ import main
from helpers.environment import CourseError
from helpers.experiments import measured, range_tests, search
from helpers.experiments.measured import (
    best_of,
    mean_of,
    range_verdict,
    range_verdicts,
    rate_accuracies,
)
from helpers.experiments.ranges import NETS, RATES

# The accuracies of three seeds at each rate; ``write`` recommends a quarter of the edge.
PLANNED = {
    0.00316: [90.0, 90.0, 90.0],
    0.01: [97.0, 97.2, 97.4],
    0.0316: [98.0, 98.2, 98.4],
    0.1: [98.4, 98.5, 98.6],
    0.316: [98.9, None, 98.8],
    1.0: [None, None, None],
}


@pytest.fixture
def records(tmp_path, monkeypatch):
    """An empty folder in the place of notebooks/results."""
    for module in (range_tests, search):
        monkeypatch.setattr(module, "evidence_root", lambda: tmp_path)
    return tmp_path


def save(folder, accuracies, **changes):
    """A record of the search for ``first``, with these accuracies by rate."""
    trials = []
    for rate, values in accuracies.items():
        recipe = replace(NETS["first"], name=f"rate {rate}", learning_rate=rate, **changes)
        for seed, value in enumerate(values):
            trial = {"recipe": recipe.hyperparameters(), "seed": seed, **MADE_WITH}
            if value is None:
                trial |= {"validation_loss": None, "validation_accuracy": None}
                trial["diverged"] = "epoch 1/5, step 7"
            else:
                trial |= {"validation_loss": 1.0, "validation_accuracy": value}
            trials.append(trial)
    path = folder / "search" / "range-first.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"trials": trials}), encoding="utf-8")


def test_accuracies_are_those_of_every_seed_in_the_order_of_the_rates(records):
    assert rate_accuracies("first") == {}
    save(records, dict(reversed(PLANNED.items())))
    assert rate_accuracies("first") == PLANNED and list(rate_accuracies("first")) == [*PLANNED]
    # Trials of another recipe say nothing about this one.
    save(records, PLANNED, momentum=0.5)
    assert rate_accuracies("first") == {}


def test_a_rate_at_which_a_seed_diverges_has_no_mean_and_is_not_the_best(records):
    assert mean_of([98.0, 99.0]) == 98.5
    assert mean_of([98.0, None]) is mean_of([]) is mean_of([None]) is None
    save(records, PLANNED)
    assert best_of("first") == (0.1, pytest.approx(98.5))
    # The recommended rate is compared with the others, and is none of them.
    save(records, PLANNED | {0.06: [99.0, 99.0, 99.0]})
    assert best_of("first")[0] == 0.1


@pytest.mark.parametrize(
    ("accuracies", "difference", "word"),
    [
        ([98.4, 98.4, 98.4], "-0.10", "HOLDS"),
        ([98.39, 98.39, 98.39], "-0.11", "FAILS: too low"),
        ([99.0, 98.8, 98.9], "+0.40", "HOLDS"),
        ([99.0, None, 98.9], "–", "FAILS: diverged"),
    ],
)
def test_a_rate_holds_within_a_tenth_of_a_point_on_mnist(records, accuracies, difference, word):
    write(records, [0.158489, 0.251189, 0.794328])
    save(records, PLANNED | {0.063: accuracies})
    (row,) = range_verdicts().rows
    # The best of the others, 0.1, is 0.4 times the edge, and above the recommended rate.
    assert row[0] == NETS["first"].title and row[3:5] == ["0.1", "0.4"]
    assert row[5:] == [difference, word]
    diverged = None in accuracies
    verdict = range_verdict("first")
    assert verdict.rate == 0.063 and verdict.holds == (word == "HOLDS")
    note = range_verdicts().note
    assert f"So far: {int(word == 'HOLDS')} of 1 recommended rates" in note
    assert f"and {int(diverged)} diverged" in note


def test_the_answer_stands_there_with_the_spread_of_its_orders(records):
    write(records, [0.158489, 0.251189, 0.794328])
    (row,) = range_verdicts().rows
    assert row[1:3] == ["0.25 (0.16–0.79)", "0.063"]
    assert row[3:] == ["–", "–", "–", "not trained yet"]
    save(records, PLANNED)
    (row,) = range_verdicts().rows
    assert row[3:5] == ["0.1", "0.4"] and row[-1] == "not trained yet"


def test_a_rate_above_the_best_one_fails_on_the_other_side(records):
    write(records, [3.98107])
    save(records, PLANNED | {1.0: [97.0, 97.0, 97.0]})
    (row,) = range_verdicts().rows
    assert row[2] == "1" and row[5:] == ["-1.50", "FAILS: too high"]


def test_a_test_without_an_answer_and_a_best_rate_at_the_end_are_told(records):
    flat = {"losses": [1.0] * 101, "smoothed": [1.0] * 101}
    write(records, [1.0], curves=[flat])
    save(records, {rate: PLANNED[rate] for rate in RATES["first"][:4]})
    (row,) = range_verdicts().rows
    assert row[1:5] == ["no answer", "–", "0.1, the outermost", "–"]


def test_what_is_missing_is_named_with_its_commands(records, capsys):
    table = range_verdicts()
    assert table.rows == [] and "Not recorded yet: residual, first, budget-he" in table.note
    assert "python -m helpers range-test residual, then" in table.note
    assert "python -m helpers search range-residual --seeds 3" in table.note
    assert main(["range-test"]) == 0 and "Not recorded yet" in capsys.readouterr().out
    write(records, [1.0], rates=[])
    with pytest.raises(CourseError, match="range-first.json is damaged"):
        range_verdicts()


def verdicts(*accuracies):
    found = []
    for value in accuracies:
        found.append(measured.RangeVerdict(0.1, 99.0, 0.2, value, 0.1))
    return found


@pytest.mark.parametrize(
    ("judged", "word"),
    [
        (verdicts(99.0, 99.0, 99.0, 99.0, 98.0), "HOLDS: 4 of 5"),
        (verdicts(99.0, 99.0, 99.0, 98.0, 98.0), "FAILS: 3 of 5"),
        (verdicts(99.0, 99.0, 99.0, 99.0, None), "FAILS: 4 of 5"),
        (verdicts(99.0, 99.0, 99.0, 99.0, 99.0, 98.0), "HOLDS: 5 of 6"),
        (verdicts(99.0, 99.0, 99.0, 99.0, 98.0, 98.0), "FAILS: 4 of 6"),
        ([*verdicts(99.0, 99.0, 99.0), None], "So far: 3 of 3"),
        (verdicts(99.0, None), "So far: 1 of 2"),
    ],
)
def test_all_but_one_have_to_hold_and_none_may_diverge(judged, word):
    assert word in " ".join(measured.notes(judged, []))


def test_the_narrow_nets_for_cifar_10_deviate_more():
    assert measured.WITHIN == {"mnist": 0.1, "cifar10": 0.7}
    assert {NETS[name].data for name in ("narrow", "scaled")} == {"cifar10"}
    # At least five nets: with and without batch norm, two optimizers, two scales of logits.
    assert len(NETS) >= 5 and set(NETS) == set(RATES)
    assert {recipe.optimizer for recipe in NETS.values()} == {"sgd", "adamw"}
