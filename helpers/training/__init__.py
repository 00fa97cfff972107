"""The training loop: one step, one epoch, a whole run."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from helpers.environment import CourseError
from helpers.models import device_of, evaluating
from helpers.training.averages import Average
from helpers.training.checkpoint import State
from helpers.training.checks import (
    check_given,
    check_logits,
    check_parts,
    check_run,
    check_trained,
    explained,
    number_of,
    unpack,
)
from helpers.training.metrics import LossWatch, RunningAverage, check_measures
from helpers.training.output import epoch_line, progress
from helpers.training.precision import forward_precision, loss_scaler
from helpers.training.randomness import generators_of
from helpers.training.stepping import Schedule, announce_epoch, schedulers_of, step_schedulers

# A loss is a function of (logits, targets). A step makes one update, as training_step does.
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Step = Callable[..., tuple[torch.Tensor, torch.Tensor]]


@dataclass
class History:
    """One dictionary per epoch.

    ``epoch`` (from 1), ``learning_rate`` (of its last step, first parameter group), ``train_loss``
    and ``train_accuracy`` (running, in training mode, on augmented images), ``test_loss``,
    ``test_accuracy``, ``seconds``. Accuracies are percentages.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, float]:
        """The last epoch: the result of the run. Raises ``CourseError`` where there is none."""
        if not self.epochs:
            raise CourseError("the history holds no epoch yet: train with fit, for 1 or more")
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

    # The net's answers, and how wrong they are.
    with forward_precision(scaler, images.device):
        logits = model(images)
        check_logits(logits, targets)
        loss = loss_fn(logits, targets)

    # The gradient of the loss, and a step against it. In float16, small gradients would become 0:
    # the scaler multiplies the loss first, and divides the gradients again.
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
    average: Average | None = None,
    show: bool = False,
    label: str = "training",
    scaler: GradScaler | None = None,
    step: Step = training_step,
) -> Epoch:
    """Go once over ``batches`` of (images [B, C, H, W], targets [B]), with an update for each.

    Returns the mean loss and the accuracy in percent, measured during the epoch while the weights
    change, and the last step's rate.

    model: moves to training mode; batches move to its device.
    scheduler: one schedule or several; each steps after every batch.
    average: follows the weights after every batch (see ``moving_average``).
    show, label: a progress bar, and what it says.
    scaler: trains in mixed precision (see ``loss_scaler``).
    step: makes one update; called as ``training_step``, returns as it does.

    Raises ``CourseError`` for an empty loader, for batches that are no pairs, a net that returns
    no logits, an optimizer that lacks a parameter to be trained, and with step and rate where the
    loss is no finite number.
    """
    check_given(model, batches, loss_fn)
    check_trained(model, optimizer)
    check_parts(average, step=step)
    schedulers = schedulers_of(scheduler, "batch", optimizer)
    device = device_of(model)
    metrics = RunningAverage()
    watch = LossWatch(label)

    # Training mode: dropout is active, and batch norm uses the statistics of the batch.
    model.train()
    for batch in progress(batches, label, show):
        images, targets = unpack(batch, device)

        # Read the rate before the schedule moves it.
        rate = float(optimizer.param_groups[0]["lr"])
        with explained(images):
            loss, logits = step(model, images, targets, optimizer, loss_fn, scaler)
        metrics.add(loss, logits, targets)
        watch.add(loss, rate)

        # The schedules and the moving average follow every update.
        for each in schedulers:
            each.step()
        if average is not None:
            average.update_parameters(model)

    mean_loss, accuracy = metrics.result()
    watch.finish()
    return Epoch(mean_loss, accuracy, watch.rates[-1])


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: Iterable, loss_fn: Loss = F.cross_entropy
) -> tuple[float, float]:
    """Mean loss and accuracy in percent over ``batches`` of (images [B, C, H, W], targets [B]).

    Measures in evaluation mode, and leaves every module in the mode it found. Raises
    ``CourseError`` for an empty loader, batches that are no pairs, a net that returns no logits.
    """
    check_given(model, batches, loss_fn)
    device = device_of(model)
    metrics = RunningAverage()

    # Evaluation mode: nothing is dropped, and batch norm uses its running statistics.
    with evaluating(model):
        for batch in batches:
            images, targets = unpack(batch, device)
            with explained(images):
                logits = model(images)
                check_logits(logits, targets)
                loss = loss_fn(logits, targets)
            metrics.add(loss, logits, targets)
    return metrics.result()


def seen_through(views: Callable[[nn.Module], nn.Module] | None, model: nn.Module) -> nn.Module:
    """The net that is measured for the result: the views of ``model``, or itself without any."""
    if views is None:
        return model
    return views(model)


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
    average: Average | None = None,
    step: Step = training_step,
    views: Callable[[nn.Module], nn.Module] | None = None,
    measure: Callable[[nn.Module, Iterable], tuple[float, float]] = evaluate,
    checkpoint: Path | None = None,
    writes: bool = True,
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
    step: makes one update (see ``training_step``); another may take two passes. Its
        ``set_epoch``, if it has one, is called as that of the batches.
    views: wraps the net that is measured after the last epoch, for example in the mean over an
        image and its mirror image: ``views(net)`` is a module that returns logits. The epochs
        before are measured without, which takes less time.
    measure: measures as ``evaluate`` does; several processes do it together (see ``several``).
    checkpoint: the file that the whole state is written to after every epoch. A run that finds it
        goes on from there, on the CPU with exactly the numbers of a run that was never stopped.
        Kept are the random states of torch, NumPy, Python, and of every generator that the batches
        lead to (see ``generators_of``); not those of a DataLoader's workers, what ``on_epoch``
        draws after the epoch was saved, nor buffers with ``persistent=False``. It goes on with the
        same net, optimizer, schedules, average, generators, number of batches and ``mixed`` alone.
    writes: whether this process writes the checkpoint, or only goes on from it.
    show: a bar, and a printed line per epoch.
    on_epoch: gets each finished row of the history.
    mixed: train in mixed precision where the device is fast at it (see ``half_precision``), and
        measure in float32.

    ``set_epoch(epoch)``, counted from 0, is called where ``train_batches`` or its sampler has it.
    Raises ``CourseError`` for input that cannot be trained on, a loss that is no finite number,
    and a checkpoint that is damaged or of a run that differs in what was named above.
    """
    # Check the arguments first.
    for batches in (train_batches, test_batches):
        check_given(model, batches, loss_fn)
    check_run(epochs, step_every)
    check_trained(model, optimizer)
    check_parts(average, views, step=step, measure=measure)
    schedulers = schedulers_of(scheduler, step_every, optimizer)

    scaler = None
    if mixed:
        scaler = loss_scaler(device_of(model))

    # Schedules step either within an epoch or after it.
    each_batch = []
    if step_every == "batch":
        each_batch = schedulers

    # What is measured: the net, or its average.
    measured = model
    if average is not None:
        measured = average.module

    # Go on from the checkpoint of a stopped run, if there is one.
    history = History()
    generators = generators_of(train_batches, test_batches)
    count = number_of(train_batches)
    state = State(model, optimizer, schedulers, average, scaler, generators, writes, count)
    if checkpoint is not None:
        history.epochs = state.load(checkpoint, epochs)

    for epoch in range(len(history.epochs), epochs):
        # Train for one epoch.
        label = f"epoch {epoch + 1}/{epochs}"
        start = time.perf_counter()
        announce_epoch(train_batches, epoch)
        announce_epoch(step, epoch)
        trained = train_one_epoch(
            model,
            train_batches,
            optimizer,
            loss_fn,
            scheduler=each_batch,
            average=average,
            show=show,
            label=label,
            scaler=scaler,
            step=step,
        )

        # Measure. A diverged epoch is not recorded, and no run goes on from it.
        if epoch + 1 == epochs:
            measured = seen_through(views, measured)
        test_loss, test_accuracy = measure(measured, test_batches)
        check_measures(trained.loss, test_loss, trained.learning_rate, label)
        if step_every == "epoch":
            step_schedulers(schedulers, test_loss)

        # Record the epoch before it is shown: a process may be killed at any moment.
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

        # Report the epoch.
        if show:
            print(epoch_line(row, epochs))
        if on_epoch is not None:
            on_epoch(row)
    return history
