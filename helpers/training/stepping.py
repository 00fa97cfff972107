"""What moves on beside the optimizer: the schedules, and the number of the epoch."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from helpers.data.checks import shown
from helpers.environment import CourseError

Schedule = LRScheduler | Sequence[LRScheduler] | None


def schedulers_of(scheduler: Schedule, step_every: str, optimizer: Optimizer) -> list[Any]:
    """The schedules as a list.

    Raises ``CourseError`` for what is no schedule, one of another optimizer, one that cannot step
    so often, and one that takes the loss for something that should rise.
    """
    if scheduler is None:
        return []
    # A single schedule is a list of one.
    schedulers = [scheduler]
    if isinstance(scheduler, Sequence):
        schedulers = list(scheduler)
    for each in schedulers:
        check_schedule(each, step_every, optimizer)
    return schedulers


def check_schedule(scheduler: Any, step_every: str, optimizer: Optimizer) -> None:
    """Raise ``CourseError`` for a schedule that would not move this optimizer's rates rightly."""
    # A class, a number, or a function of the step is no schedule yet.
    kind = type(scheduler).__name__
    if isinstance(scheduler, type) or not hasattr(scheduler, "step"):
        raise CourseError(
            f"scheduler={shown(scheduler)} is no schedule: give one that was made for the "
            "optimizer, such as StepLR(optimizer, 1), or a list of them"
        )

    # In a notebook, the cell of the optimizer may have run again, and that of the schedule not.
    if not belongs_to(scheduler, optimizer):
        raise CourseError(
            f"the schedule {kind} was made for another optimizer, and would not move the rate of "
            "this one: make it anew, from this optimizer"
        )

    # A schedule of several hands its steps on to them.
    for part in getattr(scheduler, "_schedulers", ()):
        check_schedule(part, step_every, optimizer)

    # Most schedules count their steps; this one watches the test loss.
    if not isinstance(scheduler, ReduceLROnPlateau):
        return
    if step_every == "batch":
        raise CourseError(
            "ReduceLROnPlateau goes by the test loss, which is measured once per epoch: "
            "give fit step_every='epoch'"
        )
    if scheduler.mode == "max":
        raise CourseError(
            "ReduceLROnPlateau(mode='max') waits for a value that rises, but it gets the test "
            "loss: give mode='min'"
        )


def belongs_to(scheduler: Any, optimizer: Optimizer) -> bool:
    """Whether a schedule moves this optimizer; one that holds no optimizer is trusted."""
    owner = getattr(scheduler, "optimizer", optimizer)
    if owner is optimizer:
        return True
    # An optimizer that is wrapped in another one shares its groups with it.
    groups = getattr(owner, "param_groups", [])
    if len(groups) != len(optimizer.param_groups):
        return False
    return all(map(operator.is_, groups, optimizer.param_groups))


def step_schedulers(schedulers: Iterable[Any], test_loss: float) -> None:
    """Step every schedule at the end of an epoch."""
    for each in schedulers:
        if isinstance(each, ReduceLROnPlateau):
            each.step(test_loss)
        else:
            each.step()


def announce_epoch(batches: Any, epoch: int) -> None:
    """Call ``set_epoch(epoch)``, counted from 0, on batches and their sampler, or on a step."""
    # A sampler that divides the images among several processes needs the number for its order.
    owners: tuple[Any, ...] = (batches, getattr(batches, "sampler", None))
    for owner in owners:
        if hasattr(owner, "set_epoch"):
            owner.set_epoch(epoch)
