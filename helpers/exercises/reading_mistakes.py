"""Checks of session 05: suspects read by eye, a test mended, pictures counted, a head trained."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import CodeType, FunctionType
from typing import Any

import torch

from helpers.exercises import Verdict, check, returned, unfilled
from helpers.exercises.head import head_against_net
from helpers.intervals import coin_chances

UNREADABLE = "?"
CLOSE = 0.002  # chances that differ by no more are the same one

# The checks of the session; that of exercise 4 has a file of its own.
__all__ = [
    "all_suspects_read",
    "head_against_net",
    "mended_test",
    "pictures_needed",
    "suspects_read",
]


# Exercise 1: the learner's own labels of the suspects.


def suspects_read(mine: Any, labels: Sequence[int], readings: Sequence[int]) -> Verdict:
    """A digit, or "?", for each suspect: a row, or by number from 1. Prints whom the reader joins.

    labels: what the data set says of each suspect
    readings: the commonest misreading of the seeds
    """
    # Of many answers, the one that is missing is named.
    numbers = missing_numbers(mine)
    if numbers and len(numbers) < len(mine):
        return Verdict(f"number {numbers[0]} has no answer")
    verdict = all_suspects_read(mine, labels, readings)
    if verdict:
        return Noted("")
    return verdict


class Noted(Verdict):
    """What is said of an answer that cannot be wrong."""

    def __repr__(self) -> str:
        return "noted: there is no right answer here"


def missing_numbers(mine: Any) -> list[Any]:
    """The numbers, from 1, under which a row or a dictionary has None or ``...``."""
    # Texts, tensors and arrays have no open part.
    numbered: Mapping[Any, Any] = {}
    if isinstance(mine, Mapping):
        numbered = mine
    elif isinstance(mine, tuple | list):
        numbered = dict(enumerate(mine, 1))
    return [number for number, answer in numbered.items() if unfilled(answer)]


@check
def all_suspects_read(mine: Any, labels: Sequence[int], readings: Sequence[int]) -> str | None:
    """The answers of ``suspects_read``, of which none is left open."""
    answers = in_a_row(mine, len(labels))
    if isinstance(answers, str):
        return answers
    for number, answer in enumerate(answers, 1):
        if digit(answer) is None:
            return f'number {number} is {answer!r}: give a digit from 0 to 9, or "{UNREADABLE}"'

    # Nobody is right here: the score says with whom the reader sides.
    with_label, with_net, unreadable = 0, 0, 0
    for answer, label, reading in zip(map(digit, answers), labels, readings):
        with_label += answer == label
        with_net += answer == reading
        unreadable += answer == UNREADABLE
    others = len(answers) - with_label - with_net - unreadable
    print(
        f"of {len(answers)} pictures you read {with_label} as their label says, {with_net} as the "
        f"nets' commonest misreading, {others} as neither, and {unreadable} not at all"
    )
    return None


def in_a_row(mine: Any, count: int) -> list[Any] | str:
    """The answers in the order of their numbers, or what is wrong with them."""
    if isinstance(mine, Mapping):
        for number in range(1, count + 1):
            if number not in mine and str(number) in mine:
                return f'give the numbers as {number}, not as the text "{number}"'
            if number not in mine:
                return f"number {number} has no answer; the pictures are counted from 1"
        if len(mine) > count:
            return f"there are {count} pictures, and {len(mine)} answers"
        return list(map(mine.get, range(1, count + 1)))

    # Tensors and arrays become numbers of Python; a text is one sign for each picture.
    if hasattr(mine, "tolist"):
        mine = mine.tolist()
    if isinstance(mine, set | frozenset):
        return "a set has no order: give a list, the answers in the order of the numbers"
    # Commas, dashes and brackets are no answers; a letter was meant as one.
    if isinstance(mine, str):
        mine = re.sub(r"[^\w?]|_", "", mine)
    if not isinstance(mine, Iterable):
        return f"{mine!r} is one answer: give a list, one answer for each of the {count} numbers"
    answers = list(mine)
    if len(answers) != count:
        return f"there are {count} pictures, and {len(answers)} answers"
    return answers


def digit(answer: Any) -> int | str | None:
    """An answer as a digit, or the sign for an unreadable one; None for anything else."""
    if isinstance(answer, bool):
        return None
    if isinstance(answer, str):
        answer = answer.strip()
        if answer == UNREADABLE:
            return UNREADABLE
        if not (answer.isascii() and answer.isdecimal() and len(answer) == 1):
            return None
        return int(answer)
    # A float that is whole is a digit as well; a list, or what is no number, is none.
    try:
        whole = int(answer)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
    if answer != whole or not 0 <= whole <= 9:
        return None
    return whole


# Exercise 2: how often a coin divides two nets so unevenly, from the pictures that tell.


@check
def mended_test(chance: Callable[[torch.Tensor, torch.Tensor], Any]) -> str | None:
    """A function of two masks, which pictures each net reads, that gives a chance from 0 to 1."""
    # Pictures that both read, that the first alone reads, the second alone, and nobody.
    cases = [
        (900, 28, 22, 50),
        (9_900, 20, 8, 72),
        (9_980, 8, 20, 0),
        (40, 6, 0, 3),
        (0, 1, 2, 500),
        (50, 7, 7, 7),
        (30, 0, 0, 4),
        (9_000, 700, 300, 0),
    ]
    for both, first, second, nobody in cases:
        masks = two_masks(both, first, second, nobody)
        case = (
            f"where {both:,} pictures are read by both nets, {first} by the first alone, {second} "
            f"by the second alone and {nobody} by none"
        )
        try:
            answer = chance(*masks)
        except (ValueError, ZeroDivisionError) as error:
            # Zero tosses are the one case that a right test is easily written without.
            if first + second > 0:
                raise
            return f"where no picture is read by one net alone, it raises {type(error).__name__}"
        except (RuntimeError, OverflowError):
            # The whole numbers of a tensor have 64 bits.
            if first + second < 63:
                raise
            return "counts of many pictures are tensors still: make Python's numbers with int()"
        problem = no_chance(answer)
        if problem:
            return problem
        found = one_number(answer)
        if found is None:
            return f"it gives {answer!r}: give one number, the chance"
        if not 0 <= found <= 1 + 1e-9:
            return f"{case}, it gives {found:.4g}, and a chance lies between 0 and 1"
        if abs(found - chance_of(first, second)) > CLOSE:
            return f"{case}, it gives {found:.4g}{slip(found, both, first, second, nobody)}"

    # Scipy's test, and the course's, do the adding up that the learner is asked for.
    for name in {"binomtest", "coin_chances"} & names_behind(chance):
        return f"the chance is right, and taken from {name}: write it without, from the counts"
    return None


def no_chance(answer: Any) -> str:
    """Why what a test gives is not the chance alone; empty where it may be. Open ones raise."""
    # The whole result of binomtest has the chance in it.
    if hasattr(returned(answer), "pvalue"):
        return "it gives the whole result of a test: give the chance, its .pvalue"
    if isinstance(answer, tuple | list):
        return f"it gives {len(answer)} things: give the chance alone"
    return ""


def chance_of(first: int, second: int) -> float:
    """McNemar's exact chance of so uneven a division, or a more uneven one."""
    return float(coin_chances(first, second))


def slip(found: float, both: int, first: int, second: int, nobody: int) -> str:
    """What a wrong chance was made of, where that can be told; none of it shows the right one.

    both, nobody: pictures that both nets read, and that both misread
    first, second: pictures that one of the nets reads and the other does not
    """
    right = chance_of(first, second)
    slips = [
        (right / 2, "that is one side only"),
        (chance_of(second + nobody, first + nobody), "that is what the function above gives"),
        (chance_of(first + both, second + both), "pictures that both nets read are counted, too"),
    ]
    more, fewer = max(first, second), min(first, second)
    # The next more uneven division, where the nets' own one was left out.
    if fewer > 0:
        narrower = chance_of(more + 1, fewer - 1)
        slips.append((narrower, "a result that is just as uneven counts as well"))
        # Chances that are equal, such as scipy's, differ by rounding: one side's own is left out.
        one_of_two = (
            "of the two results that are just as uneven only one is counted: compare whole "
            "numbers, for fractions that should be equal can differ in their last digit"
        )
        slips.append(((right + narrower) / 2, one_of_two))
    if more > 0:
        by_curve = math.erfc((more - fewer) / math.sqrt(2 * (more + fewer)))
        slips.append((by_curve, "that is an approximation, and the ways can be counted exactly"))
    for value, words in slips:
        if abs(found - value) <= CLOSE:
            return f": {words}"
    if abs(found - right) < 5 * CLOSE:
        return ": that is close, but not exact: was it rounded, or approximated?"
    return ", which is not what a fair coin does"


def names_behind(function: Any) -> set[str]:
    """The names that a function speaks of, and those that the functions behind these speak of."""
    names: set[str] = set()
    looked_into = set()
    waiting = [getattr(function, "__func__", function)]  # a method has its function inside
    while waiting:
        current = waiting.pop()
        if not isinstance(current, FunctionType) or current in looked_into:
            continue
        looked_into.add(current)  # each once, for a function may call itself
        names.add(current.__name__)  # the one that calls it may know it by another name
        # Functions of the notebook, and those that stand in a function around this one.
        mentioned = names_in(current.__code__)
        names.update(mentioned)
        waiting += map(current.__globals__.get, mentioned)
        for cell in current.__closure__ or ():
            with suppress(ValueError):  # an empty one
                waiting.append(cell.cell_contents)
    return names


def names_in(code: CodeType) -> set[str]:
    """The names that a function's code speaks of, those of functions inside it among them."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(names_in(constant))
    return names


def two_masks(both: int, first: int, second: int, nobody: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which pictures two nets read, bool [N] each, in an order that says nothing."""
    counts = torch.tensor([both, first, second, nobody])
    one = torch.tensor([True, True, False, False]).repeat_interleave(counts)
    two = torch.tensor([True, False, True, False]).repeat_interleave(counts)
    order = torch.randperm(len(one), generator=torch.Generator().manual_seed(len(one)))
    return one[order], two[order]


# Exercise 3: how many pictures a difference needs.


@check
def pictures_needed(needed: Callable[[float, float], Any]) -> str | None:
    """A function of an accuracy in percent and a distance in points, that gives a number."""
    for accuracy, points in ((99.4, 0.1), (99.4, 0.05), (50.0, 1.0), (90.0, 0.5), (99.9, 0.02)):
        answer = returned(needed(accuracy, points))
        found = one_number(answer)
        if found is None:
            return f"at {accuracy} % and {points} points it gives {answer!r}: give one number"
        share = accuracy / 100
        case = f"at {accuracy} % it gives {counted(found)} pictures for {points} points"
        if not 0 < found < math.inf:
            return f"{case}, which is no number of pictures"

        # Two deviations, or 1.96 of them, and rounded in any way
        two_deviations = 200 * math.sqrt(share * (1 - share) / found)
        if not 0.985 * points <= two_deviations <= 1.03 * points:
            return f"{case}; of so many, two standard errors are {two_deviations:.3g} points"
    return None


def one_number(answer: Any) -> float | None:
    """An answer as a number; None for a text, a list, an array of several and whatever is none."""
    # A text such as "10,000" has been made to be read, and not to be calculated with.
    if isinstance(answer, str | bytes | bool):
        return None
    # An array or tensor of one element is that number.
    if hasattr(answer, "tolist") and math.prod(answer.shape) == 1:
        answer = answer.reshape(()).tolist()
    try:
        return float(answer)
    except (TypeError, ValueError, RuntimeError):
        return None


def counted(found: float) -> str:
    """A number of pictures in words: whole where it is large."""
    if abs(found) >= 1_000:
        return f"{found:,.0f}"
    return f"{found:.4g}"
