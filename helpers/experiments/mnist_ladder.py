"""The recipes for MNIST of session 04: below 8,000 parameters, one change a rung."""

from dataclasses import replace

from helpers import augment
from helpers.experiments.mnist_basics import BUDGET, affine
from helpers.experiments.recipe import Claim, Recipe, variant

UNDER_8000 = Claim(7_999, 15, 99.4, last_epochs=5)

# The ladder of document 003: each rung keeps the changes of all below it.
BASIC = Recipe(
    "ladder-basic",
    "models.small.basic_net",
    title="basic: three convolutions before the pooling, three after it",
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
DROPOUT = variant(
    BASIC,
    "ladder-dropout",
    "dropout of 0.05 after every convolution",
    model_options={"dropout": 0.05},
    claim=UNDER_8000,
    document="99.29 % (best epoch)",
)
# Where a field of 5 × 5 pixels sees an edge, half the rows and columns are enough.
EARLY_POOL = variant(
    DROPOUT,
    "ladder-pool",
    "pooling and 1×1 convolutions moved to a field of 5×5",
    model="models.small.early_pool_net",
    claim=UNDER_8000,
    document="99.35 % (best epoch)",
)
# A high rate first, smaller ones to settle.
STEPPED = variant(
    EARLY_POOL,
    "ladder-step",
    "StepLR: the rate times 0.3 every six epochs",
    schedule="step",
    gamma=0.3,
    learning_rate=0.03,
    claim=UNDER_8000,
    document="99.43 % (best epoch)",
)
# Another schedule in the place of StepLR, so the parent is the rung below that one.
CYCLED = variant(
    EARLY_POOL,
    "ladder-onecycle",
    "the one-cycle schedule instead of StepLR",
    schedule="one_cycle",
    learning_rate=0.1,
    claim=UNDER_8000,
    baseline="ladder-step",
)
# No two epochs show the same image.
AUGMENTED = variant(
    CYCLED,
    "ladder-augment",
    "augmentation: rotation, shift, scale and shear",
    augment=affine(8, 0.08, 0.08, 5),
    claim=UNDER_8000,
    document="99.50 % (best epoch)",
)
# Several changes at once, found together by a search: the course's own recipe.
AVERAGED = variant(
    AUGMENTED,
    "ladder-average",
    "our recipe: AdamW, averaged weights, no dropout",
    model_options={},
    optimizer="adamw",
    learning_rate=0.01,
    weight_decay=0.01,
    average=0.999,
    claim=UNDER_8000,
)
# The net that the document ends with, by our recipe.
FEWER = variant(
    AVERAGED,
    "ladder-fewer",
    "fewer parameters: document 003's final net",
    model="models.small.compact_net",
    headline=True,
    claim=UNDER_8000,
    document="99.45 % (best epoch)",
)
# Session 05 asks which mistakes augmentation removes.
UNAUGMENTED = variant(
    FEWER,
    "ladder-fewer-unmoved",
    "the final net without augmentation",
    augment=(),
    claim=UNDER_8000,
)

# Document 001's net and recipe, with as many channels as three budgets allow.
BEST = replace(
    BUDGET,
    name="ladder-best",
    title="document 001's net and recipe, below 8,000 parameters",
    epochs=15,
    peak_epoch=3,
    model_options={"widths": [4, 4, 8, 10, 10, 16, 18]},
    claim=UNDER_8000,
    headline=False,
)
# Up to 20,000 parameters, for 99.6 %.
LARGE = replace(
    BUDGET,
    name="large",
    title="document 001's net with more channels",
    epochs=20,
    model_options={"widths": [8, 8, 16, 16, 16, 24, 24]},
    claim=Claim(19_999, 20, 99.6),
    headline=False,
)
# Below 4,000, and then as few as the net can do with.
SMALL = variant(
    AVERAGED,
    "small",
    "document 001's net with fewer channels",
    model="models.small.budget_net",
    model_options={"widths": [4, 4, 6, 8, 8, 10, 9]},
    claim=Claim(3_999, 15, 99.4, last_epochs=5),
    baseline="",
)
TINY = variant(
    SMALL,
    "tiny",
    "four channels everywhere",
    model_options={"widths": [4] * 7},
    baseline="",
)

# Document 004: the net of 7,640 parameters.
POINTWISE = replace(
    BASIC,
    name="pointwise-document",
    title="document 004's net and recipe: a constant rate",
    model="models.small.PointwiseNet",
    batch_size=128,
    augment=augment.DOCUMENT_004,
    document="99.42 % (last epoch of one run)",
)
# Its schedule was built and never stepped.
POINTWISE_STEP = variant(
    POINTWISE,
    "pointwise-step",
    "with the step() that document 004 left commented out",
    schedule="step",
    claim=UNDER_8000,
)
# And what its net can do.
POINTWISE_OURS = variant(
    AVERAGED,
    "pointwise",
    "document 004's net, our recipe",
    model="models.small.PointwiseNet",
    model_options={"dropout": 0.0},
    claim=UNDER_8000,
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
    AVERAGED,
    FEWER,
    UNAUGMENTED,
    BEST,
    SMALL,
    TINY,
    LARGE,
    POINTWISE,
    POINTWISE_STEP,
    POINTWISE_OURS,
)
