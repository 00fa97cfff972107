"""What two processes do together, for test_several.py: python tests/two_processes.py FOLDER

RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are in the environment, as torchrun sets them. Each
process writes what it found to FOLDER/RANK.pt. The single process that they are compared with
imports the same nets and images from here.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from helpers.data import Batches, ImageSplit
from helpers.experiments import together
from helpers.experiments.mnist_basics import FIRST
from helpers.experiments.runs import train_net
from helpers.experiments.speed import SPEED
from helpers.models.ghost_norm import GhostBatchNorm2d
from helpers.training import fit, sam, training_step
from helpers.training.averages import moving_average
from helpers.training.several import SharedStep

# Nets that two processes train as one process trains the same with twice as many ghosts.
GHOSTS = {"a norm": 1, "two ghosts": 2, "four ghosts": 4}


def split_of(count: int, channels: int = 3, side: int = 12) -> ImageSplit:
    """Random images, of which one in each class is brighter."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(count) % 10
    shape = (count, channels, side, side)
    images = torch.randint(0, 200, shape, generator=generator, dtype=torch.uint8)
    images += labels.view(-1, 1, 1, 1).to(torch.uint8) * 5
    classes = tuple("abcdefghij")
    return ImageSplit(images, labels, classes, (0.4,) * channels, (0.3,) * channels)


def small_net(ghosts: int) -> nn.Module:
    """In 64 bits, so that the order of sums is no matter."""
    torch.manual_seed(3)
    norm: nn.Module = GhostBatchNorm2d(6, ghosts)
    if ghosts == 0:
        norm = nn.Identity()
    layers = [nn.Conv2d(3, 6, 3), norm, nn.ReLU(), nn.MaxPool2d(4), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(24, 10)).double()


def steps(net, step, count=16, average=None):
    """Three steps with batches of ``count``: losses, logits, gradients of the first, weights."""
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, nesterov=True)
    images, targets = next(iter(Batches(split_of(count), count)))
    found = {"losses": [], "logits": []}
    for number in range(3):
        x = images.double() * (1 + number / 10)
        loss, logits = step(net, x, targets, optimizer, nn.functional.cross_entropy, None)
        found["losses"].append(loss.detach().double())
        found["logits"].append(logits.detach().double())
        if number == 0:
            found["gradients"] = [each.grad.clone() for each in net.parameters()]
        if average is not None:
            average.update_parameters(net)
    return found | {"weights": [each.detach().clone() for each in net.parameters()]}


def speed_recipe(ghosts: int = 1):
    """Session 08's recipe with all of its pieces but the shift, and a net that takes a moment.

    A shift reflects pixels at the edge, so that two of a max-pooling's four are equal: which of
    them is handed on is then decided by rounding, which depends on the images in a batch.
    """
    options = {"widths": [8, 8, 8], "ghosts": ghosts}
    flip = SPEED.augment[1:]
    return replace(SPEED, model_options=options, epochs=2, batch_size=16, mixed=False, augment=flip)


def dropout_recipe():
    """A recipe that draws random numbers in the net, with an average of its weights."""
    return replace(FIRST, **DROPOUT)


DROPOUT = {
    "model": "models.small.basic_net",
    "model_options": {"dropout": 0.2},
    "epochs": 3,
    "batch_size": 16,
    "peak_epoch": 1.0,
    "average": 0.9,
    "augment": (("RandomAffine", {"degrees": 10}),),
}


def outcome(trained):
    """The rows without their seconds, and the state of the net."""
    rows = [row | {"seconds": 0} for row in trained.history.epochs]
    return {"rows": rows, "state": trained.net.state_dict()}


class Stopped(Exception):
    """The run is stopped here."""


class Recorder:
    """A step that learns nothing, and keeps the images that it was given."""

    def __init__(self) -> None:
        self.images: list[torch.Tensor] = []

    def __call__(self, model, images, targets, optimizer, loss_fn, scaler):
        self.images.append(images.clone())
        return training_step(model, images, targets, optimizer, loss_fn, scaler)


def augmented(count: int) -> Batches:
    """Shuffled, augmented batches of 16 images."""
    recipe = replace(SPEED, augment=(*SPEED.augment, ("Cutout", {"size": 3})))
    generator = torch.Generator().manual_seed(7)
    return Batches(split_of(count), 16, recipe.build_augment(), True, generator=generator)


def seen(team, count):
    """What the net of this process sees in two epochs, and what is counted of them."""
    net, recorder = small_net(0).float(), Recorder()
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    step = recorder
    parts = {"step": step}
    if team is not None:
        parts = team.together(net, step, None, 16, count)
    history = fit(net, augmented(count), augmented(count), 2, optimizer, show=False, **parts)
    return {"images": recorder.images, "rows": [row | {"seconds": 0} for row in history.epochs]}


def goes_on(team, folder):
    """A run in one go, and one that is stopped after an epoch and goes on."""
    images = split_of(40, 1, 28)

    def train(checkpoint, on_epoch=None):
        options = {"show": False, "on_epoch": on_epoch, "team": team}
        return outcome(train_net(dropout_recipe(), 1, images, images, checkpoint, **options))

    def stop(row):
        raise Stopped

    unbroken = train(None)
    checkpoint = folder / "shared.checkpoint"
    try:
        train(checkpoint, stop)
    except Stopped:
        torch.rand(team.rank + 1)  # whatever is drawn in between
    return {"unbroken": unbroken, "resumed": train(checkpoint)}


def drawn(team):
    """The numbers that the net draws in two epochs, and those outside it."""
    torch.manual_seed(11)
    net = nn.Sequential(nn.Flatten(), nn.Linear(432, 10))
    inside, outside = [], []

    def step(model, images, targets, *others):
        inside.append(torch.rand(1))
        return training_step(model, images, targets, *others)

    shared = SharedStep(team, net, step)
    images, targets = next(iter(Batches(split_of(4), 4)))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for epoch in range(2):
        shared.set_epoch(epoch)
        for _ in range(2):
            shared(net, images, targets, optimizer, nn.functional.cross_entropy, None)
            outside.append(torch.rand(1))
    return torch.cat(inside), torch.cat(outside)


def found_by(team, folder):
    """All that one of the two processes finds."""
    found = {"rank": team.rank}
    for name, parts in GHOSTS.items():
        net = small_net(parts)
        net = team.prepare(net)
        found[name] = steps(net, SharedStep(team, net, training_step))
    for name, step, count in (("sam", sam.step, 16), ("uneven", training_step, 7)):
        net = small_net(1 if name == "sam" else 0)
        found[name] = steps(net, SharedStep(team, net, step), count)

    # Running statistics and their moving average.
    net = small_net(1)
    average = moving_average(net, 0.9)
    parts = team.together(net, training_step, average, 16, 16)
    steps(net, parts["step"], average=average)
    before = copy.deepcopy(net.state_dict())
    found["measured"] = parts["measure"](net.float(), Batches(split_of(20), 7))
    found["statistics"] = before, net.state_dict(), average.module.state_dict()

    images = split_of(40)
    own = folder / f"{team.rank}.checkpoint"
    trained = train_net(speed_recipe(), 0, images, images, own, show=False, team=team)
    found["speed"] = outcome(trained)
    found["seen"] = seen(team, 40)
    found["numbers"] = drawn(team)
    return found | goes_on(team, folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with together.joined() as team:
        torch.save(found_by(team, folder), folder / f"{team.rank}.pt")
        if not team.leads:
            together.follow(team)
