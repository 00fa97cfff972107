"""Predictions over a whole split, mistakes, confusions: against loops and formulas by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.data import Batches, ImageData, ImageSplit
from helpers.environment import CourseError, seed_everything
from helpers.interpret import (
    Predictions,
    confusion_matrix,
    misclassified,
    most_confused,
    per_class_accuracy,
    predict,
)
from helpers.interpret.calibration import calibration, expected_calibration_error
from helpers.interpret.occlusion import occlusion_map
from helpers.intervals import wilson
from helpers.models import evaluating

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
    with pytest.raises(CourseError, match="to have 3 channels"):
        predict(model, make_split(channels=1))
    assert model.training and not model[1].training and model[3].training


@pytest.mark.parametrize(
    ("model", "split", "words"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 6)), make_split(), r"\[23, 4, 1, 1\].*\[23, classes\]"),
        (nn.Sequential(nn.Flatten(), nn.Linear(36, 9)), make_split(), "9 logits .*4 outputs"),
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


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16]
)
def test_confusions_of_twenty_classes_are_counted_whatever_the_type_of_the_labels(dtype) -> None:
    names = tuple(f"class {number}" for number in range(20))
    truth = torch.arange(200) % 20
    images = torch.zeros(200, 1, 2, 2, dtype=torch.uint8)
    split = ImageSplit(images, truth.to(dtype), names, (0.0,), (1.0,))
    predictions = Predictions(split, None, truth.numpy().astype(np.uint8))
    assert predictions.labels.dtype == predictions.predicted.dtype == torch.int64
    assert confusion_matrix(predictions).tolist() == torch.diag(torch.full((20,), 10)).tolist()
    assert predictions.accuracy == 100

    # Three are called by the next class: every pair once, the last one from 19 to 0.
    guesses = truth.clone()
    guesses[[0, 7, 19]] = torch.tensor([1, 8, 0])
    confused = Predictions(split, F.one_hot(guesses, 20).float())
    assert most_confused(confused) == [
        ("class 0", "class 1", 1),
        ("class 7", "class 8", 1),
        ("class 19", "class 0", 1),
    ]
    by_hand = F.cross_entropy(F.one_hot(guesses, 20).float(), truth, reduction="none")
    assert torch.equal(confused.losses, by_hand)


@pytest.mark.parametrize("wrong", [-1, 4, 255])
def test_a_label_outside_the_classes_is_named_with_its_range_and_index(wrong: int) -> None:
    labels = torch.tensor([0, 3, wrong, wrong])
    images = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    with pytest.raises(CourseError, match=rf"label {wrong} at index 2 .*0 to 3") as error:
        Predictions(ImageSplit(images, labels, NAMES, (0.0,), (1.0,)), torch.zeros(4, 4))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [-1, 4, 300])
def test_a_predicted_class_outside_is_named_with_its_range_and_index(wrong: int) -> None:
    with pytest.raises(CourseError, match=rf"class {wrong} at index 1 .*0 to 3") as error:
        with_classes([0, 1, 2], [0, wrong, 2])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("predicted", [[0.9, 1.0], [True, False], np.array([0.0, 1.0])])
def test_predicted_classes_are_whole_numbers(predicted: object) -> None:
    with pytest.raises(CourseError, match="whole numbers, not torch"):
        with_classes([0, 1], predicted)


def test_a_split_without_images_has_predictions_without_an_accuracy() -> None:
    empty = make_split(9).subset(slice(0))
    for predictions in (Predictions(empty, None, []), Predictions(empty, torch.zeros(0, 4))):
        assert len(predictions) == predictions.mistakes == 0
        assert math.isnan(predictions.accuracy) and most_confused(predictions) == []
        assert confusion_matrix(predictions).sum() == 0


def test_neither_logits_nor_classes_is_one_line() -> None:
    with pytest.raises(CourseError, match="logits"):
        Predictions(make_split(9), None)


class Squeezing(nn.Module):
    """Its average is squeezed whole, so that a batch of one image loses its axis too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).mean((2, 3), keepdim=True).squeeze()


def test_a_squeeze_and_a_last_batch_of_one_image_are_told() -> None:
    model = Squeezing()
    with pytest.raises(CourseError, match=r"squeeze\(\).*flatten\(1\)") as error:
        predict(model, make_split(21), 10)
    assert "\n" not in str(error.value) and model.training
    # Where no batch has a single image the same net is fine.
    assert predict(model, make_split(20), 10).logits.shape == (20, 4)


class Wrapped(nn.Module):
    """Returns its logits inside of something else."""

    def __init__(self, wrap: type) -> None:
        super().__init__()
        self.wrap = wrap
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(36, 4))

    def forward(self, images: torch.Tensor) -> object:
        logits = self.layers(images)
        if self.wrap is dict:
            return {"logits": logits}
        return self.wrap([logits])


@pytest.mark.parametrize("wrap", [tuple, list, dict])
def test_a_net_that_does_not_return_a_tensor_is_told(wrap: type) -> None:
    model = Wrapped(wrap)
    with pytest.raises(CourseError, match=f"returns a {wrap.__name__}.*logits") as error:
        predict(model, make_split())
    assert "\n" not in str(error.value) and model.training


@pytest.mark.parametrize("count", [-1, 1.0, 2.5, True, "two", math.nan])
def test_a_count_that_is_no_whole_number_is_told(count: object) -> None:
    predictions = with_logits([[2, 0, 0, 0], [0, 0, 3, 0]], [1, 1])
    for ask in (misclassified, most_confused):
        with pytest.raises(CourseError, match=rf"{ask.__name__}: count .* not ") as error:
            ask(predictions, count)
        assert repr(count) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("count", [0, 1, 2, 3, None, np.int64(1), np.uint8(2)])
def test_a_count_is_at_most_that_many(count: int | None) -> None:
    predictions = with_logits([[2, 0, 0, 0], [0, 0, 3, 0], [9, 0, 0, 0]], [1, 1, 0])
    wanted = 2 if count is None else min(2, int(count))
    assert misclassified(predictions, count).tolist() == [1, 0][:wanted]
    assert len(most_confused(predictions, count)) == wanted


def test_evaluating_puts_every_mode_back_whatever_happens() -> None:
    model = make_model()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(KeyboardInterrupt), evaluating(model):
        raise KeyboardInterrupt
    assert [module.training for module in model.modules()] == modes


def test_equal_losses_keep_the_order_of_the_split_and_not_of_labels_or_classes() -> None:
    # Every image is as wrong as every other; labels fall while indices rise, and rise again.
    labels, guesses = [3, 2, 1, 2, 3], [0, 3, 0, 1, 2]
    # So sure that the others vanish, wherever they stand: each loss is 200 to the last digit.
    logits = 200 * F.one_hot(torch.tensor(guesses), 4).float()
    predictions = with_logits(logits.tolist(), labels)
    assert predictions.losses.tolist() == [200.0] * 5
    assert misclassified(predictions).tolist() == [0, 1, 2, 3, 4]


def test_equal_confusions_keep_the_order_of_classes_and_not_of_names_or_images() -> None:
    names = ("zebra", "cow", "yak", "ant")
    predictions = with_classes([3, 2, 1, 0, 0], [0, 1, 2, 3, 2], names)
    assert most_confused(predictions) == [
        ("zebra", "yak", 1),
        ("zebra", "ant", 1),
        ("cow", "yak", 1),
        ("yak", "cow", 1),
        ("ant", "zebra", 1),
    ]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_no_predictions(wrong: float) -> None:
    split, model = make_split(), make_model()
    with torch.no_grad():
        model[5].bias[2] = wrong
    with pytest.raises(CourseError, match="^the logits of 23 of 23 images are not finite, first"):
        predict(model, split)
    # From a record too, also where its classes are given.
    logits = np.zeros((23, 4), dtype="float16")
    logits[7, 3] = logits[9, 0] = wrong
    for classes in (None, np.zeros(23, dtype="uint8")):
        with pytest.raises(CourseError, match="^the logits of 2 of 23 .* index 7: ") as error:
            Predictions(split, logits, classes)
        assert "\n" not in str(error.value)


def test_float64_logits_are_not_rounded_before_the_highest_is_found() -> None:
    split = with_classes([1, 2], [1, 2]).split
    logits = torch.zeros(2, 4, dtype=torch.float64)
    logits[0, 1] = logits[1, 2] = 1.0 + 1e-12
    logits[:, 0] = 1.0
    assert logits.float().argmax(1).tolist() == [0, 0]
    for values in (logits, logits.numpy()):
        found = Predictions(split, values)
        assert found.predicted.tolist() == logits.argmax(1).tolist() == [1, 2]
        assert found.logits.dtype == torch.float64 and found.accuracy == 100
    wide = make_model().double()
    wide.insert(0, Widening())
    expected = predict(make_model(), make_split()).logits
    assert torch.allclose(predict(wide, make_split()).logits.float(), expected, atol=1e-5)


class Widening(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.double()


def test_what_is_no_split_or_no_net_is_one_line() -> None:
    split, model = make_split(), make_model()
    data = ImageData("mnist", "folder", NAMES, (0.3,), (0.2,), split, split, split)
    batches = Batches(split, 8)
    for wrong in (data, batches, split.images, None):
        with pytest.raises(CourseError, match=r"^predict: give a split, such as data\.test, not"):
            predict(model, wrong)
        with pytest.raises(CourseError, match=r"^Predictions: give a split, such as data\.test"):
            Predictions(wrong, torch.zeros(23, 4))
    for wrong in (make_model, None, "net", str):
        with pytest.raises(CourseError, match=r"^predict: give a net, such as first_net\(\), not"):
            predict(wrong, split)
    words = r"^predict: Linear is a class, and no net: give an object, such as Linear\(\)$"
    with pytest.raises(CourseError, match=words):
        predict(nn.Linear, split)


@pytest.mark.parametrize(
    "measure",
    [misclassified, per_class_accuracy, confusion_matrix, most_confused],
)
def test_a_measure_of_a_split_asks_for_predictions(measure) -> None:
    split = make_split()
    for wrong in (split, Batches(split, 8), make_model(), None):
        with pytest.raises(CourseError, match=r"give what predict\(net, data\.test\) returns, not"):
            measure(wrong)


class LateSqueeze(nn.Module):
    """It squeezes before the softmax, which then finds one axis too few."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.log_softmax(self.layers(x).squeeze(), dim=1)


@pytest.mark.parametrize(
    "model", [make_model(channels=3), make_model().to(torch.bfloat16), LateSqueeze()]
)
def test_a_net_that_does_not_take_the_images_is_one_line(model: nn.Module) -> None:
    with pytest.raises(CourseError) as error:
        predict(model, make_split(21), batch_size=10)
    assert "\n" not in str(error.value)
    assert model.training


# Calibration: probabilities beside what came of them.


def sure_of(confidences: list[float], right: list[bool]) -> Predictions:
    """Predictions of two classes with these highest probabilities, all of class 0."""
    share = torch.tensor(confidences, dtype=torch.float64)
    logits = torch.stack([share, 1 - share], 1).log()
    labels = [int(not hit) for hit in right]
    return Predictions(with_classes(labels, labels, ("a", "b")).split, logits)


def test_bins_hold_counts_means_and_intervals():
    predictions = sure_of([0.55, 0.58, 0.92, 0.95, 0.99], [True, False, True, True, False])
    bins = calibration(predictions)
    assert [row.count for row in bins] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 3]
    assert [(row.floor, row.ceiling) for row in bins[:2]] == [(0, 10), (10, 20)]
    assert bins[5].confidence == pytest.approx(56.5) and bins[5].accuracy == 50
    assert bins[9].confidence == pytest.approx(100 * (0.92 + 0.95 + 0.99) / 3)
    assert (bins[9].low, bins[9].high) == wilson(2, 3) and bins[9].correct == 2
    assert math.isnan(bins[0].accuracy) and (bins[0].low, bins[0].high) == (0, 100)
    gap = 2 * abs(50 - 56.5) + 3 * abs(200 / 3 - bins[9].confidence)
    assert expected_calibration_error(bins) == pytest.approx(gap / 5)


def test_an_edge_belongs_to_the_bin_below_it_and_every_image_to_one():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(500, 4, generator=generator)
    split = make_split(500)
    for count in (1, 3, 10, 15):
        bins = calibration(Predictions(split, logits), count)
        assert len(bins) == count and sum(row.count for row in bins) == 500
    sure = sure_of([1 - 1e-12, 0.5], [True, True])
    assert [row.count for row in calibration(sure, 2)] == [1, 1]


def test_a_net_as_good_as_it_says_has_no_calibration_error():
    predictions = sure_of([0.75] * 4, [True, True, True, False])
    assert expected_calibration_error(calibration(predictions)) == pytest.approx(0, abs=1e-6)
    assert math.isnan(expected_calibration_error([]))


def test_calibration_needs_probabilities_and_a_bin():
    recorded = with_classes([0, 1], [0, 1])
    with pytest.raises(CourseError, match="only classes were recorded"):
        calibration(recorded)
    for bins in (0, -1, 2.5, "ten"):
        with pytest.raises(CourseError, match="calibration: bins"):
            calibration(sure_of([0.75], [True]), bins)


# Occlusion: an image is asked about again with a patch on it.


@pytest.mark.parametrize(
    "size, stride, fill", [(3, 1, None), (2, 2, 0.0), (5, 3, 1.0), (1, 1, 0.4)]
)
def test_an_occlusion_map_is_what_single_covered_images_give(size, stride, fill):
    split, model = make_split(), make_model().eval()
    seen = occlusion_map(model, split, 4, size, stride, fill)
    image = (split.images[4] / 255 - 0.3) / 0.2
    label = int(split.labels[4])

    def log_p(picture):
        with torch.no_grad():
            return model(picture[None]).log_softmax(1)[0]

    places = range(0, 6, stride)
    assert seen.change.shape == seen.predicted.shape == (len(places), len(places))
    for i, row in enumerate(places):
        for j, column in enumerate(places):
            covered = image.clone()
            for y in range(row - size // 2, row - size // 2 + size):
                for x in range(column - size // 2, column - size // 2 + size):
                    if 0 <= y < 6 and 0 <= x < 6:
                        covered[0, y, x] = 0 if fill is None else (fill - 0.3) / 0.2
            now, before = log_p(covered), log_p(image)
            assert seen.change[i, j] == pytest.approx(float(now[label] - before[label]), abs=1e-4)
            assert seen.predicted[i, j] == now.argmax()
    assert (seen.index, seen.size, seen.stride) == (4, size, stride)
    assert seen.answer == log_p(image).argmax()


def test_occlusion_leaves_the_net_and_the_images_as_they_were():
    split, model = make_split(channels=3), make_model(3)
    images = split.images.clone()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    occlusion_map(model, split, 0, size=3)
    assert model.training and torch.equal(images, split.images)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def test_occlusion_says_what_does_not_fit():
    split, model = make_split(), make_model()
    for index in (23, -1, 1.5, "first"):
        with pytest.raises(CourseError, match="of 23 images: give 0 to 22$"):
            occlusion_map(model, split, index, 3)
    with pytest.raises(CourseError, match="^occlusion_map: the split holds no images"):
        occlusion_map(model, make_split(0), 0, 3)
    for size in (0, 7, 2.5):
        with pytest.raises(CourseError, match="from 1 to 6"):
            occlusion_map(model, split, 0, size)
    with pytest.raises(CourseError, match="stride"):
        occlusion_map(model, split, 0, 3, 0)
    with pytest.raises(CourseError, match="give a split"):
        occlusion_map(model, "images", 0)


@pytest.mark.parametrize("fill", ["black", -0.1, 255, float("nan"), [0.5]])
def test_occlusion_takes_greys_from_black_to_white(fill):
    with pytest.raises(CourseError, match="give a grey from 0"):
        occlusion_map(make_model(), make_split(), 0, 3, fill=fill)


def test_occlusion_says_what_is_wrong_with_a_net():
    split = make_split()
    with pytest.raises(CourseError, match="occlusion_map: give a net, .* type function"):
        occlusion_map(lambda images: images, split, 0, 3)
    with pytest.raises(CourseError, match="the net cannot calculate with images float32"):
        occlusion_map(make_model(3), split, 0, 3)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(36, 1))
    with pytest.raises(CourseError, match="^occlusion_map: the net gives one logit for each image"):
        occlusion_map(flat, split, 0, 3)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_net_of_other_outputs_than_the_split_has_classes_is_named(count: int) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, count))
    gives = "one logit" if count == 1 else f"{count} logits"
    words = (
        f"the net gives {gives} for each image, and the split has 4 classes: give a net with 4 "
        "outputs"
    )
    with pytest.raises(CourseError, match=f"^predict: {words}$"):
        predict(net, make_split())
    with pytest.raises(CourseError, match=f"^occlusion_map: {words}$"):
        occlusion_map(net, make_split(), 0, 3)
