"""Which losses the loops take: means of logits [B, classes] and class numbers [B]."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from helpers.data.checks import shown
from helpers.environment import CourseError

# Losses of torch that want a number, or a probability, for each logit. Where there are as many
# images as classes, some of them would take class numbers for these.
OTHER_TARGETS = (
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
    nn.KLDivLoss,
    F.mse_loss,
    F.l1_loss,
    F.smooth_l1_loss,
    F.huber_loss,
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.kl_div,
)


def check_loss_fn(loss_fn: Any) -> None:
    """Raise ``CourseError`` for what is no loss of logits [B, classes] and class numbers [B]."""
    kind = type(loss_fn)
    name = getattr(loss_fn, "__name__", kind.__name__)

    # The range test takes the two in another order than an epoch of training.
    if hasattr(loss_fn, "param_groups"):
        raise CourseError(
            f"loss_fn is the optimizer {name}: optimizer and loss_fn have changed places, give "
            "each by its name"
        )
    if not callable(loss_fn):
        raise CourseError(
            f"loss_fn={shown(loss_fn)} cannot be called: give a function of (logits, targets), "
            "such as nn.CrossEntropyLoss()"
        )

    # Torch's own alone: what is built upon them may change the targets, or divide a sum.
    if kind in OTHER_TARGETS or loss_fn in OTHER_TARGETS:
        raise CourseError(
            f"the loss {name} takes other targets than class numbers [B]: give "
            "nn.CrossEntropyLoss()"
        )
    # A class would make an object of the logits and the targets, and no loss.
    if isinstance(loss_fn, type):
        raise CourseError(f"loss_fn is the class {name}: give an object, {name}()")
    if kind in (nn.CrossEntropyLoss, nn.NLLLoss) and loss_fn.reduction == "sum":
        raise CourseError(
            f"the loss {name} is a sum over the batch: let it take the mean (reduction='mean')"
        )


def check_loss(loss: Any) -> None:
    """Raise ``CourseError`` unless a loss is one number, as a tensor."""
    if not isinstance(loss, torch.Tensor):
        kind = type(loss).__name__
        raise CourseError(f"loss_fn returns a {kind}: it has to return a tensor with one number")
    if loss.numel() != 1:
        shape = list(loss.shape)
        raise CourseError(
            f"loss_fn returns {shape}, and not one number: let it take the mean over the batch "
            "(reduction='mean')"
        )
