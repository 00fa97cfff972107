"""Whether a net's probabilities are what they say: accuracy beside confidence, bin by bin."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from helpers.environment import CourseError, whole_number
from helpers.interpret import Predictions, check_predictions
from helpers.intervals import wilson


@dataclass(frozen=True)
class ConfidenceBin:
    """Images whose highest probability lies above ``floor`` and at most at ``ceiling``.

    All in percent. ``confidence`` is the mean of the highest probabilities, ``accuracy`` the share
    that is right, with its 95 % Wilson interval from ``low`` to ``high``; both are nan without
    images.
    """

    floor: float
    ceiling: float
    count: int
    correct: int
    confidence: float
    accuracy: float
    low: float
    high: float


def calibration(predictions: Predictions, bins: int = 10) -> list[ConfidenceBin]:
    """Accuracy and mean confidence in ``bins`` equal parts of 0 to 100 %.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, section 2.
    Raises ``CourseError`` for another number of bins, and where only classes were recorded.
    """
    check_predictions("calibration", predictions)
    count = whole_number(bins, least=1)
    if count is None:
        raise CourseError(f"calibration: bins={bins!r}: give a whole number of at least 1")
    confidences = predictions.probabilities.max(1).values.double()

    rows = []
    for number in range(count):
        # The upper edge belongs to a bin, so that a probability of 1 lies in the last one.
        inside = (confidences > number / count) & (confidences <= (number + 1) / count)
        there = int(inside.sum())
        right = int(predictions.correct[inside].sum())
        confidence = math.nan
        accuracy = math.nan
        if there > 0:
            confidence = 100 * float(confidences[inside].mean())
            accuracy = 100 * right / there
        low, high = wilson(right, there)
        edges = (100 * number / count, 100 * (number + 1) / count)
        rows.append(ConfidenceBin(*edges, there, right, confidence, accuracy, low, high))
    return rows


def expected_calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """The mean gap between accuracy and confidence, each bin by its images; percentage points.

    ECE = Σ (count / all) · |accuracy − confidence| (Guo and others, 2017, equation 3); nan without
    images.
    """
    total = sum(row.count for row in bins)
    if total == 0:
        return math.nan
    gaps = 0.0
    for row in bins:
        # A bin without images has no gap.
        if row.count > 0:
            gaps += row.count * abs(row.accuracy - row.confidence)
    return gaps / total
