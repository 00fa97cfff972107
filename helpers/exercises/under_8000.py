"""Session 04's exercises: a squeeze, an average to mend, a test to write, a net of one's own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from helpers.data import ImageData
from helpers.exercises import NotFilledIn, check, given, same_numbers
from helpers.exercises.own_net import built_net, net_problem
from helpers.exercises.parameter_budget import train_own
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.intervals import mean_difference
from helpers.models import count_parameters
from helpers.training.averages import moving_average

# Exercise 4: what a net of the learner's own is asked for.
MOST_PARAMETERS = 7_999
LEAST_ACCURACY = 99.0
EPOCHS = 2

# What a comparison of two recipes can end in.
OUTCOMES = ("better", "worse", "undecided")
# Seeds of the new and of the old recipe, and how many times as much the new one scatters.
SIZES = ((3, 3, 1.0), (10, 10, 1.0), (4, 12, 3.0), (12, 4, 0.3), (3, 12, 6.0), (5, 5, 1.0))


# Exercise 1: what a squeeze saves.


@check
def weights_saved(answer: Callable[[int, int, int], Any]) -> str | None:
    """A function (c_in, squeezed, c_out) from channels to weights, against layers that torch makes.

    A 1×1 convolution from ``c_in`` to ``squeezed`` channels and a 3×3 to ``c_out`` stand in the
    place of one 3×3 from ``c_in`` to ``c_out``; none of them has a bias.
    """
    # Sizes that differ from each other, and two where the squeeze costs more than it saves.
    for c_in, squeezed, c_out in ((10, 4, 10), (16, 4, 20), (8, 8, 12), (3, 16, 5), (32, 1, 64)):
        found = given(answer(c_in, squeezed, c_out))
        one_by_one = nn.Conv2d(c_in, squeezed, 1, bias=False)
        behind_it = nn.Conv2d(squeezed, c_out, 3, bias=False)
        direct = nn.Conv2d(c_in, c_out, 3, bias=False)
        both = count_parameters(one_by_one) + count_parameters(behind_it)
        if not same_numbers(found, count_parameters(direct) - both):
            return (
                f"from {c_in} channels through {squeezed} to {c_out}: {found} is not the number of "
                "weights that are saved; count both ways, then subtract"
            )
    return None


# Exercise 2: an average that forgets what batch normalisation keeps.


@check
def mended_average(average_class: Callable[[nn.Module, float], Any]) -> str | None:
    """A class (model, decay) with ``module`` and ``update(model)``, against ``moving_average``."""
    for decay, steps in ((0.9, 1), (0.9, 2), (0.5, 30), (0.999, 60)):
        problem = follow_steps(average_class, decay, steps)
        if problem is not None:
            return problem
    return None


def follow_steps(average_class: Callable[..., Any], decay: float, steps: int) -> str | None:
    """What is wrong with a learner's average after so many steps of a net that changes."""
    generator = torch.Generator().manual_seed(steps)
    model = restless_net()
    mine = average_class(model, decay)
    ours = moving_average(model, decay)
    case = f"with decay {decay}, updates: {steps},"

    # Batches far from mean 0 and deviation 1 move what the normalisation keeps.
    for _ in range(steps):
        model.train()(4 + 3 * torch.randn(16, 2, generator=generator))
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(torch.randn(weights.shape, generator=generator), alpha=0.3)
        before = [tensor.clone() for tensor in model.state_dict().values()]
        # A right update returns nothing, so only the dots say that it is open.
        if mine.update(model) is ...:
            raise NotFilledIn
        ours.update_parameters(model)
        if not all(map(torch.equal, before, model.state_dict().values())):
            return f"{case} the net that is trained was changed, and only the average may be"

    # Numbers of the average by their names; counts of batches are of no use to anybody.
    if given(mine.module) is model:
        return "module is the net itself, and no average of it"
    averaged = mine.module.state_dict()
    for name, expected in ours.module.state_dict().items():
        if not expected.is_floating_point():
            continue
        if same_numbers(averaged[name], expected, 1e-4):
            continue
        if name in dict(model.named_parameters()):
            return (
                f"{case} the parameter {name} is not the average that the course's function keeps"
            )
        return f"{case} the parameters are right, and something else of the net is not"
    return None


def restless_net() -> nn.Sequential:
    """A little net with a normalisation, always with the same first weights."""
    # A generator of its own, so that no random number of the notebook is used up.
    generator = torch.Generator().manual_seed(7)
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    return net


# Exercise 3: the test that decides between two recipes.


@check
def decision(decide: Callable[[Sequence[float], Sequence[float]], Any]) -> str | None:
    """A function (new, old) from accuracies to one of ``OUTCOMES``, against ``mean_difference``."""
    for new, old in accuracy_pairs():
        found = str(given(decide(list(new), list(old)))).strip().lower()
        if found not in OUTCOMES:
            return f"it returned {found}, and one of {', '.join(OUTCOMES)} was asked for"
        if found != outcome(new, old):
            return (
                f"of {len(new)} new and {len(old)} old seeds it says {found}: new {written(new)}; "
                f"old {written(old)}"
            )
    return None


def outcome(new: Sequence[float], old: Sequence[float]) -> str:
    """What the 95 % interval of the difference of two means decides."""
    change = mean_difference(new, old)
    if not change.decided:
        return "undecided"
    if change.estimate > 0:
        return "better"
    return "worse"


def accuracy_pairs() -> list[tuple[list[float], list[float]]]:
    """Pairs of accuracies in percent, whose differences lie on both sides of the border.

    With few seeds the quantile of the normal distribution decides too early; seeds of unequal
    number and scatter tell a pooled deviation from others; what is common to equal seeds tells a
    paired test from one of independent seeds.
    """
    generator = torch.Generator().manual_seed(4)
    pairs = []
    for n, m, scatter in SIZES:
        common = torch.randn(max(n, m), generator=generator, dtype=torch.float64)
        new = 0.05 * scatter * torch.randn(n, generator=generator, dtype=torch.float64)
        old = 0.05 * torch.randn(m, generator=generator, dtype=torch.float64)
        # Equal seeds share a part of their luck in one of the cases.
        if n == m == 5:
            new, old = 0.05 * common + 0.1 * new, 0.05 * common + 0.1 * old
        new, old = 99.4 + new - new.mean(), 99.4 + old - old.mean()
        half = mean_difference(new.tolist(), old.tolist()).high
        for share in (0.0, 0.8, 0.95, 1.05, 1.4):
            for sign in (1, -1):
                pairs.append(((new + sign * share * half).tolist(), old.tolist()))
    return pairs


def written(accuracies: Sequence[float]) -> str:
    """Accuracies as they are said to the learner."""
    return " ".join(f"{accuracy:.2f}" for accuracy in accuracies)


# Exercise 4: a net of the learner's own.


@check
def own_under_8000(
    build_net: Any, data: ImageData, least: float = LEAST_ACCURACY, epochs: int = EPOCHS
) -> str | None:
    """Count a learner's net, and train it for two epochs by the recipe of the ladder's last rungs.

    Prints what came out. On practice data it trains for one epoch, and nothing is judged.
    """
    net = built_net(build_net)
    problem = net_problem(net, MOST_PARAMETERS)
    if problem is not None:
        return problem
    count = count_parameters(net)
    recipe = replace(EXPERIMENTS["ladder-average"].shortened(epochs), name="own")

    # Practice data show that all works, and say nothing about digits.
    if data.source == "practice":
        train_own(lambda: built_net(build_net), recipe.shortened(1), data, seed=0)
        return (
            f"with {count:,} parameters the net is small enough, but claims are not judged on "
            "practice data"
        )
    accuracy = train_own(lambda: built_net(build_net), recipe, data, seed=0)
    print(f"{count:,} parameters: {accuracy:.2f} % of the test digits after {epochs} epochs")
    if accuracy < least:
        return f"{accuracy:.2f} % after {epochs} epochs, and at least {least} % were asked for"
    print("One seed is a rumour all the same.")
    return None
