"""Rules that read a learning rate off the curve of a range test.

They are fastai's (``callback/schedule.py``), written anew. Each is given rates and smoothed losses,
float64 [n], of a curve that falls below its first loss, and returns a rate.
"""

import numpy as np

from helpers.environment import CourseError


def kept_part(rates: np.ndarray, smoothed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rates and losses, [m] each, that the rules look at: ``rates`` [steps], losses [n].

    As in fastai the first tenth of the planned steps and the last five points are left out, but
    only where 16 points remain.
    """
    # The ends of a curve mislead: a warm-up at one of them, the divergence at the other.
    lrs = rates[: len(smoothed)]
    middle = slice(len(rates) // 10, -5)
    if len(lrs[middle]) > 15:
        return lrs[middle], smoothed[middle]
    return lrs, smoothed


def valley(lrs: np.ndarray, losses: np.ndarray) -> float:
    """The rate in the middle of the longest fall of the loss.

    Find the longest subsequence of falling losses, and go a third plus a sixth of its length along
    the curve.
    """
    # The length of the longest falling subsequence that ends at each point.
    lengths = np.ones(len(losses), dtype=int)
    for here in range(1, len(losses)):
        higher = losses[:here] > losses[here]
        lengths[here] += lengths[:here][higher].max(initial=0)

    # As in fastai, its points count as neighbours, and are counted from the one before the first.
    end = int(lengths.argmax())
    length = int(lengths[end])
    before = end - length
    return lrs[max(0, before + length // 3 + length // 6)]


def slide(lrs: np.ndarray, losses: np.ndarray) -> float:
    """The lowest rate of the last stretch of the curve, in which its slope keeps changing.

    Walk towards lower rates, from 15 steps before the end of the curve, as long as the slope
    changes by more than 0.005 within 15 steps. The lowest rate that this walk comes to is taken, or
    the one where it begins, if the slope hardly changes even there.
    """
    distance, threshold = 15, 0.005
    if len(lrs) <= distance:
        raise CourseError(
            f"the rule 'slide' needs {distance + 1} points of the curve, not {len(lrs)}: take more "
            "steps"
        )

    # How much the slope changes from each point to the one 15 steps on.
    slopes = np.gradient(losses)
    changes = np.abs(slopes[distance:] - slopes[:-distance])

    # The point after the last one with a small change, but not beyond the last known change.
    calm = np.flatnonzero(changes <= threshold)
    last_calm = calm.max(initial=-1)
    return lrs[min(last_calm + 1, len(lrs) - 1 - distance)]


def minimum(lrs: np.ndarray, losses: np.ndarray) -> float:
    """A tenth of the rate of the lowest loss."""
    return lrs[losses.argmin()] / 10


def steep(lrs: np.ndarray, losses: np.ndarray) -> float:
    """Where the loss falls fastest against the logarithm of the rate."""
    # Equal steps of the curve are equal factors of the rate.
    slopes = np.diff(losses) / np.diff(np.log(lrs))
    return lrs[slopes.argmin()]


# In the order in which a plot draws them.
RULES = {"valley": valley, "slide": slide, "minimum": minimum, "steep": steep}
