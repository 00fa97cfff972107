"""Photographs that the course makes itself: what they show, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from helpers import data
from helpers.data import practice, sheets
from helpers.data.known import MNIST, DataError


def split_of(labels: list[int]) -> data.ImageSplit:
    """Practice digits of these classes, two of each, the second one wrong to use."""
    images, found = practice.draw("mnist", 200, seed=3)
    chosen = torch.cat([(found == label).nonzero().flatten()[:2] for label in labels])
    return data.ImageSplit(images[chosen], found[chosen], MNIST.classes, MNIST.mean, MNIST.std)


def test_the_first_digit_of_each_class_is_found_on_its_sheet(tmp_path) -> None:
    split = split_of([2, 5, 7])
    assert sheets.written_digits(split, tmp_path / "mine") == tmp_path / "mine"
    mine = data.from_images(tmp_path / "mine")
    assert mine.names == ["2.jpg", "5.jpg", "7.jpg"] and mine.labels == (2, 5, 7)
    for steps, digit in zip(mine.steps, split.images[::2, 0].numpy()):
        # The first one as scipy scales it to the same box, moved to the same centre of mass.
        rows, columns = np.nonzero(digit > 25)
        cut = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        small = ndimage.zoom(cut / 255, 20 / max(cut.shape), order=1)
        wanted = np.zeros((28, 28))
        wanted[: small.shape[0], : small.shape[1]] = small
        move = np.subtract(ndimage.center_of_mass(steps.digit), ndimage.center_of_mass(wanted))
        moved = ndimage.shift(wanted, move, order=1)
        assert np.corrcoef(steps.digit.ravel(), moved.ravel())[0, 1] > 0.9, steps.name


def test_the_light_is_uneven_and_the_ink_dark(tmp_path) -> None:
    sheets.written_digits(split_of([1]), tmp_path)
    with Image.open(tmp_path / "1.jpg") as picture:
        assert picture.size == (sheets.WIDTH, sheets.HEIGHT) and picture.mode == "RGB"
        grey = np.asarray(picture.convert("L")).astype(float)
    # Of sixteen parts of the sheet some are far brighter than others, by their paper alone.
    parts = np.percentile(grey.reshape(4, 160, 4, 120), 75, axis=(1, 3))
    assert parts.max() > 1.6 * parts.min() and parts.max() < 255
    assert grey.min() < 0.5 * parts.min()


def test_the_same_split_gives_the_same_bytes(tmp_path) -> None:
    for folder in ("one", "two"):
        sheets.written_digits(split_of([4]), tmp_path / folder)
        sheets.drawn_signs(tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["4.jpg", "heart.jpg", "letter.jpg", "star.jpg"]
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes() and len(content) < 60_000


def test_signs_are_read_without_labels(tmp_path) -> None:
    signs = data.from_images(sheets.drawn_signs(tmp_path))
    assert signs.names == ["heart.jpg", "letter.jpg", "star.jpg"]
    assert signs.labels == (None, None, None)
    # A heart and a star are as wide as they are high, more or less, and a K is not so wide.
    shapes = [steps.box.width / steps.box.height for steps in signs.steps]
    assert 0.9 < shapes[0] < 1.3 and 0.5 < shapes[1] < 0.8 and 0.9 < shapes[2] < 1.2
    # The heart is open in its middle, and the star has seven empty parts with the sheet around it.
    assert signs.steps[0].digit[17, 14] == 0 and signs.steps[2].ink.max() == 255
    assert ndimage.label(signs.steps[2].ink < 128)[1] == 7


@pytest.mark.parametrize(
    "name, said", [("blank", "has no ink"), ("two", "two digits"), ("note", "is no picture")]
)
def test_each_spoiled_file_has_its_line(tmp_path, name, said) -> None:
    path = sheets.spoiled(tmp_path) / f"{name}.jpg"
    with pytest.raises(DataError, match=said) as problem:
        data.from_images(path)
    assert str(problem.value).startswith(path.name) and "\n" not in str(problem.value)
    assert len(list(tmp_path.iterdir())) == 3


def test_they_lie_beside_the_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    folders = [sheets.written_digits(split_of([0])), sheets.drawn_signs(), sheets.spoiled()]
    assert folders == [tmp_path / "photographs" / kind for kind in ("digits", "signs", "spoiled")]
