"""The moving average of the weights."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.environment import CourseError, real_number
from helpers.models import check_net, independent_copy


class Average(Protocol):
    """What follows the weights of a net in training, and is measured in its place."""

    module: nn.Module

    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights of ``model`` in, after an update."""

    def state_dict(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Put it back."""


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and buffers, over about 1 / (1 - decay) steps.

    After each step

        average ← d · average + (1 - d) · weights,   d = min(decay, (1 + n) / (10 + n)) at step n,

    so that the random first weights are soon forgotten. Steps are counted from 0, and step 0 is a
    plain copy of the weights. The ramp of d is that of TensorFlow's
    ``ExponentialMovingAverage(num_updates)``. Polyak and Juditsky ("Acceleration of Stochastic
    Approximation by Averaging", 1992) take the uniform average of all steps; this is its
    exponential relative. torch's ``AveragedModel`` does the work.

    Buffers of whole numbers (counts, indices) are copied, because their means would be cut off. So
    is each entry that is not finite, before or after the step: the -inf of a causal mask stays.
    Raises ``CourseError`` for what is no net, and for a decay outside 0 to 1.
    """
    check_net(model)
    if real_number(decay) is None or not 0 <= decay <= 1:
        raise CourseError(f"moving_average: decay lies between 0 and 1, not {decay!r}")

    def update(
        averaged: Sequence[torch.Tensor], current: Sequence[torch.Tensor], n: torch.Tensor | int
    ) -> None:
        """Move a list of tensors of one type towards the current ones."""
        # Counters are copied.
        if not (averaged[0].is_floating_point() or averaged[0].is_complex()):
            for old, new in zip(averaged, current):
                old.copy_(new)
            return

        # Real numbers are averaged.
        steps = int(n)
        decay_now = min(decay, (1 + steps) / (10 + steps))
        move_towards = get_ema_multi_avg_fn(decay_now)
        move_towards(averaged, current, n)

        # Between two infinite numbers lies no number. All entries are gone through: to ask first
        # whether any is infinite would make the program wait for a GPU's answer.
        for old, new in zip(averaged, current):
            old.copy_(torch.where(old.isfinite(), old, new))

    # It starts as a copy of its own; torch calls update once for each type of numbers.
    start = independent_copy(model)
    averaged: Any = AveragedModel(start, multi_avg_fn=update, use_buffers=True)
    averaged.decay = decay  # for a checkpoint, whose run goes on with the same one
    return averaged
