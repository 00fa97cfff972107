"""Session 07's exercises: a loader with a fault, a schedule, a softmax too many, an own net."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from helpers.data import ImageData
from helpers.exercises import check, returned
from helpers.exercises.learners_net import (
    answer_problem,
    built_net,
    trained_and_judged,
    used_net,
)
from helpers.exercises.loader import mended_loader
from helpers.experiments.catalogue import EXPERIMENTS

# The checks of the session; that of exercise 1 has a file of its own.
__all__ = ["mended_loader", "mended_net", "own_cifar_net", "symmetric_cycle"]

# Exercise 4: what a net of the learner's own is asked for.
MOST_PARAMETERS = 50_000
LEAST_ACCURACY = 55.0
EPOCHS = 2
COLOUR = (3, 32, 32)


# Exercise 2: Smith's own one-cycle.

# Steps, the step of the highest rate, the highest rate.
CYCLES = ((101, 40, 0.4), (61, 20, 1.0), (2000, 700, 0.025), (12, 4, 3.0))


@check
def symmetric_cycle(schedule: Callable[[int, int, int, float], Any]) -> str | None:
    """A function (step, steps, peak, highest) from a step, counted from 0, to its rate.

    Straight up from a tenth of ``highest`` at step 0 to ``highest`` at ``peak``, straight down to a
    tenth at step 2 · peak, and from there straight down to a thousandth at the last step.
    """
    for steps, peak, highest in CYCLES:
        corners = ((0, 0.1), (peak, 1.0), (2 * peak, 0.1), (steps - 1, 0.001))
        # The corners first: what is wrong there is said most easily.
        for step, share in corners:
            rate = float(returned(schedule(step, steps, peak, highest)))
            if not near(rate, share * highest, highest):
                return (
                    f"{steps} steps, highest at step {peak}: {rate:.4g} came out at step {step}, "
                    f"and not the share of {highest:g}, the highest rate, that was asked for"
                )
        for step in range(steps):
            rate = float(returned(schedule(step, steps, peak, highest)))
            if not near(rate, highest * share_at(step, corners), highest):
                return (
                    f"{steps} steps, highest at step {peak}: the four corners are right, and "
                    f"{rate:.4g}, which came out at step {step}, does not lie on the straight line "
                    "between two of them"
                )
    return None


def share_at(step: int, corners: tuple[tuple[int, float], ...]) -> float:
    """The height of the broken line through the corners."""
    for (left, low), (right, high) in zip(corners, corners[1:]):
        if step <= right:
            return low + (high - low) * (step - left) / (right - left)
    raise ValueError(f"step {step} lies behind the last corner")


def near(rate: float, expected: float, highest: float) -> bool:
    """Whether a rate is the expected one, up to rounding in 32 bits."""
    return abs(rate - expected) <= 1e-6 * highest


# Exercise 3: a softmax before cross-entropy.


@check
def mended_net(mend: Callable[[nn.Sequential], Any]) -> str | None:
    """A function from a net that ends in a softmax to one that ``cross_entropy`` can train.

    The mended net has the same weights, names the same classes, and gets the loss and the gradient
    of the net's logits.
    """
    for seed, size in ((0, 1.0), (1, 5.0), (2, 300.0)):
        net = softmax_net(seed, size)
        before = str(net)
        mended = returned(mend(net))
        if not isinstance(mended, nn.Module):
            return f"a {type(mended).__name__} came back, and not a net"
        if mended is net and str(net) == before:
            return "the net came back as it was"
        problem = loss_problem(mended, seed, size)
        if problem is not None:
            return problem
    return None


def softmax_net(seed: int = 0, size: float = 1.0) -> nn.Sequential:
    """A little net whose last layer is a softmax; ``size`` makes its logits larger."""
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 10), nn.Softmax(1))
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
        for weights in net[3].parameters():
            weights.mul_(size)
    return net


def loss_problem(mended: nn.Module, seed: int, size: float) -> str | None:
    """What is wrong with the loss or the gradient of a mended net, on eight random images."""
    # The loss that the net of the logits has, and its gradient.
    generator = torch.Generator().manual_seed(seed + 10)
    images = torch.randn(8, 3, 2, 2, generator=generator)
    targets = torch.randint(10, (8,), generator=generator)
    logits_net = softmax_net(seed, size)[:-1]
    logits = logits_net(images)
    expected = F.cross_entropy(logits, targets)
    expected.backward()

    # A mended net answers the same, image by image.
    answer = mended(images)
    if list(answer.shape) != [8, 10]:
        return f"eight images came out as {list(answer.shape)}, and not as eight rows of ten"
    if not torch.equal(answer.argmax(1), logits.argmax(1)):
        return "the mended net names other classes than the net did"
    loss = F.cross_entropy(answer, targets)
    case = f"with logits of up to {logits.detach().abs().max():,.0f}"
    if not torch.allclose(loss, expected, rtol=1e-4, atol=1e-5):
        return f"{case} the loss is {loss.item():.3f}, and the logits give another one"

    # The loss of a detached copy would be right, and nothing would learn.
    if not loss.requires_grad:
        return "the loss has no gradient, so nothing can be learned"
    loss.backward()
    return gradient_problem(mended, logits_net, case)


def gradient_problem(mended: nn.Module, logits_net: nn.Module, case: str) -> str | None:
    """What is wrong with the gradients of a mended net, beside those of the net of its logits."""
    theirs = [weights.grad for weights in mended.parameters()]
    ours = [weights.grad for weights in logits_net.parameters()]
    if len(theirs) != len(ours):
        return "the mended net has more or fewer weights than the net had"
    for mine, expected in zip(theirs, ours):
        if mine is None or expected is None:
            return "not all weights of the net get a gradient"
        if not torch.allclose(mine, expected, rtol=1e-3, atol=1e-4):
            return f"{case} the loss is right, and its gradient is not"
    return None


# Exercise 4: a net of the learner's own.


@check
def own_cifar_net(
    build_net: Any, data: ImageData, least: float = LEAST_ACCURACY, epochs: int = EPOCHS
) -> str | None:
    """Count a learner's net, train it for two epochs as the narrow net is, and judge it.

    Prints what came out. On practice data it trains for one epoch, and nothing is judged.
    """
    net = built_net(build_net)
    problem = answer_problem(net, COLOUR) or learning_problem(net)
    if problem is not None:
        return problem
    count = all_parameters(net)
    recipe = replace(EXPERIMENTS["cifar-minutes"].shortened(epochs), name="own")

    def new_net() -> nn.Module:
        return used_net(build_net, COLOUR)

    return trained_and_judged(new_net, recipe, data, least, f"{count:,} parameters")


def learning_problem(model: nn.Module) -> str | None:
    """What is wrong with the number of a net's parameters, if frozen ones count as well."""
    count = all_parameters(model)
    if count > MOST_PARAMETERS:
        return (
            f"the net has {count:,} parameters, frozen ones included, and at most "
            f"{MOST_PARAMETERS:,} were asked for"
        )
    if count == 0:
        return "the net has no parameters, and so nothing to learn with"
    frozen = [not weights.requires_grad for weights in model.parameters()]
    if all(frozen):
        return f"the net has {count:,} parameters, and none of them can learn"
    return None


def all_parameters(model: nn.Module) -> int:
    """How many numbers a net's parameters are, whether they learn or are frozen."""
    return sum(weights.numel() for weights in model.parameters())
