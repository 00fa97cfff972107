"""All pairs of nets on the same images: how unevenly each is divided, and what luck alone does.

McNemar, "Note on the sampling error of the difference between correlated proportions", 1947.
"""

from typing import NamedTuple

import numpy as np
import torch

from helpers.environment import CourseError, checked_seed, whole_number
from helpers.intervals import coin_chances


class ByLuck(NamedTuple):
    """What luck makes of the pairs, sorted: in the middle, and where 5 of 100 deals lie beyond."""

    low: np.ndarray
    mean: np.ndarray
    high: np.ndarray


def pair_chances(wrong: torch.Tensor) -> np.ndarray:
    """For each pair of nets, how often a fair coin falls so unevenly or more, to either side.

    wrong: bool [nets, images], True where a net misreads an image

    Of a pair the images count that exactly one of the two misreads. Chances from 0 to 1, in the
    order of ``itertools.combinations``; 1 where two nets misread the same images. Raises
    ``CourseError`` for what is no such mask.
    """
    return chances_of(as_mask("pair_chances", wrong))


def dealt_chances(wrong: torch.Tensor, deals: int = 200, seed: int = 0) -> ByLuck:
    """What luck alone would make of the pairs: their chances sorted, over many deals.

    In a deal each image keeps the number of nets that misread it, and lots say which nets these
    are; so no net is better than another. This is a permutation test. The first entries speak of
    the lowest chance, the last ones of the highest: the mean of the deals, and the ends of their
    middle 90 %. Raises ``CourseError`` as ``pair_chances`` does, and for a number of deals or a
    seed that is none.
    """
    mask = as_mask("dealt_chances", wrong)
    count = whole_number(deals, least=1)
    if count is None:
        raise CourseError(f"dealt_chances: deals={deals!r}: give a whole number of at least 1")
    # A generator of its own leaves the notebook's random numbers as they were.
    generator = np.random.default_rng(checked_seed(seed))
    dealt = []
    for _ in range(count):
        # Each column, an image, is shuffled by itself.
        dealt.append(np.sort(chances_of(generator.permuted(mask, axis=0))))
    low, high = np.quantile(dealt, (0.05, 0.95), axis=0)
    return ByLuck(low, np.mean(dealt, axis=0), high)


def as_mask(function: str, wrong: torch.Tensor) -> np.ndarray:
    """The columns, bool [nets, images], in which nets differ; the others divide no pair."""
    if not isinstance(wrong, torch.Tensor) or wrong.dtype != torch.bool or wrong.ndim != 2:
        raise CourseError(f"{function}: give a mask, bool [nets, images]: True is a mistake")
    mask = wrong.cpu().numpy()
    return mask[:, mask.any(0) & ~mask.all(0)]


def chances_of(mask: np.ndarray) -> np.ndarray:
    """McNemar's exact chances for the pairs of the rows of a mask, bool [nets, images]."""
    # Entry [i, j]: how many images net i misreads and net j reads.
    alone = mask.astype(np.int64) @ (~mask).T.astype(np.int64)
    first, second = np.triu_indices(len(mask), 1)
    return coin_chances(alone[first, second], alone[second, first])
