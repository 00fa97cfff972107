"""Candidates that are compared on a validation split before a recipe is recorded.

A search begins with a list here. Once it has run, its record holds the whole recipe of every trial, also of those that
did not help, and is its definition: the list can go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from helpers.recipes import RESIDUAL, Recipe, affine


def _variant(recipe: Recipe, label: str, **changes: Any) -> Recipe:
    """A candidate of a search, named after what it changes."""
    return replace(recipe, name=f"{recipe.name}/{label}", **changes)


_RESIDUAL = replace(RESIDUAL, epochs=12)

SEARCHES: dict[str, tuple[Recipe, ...]] = {
    "residual": (
        _variant(_RESIDUAL, "plain"),
        _variant(_RESIDUAL, "decay 1e-4", weight_decay=1e-4),
        _variant(_RESIDUAL, "rate 0.2, decay 2e-4", learning_rate=0.2, weight_decay=2e-4),
        _variant(_RESIDUAL, "milder augmentation, decay 1e-4", augment=affine(6, 0.05, 0.05), weight_decay=1e-4),
        _variant(_RESIDUAL, "AdamW, rate 0.01, decay 0.01", optimizer="adamw", learning_rate=0.01, weight_decay=0.01),
        _variant(_RESIDUAL, "batches of 64, rate 0.1, decay 2e-4", batch_size=64, weight_decay=2e-4),
        _variant(_RESIDUAL, "AdamW, rate 0.01, decay 0.01, milder augmentation", optimizer="adamw", learning_rate=0.01,
                 weight_decay=0.01, augment=affine(6, 0.05, 0.05)),
        _variant(_RESIDUAL, "AdamW, rate 0.01, decay 0.01, batches of 64", optimizer="adamw", learning_rate=0.01,
                 weight_decay=0.01, batch_size=64),
    ),
}
