"""Linear decay, a schedule of one line: every group's rate falls from its highest at once."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def build(optimizer: Optimizer, recipe: Any, steps_per_epoch: int) -> LambdaLR:
    """Linear decay: from the rates of the optimizer's groups at the first step to 0 after the last.

    A rise at the beginning protects a net whose first steps go astray. One whose layers begin by
    handing their input on needs none, and in a few hundred steps each of them counts.
    """
    steps = recipe.epochs * steps_per_epoch

    def share_of_highest(step: int) -> float:
        """What the rates of a step are, as a share of the highest ones."""
        # The schedule is asked once more after the last step.
        return 1 - min(step, steps) / steps

    return LambdaLR(optimizer, share_of_highest)
