"""Intervals against their formulas by hand: Wilson's quadratic, the pooled and the paired t."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from helpers.environment import CourseError
from helpers.intervals import (
    Interval,
    coin_chances,
    difference_of_differences,
    mean_difference,
    mean_interval,
    mean_sd,
    paired_difference,
    wilson,
)

# Test accuracies of four and of five seeds, in percent
MINE = [99.41, 99.36, 99.52, 99.44]
OTHER = [99.30, 99.38, 99.29, 99.41, 99.33]


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def roots(successes: int, trials: int, z: float) -> list[float]:
    """In percent where (p_hat − p)² = z² p (1 − p) / n, found numerically as a polynomial in p."""
    share, square = successes / trials, z * z / trials
    return sorted(100 * np.roots([1 + square, -(2 * share + square), share * share]).real)


def by_hand(successes: int, trials: int, z: float) -> tuple[float, float]:
    """The same roots by the formula that solves a quadratic."""
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    below = 1 + z * z / trials
    return 100 * (middle - half) / below, 100 * (middle + half) / below


def pooled_by_hand(mine: list[float], other: list[float], confidence: float) -> tuple[float, ...]:
    """Difference ± t s √(1/n + 1/m), with NumPy's variances and a quantile of Student's t."""
    n, m = len(mine), len(other)
    squares = (n - 1) * np.var(mine, ddof=1) + (m - 1) * np.var(other, ddof=1)
    deviation = math.sqrt(squares / (n + m - 2))
    half = stats.t.ppf((1 + confidence) / 2, n + m - 2) * deviation * math.sqrt(1 / n + 1 / m)
    difference = np.mean(mine) - np.mean(other)
    return difference, difference - half, difference + half


def paired_by_hand(differences: list[float], confidence: float) -> tuple[float, ...]:
    """Mean ± t s / √n, with NumPy's deviation and a quantile of Student's t."""
    n = len(differences)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * np.std(differences, ddof=1) / math.sqrt(n)
    return np.mean(differences), np.mean(differences) - half, np.mean(differences) + half


@pytest.mark.parametrize("confidence", [0.6827, 0.95, 0.99])
@pytest.mark.parametrize(
    ("successes", "trials"),
    [(0, 1), (1, 1), (1, 2), (0, 9), (9, 9), (4, 5), (37, 980), (978, 980), (9940, 10_000)],
)
def test_wilson_solves_its_equation(successes: int, trials: int, confidence: float) -> None:
    low, high = wilson(successes, trials, confidence)
    z = stats.norm.ppf((1 + confidence) / 2)
    assert (low, high) == pytest.approx(roots(successes, trials, z), abs=1e-6)
    assert (low, high) == pytest.approx(by_hand(successes, trials, z), abs=1e-9)


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_own_interval(counts: tuple[int, int]) -> None:
    # Exactly, so that error bars never come out negative.
    successes, trials = counts
    low, high = wilson(successes, trials)
    assert 0 <= low <= 100 * successes / trials <= high <= 100
    mirrored = wilson(trials - successes, trials)
    assert (100 - mirrored[1], 100 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)


def test_wilson_equals_published_values() -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3
    assert wilson(81, 263) == pytest.approx((25.53, 36.62), abs=0.01)
    assert wilson(15, 148) == pytest.approx((6.24, 16.05), abs=0.01)
    assert wilson(0, 20) == pytest.approx((0.0, 16.11), abs=0.01)
    assert wilson(1, 29) == pytest.approx((0.61, 17.18), abs=0.01)
    assert wilson(9940, 10_000) == pytest.approx((99.23, 99.53), abs=0.01)


def test_wilson_at_its_ends() -> None:
    assert wilson(0, 0) == (0.0, 100.0)
    assert wilson(0, 7)[0] == 0.0 and wilson(7, 7)[1] == 100.0
    # Of n successes in n, the lower end is n / (n + z²).
    square = stats.norm.ppf(0.975) ** 2
    assert wilson(7, 7)[0] == pytest.approx(100 * 7 / (7 + square))


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.uint64])
def test_wilson_takes_numpys_whole_numbers(kind: type) -> None:
    assert wilson(kind(3), kind(250)) == wilson(3, 250)
    assert wilson(kind(0), kind(0)) == (0.0, 100.0)
    assert all(type(end) is float for end in wilson(kind(3), kind(250)))


@pytest.mark.parametrize(
    ("successes", "trials"),
    [(-1, 5), (6, 5), (1, 0), (0, -1), (2.0, 5), (2, 5.0), (True, 5), (math.nan, 5), ("2", 5)],
)
def test_wilson_refuses_what_is_no_count_in_one_line(successes: object, trials: object) -> None:
    with pytest.raises(CourseError, match=f"{successes} successes of {trials} trials") as error:
        wilson(successes, trials)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, math.nan])
def test_a_confidence_lies_between_0_and_1(confidence: float) -> None:
    seeds = {0: 1.0, 1: 2.0}
    for ask in (
        lambda: wilson(1, 2, confidence),
        lambda: mean_difference([1, 2], [3, 4], confidence),
        lambda: paired_difference(seeds, seeds, confidence),
    ):
        with pytest.raises(CourseError, match=f"between 0 and 1.*not {confidence}"):
            ask()


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(
    ("mine", "other"),
    [(MINE, OTHER), (OTHER, MINE), ([1.0, 2.0], [5.0, 5.0]), ([3, 3, 3], [1, 2]), ([0, 1], [0, 1])],
)
def test_the_pooled_interval_is_its_formula(mine: list, other: list, confidence: float) -> None:
    interval = mean_difference(mine, other, confidence)
    assert interval == pytest.approx(pooled_by_hand(mine, other, confidence), abs=1e-9)
    assert interval.low <= interval.estimate <= interval.high


def test_the_pooled_interval_with_numbers_to_follow() -> None:
    # Variances 1 and 1, so s = 1; four degrees of freedom, t = 2.7764; √(1/3 + 1/3) = 0.8165.
    interval = mean_difference([4, 5, 6], [1, 2, 3])
    assert interval == pytest.approx((3, 3 - 2.267, 3 + 2.267), abs=1e-3)
    assert interval.decided


def test_numpy_arrays_and_generators_are_values_too() -> None:
    expected = mean_difference(MINE, OTHER)
    assert mean_difference(np.array(MINE), np.array(OTHER)) == expected
    assert mean_difference(iter(MINE), (value for value in OTHER)) == expected
    assert all(type(value) is float for value in mean_difference(np.array(MINE), OTHER))
    rounded = mean_difference(np.array(MINE, dtype=np.float32), OTHER)
    assert rounded == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_paired_interval_is_its_formula(confidence: float) -> None:
    mine = dict(enumerate(MINE))
    other = dict(enumerate(OTHER))
    differences = [one - two for one, two in zip(MINE, OTHER)]
    interval = paired_difference(mine, other, confidence)
    assert interval == pytest.approx(paired_by_hand(differences, confidence), abs=1e-9)


def test_the_paired_interval_with_numbers_to_follow() -> None:
    # Differences 1, 2, 3: s = 1, two degrees of freedom, t = 4.3027; 4.3027 / √3 = 2.484.
    interval = paired_difference({0: 11, 1: 22, 2: 33}, {0: 10, 1: 20, 2: 30})
    assert interval == pytest.approx((2, 2 - 2.484, 2 + 2.484), abs=1e-3)
    assert not interval.decided


def test_seeds_that_one_side_alone_has_are_left_out() -> None:
    mine = {3: 5.0, 0: 1.0, 1: 2.5, 7: 99.0}
    other = {1: 2.0, 0: 1.0, 3: 4.0, 8: -99.0}
    expected = paired_by_hand([1.0, 0.0, 0.5], 0.95)
    assert paired_difference(mine, other) == pytest.approx(expected, abs=1e-9)
    # A value that is left out need not be finite.
    assert paired_difference({**mine, 9: math.nan}, other) == paired_difference(mine, other)


def test_pairs_go_by_seed_and_not_by_order() -> None:
    mine = {0: 1.0, 1: 5.0, 2: 3.0}
    other = {2: 2.0, 1: 4.0, 0: 0.5}
    expected = paired_by_hand([0.5, 1.0, 1.0], 0.95)
    assert paired_difference(mine, other) == pytest.approx(expected, abs=1e-9)


def test_no_scatter_makes_a_point() -> None:
    assert mean_difference([99.5, 99.5], [99.25, 99.25, 99.25]) == (0.25, 0.25, 0.25)
    assert mean_difference([7, 7], [7, 7]) == (0, 0, 0)
    # Differences that are all the same, of values that are not.
    assert paired_difference({0: 3.0, 1: 5.0}, {0: 1.0, 1: 3.0}) == (2, 2, 2)
    same = dict(enumerate(MINE))
    assert paired_difference(same, same) == (0, 0, 0)
    assert not paired_difference(same, same).decided


@pytest.mark.parametrize("few", [[], [99.4]])
def test_one_value_has_no_interval(few: list[float]) -> None:
    seeds, two = dict(enumerate(few)), {0: 1.0, 1: 2.0}
    for ask in (
        lambda: mean_difference(few, MINE),
        lambda: mean_difference(MINE, few),
        lambda: paired_difference(seeds, two),
        lambda: paired_difference(two, seeds),
        lambda: paired_difference(two, {5: 1.0, 6: 2.0}),
    ):
        with pytest.raises(CourseError, match="two.*--seeds 2") as error:
            ask()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_what_is_not_finite_is_refused_in_one_line(wrong: float) -> None:
    seeds = {0: 1.0, 1: 2.0, 2: wrong}
    fine = {0: 1.0, 1: 2.0, 2: 3.0}
    for name, ask in (
        ("mean_sd", lambda: mean_sd([1.0, wrong])),
        ("mean_difference", lambda: mean_difference([1.0, wrong], [1.0, 2.0])),
        ("mean_difference", lambda: mean_difference([1.0, 2.0], [wrong, 2.0])),
        ("paired_difference", lambda: paired_difference(seeds, fine)),
        ("paired_difference", lambda: paired_difference(fine, seeds)),
    ):
        with pytest.raises(CourseError, match=f"{name}: {float(wrong)} .*finite") as error:
            ask()
        assert "\n" not in str(error.value)


def test_mean_and_sample_deviation() -> None:
    mean, deviation = mean_sd(MINE)
    assert mean == pytest.approx(np.mean(MINE)) and deviation == pytest.approx(np.std(MINE, ddof=1))
    assert mean_sd([2, 4]) == (3.0, pytest.approx(math.sqrt(2)))
    assert mean_sd([99.4]) == (99.4, 0.0)
    assert mean_sd(np.array([5, 5, 5])) == (5.0, 0.0)
    assert mean_sd(iter([1.0, 1.0])) == (1.0, 0.0)
    with pytest.raises(CourseError, match="no value"):
        mean_sd([])


@pytest.mark.parametrize(
    ("low", "high", "decided"),
    [(0.1, 0.3, True), (-0.3, -0.1, True), (-0.1, 0.2, False), (0.0, 0.2, False), (-0.2, 0, False)],
)
def test_a_sign_is_decided_where_zero_lies_outside(low: float, high: float, decided: bool) -> None:
    assert Interval((low + high) / 2, low, high).decided is decided


BY_SEED = {3: 99.0, 7: 99.5, 40: 99.4}


def test_of_a_mapping_by_seed_the_numbers_count_and_not_the_seeds() -> None:
    numbers = list(BY_SEED.values())
    assert mean_sd(BY_SEED) == mean_sd(BY_SEED.values()) == mean_sd(numbers)
    assert mean_sd(BY_SEED)[0] == pytest.approx(99.3)
    other = {0: 98.0, 1: 98.5}
    assert mean_difference(BY_SEED, other) == mean_difference(numbers, [98.0, 98.5])
    assert mean_difference(BY_SEED, [98.0, 98.5]) == mean_difference(numbers, other)


@pytest.mark.parametrize("wrong", [[99.0, 99.1], (0, 1), "ab", 99.0, None, np.ones(3)])
def test_numbers_without_seeds_cannot_be_paired(wrong: object) -> None:
    for pair in ((wrong, BY_SEED), (BY_SEED, wrong)):
        with pytest.raises(CourseError, match="^paired_difference: .* seed to number") as error:
            paired_difference(*pair)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", ["99.5", 99.5, None, np.float64(99.5), np.array(99.5), object()])
def test_what_is_no_row_of_numbers_is_refused_in_one_line(wrong: object) -> None:
    for call in (
        lambda: mean_sd(wrong),
        lambda: mean_difference(wrong, BY_SEED),
        lambda: mean_difference(BY_SEED, wrong),
    ):
        with pytest.raises(CourseError, match="give numbers in a list, or by seed") as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", ["a", None, [1.0, 2.0], {}])
def test_a_value_that_is_no_number_is_shown(wrong: object) -> None:
    for call in (
        lambda: mean_sd([99.0, wrong]),
        lambda: mean_difference({0: 99.0, 1: wrong}, BY_SEED),
        lambda: paired_difference({3: 99.0, 7: wrong}, BY_SEED),
    ):
        with pytest.raises(CourseError, match="is among the values: give finite numbers") as error:
            call()
        assert repr(wrong) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", ["0.95", None, [0.9], True, 95])
def test_a_confidence_that_is_no_share_is_refused_in_one_line(wrong: object) -> None:
    for call in (
        lambda: wilson(1, 2, wrong),
        lambda: mean_difference(BY_SEED, BY_SEED, wrong),
        lambda: paired_difference(BY_SEED, BY_SEED, wrong),
    ):
        with pytest.raises(CourseError, match="a confidence lies between 0 and 1"):
            call()
    assert wilson(1, 2, np.float32(0.5)) == pytest.approx(wilson(1, 2, 0.5))


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (10, 5, 3, 7), (4, 12, 4, 12)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_difference_of_differences_is_the_interaction_of_a_least_squares_fit(
    sizes: tuple[int, ...], confidence: float
) -> None:
    # The oracle: y = a + b · changed + c · here + d · changed · here, whose d is the interaction.
    generator = np.random.default_rng(sum(sizes))
    rows = [99 + generator.normal(0, 0.05, size) for size in sizes]
    design = []
    for (changed, here), size in zip(((1, 1), (0, 1), (1, 0), (0, 0)), sizes, strict=True):
        design += [[1, changed, here, changed * here]] * size
    matrix, y = np.array(design, float), np.concatenate(rows)
    solution = np.linalg.lstsq(matrix, y, rcond=None)[0]
    degrees = len(y) - 4
    variance = ((y - matrix @ solution) ** 2).sum() / degrees
    error = np.sqrt(variance * np.linalg.inv(matrix.T @ matrix)[3, 3])
    half = stats.t.ppf((1 + confidence) / 2, degrees) * error
    found = difference_of_differences(*rows, confidence=confidence)
    assert found == pytest.approx((solution[3], solution[3] - half, solution[3] + half), abs=1e-9)


def test_a_difference_of_differences_without_scatter_is_a_point_and_needs_two_of_each() -> None:
    assert difference_of_differences([3.0, 3], [1.0, 1], [5.0, 5], [4.0, 4]) == (1, 1, 1)
    assert difference_of_differences(BY_SEED, BY_SEED, BY_SEED, BY_SEED).estimate == 0
    with pytest.raises(CourseError, match="a row has 1 seeds"):
        difference_of_differences([1.0, 2], [1.0, 2], [1.0], [1.0, 2])
    with pytest.raises(CourseError, match="finite"):
        difference_of_differences([1.0, 2], [1.0, 2], [1.0, float("nan")], [1.0, 2])


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_coins_chance_is_scipys_two_sided_test_and_the_sum_by_hand(heads, tails):
    chance = coin_chances([heads], [tails])[0]
    count, fewer = heads + tails, min(heads, tails)
    by_hand = 2 * sum(math.comb(count, k) for k in range(fewer + 1)) / 2**count
    assert chance == pytest.approx(min(1, by_hand), rel=1e-12)
    if count:
        assert chance == pytest.approx(stats.binomtest(heads, count).pvalue, rel=1e-9)


def test_a_coin_that_was_not_tossed_proves_nothing():
    assert coin_chances([0, 10], [0, 0]) == pytest.approx([1, 2 / 1024])


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_the_interval_of_a_mean_is_scipys_and_that_of_differences_from_zero(confidence):
    found = mean_interval(MINE, confidence)
    test = stats.ttest_1samp(MINE, 0.0).confidence_interval(confidence)
    assert found == pytest.approx((np.mean(MINE), test.low, test.high))
    by_seed = dict(enumerate(MINE))
    zeros = dict.fromkeys(by_seed, 0.0)
    assert found == pytest.approx(paired_difference(by_seed, zeros, confidence))
    assert mean_interval(by_seed, confidence) == found


def test_a_mean_has_an_interval_from_two_values_on():
    assert mean_interval([99.5, 99.5, 99.5]) == (99.5, 99.5, 99.5)
    for few in ([], [99.4]):
        with pytest.raises(CourseError, match=r"\Amean_interval: seeds: [01], and two .*\Z"):
            mean_interval(few)
    with pytest.raises(CourseError, match=r"\Amean_interval: nan is among the values.*\Z"):
        mean_interval([99.4, math.nan])


def test_tosses_are_whole_numbers_from_0_on() -> None:
    assert coin_chances([], []).tolist() == []
    small = np.array([200], np.uint8), np.array([100], np.uint8)
    assert coin_chances(*small) == pytest.approx([stats.binomtest(200, 300).pvalue])
    for wrong in ([-1], [2.0], [math.nan], ["3"], [True], [None]):
        for heads, tails in ((wrong, [2]), ([2], wrong)):
            with pytest.raises(CourseError, match="counts nothing: give whole numbers from 0 on"):
                coin_chances(heads, tails)
    with pytest.raises(CourseError, match=r"heads \[2\] and tails \[1\]: give arrays of one shape"):
        coin_chances([1, 2], [3])
