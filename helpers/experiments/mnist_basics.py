"""The recipes for MNIST of sessions 01 to 03: a first net, a budget, and how far a net sees."""

from helpers.experiments.recipe import Claim, Recipe, Steps, variant


def affine(degrees: float, shift: float, scale: float, shear: float = 0.0) -> Steps:
    """The one augmentation step of the small nets.

    ``degrees`` is the largest rotation, ``shift`` the largest shift as a share of the image,
    ``scale`` the largest change of size, and ``shear`` the largest shear in degrees.
    """
    # Every image gets numbers of its own, drawn between minus and plus these.
    options = {
        "degrees": degrees,
        "translate": [shift, shift],
        "scale": [1 - scale, 1 + scale],
        "shear": shear,
    }
    return (("RandomAffine", options),)


# Session 01: a first small net, three epochs.
FIRST = Recipe(
    "first",
    "models.small.first_net",
    title="session 01's first net: four convolutions, three epochs",
    epochs=3,
    peak_epoch=1,
    weight_decay=0.0,
    claim=Claim(10_000, 3, 98.0),
)
# What a rate that is too high or too low, and less time, do to it.
FIRST_FAST = variant(
    FIRST,
    "first-fast",
    "twice the learning rate",
    learning_rate=0.2,
)
FIRST_SLOW = variant(
    FIRST,
    "first-slow",
    "a hundredth of the learning rate",
    learning_rate=0.001,
)
FIRST_ONE_EPOCH = variant(
    FIRST,
    "first-one-epoch",
    "one epoch instead of three",
    epochs=1,
    peak_epoch=1 / 3,
)

# Report 001's starting point, for one epoch, beside the small net's one epoch. Of the rates 0.01,
# 0.03 and 0.1 the second learned fastest in its first 45 steps, on digits left out of training.
STARTER = variant(
    FIRST_ONE_EPOCH,
    "starter",
    "report 001's starter: seven wide convolutions, one epoch",
    model="models.small.starter_net",
    learning_rate=0.03,
)

# Session 02: 99.4 % within a budget of parameters and epochs.
BUDGET = Recipe(
    "budget",
    "models.small.budget_net",
    title="report 001's net: augmentation, one-cycle, averaged weights",
    epochs=19,
    peak_epoch=4,
    weight_decay=5e-4,
    augment=affine(degrees=8, shift=0.08, scale=0.08, shear=5),
    average=0.999,
    claim=Claim(19_999, 19, 99.4, last_epochs=5),
    headline=True,
    baseline="budget-19-decay",  # the same training, without averaged weights
)

# The same net in five epochs, and what one change does to it.
SHORT = Recipe(
    "budget-5",
    "models.small.budget_net",
    title="report 001's net, five epochs, no augmentation",
    epochs=5,
    peak_epoch=1.5,
)
SHORT_WIDE = variant(
    SHORT,
    "budget-5-wide",
    "four wide convolutions instead of eight narrow ones",
    model="models.small.wide_net",
)
# Without normalisation another rate is best, and each net is to be seen at its best.
SHORT_NO_NORM = variant(
    SHORT,
    "budget-5-no-norm",
    "without batch normalisation, at a rate of its own",
    model_options={"batch_norm": False},
    learning_rate=0.01,
)
SHORT_CONSTANT = variant(
    SHORT,
    "budget-5-constant",
    "a constant learning rate, at its own best",
    schedule="constant",
    learning_rate=0.05,
)

# Without normalisation, but with weights that keep the activations' size from layer to layer.
SHORT_HE = variant(
    SHORT_NO_NORM,
    "budget-5-he",
    "without batch normalisation, with He's initial weights",
    model_options={"batch_norm": False, "he": True},
)

# The way from five epochs to the headline, one change a step.
LONG = variant(
    SHORT,
    "budget-19",
    "nineteen epochs instead of five",
    epochs=19,
    peak_epoch=4,
)
LONG_AUGMENT = variant(
    LONG,
    "budget-19-augment",
    "augmentation: rotation, shift, scale and shear",
    augment=affine(degrees=8, shift=0.08, scale=0.08, shear=5),
)
LONG_DECAY = variant(
    LONG_AUGMENT,
    "budget-19-decay",
    "weight decay of 5e-4 instead of 1e-4",
    weight_decay=5e-4,
)

# Session 03: one net of five convolutions, with pooling at different places. The name holds the
# receptive field in pixels. All are compared with the net that sees least.
FIELD_11 = variant(
    SHORT,
    "field-11",
    "sees 11 pixels: pools after none of five convolutions",
    model="models.small.field_net",
    model_options={"pools": []},
    baseline="",
)
FIELD_16 = variant(
    FIELD_11,
    "field-16",
    "sees 16 pixels: pools after 3 of five convolutions",
    model_options={"pools": [3]},
)
FIELD_24 = variant(
    FIELD_11,
    "field-24",
    "sees 24 pixels: pools after 2 and 4 of five convolutions",
    model_options={"pools": [2, 4]},
)
# The one that sees the whole digit has a claim to meet.
FIELD_34 = variant(
    FIELD_11,
    "field-34",
    "sees 34 pixels: pools after 1 and 2 of five convolutions",
    model_options={"pools": [1, 2]},
    claim=Claim(4_999, 5, 99.0),
)
FIELD_54 = variant(
    FIELD_11,
    "field-54",
    "sees 54 pixels: pools after 1 and 2 and 3 of five convolutions",
    model_options={"pools": [1, 2, 3]},
)

# From here the order is README's.
RECIPES = (
    FIRST,
    FIRST_FAST,
    FIRST_SLOW,
    FIRST_ONE_EPOCH,
    STARTER,
    BUDGET,
    SHORT,
    SHORT_WIDE,
    SHORT_NO_NORM,
    SHORT_HE,
    SHORT_CONSTANT,
    LONG,
    LONG_AUGMENT,
    LONG_DECAY,
    FIELD_11,
    FIELD_16,
    FIELD_24,
    FIELD_34,
    FIELD_54,
)
