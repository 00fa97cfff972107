"""Ladders: each row against the one it changes, and rows without a record named."""

from __future__ import annotations

import matplotlib
import pytest

from helpers.experiments import ladders
from helpers.experiments.recipe import Recipe, variant
from helpers.intervals import mean_difference

matplotlib.use("Agg")

FIRST = Recipe("cifar-resnet9-first", "models.resnet9.ResNet9", epochs=8, title="first")
SECOND = variant(FIRST, "cifar-resnet9-second", "second", epochs=9)
THIRD = variant(SECOND, "cifar-resnet9-third", "third", epochs=10)
FOURTH = variant(THIRD, "cifar-resnet9-fourth", "fourth", epochs=11)
LADDER = (FIRST, SECOND, THIRD, FOURTH)


class Record:
    """What a ladder asks of a record."""

    def __init__(self, recipe, accuracies):
        self.recipe, self.accuracies = recipe, dict(enumerate(accuracies))
        self.accuracy = f"{accuracies[0]} %"


@pytest.fixture
def records(monkeypatch):
    """Records by name, which a test fills."""
    kept = {}
    monkeypatch.setattr(ladders, "is_recorded", kept.__contains__)
    monkeypatch.setattr(ladders, "load_result", kept.__getitem__)
    return kept


@pytest.fixture
def drawn(monkeypatch):
    """The rows of each figure that is drawn."""
    figures = []
    monkeypatch.setattr(ladders, "plot_differences", lambda rows, _: figures.append(list(rows)))
    return figures


def test_a_row_is_compared_with_the_one_it_changes(records):
    records[FIRST.name] = Record(FIRST, [93.0, 93.2])
    records[SECOND.name] = Record(SECOND, [93.5, 93.9])
    found, without = ladders.changes(LADDER)
    # Other epochs are another training, so seeds are no pairs.
    assert found == {"second": mean_difference([93.5, 93.9], [93.0, 93.2])}
    assert without == ["first", "third", "fourth"]


def test_one_seed_has_no_interval(records):
    records[FIRST.name] = Record(FIRST, [93.0, 93.2])
    records[SECOND.name] = Record(SECOND, [93.5])
    assert ladders.changes([SECOND]) == ({}, ["second"])


def test_what_is_missing_is_named_with_the_command(records, drawn, capsys):
    records[FIRST.name] = Record(FIRST, [93.0, 93.2])
    records[SECOND.name] = Record(SECOND, [93.5, 93.9])
    assert list(ladders.show_changes(LADDER[1:])) == ["second"]
    text = capsys.readouterr().out
    assert "third, fourth" in text and "python -m helpers experiment cifar" in text
    assert drawn == [["second"]]


def test_nothing_is_drawn_without_a_difference(records, drawn, capsys):
    assert ladders.show_changes(LADDER) == {}
    assert "first, second, third, fourth" in capsys.readouterr().out
    assert not drawn


def test_nothing_is_printed_where_all_is_there(records, capsys):
    for recipe in LADDER:
        records[recipe.name] = Record(recipe, [93.0, 93.2])
    assert set(ladders.show_changes(LADDER[1:])) == {"second", "third", "fourth"}
    assert not capsys.readouterr().out


def test_the_table_has_every_row_recorded_or_not(records):
    records[FIRST.name] = Record(FIRST, [93.0])
    table = ladders.ladder_table(LADDER[:2])
    assert table.head == ["row", "what it changes", "last epoch"]
    assert table.rows == [["first", "first", "93.0 %"], ["second", "second", "not recorded yet"]]
    table = ladders.ladder_table(LADDER[:2], {"second": "because"})
    assert [row[2] for row in table.rows] == ["–", "because"] and len(table.head) == 4
