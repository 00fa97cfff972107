"""What searches try for session 04: better recipes for its nets, and smaller nets."""

from typing import Any

from helpers.experiments.mnist_ladder import (
    BEST,
    FEWER,
    LARGE,
    MILD,
    MODERATE,
    NARROW,
    POINTWISE_OURS,
    STRONG,
    UNDROPPED,
)
from helpers.experiments.recipe import Recipe, variant


def finalist(name: str, **changes: Any) -> Recipe:
    """Report 003's net by AdamW, or by SGD where its name says so."""
    if name.startswith("SGD"):
        changes |= {"optimizer": "sgd", "nesterov": True, "weight_decay": 5e-5}
    return variant(FEWER, f"frontier-finalists/{name}", name.split()[0].rstrip(","), **changes)


# The best of earlier searches over three seeds, beside the recipe as it was.
FEWER_FINALISTS = (
    finalist("AdamW, as it was", augment=STRONG),
    finalist("AdamW, mild and shear", augment=MODERATE),
    finalist("AdamW 0.03, mild and shear", augment=MODERATE, learning_rate=0.03),
    finalist("SGD 0.3, mild and shear", augment=MODERATE, learning_rate=0.3),
    finalist("SGD 0.3, mild", augment=MILD, learning_rate=0.3),
)


def smallest(name: str, model: str, **options: Any) -> Recipe:
    """A candidate for the smallest net, by our recipe with moderate augmentation."""
    changes = {"model": f"models.small.{model}", "model_options": options, "augment": MODERATE}
    return variant(UNDROPPED, f"frontier-small/{name}", name, **changes)


def separable(name: str, widths: list[int], pools: list[int], **changes: Any) -> Recipe:
    """A candidate of separable convolutions, by the same recipe but for `changes`."""
    changes = {
        "model": "models.separable.separable_net",
        "model_options": {"widths": widths, "pools": pools},
        "augment": MODERATE,
    } | changes
    title = f"separable, {name}"
    return variant(UNDROPPED, f"frontier-separable/{title}", title, **changes)


SMALLEST = (
    smallest("narrow, 3,424", "budget_net", widths=[4, 4, 6, 8, 8, 8, 8]),
    smallest("squeezed, 3,424", "compact_net", widths=[4, 8, 6, 4, 8, 10, 10, 10]),
    smallest("shared, 3,172", "SharedNet", channels=17),
    smallest("narrow, 2,578", "budget_net", widths=[4, 4, 6, 6, 6, 8, 6]),
)

# Separable convolutions have fewer weights for as many channels, and more of other work.
SEPARABLE = (
    separable("two poolings, 3,214", [12, 12, 12, 16, 16, 16, 20, 20], [3, 6]),
    separable("earlier poolings, 2,926", [10, 10, 14, 14, 14, 18, 18, 18], [2, 5]),
    separable("three poolings, 3,306", [12, 12, 16, 16, 16, 18, 18, 18], [2, 5, 8]),
    separable("moved less, 3,306", [12, 12, 16, 16, 16, 18, 18, 18], [2, 5, 8], augment=MILD),
    separable("wider at the end, 3,464", [12, 12, 16, 16, 16, 18, 20, 20], [2, 5, 8]),
    separable(
        "wider and moved less, 3,464",
        [12, 12, 16, 16, 16, 18, 20, 20],
        [2, 5, 8],
        augment=MILD,
    ),
    separable(
        "SGD 0.3, 3,306",
        [12, 12, 16, 16, 16, 18, 18, 18],
        [2, 5, 8],
        optimizer="sgd",
        nesterov=True,
        learning_rate=0.3,
        weight_decay=5e-5,
    ),
)

# Report 004's net by the same recipe: how far are its digits to be moved?
POINTWISE_FORMS = tuple(
    variant(POINTWISE_OURS, f"frontier-pointwise/{name}", name, augment=moved)
    for name, moved in (("strong", STRONG), ("moderate", MODERATE), ("mild", MILD))
)


def form(parent: Recipe, name: str, **changes: Any) -> Recipe:
    """Report 001's form at one of two sizes, trained otherwise."""
    family = "frontier-best"
    if parent.epochs == LARGE.epochs:
        family = "frontier-large"
    return variant(parent, f"{family}/{name}", name, **changes)


# Report 001's form below 8,000 and below 20,000 parameters: by its own recipe, with less
# augmentation, with more steps, and by our recipe.
BEST_FORMS = (
    form(BEST, "SGD, as it is"),
    form(BEST, "SGD, moderate", augment=MODERATE),
    form(BEST, "SGD, moderate, batches of 64", augment=MODERATE, batch_size=64),
    form(NARROW, "AdamW, moderate", augment=MODERATE),
    form(
        NARROW,
        "separable, AdamW, moderate",
        augment=MODERATE,
        model="models.separable.separable_net",
        model_options={"widths": [20, 20, 26, 26, 26, 32, 32, 32], "pools": [2, 5, 8]},
    ),
)
LARGE_FORMS = (
    form(LARGE, "SGD, as it is"),
    form(LARGE, "SGD, moderate", augment=MODERATE),
    form(LARGE, "SGD, moderate, batches of 64", augment=MODERATE, batch_size=64),
    form(
        LARGE,
        "AdamW, moderate",
        optimizer="adamw",
        learning_rate=0.01,
        weight_decay=0.01,
        batch_size=64,
        augment=MODERATE,
    ),
)
