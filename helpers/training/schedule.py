"""The one-cycle schedule."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from helpers.environment import CourseError, real_number, whole_number
from helpers.training.checks import check_optimizer


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
    """The one-cycle schedule: the rate rises for a few epochs, and falls for the rest.

    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates", 2018. Step it after every batch. Momentum is left alone. The optimizer's own ``lr`` is
    overwritten: only the ratio between its parameter groups is kept.

    max_lr: the highest rate, that of the fastest group, at the last step of ``peak_epoch``.
    epochs, steps_per_epoch: the length of the run.
    peak_epoch: counted from 1; it may lie within an epoch (4.5).
    min_lr: the rate of the first step, and of the last one; ``max_lr / 25`` unless given.
    annihilate: the rate ends at ``min_lr / 10,000`` instead.
    anneal: along straight lines (``"linear"``), or half waves of a cosine (``"cos"``).

    Raises ``CourseError`` for what is no optimizer or no number, ``steps_per_epoch`` that is no
    whole number of at least 1, epochs that are not above 0, a peak that does not come after the
    first step and before the last, a rate that does not rise, and another ``anneal``.
    """
    check_optimizer(optimizer)
    peak, last = peak_and_last("one_cycle", peak_epoch, epochs, steps_per_epoch)
    check_numbers("one_cycle", max_lr=max_lr)
    if max_lr <= 0:
        raise CourseError(f"one_cycle: max_lr is a number above 0, not {max_lr!r}")
    if min_lr is not None:
        check_numbers("one_cycle", min_lr=min_lr)

    # The rates at the start, at the peak and at the end.
    high = float(max_lr)
    low = high / 25
    if min_lr is not None:
        low = float(min_lr)
    final = low
    if annihilate:
        final = low / 10_000
    if not 0 < low < high:
        raise CourseError(f"one_cycle: min_lr has to lie between 0 and max_lr = {high}, not {low}")
    if anneal not in ("linear", "cos"):
        raise CourseError(f"one_cycle: anneal is 'linear' or 'cos', not {anneal!r}")

    def share_of_highest(step: int) -> float:
        """The rate of a step, as a share of the highest one."""
        # Upwards until the peak, then downwards; after the last step the rate stays.
        if step <= peak:
            progress = step / peak
            rate = between(low, high, progress, anneal)
        else:
            progress = (min(step, last) - peak) / (last - peak)
            rate = between(high, final, progress, anneal)
        return rate / high

    # Each group's own highest rate, in proportion to the fastest group's.
    fastest = max(float(group["lr"]) for group in optimizer.param_groups)
    for group in optimizer.param_groups:
        ratio = 1.0
        if fastest > 0:
            ratio = float(group["lr"]) / fastest
        group["lr"] = high * ratio
        group["initial_lr"] = high * ratio
    return LambdaLR(optimizer, share_of_highest)


def peak_and_last(
    schedule: str, peak_epoch: float, epochs: float, steps_per_epoch: int
) -> tuple[float, float]:
    """The steps at the end of ``peak_epoch`` and of all epochs, counted from 0.

    Raises ``CourseError`` in the name of a ``schedule``, as ``one_cycle`` does.
    """
    if whole_number(steps_per_epoch, least=1) is None:
        raise CourseError(
            f"{schedule}: steps_per_epoch is a whole number of at least 1, such as "
            f"len(train_batches), not {steps_per_epoch!r}"
        )
    check_numbers(schedule, epochs=epochs, peak_epoch=peak_epoch)
    if epochs <= 0:
        raise CourseError(f"{schedule}: epochs is a number above 0, not {epochs!r}")

    # Counted from 0, the last step of an epoch is one below a multiple.
    peak = peak_epoch * steps_per_epoch - 1
    last = epochs * steps_per_epoch - 1
    if not 0 < peak < last:
        raise CourseError(
            f"{schedule}: the peak (epoch {peak_epoch}) is step {peak + 1:g} of the {last + 1:g} "
            f"in {epochs} epochs: it has to come after the first step, and before the last"
        )
    return peak, last


def check_numbers(schedule: str, **arguments: float) -> None:
    """Raise ``CourseError`` for an argument that is no finite number."""
    for name, value in arguments.items():
        if real_number(value) is None:
            raise CourseError(f"{schedule}: {name} is a finite number, not {value!r}")


def between(start: float, end: float, progress: float, anneal: str) -> float:
    """The rate on the way from ``start`` to ``end``; ``progress`` goes from 0 to 1."""
    # Half a wave of a cosine is slow at both of its ends.
    if anneal == "cos":
        progress = (1 - math.cos(math.pi * progress)) / 2
    return start + (end - start) * progress
