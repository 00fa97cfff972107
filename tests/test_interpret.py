"""Predictions over a whole split, ranked mistakes, intervals and confusions, against loops and formulas by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.data import ImageSplit
from helpers.environment import CourseError, seed_everything
from helpers.interpret import (
    Predictions,
    confusion_matrix,
    misclassified,
    most_confused,
    per_class_accuracy,
    per_class_table,
    predict,
)
from helpers.intervals import wilson

NAMES = ("ant", "bee", "cow", "dog")


def make_split(count: int = 23, channels: int = 1, classes: tuple[str, ...] = NAMES) -> ImageSplit:
    generator = torch.Generator().manual_seed(count + channels)
    images = torch.randint(0, 256, (count, channels, 6, 6), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, len(classes), (count,), generator=generator)
    return ImageSplit(images, labels, classes, (0.3,) * channels, (0.2,) * channels)


def make_model(channels: int = 1) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(channels, 5, 3),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(80, 4),
    )


def with_classes(
    labels: list[int], predicted: list[int], names: tuple[str, ...] = NAMES
) -> Predictions:
    images = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    return Predictions(
        ImageSplit(images, torch.tensor(labels), names, (0.0,), (1.0,)), None, predicted
    )


def with_logits(logits: list[list[float]], labels: list[int]) -> Predictions:
    return Predictions(with_classes(labels, labels).split, torch.tensor(logits))


@pytest.mark.parametrize(
    ("count", "channels", "batch_size"), [(23, 1, 10), (20, 3, 10), (1, 1, 500), (7, 3, 1)]
)
def test_predict_agrees_with_one_image_at_a_time(
    count: int, channels: int, batch_size: int
) -> None:
    split, model = make_split(count, channels), make_model(channels)
    predictions = predict(model, split, batch_size)
    model.eval()
    with torch.no_grad():
        single = [model((image[None] / 255 - 0.3) / 0.2)[0] for image in split.images]
    for index, logits in enumerate(single):
        label = int(split.labels[index])
        assert torch.allclose(predictions.logits[index], logits, atol=1e-5)
        assert float(predictions.losses[index]) == pytest.approx(
            -math.log(logits.softmax(0)[label]), abs=1e-4
        )
        assert bool(predictions.correct[index]) == (int(logits.argmax()) == label)
        assert predictions.probabilities[index].tolist() == pytest.approx(
            logits.softmax(0).tolist(), abs=1e-5
        )
    right = sum(int(logits.argmax()) == int(label) for logits, label in zip(single, split.labels))
    assert predictions.accuracy == pytest.approx(100 * right / count)
    assert predictions.mistakes == count - right
    assert len(predictions) == count


def test_predict_leaves_modes_statistics_gradients_and_random_state() -> None:
    model = make_model()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seed_everything(1)
    expected = torch.rand(3), random.random(), np.random.rand()
    seed_everything(1)
    predictions = predict(model, make_split(), 5)
    assert (
        torch.equal(torch.rand(3), expected[0])
        and (random.random(), np.random.rand()) == expected[1:]
    )
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not predictions.logits.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_predict_puts_modes_back_after_an_error() -> None:
    model = make_model(channels=3)
    model[1].eval()
    with pytest.raises(RuntimeError):
        predict(model, make_split(channels=1))
    assert model.training and not model[1].training and model[3].training


@pytest.mark.parametrize(
    ("model", "split", "words"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 6)), make_split(), r"\(23, 4, 1, 1\).*\(23, 4\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(36, 9)), make_split(), r"\(23, 9\).*\(23, 4\)"),
        (make_model(), make_split().subset(slice(0)), "no images"),
    ],
)
def test_predict_says_in_one_line_what_does_not_fit(
    model: nn.Module, split: ImageSplit, words: str
) -> None:
    with pytest.raises(CourseError, match=words) as error:
        predict(model, split)
    assert "\n" not in str(error.value)


def test_predict_works_without_parameters_and_for_a_perfect_net() -> None:
    class Oracle(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return F.one_hot((images[:, 0, 0, 0] * 255).round().long(), 4) * 9.0

    labels = torch.arange(10) % 4
    images = labels.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    predictions = predict(Oracle(), ImageSplit(images, labels, NAMES, (0.0,), (1.0,)), 3)
    assert predictions.accuracy == 100 and predictions.mistakes == 0
    assert misclassified(predictions).tolist() == [] and most_confused(predictions) == []
    assert all(row.high == 100 and row.low < 100 for row in per_class_accuracy(predictions))


def test_recorded_half_precision_arrays_give_float32_predictions() -> None:
    split = make_split(9)
    logits = torch.randn(9, 4).to(torch.float16)
    predictions = Predictions(split, logits.numpy())
    assert predictions.logits.dtype == torch.float32 and torch.equal(
        predictions.logits, logits.float()
    )
    assert torch.equal(predictions.predicted, logits.argmax(1))


def test_recorded_classes_go_before_the_highest_logit_which_rounding_may_have_moved() -> None:
    split = make_split(9)
    predictions = Predictions(split, torch.zeros(9, 4), split.labels.numpy().astype(np.uint8))
    assert predictions.accuracy == 100 and predictions.losses.tolist() == pytest.approx(
        [math.log(4)] * 9
    )


def test_recorded_classes_give_accuracy_but_no_losses() -> None:
    split = make_split(9)
    recorded = split.labels.numpy().astype(np.uint8)
    recorded[[2, 5]] = (recorded[[2, 5]] + 1) % 4
    predictions = Predictions(split, None, recorded)
    assert predictions.mistakes == 2 and predictions.correct.tolist() == [
        index not in (2, 5) for index in range(9)
    ]
    for ask in (
        lambda: predictions.losses,
        lambda: predictions.probabilities,
        lambda: misclassified(predictions),
    ):
        with pytest.raises(CourseError, match="only classes were recorded"):
            ask()


@pytest.mark.parametrize(
    "make",
    [
        lambda split: Predictions(split, torch.zeros(8, 4)),
        lambda split: Predictions(split, torch.zeros(9, 5)),
        lambda split: Predictions(split, torch.zeros(9)),
        lambda split: Predictions(split, None, [0] * 8),
        lambda split: Predictions(split, torch.zeros(9, 4), [0] * 8),
        lambda split: Predictions(split, torch.zeros(9, 5), [0] * 9),
        lambda split: Predictions(split, None, [0] * 8 + [4]),
        lambda split: Predictions(split, None, [-1] + [0] * 8),
    ],
)
def test_records_that_do_not_fit_the_split_are_refused(make: object) -> None:
    with pytest.raises(CourseError, match="split"):
        make(make_split(9))


def test_misclassified_ranks_by_loss_and_keeps_order_in_ties() -> None:
    predictions = with_logits(
        [[2, 0, 0, 0], [9, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0], [0, 5, 0, 0]], [1, 1, 0, 2, 3]
    )
    assert misclassified(predictions).tolist() == [1, 4, 0, 3]
    assert misclassified(predictions, 2).tolist() == [1, 4]
    assert misclassified(predictions, 99).tolist() == [1, 4, 0, 3]
    by_hand = sorted((-float(predictions.losses[index]), index) for index in (0, 1, 3, 4))
    assert misclassified(predictions).tolist() == [index for _, index in by_hand]


def roots(successes: int, trials: int, z: float) -> list[float]:
    """Where (p_hat - p)^2 = z^2 p (1 - p) / n, found numerically as a polynomial in p."""
    share, square = successes / trials, z * z / trials
    return sorted(100 * np.roots([1 + square, -(2 * share + square), share * share]).real)


@pytest.mark.parametrize("z", [1.0, 1.96, 2.576])
@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 1), (1, 1), (1, 2), (0, 9), (9, 9), (9940, 10_000), (37, 980)]
)
def test_wilson_interval_solves_its_equation(successes: int, trials: int, z: float) -> None:
    low, high = wilson(successes, trials, z)
    assert (low, high) == pytest.approx(roots(successes, trials, z), abs=1e-6)
    # Exactly, so that error bars never come out negative.
    assert 0 <= low <= 100 * successes / trials <= high <= 100


def test_wilson_interval_equals_published_values() -> None:
    assert wilson(81, 263) == pytest.approx(
        (25.53, 36.62), abs=0.01
    )  # Newcombe 1998, table I, method 3
    assert wilson(15, 148) == pytest.approx((6.24, 16.05), abs=0.01)
    assert wilson(0, 20) == pytest.approx((0.0, 16.11), abs=0.01)
    assert wilson(1, 29) == pytest.approx((0.61, 17.18), abs=0.01)
    assert wilson(9940, 10_000) == pytest.approx((99.23, 99.53), abs=0.01)
    assert wilson(0, 0) == (0.0, 100.0)


def test_per_class_accuracy_counts_like_a_loop_and_knows_an_empty_class() -> None:
    labels, predicted = [0, 0, 0, 1, 1, 3], [0, 2, 0, 1, 1, 0]
    rows = per_class_accuracy(with_classes(labels, predicted))
    for index, row in enumerate(rows):
        mine = [guess == index for label, guess in zip(labels, predicted) if label == index]
        assert (row.name, row.correct, row.count) == (NAMES[index], sum(mine), len(mine))
        assert (row.low, row.high) == wilson(sum(mine), len(mine))
        assert (
            math.isnan(row.accuracy)
            if not mine
            else row.accuracy == pytest.approx(100 * sum(mine) / len(mine))
        )
    assert (rows[2].count, rows[2].low, rows[2].high) == (0, 0, 100)


def test_markdown_table_has_a_line_for_every_class() -> None:
    lines = per_class_table(
        per_class_accuracy(with_classes([0, 0, 0, 1, 1, 3], [0, 2, 0, 1, 1, 0]))
    ).splitlines()
    assert len(lines) == 2 + len(NAMES) and {line.count("|") for line in lines} == {6}
    assert lines[2] == "| ant | 2 | 3 | 66.67 % | 20.77–93.85 % |"
    assert lines[4] == "| cow | 0 | 0 | nan % | 0.00–100.00 % |"


def test_confusion_matrix_equals_a_double_loop() -> None:
    split = make_split(200)
    predictions = Predictions(
        split, torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    )
    matrix = confusion_matrix(predictions)
    assert matrix.dtype == torch.int64 and tuple(matrix.shape) == (4, 4)
    pairs = list(zip(split.labels.tolist(), predictions.predicted.tolist()))
    for true in range(4):
        for guess in range(4):
            assert matrix[true, guess] == pairs.count((true, guess))


def test_confusion_matrix_keeps_its_shape_where_a_class_is_missing() -> None:
    assert confusion_matrix(with_classes([0], [0])).tolist() == [[1, 0, 0, 0]] + [[0] * 4] * 3


def test_most_confused_is_ordered_by_count_then_class_and_leaves_the_diagonal_out() -> None:
    labels, predicted = [3, 3, 3, 3, 1, 1, 0, 0, 2, 2, 2, 2], [2, 2, 2, 0, 0, 0, 1, 1, 2, 2, 2, 2]
    wanted = [("dog", "cow", 3), ("ant", "bee", 2), ("bee", "ant", 2), ("dog", "ant", 1)]
    assert most_confused(with_classes(labels, predicted)) == wanted
    assert most_confused(with_classes(labels, predicted), 2) == wanted[:2]
