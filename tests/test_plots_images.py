"""What ``show_*`` draws: the pixels of the images that were asked for, and their titles."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from plot_inputs import NAMES, assert_legible, drawn, make_predictions, make_split
from torch import nn

from helpers.data import ImageSplit
from helpers.environment import CourseError
from helpers.interpret import Predictions, misclassified
from helpers.plots.images import show_images, show_misclassified, show_predictions
from helpers.plots.style import RED

matplotlib.use("Agg")


@pytest.mark.parametrize("channels", [1, 3])
def test_show_images_draws_the_pixels_and_classes(channels: int) -> None:
    split = make_split(channels=channels)
    axes = show_images(split, [3, 0, 17])
    for ax, index in zip(axes, [3, 0, 17], strict=True):
        pixels = split.images[index].permute(1, 2, 0).numpy()
        assert np.array_equal(drawn(ax).reshape(pixels.shape), pixels)
        assert ax.get_title() == NAMES[int(split.labels[index])]
        assert ax.get_images()[0].get_interpolation() == "nearest"
        assert channels == 3 or ax.get_images()[0].get_clim() == (0, 255)
    assert_legible(axes[0])


def test_show_images_draws_the_first_24_in_rows_of_8_by_default() -> None:
    axes = show_images(make_split())
    assert len(axes) == 24 and len({round(ax.get_subplotspec().rowspan.start) for ax in axes}) == 3
    assert [ax.get_title() for ax in axes[:5]] == ["ant", "bee", "cow", "dog", "ant"]
    assert len(show_images(make_split(5))) == 5


def test_show_images_names_its_rows() -> None:
    axes = show_images(make_split(), count=8, columns=4, row_names=("above", "below"))
    words = [[text.get_text() for text in ax.texts] for ax in axes]
    assert words == [["above"], [], [], [], ["below"], [], [], []]
    assert_legible(axes[0])


def test_show_images_takes_masks_and_slices() -> None:
    split = make_split()
    assert [ax.get_title() for ax in show_images(split, split.labels == 2)] == ["cow"] * 10
    assert [ax.get_title() for ax in show_images(split, slice(1, 3))] == ["bee", "cow"]


def test_show_images_says_that_no_image_was_chosen() -> None:
    axes = show_images(make_split(note="practice data"), [])
    assert (
        axes[0].figure.get_suptitle() == "No image was chosen · practice data"
        and not axes[0].get_images()
    )


@pytest.mark.parametrize("classes", [("0", "1", "2"), ("automobile", "airplane", "ship")])
@pytest.mark.parametrize("channels", [1, 3])
def test_show_predictions_says_true_and_predicted_class_and_marks_the_wrong_ones(
    classes: tuple, channels: int
) -> None:
    predictions = make_predictions(classes=classes, channels=channels)
    axes = show_predictions(predictions, count=10, seed=4)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(4)).tolist()[:10]
    assert 0 < int(predictions.correct[order].sum()) < 10
    for ax, index in zip(axes, order, strict=True):
        true, guess = classes[predictions.labels[index]], classes[predictions.predicted[index]]
        words = ax.get_title().split()
        assert words[:3] == [true, "→", guess]
        assert float(words[3]) == pytest.approx(
            100 * float(predictions.probabilities[index].max()), abs=0.051
        )
        assert (to_hex(ax.title.get_color()).upper() == RED) == (true != guess)
    assert_legible(axes[0])
    # Of red is spoken where something is red.
    assert axes[0].figure.get_suptitle() == "Label → answer, wrong ones in red"
    right = show_predictions(predictions, indices=predictions.correct)
    assert "red" not in right[0].figure.get_suptitle()


def test_show_predictions_repeats_with_its_seed_and_leaves_the_global_one() -> None:
    predictions = make_predictions()
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    first, again, other = (show_predictions(predictions, 3, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert len(first) == 3
    assert all(
        np.array_equal(drawn(one), drawn(two)) for one, two in zip(first, again, strict=True)
    )
    assert not all(
        np.array_equal(drawn(one), drawn(two)) for one, two in zip(first, other, strict=True)
    )


def test_show_predictions_of_chosen_images_keeps_their_order_and_may_be_of_none() -> None:
    predictions = make_predictions()
    chosen = [7, 2, 31]
    axes = show_predictions(predictions, indices=torch.tensor(chosen))
    for ax, index in zip(axes, chosen, strict=True):
        assert np.array_equal(drawn(ax), predictions.split.images[index, 0].numpy())
    assert not show_predictions(predictions, indices=[])[0].get_images()


def test_show_predictions_of_recorded_classes_gives_no_probability() -> None:
    predictions = Predictions(make_split(6), None, [0, 1, 2, 3, 0, 2])
    titles = sorted(ax.get_title() for ax in show_predictions(predictions))
    assert titles == ["ant → ant", "ant → ant", "bee → bee", "bee → cow", "cow → cow", "dog → dog"]


def test_show_misclassified_goes_from_the_highest_loss_down() -> None:
    predictions = make_predictions(channels=3)
    ranked = misclassified(predictions).tolist()
    axes = show_misclassified(predictions, count=3)
    assert len(ranked) > 3 == len(axes)
    for ax, index in zip(axes, ranked, strict=False):
        assert np.array_equal(drawn(ax), predictions.split.images[index].permute(1, 2, 0).numpy())
        assert (
            ax.get_title().split()[2]
            == NAMES[predictions.predicted[index]]
            != ax.get_title().split()[0]
        )
    assert (
        axes[0].figure.get_suptitle()
        == f"3 of {len(ranked)} mistakes in 40 images, highest loss first"
    )


def test_show_misclassified_of_a_perfect_net_says_so() -> None:
    split = make_split()
    axes = show_misclassified(Predictions(split, nn.functional.one_hot(split.labels)))
    assert (
        axes[0].figure.get_suptitle().startswith("0 of 0 mistakes in 40 images")
        and not axes[0].get_images()
    )
    assert_legible(axes[0])


MASK = torch.arange(40) % 7 == 3
CHOICES = {
    "mask": (MASK, range(3, 40, 7)),
    "NumPy mask": (MASK.numpy(), range(3, 40, 7)),
    "mask in a list": (MASK.tolist(), range(3, 40, 7)),
    "mask of none": (torch.zeros(40, dtype=torch.bool), []),
    "whole numbers": ([7, 2, 31], [7, 2, 31]),
    "the same twice": ((5, 5), [5, 5]),
    "NumPy numbers": (np.array([3, 1], dtype=np.uint8), [3, 1]),
    "tensor": (torch.tensor([3, 1], dtype=torch.int32), [3, 1]),
    "range": (range(4), range(4)),
    "from the end": ([-1, -40], [39, 0]),
    "nothing": ([], []),
    "empty tensor": (torch.tensor([]), []),
    "one": (3, [3]),
    "NumPy one": (np.int64(3), [3]),
    "tensor one": (torch.tensor(3), [3]),
    "last one": (-1, [39]),
    "slice": (slice(1, 9, 3), [1, 4, 7]),
    "slice backwards": (slice(3, None, -1), [3, 2, 1, 0]),
    "slice beyond": (slice(38, 99), [38, 39]),
}


@pytest.mark.parametrize(("indices", "expected"), CHOICES.values(), ids=CHOICES)
def test_one_rule_says_which_images_are_meant(indices: object, expected: object) -> None:
    predictions = make_predictions()
    for axes in (
        show_images(predictions.split, indices),
        show_predictions(predictions, indices=indices),
    ):
        if not len(expected):
            assert not axes[0].get_images()
            continue
        for ax, index in zip(axes, expected, strict=True):
            assert np.array_equal(drawn(ax), predictions.split.images[index, 0].numpy())


def test_show_predictions_of_a_mask_shows_the_images_of_the_mask() -> None:
    predictions = make_predictions()
    axes = show_predictions(predictions, indices=~predictions.correct)
    assert len(axes) == predictions.mistakes > 2
    wrong = [index for index in range(40) if not predictions.correct[index]]
    for ax, index in zip(axes, wrong, strict=True):
        assert np.array_equal(drawn(ax), predictions.split.images[index, 0].numpy())
        assert to_hex(ax.title.get_color()).upper() == RED


@pytest.mark.parametrize(
    "indices",
    [40, -41, [99], 2.5, [1.5], "abc", True, [True] * 3, torch.ones(41) > 0, [[1, 2]], slice("a")],
    ids=str,
)
def test_indices_that_mean_no_image_are_told_in_one_line(indices: object) -> None:
    predictions = make_predictions()
    for show in (
        lambda: show_images(predictions.split, indices),
        lambda: show_predictions(predictions, indices=indices),
    ):
        with pytest.raises(CourseError, match="40") as caught:
            show()
        assert "\n" not in str(caught.value)


def test_show_images_of_an_empty_split_draws_none() -> None:
    split = make_split().subset([])
    assert isinstance(split, ImageSplit) and not show_images(split)[0].get_images()
