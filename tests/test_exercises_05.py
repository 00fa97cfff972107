"""The checks of session 05: wrong answers are refused and told why, right ones of any form pass."""

from __future__ import annotations

import functools
import math
import re

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest, chi2
from torch import nn
from torch.nn.functional import one_hot

from helpers.data import ImageSplit
from helpers.exercises import NOTHING_CAME_BACK, OPEN, reading_mistakes
from helpers.exercises.head import beside
from helpers.interpret import Predictions
from helpers.intervals import coin_chances

# Exercise 1: suspects, read by eye.

LABELS, READINGS = [4, 9, 0, 7], [9, 4, 6, 1]
READ = [
    [4, 4, "?", 3],
    (4, 4, "?", 3),
    ["4", " 4", "?", "3"],
    "44?3",
    "4 4 ? 3",
    "4, 4, ?, 3",
    "4;4;?;3",
    "44\n?3\n",
    "4-4-?-3",
    "4.4.?.3",
    "4|4|?|3",
    "[4, 4, '?', 3]",
    "4, 4, ?, 3.",
    {1: 4, 2: 4, 3: "?", 4: 3},
    {4: "3", 3: "?", 2: 4.0, 1: np.int64(4)},
    np.array([4, 4, "?", 3], dtype=object),
]


@pytest.mark.parametrize("mine", READ, ids=str)
def test_every_form_of_labels_is_scored(mine, capsys):
    verdict = reading_mistakes.suspects_read(mine, LABELS, READINGS)
    assert "no right answer" in repr(verdict.expect_right())
    said = capsys.readouterr().out
    assert "of 4 pictures you read 1 as their label says, 1 as the nets' commonest" in said
    assert "misreading, 1 as neither" in said
    assert "1 not at all" in said


def test_tensors_are_labels_and_one_may_side_with_either_throughout(capsys):
    for mine, words in (
        (torch.tensor(LABELS), "4 as their label"),
        (READINGS, "4 as the nets' commonest"),
    ):
        assert reading_mistakes.suspects_read(mine, LABELS, READINGS)
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    "mine, words",
    [
        ([4, 4, 6], "there are 4 pictures, and 3 answers"),
        ([4, 4, 6, 1, 1], "5 answers"),
        ([4, 4, 6, 10], "number 4 is 10"),
        ([4, -1, 6, 1], "number 2 is -1"),
        ([4, 4.5, 6, 1], "number 2 is 4.5"),
        ([4, "four", 6, 1], "number 2 is 'four'"),
        ([4, True, 6, 1], "number 2 is True"),
        (["10", 4, 6, 1], "number 1 is '10'"),
        ("44x1", "number 3 is 'x'"),
        ("4, 4, six, 1", "there are 4 pictures, and 6 answers"),
        ("44٧1", "number 3 is '٧'"),
        (["4", "4", "٧", "1"], "number 3 is '٧'"),
        ({"1": 4, "2": 4, "3": 6, "4": 1}, 'give the numbers as 1, not as the text "1"'),
        ({1: 4, 2: 4, "3": 6, 4: 1}, 'give the numbers as 3, not as the text "3"'),
        ({0: 4, 1: 4, 2: 6, 3: 1}, "number 4 has no answer"),
        ({1: 4, 2: 4, 3: 6, 4: 1, 5: 1}, "5 answers"),
        ([4, 4, None, 1], "number 3 has no answer"),
        ((4, ..., 6, None), "number 2 has no answer"),
        ({1: 4, 2: ..., 3: 6, 4: 1}, "number 2 has no answer"),
        (7, "7 is one answer: give a list"),
        (76389, "one answer for each of the 4 numbers"),
        ([[4, 4], [6, 1], [1, 1], [2, 2]], "number 1 is [4, 4]: give a digit"),
        ([[7], 4, 6, 1], "number 1 is [7]"),
        ([float("nan"), 4, 6, 1], "number 1 is nan"),
        ({4, 9, 6, 1}, "a set has no order"),
    ],
    ids=str,
)
def test_what_is_no_label_is_refused(mine, words, capsys):
    verdict = reading_mistakes.suspects_read(mine, LABELS, READINGS)
    assert not verdict and words in verdict.problem
    assert "you read" not in capsys.readouterr().out


@pytest.mark.parametrize("mine", [None, ..., [None] * 4, (None, ...), {1: None, 2: ...}])
def test_labels_that_are_missing_are_open(mine):
    assert reading_mistakes.suspects_read(mine, LABELS, READINGS).problem == OPEN


# Exercise 2: McNemar's test, mended.


def alone(first, second):
    """How many pictures only the first net reads, and only the second."""
    return int((first & ~second).sum()), int((second & ~first).sum())


def by_binomtest(first, second):
    one, two = alone(first, second)
    return binomtest(one, one + two).pvalue if one + two else 1.0


def by_tails(first, second):
    one, two = alone(first, second)
    return min(1.0, 2 * binom.cdf(min(one, two), one + two, 0.5))


def by_counting(first, second):
    told = first != second
    wins = sum(first[told].tolist())
    tosses = int(told.sum())
    ways = sum(math.comb(tosses, wins) for wins in range(min(wins, tosses - wins) + 1))
    return min(1, 2 * ways / 2**tosses)


def by_numpy(first, second):
    one = int(np.sum(first.numpy() > second.numpy()))
    two = int(np.sum(first.numpy() < second.numpy()))
    ways = np.array(
        [math.comb(one + two, heads) / 2 ** (one + two) for heads in range(one + two + 1)]
    )
    return ways[ways <= ways[one] * (1 + 1e-9)].sum()


def by_tensor(first, second):
    return torch.tensor([by_counting(first, second)])


def careless(first, second):
    one, two = int((~first).sum()), int((~second).sum())
    return binomtest(one, one + two).pvalue


def of_what_is_read(first, second):
    one, two = int(first.sum()), int(second.sum())
    return binomtest(one, one + two).pvalue


def of_all_pictures(first, second):
    one, two = alone(first, second)
    return binomtest(one + two, len(first)).pvalue


def one_sided(first, second):
    one, two = alone(first, second)
    return binomtest(one, one + two, alternative="greater").pvalue if one + two else 1.0


def half(first, second):
    return by_tails(first, second) / 2


def with_chi2(first, second):
    one, two = alone(first, second)
    return chi2.sf((one - two) ** 2 / (one + two), 1) if one + two else 1.0


def in_percent(first, second):
    return 100 * by_binomtest(first, second)


def of_nothing(first, second):
    one, two = alone(first, second)
    return binomtest(one, one + two).pvalue


def divided(first, second):
    one, two = alone(first, second)
    return by_tails(first, second) * (one + two) / (one + two)


def a_verdict(first, second):
    return by_binomtest(first, second) < 0.05


def the_whole_result(first, second):
    one, two = alone(first, second)
    return binomtest(one, max(one + two, 1))


def the_counts(first, second):
    return alone(first, second)


def strictly(first, second):
    one, two = alone(first, second)
    ways = [math.comb(one + two, heads) for heads in range(one + two + 1)]
    more = [way for heads, way in enumerate(ways) if abs(2 * heads - one - two) > abs(one - two)]
    return sum(more) / 2 ** (one + two)


def of_one_result_of_two(first, second):
    one, two = alone(first, second)
    # As scipy's are, chances of a coin are equal to either side but for their last digits.
    ways = [math.comb(one + two, heads) / 2 ** (one + two) for heads in range(one + two + 1)]
    ways = [way * (1 - 1e-15 * heads) for heads, way in enumerate(ways)]
    return sum(way for way in ways if way <= ways[one])


def by_another_function(first, second):
    return 1.0 * by_binomtest(first, second)


def by_yet_another(first, second, again=True):
    return by_yet_another(first, second, False) if again else by_another_function(first, second)


scipys_test = binomtest


def by_another_name(first, second):
    one, two = alone(first, second)
    return scipys_test(one, one + two).pvalue if one + two else 1.0


def wrapped(inside):
    def outside(first, second):
        return inside(first, second)

    return outside


class Tests:
    def chance(self, first, second):
        return by_binomtest(first, second)


def calls_itself(first, second, again=True):
    return calls_itself(first, second, False) if again else by_tails(first, second)


def rounded(first, second):
    return round(by_tails(first, second), 2)


def a_text(first, second):
    return f"{by_tails(first, second):.3f}"


def by_the_course(first, second):
    return coin_chances(*alone(first, second))


def printed(first, second):
    print(by_tails(first, second))


def hidden(first, second):
    return max(
        binomtest(one, one + two).pvalue if one + two else 1.0
        for one, two in [alone(first, second)]
    )


RIGHT_TESTS = [by_tails, by_counting, by_numpy, by_tensor, calls_itself, wrapped(wrapped(by_tails))]


@pytest.mark.parametrize("answer", RIGHT_TESTS)
def test_every_form_of_the_exact_test_is_right(answer):
    assert reading_mistakes.mended_test(answer).expect_right()


def test_a_right_chance_of_scipys_own_test_is_called_right_and_asked_for_anew():
    by_others = [by_another_function, by_yet_another, wrapped(wrapped(by_binomtest))]
    for answer in (by_binomtest, hidden, *by_others, by_another_name, Tests().chance):
        problem = reading_mistakes.mended_test(answer).problem
        assert problem.startswith("the chance is right") and "without" in problem
    assert "taken from coin_chances" in reading_mistakes.mended_test(by_the_course).problem
    # What has no code of its own cannot be looked into, and what is wrong is told first.
    assert reading_mistakes.mended_test(functools.partial(by_binomtest))
    assert "the chance is right" not in reading_mistakes.mended_test(careless).problem


@pytest.mark.parametrize(
    "answer, words",
    [
        (half, ": that is one side only"),
        (careless, ": that is what the function above gives"),
        (strictly, ": a result that is just as uneven counts as well"),
        (of_one_result_of_two, "should be equal can differ in their last digit"),
        (with_chi2, ": that is an approximation, and the ways can be counted exactly"),
        (rounded, ": that is close, but not exact: was it rounded, or approximated?"),
        (of_what_is_read, ": pictures that both nets read are counted, too"),
    ],
)
def test_a_slip_that_is_known_is_named(answer, words):
    assert reading_mistakes.mended_test(answer).problem.endswith(words)


def test_a_chance_is_a_number_and_is_returned():
    problem = reading_mistakes.mended_test(a_text).problem
    assert "'0.480'" in problem and "give one number" in problem
    assert reading_mistakes.mended_test(printed).problem == NOTHING_CAME_BACK


WRONG_TESTS = (careless, of_what_is_read, of_all_pictures, one_sided, half, with_chi2)


@pytest.mark.parametrize(
    "answer",
    [*WRONG_TESTS, in_percent, of_nothing, a_verdict, the_counts, the_whole_result],
    ids=str,
)
def test_another_test_is_refused_without_the_right_number(answer):
    verdict = reading_mistakes.mended_test(answer)
    assert not verdict and verdict.problem != OPEN
    for right in ("0.48", "0.036", "0.0357"):
        assert f"gives {right}" not in verdict.problem and f"is {right}" not in verdict.problem
    assert "\n" not in verdict.problem


def test_no_toss_and_more_than_the_chance_are_named():
    words = "where no picture is read by one net alone, it raises"
    for answer, error in ((of_nothing, "ValueError"), (divided, "ZeroDivisionError")):
        assert reading_mistakes.mended_test(answer).problem == f"{words} {error}"
    verdict = reading_mistakes.mended_test(lambda first, second: [*alone(first, second), 1.0])
    assert verdict.problem == "it gives 3 things: give the chance alone"
    assert "its .pvalue" in reading_mistakes.mended_test(the_whole_result).problem
    # An error of another kind, or in another case, is told as it is.
    assert "raised TypeError" in reading_mistakes.mended_test(lambda first: 1.0).problem
    assert "raised ValueError" in reading_mistakes.mended_test(lambda *masks: float("x")).problem


def test_a_test_that_was_not_written_is_open():
    assert reading_mistakes.mended_test(lambda first, second: ...).problem == OPEN
    nothing = reading_mistakes.mended_test(lambda first, second: None)
    assert nothing.problem == NOTHING_CAME_BACK
    assert reading_mistakes.mended_test(None).problem == OPEN


# Exercise 3: how many pictures.


def exact(accuracy, points):
    p, distance = accuracy / 100, points / 100
    return p * (1 - p) * (2 / distance) ** 2


RIGHT_COUNTS = [
    exact,
    lambda accuracy, points: math.ceil(exact(accuracy, points)),
    lambda accuracy, points: exact(accuracy, points) * (1.96 / 2) ** 2,
    lambda accuracy, points: round(4 * accuracy * (100 - accuracy) / points**2),
    lambda accuracy, points: torch.tensor(exact(accuracy, points)),
    lambda accuracy, points: np.array([exact(accuracy, points)]),
]
WRONG_COUNTS = {
    "one standard error": lambda accuracy, points: exact(accuracy, points) / 4,
    "of a difference": lambda accuracy, points: 2 * exact(accuracy, points),
    "points not in parts": lambda accuracy, points: exact(accuracy, 100 * points),
    "percent as a share": lambda accuracy, points: accuracy * (100 - accuracy) / points,
    "no square": lambda accuracy, points: (accuracy / 100) * (1 - accuracy / 100) * 200 / points,
    "a root": lambda accuracy, points: exact(accuracy, points) ** 0.5,
    "no 1 - p": lambda accuracy, points: (accuracy / 100) * (200 / points) ** 2,
    "three": lambda accuracy, points: exact(accuracy, points) * 9 / 4,
    "one case alone": lambda accuracy, points: 23_856,
    "negative": lambda accuracy, points: -exact(accuracy, points),
    "the order": lambda accuracy, points: exact(points, accuracy),
}


@pytest.mark.parametrize("needed", RIGHT_COUNTS)
def test_every_form_of_the_count_is_right(needed):
    assert reading_mistakes.pictures_needed(needed).expect_right()


@pytest.mark.parametrize("needed", WRONG_COUNTS.values(), ids=WRONG_COUNTS)
def test_another_count_is_refused_and_the_right_one_not_shown(needed):
    verdict = reading_mistakes.pictures_needed(needed)
    assert not verdict and verdict.problem != OPEN
    # Whoever always gives the count of one case is told what was given, and not more.
    assert "23,8" not in re.sub("gives -?23,856", "", verdict.problem)


@pytest.mark.parametrize("answer", ["23,856", "23856", [1.0], (1, 2), np.array([1.0, 2.0]), {}])
def test_what_is_no_number_is_refused_in_words(answer):
    problem = reading_mistakes.pictures_needed(lambda accuracy, points: answer).problem
    assert problem.endswith("give one number") and "Error" not in problem


def test_a_count_that_was_not_written_is_open():
    assert reading_mistakes.pictures_needed(lambda accuracy, points: ...).problem == OPEN
    nothing = reading_mistakes.pictures_needed(lambda accuracy, points: None)
    assert nothing.problem == NOTHING_CAME_BACK


# Exercise 4: a head of one's own.


def features_and_labels(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [N, 16] in which three classes lie apart, with a few that do not."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (count,), generator=generator)
    features = torch.randn(count, 16, generator=generator)
    features[:, :3] += 3 * one_hot(labels, 3)
    return features, labels


FEATURES, TRUE = features_and_labels()
# The same pictures serve as training digits, which a head reads as well as others.
TRAIN = (FEATURES, TRUE)


def net_of(note: str = "") -> Predictions:
    """What the recorded net is supposed to say: the largest of the first three features."""
    images = torch.zeros(len(TRUE), 1, 2, 2, dtype=torch.uint8)
    split = ImageSplit(images, TRUE, ("a", "b", "c"), (0.0,), (1.0,), note)
    return Predictions(split, FEATURES[:, :3])


def judged(head, predictions=None, train=TRAIN):
    """The verdict on a head, beside the net unless other predictions are given."""
    if predictions is None:
        predictions = net_of()
    return reading_mistakes.head_against_net(head, *train, FEATURES, predictions)


def linear(off: float = 0.2) -> nn.Linear:
    """A head that does what the net does, but for a lean to the first class."""
    head = nn.Linear(16, 3)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([off, 0.0, 0.0]))
        head.weight[:, :3] = torch.eye(3)
    return head


class Doubled(nn.Module):
    """A head as a class of its own."""

    def __init__(self):
        super().__init__()
        self.head = linear()

    def forward(self, features):
        return 2 * self.head(features)


def in_training() -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(16), linear(), nn.Dropout(0.1)).train()


def leaning(features):
    """The net's answers, moved a little by features that say nothing."""
    return features[:, :3] + 0.2 * features[:, 3:6]


HEADS = {
    "a layer": linear(),
    "a net with a norm and dropout, in training mode": in_training(),
    "a class": Doubled(),
    "a function": leaning,
    "logarithms of probabilities": lambda features: leaning(features).log_softmax(1),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_every_form_of_a_good_head_is_right(head, capsys):
    modes = [module.training for module in head.modules()] if isinstance(head, nn.Module) else []
    assert judged(head).expect_right()
    assert f"the recorded net {net_of().mistakes}\n" in capsys.readouterr().out
    if modes:
        assert modes == [module.training for module in head.modules()]


def test_what_is_printed_is_mcnemars_test(capsys):
    assert judged(leaning)
    own = leaning(FEATURES).argmax(1) == TRUE
    one, two = alone(own, net_of().correct)
    said = capsys.readouterr().out
    assert f"your head {int((~own).sum())}, the recorded net" in said
    assert f"it alone reads {one}, the net alone {two}; a coin would" in said
    assert f"in {100 * coin_chances(one, two):.1f} % of cases" in said
    assert "cannot see which digits you trained on" in said


@pytest.mark.parametrize(
    "mine, nets, words",
    [
        (8, 25, "reads 17 fewer than the net: it alone reads 8, the net alone 25"),
        (9, 4, "reads 5 more than the net: it alone reads 9, the net alone 4"),
        (3, 3, "reads as many pictures as the net: it alone reads 3, the net alone 3"),
    ],
)
def test_the_better_side_is_named(mine, nets, words):
    split = net_of().split
    right = one_hot(TRUE, 3).float()
    head, recorded = right.clone(), right.clone()
    head[:nets] = right[:nets].roll(1, 1)
    recorded[nets : nets + mine] = right[nets : nets + mine].roll(1, 1)
    said = beside(Predictions(split, head), Predictions(split, recorded))
    assert words in said
    chance = binomtest(mine, mine + nets).pvalue
    assert said.endswith(f"at least so unevenly in {100 * chance:.1f} % of cases")


def random_head() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(16, 3)


WRONG_HEADS = {
    "not trained": (random_head(), "points below the recorded net"),
    "classes": (lambda features: features[:, :3].argmax(1), "it gives [400], not [400, 3]"),
    "too many logits": (nn.Linear(16, 10), "not [400, 3]; the head gets 16 numbers a picture"),
    "too few inputs": (nn.Linear(8, 3), "the head gets 16 numbers a picture"),
    "the class": (Doubled, "Doubled is a class"),
    "probabilities": (lambda features: leaning(features).softmax(1), "give logits"),
    "one-hot": (lambda features: one_hot(leaning(features).argmax(1), 3), "each row sums to 1"),
    "a tuple": (lambda features: (leaning(features),), "it gives a tuple"),
    "noise": (lambda features: features[:, :3] + torch.randn(len(features), 3), "asked twice"),
    "by batch": (lambda features: features[:, :3] - features[:, :3].mean(0), "call .eval()"),
    "not finite": (lambda features: features[:, :3] / 0, "not finite"),
    "constant": (lambda features: torch.zeros(len(features), 3), "below the recorded net"),
    "no function": ("head", "TypeError"),
    "the net's own last layer": (linear(0.0), "is it the net's own last layer?"),
    "the net's own, moved": (lambda features: features[:, :3] - 1, "own last layer?"),
}


@pytest.mark.parametrize("head, words", WRONG_HEADS.values(), ids=WRONG_HEADS)
def test_a_head_that_is_none_or_not_trained_is_refused(head, words):
    verdict = judged(head)
    assert not verdict and words in verdict.problem


def test_a_head_that_reads_test_digits_better_than_training_digits_is_refused():
    # Training digits among which a tenth has another class than the head can know.
    other = TRUE.clone()
    other[:40] = (other[:40] + 1) % 3
    verdict = judged(leaning, train=(FEATURES, other))
    assert not verdict and "has it been trained on the test digits?" in verdict.problem

    # Two standard errors are within what luck does.
    other = TRUE.clone()
    other[:2] = (other[:2] + 1) % 3
    assert judged(leaning, train=(FEATURES, other))


def test_on_practice_data_the_shape_alone_counts(capsys):
    practice = net_of("practice data")
    assert judged(random_head(), practice)
    assert "nothing is judged" in capsys.readouterr().out
    assert not judged(nn.Linear(16, 4), practice)


def test_a_head_that_learned_less_than_the_nets_own_layer_is_refused(capsys):
    # Three training digits have another class than the head can know.
    other = TRUE.clone()
    other[:3] = (other[:3] + 1) % 3
    known = 100 * float((leaning(FEATURES).argmax(1) == other).double().mean())
    answers = (leaning, FEATURES, other, FEATURES, net_of())
    capsys.readouterr()
    verdict = reading_mistakes.head_against_net(*answers, known_by_net=torch.tensor(known + 0.3))
    # Such a head has not met the test digits yet, so it may be trained on.
    assert "mistakes" not in capsys.readouterr().out
    assert not verdict and f"{known:.2f} % of the training digits" in verdict.problem
    assert f"{known + 0.3:.2f} %" in verdict.problem
    for known_by_net in (known + 0.1, known - 1, None):
        assert reading_mistakes.head_against_net(*answers, known_by_net=known_by_net)


def test_a_head_that_was_not_built_is_open():
    assert judged(...).problem == OPEN
    assert judged(lambda x: ...).problem == OPEN


def test_counts_that_are_tensors_still_run_over_and_are_told_what_to_do():
    """2 to the power of 1,000 is no whole number of 64 bits."""

    def of_tensors(first_right, second_right):
        heads = (first_right & ~second_right).sum()
        tails = (second_right & ~first_right).sum()
        tosses = heads + tails
        ways = sum(
            math.comb(int(tosses), count)
            for count in range(tosses + 1)
            if abs(2 * count - tosses) >= abs(heads - tails)
        )
        return ways / 2**tosses

    assert "int()" in reading_mistakes.mended_test(of_tensors).problem
