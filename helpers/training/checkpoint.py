"""Checkpoints: the state of a training in one file, from which a stopped run goes on."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from helpers.environment import CourseError
from helpers.training.checkpoint_file import (
    check_kept,
    file_path,
    packed,
    plain,
    read,
    unpacked,
    write,
)
from helpers.training.differences import (
    difference_of_hyperparameters,
    difference_of_schedules,
    schedule_settings,
)
from helpers.training.randomness import generator_kinds, random_states, set_random_states

Epochs = list[dict[str, float]]

# What a checkpoint and the run that goes on from it have in common, in words.
COMPARED = (
    "optimizer",
    "schedules",
    "average",
    "kind of average",
    "generators of the batches",
    "kinds of generators",
    "batches of an epoch",
    "mixed precision",
)


class State:
    """Everything that a run needs to go on, and what it was begun with.

    ``schedulers``, ``average`` and ``scaler`` have ``state_dict`` and ``load_state_dict``;
    ``generators`` are those that the batches draw from (see ``generators_of``). Of processes that
    train a net together, one ``writes``. ``batches`` is how many an epoch has; None where that is
    not known.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        schedulers: Sequence[Any] = (),
        average: Any = None,
        scaler: Any = None,
        generators: Sequence[Any] = (),
        writes: bool = True,
        batches: int | None = None,
    ) -> None:
        # The parts, each of which has a state of its own.
        self.model = model
        self.optimizer = optimizer
        self.schedulers = schedulers
        self.average = average
        self.scaler = scaler
        self.generators = generators
        self.writes = writes
        self.batches = batches

        # What was given, before a checkpoint changes any of it.
        self.begun_with = self.settings()
        self.known_to_be_readable = False

    def settings(self) -> dict[str, Any]:
        """What has to be the same when a run goes on: kinds, numbers and hyperparameters."""
        kinds = [type(scheduler).__name__ for scheduler in self.schedulers]
        constants = [schedule_settings(scheduler) for scheduler in self.schedulers]

        # All options of a parameter group; of the parameters themselves only how many there are.
        groups = []
        for group in self.optimizer.param_groups:
            options = dict(group)
            options["params"] = len(group["params"])
            groups.append(options)
        return plain(
            {
                "optimizer": type(self.optimizer).__name__,
                "schedules": kinds,
                "average": self.average is not None,
                "kind of average": kind_of_average(self.average),
                "generators of the batches": len(self.generators),
                "kinds of generators": generator_kinds(self.generators),
                "batches of an epoch": self.batches,
                "mixed precision": self.scaler is not None,
                "groups": groups,
                "schedule settings": constants,
            }
        )

    def parts(self) -> dict[str, Any]:
        """The state of every part, in plain numbers and tensors."""
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": packed(self.optimizer.state_dict()),
            "schedules": [packed(each.state_dict()) for each in self.schedulers],
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if self.scaler is not None:
            state["scaler"] = self.scaler.state_dict()
        return state

    def save(self, path: Path, epochs: Epochs) -> None:
        """Write the state to ``path``, under a temporary name first, which is then renamed.

        Raises ``CourseError`` where it cannot be written; the file that was there stays.
        """
        if not self.writes:
            return
        state = self.parts()
        state["random"] = random_states(self.generators)
        state["begun_with"] = self.begun_with
        state["epochs"] = plain(epochs)

        # Find out at the end of the first epoch, not when a stopped run is to go on.
        if not self.known_to_be_readable:
            check_kept(state)
            self.known_to_be_readable = True

        # In memory first: then a failed write to the disk raises an error that names its cause.
        file = io.BytesIO()
        torch.save(state, file)
        write(file_path(path), file.getvalue())

    def load(self, path: Path, epochs: int) -> Epochs:
        """Restore the state from ``path``, and return the finished epochs; none without a file.

        Raises ``CourseError`` for a file that is damaged, no checkpoint, another run's, or of more
        than ``epochs`` epochs.
        """
        path = file_path(path)
        if not path.exists():
            # A first start: an epoch that cannot be kept would be trained in vain.
            check_kept(self.parts())
            return []
        state = read(path)

        # Nothing is changed before all of it is known to fit.
        finished = len(state["epochs"])
        if finished > epochs:
            raise CourseError(
                f"the checkpoint {path} holds {finished} epochs, and {epochs} are asked for: "
                f"give epochs={finished} or more, or name another file to begin anew"
            )
        difference = self.difference(state)
        if difference:
            raise CourseError(
                f"the checkpoint {path} is another run's: {difference}; go on as that run was "
                "begun, or name another file to begin anew with a new model"
            )
        self.restore(state)

        # The next checkpoint remembers how the whole run was begun, not this part of it.
        self.begun_with = state["begun_with"]
        return state["epochs"]

    def difference(self, state: dict[str, Any]) -> str:
        """How the run of a checkpoint differs from this one, in words; empty if it does not."""
        begun, given = state["begun_with"], self.begun_with

        # The net: names and shapes of all its weights.
        wrong = difference_of_weights(state["model"], self.model.state_dict())
        if wrong:
            return wrong

        # Which parts there are, and of which kind. An older checkpoint does not say all of it, and
        # some batches do not know their number.
        for name in COMPARED:
            there, now = begun.get(name), given[name]
            if None not in (there, now) and there != now:
                return f"{name} {there} there, {now} now"
        sizes = [group["params"] for group in begun["groups"]]
        now = [group["params"] for group in given["groups"]]
        if sizes != now:
            return f"parameters in the optimizer's groups {sizes} there, {now} now"

        # The hyperparameters, of which the checkpoint also knows how far a schedule moved them.
        moved = plain(unpacked(state["optimizer"]["param_groups"]))
        for first, last, group in zip(begun["groups"], moved, given["groups"]):
            wrong = difference_of_hyperparameters(first, last, group)
            if wrong:
                return wrong

        # The settings of the schedules, which would silently take those of the checkpoint.
        for number, kind in enumerate(given["schedules"]):
            wrong = difference_of_schedules(
                kind,
                begun["schedule settings"][number],
                unpacked(state["schedules"][number]),
                given["schedule settings"][number],
            )
            if wrong:
                return wrong
        return ""

    def restore(self, state: dict[str, Any]) -> None:
        """Load every part from the state of a checkpoint that fits."""
        # In this order: a schedule takes its rates from the optimizer.
        load_weights(self.model, state["model"])
        self.optimizer.load_state_dict(unpacked(state["optimizer"]))
        for scheduler, kept in zip(self.schedulers, state["schedules"]):
            scheduler.load_state_dict(unpacked(kept))
        if self.average is not None:
            load_weights(self.average, state["average"])

        # A scaler's state is empty on a device that needs none.
        if self.scaler is not None and state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])

        # Last, so that nothing draws from them in between.
        set_random_states(state["random"], self.generators)


def kind_of_average(average: Any) -> str | None:
    """The class of an average, and its decay where it has one; None without an average."""
    if average is None:
        return None
    decay = getattr(average, "decay", None)
    return f"{type(average).__name__} {decay or ''}".rstrip()


def plain_name(name: str) -> str:
    """A weight's name without what ``torch.compile`` and ``DataParallel`` put into it."""
    parts = name.split(".")
    wrappers = ("_orig_mod", "module")
    return ".".join(part for part in parts if part not in wrappers)


def renamed(weights: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """``weights`` under the names that a net's ``own`` have, whichever of the two is wrapped."""
    # A net may call one of its own parts "module": where plain names collide, names stay.
    names = {plain_name(name): name for name in own}
    if len(names) < len(own):
        return weights
    result = {}
    for name, value in weights.items():
        result[names.get(plain_name(name), name)] = value
    return result


def load_weights(model: Any, weights: dict[str, Any]) -> None:
    """Load ``weights`` into a net (or an average) that may be wrapped otherwise."""
    model.load_state_dict(renamed(weights, model.state_dict()))


def difference_of_weights(kept: dict[str, Any], own: dict[str, Any]) -> str:
    """How two nets' weights differ, in words; empty where names and shapes are the same."""
    kept = renamed(kept, own)
    for name in [*kept, *own]:
        if name not in own:
            return f"this net has no {name}"
        if name not in kept:
            return f"its net has no {name}"

        # A module may also keep values that are no tensors, and have no shape.
        there = list(getattr(kept[name], "shape", []))
        now = list(getattr(own[name], "shape", []))
        if there != now:
            return f"its net has {name} of shape {there}, and this one of shape {now}"
    return ""
