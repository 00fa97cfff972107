"""Session 04's exercises: a squeeze, an average to mend, a test to write, a net of one's own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from helpers.exercises import NOTHING_CAME_BACK, NotFilledIn, check, given, same_numbers
from helpers.exercises.small_net import own_claim, own_under_8000
from helpers.intervals import mean_difference
from helpers.models import count_parameters
from helpers.training.averages import moving_average

# The checks of the session; those of exercise 4 have a file of their own.
__all__ = ["decision", "mended_average", "own_claim", "own_under_8000", "weights_saved"]

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
        found = answer(c_in, squeezed, c_out)
        case = f"from {c_in} channels through {squeezed} to {c_out}"
        if found is None:
            return f"{case}: {NOTHING_CAME_BACK}"
        if not is_number(given(found)):
            return f"{case}: a {type(found).__name__} came back, and a number was asked for"
        number = torch.as_tensor(found).reshape(())
        one_by_one = nn.Conv2d(c_in, squeezed, 1, bias=False)
        behind_it = nn.Conv2d(squeezed, c_out, 3, bias=False)
        direct = nn.Conv2d(c_in, c_out, 3, bias=False)
        saved = count_parameters(direct) - count_parameters(one_by_one)
        saved -= count_parameters(behind_it)
        if same_numbers(number, saved):
            continue
        if same_numbers(number, -saved):
            return f"{case}: the sign is the other way round, since a saving is positive"
        return (
            f"{case}: {found} is not the number of weights that are saved; count both ways, then "
            "subtract"
        )
    return None


def is_number(found: Any) -> bool:
    """Whether an answer is one number, in whatever form."""
    try:
        return torch.as_tensor(found).numel() == 1
    except (TypeError, ValueError, RuntimeError):
        return False


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
    first = kept_numbers(model)

    # Images far from mean 0 and deviation 1 move what the normalisation keeps.
    for _ in range(steps):
        model.train()(4 + 3 * torch.randn(16, 2, 3, 3, generator=generator))
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(torch.randn(weights.shape, generator=generator), alpha=0.3)
        before = kept_numbers(model)
        came_back = mine.update(model)
        # The dots of an open answer may have been left below a right one.
        if came_back is ... and all_same(kept_numbers(given(mine.module)), first):
            raise NotFilledIn
        ours.update_parameters(model)
        if not all_same(kept_numbers(model), before):
            return (
                f"with decay {decay}, updates: {steps}, the net that is trained was changed, and "
                "only the average may be"
            )

    if given(mine.module) is model:
        return "module is the net itself, and no average of it"
    problem = wrong_number(mine.module, ours.module, first, model)
    if problem is None:
        return None
    return f"with decay {decay}, updates: {steps}, {problem}"


def wrong_number(
    mine: nn.Module, ours: nn.Module, first: dict[str, torch.Tensor], model: nn.Module
) -> str | None:
    """What is wrong with the numbers of an average; None where they are those of ours.

    ``first`` are the numbers of the beginning, and ``model`` is the newest net.
    """
    found, newest = kept_numbers(mine), kept_numbers(model)
    parameters = dict(model.named_parameters())
    # Parameters come first, because the rest is looked for only when they are right.
    names = sorted(kept_numbers(ours), key=lambda name: name not in parameters)
    others_right = False
    for name in names:
        if same_numbers(found[name], kept_numbers(ours)[name], 1e-4):
            others_right = others_right or name not in parameters
            continue
        fault = "is another average than the course's function keeps"
        if same_numbers(found[name], first[name]):
            fault = "is still as it was at the beginning"
        elif same_numbers(found[name], newest[name]):
            fault = "is that of the newest net, and no average"
        if name in parameters:
            return f"the parameter {name} {fault}"
        if others_right:
            return f"the parameters are right, a part of the rest as well, and another part {fault}"
        return f"the parameters are right, and something else of the net {fault}"
    return None


def kept_numbers(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all decimal numbers that a net keeps, by name; counts are of no use to anybody."""
    kept = {}
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            kept[name] = tensor.detach().clone()
    return kept


def all_same(found: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    """Whether all numbers of two nets are exactly the same."""
    return all(torch.equal(found[name], others[name]) for name in others)


def restless_net() -> nn.Sequential:
    """A little net with a normalisation, always with the same first weights."""
    # A generator of its own, so that no random number of the notebook is used up.
    generator = torch.Generator().manual_seed(7)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.Flatten()
    )
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    return net


# Exercise 3: the test that decides between two recipes.


@check
def decision(decide: Callable[[Sequence[float], Sequence[float]], Any]) -> str | None:
    """A function (new, old) from accuracies to one of ``OUTCOMES``, against ``mean_difference``."""
    for new, old in accuracy_pairs():
        answer = decide(list(new), list(old))
        numbers = f"new {written(new)}; old {written(old)}"
        if answer is None:
            return f"{NOTHING_CAME_BACK}: {numbers}"
        found = str(given(answer)).strip().lower()
        if found not in OUTCOMES:
            return f"it returned {found}, and one of {', '.join(OUTCOMES)} was asked for"
        if found != outcome(new, old):
            return f"of {len(new)} new and {len(old)} old seeds it says {found}: {numbers}"
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

    They have two decimals, as they are said to the learner, and those pairs are left out whose
    answer that would change. With few seeds the quantile of the normal distribution decides too
    early; seeds of unequal number and scatter tell a pooled deviation from others; what is common
    to equal seeds tells a paired test from one of independent seeds.
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
                exact = (new + sign * share * half).tolist(), old.tolist()
                rounded = [round(x, 2) for x in exact[0]], [round(x, 2) for x in exact[1]]
                if outcome(*rounded) == outcome(*exact):
                    pairs.append(rounded)
    return pairs


def written(accuracies: Sequence[float]) -> str:
    """Accuracies as they are said to the learner."""
    return " ".join(f"{accuracy:.2f}" for accuracy in accuracies)
