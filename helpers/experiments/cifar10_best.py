"""What makes ResNet-9 better within the same 24 epochs: one change a row, each on the row before.

They begin with the best recipe of before (``cifar10.MIRRORED``). A row that does not help stays,
with its figure; the next one is then compared with the row before it.
"""

from helpers.experiments.cifar10 import MIRRORED, REFLECT_FLIP_CUTOUT
from helpers.experiments.cifar10_assigned import TRIANGLE
from helpers.experiments.recipe import Claim, Recipe, Steps, variant

# The same frame and the same square as before; only the side is not left to chance.
CROP, _, CUTOUT = REFLECT_FLIP_CUTOUT
IN_TURN: Steps = (CROP, ("AlternatingFlip", {}), CUTOUT)


def with_net(parent: Recipe, name: str, title: str, **changes: object) -> Recipe:
    """A variant whose net has these options beside those of its parent's net."""
    return variant(parent, name, title, model_options=parent.model_options | changes)


# A layer of eigenvectors needs no training, and its answers are not correlated.
WHITENED = with_net(
    MIRRORED,
    "cifar-resnet9-whitened",
    "a first layer that is not learned: the patterns of the images' patches",
    whitened=True,
)
# Where a ReLU has no slope at all, a CELU has a little.
CELU = with_net(
    WHITENED,
    "cifar-resnet9-celu",
    "CELU, which goes down to -0.3, in the place of ReLU",
    activation="celu",
)
# A bias decides how often its channel is above zero; at the common rate it hardly moves. (Its
# schedule is of the same shape: the one-cycle function takes no group that is faster.)
FROZEN = variant(
    CELU,
    "cifar-resnet9-frozen",
    "normalisations keep the scale 1, and their biases move 64 times faster",
    model_options=CELU.model_options | {"frozen_scale": True},
    optimizer="training.groups.build",
    schedule=TRIANGLE,
    options={"bias_factor": 64.0, "first_share": 0.04, "last_share": 0.0},
)
GHOST = with_net(
    FROZEN,
    "cifar-resnet9-ghost",
    "batch normalisation in 16 parts of each batch",
    ghosts=16,
)
DIRAC = with_net(
    GHOST,
    "cifar-resnet9-dirac",
    "convolutions begin by handing their input on unchanged",
    dirac=True,
)
# The rate of a kernel is the share of itself by which it moves.
MUON = variant(
    DIRAC,
    "cifar-resnet9-muon",
    "Muon for the convolutions",
    optimizer="training.muon.build",
    options=DIRAC.options | {"muon_rate": 0.12, "muon_momentum": 0.6},
)
FLIPPED = variant(
    MUON,
    "cifar-resnet9-flip",
    "each image from one side and the other in turn, epoch by epoch",
    augment=IN_TURN,
)
# Two gradients a step: the same epochs take twice the time.
SHARPNESS = variant(
    FLIPPED,
    "cifar-resnet9-sam",
    "steps along the gradient of the worst place close by (SAM), twice the arithmetic",
    step="training.sam.step",
    options=FLIPPED.options | {"rho": 0.05},
)
# Nothing else is trained here: the views take the place of the net's own mirror image.
SIX_VIEWS = variant(
    SHARPNESS,
    "cifar-resnet9-views",
    "the mean of six views when measured: mirrored, and shifted by a pixel",
    model_options=SHARPNESS.model_options | {"mirror": False},
    views="models.views.SixViews",
    claim=Claim(6_573_130, 24, 95.3),
    headline=True,
)
RECIPES = (
    WHITENED,
    CELU,
    FROZEN,
    GHOST,
    DIRAC,
    MUON,
    FLIPPED,
    SHARPNESS,
    SIX_VIEWS,
)
