"""Images a second of training session 08's net: python tests/two_throughput.py STEPS THREADS

By torchrun the processes share each batch, and the first prints what they reach together.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

# The course that this file lies in, whatever other one is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers import data, environment, training
from helpers.experiments import together
from helpers.experiments.runs import training_batches
from helpers.experiments.speed import CPU
from helpers.training.several import SharedStep, Team


def images_a_second(steps: int, team: Team | None) -> float:
    """The speed over so many steps, after one that warms up."""
    environment.seed_everything(0)
    net, step = CPU.build_model(), training.training_step
    if team is not None:
        net = team.prepare(net)
        step = SharedStep(team, net, step)
    optimizer = CPU.build_optimizer(net)

    # One batch over and over: an epoch of one step.
    cifar = data.load("cifar10", validation=0)
    part = cifar.train.subset(slice(CPU.batch_size))
    batches = training_batches(CPU, part, torch.device("cpu"), torch.Generator())
    start = 0.0
    for number in range(1 + steps):
        if number == 1:
            start = time.perf_counter()
        if team is not None:
            step.set_epoch(number)
        training.train_one_epoch(net, batches, optimizer, CPU.loss, step=step)
    return steps * len(part) / (time.perf_counter() - start)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    data.download = lambda name, root: None  # a benchmark fetches nothing
    with together.joined() as team:
        speed = images_a_second(int(sys.argv[1]), team)
        if team is None or team.leads:
            print(speed)
        else:
            together.follow(team)
