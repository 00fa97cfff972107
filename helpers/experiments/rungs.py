"""The rungs of session 04's ladder, and what their intervals decide."""

from helpers.experiments import load_result
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.tables import difference

# From bottom to top; each recipe is compared with the one that its ``baseline`` names.
RUNGS = {
    "1 basic": "ladder-basic",
    "2 dropout": "ladder-dropout",
    "3 pooling": "ladder-pool",
    "4 StepLR": "ladder-step",
    "5 one-cycle": "ladder-onecycle",
    "6 augment": "ladder-augment",
    "7 AdamW": "ladder-adamw",
    "8 averaged": "ladder-adamw-average",
    "9 no dropout": "ladder-average",
    "10 fewer": "ladder-fewer",
}


def verdicts() -> dict[str, list[str]]:
    """The rungs that are better than the one they change, those that are worse, and the others."""
    found: dict[str, list[str]] = {"better": [], "worse": [], "undecided": []}
    for label, name in RUNGS.items():
        baseline = EXPERIMENTS[name].baseline
        if not baseline:
            continue
        new, old = load_result(name), load_result(baseline)
        # One seed has no interval.
        word = "undecided"
        if min(len(new.accuracies), len(old.accuracies)) > 1:
            change = difference(new, old)
            if change.decided:
                word = "better" if change.estimate > 0 else "worse"
        found[word].append(label)
    return found
