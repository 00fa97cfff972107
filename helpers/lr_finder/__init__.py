"""The learning-rate range test: a short training under a rising rate that leaves no trace.

Smith, "Cyclical Learning Rates for Training Neural Networks", 2017.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from helpers.environment import CourseError, real_number, unknown, whole_number
from helpers.lr_finder.answers import RangeAnswer, median_answer, read_answers
from helpers.lr_finder.rules import RULES, kept_part
from helpers.lr_finder.snapshot import Snapshot
from helpers.models import device_of
from helpers.training import Loss, training_step
from helpers.training.checks import (
    check_given,
    check_optimizer,
    explained,
    unmatched_parameters,
    unpack,
)
from helpers.training.output import progress
from helpers.training.randomness import generators_of


class LRRangeTest:
    """The result of a range test.

    ``rates``: float64 [steps], as planned. ``curves``: one for every order of the data, float64
    [2, n], n <= steps: the losses of the batches and the smoothed ones. ``note``: the data's.

    ``lrs``, ``losses`` and ``smoothed`` [n] are the means over the orders, as far as the shortest
    curve reaches; ``band`` is the lowest and the highest smoothed loss there, [n] each.
    """

    def __init__(self, rates: np.ndarray, curves: Sequence[np.ndarray], note: str = "") -> None:
        self.rates = rates
        self.curves = tuple(curves)
        self.note = note

        # Cut all curves to the length of the shortest: [orders, 2, n].
        shortest = min(curve.shape[1] for curve in curves)
        common = np.stack([curve[:, :shortest] for curve in curves])
        self.lrs = rates[:shortest]
        self.losses, self.smoothed = common.mean(0)
        self.band = (common.min(0)[1], common.max(0)[1])

    def suggest(self, rule: str = "valley") -> float:
        """The rate that one of fastai's rules reads off the smoothed curve.

        rule: ``"valley"``, ``"slide"``, ``"minimum"`` or ``"steep"`` (see ``lr_finder.rules``).

        The ends of the curve are left out, as in fastai (``rules.kept_part``). Raises
        ``CourseError`` for an unknown rule, where the loss never falls below the first, and for
        ``"slide"`` with fewer than 16 points.
        """
        if rule not in RULES:
            raise unknown("rule", rule, RULES)

        lrs, losses = kept_part(self.rates, self.smoothed)

        # A curve that only rises has nothing to suggest.
        if losses.argmin() == 0:
            raise CourseError(
                f"no rate to suggest: from {lrs[0]:.3g} to {lrs[-1]:.3g} the loss never falls "
                f"below the first, {losses[0]:.3g}; give a lower start_lr, or a higher end_lr"
            )
        return float(RULES[rule](lrs, losses))

    @property
    def answers(self) -> tuple[RangeAnswer, ...]:
        """The answer of every order that has one: how far they lie apart is how sure they are."""
        return read_answers(self.rates, self.curves)[0]

    def answer(self) -> RangeAnswer:
        """Where learning begins, the edge, and the highest rate that is recommended for one-cycle.

        Each is read off every order, and the median is taken: the mean curve ends where the first
        order diverges. Raises ``CourseError`` with the way out where half of the orders or more
        have no answer, because learning begins or the loss rises outside of the tested rates.
        """
        answers, problems = read_answers(self.rates, self.curves)
        if len(answers) <= len(problems):
            raise problems[0]
        return median_answer(answers)


def lr_range_test(
    model: nn.Module,
    batches: Iterable,
    loss_fn: Loss,
    optimizer: Optimizer,
    start_lr: float = 1e-4,
    end_lr: float = 10.0,
    steps: int = 300,
    *,
    smoothing: float = 0.8,
    divergence: float = 4.0,
    orders: int = 1,
    show: bool = False,
) -> LRRangeTest:
    """Train for a while under a rate that grows exponentially, and put everything back.

    The rate of step k is the k-th of ``numpy.geomspace(start_lr, end_lr, steps)``, for the fastest
    parameter group; the others keep their ratio. The defaults are five decades with 60 steps each:
    fewer steps, or a smoothing that remembers whole decades, blur where the loss turns.

    batches: of (images [B, ...], targets [B]); they go to the model's device, and are repeated if
        there are too few.
    loss_fn: its losses must not be negative.
    smoothing: at least 0 and below 1; losses are smoothed with bias correction, as Adam's moments.
    divergence: the test ends early once the smoothed loss exceeds so many times its lowest, or is
        not finite, which is not kept.
    orders: one curve is noise; more repeat the test from the same state with the generators of
        ``batches`` and torch's seeded anew. (A list always has one order.)
    show: a progress bar.

    Weights, buffers, optimizer, modes, gradients and random states (not those of persistent
    workers) are put back, also after an interruption; no file is written.

    Raises ``CourseError`` for ``steps`` below 10, ``orders`` below 1, a smoothing or a divergence
    outside its range, rates that do not rise from above 0, an optimizer of other parameters than
    the model's, an empty loader, a model that does not return a tensor of logits, a first loss that
    is not finite, and one that is negative.
    """
    # Check the arguments first.
    check_given(model, batches, loss_fn)
    check_optimizer(optimizer)
    check_numbers(steps, orders, smoothing, divergence)
    numbers = real_number(start_lr) is not None and real_number(end_lr) is not None
    if not numbers or not 0 < start_lr < end_lr:
        raise CourseError(
            f"lr_range_test: start_lr has to lie between 0 and end_lr = {end_lr!r}, not "
            f"{start_lr!r}"
        )
    check_parameters(model, optimizer)

    # The same factor from each rate to the next.
    rates = np.geomspace(start_lr, end_lr, steps)
    generators = generators_of(batches)
    snapshot = Snapshot(model, optimizer, generators)

    # Each order of the data is tested from the same state, which is restored afterwards.
    curves = []
    for order in range(orders):
        label = f"range test {order + 1}/{orders}"
        snapshot.take()
        try:
            if order > 0:
                seed_anew([torch.default_generator, *generators], order)
            bar = progress(rates.tolist(), label, show)
            curves.append(curve_of(model, batches, loss_fn, optimizer, bar, smoothing, divergence))
        finally:
            snapshot.restore()

    # A plot repeats the note of the data: that it is practice data, for example.
    split = getattr(batches, "split", None)
    return LRRangeTest(rates, curves, getattr(split, "note", ""))


def check_numbers(steps: int, orders: int, smoothing: float, divergence: float) -> None:
    """Raise ``CourseError`` for settings that no test can be made with."""
    for name, value, least in (("steps", steps, 10), ("orders", orders, 1)):
        if whole_number(value, least) is None:
            raise CourseError(
                f"lr_range_test: {name} is a whole number of at least {least}, not {value!r}"
            )
    if real_number(smoothing) is None or not 0 <= smoothing < 1:
        raise CourseError(f"lr_range_test: smoothing is at least 0 and below 1, not {smoothing!r}")
    if real_number(divergence) is None or divergence < 1:
        raise CourseError(
            f"lr_range_test: divergence is a finite number of at least 1, not {divergence!r}"
        )


def check_parameters(model: nn.Module, optimizer: Optimizer) -> None:
    """Raise ``CourseError`` unless the optimizer trains the model, and nothing else."""
    foreign, lacking = unmatched_parameters(model, optimizer)
    if foreign == 0 and lacking == 0:
        return

    # The counts are for the message alone.
    held = 0
    for group in optimizer.param_groups:
        held += len(group["params"])
    trained = 0
    for parameter in model.parameters():
        if parameter.requires_grad:
            trained += 1
    raise CourseError(
        f"the optimizer holds {held} parameters, {foreign} of them not the model's, and lacks "
        f"{lacking} of {trained} to train: make it from model.parameters()"
    )


def seed_anew(generators: Iterable[torch.Generator], order: int) -> None:
    """Give every generator the seed of another order of the data."""
    for generator in generators:
        seed = generator.initial_seed() + order
        generator.manual_seed(seed % 2**63)


def repeated(batches: Iterable, rounds: int) -> Iterator[Any]:
    """The batches of so many epochs, one after the other."""
    for _ in range(rounds):
        yield from batches


def curve_of(
    model: nn.Module,
    batches: Iterable,
    loss_fn: Loss,
    optimizer: Optimizer,
    rates: Any,
    smoothing: float,
    divergence: float,
) -> np.ndarray:
    """Train under ``rates``: the losses and the smoothed losses, float64 [2, n].

    Nothing is put back. Parameters as of ``lr_range_test``.
    """
    device = device_of(model)
    losses: list[float] = []
    smoothed: list[float] = []
    moment = 0.0
    # Before the first rate is set, which overwrites the optimizer's own.
    ratios = ratios_of(optimizer)
    diverged = False

    model.train()
    for rate, batch in zip(rates, repeated(batches, len(rates))):
        # The rate of this step; every group keeps its ratio to the fastest.
        for group, ratio in zip(optimizer.param_groups, ratios):
            group["lr"] = rate * ratio

        images, targets = unpack(batch, device)
        with explained(images):
            loss, _ = training_step(model, images, targets, optimizer, loss_fn, scaler=None)
        losses.append(loss.item())
        check_not_negative(losses)

        # A moving average, whose start at 0 is divided out.
        moment = smoothing * moment + (1 - smoothing) * losses[-1]
        smoothed.append(moment / (1 - smoothing ** len(losses)))

        limit = divergence * min(smoothed)
        if not smoothed[-1] <= limit < math.inf:  # written so that nan ends the test as well
            diverged = True
            break

    # A curve needs a batch for every rate, and a first loss to compare with.
    if len(losses) < len(rates) and not diverged:
        raise CourseError(
            f"the loader is empty after {len(losses)} of {len(rates)} batches: give a loader that "
            "can be repeated, such as Batches or a DataLoader"
        )
    if not math.isfinite(losses[0]):
        raise CourseError(
            f"the loss is {losses[0]} at the first step: give images and weights that are finite "
            "numbers"
        )

    # A last loss that is not finite ended the test, and cannot be drawn.
    return np.array([losses, smoothed])[:, np.isfinite(smoothed)]


def check_not_negative(losses: Sequence[float]) -> None:
    """Raise ``CourseError`` where the last loss is below 0: multiples would not bound it."""
    if losses[-1] < 0:
        raise CourseError(
            f"lr_range_test: the loss is {losses[-1]:.3g} at step {len(losses)}, and must not be "
            "negative: nll_loss is one of log_softmax(1); of logits take cross_entropy"
        )


def ratios_of(optimizer: Optimizer) -> list[float]:
    """The rate of every parameter group as a share of the fastest; 1 where all are zero."""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    fastest = max(rates)
    ratios = []
    for rate in rates:
        ratio = 1.0
        if fastest > 0:
            ratio = rate / fastest
        ratios.append(ratio)
    return ratios
