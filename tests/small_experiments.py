"""What the tests of experiments, jobs and searches share."""

from __future__ import annotations

import os

import pytest
import torch

from helpers import data, experiments
from helpers.experiments.runs import train_net


def processors(monkeypatch, count):
    """Let this process see so many processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(count), raising=False)


def small_profile(folder, monkeypatch):
    """For a fixture: ``folder`` for runs, 800 training and 100 test images, one thread, no workers.

    The parent, which reads what workers left, then finds nothing, and trains itself.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    processors(monkeypatch, 1)
    monkeypatch.setenv("COURSE_RUNS", str(folder))
    monkeypatch.setattr(data, "SMOKE_SIZES", {"train": 800, "test": 100})
    monkeypatch.setattr(experiments, "run_jobs", lambda jobs, workers: None)
    monkeypatch.setattr("helpers.experiments.search.run_jobs", lambda jobs, workers: None)
    yield folder
    torch.set_num_threads(threads)


def numbers(record):
    """A record without what is allowed to differ between two runs."""
    runs = []
    for run in record["runs"]:
        epochs = [row | {"seconds": 0} for row in run["epochs"]]
        runs.append(run | {"seconds": 0, "epochs": epochs})
    return record | {"runs": runs, "recorded": "", "commit": "", "arrays": ""}


def checkpoints(folder):
    """When the checkpoints below a folder were written, by name."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.checkpoint")}


class Stopped(Exception):
    """The run is killed here."""


def goes_on_with_the_same_numbers(recipe, split, checkpoint) -> None:
    """Assert that two epochs, stopped after the first and gone on with, equal two in a row."""
    whole, history = train_net(recipe, 1, split, split, show=False)

    def stop(row):
        raise Stopped

    with pytest.raises(Stopped):
        train_net(recipe, 1, split, split, checkpoint, show=False, on_epoch=stop)
    torch.manual_seed(77)
    again, other = train_net(recipe, 1, split, split, checkpoint, show=False)
    assert len(other.epochs) == 2
    for one, two in zip(history.epochs, other.epochs):
        assert one | {"seconds": 0} == two | {"seconds": 0}
    for name, values in whole.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name
