"""The last exercise of session 01: a net of the learner's own, trained and judged on the spot."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from helpers.data import Batches, ImageData
from helpers.environment import pick_device, seed_everything
from helpers.exercises import NotFilledIn, check, given
from helpers.exercises.first_network import Loop
from helpers.exercises.parameter_budget import train_own
from helpers.experiments.recipe import Recipe
from helpers.models import count_parameters, evaluating
from helpers.training import evaluate
from helpers.training.schedule import one_cycle

# What a net of the learner's own is asked for.
MOST_PARAMETERS = 4_999
LEAST_ACCURACY = 98.5


@check
def own_net(
    build: Any, loop: Loop, data: ImageData, least: float = LEAST_ACCURACY, epochs: int = 3
) -> str | None:
    """Whether a net is small enough, and reaches ``least`` percent when ``loop`` trains it now.

    ``build`` makes the net, or is one. On practice data nothing is judged, and it trains briefly.
    """
    generator = seed_everything(0)
    model = built_net(build)
    problem = net_problem(model)
    if problem is not None:
        return problem
    count = count_parameters(model)

    # Practice data show that the net can be trained, and nothing else.
    if data.source == "practice":
        epochs = 1
    accuracy = trained_accuracy(model, loop, data, epochs, generator)
    if data.source == "practice":
        return (
            f"with {count:,} parameters the net is small enough, but claims are not judged on "
            "practice data"
        )
    print(f"{count:,} parameters, {accuracy:.2f} % after {epochs} epochs")
    if accuracy < least:
        return f"{accuracy:.2f} % on the test digits, and at least {least} % were asked for"
    return None


def built_net(build: Any) -> nn.Module:
    """The net that a learner's function makes; raises ``NotFilledIn`` where it makes none yet."""
    model = build
    if not isinstance(build, nn.Module):
        model = given(build())
    # A net without a layer is an answer that somebody left empty.
    if isinstance(model, nn.Sequential) and len(model) == 0:
        raise NotFilledIn
    return model


def net_problem(
    model: Any, most: int = MOST_PARAMETERS, image: tuple[int, int, int] = (1, 28, 28)
) -> str | None:
    """What is wrong with a net before it is trained; it may have ``most`` parameters.

    ``image`` is the shape of what it reads: channels, rows and columns.
    """
    if not isinstance(model, nn.Module):
        return f"a {type(model).__name__} came back, and not a net"

    # Two images have to give ten logits each; in evaluation mode nothing of the net changes.
    with evaluating(model), torch.no_grad():
        shape = list(model(torch.zeros(2, *image)).shape)
    if shape != [2, 10]:
        return f"two images came out as {shape}, and each needs one row of ten logits"
    count = count_parameters(model)
    if count > most:
        return f"the net has {count:,} parameters, and at most {most:,} were asked for"
    if count == 0:
        return "the net has no parameters, and so nothing to learn with"
    return None


def trained_accuracy(
    model: nn.Module, loop: Loop, data: ImageData, epochs: int, generator: torch.Generator
) -> float:
    """The accuracy in percent on the test images, after a training like session 01's headline."""
    # Rate, momentum and schedule are those of the recipe "first".
    device = pick_device()
    net: Any = model.to(device)
    net = net.to(memory_format=torch.channels_last)
    batches = Batches(data.train, 128, shuffle=True, device=device, generator=generator)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    scheduler = one_cycle(optimizer, 0.1, epochs, len(batches), epochs / 3, annihilate=True)

    loop(model, batches, optimizer, scheduler, epochs)
    return evaluate(model, Batches(data.test, 1000, device=device))[1]


def trained_and_judged(
    build_net: Callable[[], nn.Module],
    recipe: Recipe,
    data: ImageData,
    least: float,
    count: str,
    fits: str,
) -> str | None:
    """Train a net of the learner's own, print its accuracy, and say what is missing to ``least``.

    ``count`` is what was asked for in numbers, and ``fits`` the word for it: small, or cheap.
    """
    # Practice data show that all works, and say nothing about photographs.
    if data.source == "practice":
        train_own(build_net, recipe.shortened(1), data, seed=0)
        return f"with {count} the net is {fits} enough, but claims are not judged on practice data"
    accuracy = train_own(build_net, recipe, data, seed=0)
    epochs = recipe.epochs
    print(f"{count}: {accuracy:.2f} % of the test images after {epochs} epochs")
    if accuracy < least:
        return f"{accuracy:.2f} % after {epochs} epochs, and at least {least} % were asked for"
    return None
