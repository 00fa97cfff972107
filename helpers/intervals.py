"""The statistics of the course in one place: intervals for shares, for means, and for differences of means.

scipy does the work; the formulas stand in the docstrings, and the tests calculate them by hand.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from helpers.environment import CourseError


class Interval(NamedTuple):
    """An estimate and the two ends of its interval, in the unit of the numbers it was made from."""

    estimate: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether zero lies outside the interval, so that the sign of a difference is known."""
        return self.low > 0 or self.high < 0


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the sample standard deviation, √(Σ(x − mean)² / (n − 1)); 0 for a single value.

    Raises ``CourseError`` where there is no value.
    """
    values = list(values)
    if not values:
        raise CourseError("there is no value to take the mean of: record at least one seed")
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return statistics.fmean(values), spread


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a share, in percent: between which true shares so many successes are no surprise.

    Its ends are the two roots p of (successes / trials − p)² = z² p (1 − p) / trials, with z = 1.96 for 95 %
    (Wilson, "Probable inference, the law of succession, and statistical inference", 1927). Of no trials at all
    nothing is known: 0 to 100. Raises ``CourseError`` where the successes do not lie between 0 and the trials.
    """
    if not 0 <= successes <= trials:
        raise CourseError(
            f"wilson: {successes} successes of {trials} trials: give 0 to {trials} successes"
        )
    if trials == 0:
        return 0.0, 100.0

    from scipy.stats import binomtest

    ends = binomtest(int(successes), int(trials)).proportion_ci(confidence, method="wilson")
    # Rounding would leave a share of 0 or 1 just outside its own interval.
    low = 100 * float(ends.low) if successes > 0 else 0.0
    high = 100 * float(ends.high) if successes < trials else 100.0
    return low, high


def mean_difference(
    values: Sequence[float], baseline: Sequence[float], confidence: float = 0.95
) -> Interval:
    """How much larger the mean of ``values`` is than that of ``baseline``, for independent seeds.

    Student's interval with a pooled deviation: difference ± t · s · √(1/n + 1/m), where s² is the mean of the two
    variances weighted by n − 1 and m − 1, and t has n + m − 2 degrees of freedom. It takes both recipes to scatter
    alike; with equally many seeds it is good even where they do not. Raises ``CourseError`` for fewer than two
    values on a side.
    """
    values, baseline = list(values), list(baseline)
    if len(values) < 2 or len(baseline) < 2:
        raise CourseError(
            f"mean_difference: {len(values)} and {len(baseline)} seeds, and two of each are needed: "
            "record both with --seeds 2 or more"
        )

    from scipy.stats import ttest_ind

    ends = ttest_ind(values, baseline, equal_var=True).confidence_interval(confidence)
    difference = statistics.fmean(values) - statistics.fmean(baseline)
    return Interval(difference, float(ends.low), float(ends.high))


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], confidence: float = 0.95
) -> Interval:
    """The mean difference over the seeds that both hold, where the same seed means the very same training.

    Both map a seed to its number. Student's interval of the differences d: mean ± t · s(d) / √n with n − 1 degrees
    of freedom ("The probable error of a mean", 1908). Raises ``CourseError`` for fewer than two common seeds.
    """
    seeds = [seed for seed in values if seed in baseline]
    if len(seeds) < 2:
        raise CourseError(
            f"paired_difference: {len(seeds)} common seeds, and two are needed: record both with --seeds 2 or more"
        )
    mine = [values[seed] for seed in seeds]
    other = [baseline[seed] for seed in seeds]
    differences = [one - two for one, two in zip(mine, other, strict=True)]
    mean = statistics.fmean(differences)
    if len(set(differences)) == 1:  # no scatter: scipy would divide by zero
        return Interval(mean, mean, mean)

    from scipy.stats import ttest_rel

    ends = ttest_rel(mine, other).confidence_interval(confidence)
    return Interval(mean, float(ends.low), float(ends.high))
