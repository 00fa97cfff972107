"""Checks of session 02: batch norm's evaluation, an evaluation mended, a width, a net of one's own.

They import no notebook and change nothing that a learner made, apart from the net that is trained.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from statistics import fmean
from typing import Any

import torch
from torch import nn

from helpers.data import Batches, ImageData, ImageSplit
from helpers.exercises import check, given, returned, same_numbers
from helpers.exercises.learners_net import net_problem, train_own, used_net
from helpers.experiments import load_result
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.recipe import Recipe
from helpers.experiments.tables import interval_text
from helpers.intervals import mean_difference
from helpers.models import count_parameters
from helpers.models.small import conv_relu_norm

Accuracy = Callable[[nn.Module, ImageSplit, int], Any]

# Exercise 4 is done at this budget.
MOST_PARAMETERS = 9_274
# What a learner may change of the recipe; the rest is what makes two results comparable.
FREE = (
    "batch_size",
    "learning_rate",
    "momentum",
    "nesterov",
    "weight_decay",
    "schedule",
    "peak_epoch",
    "annihilate",
    "augment",
    "label_smoothing",
    "average",
)


# Exercise 1: what batch normalisation keeps in training, and uses in evaluation.


@check
def running_norm(norm_class: Any) -> str | None:
    """A class with ``mean``, ``var``, ``watch(x)`` and ``evaluate(x)``, against ``BatchNorm2d``."""
    # Channels, momentum, eps, and the shapes of the batches that are watched one after another.
    cases = [
        (3, 0.1, 1e-5, [(16, 3, 5, 5)]),
        (1, 0.1, 1e-5, [(2, 1, 1, 1), (2, 1, 1, 1)]),
        (4, 0.3, 0.5, [(8, 4, 7, 3), (5, 4, 2, 6), (1, 4, 9, 9)]),
        (2, 0.1, 1e-5, [(6, 2, 4, 4)] * 12),
    ]
    for channels, momentum, eps, shapes in cases:
        problem = follow_batches(norm_class, channels, momentum, eps, shapes)
        if problem:
            return problem
    return None


def follow_batches(
    norm_class: Any, channels: int, momentum: float, eps: float, shapes: Sequence[tuple[int, ...]]
) -> str | None:
    """What is wrong with a learner's normalisation after some batches of these shapes."""
    generator = torch.Generator().manual_seed(channels)
    mine = norm_class(channels, momentum=momentum, eps=eps)
    torchs = nn.BatchNorm2d(channels, momentum=momentum, eps=eps)

    # Batches far from mean 0 and deviation 1, and other ones for each channel.
    scale = torch.arange(1.0, channels + 1).view(-1, 1, 1)
    for step, shape in enumerate(shapes, start=1):
        batch = 3 + 2 * scale * torch.randn(shape, generator=generator)
        torchs.train()(batch)
        mine.watch(batch.clone())
        after = f"with momentum {momentum}, after batch {step} of shape {shape},"
        for kept, theirs, name in (
            (given(mine.mean), torchs.running_mean, "mean"),
            (given(mine.var), torchs.running_var, "variance"),
        ):
            found = list(torch.as_tensor(kept).shape)
            if found != [channels]:
                return f"{after} the {name} has shape {found}: keep one number a channel, [C]"
            if not same_numbers(kept, theirs):
                return f"{after} the running {name} is not the one that torch keeps"

    # One picture, and several, in an order that must not matter.
    torchs.eval()
    for shape in ((1, channels, 3, 3), (7, channels, 2, 5), (1, channels, 3, 3)):
        batch = 3 + 2 * scale * torch.randn(shape, generator=generator)
        answer = mine.evaluate(batch.clone())
        if answer is ...:
            return "mean and variance are right, and evaluate is still open"
        if not same_numbers(returned(answer), torchs(batch), 1e-4):
            return (
                f"with eps {eps}, evaluation of a batch of shape {shape} gives other numbers than "
                "torch"
            )
    if not same_numbers(mine.mean, torchs.running_mean):
        return "evaluation has changed what is kept, and only training may do that"
    return None


# Exercise 2: an evaluation that does not depend on the size of its batches.


@check
def steady_accuracy(accuracy: Accuracy) -> str | None:
    """A function (model, split, batch_size) that gives an accuracy in percent."""
    split = small_split()
    for dropout in (0.0, 0.5):
        model = worn_net(dropout)
        expected = true_accuracy(model, split)
        for found_in_training in (True, False):
            for batch_size in (1, 7, 23, 50):
                model.train(found_in_training)
                problem = accuracy_problem(accuracy, model, split, batch_size, expected)
                if problem:
                    return problem
    return None


def accuracy_problem(
    accuracy: Accuracy, model: nn.Module, split: ImageSplit, batch_size: int, expected: float
) -> str | None:
    """What is wrong with one measurement, or with the state that it leaves the model in."""
    before = copy.deepcopy(model.state_dict())
    modes = [layer.training for layer in model.modules()]
    measured = returned(accuracy(model, split, batch_size))

    # The number first: most mistakes show in it.
    case = f"for {len(split)} images in batches of {batch_size}"
    if not same_numbers(measured, expected):
        problem = f"{case} it gives {float(measured):.4g}"
        if same_numbers(measured, expected / 100):
            return f"{problem}: that is a share, and percent were asked for"
        return f"{problem}, and another number of percent is right"
    for name, values in model.state_dict().items():
        if not torch.equal(values, before[name]):
            return f"{case} the number is right, but {name} of the model was changed by measuring"
    if [layer.training for layer in model.modules()] != modes:
        return f"{case} the number is right, but the model is left in another mode than before"
    return None


def small_split(count: int = 23) -> ImageSplit:
    """Pictures of noise with labels; their number is divisible by no batch size but 1 and 23."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (count, 1, 8, 8), generator=generator).to(torch.uint8)
    labels = torch.randint(0, 3, (count,), generator=generator)
    return ImageSplit(images, labels, ("a", "b", "c"), (0.5,), (0.3,))


def worn_net(dropout: float) -> nn.Sequential:
    """A little net whose running statistics are far from those of any batch of the split."""
    generator = torch.Generator().manual_seed(5)
    net = nn.Sequential(
        *conv_relu_norm(1, 6), nn.Dropout(dropout), nn.Flatten(), nn.Linear(6 * 64, 3)
    )
    # Weights of its own, so that no random number of the notebook is used up.
    for parameter in net.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    for layer in net:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean = 0.5 * torch.randn(6, generator=generator)
            layer.running_var = torch.full((6,), 0.2)
    return net


def true_accuracy(model: nn.Module, split: ImageSplit) -> float:
    """The accuracy in percent, of all images at once in evaluation mode."""
    model.eval()
    with torch.no_grad():
        for images, labels in Batches(split, len(split)):
            right = model(images).argmax(1) == labels
    return 100 * float(right.float().mean())


# Exercise 3: the widest convolution that a number of parameters pays for.


@check
def widest_convolution(widest: Callable[[int], Any]) -> str | None:
    """A function from parameters that are left to channels, against layers that are counted."""
    for left in (0, 11, 12, 41, 42, 100, 1_000, 10_725, 123_456):
        channels = returned(widest(left))
        if channels != int(channels) or channels < 0:
            return f"with {left:,} left it gives {channels}, which is no number of channels"
        width = int(channels)
        if width > 200:
            return f"with {left:,} left it gives {width} channels, far too many"
        if cost(width) > left:
            return f"with {left:,} left it gives {width} channels, which cost {cost(width):,}"
        if cost(width + 1) <= left:
            return f"with {left:,} left it gives {width} channels, and more would fit"
    return None


def cost(channels: int) -> int:
    """Parameters of a 3×3 convolution between so many channels, and of its normalisation."""
    # torch warns of layers without channels.
    if channels == 0:
        return 0
    layers = conv_relu_norm(channels, channels)
    return count_parameters(nn.Sequential(*layers))


# Exercise 4: a net of the learner's own, trained and judged.


@check
def better_than_budget_5(
    build_net: Callable[[], Any],
    settings: Mapping[str, Any],
    data: ImageData,
    seeds: Sequence[int] = (2,),
) -> str | None:
    """Train a learner's net for five epochs a seed, and set it beside the record of ``budget-5``.

    ``settings`` are fields of a ``Recipe`` (see ``FREE``). Prints what came out. On practice data
    it trains for one epoch, and nothing is judged. Of the recorded seeds of ``budget-5``, 2 lies
    nearest to their mean.
    """
    fits = "are allowed, as many as budget-5 has"
    problem = net_problem(returned(build_net()), MOST_PARAMETERS, fits=fits)
    problem = problem or settings_problem(settings)
    if problem:
        return problem

    def new_net() -> nn.Module:
        return used_net(build_net())

    recipe = replace(EXPERIMENTS["budget-5"], name="own", **settings)

    # Practice data show that all works, and say nothing about digits.
    if data.source == "practice":
        train_own(new_net, replace(recipe, epochs=1, schedule="constant"), data, seeds[0])
        return "it trains, and claims are not judged on practice data"
    accuracies = {}
    for seed in seeds:
        accuracies[seed] = train_own(new_net, recipe, data, seed)
    return judged(accuracies)


def settings_problem(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with the settings: a name that is none, or one that is fixed here."""
    known = [field.name for field in fields(Recipe)]
    for name in settings:
        if name in FREE:
            continue
        if name in known:
            return f"{name} stays as it is in budget-5, so that the two can be compared"
        return f"there is no setting {name!r}: choose among {', '.join(FREE)}"
    return None


def judged(accuracies: Mapping[int, float]) -> str | None:
    """What accuracies by seed say beside the recorded ones of ``budget-5``; prints both."""
    record = load_result("budget-5")
    recorded = record.accuracies
    own = fmean(accuracies.values())
    mean = fmean(recorded.values())
    print(f"your net {own:.2f} %, seeds: {len(accuracies)}; budget-5 {record.accuracy}")

    # The unchanged net would reach what its own record has with these seeds.
    same = fmean(recorded.get(seed, mean) for seed in accuracies)
    names = ", ".join(map(str, accuracies))
    print(f"with the same seeds ({names}), budget-5 reads {same:.2f} %")
    unknown = ", ".join(str(seed) for seed in accuracies if seed not in recorded)
    if unknown:
        print(f"(it has no record with seed {unknown}: its mean stands for that)")
    decided = False
    if len(accuracies) > 1:
        change = mean_difference(accuracies, recorded)
        decided = change.decided
        print(f"difference of the means (95 % interval): {interval_text(change)}")
    if own < mean:
        return "that is below the mean of budget-5"
    if own <= same:
        return f"that is not above what budget-5 reads with seed {names}"

    # One seed above another is what half of all equal nets would reach.
    if len(accuracies) == 1:
        print("Above both. One seed is a rumour all the same: train others.")
    elif not decided:
        print("Above both, and undecided: the interval holds 0. More seeds would tell.")
    return None
