"""Wrong labels in MNIST's test set that people found, and the published order of its images.

Northcutt, Athalye and Mueller, "Pervasive Label Errors in Test Sets Destabilize Machine Learning
Benchmarks", 2021 (https://arxiv.org/abs/2103.14749), let a program pick 100 doubtful test digits,
and showed each to five people, who chose between its label and the program's guess. Their votes are
in https://github.com/cleanlab/label-errors, mturk/mnist_mturk.json (commit 6d5d6b3, Apache License
2.0), from which the numbers below were copied.
"""

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


# The 100 test digits that were shown to people, by their place in MNIST's own file.
CHECKED = tuple(
    map(
        int,
        """
        247 259 321 340 445 449 582 619 717 720 726 740 810 938 947 1014 1033 1039 1112
        1119 1226 1232 1299 1364 1393 1530 1621 1681 1709 1901 2035 2043 2109 2130 2135
        2182 2293 2380 2406 2447 2454 2462 2597 2654 2836 2896 2921 2927 2939 3060 3073
        3206 3422 3503 3520 3558 3597 3767 3778 3850 3869 3906 4007 4176 4201 4207 4224
        4497 4639 4783 4823 4860 4874 4876 4880 4956 4978 5887 5937 5955 6505 6572 6576
        6597 6625 6651 6783 7434 7842 8094 8408 8527 9009 9634 9642 9664 9679 9729 9755
        9888
        """.split(),
    )
)

# Those of them for whose label fewer than three of the five people voted: the 15 of the paper.
WRONG = {
    947: Votes(8, 9, 0, 5, 0),
    1621: Votes(0, 6, 2, 3, 0),
    1901: Votes(9, 4, 2, 3, 0),
    2130: Votes(4, 9, 2, 2, 1),
    2462: Votes(2, 0, 0, 4, 1),
    2597: Votes(5, 3, 0, 4, 1),
    2654: Votes(6, 1, 0, 2, 3),
    3520: Votes(6, 4, 2, 0, 3),
    3558: Votes(5, 0, 1, 4, 0),
    5937: Votes(5, 3, 1, 3, 1),
    6651: Votes(0, 6, 0, 5, 0),
    6783: Votes(1, 6, 2, 3, 0),
    8527: Votes(4, 9, 2, 2, 1),
    9679: Votes(6, 3, 2, 0, 3),
    9729: Votes(5, 6, 2, 3, 0),
}


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
