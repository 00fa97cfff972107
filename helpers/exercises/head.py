"""Session 05's last exercise: a head of the learner's own on the features of the recorded net."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from helpers.exercises import check, returned, same_numbers
from helpers.exercises.learners_net import PROBABILITIES, are_probabilities
from helpers.interpret import Predictions
from helpers.intervals import coin_chances
from helpers.models import evaluating

CLOSE = 0.5  # points: so far below the recorded net a head counts as not yet trained
NEAR = 0.2  # points on the training digits: so far below the net's own last layer it tells nothing
ALIKE = 5_000  # one other answer in so many pictures may come from rounding alone


@check
def head_against_net(
    head: Callable[[torch.Tensor], Any],
    train_features: torch.Tensor,
    train_labels: torch.Tensor,
    test_features: torch.Tensor,
    predictions: Predictions,
    known_by_net: float | None = None,
) -> str | None:
    """A trained head from features [N, 16] to logits [N, classes], beside the recorded net's.

    predictions: what the recorded net says of the images that ``test_features`` belong to
    known_by_net: how many percent of the training digits the net's own last layer reads

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

    # The training digits first: a head that is refused by them has not met the test digits.
    right = logits_of(head, train_features).argmax(1) == train_labels
    known = 100 * float(right.double().mean())
    if known_by_net is not None and known < known_by_net - NEAR:
        return (
            f"it reads {known:.2f} % of the training digits, and the net's own last layer "
            f"{float(known_by_net):.2f} %: a head that learned less tells nothing of the features"
        )

    # Of the same pictures, so that McNemar's test can say what luck would do.
    own = Predictions(predictions.split, logits_of(head, test_features))
    print(f"mistakes: your head {own.mistakes}, the recorded net {predictions.mistakes}")
    if own.accuracy < predictions.accuracy - CLOSE:
        return f"it reads {own.accuracy:.2f} %, more than {CLOSE} points below the recorded net"
    problem = not_ones_own(own, predictions, known)
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
        return PROBABILITIES

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
    chance = f"{100 * float(coin_chances(mine, others)):.1f} %"
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
                answer = returned(head(features))
        else:
            answer = returned(head(features))
    if isinstance(answer, tuple | list | Mapping):
        raise NoLogits(f"it gives a {type(answer).__name__}: give the logits alone, one tensor")
    return torch.as_tensor(answer)
