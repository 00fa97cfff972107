"""The learning-rate range test: a short training under a rising rate that leaves no trace, and rules that read it.

Smith, "Cyclical Learning Rates for Training Neural Networks", 2017. The rules are fastai's, written anew.
"""

import contextlib
import math
import random
from collections.abc import Iterable, Iterator, Sequence, Sized

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from helpers.environment import CourseError, unknown
from helpers.training import Loss, progress


def _valley(lrs: np.ndarray, losses: np.ndarray) -> float:
    lengths = np.ones(len(losses), dtype=int)  # of the longest falling subsequence that ends here
    for here in range(1, len(losses)):
        lengths[here] += lengths[:here][losses[:here] > losses[here]].max(initial=0)
    end, length = int(lengths.argmax()), int(lengths.max())
    return lrs[
        max(0, end - length + length // 3 + length // 6)
    ]  # as fastai counts: from one before the first


def _slide(
    lrs: np.ndarray, losses: np.ndarray, lr_diff: int = 15, threshold: float = 0.005
) -> float:
    if len(lrs) <= lr_diff:
        raise CourseError(
            f"the rule 'slide' needs {lr_diff + 1} points of the curve, not {len(lrs)}: take more steps"
        )
    slopes = np.gradient(losses)
    calm = np.flatnonzero(np.abs(slopes[lr_diff:] - slopes[:-lr_diff]) <= threshold).max(initial=-1)
    return lrs[min(calm + 1, len(lrs) - 1 - lr_diff)]


RULES = {
    "valley": _valley,
    "slide": _slide,
    "minimum": lambda lrs, losses: lrs[losses.argmin()] / 10,
    "steep": lambda lrs, losses: lrs[(np.diff(losses) / np.diff(np.log(lrs))).argmin()],
}


class LRRangeTest:
    """What a range test met: ``rates`` float64 [steps] as planned; for every order of the data a curve float64 [2, n],
    n <= steps, the losses of the batches and the smoothed ones; ``note``, that of the data.

    ``lrs``, ``losses`` and ``smoothed`` [n] are the means over the orders, as far as the shortest curve reaches;
    ``band`` is the lowest and the highest smoothed loss there, [n] each.
    """

    def __init__(self, rates: np.ndarray, curves: Sequence[np.ndarray], note: str = "") -> None:
        self.rates, self.curves, self.note = rates, tuple(curves), note
        common = np.stack([curve[:, : min(curve.shape[1] for curve in curves)] for curve in curves])
        self.lrs, self.band = rates[: common.shape[2]], (common.min(0)[1], common.max(0)[1])
        self.losses, self.smoothed = common.mean(0)

    def suggest(self, rule: str = "valley") -> float:
        """The rate that one of fastai's rules (its ``callback/schedule.py``) reads off the smoothed curve.

        ``"valley"``: half way (a third and a sixth) through the longest falling subsequence, taken as one piece;
        ``"steep"``: where the loss falls fastest against log rate; ``"minimum"``: a tenth of the rate of the lowest
        loss; ``"slide"``: from the end down, the last rate whose slope per step differs by more than 0.005 from that 15
        steps on. As in fastai the first tenth of the planned steps and the last five points are left out, but only
        where 16 points remain. Raises ``CourseError`` for an unknown rule, where the loss never falls below the first,
        and for ``"slide"`` with fewer than 16 points.
        """
        if rule not in RULES:
            raise unknown("rule", rule, RULES)
        kept = slice(len(self.rates) // 10, -5)
        lrs, losses = (
            whole[kept] if len(whole[kept]) > 15 else whole for whole in (self.lrs, self.smoothed)
        )
        if losses.argmin() == 0:
            raise CourseError(
                f"no rate to suggest: from {lrs[0]:.3g} to {lrs[-1]:.3g} the loss never falls below the "
                f"first, {losses[0]:.3g}; give a lower start_lr, or a higher end_lr"
            )
        return float(RULES[rule](lrs, losses))


def _check(
    model: nn.Module, optimizer: Optimizer, start_lr: float, end_lr: float, **least: tuple[int, int]
) -> None:
    for name, (value, lowest) in least.items():
        if not isinstance(value, int) or value < lowest:
            raise CourseError(
                f"lr_range_test: {name} is a whole number of at least {lowest}, not {value!r}"
            )
    if not 0 < start_lr < end_lr < math.inf:
        raise CourseError(
            f"lr_range_test: start_lr has to lie between 0 and end_lr = {end_lr}, not {start_lr}"
        )
    held, own = (
        {one for group in optimizer.param_groups for one in group["params"]},
        set(model.parameters()),
    )
    trained = {parameter for parameter in own if parameter.requires_grad}
    if not trained <= held <= own:
        raise CourseError(
            f"the optimizer holds {len(held)} parameters, {len(held - own)} of them not the model's, and "
            f"lacks {len(trained - held)} of {len(trained)} to train: make it from model.parameters()"
        )


def _generators(batches: Iterable) -> list[torch.Generator]:
    """Torch's, and those that ``Batches``, a ``DataLoader`` or its samplers draw from."""
    samplers = [getattr(batches, name, None) for name in ("sampler", "batch_sampler")]
    found = {
        getattr(owner, "generator", None)
        for owner in (batches, *samplers, getattr(samplers[1], "sampler", None))
    }
    return [torch.default_generator, *(one for one in found if isinstance(one, torch.Generator))]


@contextlib.contextmanager
def _put_back(
    model: nn.Module, optimizer: Optimizer, generators: list[torch.Generator]
) -> Iterator[None]:
    """Whatever ends the block, everything that training changes is as it was, in the same objects."""
    undo = [(setattr, module, "training", module.training) for module in model.modules()]
    undo += [(setattr, parameter, "grad", parameter.grad) for parameter in model.parameters()]
    tensors = [*model.parameters(), *(parameter.grad for parameter in model.parameters())]
    buffers = [module._buffers for module in model.modules()]
    for table in (*buffers, optimizer.state, *optimizer.state.values(), *optimizer.param_groups):
        undo += [(table.clear,), (table.update, dict(table))]
        tensors += table.values()
    undo += [
        (one.detach().copy_, one.detach().clone())
        for one in tensors
        if isinstance(one, torch.Tensor)
    ]
    undo += [
        (torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()),
        (random.setstate, random.getstate()),
    ]
    undo += [(one.set_state, one.get_state()) for one in generators] + [
        (np.random.set_state, np.random.get_state())
    ]
    try:
        yield
    finally:
        for put, *was in undo:
            put(*was)


def _curve(
    model: nn.Module,
    batches: Iterable,
    loss_fn: Loss,
    optimizer: Optimizer,
    rates: Sized,
    smoothing: float,
    divergence: float,
) -> np.ndarray:
    """One test: losses and smoothed losses, float64 [2, n]. Leaves everything as trained."""
    model.train()
    device, before = (
        next(model.parameters()).device,
        [float(group["lr"]) for group in optimizer.param_groups],
    )
    losses, smoothed, mean = [], [], 0.0
    for rate, (images, targets) in zip(
        rates, (batch for _ in range(len(rates)) for batch in batches)
    ):
        for group, lr in zip(optimizer.param_groups, before):
            group["lr"] = rate * (lr / max(before) if max(before) else 1.0)
        optimizer.zero_grad()
        logits = model(images.to(device))
        if not isinstance(logits, torch.Tensor):
            raise CourseError(
                f"the model returns a {type(logits).__name__}: the net has to return the logits alone"
            )
        loss = loss_fn(logits, targets.to(device))
        losses.append(loss.item())
        mean = smoothing * mean + (1 - smoothing) * losses[-1]
        smoothed.append(mean / (1 - smoothing ** len(losses)))
        if not smoothed[-1] <= divergence * min(smoothed) < math.inf:  # so that nan stops it too
            break
        loss.backward()
        optimizer.step()
    else:
        if len(losses) < len(rates):
            raise CourseError(
                f"the loader is empty after {len(losses)} of {len(rates)} batches: give one to go around"
            )
    if not math.isfinite(losses[0]):
        raise CourseError(
            f"the loss is {losses[0]} at the first step: give images and weights that are finite numbers"
        )
    return np.array([losses, smoothed])[:, np.isfinite(smoothed)]


def lr_range_test(
    model: nn.Module,
    batches: Iterable,
    loss_fn: Loss,
    optimizer: Optimizer,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    steps: int = 100,
    *,
    smoothing: float = 0.98,
    divergence: float = 4.0,
    orders: int = 1,
    show: bool = False,
) -> LRRangeTest:
    """Train for ``steps`` batches (images [B, ...], targets) while the rate grows exponentially, and put all back.

    The rate of step k is the k-th of ``numpy.geomspace(start_lr, end_lr, steps)``, for the fastest parameter group; the
    others keep their ratio. Losses are smoothed (by 0 <= ``smoothing`` < 1) with bias correction, as Adam's moments.
    The test ends early once the smoothed loss exceeds ``divergence`` times its lowest (so losses must not be negative)
    or is not finite, which is not kept. Batches go to the model's device, and around if they are too few. One curve is
    noise: ``orders`` > 1 repeats the test from the same state with the generators of ``batches`` and torch's seeded
    anew; a list always has one order. Weights, buffers, optimizer, modes, gradients and random states (not those of
    persistent workers) are put back, also after an interruption; no file is written. Raises ``CourseError`` for
    ``steps`` < 10, ``orders`` < 1, rates that do not rise from above 0, an optimizer of other parameters than the
    model's, an empty loader, a model that does not return a tensor, and a first loss that is not finite.
    """
    _check(model, optimizer, start_lr, end_lr, steps=(steps, 10), orders=(orders, 1))
    rates, curves, generators = np.geomspace(start_lr, end_lr, steps), [], _generators(batches)
    for order in range(orders):
        with _put_back(model, optimizer, generators):
            for generator in generators if order else ():
                generator.manual_seed((generator.initial_seed() + order) % 2**63)
            bar = progress(rates.tolist(), f"range test {order + 1}/{orders}", show)
            curves.append(_curve(model, batches, loss_fn, optimizer, bar, smoothing, divergence))
    return LRRangeTest(rates, tuple(curves), getattr(getattr(batches, "split", None), "note", ""))
