"""The last exercise of session 01: a net of the learner's own, trained and judged on the spot."""

from typing import Any

import torch
from torch import nn

from helpers.data import Batches, ImageData
from helpers.environment import pick_device, seed_everything
from helpers.exercises import check
from helpers.exercises.first_network import Loop
from helpers.exercises.learners_net import built_net, frozen_problem, net_problem
from helpers.models import count_parameters
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
    problem = net_problem(model, MOST_PARAMETERS) or frozen_problem(model)
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
