"""What a verdict says: right, wrong with its reason, or not filled in yet; it never raises."""

import pytest
import torch

from helpers.exercises import (
    NOTHING_CAME_BACK,
    OPEN,
    NotFilledIn,
    Verdict,
    check,
    given,
    returned,
    same_numbers,
    unfilled,
)
from helpers.exercises.learners_net import built_net


@check
def doubled(answer, limit=9):
    """A number's double, tried on two cases."""
    for number in (1, 4):
        if returned(answer(number)) != 2 * number or number > limit:
            return f"for {number} it gave {answer(number)}"
    return None


def test_a_right_answer_is_right():
    verdict = doubled(lambda number: number + number)
    assert verdict and repr(verdict) == "right" and verdict.expect_right() is verdict


def test_a_wrong_answer_is_told_what_is_wrong():
    verdict = doubled(lambda number: number + 1)
    assert not verdict and repr(verdict) == "not yet: for 4 it gave 5"
    assert not doubled(lambda number: 2 * number, limit=3)
    with pytest.raises(AssertionError, match="for 4"):
        verdict.expect_right()


@pytest.mark.parametrize("answer", [None, ..., lambda number: ..., lambda number: [1, None]])
def test_what_was_left_open_is_told_so(answer):
    verdict = doubled(answer)
    assert not verdict and verdict.problem == repr(verdict) == OPEN


def test_a_function_without_its_return_is_told_so():
    verdict = doubled(lambda number: None)
    assert not verdict and verdict.problem == NOTHING_CAME_BACK
    assert repr(verdict) == f"not yet: {NOTHING_CAME_BACK}"


@pytest.mark.parametrize("answer", [3, lambda: 4, lambda number: number / 0, "text"])
def test_what_an_answer_raises_is_part_of_the_verdict(answer):
    verdict = doubled(answer)
    assert not verdict and "your answer raised" in repr(verdict)


def test_the_name_and_docstring_of_a_check_stay():
    assert doubled.__name__ == "doubled" and doubled.__doc__.startswith("A number's double")


@pytest.mark.parametrize("answer", [None, ..., (1, None), [[2], [...]], {"a": None}])
def test_open_parts_are_found_at_any_depth(answer):
    assert unfilled(answer)
    with pytest.raises(NotFilledIn):
        given(answer)


@pytest.mark.parametrize("answer", [0, "", [], (1, 2), {"a": 0}, torch.zeros(2), False])
def test_zero_and_nothing_are_answers(answer):
    assert not unfilled(answer) and given(answer) is answer


def test_numbers_are_the_same_within_the_tolerance_and_in_one_shape():
    assert same_numbers([1, 2.0000001], torch.tensor([1.0, 2.0])) and same_numbers(3, 3.0)
    assert not same_numbers([1, 2], [1, 2.1]) and not same_numbers([1, 1], 1)
    assert same_numbers(1, 1.05, tolerance=0.1)


def test_a_verdict_without_a_problem_is_right():
    assert Verdict("") and not Verdict("too small") and not Verdict(OPEN)


def test_a_net_that_is_given_is_not_trained_itself():
    mine = torch.nn.Linear(3, 2)
    net = built_net(mine)
    assert net is not mine and torch.equal(net.weight, mine.weight)
    with torch.no_grad():
        net.weight.zero_()
    assert bool((mine.weight != 0).any())
    with pytest.raises(NotFilledIn):
        built_net(torch.nn.Sequential())
