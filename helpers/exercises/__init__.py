"""Exercises: how an answer is judged, and what the learner is told.

The checks of a session are in a file of their own. A check tries what an answer does on several
cases, says what is wrong with a wrong one, and does not show the right one.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch

OPEN = "not filled in yet"
# What is said of a function without its return.
NOTHING_CAME_BACK = "your function gave back nothing, which is what one without a return does"


class NotFilledIn(Exception):
    """Raised by a check that finds a part of the answer left open; its text may say how."""


class Verdict:
    """What is said about an answer: true only where it is right, and shown as a sentence.

    problem: what is wrong, ``OPEN`` for an answer that was left open, empty for a right one.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem

    def __bool__(self) -> bool:
        return not self.problem

    def __repr__(self) -> str:
        if not self.problem:
            return "right"
        if self.problem == OPEN:
            return OPEN
        return f"not yet: {self.problem}"

    def expect_right(self) -> "Verdict":
        """The verdict itself; ``AssertionError`` where it is not right. For solutions."""
        assert self, self
        return self


def check(find_problem: Callable[..., str | None]) -> Callable[..., Verdict]:
    """Make a check of a function that returns what is wrong with an answer, or None.

    The check never raises because of an answer: what the learner's code raises is in the verdict.
    """

    @functools.wraps(find_problem)
    def judge(*answers: Any, **settings: Any) -> Verdict:
        # Run All comes here before anybody has answered.
        for answer in answers:
            if unfilled(answer):
                return Verdict(OPEN)
        try:
            problem = find_problem(*answers, **settings)
        except NotFilledIn as left_open:
            problem = str(left_open) or OPEN
        except Exception as error:
            problem = f"your answer raised {type(error).__name__}: {error}"
        return Verdict(problem or "")

    return judge


def unfilled(answer: Any) -> bool:
    """Whether an answer, or a part of a list or dictionary of answers, is still None or ``...``."""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, Mapping):
        return any(map(unfilled, answer.values()))
    if isinstance(answer, tuple | list):
        return any(map(unfilled, answer))
    return False


def given(answer: Any) -> Any:
    """The answer itself; raises ``NotFilledIn`` where it, or a part of it, is still open."""
    if unfilled(answer):
        raise NotFilledIn
    return answer


def returned(result: Any) -> Any:
    """What a learner's function returned; raises ``NotFilledIn`` for dots, and for nothing."""
    # The frame of an exercise returns dots. None comes from a function that was written.
    if result is None:
        raise NotFilledIn(NOTHING_CAME_BACK)
    return given(result)


def same_numbers(found: Any, expected: Any, tolerance: float = 1e-5) -> bool:
    """Whether two numbers, lists or tensors have one shape and agree within the tolerance."""
    found = torch.as_tensor(found, dtype=torch.float64)
    expected = torch.as_tensor(expected, dtype=torch.float64)
    if found.shape != expected.shape:
        return False
    return torch.allclose(found, expected, rtol=tolerance, atol=tolerance)
