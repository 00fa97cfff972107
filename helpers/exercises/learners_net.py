"""A net of a learner's own: built, looked at, trained and judged. Several sessions end with one."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from helpers import environment, training
from helpers.data import Batches, ImageData
from helpers.exercises import NotFilledIn, returned
from helpers.experiments.recipe import Recipe
from helpers.experiments.runs import training_batches
from helpers.models import count_parameters, evaluating

DIGIT = (1, 28, 28)
PROBABILITIES = (
    "each row sums to 1: these are probabilities; give logits, cross_entropy makes the "
    "probabilities itself"
)


def built_net(build: Any) -> nn.Module:
    """The net that a learner's function makes, or a copy of the net that is given in its place.

    Raises ``NotFilledIn`` where there is none yet.
    """
    # A check trains the net: run again, it must not go on from where it ended.
    if isinstance(build, nn.Module):
        model = copy.deepcopy(build)
    else:
        model = returned(build())
    # A net without a layer is an answer that somebody left empty.
    if isinstance(model, nn.Sequential) and len(model) == 0:
        raise NotFilledIn
    return model


def used_net(build: Any, image: tuple[int, int, int] = DIGIT) -> nn.Module:
    """A net of a learner's that has seen two images, so that all of its layers have weights.

    A lazy layer finds out with its first images how many weights it has.
    """
    net = built_net(build)
    answer_of(net, image)
    return net


def answer_of(model: nn.Module, image: tuple[int, int, int]) -> Any:
    """What a net says of two black images; in evaluation mode nothing of the net changes."""
    with evaluating(model), torch.no_grad():
        return model(torch.zeros(2, *image))


def net_problem(
    model: Any, most: int, image: tuple[int, int, int] = DIGIT, fits: str = "were asked for"
) -> str | None:
    """What is wrong with a net before it is trained; it may have ``most`` parameters.

    image: the shape of what it reads: channels, rows and columns
    fits: how a sentence on the most parameters ends
    """
    problem = answer_problem(model, image)
    if problem is not None:
        return problem
    count = count_parameters(model)
    if count > most:
        return f"the net has {count:,} parameters, and at most {most:,} {fits}"
    if count == 0:
        return "the net has no parameters, and so nothing to learn with"
    return None


def frozen_problem(model: nn.Module) -> str | None:
    """Which parameters of a net are not learned, and so not counted; None where all are."""
    for name, weights in model.named_parameters():
        if not weights.requires_grad:
            return f"{name} holds {weights.numel():,} numbers that are not learned"
    return None


def answer_problem(model: Any, image: tuple[int, int, int]) -> str | None:
    """What is wrong with what a net says of two images: each gets a row of ten logits."""
    if not isinstance(model, nn.Module):
        return f"a {type(model).__name__} came back, and not a net"
    answer = answer_of(model, image)
    if not isinstance(answer, torch.Tensor):
        return f"a {type(answer).__name__} came back for two images, and not a tensor of logits"
    if list(answer.shape) != [2, 10]:
        shape = list(answer.shape)
        return f"two images came out as {shape}, and each needs one row of ten logits"
    if are_probabilities(answer):
        return PROBABILITIES
    return None


def are_probabilities(rows: torch.Tensor) -> bool:
    """Whether no number is negative and each row sums to 1, as after softmax or one_hot."""
    sums = rows.double().sum(1)
    return bool((rows >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())


def train_own(build_net: Callable[[], Any], recipe: Recipe, data: ImageData, seed: int) -> float:
    """Train a new net by a recipe, and give its test accuracy after the last epoch, in percent."""
    return own_history(build_net, recipe, data, seed).last["test_accuracy"]


def own_history(
    build_net: Callable[[], Any], recipe: Recipe, data: ImageData, seed: int
) -> training.History:
    """Train a new net by a recipe, and give what was measured after each epoch.

    It is measured with one view of each image, also where the recipe has more.
    """
    # The seed comes first, because the first weights are drawn too.
    generator = environment.seed_everything(seed)
    device = environment.pick_device()
    net = build_net().to(memory_format=torch.channels_last).to(device)
    batches = training_batches(recipe, data.train, device, generator)
    optimizer = recipe.build_optimizer(net)
    return training.fit(
        net,
        batches,
        Batches(data.test, 1_000, device=device),
        recipe.epochs,
        optimizer,
        recipe.build_scheduler(optimizer, len(batches)),
        loss_fn=recipe.loss,
        average=recipe.build_average(net),
        step=recipe.build_step(),
        mixed=recipe.mixed,
    )


def trained_and_judged(
    build_net: Callable[[], nn.Module],
    recipe: Recipe,
    data: ImageData,
    least: float,
    count: str,
    fits: str = "small",
    images: str = "test images",
    seed: int = 0,
) -> str | None:
    """Train a net of the learner's own, print its accuracy, and say what is missing to ``least``.

    ``count`` is what was asked for in numbers, ``fits`` the word for it: small, or cheap; and
    ``images`` are those that it is judged by. All random numbers are drawn from ``seed``.
    """
    # Practice data show that all works, and say nothing about real images.
    if data.source == "practice":
        train_own(build_net, recipe.shortened(1), data, seed)
        return f"with {count} the net is {fits} enough, but claims are not judged on practice data"
    accuracy = train_own(build_net, recipe, data, seed)
    epochs = recipe.epochs
    print(f"{count}: {accuracy:.2f} % of the {images} after {epochs} epochs")
    if accuracy < least:
        return f"{accuracy:.2f} % after {epochs} epochs, and at least {least} % were asked for"
    print("One seed is a rumour all the same.")
    return None
