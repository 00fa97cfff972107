"""The training loop, the one-cycle schedule, and checkpoints that a killed run resumes from."""

import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.checkpoint import State
from helpers.environment import CourseError, half_precision

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class History:
    """One dictionary an epoch: ``epoch`` (from 1), ``learning_rate`` (of its last step, first parameter group),
    ``train_loss`` and ``train_accuracy`` (running, in training mode, on augmented images), ``test_loss``,
    ``test_accuracy``, ``seconds``. Accuracies are percentages."""

    epochs: list[dict[str, float]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, float]:
        """The last epoch: the result of the run."""
        return self.epochs[-1]


class Average:
    """A mean of losses and accuracies in which every sample counts once, however the batches are cut."""

    loss, correct, samples = 0.0, 0, 0

    def add(self, loss: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """Add a batch: its mean loss, logits [B, classes] and targets [B]. Waits for no device."""
        self.loss = self.loss + loss.detach() * len(targets)
        self.correct = self.correct + (logits.detach().argmax(1) == targets).sum()
        self.samples += len(targets)

    def result(self) -> tuple[float, float]:
        """Mean loss and accuracy in percent. Raises ``CourseError`` if there was no sample."""
        if not self.samples:
            raise CourseError("there is no batch to measure on: the loader is empty")
        return float(self.loss) / self.samples, 100.0 * int(self.correct) / self.samples


def progress(iterable: Iterable | None, label: str, show: bool = True, **options: Any) -> Any:
    """A bar that disappears when it is done; on standard output, so that a notebook keeps no trace of it."""
    from tqdm import tqdm

    return tqdm(
        iterable,
        label,
        disable=not show,
        file=sys.stdout,
        leave=False,
        ncols=80,
        mininterval=0.5,
        **options,
    )


def train_one_epoch(
    model: nn.Module,
    batches: Iterable,
    optimizer: Optimizer,
    loss_fn: Loss = F.cross_entropy,
    scheduler: LRScheduler | None = None,
    average: AveragedModel | None = None,
    show: bool = False,
    label: str = "training",
    scaler: GradScaler | None = None,
) -> tuple[float, float]:
    """Go once over ``batches`` of (images [B, C, H, W], targets [B]); ``scheduler`` steps after every batch.

    Returns the mean loss and the accuracy in percent, as met on the way. Moves batches to the model's device. With a
    ``scaler`` (see ``loss_scaler``) forward and loss are calculated in mixed precision. Raises ``CourseError`` with
    step and rate where the loss is no finite number.
    """
    model.train()
    device, met, steps = next(model.parameters()).device, Average(), []
    half, scaler = (
        half_precision(device) if scaler else None,
        scaler or GradScaler(device.type, enabled=False),
    )
    for images, targets in progress(batches, label, show):
        images, targets = images.to(device), targets.to(device)
        optimizer.zero_grad()
        with torch.autocast(device.type, half, enabled=half is not None):
            logits = model(images)
            loss = loss_fn(logits, targets)
        steps.append((float(optimizer.param_groups[0]["lr"]), loss.detach()))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if scheduler is not None:
            scheduler.step()
        if average is not None:
            average.update_parameters(model)
        met.add(loss, logits, targets)
        if len(steps) % 100 == 0:
            _check_finite(steps, label)
    _check_finite(steps, label)
    return met.result()


def _check_finite(steps: list[tuple[float, torch.Tensor]], label: str) -> None:
    """Look at the (rate, loss) of all steps together, and seldom, because each look waits for the device."""
    if steps and not (finite := torch.stack([loss for _, loss in steps]).isfinite()).all():
        step = int(finite.int().argmin())  # the first
        raise CourseError(
            f"{label}, step {step + 1}: the loss is {float(steps[step][1])} at a learning rate of "
            f"{steps[step][0]:.3g}: take a lower one; a checkpoint of the epoch before is kept"
        )


def loss_scaler(device: torch.device) -> GradScaler:
    """For mixed precision: multiplies losses before float16 gradients vanish; does nothing where those are not used.

    Micikevicius and others, "Mixed Precision Training", 2018. It begins at 1,024, so that the first step is taken.
    """
    return GradScaler(
        device.type, init_scale=1024.0, enabled=half_precision(device) == torch.float16
    )


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: Iterable, loss_fn: Loss = F.cross_entropy
) -> tuple[float, float]:
    """Mean loss and accuracy in percent over ``batches``, in evaluation mode; leaves the model in the mode it found."""
    modes = [(module, module.training) for module in model.modules()]
    device, met = next(model.parameters()).device, Average()
    model.eval()
    try:
        for images, targets in batches:
            images, targets = images.to(device), targets.to(device)
            logits = model(images)
            met.add(loss_fn(logits, targets), logits, targets)
    finally:
        for module, training in modes:
            module.training = training
    return met.result()


def fit(
    model: nn.Module,
    train_batches: Iterable,
    test_batches: Iterable,
    epochs: int,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
    *,
    step_every: str = "batch",
    loss_fn: Loss = F.cross_entropy,
    average: AveragedModel | None = None,
    checkpoint: Path | None = None,
    show: bool = True,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    mixed: bool = False,
) -> History:
    """Train for ``epochs`` passes over ``train_batches``, measuring on ``test_batches`` after each.

    ``scheduler`` steps every ``"batch"`` or every ``"epoch"``. With ``average`` (see ``moving_average``) the averaged
    model is measured. With ``checkpoint`` the whole state is written there after every epoch, and a run that finds such
    a file goes on from it, on the CPU with exactly the numbers of a run that was never stopped. ``show`` prints a bar
    and a line an epoch; ``on_epoch`` gets each finished row. ``mixed``: train in mixed precision on a GPU, and measure
    in float32. The test loss is the plain cross-entropy. Raises ``CourseError`` for another ``step_every``, an empty
    loader, a loss that is no finite number, and a damaged checkpoint or one of another model.
    """
    if step_every not in ("batch", "epoch"):
        raise CourseError(f"fit: step_every is 'batch' or 'epoch', not {step_every!r}")
    each_batch = scheduler if step_every == "batch" else None
    scaler, taken = loss_scaler(next(model.parameters()).device) if mixed else None, {}
    state = State(
        model, optimizer, scheduler, average, getattr(train_batches, "generator", None), scaler
    )
    history = History(state.load(checkpoint) if checkpoint else [])
    # asked at the step itself: afterwards a scheduler has moved the rate on to that of the next step
    with optimizer.register_step_pre_hook(
        lambda *_: taken.update(rate=float(optimizer.param_groups[0]["lr"]))
    ):
        for epoch in range(len(history.epochs) + 1, epochs + 1):
            start = time.perf_counter()
            train_loss, train_accuracy = train_one_epoch(
                model,
                train_batches,
                optimizer,
                loss_fn,
                each_batch,
                average,
                show,
                f"epoch {epoch}/{epochs}",
                scaler,
            )
            if scheduler is not None and step_every == "epoch":
                scheduler.step()
            test_loss, test_accuracy = evaluate(average or model, test_batches)
            history.epochs.append(
                {
                    "epoch": epoch,
                    "learning_rate": taken["rate"],
                    "train_loss": train_loss,
                    "train_accuracy": train_accuracy,
                    "test_loss": test_loss,
                    "test_accuracy": test_accuracy,
                    "seconds": time.perf_counter() - start,
                }
            )
            if checkpoint:
                state.save(checkpoint, history.epochs)
            if show:
                print(line(history.last, epochs))
            if on_epoch:
                on_epoch(history.last)
    return history


def line(row: dict[str, float], epochs: int) -> str:
    """The printed line of an epoch."""
    return (
        f"epoch {row['epoch']:2d}/{epochs}  lr {row['learning_rate']:.5f}  train {row['train_loss']:.4f} "
        f"{row['train_accuracy']:6.2f} %  test {row['test_loss']:.4f} {row['test_accuracy']:6.2f} %  "
        f"{row['seconds']:.0f} s"
    )


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and buffers, for ``fit``; the mean is over about 1 / (1 − decay) steps.

    At step n the decay is at most (1 + n) / (10 + n), so that the first steps are soon forgotten. Polyak and Juditsky,
    "Acceleration of Stochastic Approximation by Averaging", 1992; torch's ``AveragedModel`` does the work.
    """

    def update(
        averaged: list[torch.Tensor], current: list[torch.Tensor], n: torch.Tensor | int
    ) -> None:
        get_ema_multi_avg_fn(min(decay, (1 + int(n)) / (10 + int(n))))(averaged, current, n)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)


def one_cycle(
    optimizer: Optimizer,
    max_lr: float,
    epochs: int,
    steps_per_epoch: int,
    peak_epoch: float,
    min_lr: float | None = None,
    annihilate: bool = False,
    anneal: str = "linear",
) -> LambdaLR:
    """The one-cycle schedule: up from ``min_lr`` to ``max_lr`` at the last step of ``peak_epoch``, and down again.

    It ends at ``min_lr`` (``max_lr / 25`` unless given), or with ``annihilate`` at ``min_lr / 10,000``. ``anneal`` is
    ``"linear"`` or ``"cos"``. Step it after every batch. Momentum is left alone. Several parameter groups keep the
    ratio of their rates, and ``max_lr`` is that of the fastest. Smith and Topin, "Super-Convergence", 2018. Raises
    ``CourseError`` for a peak outside the run, a rate that does not rise, or another ``anneal``.
    """
    peak, last = peak_epoch * steps_per_epoch - 1, epochs * steps_per_epoch - 1
    low = max_lr / 25 if min_lr is None else min_lr
    final = low / 10_000 if annihilate else low
    if not 0 < peak < last:
        raise CourseError(
            f"one_cycle: the peak (epoch {peak_epoch}) has to lie inside the {epochs} epochs"
        )
    if not 0 < low < max_lr:
        raise CourseError(
            f"one_cycle: min_lr has to lie between 0 and max_lr = {max_lr}, not {low}"
        )
    if anneal not in ("linear", "cos"):
        raise CourseError(f"one_cycle: anneal is 'linear' or 'cos', not {anneal!r}")

    def share_of_highest(step: int) -> float:
        start, stop, share = (
            (low, max_lr, step / peak)
            if step <= peak
            else (max_lr, final, (min(step, last) - peak) / (last - peak))
        )
        if anneal == "cos":
            share = (1 - math.cos(math.pi * share)) / 2
        return (start + (stop - start) * share) / max_lr

    fastest = max(group["lr"] for group in optimizer.param_groups)
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = max_lr * (group["lr"] / fastest if fastest else 1.0)
    return LambdaLR(optimizer, share_of_highest)
