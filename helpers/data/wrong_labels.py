"""Wrong labels in MNIST's test set that people found, and the published order of its images.

Northcutt, Athalye and Mueller, "Pervasive Label Errors in Test Sets Destabilize Machine Learning
Benchmarks", 2021 (https://arxiv.org/abs/2103.14749), let a program pick 100 doubtful test digits,
and showed each to five people, who chose between its label and the program's guess. Their votes are
in https://github.com/cleanlab/label-errors, mturk/mnist_mturk.json (commit 6d5d6b3, Apache License
2.0), from which the numbers below were copied.
"""

import re
from pathlib import Path
from typing import NamedTuple

import torch

from helpers.data import ImageSplit
from helpers.data.published import published_files
from helpers.data.sources import in_fixed_order, named_folder


class Votes(NamedTuple):
    """A test digit that five people looked at: its label, a program's guess, and their votes."""

    label: int
    guess: int
    for_label: int
    for_guess: int
    for_neither: int


# The 100 test digits that were shown to people. Each entry: the place in MNIST's own file, the
# label and the guess, then the votes for the label, for the guess, and for neither. (Where the
# program guessed the label itself, its votes stand twice.)
ENTRIES = """
    247 4>6 5:0:0 | 259 6>0 5:0:0 | 321 2>7 5:0:0 | 340 5>3 5:0:0 | 445 6>0 5:0:0
    449 3>5 4:1:0 | 582 8>2 5:0:0 | 619 1>8 5:0:0 | 717 0>6 4:0:1 | 720 5>5 5:5:0
    726 7>5 5:0:0 | 740 4>9 4:1:0 | 810 7>2 5:0:0 | 938 3>3 5:5:0 | 947 8>9 0:5:0
    1014 6>5 5:0:0 | 1033 8>1 5:0:0 | 1039 7>3 5:0:0 | 1112 4>6 5:0:0
    1119 7>7 5:5:0 | 1226 7>2 4:1:0 | 1232 9>4 3:2:0 | 1299 5>7 5:0:0
    1364 8>8 5:5:0 | 1393 5>3 3:0:2 | 1530 8>7 5:0:0 | 1621 0>6 2:3:0
    1681 3>7 4:1:0 | 1709 9>3 5:0:0 | 1901 9>4 2:3:0 | 2035 5>3 3:2:0
    2043 4>8 5:0:0 | 2109 3>7 5:0:0 | 2130 4>9 2:2:1 | 2135 6>1 5:0:0
    2182 1>3 5:0:0 | 2293 9>0 4:1:0 | 2380 9>9 4:4:1 | 2406 9>4 5:0:0
    2447 4>4 5:5:0 | 2454 6>6 4:4:1 | 2462 2>0 0:4:1 | 2597 5>3 0:4:1
    2654 6>1 0:2:3 | 2836 4>4 4:4:1 | 2896 8>0 5:0:0 | 2921 3>2 5:0:0
    2927 3>7 5:0:0 | 2939 9>5 5:0:0 | 3060 9>7 5:0:0 | 3073 1>2 5:0:0
    3206 8>3 5:0:0 | 3422 6>0 3:2:0 | 3503 9>9 5:5:0 | 3520 6>4 2:0:3
    3558 5>0 1:4:0 | 3597 9>3 5:0:0 | 3767 7>2 5:0:0 | 3778 5>0 5:0:0
    3850 9>4 5:0:0 | 3869 9>4 4:1:0 | 3906 1>3 5:0:0 | 4007 7>9 4:0:1
    4176 2>2 5:5:0 | 4201 1>7 3:2:0 | 4207 8>2 5:0:0 | 4224 9>7 5:0:0
    4497 8>7 4:1:0 | 4639 8>9 5:0:0 | 4783 4>9 5:0:0 | 4823 9>4 3:2:0
    4860 4>9 5:0:0 | 4874 9>0 4:0:1 | 4876 2>2 5:5:0 | 4880 0>8 5:0:0
    4956 8>4 3:0:2 | 4978 8>9 5:0:0 | 5887 7>0 5:0:0 | 5937 5>3 1:3:1
    5955 3>8 4:1:0 | 6505 9>0 5:0:0 | 6572 1>7 4:0:1 | 6576 7>1 4:1:0
    6597 0>7 5:0:0 | 6625 8>2 5:0:0 | 6651 0>6 0:5:0 | 6783 1>6 2:3:0
    7434 4>8 5:0:0 | 7842 5>5 5:5:0 | 8094 2>8 5:0:0 | 8408 8>5 5:0:0
    8527 4>9 2:2:1 | 9009 7>2 4:1:0 | 9634 0>1 5:0:0 | 9642 9>7 5:0:0
    9664 2>7 3:2:0 | 9679 6>3 2:0:3 | 9729 5>6 2:3:0 | 9755 8>5 5:0:0
    9888 6>6 5:5:0
"""


def read_votes(entries: str) -> dict[int, Votes]:
    """The votes of each entry, by its place."""
    votes = {}
    for entry in re.split(r"[|\n]", entries.strip()):
        place, *numbers = map(int, re.findall(r"\d+", entry))
        votes[place] = Votes(*numbers)
    return votes


CHECKED = read_votes(ENTRIES)

# Those for whose label fewer than three of the five people voted: the 15 of the paper.
WRONG = {place: votes for place, votes in CHECKED.items() if votes.for_label < 3}


def official_places(test: ImageSplit, root: str | Path | None = None) -> torch.Tensor | None:
    """For each image of MNIST's test split its place in the published file, int64 [N].

    The course sorts images by a digest of their pixels, and so has other indices. None where the
    published files are not in ``root`` (the data folder unless given), and for a split that is not
    theirs, such as practice data.
    """
    source = published_files("mnist", named_folder(root))
    if source is None:
        return None
    images, labels = source.read("test")

    # Places take the labels' place while they are sorted; no two test images are equal.
    places = torch.arange(len(images))
    ordered, order = in_fixed_order((images, places))
    if not torch.equal(ordered, test.images.cpu()):
        return None
    if not torch.equal(labels[order], test.labels.cpu()):
        return None
    return order
