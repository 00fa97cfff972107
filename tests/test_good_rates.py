"""Ranges of good rates, and where a training is lost, on records by hand."""

from test_measured import PLANNED, records, save  # noqa: F401  (a fixture)

from helpers.experiments.good_rates import ALIKE, good_rates, good_rates_table, lost_rates
from helpers.experiments.ranges import NETS


def test_good_rates_lie_next_to_the_best_mean_and_none_diverged(records):  # noqa: F811
    assert good_rates("first") == lost_rates("first") == []
    save(records, PLANNED)
    # The means are 90, 97.2, 98.2 and 98.5; at 0.316 and 1 seeds diverge.
    assert good_rates("first") == [0.1] and lost_rates("first") == [0.316, 1.0]
    save(records, PLANNED | {0.0316: [98.3, 98.3, 98.3]})
    assert good_rates("first") == [0.0316, 0.1]


def test_a_seed_at_chance_is_lost_without_having_diverged(records):  # noqa: F811
    save(records, PLANNED | {0.316: [98.9, 11.46, 98.8], 0.01: [97.0, 19.9, 97.0]})
    assert lost_rates("first") == [0.01, 0.316, 1.0]
    # The first rate at which it is lost is looked for above the good ones.
    (row,) = good_rates_table().rows
    assert list(row) == [NETS["first"].title, "0.1 to 0.1", "1.0", "0.316"]


def test_what_was_never_lost_and_what_is_missing_is_said(records):  # noqa: F811
    save(records, {0.01: [98.0, 98.0], 0.0316: [98.1, 98.1], 0.1: [98.2, 98.2]})
    table = good_rates_table()
    (row,) = table.rows
    assert list(row[1:]) == ["0.01 to 0.1", "10.0", "–"]
    assert "Not recorded yet: residual, budget-he" in table.note


def test_the_narrow_nets_for_cifar_10_are_alike_within_more():
    assert [NETS[name].data for name in ("first", "narrow")] == ["mnist", "cifar10"]
    assert ALIKE == {"mnist": 0.2, "cifar10": 0.7}
