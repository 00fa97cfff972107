"""Candidates that are compared on a validation split before a recipe is recorded; what did not help stays here too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from helpers.recipes import BUDGET, EXPERIMENTS, RESIDUAL, STEPPED, Recipe, affine


def _variant(recipe: Recipe, label: str, **changes: Any) -> Recipe:
    """A candidate of a search, named after what it changes."""
    return replace(recipe, name=f"{recipe.name}/{label}", **changes)


_MORE, _MOST = affine(8, 0.08, 0.08, 5), affine(10, 0.1, 0.15, 10)
_PLAIN = replace(BUDGET, average=0.0, weight_decay=1e-4, augment=affine(7, 0.05, 0.05))
_AVERAGED = replace(_PLAIN, average=0.999, augment=_MORE)
_FINALISTS = (
    _variant(_AVERAGED, "averaged, more augmentation, decay 5e-4", weight_decay=5e-4),
    _variant(_AVERAGED, "averaged, more augmentation, decay 5e-4, rate 0.2", weight_decay=5e-4, learning_rate=0.2))

_SHARED = replace(BUDGET, name="shared", model="SharedNet", model_options={"channels": 18, "uses": [2, 2, 2]},
                  epochs=15)
_FORM = replace(_SHARED, name="shared", augment=affine(6, 0.04, 0.04))
_COMPACT = replace(BUDGET, name="compact", model="compact_net", epochs=15, batch_size=64, learning_rate=0.05,
                   peak_epoch=3)
_ADAMW = replace(BUDGET, name="small", epochs=15, peak_epoch=3, optimizer="adamw", learning_rate=0.01,
                 weight_decay=0.01, batch_size=64)
_RESIDUAL = replace(RESIDUAL, epochs=12)

SEARCHES: dict[str, tuple[Recipe, ...]] = {
    "budget": (
        _variant(_PLAIN, "plain"),
        _variant(_PLAIN, "more augmentation", augment=_MORE),
        _variant(_AVERAGED, "averaged, more augmentation"),
        _variant(_AVERAGED, "averaged, most augmentation", augment=_MOST),
        _variant(_AVERAGED, "averaged, more augmentation, decay 1e-3", weight_decay=1e-3),
        *_FINALISTS,
    ),
    "budget-finalists": _FINALISTS,
    "budget-5": tuple(_variant(EXPERIMENTS[name], f"rate {rate}", learning_rate=rate)
                      for name in ("budget-5", "budget-5-wide", "budget-5-no-norm", "budget-5-constant")
                      for rate in (0.05, 0.1, 0.2)) + tuple(
        _variant(EXPERIMENTS["budget-5-no-norm"], f"rate {rate}", learning_rate=rate) for rate in (0.005, 0.01, 0.02)),
    "ladder-rates": tuple(_variant(replace(STEPPED, name="ladder", schedule=schedule), f"{schedule}, rate {rate}",
                                   learning_rate=rate)
                          for schedule in ("step", "one_cycle") for rate in (0.01, 0.03, 0.1)),
    "compact": (
        _variant(_COMPACT, "plain"),
        _variant(_COMPACT, "batches of 128, rate 0.1", batch_size=128, learning_rate=0.1),
        _variant(_COMPACT, "dropout 0.03", model_options={"dropout": 0.03}),
        _variant(_COMPACT, "milder augmentation", augment=affine(7, 0.05, 0.05)),
        _variant(_COMPACT, "decay 2e-4", weight_decay=2e-4),
        _variant(_COMPACT, "rate 0.1", learning_rate=0.1),
        _variant(_COMPACT, "label smoothing 0.05", label_smoothing=0.05),
    ),
    "small": (
        _variant(_ADAMW, "narrow, 5,038", model_options={"widths": [4, 4, 8, 8, 8, 12, 12]}),
        _variant(_ADAMW, "narrow, 4,084", model_options={"widths": [4, 4, 6, 8, 8, 10, 10]}),
    ),
    "compact-steps": (
        _variant(_COMPACT, "AdamW, rate 0.01, decay 0.01", optimizer="adamw", learning_rate=0.01, weight_decay=0.01),
        _variant(_COMPACT, "AdamW, rate 0.03, decay 0.01", optimizer="adamw", learning_rate=0.03, weight_decay=0.01),
        _variant(_COMPACT, "batches of 32, rate 0.03", batch_size=32, learning_rate=0.03),
        _variant(_COMPACT, "peak after one epoch", peak_epoch=1),
    ),
    "shared": (
        _variant(_SHARED, "plain"),
        _variant(_SHARED, "3, 3, 2 uses", model_options={"channels": 18, "uses": [3, 3, 2]}),
        _variant(_SHARED, "milder augmentation", augment=affine(6, 0.04, 0.04)),
    ),
    "residual": (
        _variant(_RESIDUAL, "plain"),
        _variant(_RESIDUAL, "decay 1e-4", weight_decay=1e-4),
        _variant(_RESIDUAL, "rate 0.2, decay 2e-4", learning_rate=0.2, weight_decay=2e-4),
        _variant(_RESIDUAL, "milder augmentation, decay 1e-4", augment=affine(6, 0.05, 0.05), weight_decay=1e-4),
        _variant(_RESIDUAL, "AdamW, rate 0.01, decay 0.01", optimizer="adamw", learning_rate=0.01, weight_decay=0.01),
        _variant(_RESIDUAL, "batches of 64, rate 0.1, decay 2e-4", batch_size=64, weight_decay=2e-4),
    ),
    "shared-forms": (_variant(_FORM, "separable, 40 channels", model_options={"channels": 40, "separable": True}),),
}
