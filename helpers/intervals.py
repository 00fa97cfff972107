"""The statistics of the course in one place: intervals for shares and for differences of means.

scipy does the work; the formulas stand in the docstrings, and the tests calculate them by hand.
"""

import math
import statistics
import warnings
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

from helpers.environment import CourseError, whole_number

# Numbers in a row, or by their seed, as ``result.accuracies`` has them
Values = Iterable[float] | Mapping[int, float]


class Interval(NamedTuple):
    """An estimate and the two ends of its interval, in the unit of the numbers it was made from."""

    estimate: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether zero lies outside the interval, so that the sign of a difference is known."""
        return self.low > 0 or self.high < 0


def mean_sd(values: Values) -> tuple[float, float]:
    """The mean and the sample standard deviation, √(Σ(x − mean)² / (n − 1)); 0 for a single value.

    Of a mapping by seed the numbers count, not the seeds. Raises ``CourseError`` where there is no
    value, or one that is not finite.
    """
    numbers = finite_numbers("mean_sd", values)
    if len(numbers) == 0:
        raise CourseError("there is no value to take the mean of: record at least one seed")

    # One value shows no scatter, and the formula would divide by zero.
    deviation = 0.0
    if len(numbers) > 1:
        deviation = statistics.stdev(numbers)
    return statistics.fmean(numbers), deviation


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a share, in percent: which true shares make so many successes likely.

    Its ends are the two roots p of (successes / trials − p)² = z² p (1 − p) / trials, with z = 1.96
    for 95 % (Wilson, "Probable inference, the law of succession, and statistical inference", 1927).
    Of no trials at all nothing is known: 0 to 100. Raises ``CourseError`` unless both are whole
    numbers and the successes lie between 0 and the trials.
    """
    check_confidence("wilson", confidence)
    hits = whole_number(successes, least=0)
    count = whole_number(trials, least=0)
    if hits is None or count is None or hits > count:
        raise CourseError(
            f"wilson: {successes} successes of {trials} trials: give two whole numbers, the first "
            "from 0 to the second"
        )
    if count == 0:
        return 0.0, 100.0

    # Imported here, because scipy.stats takes a second that most commands do not need.
    from scipy.stats import binomtest

    ends = binomtest(hits, count).proportion_ci(confidence, method="wilson")

    # Rounding would leave a share of 0 or 1 just outside its own interval.
    low = 100 * float(ends.low)
    if hits == 0:
        low = 0.0
    high = 100 * float(ends.high)
    if hits == count:
        high = 100.0
    return low, high


def coin_chances(heads: Any, tails: Any) -> Any:
    """How likely a fair coin divides its tosses so unevenly or more so: McNemar's exact chance.

    ``heads`` and ``tails`` are arrays of whole numbers from 0 on, of one shape, and so is what is
    returned. P = 2 · Σₖ C(n, k) / 2ⁿ over k from 0 to the smaller number, n being their sum; at
    most 1. McNemar, "Note on the sampling error of the difference between correlated proportions",
    1947. Raises ``CourseError`` for other numbers, and for two shapes.
    """
    # Imported here, because scipy.stats takes a second that most commands do not need.
    import numpy as np
    from scipy.stats import binom

    heads, tails = np.asarray(heads), np.asarray(tails)
    if heads.shape != tails.shape:
        shapes = f"heads {list(heads.shape)} and tails {list(tails.shape)}"
        raise CourseError(f"coin_chances: {shapes}: give arrays of one shape")
    for counts in (heads, tails):
        if counts.size and (counts.dtype.kind not in "iu" or counts.min() < 0):
            problem = f"{short(counts)} counts nothing"
            raise CourseError(f"coin_chances: {problem}: give whole numbers from 0 on")

    # Both tails are equally likely; of an even division they overlap. In 8 bits a sum ends at 255.
    heads, tails = heads.astype(np.int64), tails.astype(np.int64)
    tail = binom.cdf(np.minimum(heads, tails), heads + tails, 0.5)
    return np.minimum(1.0, 2 * tail)


def mean_difference(values: Values, baseline: Values, confidence: float = 0.95) -> Interval:
    """How much larger the mean of ``values`` is than that of ``baseline``, for independent seeds.

    Student's interval with a pooled deviation: difference ± t · s · √(1/n + 1/m), where s² is the
    mean of the two variances weighted by n − 1 and m − 1, and t has n + m − 2 degrees of freedom.
    It takes both recipes to scatter alike; with equally many seeds it is good even where they do
    not. Of a mapping by seed the numbers count. Raises ``CourseError`` for fewer than two values on
    a side, or one that is not finite.
    """
    check_confidence("mean_difference", confidence)
    mine = finite_numbers("mean_difference", values)
    other = finite_numbers("mean_difference", baseline)
    if len(mine) < 2 or len(other) < 2:
        raise CourseError(
            f"mean_difference: {len(mine)} and {len(other)} seeds, and two of each are needed: "
            "record both with --seeds 2 or more"
        )

    # No scatter on either side: the interval is a point, and scipy would divide by zero.
    difference = statistics.fmean(mine) - statistics.fmean(other)
    if all_equal(mine) and all_equal(other):
        return Interval(difference, difference, difference)

    from scipy.stats import ttest_ind

    # Equal values on one side alone are no fault, but scipy warns of them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        test = ttest_ind(mine, other, equal_var=True)
    ends = test.confidence_interval(confidence)
    return Interval(difference, float(ends.low), float(ends.high))


def difference_of_differences(
    values: Values,
    baseline: Values,
    other_values: Values,
    other_baseline: Values,
    confidence: float = 0.95,
) -> Interval:
    """How much more a change brings here than there, for four rows of independent seeds.

    (mean(values) − mean(baseline)) − (mean(other_values) − mean(other_baseline)), with Student's
    interval ± t · s · √(1/n₁ + 1/n₂ + 1/n₃ + 1/n₄): s² is the mean of the four variances, each
    weighted by its n − 1, and t has n₁ + n₂ + n₃ + n₄ − 4 degrees of freedom. It is the interaction
    of a two-by-two table (Fisher, "The design of experiments", 1935). Raises ``CourseError`` for
    fewer than two values in a row, or one that is not finite.
    """
    name = "difference_of_differences"
    check_confidence(name, confidence)
    rows = []
    for given in (values, baseline, other_values, other_baseline):
        row = finite_numbers(name, given)
        if len(row) < 2:
            raise CourseError(f"{name}: a row has {len(row)} seeds, and two are needed")
        rows.append(row)

    # The scatter is that of all rows together.
    means = [statistics.fmean(row) for row in rows]
    difference = (means[0] - means[1]) - (means[2] - means[3])
    deviation, degrees = pooled_sd(rows)
    half = student_half(deviation, degrees, [len(row) for row in rows], confidence)
    return Interval(difference, difference - half, difference + half)


def pooled_sd(rows: Iterable[Sequence[float]]) -> tuple[float, int]:
    """The deviation within rows of numbers taken together, and its degrees of freedom.

    Its square is the mean of the rows' variances, each weighted by its n − 1; the degrees of
    freedom are the sum of these. A row of one number says nothing of its scatter, and where no row
    has two both are 0.
    """
    squares, degrees = 0.0, 0
    for row in rows:
        if len(row) > 1:
            squares += (len(row) - 1) * statistics.variance(row)
            degrees += len(row) - 1
    if degrees == 0:
        return 0.0, 0
    return math.sqrt(squares / degrees), degrees


def student_half(
    deviation: float, degrees: int, counts: Iterable[int], confidence: float = 0.95
) -> float:
    """Half of Student's interval, t · s · √(1/n₁ + 1/n₂ + …), for a sum or difference of means."""
    # Imported here, because scipy.stats takes a second that most commands do not need.
    from scipy.stats import t as student

    error = deviation * math.sqrt(sum(1 / count for count in counts))
    return float(student.ppf((1 + confidence) / 2, degrees)) * error


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], confidence: float = 0.95
) -> Interval:
    """The mean difference over the seeds that both hold, where a seed means the same training.

    Both map a seed to its number; a seed that only one of them holds is left out. Student's
    interval of the differences d: mean ± t · s(d) / √n with n − 1 degrees of freedom ("The probable
    error of a mean", 1908). Raises ``CourseError`` for anything but mappings, for fewer than two
    common seeds, and for a value that is not finite.
    """
    check_confidence("paired_difference", confidence)
    for given in (values, baseline):
        if not isinstance(given, Mapping):
            raise CourseError(
                "paired_difference: give mappings from seed to number, such as "
                f"result.accuracies, not {short(given)}"
            )

    # A pair is a seed that both hold, whatever their order.
    seeds = []
    for seed in values:
        if seed in baseline:
            seeds.append(seed)
    if len(seeds) < 2:
        raise CourseError(
            f"paired_difference: {len(seeds)} common seeds, and two are needed: "
            "record both with --seeds 2 or more"
        )
    mine = finite_numbers("paired_difference", [values[seed] for seed in seeds])
    other = finite_numbers("paired_difference", [baseline[seed] for seed in seeds])

    # What the two trainings of a seed have in common cancels out in their difference.
    differences = []
    for one, two in zip(mine, other, strict=True):
        differences.append(one - two)
    mean = statistics.fmean(differences)

    # No scatter: the interval is a point, and scipy would divide by zero.
    if all_equal(differences):
        return Interval(mean, mean, mean)

    from scipy.stats import ttest_rel

    ends = ttest_rel(mine, other).confidence_interval(confidence)
    return Interval(mean, float(ends.low), float(ends.high))


def mean_interval(values: Values, confidence: float = 0.95) -> Interval:
    """The mean with Student's interval, mean ± t · s / √n, and n − 1 degrees of freedom.

    Of a mapping by seed the numbers count ("The probable error of a mean", 1908). Raises
    ``CourseError`` for fewer than two values, or one that is not finite.
    """
    check_confidence("mean_interval", confidence)
    numbers = finite_numbers("mean_interval", values)
    if len(numbers) < 2:
        problem = f"seeds: {len(numbers)}, and two are needed"
        raise CourseError(f"mean_interval: {problem}: record them with --seeds 2 or more")
    mean = statistics.fmean(numbers)
    deviation, degrees = pooled_sd([numbers])
    half = student_half(deviation, degrees, [len(numbers)], confidence)
    return Interval(mean, mean - half, mean + half)


def finite_numbers(name: str, values: Values) -> list[float]:
    """The values as floats, of a mapping without its keys.

    Raises ``CourseError`` for one that is no finite number, and for what is no row of values.
    """
    if isinstance(values, Mapping):
        values = values.values()
    # The letters of a text are a row as well, but no numbers.
    try:
        if isinstance(values, str):
            raise TypeError
        row = list(values)
    except TypeError:
        raise CourseError(
            f"{name}: give numbers in a list, or by seed as result.accuracies has them, not "
            f"{short(values)}"
        ) from None

    checked = []
    for value in row:
        number = as_number(value)
        if number is None or not math.isfinite(number):
            shown = short(value)
            if number is not None:
                shown = str(number)
            raise CourseError(f"{name}: {shown} is among the values: give finite numbers")
        checked.append(number)
    return checked


def as_number(value: Any) -> float | None:
    """A value as a float; None for what is no number, such as a text."""
    try:
        return float(value + 0)  # to a text, nothing can be added
    except (TypeError, ValueError):
        return None


def short(value: object) -> str:
    """A value as an error shows it: in one line of at most 60 characters."""
    return " ".join(repr(value).split())[:60]


def all_equal(numbers: list[float]) -> bool:
    """Whether there is no scatter at all."""
    return min(numbers) == max(numbers)


def check_confidence(name: str, confidence: float) -> None:
    """Raise ``CourseError`` unless a confidence lies between 0 and 1."""
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise CourseError(
            f"{name}: a confidence lies between 0 and 1, such as 0.95, not {short(confidence)}"
        )
