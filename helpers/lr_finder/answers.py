"""What a range test answers: where learning begins, the edge, and a highest rate for one-cycle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from helpers.environment import CourseError
from helpers.lr_finder.rules import kept_part, valley

EDGE_SHARE = 0.25
"""The recommended highest rate is this share of the edge.

It follows from a measurement: ``notebooks/results/measured`` holds range tests of several nets, and
``notebooks/results/search/range-….json`` the accuracies after five epochs at rates on both sides of
the best one. ``python -m helpers range-test`` prints how the recommended rates did. A half, which
was tried first, was too much for the nets of CIFAR-10.
"""

TRIED = {"edge/12": EDGE_SHARE / 3, "edge/4": EDGE_SHARE, "3/4·edge": 3 * EDGE_SHARE}
"""Three short trainings decide: at a third of the recommended rate, at it, and at three times it.

The shares of the edge, by their names in figures and tables.
"""

RISE = 0.1
"""After the edge the loss has to rise by this share of its fall: less could be chance."""


class RangeAnswer(NamedTuple):
    """Two rates that are read off a range test, and the one that follows from them.

    begins: learning is under way (fastai's valley rule)
    edge: the smoothed loss is lowest, and rises at higher rates
    highest: recommended as the highest rate of one-cycle, ``EDGE_SHARE`` of the edge
    """

    begins: float
    edge: float
    highest: float

    def __str__(self) -> str:
        return (
            f"Learning is under way at a rate of {self.begins:.2g}, and beyond the edge, "
            f"{self.edge:.2g}, the loss rises.\n"
            f"Recommended as the highest rate of one-cycle: {self.highest:.2g}, which is "
            f"{EDGE_SHARE:g} times the edge."
        )

    def __repr__(self) -> str:
        # What a notebook shows of the last line of a cell.
        return str(self)


def read_answer(rates: np.ndarray, curve: np.ndarray) -> RangeAnswer:
    """The answer of one order: ``rates`` [steps] as planned, its ``curve`` [2, n], n <= steps.

    Raises ``CourseError`` where learning does not begin, or has no edge, inside of these rates.
    """
    smoothed = curve[1]
    lowest = int(smoothed.argmin())
    edge = float(rates[lowest])

    # A curve that is shorter than planned was ended by a loss that diverged.
    rise = smoothed[lowest:].max() - smoothed[lowest]
    fall = smoothed[0] - smoothed[lowest]
    rises = len(smoothed) < len(rates) or rise > RISE * fall
    if lowest > 0 and not rises:
        raise CourseError(
            f"the range test has no edge: up to a rate of {rates[-1]:.2g} the loss does not rise; "
            "give a higher end_lr"
        )

    # A fall that is under way at the first rates began below them.
    lrs, losses = kept_part(rates, smoothed)
    begins = float(valley(lrs, losses))
    if lowest == 0 or losses.argmin() == 0 or not lrs[0] < begins < edge:
        raise CourseError(
            f"the range test does not show where learning begins: from a rate of {rates[0]:.2g} on "
            "the loss falls at once, or never; give a lower start_lr, and see that the net learns"
        )
    return RangeAnswer(begins, edge, EDGE_SHARE * edge)


def read_answers(
    rates: np.ndarray, curves: Sequence[np.ndarray]
) -> tuple[tuple[RangeAnswer, ...], tuple[CourseError, ...]]:
    """The answers of the orders that have one, and why the others have none."""
    answers = []
    problems = []
    for curve in curves:
        try:
            answers.append(read_answer(rates, curve))
        except CourseError as problem:
            problems.append(problem)
    return tuple(answers), tuple(problems)


def median_answer(answers: Sequence[RangeAnswer]) -> RangeAnswer:
    """The median over several orders of where learning begins, and of the edge."""
    begins = median_rate([answer.begins for answer in answers])
    edge = median_rate([answer.edge for answer in answers])
    return RangeAnswer(begins, edge, EDGE_SHARE * edge)


def median_rate(rates: Sequence[float]) -> float:
    """The rate in the middle; of an even number the geometric mean of the two in the middle."""
    return math.exp(float(np.median(np.log(rates))))
