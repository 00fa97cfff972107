"""A schedule of two straight lines, which leaves every group of parameters its own rate."""

from typing import Any

import numpy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def build(optimizer: Optimizer, recipe: Any, steps_per_epoch: int) -> LambdaLR:
    """Up to the rates of the optimizer's groups at the end of ``peak_epoch``, and down again.

    The recipe's options have ``first_share`` and ``last_share``: where the lines begin and end, as
    shares of the highest rates; 0 is allowed. (``one_cycle`` takes the recipe's rate as that of the
    fastest group, and would slow the others down where biases are to be fast.)
    """
    # Steps are counted from 0, so the last step of an epoch is one below a multiple.
    peak = recipe.peak_epoch * steps_per_epoch - 1
    last = recipe.epochs * steps_per_epoch - 1
    shares = [recipe.options["first_share"], 1.0, recipe.options["last_share"]]

    def share_of_highest(step: int) -> float:
        """What the rates of a step are, as a share of the highest ones."""
        return float(numpy.interp(step, [0.0, peak, last], shares))

    return LambdaLR(optimizer, share_of_highest)
