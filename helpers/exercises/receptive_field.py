"""Session 03's exercises: a field predicted, a table mended, a padding found, dilations."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from helpers.environment import whole_number
from helpers.exercises import NotFilledIn, check, returned, unfilled
from helpers.models.small import field_net
from helpers.receptive_field.table import receptive_field_table

CONVOLUTIONS = 5  # that field_net has
MOST_POOLS = 3  # a fourth would leave maps of one pixel

# The table with a mistake: (layer, kernel_size, stride, field) of each row, as its author has them.
# The third row counts the two pixels of a 3×3 without the jump of 2 that the pooling made.
HAND_MADE = (
    ("conv 5×5", 5, 1, 5),
    ("pool 2×2", 2, 2, 6),
    ("conv 3×3", 3, 1, 8),
    ("pool 2×2", 2, 2, 10),
    ("conv 3×3", 3, 1, 18),
)
WRONG_ROW, RIGHT_FIELD = 3, 10


def field_of_pools(pools: Sequence[int]) -> int:
    """The field in pixels of what ``field_net`` averages, by the table."""
    # The last two rows are the average and the linear layer.
    table = receptive_field_table(field_net(pools), (1, 28, 28))
    return table[-3].rf


@check
def own_pools(pools: Any, predicted: Any) -> str | None:
    """A choice of poolings for ``field_net``, and the field that the learner expects of it.

    pools: numbers of the convolutions that a pooling follows, such as ``(1, 4)``
    predicted: the field in pixels of the last map before the average
    """
    # One number alone would be no list for the net: (3) is 3, and (3,) is a list of one.
    if not isinstance(pools, Iterable) or isinstance(pools, str):
        return "give the places in a list, also where it is one place alone: [2]"
    places = list(pools)
    problem = problem_of_places(places)
    if problem is not None:
        return problem

    # A field is a whole number; 24.0 and a tensor of one are accepted as well.
    field = as_whole(predicted)
    if field is None:
        return "the predicted field is one whole number of pixels"
    expected = field_of_pools([int(place) for place in places])
    if field == expected:
        return None
    direction = "less" if field > expected else "more"
    return (
        f"for pools {places} the table has {direction} than {field} pixels: "
        "add (kernel_size − 1) × jump at each layer, and double the jump after each pooling"
    )


def problem_of_places(places: Sequence[Any]) -> str | None:
    """Why ``field_net`` cannot pool after these convolutions; None where it can."""
    for place in places:
        number = whole_number(place, least=1)
        if number is None or number > CONVOLUTIONS:
            return f"each place is the number of a convolution, from 1 to {CONVOLUTIONS}"
    if len(set(places)) < len(places):
        return "a convolution is named twice, and at most one pooling follows it"
    if len(places) > MOST_POOLS:
        return f"at most {MOST_POOLS} poolings fit: each halves a map of 28 pixels"
    return None


@check
def mended_table(row: Any, field: Any) -> str | None:
    """Which row of ``HAND_MADE`` is the first that is wrong, from 1 on, and what its field is."""
    number = as_whole(row)
    if number is None and isinstance(row, str):
        return "give the row as a number, counted from 1"
    if number is None or not 1 <= number <= len(HAND_MADE):
        return f"rows are whole numbers from 1 to {len(HAND_MADE)}"

    # Later rows that were worked out from the mistake are consequences of it.
    if number < WRONG_ROW:
        return f"row {number} is right: go on from it with the recurrence"
    if number > WRONG_ROW:
        return (
            f"row {number} follows rightly from the row above it: "
            "look for the row that does not follow from its own"
        )

    value = as_whole(field)
    if value is None:
        return "the field is one whole number of pixels"
    if value == HAND_MADE[WRONG_ROW - 1][3]:
        return "that is the value in the table, which is wrong"
    if value != RIGHT_FIELD:
        return "the row is found, and its field is another: how long is the jump before it?"
    return None


@check
def padding_that_keeps_the_centre(function: Callable[[int, int], Any]) -> str | None:
    """A function (kernel_size, dilation) → padding that leaves the first centre at 0.5."""
    if not callable(function):
        return "give the function itself, without calling it"
    for kernel_size in (3, 1, 7, 5, 9):
        for dilation in (1, 2, 3):
            case = f"for kernel_size {kernel_size} and dilation {dilation}"
            answer = returned(function(kernel_size, dilation))
            padding = as_whole(answer)
            if padding is None or padding < 0:
                return f"{case} it gave {answer!r}, which is no whole number from 0 on"

            # A window may be wider than the picture: then the picture has to be larger.
            size = 2 * dilation * kernel_size
            conv = nn.Conv2d(1, 1, kernel_size, padding=padding, dilation=dilation)
            row = receptive_field_table(conv, (1, size, size))[0]
            if row.start != 0.5:
                side = "left" if row.start < 0.5 else "right"
                return f"{case} it gave {padding}: the first centre lies too far to the {side}"
    return None


@check
def dilated_field(function: Callable[[list[int]], Any]) -> str | None:
    """A function from the dilations of 3×3 convolutions in a row to the field in pixels."""
    if not callable(function):
        return "give the function itself, without calling it"
    for dilations in ([1], [2], [1, 1], [1, 2], [1, 2, 4], [3, 1, 2, 1], [1, 2, 4, 8]):
        # The learner's function gets a list of its own.
        answer = returned(function(list(dilations)))
        field = as_whole(answer)
        if field is None:
            return f"for dilations {dilations} it gave {answer!r}, which is no whole number"

        # Padding keeps the picture's size, and does not change the field.
        layers = [nn.Conv2d(1, 1, 3, padding=size, dilation=size) for size in dilations]
        expected = receptive_field_table(nn.Sequential(*layers), (1, 64, 64))[-1].rf
        if field != expected:
            direction = "many" if field > expected else "few"
            return f"for dilations {dilations} it gave {field}, which is too {direction} pixels"
    return None


def as_whole(value: Any) -> int | None:
    """A whole number given as an int, a float, a tensor or an array of one element; else None.

    Raises ``NotFilledIn`` where nothing was given.
    """
    if unfilled(value):
        raise NotFilledIn
    # True and "3" are no numbers of pixels.
    if isinstance(value, bool | str | bytes):
        return None
    try:
        number = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        return None
    if number.numel() != 1 or not float(number).is_integer():
        return None
    return int(number)
