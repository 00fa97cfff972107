"""The recipes of session 08: 94 % on CIFAR-10 with as little arithmetic as possible.

Rates are for the mean loss of a batch. An update of twice as many images may go twice as far, so
the recipe for a CPU, with a quarter of the images in a batch, has a quarter of the rates; only
Muon's steps, which are equally long whatever the gradient, are halved, because four of them add up
to no more than twice one of them where they point in different directions.
"""

from typing import Any

from helpers.experiments.recipe import Claim, Recipe, Steps, variant

SHIFT = ("RandomCrop", {"padding": 2, "mode": "reflect"})
IN_TURN: Steps = (SHIFT, ("AlternatingFlip", {}))
BY_CHANCE: Steps = (SHIFT, ("RandomHorizontalFlip", {}))
GROWING_BATCHES = "data.growing.growing_batches"

# Batches for a GPU. Rate and decay are those of the last layer; biases move 64 times faster.
SPEED = Recipe(
    "speed",
    "models.speed.SpeedNet",
    title="two million parameters, eight epochs, batches of 2,000",
    data="cifar10",
    epochs=8,
    batch_size=2_000,
    optimizer="training.muon.build",
    learning_rate=1.6,
    momentum=0.85,
    weight_decay=2.5e-3,
    schedule="training.falling.build",
    options={"bias_factor": 64.0, "muon_rate": 0.24, "muon_momentum": 0.6},
    augment=IN_TURN,
    label_smoothing=0.2,
    mixed=True,
    views="models.views.SixViews",
    headline=True,
    claim=Claim(1_971_352, 8, 94.0),
)


def with_net(parent: Recipe, name: str, title: str, **changes: Any) -> Recipe:
    """A variant whose net has these options beside those of its parent's net."""
    return variant(parent, name, title, model_options=parent.model_options | changes)


def with_options(parent: Recipe, name: str, title: str, **changes: Any) -> Recipe:
    """A variant whose own parts have these options beside its parent's."""
    return variant(parent, name, title, options=parent.options | changes)


# One piece switched off in each row. Not whitened, the answers of the first layer say nearly the
# same, and the next layer has to find out first by what they differ.
NO_WHITENING = with_net(
    SPEED,
    "speed-no-whitening",
    "a first layer that is learned",
    whitened=False,
)
# A random layer mixes what it gets, and six of them in a row mix it six times.
NO_DIRAC = with_net(
    SPEED,
    "speed-no-dirac",
    "convolutions begin with random numbers alone",
    dirac=False,
)
# A GELU has a slope nearly everywhere; a ReLU is cheaper, by some per cent of the time on a CPU.
RELU = with_net(
    SPEED,
    "speed-relu",
    "ReLU in the place of GELU",
    activation="relu",
)
FREE_SCALE = with_net(
    SPEED,
    "speed-free-scale",
    "normalisations learn their scales too",
    frozen_scale=False,
)
# A bias decides how often its channel is above zero, and in two hundred steps it hardly moves.
SLOW_BIAS = with_options(
    SPEED,
    "speed-slow-bias",
    "biases move no faster than the last layer",
    bias_factor=1.0,
)
# Kernels then have the rate of the last layer.
NO_MUON = variant(
    SPEED,
    "speed-no-muon",
    "gradient descent with momentum for the convolutions too",
    optimizer="training.groups.build",
    options={"bias_factor": 64.0},
)
# By chance half of the images look the same in an epoch as in the one before.
NO_ALTERNATING = variant(
    SPEED,
    "speed-no-alternating",
    "mirrored by chance and not in turn",
    augment=BY_CHANCE,
)
NO_SHIFT = variant(
    SPEED,
    "speed-no-shift",
    "images are not shifted",
    augment=IN_TURN[1:],
)
# Without it the loss asks for ever larger logits, also of images that are read rightly.
NO_SMOOTHING = variant(
    SPEED,
    "speed-no-smoothing",
    "no label smoothing",
    label_smoothing=0.0,
)
# Nothing else is trained here, and the net is measured otherwise. A CPU makes the same nets again;
# where a GPU adds in another order, they are others of the same kind.
ONE_VIEW = variant(
    SPEED,
    "speed-one-view",
    "measured on each image as it is",
    views="",
)
ROWS = (
    NO_WHITENING,
    NO_DIRAC,
    RELU,
    FREE_SCALE,
    SLOW_BIAS,
    NO_MUON,
    NO_ALTERNATING,
    NO_SHIFT,
    NO_SMOOTHING,
    ONE_VIEW,
)
ON_A_GPU = (SPEED, *ROWS)

# A CPU is as fast with batches of 500 as with larger ones, and makes four times as many steps. What
# is much faster there is less arithmetic.
CPU = variant(
    SPEED,
    "speed-cpu",
    "CPU: the same in batches of 500",
    batch_size=500,
    learning_rate=0.4,
    options=SPEED.options | {"muon_rate": 0.12},
    claim=Claim(1_971_352, 8, 94.0),
    baseline="",
)
# The first layer's patterns are made from the smallest images. Patches of four pixels vary by
# nearly as much in small photographs as in large ones, so the patterns serve for all sizes.
GROWING = variant(
    CPU,
    "speed-cpu-growing",
    "CPU: images of 20, 24, 28 and 32 pixels, two epochs each",
    batches=GROWING_BATCHES,
    options=CPU.options | {"sizes": [20, 24, 28, 32]},
    claim=CPU.claim,
)
# With half of the first group's channels, whose maps are the largest, a quarter of the arithmetic
# goes.
NARROW_FIRST = with_net(
    GROWING,
    "speed-cpu-narrow",
    "CPU: growing images, half of the first group's channels",
    widths=[32, 256, 256],
)
# Whatever saves arithmetic has to read more than the whole recipe does with fewer epochs.
SHORTER = variant(
    CPU,
    "speed-cpu-shorter",
    "CPU: six epochs",
    epochs=6,
)
LONGER = variant(
    CPU,
    "speed-cpu-longer",
    "CPU: ten epochs",
    epochs=10,
    claim=Claim(1_971_352, 10, 94.0),
)
ON_A_CPU = (CPU, SHORTER, LONGER, GROWING, NARROW_FIRST)

# Where a CPU multiplies matrices of 16-bit numbers in hardware, all recipes here make use of it.
# This one does not, so its points and its seconds tell what the 16 bits change.
FLOAT32 = variant(
    CPU,
    "speed-cpu-float32",
    "CPU: products of 32 bits, on every CPU",
    mixed=False,
    claim=CPU.claim,
)

# Two epochs show in minutes which pieces change the seconds that a CPU needs. Six views would take
# nearly as long as one of them, and are a matter of measuring alone.
MINUTES = variant(
    CPU.shortened(2),
    "speed-minutes",
    "two epochs on a CPU",
    views="",
    baseline="",
)
MINUTES_ROWS = (
    with_net(
        MINUTES,
        "speed-minutes-no-whitening",
        "two epochs: a first layer that is learned",
        whitened=False,
    ),
    with_net(
        MINUTES,
        "speed-minutes-no-dirac",
        "two epochs: convolutions begin with random numbers alone",
        dirac=False,
    ),
    variant(
        MINUTES,
        "speed-minutes-no-muon",
        "two epochs: gradient descent with momentum for the convolutions too",
        optimizer="training.groups.build",
        options={"bias_factor": 64.0},
    ),
    with_net(
        MINUTES,
        "speed-minutes-relu",
        "two epochs: ReLU in the place of GELU",
        activation="relu",
    ),
    variant(
        MINUTES,
        "speed-minutes-growing",
        "two epochs: images of 24 pixels, then of 32",
        batches=GROWING_BATCHES,
        options=MINUTES.options | {"sizes": [24, 32]},
    ),
    with_net(
        MINUTES,
        "speed-minutes-narrow",
        "two epochs: half of the channels in the first group",
        widths=[32, 256, 256],
    ),
)
# What a lesson has time for: measured on whole images, which it has never seen.
LIVE = variant(
    NARROW_FIRST.shortened(2),
    "speed-live",
    "two epochs of 20 and 28 pixels, half of the channels in the first group",
    options=NARROW_FIRST.options | {"sizes": [20, 28]},
    baseline="",
)
TWO_EPOCHS = (MINUTES, *MINUTES_ROWS)
IN_MINUTES = (*TWO_EPOCHS, LIVE)
RECIPES = (*ON_A_GPU, *ON_A_CPU, FLOAT32, *IN_MINUTES)
