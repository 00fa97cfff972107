"""A schedule of two straight lines, which leaves every group of parameters its own rate."""

from typing import Any

import numpy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from helpers.environment import CourseError, real_number
from helpers.training.schedule import peak_and_last


def build(optimizer: Optimizer, recipe: Any, steps_per_epoch: int) -> LambdaLR:
    """Up to the rates of the optimizer's groups at the end of ``peak_epoch``, and down again.

    The recipe's options have ``first_share`` and ``last_share``: where the lines begin and end, as
    shares of the highest rates; 0 is allowed. (``one_cycle`` takes the recipe's rate as that of the
    fastest group, and would slow the others down where biases are to be fast.)

    Raises ``CourseError`` for a share that is not there or lies outside 0 to 1, and for a peak that
    does not come after the first step and before the last.
    """
    peak, last = peak_and_last("triangle", recipe.peak_epoch, recipe.epochs, steps_per_epoch)
    shares = [share_of(recipe, "first_share"), 1.0, share_of(recipe, "last_share")]

    def share_of_highest(step: int) -> float:
        """What the rates of a step are, as a share of the highest ones."""
        return float(numpy.interp(step, [0.0, peak, last], shares))

    return LambdaLR(optimizer, share_of_highest)


def share_of(recipe: Any, name: str) -> float:
    """A share among the recipe's options. Raises ``CourseError`` unless it lies in 0 to 1."""
    share = recipe.options.get(name)
    if real_number(share) is None or not 0 <= share <= 1:
        raise CourseError(
            f"triangle: the option {name} is a share of the highest rate from 0 to 1, not {share!r}"
        )
    return share
