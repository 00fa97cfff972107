"""Sharpness-aware minimisation: a step along the gradient of the worst place close by.

Foret and others, "Sharpness-Aware Minimization for Efficiently Improving Generalization", 2021.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.amp import GradScaler
from torch.nn.modules.batchnorm import _BatchNorm  # of 1d, 2d and 3d, and of several processes
from torch.optim import Optimizer

from helpers.training import Loss
from helpers.training.checks import check_logits
from helpers.training.precision import forward_precision

RHO = 0.05  # where the optimizer's groups say nothing else


def step(
    model: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    optimizer: Optimizer,
    loss_fn: Loss,
    scaler: GradScaler | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make one update as ``training_step`` does, with the gradient of another place.

    1. The gradient g where the weights w are.
    2. A look uphill, at w + ρ · g / ‖g‖: where the loss rises steeply, the gradient there pulls the
       weights out of a narrow valley.
    3. The optimizer's step from w, with that gradient.

    ρ is the option ``rho`` of the optimizer's first group. Returns the loss [] and the logits
    [B, classes] of w itself. It takes twice the time of an ordinary step.
    """
    # The first gradient only shows the way uphill.
    loss, logits = gradients(model, images, targets, optimizer, loss_fn, scaler)
    rho = optimizer.param_groups[0].get("rho", RHO)
    kept = move_uphill(model, rho)

    # The second is what the optimizer gets.
    with running_statistics_kept(model):
        gradients(model, images, targets, optimizer, loss_fn, scaler)

    # Back to exactly where it was: to subtract what was added would round.
    with torch.no_grad():
        for moved, before in kept:
            moved.copy_(before)

    # In float16 the scaler knows by how much the gradients are too large.
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
    return loss, logits


def gradients(
    model: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    optimizer: Optimizer,
    loss_fn: Loss,
    scaler: GradScaler | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Calculate the gradient where the weights are; the loss and the logits."""
    # As in training_step, but without the optimizer's step at the end.
    optimizer.zero_grad()
    with forward_precision(scaler, images.device):
        logits = model(images)
        check_logits(logits, targets)
        loss = loss_fn(logits, targets)
    if scaler is None:
        loss.backward()
    else:
        scaler.scale(loss).backward()
    return loss, logits


@torch.no_grad()
def move_uphill(model: nn.Module, rho: float) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Move all weights together by ``rho`` along their gradient; pairs of weights and old values.

    Where all gradients are zero, nothing moves.
    """
    # Frozen weights have no gradient, and stay.
    moved: list[tuple[torch.Tensor, torch.Tensor]] = []
    lengths = []
    for weights in model.parameters():
        if weights.grad is not None:
            moved.append((weights, weights.clone()))
            lengths.append(weights.grad.norm())

    # All gradients together are one long vector: its length, from those of its parts.
    if moved:
        length = torch.stack(lengths).norm().clamp(min=1e-12)
        for each, _ in moved:
            each.add_(each.grad * (rho / length))
    return moved


@contextmanager
def running_statistics_kept(model: nn.Module) -> Iterator[None]:
    """Batch normalisations use the batch's statistics, and do not enter them into the running ones.

    What is seen uphill belongs to weights that nobody keeps.
    """
    # Only those that keep statistics: what others do is left to them.
    norms = []
    for layer in model.modules():
        if isinstance(layer, _BatchNorm) and layer.track_running_stats:
            norms.append(layer)
            layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in norms:
            layer.track_running_stats = True
