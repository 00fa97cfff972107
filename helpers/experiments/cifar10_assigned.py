"""ResNet-9 as assigned, with all that the assignment leaves open; and Page's own recipe."""

from helpers.experiments.cifar10 import REFLECT_FLIP_CUTOUT, RESNET9
from helpers.experiments.recipe import Claim, variant

TRIANGLE = "training.triangle.build"

# Assigned are the net, the batches, the epochs, the peak at epoch 5, what the images go through,
# and that the rate is not "annihilated" at the end. Open are loss, optimizer, decay, the first
# weights, what the frame of a crop shows, and LRMIN, as long as it is at least a hundredth of
# LRMAX. A rate that stays high keeps the weights moving around a good place without ever coming
# to it: their average is that place.
ASSIGNED = variant(
    RESNET9,
    "cifar-resnet9-assigned",
    "as assigned, and what it leaves open chosen anew: average instead of annihilate",
    model_options={"scale": 0.125},
    learning_rate=0.4,
    weight_decay=5e-4,
    schedule=TRIANGLE,
    options={"first_share": 0.1, "last_share": 0.1},
    augment=REFLECT_FLIP_CUTOUT,
    label_smoothing=0.2,
    decay_all=False,
    average=0.99,
    claim=Claim(6_573_130, 24, 94.0),
    headline=True,
)
# A view more is a change of what is measured, so it has a row of its own.
ASSIGNED_MIRRORED = variant(
    ASSIGNED,
    "cifar-resnet9-assigned-mirror",
    "the mean of an image and its mirror image when measured",
    model_options={"scale": 0.125, "mirror": True},
)
# What the author of the recipe trained, on the net as it was assigned. (He pooled after the ReLU,
# left the last batch of an epoch out when it was smaller, and trained in float16.)
PAGE = variant(
    RESNET9,
    "cifar-resnet9-page",
    "Page's recipe, replicated: logits times 0.125, rates 0 to 0.4 to 0, mirrored pixels",
    model_options={"scale": 0.125, "head_bias": False},
    learning_rate=0.4,
    weight_decay=5e-4,
    schedule=TRIANGLE,
    options={"first_share": 0.0, "last_share": 0.0},
    augment=REFLECT_FLIP_CUTOUT,
    document="94.08 % (median of 50 runs)",
)
RECIPES = (ASSIGNED, ASSIGNED_MIRRORED, PAGE)
