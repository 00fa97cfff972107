"""The first recipes for CIFAR-10, session 07; the others build on them."""

from helpers.data.known import KNOWN
from helpers.experiments.recipe import Claim, Recipe, Steps, variant

RESNET9_NET = "models.resnet9.ResNet9"

# What report 002 was assigned: shift by up to four pixels, mirror, cut a square of 8 × 8 out.
FLIP_CUTOUT: Steps = (
    ("RandomHorizontalFlip", {}),
    ("Cutout", {"size": 8, "fill": [*KNOWN["cifar10"].mean]}),
)
CROP_FLIP_CUTOUT: Steps = (("RandomCrop", {"padding": 4}), *FLIP_CUTOUT)
REFLECT_FLIP_CUTOUT: Steps = (
    ("RandomCrop", {"padding": 4, "mode": "reflect"}),
    *FLIP_CUTOUT,
)

# ResNet-9 with the one-cycle schedule, as it was assigned.
RESNET9 = Recipe(
    "cifar-resnet9",
    RESNET9_NET,
    title="ResNet-9 as report 002 was assigned it",
    data="cifar10",
    epochs=24,
    peak_epoch=5,
    annihilate=False,
    batch_size=512,
    learning_rate=0.025,
    weight_decay=8e-3,
    augment=CROP_FLIP_CUTOUT,
    mixed=True,
    headline=True,
    claim=Claim(6_573_130, 24, 94.0),
)
# The assignment forbids "annihilation": this is what it costs.
ANNIHILATED = variant(
    RESNET9,
    "cifar-resnet9-annihilate",
    "the rate falls on to almost nothing",
    annihilate=True,
)

# One change after the other: each recipe keeps those of all before it, and is compared with the
# last of them.
SCALED = variant(
    ANNIHILATED,
    "cifar-resnet9-scaled",
    "logits times 0.125",
    model_options={"scale": 0.125},
)
# Rate and decay are one change: their product, by which weights shrink in a step, stays.
FASTER = variant(
    SCALED,
    "cifar-resnet9-rate",
    "logits times 0.125, a highest rate of 0.4, a weight decay of 0.0005",
    learning_rate=0.4,
    weight_decay=5e-4,
)
# A photograph has no black border: mirrored pixels look more like what lies beyond its edge.
REFLECTED = variant(
    FASTER,
    "cifar-resnet9-reflect",
    "mirrored pixels instead of black ones around the image",
    augment=REFLECT_FLIP_CUTOUT,
)
# A target of 82 % for the image's class, and of 2 % for each of the nine others.
SMOOTHED = variant(
    REFLECTED,
    "cifar-resnet9-smooth",
    "label smoothing 0.2",
    label_smoothing=0.2,
)
# They are too few to learn images by heart, and decay would only pull their values off their best.
UNDECAYED = variant(
    SMOOTHED,
    "cifar-resnet9-decay",
    "no weight decay on biases and normalisations",
    decay_all=False,
)
# 1 / (1 − 0.99) = 100 steps, about an epoch of 98.
AVERAGED = variant(
    UNDECAYED,
    "cifar-resnet9-average",
    "weights averaged over the last epoch",
    average=0.99,
)
# Nothing else is trained here: the same net is measured otherwise.
MIRRORED = variant(
    AVERAGED,
    "cifar-resnet9-best",
    "the mean of an image and its mirror image when measured",
    model_options={"scale": 0.125, "mirror": True},
    claim=Claim(6_573_130, 24, 95.0),
    headline=True,
)
# About a ninth of the parameters.
GROUPED = variant(
    MIRRORED,
    "cifar-resnet9-grouped",
    "report 002's grouped version of that",
    model_options={"grouped": True, "scale": 0.125, "mirror": True},
    claim=Claim(757_931, 24, 92.0),
    headline=True,
    document="50.23 % (best of 20 epochs)",
)

# These want a GPU, and are recorded together.
ON_A_GPU = (
    RESNET9,
    ANNIHILATED,
    SCALED,
    FASTER,
    REFLECTED,
    SMOOTHED,
    UNDECAYED,
    AVERAGED,
    MIRRORED,
    GROUPED,
)

# The last two in eight epochs, which a CPU can do in hours. They are compared with nothing.
MIRRORED_8 = variant(
    MIRRORED.shortened(8),
    "cifar-resnet9-best-8",
    "ResNet-9 with all of these, eight epochs on a CPU",
    claim=Claim(6_573_130, 8, 90.0),
    baseline="",
)
GROUPED_8 = variant(
    GROUPED.shortened(8),
    "cifar-resnet9-grouped-8",
    "report 002's grouped version of that, eight epochs on a CPU",
    baseline="",
)
IN_HOURS = (MIRRORED_8, GROUPED_8)

# A narrow net shows in minutes on a CPU what the changes do.
NARROW = Recipe(
    "cifar-minutes",
    RESNET9_NET,
    title="narrow: an eighth of ResNet-9's channels, five epochs",
    model_options={"width": 8},
    data="cifar10",
    epochs=5,
    peak_epoch=5 * 5 / 24,  # at the same share of the training as in the long one
    annihilate=False,
    batch_size=128,
    learning_rate=0.1,
    weight_decay=5e-4,
    augment=CROP_FLIP_CUTOUT,
    mixed=True,
)
NARROW_GROUPED = variant(
    NARROW,
    "cifar-minutes-grouped",
    "narrow: grouped convolutions",
    model_options={"width": 8, "grouped": True},
)
NARROW_ANNIHILATED = variant(
    NARROW,
    "cifar-minutes-annihilate",
    "narrow: the rate falls on to almost nothing",
    annihilate=True,
)
# The rate is the best of the search "range-scaled", seven rates with three seeds. (An earlier one,
# of one seed and three epochs, preferred 1, the highest that it tried.)
NARROW_SCALED = variant(
    NARROW,
    "cifar-minutes-scaled",
    "narrow: logits times 0.125, rate 0.316",
    model_options={"width": 8, "scale": 0.125},
    learning_rate=0.316,
)
IN_MINUTES = (NARROW, NARROW_GROUPED, NARROW_ANNIHILATED, NARROW_SCALED)
