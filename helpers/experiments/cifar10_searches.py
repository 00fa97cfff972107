"""What the searches for session 07's recipes compare, on the validation split.

Together they are 37 trainings of 24 epochs, 41 with the double steps counted: as many as run side
by side on one GPU in a quarter of an hour. Compared are validation losses where the loss in
training is the same one, and validation errors elsewhere.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from helpers.experiments.cifar10_assigned import ASSIGNED
from helpers.experiments.cifar10_best import (
    CELU,
    DIRAC,
    FLIPPED,
    FROZEN,
    GHOST,
    MUON,
    SHARPNESS,
    WHITENED,
)
from helpers.experiments.cifar10_grouped import MUON as GROUPED_MUON
from helpers.experiments.cifar10_grouped import OPENED, UNDECAYED
from helpers.experiments.cifar10_grouped import SMOOTHED as GROUPED_SMOOTHED
from helpers.experiments.recipe import Recipe


def candidate(recipe: Recipe, words: str, **changes: Any) -> Recipe:
    """The recipe with changes, and a name that says what they are."""
    return replace(recipe, name=f"{recipe.name}/{words}", **changes)


def at_options(recipe: Recipe, name: str, values: Sequence[float]) -> list[Recipe]:
    """The recipe with each of these values of one of its options."""
    candidates = []
    for value in values:
        options = recipe.options | {name: value}
        candidates.append(candidate(recipe, f"{name} {value}", options=options))
    return candidates


def at_rates(recipe: Recipe, rates: Sequence[float]) -> tuple[Recipe, ...]:
    """The recipe at each of these learning rates, with names that tell them apart."""
    candidates = []
    for rate in rates:
        candidates.append(candidate(recipe, f"rate {rate}", learning_rate=rate))
    return tuple(candidates)


# As assigned: where the rate begins and ends, how long the average is, Muon as its optimizer, and
# convolutions that begin as identities.
LOWER = {"first_share": 0.1, "last_share": 0.01}
ASSIGNED_CANDIDATES = (
    ASSIGNED,
    candidate(ASSIGNED, "average 0.997", average=0.997),
    candidate(ASSIGNED, "last share 0.01", options=LOWER),
    candidate(ASSIGNED, "last share 0.01, average 0.995", options=LOWER, average=0.995),
    candidate(ASSIGNED, "dirac", model_options=ASSIGNED.model_options | {"dirac": True}),
    candidate(
        ASSIGNED,
        "Muon 0.12",
        optimizer="training.muon.build",
        options=ASSIGNED.options | {"muon_rate": 0.12, "muon_momentum": 0.6},
    ),
)

# The bundle without Muon and SAM as a whole at several rates, and then with one piece left out.
BUNDLE = replace(FLIPPED, name="bundle", optimizer=DIRAC.optimizer, options=DIRAC.options)


def without(words: str, **net: Any) -> Recipe:
    """The bundle with a net of other options."""
    return candidate(BUNDLE, f"without {words}", model_options=BUNDLE.model_options | net)


BUNDLE_CANDIDATES = (
    *at_rates(BUNDLE, (0.4, 0.6, 1.0)),
    without("whitening", whitened=False),
    without("CELU", activation="relu"),
    candidate(without("CELU", activation="gelu"), "but GELU"),
    without("ghosts", ghosts=1),
    without("dirac", dirac=False),
    candidate(BUNDLE, "biases 16 times faster", options=BUNDLE.options | {"bias_factor": 16.0}),
    candidate(BUNDLE, "without turns", augment=DIRAC.augment),
)

# Row by row, in case that the bundle as a whole is no better than what it began with.
ROWS = (WHITENED, CELU, FROZEN, GHOST)

# Muon's rate is a share of the kernels' length, SAM's ρ a length: how far it looks uphill.
MUON_CANDIDATES = (
    *at_options(MUON, "muon_rate", (0.06, 0.12, 0.24)),
    *at_options(MUON, "muon_momentum", (0.85,)),
)
SHARPNESS_CANDIDATES = tuple(at_options(SHARPNESS, "rho", (0.02, 0.05, 0.1, 0.2)))

# The grouped net: its rate, then each of its rows.
GROUPED_CANDIDATES = (
    *at_rates(OPENED, (0.4, 0.8, 1.6)),
    GROUPED_SMOOTHED,
    candidate(GROUPED_SMOOTHED, "smoothing 0", label_smoothing=0.0),
    UNDECAYED,
    *at_options(GROUPED_MUON, "muon_rate", (0.06, 0.12, 0.24)),
)

# In this order they are worth a GPU's minutes.
SEARCHES: dict[str, tuple[Recipe, ...]] = {
    "cifar-assigned": ASSIGNED_CANDIDATES,
    "cifar-bundle": BUNDLE_CANDIDATES,
    "cifar-muon": MUON_CANDIDATES,
    "cifar-sam": SHARPNESS_CANDIDATES,
    "cifar-grouped-pieces": GROUPED_CANDIDATES,
    "cifar-rows": ROWS,
}
