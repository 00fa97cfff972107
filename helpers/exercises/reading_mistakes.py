"""Checks of session 05: suspects read by eye, a test mended, pictures counted, a head trained."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from helpers.exercises import Verdict, check, given, same_numbers, unfilled
from helpers.interpret import Predictions
from helpers.models import evaluating

UNREADABLE = "?"
CLOSE = 0.5  # points: so far below the recorded net a head counts as not yet trained
ALIKE = 5_000  # one other answer in so many pictures may come from rounding alone


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
    return all_suspects_read(mine, labels, readings)


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
    if isinstance(mine, str):
        mine = re.sub(r"[\s,;]", "", mine)
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
        if not (answer.isdecimal() and len(answer) == 1):
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
            answer = given(chance(*masks))
        except (ValueError, ZeroDivisionError) as error:
            # Zero tosses are the one case that a right test is easily written without.
            if first + second > 0:
                raise
            return f"where no picture is read by one net alone, it raises {type(error).__name__}"
        # The whole result of binomtest has the chance in it.
        if hasattr(answer, "pvalue"):
            return "it gives the whole result of a test: give the chance, its .pvalue"
        if isinstance(answer, tuple | list):
            return f"it gives {len(answer)} things: give the chance alone"
        found = float(answer)
        if not 0 <= found <= 1 + 1e-9:
            return f"{case}, it gives {found:.4g}, and a chance lies between 0 and 1"
        if abs(found - coin(first, second)) > 0.002:
            return f"{case}, it gives {found:.4g}, which is not what a fair coin does"
    return None


def two_masks(both: int, first: int, second: int, nobody: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which pictures two nets read, bool [N] each, in an order that says nothing."""
    counts = torch.tensor([both, first, second, nobody])
    one = torch.tensor([True, True, False, False]).repeat_interleave(counts)
    two = torch.tensor([True, False, True, False]).repeat_interleave(counts)
    order = torch.randperm(len(one), generator=torch.Generator().manual_seed(len(one)))
    return one[order], two[order]


def coin(heads: int, tails: int) -> float:
    """How likely a fair coin falls so unevenly or more, to either side."""
    tosses = heads + tails
    # All counts of heads that are at least as far from the middle
    ways = 0
    for count in range(tosses + 1):
        if abs(2 * count - tosses) >= abs(heads - tails):
            ways += math.comb(tosses, count)
    return ways / 2**tosses


# Exercise 3: how many pictures a difference needs.


@check
def pictures_needed(needed: Callable[[float, float], Any]) -> str | None:
    """A function of an accuracy in percent and a distance in points, that gives a number."""
    for accuracy, points in ((99.4, 0.1), (99.4, 0.05), (50.0, 1.0), (90.0, 0.5), (99.9, 0.02)):
        answer = given(needed(accuracy, points))
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


# Exercise 4: a head of the learner's own on the recorded net's features.


@check
def head_against_net(
    head: Callable[[torch.Tensor], Any],
    train_features: torch.Tensor,
    train_labels: torch.Tensor,
    test_features: torch.Tensor,
    predictions: Predictions,
) -> str | None:
    """A trained head from features [N, 16] to logits [N, classes], beside the recorded net's.

    predictions: what the recorded net says of the images that ``test_features`` belong to

    Prints the mistakes of both, how often a coin would divide them so unevenly, and what no check
    can see: which digits the head was trained on. On practice data nothing is judged but the shape.
    """
    # Answers first, and then how good they are.
    classes = len(predictions.split.classes)
    problem = no_head(head, test_features, classes)
    if problem:
        return problem
    if predictions.split.note:
        print("trained on practice data, on which nothing is judged")
        return None

    # Of the same pictures, so that McNemar's test can say what luck would do.
    own = Predictions(predictions.split, logits_of(head, test_features))
    print(f"mistakes: your head {own.mistakes}, the recorded net {predictions.mistakes}")
    if own.accuracy < predictions.accuracy - CLOSE:
        return f"it reads {own.accuracy:.2f} %, more than {CLOSE} points below the recorded net"
    known = logits_of(head, train_features).argmax(1) == train_labels
    problem = not_ones_own(own, predictions, 100 * float(known.double().mean()))
    if problem:
        return problem
    print(beside(own, predictions))
    print("the check cannot see which digits you trained on, nor how many heads you have tried")
    return None


def no_head(head: Callable[[torch.Tensor], Any], features: torch.Tensor, classes: int) -> str:
    """Why something is no head that answers each picture by itself; empty where it is one."""
    if isinstance(head, type):
        return f"{head.__name__} is a class: make a net of it, and train it"
    # Torch speaks of matrices where a head has other inputs than there are features.
    inputs = features.shape[1]
    try:
        logits = logits_of(head, features)
    except NoLogits as problem:
        return str(problem)
    except RuntimeError as error:
        return f"it raised RuntimeError: {error}; the head gets {inputs} numbers a picture"
    wanted = (len(features), classes)
    if tuple(logits.shape) != wanted:
        return (
            f"for {wanted[0]:,} pictures it gives {list(logits.shape)}, not {list(wanted)}; the "
            f"head gets {inputs} numbers a picture"
        )
    if not logits.isfinite().all():
        return "some of its logits are not finite numbers"
    if are_probabilities(logits):
        return (
            "each row sums to 1: these are probabilities; give logits, cross_entropy makes the "
            "probabilities itself"
        )

    # A picture's answer must not depend on chance, or on the pictures beside it.
    if not same_numbers(logits_of(head, features), logits, 1e-4):
        return (
            "asked twice, it gives two answers: is a dropout still at work, or batch "
            "normalisation? call .eval() of the net after training"
        )
    if not same_numbers(logits_of(head, features[:3]), logits[:3], 1e-3):
        return (
            "its answer to a picture depends on the other pictures of the batch: with batch "
            "normalisation, call .eval() of the net after training"
        )
    return ""


def are_probabilities(rows: torch.Tensor) -> bool:
    """Whether no number is negative and each row sums to 1, as after softmax or one_hot."""
    sums = rows.double().sum(1)
    return bool((rows >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())


def not_ones_own(own: Predictions, recorded: Predictions, known: float) -> str:
    """Why a good head is none that was trained as it should be; empty where nothing tells.

    known: the head's accuracy on the training digits, in percent
    """
    others = int((own.predicted != recorded.predicted).sum())
    if others * ALIKE <= len(own):
        return "it answers as the recorded net does: is it the net's own last layer?"

    # Digits that a head has learned from are read as well as new ones, or better.
    share = own.accuracy / 100
    error = 100 * math.sqrt(share * (1 - share) / len(own))
    if own.accuracy - known > 2 * error:
        return (
            f"it reads {own.accuracy:.2f} % of the test digits and only {known:.2f} % of the "
            "training digits: has it been trained on the test digits?"
        )
    return ""


def beside(own: Predictions, recorded: Predictions) -> str:
    """How a head and the recorded net differ, and how often a coin would differ as much."""
    # Pictures that both read, or neither, do not tell.
    mine = int((own.correct & ~recorded.correct).sum())
    others = int((~own.correct & recorded.correct).sum())

    # How rare a difference is does not say which side it favours.
    side = "as many pictures as the net"
    if mine > others:
        side = f"{mine - others} more than the net"
    if mine < others:
        side = f"{others - mine} fewer than the net"
    chance = f"{coin(mine, others):.1%}"
    return (
        f"your head reads {side}: it alone reads {mine}, the net alone {others}; a coin would "
        f"divide them at least so unevenly in {chance} of cases"
    )


class NoLogits(Exception):
    """Raised where a head gives something of which no tensor of logits can be made."""


def logits_of(head: Callable[[torch.Tensor], Any], features: torch.Tensor) -> torch.Tensor:
    """What a head says, without a gradient; a net in evaluation mode, its modes put back.

    Raises ``NoLogits`` for a tuple, a list and a dictionary.
    """
    with torch.no_grad():
        if isinstance(head, nn.Module):
            with evaluating(head):
                answer = given(head(features))
        else:
            answer = given(head(features))
    if isinstance(answer, tuple | list | Mapping):
        raise NoLogits(f"it gives a {type(answer).__name__}: give the logits alone, one tensor")
    return torch.as_tensor(answer)
