"""Session 04's exercises: a squeeze, an average to mend, a test to write, a net of one's own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from helpers.data import ImageData
from helpers.exercises import NOTHING_CAME_BACK, NotFilledIn, check, given, same_numbers
from helpers.exercises.learners_net import (
    built_net,
    net_problem,
    trained_and_judged,
    used_net,
)
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.intervals import mean_difference
from helpers.models import count_parameters
from helpers.training.averages import moving_average

# Exercise 4: what a net of the learner's own is asked for.
MOST_PARAMETERS = 7_999
LEAST_ACCURACY = 98.8
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


# Exercise 4: a net of the learner's own.


@check
def own_under_8000(
    build_net: Any, data: ImageData, least: float = LEAST_ACCURACY, epochs: int = EPOCHS
) -> str | None:
    """Count a learner's net, and train it for two epochs by the recipe of the ladder's last rungs.

    It is judged on the validation digits of ``data``, so that nobody chooses a net by test digits.
    Prints what came out. On practice data it trains for one epoch, and nothing is judged.
    """
    if len(data.validation) == 0:
        return 'there are no validation digits: give data.load("mnist", validation=5000)'
    net = built_net(build_net)
    problem = net_problem(net, MOST_PARAMETERS) or fixed_numbers(net)
    if problem is not None:
        return problem
    # One that is kept outside the function may have been trained, on these digits, too.
    if built_net(build_net) is net:
        return "it returns the same net each time: build a new one inside the function"
    recipe = replace(EXPERIMENTS["ladder-average"].shortened(epochs), name="own")
    # What the training calls its test images are the validation digits here.
    digits = replace(data, test=data.validation)

    def new_net() -> nn.Module:
        return used_net(build_net)

    count = f"{count_parameters(net):,} parameters"
    return trained_and_judged(new_net, recipe, digits, least, count, images="validation digits")


def fixed_numbers(net: nn.Module) -> str | None:
    """Which numbers of a net multiply without being learned; None where there are none."""
    for name, weights in net.named_parameters():
        if not weights.requires_grad:
            return f"{name} holds {weights.numel():,} numbers that are not learned"
    for place, layer in net.named_modules():
        # What a normalisation measures is no weight.
        if hasattr(layer, "running_mean"):
            continue
        for name, numbers in layer.named_buffers(prefix=place, recurse=False):
            if numbers.is_floating_point():
                return f"{name} holds {numbers.numel():,} fixed numbers, and all have to be learned"
        # A tensor that is a plain attribute, or lies in a list of one, is in no list of the net.
        for name, value in vars(layer).items():
            count = 0
            if name not in ("_parameters", "_buffers", "_modules"):
                count = numbers_in(value)
            if count > 0:
                where = f"{place}.{name}".lstrip(".")
                return f"{where} holds {count:,} fixed numbers, and all have to be learned"
    return None


def numbers_in(value: Any) -> int:
    """How many decimal numbers a tensor has, or all tensors in a list, a tuple or a dictionary."""
    if isinstance(value, torch.Tensor):
        return value.numel() if value.is_floating_point() else 0
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return sum(map(numbers_in, value))
    return 0
