"""How a run that goes on is set otherwise than it was begun: hyperparameters and schedules."""

import math
from collections import Counter
from types import FunctionType
from typing import Any

import torch

from helpers.training.checkpoint_file import plain

# What torch's schedules count, or remember of their last step; everything else of them is set.
COUNTED = {
    "last_epoch",
    "_step_count",
    "_last_lr",
    "_is_initial",
    "_get_lr_called_within_step",
    "T_cur",  # of warm restarts, as the next one
    "T_i",
    "best",  # of ReduceLROnPlateau, as the next two
    "num_bad_epochs",
    "cooldown_counter",
}
# Two values that differ by less were calculated on different machines.
CLOSE = 1e-9
NOTHING = "nothing"


def difference_of_hyperparameters(first: dict, last: dict, given: dict) -> str:
    """The hyperparameter with which a run does not go on as it was begun, in words; or nothing.

    ``first``: a parameter group as the run began; ``last``: as the checkpoint has it; ``given``: as
    it is now, newly made or, in the same notebook, where the stopped run left it.
    """
    for name, value in given.items():
        # Parameters are counted elsewhere. A schedule moves lr, and starts from initial_lr.
        if name == "params" or (name == "lr" and "initial_lr" in given):
            continue

        # The same as at the start, or as the checkpoint has it; some schedules move momentum too.
        began, kept = first.get(name), last.get(name)
        moved = name != "lr" and not equal(began, kept)
        if moved or equal(value, began) or equal(value, kept):
            continue
        what = name
        if name in ("lr", "initial_lr"):
            what = "a learning rate of"
        return f"it was begun with {what} {began}, and {value} is given now"
    return ""


def equal(one: Any, other: Any) -> bool:
    """Whether two hyperparameters are the same; a tensor may hold several numbers."""
    return bool(torch.as_tensor(one == other).all())


def difference_of_schedules(kind: str, first: dict, last: dict, given: dict) -> str:
    """The setting with which a schedule does not go on as it was begun, in words; or nothing.

    ``kind``: its class. ``first``: ``schedule_settings`` as the run began; ``last``: the schedule's
    state in the checkpoint; ``given``: ``schedule_settings`` now.
    """
    # What a schedule of an own kind has moved since the start is no setting.
    last = constants_of(plain(last))
    for name in [*first, *given]:
        began = first.get(name, NOTHING)
        value = given.get(name, NOTHING)
        moved = not same(last.get(name, began), began)
        if moved or same(value, began):
            continue
        return f"it was begun with {kind}'s {name} = {began}, and {value} is given now"
    return ""


def schedule_settings(scheduler: Any) -> dict[str, Any]:
    """How a schedule is set: its constants by name, and its functions' values at many steps."""
    # A schedule whose state cannot be kept is none for a checkpoint, but can be trained under.
    try:
        state = scheduler.state_dict()
    except Exception:  # torch asks a function that was built in for its attributes
        return {}
    settings = constants_of(plain(state))
    settings.update(factors_of(scheduler))
    return settings


def constants_of(value: Any, name: str = "") -> dict[str, Any]:
    """The numbers and words in a schedule's state that do not count steps, by their full names."""
    constants: dict[str, Any] = {}
    # How often to step at each of the milestones.
    if isinstance(value, Counter):
        constants[name] = sorted(value.elements())

    # Tables of settings, and lists of such tables: a schedule made of several has them.
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in COUNTED:
                inner = f"{name}.{key}".lstrip(".")
                constants.update(constants_of(item, inner))
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            constants.update(constants_of(item, f"{name}[{place}]"))
    elif isinstance(value, bool | int | float | str | torch.Tensor | None):
        constants[name] = value
    return constants


def factors_of(scheduler: Any, name: str = "") -> dict[str, Any]:
    """What the functions that a schedule was given return, by name and step.

    An object with attributes is not called: those are in the schedule's state.
    """
    # LambdaLR and MultiplicativeLR have a function for each parameter group, CyclicLR one.
    functions = list(getattr(scheduler, "lr_lambdas", ()))
    functions.append(getattr(scheduler, "_scale_fn_custom", None))
    factors: dict[str, Any] = {}
    for number, function in enumerate(functions):
        is_object = not isinstance(function, FunctionType) and getattr(function, "__dict__", {})
        if not callable(function) or is_object:
            continue
        for step, value in values_at_steps(function).items():
            factors[f"{name}factor of step {step} for group {number}"] = value

    # The parts of a schedule that is made of several, and their kinds.
    for place, part in enumerate(getattr(scheduler, "_schedulers", ())):
        inner = f"{name}_schedulers[{place}]."
        factors[f"{inner}kind"] = type(part).__name__
        factors.update(factors_of(part, inner))
    return factors


def values_at_steps(function: Any) -> dict[int, float]:
    """The function's values at the first 100 steps, and then ever more seldom, to step 100,000."""
    steps = list(range(100))
    while steps[-1] < 100_000:
        steps.append(steps[-1] * 11 // 10)

    values: dict[int, float] = {}
    for step in steps:
        try:
            values[step] = float(function(step))
        except Exception:  # a table of rates, for example, has an end
            break
    return values


def same(one: Any, other: Any) -> bool:
    """Whether two settings are the same, apart from the last digits of numbers."""
    if isinstance(one, torch.Tensor):
        one = one.tolist()
    if isinstance(other, torch.Tensor):
        other = other.tolist()
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=CLOSE) or (one != one and other != other)
    return one == other
