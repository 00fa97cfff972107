"""Recorded range tests, ``notebooks/results/measured/range-NAME.json``."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from helpers import environment
from helpers.data import ImageData
from helpers.environment import CourseError, smoke, unknown
from helpers.experiments.assembling import current_commit
from helpers.experiments.catalogue import EXPERIMENTS, for_practice
from helpers.experiments.folders import data_digest
from helpers.experiments.ranges import NETS, PREFIX
from helpers.experiments.recipe import Recipe
from helpers.experiments.record_checks import (
    DATA,
    ENVIRONMENT,
    Fields,
    check_fields,
    check_recipe,
    not_finite,
)
from helpers.experiments.records import evidence_root, results_root
from helpers.experiments.runs import load_for, training_batches
from helpers.lr_finder import LRRangeTest, lr_range_test
from helpers.writing import check_folder, replacing

DIGITS = 5  # of every recorded rate and loss
SEED = 0  # of the net and of its first order

# The defaults of lr_range_test, as they are recorded.
SETTINGS: dict[str, Any] = {
    "start_lr": 1e-4,
    "end_lr": 10.0,
    "steps": 300,
    "smoothing": 0.8,
    "divergence": 4.0,
}

RECORD: Fields = {
    "name": str,
    "recipe": dict,
    "settings": dict,
    "data": dict,
    "environment": dict,
    "commit": str,
    "recorded": str,
    "rates": list,
    "curves": list,
}


def range_recipe(name: str) -> Recipe:
    """The recipe that a range test of that name is made with.

    The nets that the range test is measured on come first: ``residual`` is the one with SGD. Every
    other name is a recipe's. Raises ``CourseError`` for an unknown one.
    """
    if name in NETS:
        return NETS[name]
    if name not in EXPERIMENTS:
        raise unknown("range test", name, [*NETS, *EXPERIMENTS])
    return EXPERIMENTS[name]


def record_range_test(name: str, orders: int, fresh: bool = False) -> LRRangeTest:
    """Make the range test of a recipe with the defaults of ``lr_range_test``, and record it.

    One that is recorded with as many orders, or with more, is kept, unless ``fresh``.

    The net is fresh, of seed 0; its optimizer, batches and augmentation are the recipe's. The
    images are those that a search trains with: neither validation nor test images are seen. Raises
    ``CourseError`` for an unknown name, and without real data.
    """
    recipe = range_recipe(name)
    if smoke():
        recipe = for_practice(recipe, 2)

    # Fewer orders say less, and more than are asked for say the same.
    folder = results_root()
    kept = sound_range_test(name, folder)
    if kept is not None and len(kept.curves) >= orders and not fresh:
        print(f"recorded already, with {len(kept.curves)} orders: --fresh makes it anew")
        return kept

    # What cannot be kept is not begun.
    data = load_for(recipe, searching=True)
    check_folder(folder / "measured")
    settings = SETTINGS | {"orders": orders}
    test = make_range_test(recipe, data, settings)

    # The file is read again, so that a caller gets what a later reader will get.
    record = record_of(name, recipe, data, settings, test)
    with replacing(path_of(name, folder)) as temporary:
        written = json.dumps(record, indent=1, allow_nan=False)
        temporary.write_text(written + "\n", encoding="utf-8")
    return load_range_test(name, folder)


def make_range_test(recipe: Recipe, data: ImageData, settings: dict[str, Any]) -> LRRangeTest:
    """The range test of a fresh net, as a training of the recipe would begin."""
    generator = environment.seed_everything(SEED)
    device = environment.pick_device()
    model = recipe.build_model().to(device)
    batches = training_batches(recipe, data.train, device, generator)
    optimizer = recipe.build_optimizer(model)
    return lr_range_test(model, batches, recipe.loss, optimizer, show=True, **settings)


def record_of(
    name: str, recipe: Recipe, data: ImageData, settings: dict[str, Any], test: LRRangeTest
) -> dict[str, Any]:
    """What is kept of a range test, and all that is needed to make it again."""
    # No test images are loaded, so the digest is of all that a search trains with.
    source = {"name": data.name, "source": data.source, "digest": data_digest(data)}
    curves = []
    for losses, smoothed in test.curves:
        curves.append({"losses": rounded(losses), "smoothed": rounded(smoothed)})
    return {
        "name": PREFIX + name,
        "recipe": recipe.hyperparameters(),
        "settings": settings,
        "data": source | {"note": test.note},
        # A range test steps in 32 bits, whatever the recipe's trainings do.
        "environment": environment.machine() | {"mixed": "float32"},
        "commit": current_commit(),
        "recorded": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "rates": rounded(test.rates),
        "curves": curves,
    }


def rounded(values: np.ndarray) -> list[float]:
    """Numbers with five digits, wherever their point stands."""
    numbers = []
    for value in values:
        numbers.append(float(f"{value:.{DIGITS}g}"))
    return numbers


def path_of(name: str, folder: Path | None = None) -> Path:
    """The file of a recorded range test, in ``notebooks/results`` unless a folder is given."""
    return (folder or evidence_root()) / "measured" / f"{PREFIX}{name}.json"


def is_range_test_recorded(name: str, folder: Path | None = None) -> bool:
    """Whether there is a record of that range test."""
    return path_of(name, folder).exists()


def load_range_test(name: str, folder: Path | None = None) -> LRRangeTest:
    """A recorded range test, from ``notebooks/results`` unless a folder is given.

    Raises ``CourseError`` with the command that records it, where there is no record, a damaged
    one, or one of another recipe than the course has today.
    """
    recipe = range_recipe(name)
    path = path_of(name, folder)
    command = f"python -m helpers range-test {name}"
    if not path.exists():
        raise CourseError(f"{path.name} is not recorded yet: {command}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        check_range_record(record)
        kept = Recipe.completed(record["recipe"])
    except (ValueError, KeyError, TypeError, CourseError):
        raise CourseError(f"the record {path.name} is damaged: {command}") from None

    # In the fast profile a range test of a narrow net is recorded in another folder.
    if folder is None and kept != recipe.hyperparameters():
        raise CourseError(
            f"the record {path.name} is of another recipe than helpers/experiments has: {command}"
        )
    curves = []
    for curve in record["curves"]:
        curves.append(np.array([curve["losses"], curve["smoothed"]], dtype=float))
    return LRRangeTest(np.array(record["rates"], dtype=float), curves, record["data"]["note"])


def sound_range_test(name: str, folder: Path) -> LRRangeTest | None:
    """A recorded range test that can be believed, and is of today's recipe; None without one."""
    # Where the course keeps its evidence the recipe is compared as well.
    compared = None if folder == evidence_root() else folder
    try:
        return load_range_test(name, compared)
    except CourseError:
        return None


def check_range_record(record: Any) -> None:
    """Raise ``ValueError`` unless a record has its fields, and curves that can be believed."""
    check_fields("the record", record, RECORD)
    check_recipe(record["recipe"])
    check_fields("its data", record["data"], DATA | {"note": str})
    check_fields("its environment", record["environment"], ENVIRONMENT)
    if not_finite(record):
        raise ValueError(not_finite(record))

    # Rates rise from above 0, and every curve has a pair of losses for the first of them.
    rates = np.array(record["rates"], dtype=float)
    if rates.ndim != 1 or len(rates) < 2 or rates[0] <= 0 or (np.diff(rates) <= 0).any():
        raise ValueError("its rates do not rise")
    if not record["curves"]:
        raise ValueError("it has no curve")
    for curve in record["curves"]:
        losses = np.array([curve["losses"], curve["smoothed"]], dtype=float)
        if losses.ndim != 2 or not 0 < losses.shape[1] <= len(rates):
            raise ValueError("a curve has other rates")


def recommended_rate(name: str, folder: Path | None = None) -> float | None:
    """The recommended highest rate of a recorded range test, with two digits.

    None where it is not recorded, or has no answer: then there is nothing to train at.
    """
    if not is_range_test_recorded(name, folder):
        return None
    test = load_range_test(name, folder)
    if len(test.answers) <= len(test.curves) / 2:
        return None
    return float(f"{test.answer().highest:.2g}")
