"""What a record has to hold to be believed: its fields, its runs, and numbers that are finite."""

import math
from typing import Any

from helpers.environment import CourseError
from helpers.experiments.recipe import Recipe

Fields = dict[str, type]

# The fields of a record's JSON, and of the groups in it, with their types.
RECORD: Fields = {
    "name": str,
    "recipe": dict,
    "parameters": int,
    "data": dict,
    "environment": dict,
    "commit": str,
    "recorded": str,
    "runs": list,
}
DATA: Fields = {"name": str, "source": str, "digest": str}
ENVIRONMENT: Fields = {"device": str, "device_name": str, "torch": str, "threads": int}
RUN: Fields = {"seed": int, "seconds": float, "epochs": list}
EPOCH: Fields = {
    "epoch": int,
    "learning_rate": float,
    "train_loss": float,
    "train_accuracy": float,
    "test_loss": float,
    "test_accuracy": float,
    "seconds": float,
}


def check_record(record: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Raise ``ValueError`` with the place and the fault, where a record cannot be believed."""
    # The fields first: everything below looks into them.
    check_fields("the record", record, RECORD)
    check_fields("its data", record["data"], DATA)
    check_fields("its environment", record["environment"], ENVIRONMENT)
    check_recipe(record["recipe"])
    fault = not_finite(record)
    if fault:
        raise ValueError(fault)

    # A seed that stands there twice would count as two independent trainings.
    seeds = set()
    for number, run in enumerate(record["runs"]):
        check_run(f"run {number}", run)
        if run["seed"] in seeds:
            raise ValueError(f"seed {run['seed']} stands there twice")
        seeds.add(run["seed"])
    if not seeds:
        raise ValueError("it has no runs")
    check_arrays(arrays, len(seeds))


def check_run(name: str, run: dict[str, Any]) -> None:
    """Raise ``ValueError`` unless a run has its seed, and a row of numbers for every epoch."""
    check_fields(name, run, RUN)
    if not run["epochs"]:
        raise ValueError(f"{name} has no epochs")

    for number, row in enumerate(run["epochs"], start=1):
        place = f"{name}, epoch {number}"
        check_fields(place, row, EPOCH)
        if row["epoch"] != number:
            raise ValueError(f"{place} says that it is epoch {row['epoch']}")
        check_percentage(f"{place}: test_accuracy", row["test_accuracy"])


def check_recipe(kept: dict[str, Any]) -> None:
    """Raise ``ValueError`` or ``TypeError`` unless a recipe can be restored, each setting whole."""
    Recipe.restored(kept)
    today = Recipe(name="", model="", epochs=0).hyperparameters()
    kinds = {name: type(value) for name, value in today.items()}
    check_fields("its recipe", Recipe.completed(kept), kinds)


def check_percentage(name: str, value: float) -> None:
    """Raise ``ValueError`` for what is no accuracy."""
    if not 0 <= value <= 100:
        raise ValueError(f"{name} is {value}, and no percentage")


def check_fields(name: str, values: Any, fields: Fields) -> None:
    """Raise ``ValueError`` unless these are values of the given fields, each of its type."""
    if not isinstance(values, dict):
        raise ValueError(f"{name} has no fields")
    for field, kind in fields.items():
        if field not in values:
            raise ValueError(f"{name} has no {field}")

        # A whole number may stand in the place of a float, but a truth value is no number.
        value = values[field]
        accepted: tuple[type, ...] = (kind,)
        if kind is float:
            accepted = (int, float)
        mistaken = isinstance(value, bool) and kind is not bool
        if mistaken or not isinstance(value, accepted):
            raise ValueError(f"{name}: {field} is {value!r:.40}, and no {kind.__name__}")


def check_arrays(arrays: dict[str, Any], runs: int) -> None:
    """Raise ``ValueError`` unless predictions and logits have the sizes of so many runs."""
    predictions = arrays["predictions"]
    if predictions.ndim != 2 or len(predictions) != runs or predictions.dtype.kind not in "ui":
        raise ValueError("its predictions are no class numbers of every run")
    if "logits" in arrays:
        logits = arrays["logits"]
        # The first seeds alone may have them.
        if logits.ndim != 3 or logits.shape[1] != predictions.shape[1] or len(logits) > runs:
            raise ValueError("its logits are of other images than its predictions")


def not_finite(value: Any, place: str = "") -> str:
    """The place of the first number that is not finite, and that number; empty for none.

    ``place`` leads to ``value``: names and places in lists, one after the other.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return f"{place} is {value}"

    # Into the groups and lists of a JSON, in their order.
    parts: Any = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    for name, part in parts:
        fault = not_finite(part, f"{place} {name}".strip())
        if fault:
            return fault
    return ""


def check_finite(record: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Raise ``CourseError`` for a number that is not finite: it is no result."""
    import numpy

    # The error names the place of a figure: its seed, its epoch, its column.
    name = record["name"]
    for run in record["runs"]:
        for row in run["epochs"]:
            for key, value in row.items():
                if not math.isfinite(value):
                    raise CourseError(
                        f"{name}, seed {run['seed']}, epoch {row['epoch']}: {key} is {value}, "
                        "and a record holds finite numbers only: take a lower learning rate"
                    )

    # All other numbers, of the recipe for example.
    fault = not_finite(record)
    if fault:
        raise CourseError(
            f"{name}: {fault}, and a record holds finite numbers only: give it a finite one"
        )

    # Logits and weights: 16 bits hold no number above 65,504.
    for key, array in arrays.items():
        if not numpy.isfinite(array).all():
            raise CourseError(
                f"{name}: {key} holds numbers that are not finite, and a record holds finite "
                "numbers only: take a lower learning rate"
            )
