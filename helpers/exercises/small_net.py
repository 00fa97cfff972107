"""Session 04's last exercise: a net of the learner's own, below 8,000 parameters."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from helpers.data import ImageData
from helpers.exercises import check
from helpers.exercises.learners_net import (
    built_net,
    frozen_problem,
    net_problem,
    own_history,
    trained_and_judged,
    used_net,
)
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.mnist_ladder import UNDER_8000
from helpers.models import count_parameters

MOST_PARAMETERS = 7_999
LEAST_ACCURACY = 98.8
EPOCHS = 2
ROW = 3  # decimal numbers in a row that count as a kernel's
# The recipes of the nets that this session shows, which are no design of a learner's.
SHOWN = {
    "ladder-fewer": "rung 10",
    "ladder-average": "rung 9",
    "ladder-basic": "rung 1",
    "pointwise": "report 004",
    "ladder-best": "session 02's form",
    "small": "fewer channels",
    "small-separable": "the separable net",
}


@check
def own_under_8000(
    build_net: Any,
    data: ImageData,
    least: float = LEAST_ACCURACY,
    epochs: int = EPOCHS,
    seed: int = 0,
) -> str | None:
    """Count a learner's net, and train it for two epochs by the recipe of the ladder's last rungs.

    It is judged on the validation digits of ``data``, so that nobody chooses a net by test digits.
    Prints what came out. On practice data it trains for one epoch, and nothing is judged.
    """
    if len(data.validation) == 0:
        return 'there are no validation digits: give data.load("mnist", validation=5000)'
    problem = own_net_problem(build_net)
    if problem is not None:
        return problem
    recipe = replace(EXPERIMENTS["ladder-average"].shortened(epochs), name="own")
    # What the training calls its test images are the validation digits here.
    digits = replace(data, test=data.validation)

    def new_net() -> nn.Module:
        return used_net(build_net)

    count = f"{count_parameters(new_net()):,} parameters"
    images = "validation digits"
    return trained_and_judged(new_net, recipe, digits, least, count, images=images, seed=seed)


@check
def own_claim(build_net: Any, data: ImageData, seed: int = 0) -> str | None:
    """Train a learner's net for all epochs of that recipe, and judge it by the session's claim.

    It is trained on all training digits of ``data`` and measured on the test digits. Prints the
    accuracies of the last epochs. On practice data it trains for one epoch, and nothing is judged.
    """
    problem = own_net_problem(build_net)
    if problem is not None:
        return problem
    recipe = replace(EXPERIMENTS["ladder-average"], name="own")
    practice = data.source == "practice"
    if practice:
        recipe = recipe.shortened(1)
    history = own_history(lambda: used_net(build_net), recipe, data, seed)
    if practice:
        return "the net was trained, but claims are not judged on practice data"

    last = [row["test_accuracy"] for row in history.epochs[-UNDER_8000.last_epochs :]]
    print("the last epochs:", *(f"{accuracy:.2f}" for accuracy in last), "% of the test digits")
    if min(last) < UNDER_8000.accuracy:
        return f"the lowest is {min(last):.2f} %, and the claim asks for {UNDER_8000.accuracy} %"
    print("It meets the claim, with this seed.")
    return None


def own_net_problem(build_net: Any) -> str | None:
    """What is wrong with a learner's function of a net below 8,000 parameters, before training."""
    net = built_net(build_net)
    problem = net_problem(net, MOST_PARAMETERS) or fixed_numbers(net)
    if problem is not None:
        return problem
    # One that is kept outside the function may have been trained, on these digits, too.
    if built_net(build_net) is net:
        return "it returns the same net each time: build a new one inside the function"
    if same_weights(*(seeded_net(build_net, seed) for seed in (1, 2))):
        return (
            "its weights are the same each time, so they may be trained already: build the net "
            "inside the function, and let torch draw its weights"
        )
    for recipe, name in SHOWN.items():
        if layers_of(net) == layers_of(EXPERIMENTS[recipe].build_model()):
            return f"this is the net of {name}: design one of your own, be it ever so little else"
    return None


def seeded_net(build_net: Any, seed: int) -> nn.Module:
    """A learner's net, built after this seed; random numbers elsewhere go on as before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return used_net(build_net)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether all weights of all layers but the normalisations are the same in two nets."""
    # Biases and normalisations may begin with zeros and ones; matrices and kernels are drawn.
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs if a.dim() > 1)


def layers_of(net: nn.Module) -> str:
    """The layers of a net in words, without the share of its dropouts."""
    return re.sub(r"Dropout\(p=[^)]*\)", "Dropout()", str(net))


def fixed_numbers(net: nn.Module) -> str | None:
    """Which numbers of a net multiply without being learned; None where there are none."""
    problem = frozen_problem(net)
    if problem is not None:
        return problem
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
    """How many decimal numbers an array has, or all arrays and long rows of numbers in a list.

    Lists may be tuples or dictionaries, one in another.
    """
    if isinstance(value, torch.Tensor):
        return value.numel() if value.is_floating_point() else 0
    if isinstance(value, np.ndarray):
        return value.size if value.dtype.kind == "f" else 0
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        plain = sum(isinstance(each, float) for each in value)
        # One or two numbers in a row are a setting, such as the scale of an enlargement.
        return sum(map(numbers_in, value)) + (plain if plain >= ROW else 0)
    return 0
