"""The training loop, its measures, the one-cycle schedule and the moving average of weights."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.checkpoint import State
from helpers.checks import check_logits, device_of, explained, strangers, unpack
from helpers.environment import CourseError, half_precision, whole_number
from helpers.metrics import RunningAverage
from helpers.randomness import generators_of

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Step = Callable[..., tuple[torch.Tensor, torch.Tensor]]
Schedule = LRScheduler | Sequence[LRScheduler] | None


@dataclass
class History:
    """One dictionary an epoch.

    ``epoch`` (from 1), ``learning_rate`` (of its last step, first parameter group), ``train_loss``
    and ``train_accuracy`` (running, in training mode, on augmented images), ``test_loss``,
    ``test_accuracy``, ``seconds``. Accuracies are percentages.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, float]:
        """The last epoch: the result of the run."""
        return self.epochs[-1]


class Epoch(NamedTuple):
    """One pass over the training batches: mean loss, accuracy in percent, rate of the last step."""

    loss: float
    accuracy: float
    learning_rate: float


def training_step(
    model: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    optimizer: Optimizer,
    loss_fn: Loss,
    scaler: GradScaler | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make one update of the weights, and return the loss [] and the logits [B, classes].

    ``images`` [B, C, H, W] and ``targets`` [B] lie on the model's device. With a ``scaler`` (see
    ``loss_scaler``) forward and loss are calculated in mixed precision, where the device has it.
    """
    # Forget the gradients of the step before.
    optimizer.zero_grad()

    # Forward: the net's answers, and how wrong they are.
    with half_precision_where(scaler, images.device):
        logits = model(images)
        check_logits(logits, targets)
        loss = loss_fn(logits, targets)

    # Backward: the gradient of the loss, and a step against it.
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return loss, logits


def train_one_epoch(
    model: nn.Module,
    batches: Iterable,
    optimizer: Optimizer,
    loss_fn: Loss = F.cross_entropy,
    scheduler: Schedule = None,
    average: Any = None,
    show: bool = False,
    label: str = "training",
    scaler: GradScaler | None = None,
    step: Step = training_step,
) -> Epoch:
    """Go once over ``batches`` of (images [B, C, H, W], targets [B]), with an update for each.

    Returns the mean loss and the accuracy in percent as met on the way, and the last step's rate.

    model: moves to training mode; batches move to its device.
    scheduler: one schedule or several; each steps after every batch.
    average: follows the weights after every batch (see ``moving_average``).
    show, label: a progress bar, and what it says.
    scaler: trains in mixed precision (see ``loss_scaler``).
    step: makes one update; called as ``training_step``, returns as it does.

    Raises ``CourseError`` for an empty loader, for batches that are no pairs, a net that returns
    no logits, and with step and rate where the loss is no finite number.
    """
    schedulers = schedulers_of(scheduler, "batch")
    device = device_of(model)
    metrics = RunningAverage()
    losses: list[torch.Tensor] = []
    rates: list[float] = []

    model.train()
    with explained():
        for batch in progress(batches, label, show):
            images, targets = unpack(batch, device)

            # Asked before the step: afterwards a schedule has moved the rate on.
            rates.append(float(optimizer.param_groups[0]["lr"]))
            loss, logits = step(model, images, targets, optimizer, loss_fn, scaler)
            losses.append(loss.detach())

            # The schedules and the average follow every update.
            for each in schedulers:
                each.step()
            if average is not None:
                average.update_parameters(model)

            # Looked at seldom, because each look waits for the device.
            metrics.add(loss, logits, targets)
            if len(losses) % 100 == 0:
                check_finite(losses, rates, label)

    mean_loss, accuracy = metrics.result()
    check_finite(losses, rates, label)
    return Epoch(mean_loss, accuracy, rates[-1])


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: Iterable, loss_fn: Loss = F.cross_entropy
) -> tuple[float, float]:
    """Mean loss and accuracy in percent over ``batches`` of (images [B, C, H, W], targets [B]).

    Measures in evaluation mode, and leaves every module in the mode it found. Raises
    ``CourseError`` for an empty loader, batches that are no pairs, and a net that returns no logits.
    """
    device = device_of(model)
    metrics = RunningAverage()
    with evaluation_mode(model), explained():
        for batch in batches:
            images, targets = unpack(batch, device)
            logits = model(images)
            check_logits(logits, targets)
            metrics.add(loss_fn(logits, targets), logits, targets)
    return metrics.result()


def fit(
    model: nn.Module,
    train_batches: Iterable,
    test_batches: Iterable,
    epochs: int,
    optimizer: Optimizer,
    scheduler: Schedule = None,
    *,
    step_every: str = "batch",
    loss_fn: Loss = F.cross_entropy,
    average: Any = None,
    step: Step = training_step,
    views: Callable[[nn.Module], nn.Module] | None = None,
    checkpoint: Path | None = None,
    show: bool = True,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    mixed: bool = False,
) -> History:
    """Train for ``epochs`` passes over ``train_batches``, measuring on ``test_batches`` after each.

    optimizer: any ``torch.optim.Optimizer`` that holds every parameter of the model to be trained.
    scheduler: one schedule or a sequence of them, all stepped together.
    step_every: they step every ``"batch"`` or every ``"epoch"``; ``ReduceLROnPlateau`` takes
        ``"epoch"``, and gets the test loss.
    loss_fn: what is minimised; the test loss is always the plain cross-entropy.
    average: follows the weights and is measured in their place (see ``moving_average``): anything
        with ``update_parameters(model)``, ``module``, ``state_dict`` and ``load_state_dict``.
    step: makes one update (see ``training_step``); another may take two passes.
    views: wraps the net that is measured, for example in the mean over an image and its mirror
        image: ``views(net)`` is a module that returns logits.
    checkpoint: the file that the whole state is written to after every epoch. A run that finds it
        goes on from there, on the CPU with exactly the numbers of a run that was never stopped.
        Random states are kept as ``helpers.randomness`` says.
    show: a bar, and a printed line an epoch.
    on_epoch: gets each finished row of the history.
    mixed: train in mixed precision on a GPU, and measure in float32.

    ``set_epoch(epoch)``, counted from 0, is called where ``train_batches`` or its sampler has it.
    Raises ``CourseError`` for input that cannot be trained on, a loss that is no finite number,
    and a checkpoint that is damaged or of another run.
    """
    check_run(model, optimizer, epochs, step_every)
    schedulers = schedulers_of(scheduler, step_every)
    each_batch = schedulers if step_every == "batch" else []
    scaler = loss_scaler(device_of(model)) if mixed else None

    # What is measured: the net, or its average, seen through the views.
    measured = model if average is None else average.module
    if views is not None:
        measured = views(measured)

    # What a stopped run has finished is not done again.
    history = History()
    state = State(model, optimizer, schedulers, average, scaler, generators_of(train_batches))
    if checkpoint is not None:
        history.epochs = state.load(checkpoint)

    for epoch in range(len(history.epochs), epochs):
        start = time.perf_counter()
        announce_epoch(train_batches, epoch)
        trained = train_one_epoch(
            model,
            train_batches,
            optimizer,
            loss_fn,
            scheduler=each_batch,
            average=average,
            show=show,
            label=f"epoch {epoch + 1}/{epochs}",
            scaler=scaler,
            step=step,
        )
        test_loss, test_accuracy = evaluate(measured, test_batches)
        if step_every == "epoch":
            step_schedulers(schedulers, test_loss)

        row = {
            "epoch": epoch + 1,
            "learning_rate": trained.learning_rate,
            "train_loss": trained.loss,
            "train_accuracy": trained.accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "seconds": time.perf_counter() - start,
        }
        history.epochs.append(row)
        if checkpoint is not None:
            state.save(checkpoint, history.epochs)
        if show:
            print(line(row, epochs))
        if on_epoch is not None:
            on_epoch(row)
    return history


def check_run(model: nn.Module, optimizer: Optimizer, epochs: int, step_every: str) -> None:
    """Raise ``CourseError`` for what can be told before the first step."""
    if step_every not in ("batch", "epoch"):
        raise CourseError(f"fit: step_every is 'batch' or 'epoch', not {step_every!r}")
    if whole_number(epochs, least=1) is None:
        raise CourseError(f"fit: epochs is a whole number of at least 1, not {epochs!r}")
    foreign, lacking = strangers(model, optimizer)
    if lacking:
        raise CourseError(
            f"fit: the optimizer lacks {lacking} of the parameters that the model trains, and holds "
            f"{foreign} that are not the model's: make it from model.parameters(), and freeze what "
            "is not to be trained with requires_grad_(False)"
        )


def schedulers_of(scheduler: Schedule, step_every: str) -> list[Any]:
    """The schedules as a list. Raises ``CourseError`` for one that cannot step every batch."""
    if scheduler is None:
        return []
    schedulers = list(scheduler) if isinstance(scheduler, Sequence) else [scheduler]
    for each in schedulers:
        if step_every == "batch" and isinstance(each, ReduceLROnPlateau):
            raise CourseError(
                "ReduceLROnPlateau goes by the test loss, which is there once an epoch: "
                "give fit step_every='epoch'"
            )
    return schedulers


def step_schedulers(schedulers: Iterable[Any], test_loss: float) -> None:
    """Step every schedule at the end of an epoch."""
    for each in schedulers:
        if isinstance(each, ReduceLROnPlateau):
            each.step(test_loss)
        else:
            each.step()


def announce_epoch(batches: Iterable, epoch: int) -> None:
    """Tell the batches, or the sampler that draws their order, which epoch comes (from 0)."""
    for owner in (batches, getattr(batches, "sampler", None)):
        if hasattr(owner, "set_epoch"):
            owner.set_epoch(epoch)


def check_finite(losses: Sequence[torch.Tensor], rates: Sequence[float], label: str) -> None:
    """Raise ``CourseError`` with step and rate of the first loss that is no finite number."""
    finite = torch.stack(tuple(losses)).isfinite()
    if finite.all():
        return
    first = int(finite.int().argmin())
    raise CourseError(
        f"{label}, step {first + 1}: the loss is {float(losses[first])} at a learning rate of "
        f"{rates[first]:.3g}: take a lower one"
    )


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode, and afterwards each of its modules back into its own."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def half_precision_where(scaler: GradScaler | None, device: torch.device) -> torch.autocast:
    """The context of a forward pass: mixed precision with a scaler, where the device has it."""
    half = half_precision(device) if scaler is not None else None
    return torch.autocast(device.type, half, enabled=half is not None)


def loss_scaler(device: torch.device) -> GradScaler:
    """For mixed precision: multiplies losses, so that float16 gradients do not vanish.

    It does nothing where float16 is not used. Micikevicius and others, "Mixed Precision Training",
    2018. It begins at 1,024, so that the first step is taken.
    """
    enabled = half_precision(device) == torch.float16
    return GradScaler(device.type, init_scale=1024.0, enabled=enabled)


def progress(iterable: Iterable | None, label: str, show: bool = True, **options: Any) -> Any:
    """A bar that disappears when it is done; on standard output, so that a notebook keeps no trace."""
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


def line(row: dict[str, float], epochs: int) -> str:
    """The printed line of an epoch."""
    return (
        f"epoch {row['epoch']:2d}/{epochs}  lr {row['learning_rate']:.5f}  "
        f"train {row['train_loss']:.4f} {row['train_accuracy']:6.2f} %  "
        f"test {row['test_loss']:.4f} {row['test_accuracy']:6.2f} %  "
        f"{row['seconds']:.0f} s"
    )


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and buffers, over about 1 / (1 − decay) steps.

    At step n the decay is at most (1 + n) / (10 + n), so that the first steps are soon forgotten.
    Buffers of whole numbers are copied. Polyak and Juditsky, "Acceleration of Stochastic
    Approximation by Averaging", 1992; torch's ``AveragedModel`` does the work.
    """

    def update(
        averaged: list[torch.Tensor], current: list[torch.Tensor], n: torch.Tensor | int
    ) -> None:
        steps = int(n)
        kept = min(decay, (1 + steps) / (10 + steps))
        get_ema_multi_avg_fn(kept)(averaged, current, n)

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
