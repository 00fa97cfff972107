"""All pairs of nets: the chances are scipy's, and a deal leaves each image its mistakes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from helpers.environment import CourseError
from helpers.interpret import pairs
from helpers.interpret.pairs import dealt_chances, pair_chances


def masks(nets: int, images: int = 300, share: float = 0.1, seed: int = 0) -> torch.Tensor:
    """Mistakes of nets that are equally good, bool [nets, images]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(nets, images, generator=generator) < share


def by_binomtest(one: torch.Tensor, two: torch.Tensor) -> float:
    heads, tails = int((one & ~two).sum()), int((two & ~one).sum())
    return binomtest(heads, heads + tails).pvalue if heads + tails else 1.0


@pytest.mark.parametrize("nets", [1, 2, 5])
def test_the_chances_are_scipys_in_the_order_of_the_pairs(nets: int) -> None:
    wrong = masks(nets)
    wrong[-1] |= masks(1, share=0.1, seed=1)[0]  # one is worse than the others
    expected = [by_binomtest(one, two) for one, two in combinations(wrong, 2)]
    assert pair_chances(wrong) == pytest.approx(expected)


def test_nets_that_err_alike_and_without_an_error_have_a_chance_of_one() -> None:
    wrong = masks(1).repeat(3, 1)
    assert pair_chances(wrong).tolist() == [1, 1, 1]
    for row in dealt_chances(wrong, 3):
        assert row.tolist() == [1, 1, 1]
    assert pair_chances(torch.zeros(2, 5, dtype=torch.bool)).tolist() == [1]


def test_a_deal_is_drawn_for_each_image_by_itself(monkeypatch) -> None:
    wrong = masks(4)
    seen = []
    chances_of = pairs.chances_of
    monkeypatch.setattr(pairs, "chances_of", lambda mask: seen.append(mask) or chances_of(mask))
    low, mean, high = dealt_chances(wrong, 50, seed=3)
    told = wrong[:, wrong.any(0) & ~wrong.all(0)].numpy()
    for mask in seen:
        assert np.array_equal(mask.sum(0), told.sum(0))
    # Every net gets its share of the mistakes, and neighbours are dealt apart.
    by_net = np.mean([mask.mean(1) for mask in seen], axis=0)
    assert by_net == pytest.approx(np.full(4, told.mean()), abs=0.02)
    assert len({mask.tobytes() for mask in seen}) == 50
    dealt = np.array([sorted(chances_of(mask)) for mask in seen])
    assert mean == pytest.approx(dealt.mean(0)) and (np.diff(mean) >= 0).all()
    # Of 50 deals in order, a 20th lies between the third and the fourth from either end.
    ordered = np.sort(dealt, axis=0)
    assert low == pytest.approx(0.55 * ordered[2] + 0.45 * ordered[3])
    assert high == pytest.approx(0.45 * ordered[46] + 0.55 * ordered[47])


def test_one_worse_net_lies_below_the_line_and_equal_ones_about_it() -> None:
    alike = masks(6, 2000, 0.03)
    difference = np.sort(pair_chances(alike)) - dealt_chances(alike).mean
    assert abs(difference.mean()) < 0.2
    worse = alike.clone()
    worse[0] |= masks(1, 2000, 0.06, seed=5)[0]
    assert (np.sort(pair_chances(worse)) < dealt_chances(worse).low)[:5].all()
    for one, other in zip(dealt_chances(alike, 20), dealt_chances(alike, 20), strict=True):
        assert one.tolist() == other.tolist()


def test_dealing_leaves_the_random_numbers_alone_and_refuses_what_is_no_mask() -> None:
    state, theirs = torch.get_rng_state(), np.random.get_state()[1].tolist()
    dealt_chances(masks(3), 2)
    assert torch.equal(state, torch.get_rng_state())
    assert theirs == np.random.get_state()[1].tolist()
    for wrong in (masks(3).float(), masks(3)[0], [[True, False]], None):
        for function in (pair_chances, dealt_chances):
            with pytest.raises(CourseError, match="give a mask"):
                function(wrong)
    for deals in (0, -1, 2.5, "many"):
        with pytest.raises(CourseError, match="deals="):
            dealt_chances(masks(2), deals)


@pytest.mark.parametrize("seed", [-1, 1.5, "one", None])
def test_a_seed_of_the_deals_is_a_whole_number(seed: object) -> None:
    with pytest.raises(CourseError, match="a seed is a whole number from 0 to 4294967295, not"):
        dealt_chances(masks(2), 2, seed)
