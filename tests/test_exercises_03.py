"""Session 03's checks: wrong answers are refused without showing the right one; right ones pass."""

import pytest
import torch

from helpers.exercises import OPEN
from helpers.exercises.receptive_field import (
    dilated_field,
    mended_table,
    own_pools,
    padding_that_keeps_the_centre,
)


def refused(verdict, hidden=None):
    """A wrong answer is told something, and not the right answer."""
    assert not verdict and verdict.problem != OPEN
    if hidden is not None:
        assert str(hidden) not in verdict.problem.split()


@pytest.mark.parametrize(
    "pools, field, right",
    [
        ((2, 4), 22, 24),
        ((2, 4), 11, 24),
        ((1, 2), 54, 34),
        ((), 10, 11),
        ([3], "16", 16),
        ((0, 2), 24, None),
        ((1, 6), 24, None),
        ((1, 1), 24, None),
        ((1, 2, 3, 4), 54, None),
        ("24", 24, None),
        (3, 16, None),  # the net takes a list
    ],
)
def test_a_wrong_field_or_choice_of_pools_is_refused(pools, field, right):
    refused(own_pools(pools, field), right)


@pytest.mark.parametrize(
    "pools, field",
    [((2, 4), 24), ([1, 2], 34.0), ({3}, 16), ((), 11), ((3,), torch.tensor(16)), ((1, 2, 3), 54)],
)
def test_a_right_field_is_accepted_for_any_choice_of_pools(pools, field):
    assert own_pools(pools, field).expect_right()


@pytest.mark.parametrize("row, field", [(1, 5), (2, 7), (4, 12), (5, 20), (3, 8), (3, 12), (0, 10)])
def test_another_row_or_value_of_the_table_is_refused(row, field):
    refused(mended_table(row, field), 10)


@pytest.mark.parametrize("row, field", [(3, 10), (3.0, 10.0), (torch.tensor(3), torch.tensor(10))])
def test_the_row_that_does_not_follow_is_accepted(row, field):
    assert mended_table(row, field).expect_right()


@pytest.mark.parametrize(
    "padding",
    [
        lambda kernel_size, dilation: 1,
        lambda kernel_size, dilation: kernel_size // 2,
        lambda kernel_size, dilation: dilation * (kernel_size - 1),
        lambda kernel_size, dilation: dilation * kernel_size // 2,
        lambda kernel_size, dilation: 3 * dilation,
        lambda kernel_size, dilation: "same",
        3,
    ],
)
def test_a_padding_that_moves_the_centre_is_refused(padding):
    refused(padding_that_keeps_the_centre(padding))


@pytest.mark.parametrize(
    "padding",
    [
        lambda kernel_size, dilation: dilation * (kernel_size - 1) // 2,
        lambda kernel_size, dilation: dilation * (kernel_size - 1) / 2,
        lambda kernel_size, dilation: kernel_size // 2 * dilation,
    ],
)
def test_a_padding_that_keeps_the_centre_is_accepted(padding):
    assert padding_that_keeps_the_centre(padding).expect_right()


@pytest.mark.parametrize(
    "field",
    [
        lambda dilations: 3 * len(dilations),
        lambda dilations: 2 * len(dilations) + 1,
        lambda dilations: 2 * sum(dilations),
        lambda dilations: 2 * max(dilations) + 1,
        lambda dilations: sum(dilations) + 1,
        lambda dilations: "15",
    ],
)
def test_another_field_of_dilations_is_refused(field):
    refused(dilated_field(field))


def grown(dilations):
    field = 1
    for dilation in dilations:
        field += 2 * dilation
    return field


@pytest.mark.parametrize(
    "field",
    [
        grown,
        lambda dilations: 1 + 2 * sum(dilations),
        lambda dilations: torch.tensor(dilations).sum() * 2 + 1,
    ],
)
def test_the_field_of_dilations_is_accepted(field):
    assert dilated_field(field).expect_right()


@pytest.mark.parametrize(
    "verdict",
    [
        own_pools(None, None),
        own_pools((1, 4), None),
        mended_table(None, None),
        mended_table(3, ...),
        padding_that_keeps_the_centre(lambda kernel_size, dilation: ...),
        dilated_field(lambda dilations: ...),
    ],
)
def test_an_open_answer_is_told_so(verdict):
    assert verdict.problem == OPEN
