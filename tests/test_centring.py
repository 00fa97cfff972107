"""A digit is scaled and centred as MNIST's are, whatever its size and place on the paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.data import load
from helpers.data.centring import centred, mean_weights
from helpers.data.known import DataError
from helpers.data.practice import draw

DIGITS = draw("mnist", 20, seed=5)[0][:, 0] / 255


def box(image: torch.Tensor, least: float = 0.0) -> tuple[int, int, int, int]:
    """The first and the last row and column with more ink than ``least``."""
    rows = (image > least).any(1).nonzero().flatten()
    columns = (image > least).any(0).nonzero().flatten()
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def centre_of_mass(image: torch.Tensor) -> tuple[float, float]:
    """In pixels from the upper left corner of the picture."""
    places = torch.arange(len(image)) + 0.5
    rows = float(image.sum(1) @ places / image.sum())
    columns = float(image.sum(0) @ places / image.sum())
    return rows, columns


def on_paper(digit: torch.Tensor, factor: int, top: int, left: int) -> torch.Tensor:
    """The digit with each pixel ``factor`` pixels large, on a sheet of 300 × 400."""
    large = digit.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    paper = torch.zeros(300, 400)
    paper[top : top + len(large), left : left + len(large)] = large
    return paper


def test_its_longer_side_has_20_pixels_and_its_centre_of_mass_lies_in_pixel_14():
    for number, digit in enumerate(DIGITS):
        found = centred(on_paper(digit, factor=1 + number % 7, top=number, left=3 * number))
        top, bottom, left, right = box(found)
        assert max(bottom - top, right - left) + 1 == 20
        assert 14 <= centre_of_mass(found)[0] < 15 and 14 <= centre_of_mass(found)[1] < 15
        assert found.shape == (28, 28) and found.dtype == torch.float32 and found.max() == 1


def test_size_and_place_on_the_paper_change_nothing():
    digit = DIGITS[0]
    expected = centred(digit)
    for factor, top, left in ((1, 0, 0), (2, 100, 7), (5, 11, 200), (9, 40, 140)):
        found = centred(on_paper(digit, factor, top, left))
        assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("side", [20, 40, 100])
def test_means_are_those_of_a_box_filter(side):
    """Pillow's BOX filter takes the same means where the sides fit exactly."""
    ink = np.random.default_rng(side).random((side, side)).astype(np.float32)
    ink[0, 0] = ink[-1, -1] = 1  # the box of the ink is the whole image
    small = np.asarray(Image.fromarray(ink).resize((20, 20), Image.Resampling.BOX))
    found = centred(ink)
    top, bottom, left, right = box(found)
    assert np.allclose(found[top : bottom + 1, left : right + 1], small / small.max(), atol=1e-5)


@pytest.mark.parametrize("length, scale", [(20, 1.0), (7, 0.35), (33, 1.65), (13, 2.35), (1, 5.0)])
def test_all_ink_is_kept(length, scale):
    weights = mean_weights(length, scale)
    # What a pixel gives to all new ones is its share of a new pixel's side.
    assert np.allclose(weights.sum(0), 1 / scale) and (weights >= 0).all()
    assert len(weights) == int(np.ceil(round(length / scale, 6)))


def test_the_aspect_ratio_is_kept():
    found = centred(torch.ones(100, 10))
    assert box(found) == (4, 23, 13, 14)
    assert found.sum() == pytest.approx(40)  # 20 pixels high, 2 pixels wide


def test_a_heavy_side_stays_inside_the_picture():
    # Nearly all ink in the last rows: the centre of mass alone would push the top out.
    ink = torch.zeros(200, 200)
    ink[:, 100] = 0.2
    ink[195:] = 1
    found = centred(ink)
    assert box(found)[:2] == (0, 19) and found.sum(1).argmax() == 19


def test_a_dot_fills_the_box():
    ink = np.zeros((50, 50))
    ink[31, 7] = 0.4
    assert centred(ink).sum() == 400 and box(centred(ink)) == (4, 23, 4, 23)


def test_a_shadow_is_no_ink():
    ink = on_paper(DIGITS[1], 3, 50, 50)
    assert torch.equal(centred(ink), centred(ink.clamp(min=0.0)))
    faint = torch.where(ink > 0, ink, torch.tensor(0.05))
    assert box(centred(faint)) == box(centred(ink))


@pytest.mark.parametrize(
    "image, words",
    [
        (torch.zeros(28, 28), "no ink"),
        (torch.zeros(0, 0), "no ink"),
        (torch.full((4, 4), 0.09), "no ink"),
        (torch.zeros(1, 28, 28), r"shape \[1, 28, 28\]"),
        (np.full((28, 28), 255), "divide bytes by 255"),
        (torch.full((5, 5), -1.0), "from 0"),
        (torch.full((5, 5), float("nan")), "from 0"),
        ([[0, 1], [0]], "table of numbers"),
        ("a digit", "table of numbers"),
    ],
)
def test_what_is_no_ink_is_said_in_one_line(image, words):
    with pytest.raises(DataError, match=words) as caught:
        centred(image)
    assert "\n" not in str(caught.value)


def test_a_list_and_a_learning_tensor_are_accepted():
    table = [[0.0, 1.0], [0.5, 0.0]]
    assert torch.equal(centred(table), centred(np.array(table)))
    assert torch.equal(centred(torch.tensor(table, requires_grad=True)), centred(table))


def test_images_of_mnist_stay_what_they_are(real_data_root):
    """MNIST itself is the oracle: its images are centred already."""
    images = load("mnist", real_data_root, validation=0).test.images[:500, 0] / 255
    moved = 0
    for image in images:
        # The images have ink below LEAST at their edges, which is what makes most of this.
        moved += float((centred(image) - image).abs().mean()) > 0.02
    assert moved < 50
