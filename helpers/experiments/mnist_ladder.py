"""The recipes for MNIST of session 04: below 8,000 parameters, one change per rung."""

from typing import Any

from helpers import augment
from helpers.experiments.mnist_basics import affine
from helpers.experiments.recipe import Claim, Recipe, variant

UNDER_8000 = Claim(7_999, 15, 99.4, last_epochs=5)

# What session 02's net learns best from, and what the small nets of this session do, a little less.
# (The search "frontier-finalists", three seeds.)
STRONG = affine(degrees=8, shift=0.08, scale=0.08, shear=5)
MODERATE = affine(degrees=6, shift=0.05, scale=0.05, shear=5)
# The same without shear.
MILD = affine(degrees=6, shift=0.05, scale=0.05)


def under_8000(parent: Recipe, name: str, title: str, **changes: Any) -> Recipe:
    """A variant that is judged by this session's claim."""
    # A variant has no claim of its parent, because its net may be a larger one.
    return variant(parent, name, title, claim=UNDER_8000, **changes)


# The ladder of report 003: each rung keeps the changes of all below it, and makes one. The
# report lists no layers of its first nets: they are our reconstruction, built to its counts. A
# constant rate, StepLR and one-cycle are each shown at a rate that a search has chosen.
BASIC = Recipe(
    "ladder-basic",
    "models.small.basic_net",
    title="basic: three 3×3 convolutions before the pooling, three after it",
    epochs=15,
    batch_size=64,
    learning_rate=0.01,
    nesterov=False,
    peak_epoch=3,
    weight_decay=0.0,
    schedule="constant",
    claim=UNDER_8000,
    document="99.25 % (best epoch)",
)
# Some activations are set to zero at random, against learning by heart.
DROPOUT = under_8000(
    BASIC,
    "ladder-dropout",
    "dropout of 0.05 after every convolution",
    model_options={"dropout": 0.05},
    document="99.29 % (best epoch)",
)
# Where a field of 5 × 5 pixels sees an edge, half the rows and columns are enough.
EARLY_POOL = under_8000(
    DROPOUT,
    "ladder-pool",
    "pooling and 1×1 convolutions moved to a field of 5×5",
    model="models.small.early_pool_net",
    document="99.35 % (best epoch)",
)
# A high rate first, smaller ones to settle. It is compared with a fair constant: of six rates from
# 0.0025 to 0.1 the report's 0.01 is the best (the search "ladder-constant").
STEPPED = under_8000(
    EARLY_POOL,
    "ladder-step",
    "StepLR: a rate of its own, times 0.3 every six epochs",
    schedule="step",
    gamma=0.3,
    learning_rate=0.03,
    document="99.43 % (best epoch)",
)
# Another schedule in the place of StepLR, so the parent is the rung below that one.
CYCLED = under_8000(
    EARLY_POOL,
    "ladder-onecycle",
    "one-cycle instead of StepLR, with a rate of its own",
    schedule="one_cycle",
    learning_rate=0.1,
    baseline="ladder-step",
)
# No two epochs show the same image.
AUGMENTED = under_8000(
    CYCLED,
    "ladder-augment",
    "augmentation: rotation, shift, scale and shear",
    augment=MODERATE,
    document="99.50 % (best epoch)",
)
# The optimizer alone, with a rate and a decay of its own.
ADAPTIVE = under_8000(
    AUGMENTED,
    "ladder-adamw",
    "AdamW instead of SGD, with a rate and a decay of its own",
    optimizer="adamw",
    learning_rate=0.01,
    weight_decay=0.01,
)
# The moving average of the weights is measured in their place.
AVERAGED = under_8000(
    ADAPTIVE,
    "ladder-adamw-average",
    "averaged weights",
    average=0.999,
)
# Does it take AdamW for that? The same averages by rung 6's recipe.
MOMENTUM_AVERAGED = under_8000(
    AUGMENTED,
    "ladder-augment-average",
    "averaged weights, by SGD",
    average=0.999,
)
# Augmentation has taken over what dropout was for. From here on it is the course's own recipe.
UNDROPPED = under_8000(
    AVERAGED,
    "ladder-average",
    "dropout left out again: our recipe",
    model_options={},
)
# The net that report 003 ends with, by our recipe.
FEWER = under_8000(
    UNDROPPED,
    "ladder-fewer",
    "fewer parameters: report 003's final net",
    model="models.small.compact_net",
    headline=True,
    document="99.45 % (best epoch)",
)
# The budget net's form and the first rung's late pooling, by the same recipe: only the net differs.
NARROW = under_8000(
    UNDROPPED,
    "ladder-narrow",
    "report 001's form, 7,960 parameters, by our recipe",
    model="models.small.budget_net",
    model_options={"widths": [4, 4, 8, 10, 10, 16, 18]},
)
LATE_POOL = under_8000(
    UNDROPPED,
    "ladder-late-pool",
    "rung 1's net, which pools later, by our recipe",
    model="models.small.basic_net",
)
# Session 05 asks which mistakes augmentation removes.
UNAUGMENTED = under_8000(
    FEWER,
    "ladder-fewer-unmoved",
    "the final net without augmentation",
    augment=(),
)

# Report 001's net and recipe, with as many channels as three budgets allow.
BEST = Recipe(
    "ladder-best",
    "models.small.budget_net",
    title="report 001's net and recipe, below 8,000 parameters",
    model_options={"widths": [4, 4, 8, 10, 10, 16, 18]},
    epochs=15,
    peak_epoch=3,
    weight_decay=5e-4,
    augment=STRONG,
    average=0.999,
    claim=UNDER_8000,
)
# Up to 20,000 parameters, for 99.6 %.
LARGE = Recipe(
    "large",
    "models.small.budget_net",
    title="report 001's net with more channels",
    model_options={"widths": [8, 8, 16, 16, 16, 24, 24]},
    epochs=20,
    peak_epoch=4,
    weight_decay=5e-4,
    augment=STRONG,
    average=0.999,
    claim=Claim(19_999, 20, 99.6),
)
# As many channels as 20,000 parameters allow.
LARGER = variant(
    LARGE,
    "large-wider",
    "report 001's net with still more channels",
    model_options={"widths": [8, 8, 16, 18, 18, 26, 24]},
    claim=LARGE.claim,
)
# Below 4,000, and then as few as the net can do with.
SMALL = variant(
    UNDROPPED,
    "small",
    "report 001's net with fewer channels",
    model="models.small.budget_net",
    model_options={"widths": [4, 4, 6, 8, 8, 10, 9]},
    augment=STRONG,
    claim=Claim(3_999, 15, 99.4, last_epochs=5),
    baseline="",
)
# Smaller still: the first of seven candidates of separable convolutions in `frontier-separable`.
SMALL_SEPARABLE = variant(
    UNDROPPED,
    "small-separable",
    "separable convolutions",
    model="models.separable.separable_net",
    model_options={"widths": [12, 12, 16, 16, 16, 18, 18, 18], "pools": [2, 5, 8]},
    augment=MILD,
    claim=Claim(3_500, 15, 99.4, last_epochs=5),
    baseline="",
)
TINY = variant(
    SMALL,
    "tiny",
    "four channels everywhere",
    model_options={"widths": [4] * 7},
    baseline="",
)

# Report 004: the net of 7,640 parameters.
POINTWISE = Recipe(
    "pointwise-document",
    "models.small.PointwiseNet",
    title="report 004's net and recipe: a constant rate",
    epochs=15,
    batch_size=128,
    learning_rate=0.01,
    nesterov=False,
    peak_epoch=3,  # its record has it, though a constant rate has no peak
    weight_decay=0.0,
    schedule="constant",
    augment=augment.DOCUMENT_004,
    claim=UNDER_8000,
    document="99.42 % (last epoch of one run)",
)
# The report's transforms to the letter, which are torchvision's. They take the nearest pixel
# where ours are bilinear, and their fill of 1 is one of 255 steps, so nearly black.
POINTWISE_AS_WRITTEN = under_8000(
    POINTWISE,
    "pointwise-as-written",
    "report 004 as it is: its own loader over PIL images",
    batches="data.pil_loader.pil_batches",
    augment=(
        ("RandomRotation", {"degrees": [-7.0, 7.0], "fill": [1]}),
        ("RandomAffine", {"degrees": 7, "shear": 10, "translate": [0.1, 0.1], "scale": [0.8, 1.2]}),
        ("ColorJitter", {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}),
    ),
    document="99.42 % (last epoch of one run)",
)
# The report builds a StepLR and never calls its step(), so its rate stays constant.
POINTWISE_STEP = under_8000(
    POINTWISE,
    "pointwise-step",
    "with the step() that report 004 left commented out",
    schedule="step",
)
# The report expects more than 99.5 % of more epochs.
POINTWISE_LONGER = variant(
    POINTWISE,
    "pointwise-longer",
    "thirty epochs instead of fifteen",
    epochs=30,
)
# Its net alone: by our recipe it shows what the net, and not its training, can reach. How far its
# digits are moved was chosen for it (the search "frontier-pointwise", three seeds).
POINTWISE_OURS = under_8000(
    UNDROPPED,
    "pointwise",
    "report 004's net, our recipe, its digits not sheared",
    model="models.small.PointwiseNet",
    model_options={"dropout": 0.0},
    augment=MILD,
    baseline="pointwise-document",
)

# From here the order is README's.
RECIPES = (
    BASIC,
    DROPOUT,
    EARLY_POOL,
    STEPPED,
    CYCLED,
    AUGMENTED,
    ADAPTIVE,
    AVERAGED,
    UNDROPPED,
    FEWER,
    UNAUGMENTED,
    MOMENTUM_AVERAGED,
    NARROW,
    LATE_POOL,
    BEST,
    SMALL,
    SMALL_SEPARABLE,
    TINY,
    LARGE,
    LARGER,
    POINTWISE,
    POINTWISE_AS_WRITTEN,
    POINTWISE_STEP,
    POINTWISE_LONGER,
    POINTWISE_OURS,
)
