"""The published wrong labels of MNIST, and the place of our images in the published file."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import torch

from helpers import data
from helpers.data import ImageSplit
from helpers.data.wrong_labels import CHECKED, WRONG, Votes, official_places


def test_100_images_were_checked_and_15_labels_are_wrong() -> None:
    assert len(set(CHECKED)) == 100 and set(WRONG) <= set(CHECKED)
    assert len(WRONG) == 15 and min(CHECKED) >= 0 and max(CHECKED) < 10_000
    for place, votes in CHECKED.items():
        # Five people; a guess that is the label was one answer, counted twice.
        counted = {votes.label: votes.for_label, votes.guess: votes.for_guess}
        assert sum(counted.values()) + votes.for_neither == 5
        assert votes.label != votes.guess or votes.for_label == votes.for_guess
        assert (place in WRONG) == (votes.for_label < 3)
    assert CHECKED[247] == Votes(4, 6, 5, 0, 0) and CHECKED[9888] == Votes(6, 6, 5, 5, 0)
    assert WRONG[2654] == Votes(6, 1, 0, 2, 3) and CHECKED[717] == Votes(0, 6, 4, 0, 1)


def test_places_are_those_of_the_published_file(real_data_root) -> None:
    test = data.load("mnist", real_data_root, validation=0).test
    places = official_places(test, real_data_root)
    assert sorted(places.tolist()) == list(range(10_000))
    # The file itself, read without the package
    file = real_data_root / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    if file.exists():
        content = file.read_bytes()
    else:
        content = gzip.decompress(Path(f"{file}.gz").read_bytes())
    pixels = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=16).view(-1, 28, 28)
    assert torch.equal(pixels[places], test.images[:, 0])
    # What a first reader of the session had found by hand
    assert places[[9872, 5427, 4955]].tolist() == [9729, 5937, 2130]
    digests = [hashlib.sha1(image.numpy().tobytes()).digest() for image in pixels[places[:50]]]
    assert digests == sorted(digests)


def test_the_labels_of_the_published_list_are_those_of_the_file(real_data_root) -> None:
    test = data.load("mnist", real_data_root, validation=0).test
    places = official_places(test, real_data_root)
    ours = {place: index for index, place in enumerate(places.tolist())}
    for place, votes in CHECKED.items():
        assert test.labels[ours[place]] == votes.label


def test_other_images_and_other_folders_have_no_place(real_data_root, tmp_path) -> None:
    practice = data.load("mnist", validation=0).test
    assert practice.note and official_places(practice, real_data_root) is None
    test = data.load("mnist", real_data_root, validation=0).test
    assert official_places(test, tmp_path) is None
    # One label that differs, and an image that is missing
    labels = test.labels.clone()
    labels[0] = (labels[0] + 1) % 10
    changed = ImageSplit(test.images, labels, test.classes, test.mean, test.std)
    assert official_places(changed, real_data_root) is None
    assert official_places(test.subset(slice(1, None)), real_data_root) is None
