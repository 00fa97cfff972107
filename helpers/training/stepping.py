"""What moves on beside the optimizer: the schedules, and the number of the epoch."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from helpers.environment import CourseError

Schedule = LRScheduler | Sequence[LRScheduler] | None


def schedulers_of(scheduler: Schedule, step_every: str) -> list[Any]:
    """The schedules as a list. Raises ``CourseError`` for one that cannot step every batch."""
    if scheduler is None:
        return []
    # A single schedule is a list of one.
    schedulers = [scheduler]
    if isinstance(scheduler, Sequence):
        schedulers = list(scheduler)

    # Most schedules count their steps; this one watches the test loss.
    for each in schedulers:
        if step_every == "batch" and isinstance(each, ReduceLROnPlateau):
            raise CourseError(
                "ReduceLROnPlateau goes by the test loss, which is measured once per epoch: "
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
    """Call ``set_epoch(epoch)``, counted from 0, on the batches and on their sampler."""
    # A sampler that divides the images among several processes needs the number for its order.
    owners: tuple[Any, ...] = (batches, getattr(batches, "sampler", None))
    for owner in owners:
        if hasattr(owner, "set_epoch"):
            owner.set_epoch(epoch)
