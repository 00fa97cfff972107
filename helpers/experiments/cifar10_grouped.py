"""What makes the grouped ResNet-9 better: one change a row, each on the row before.

With a ninth of the parameters it does not learn its images by heart, so most rows take away what
kept the large net from that, or help it to move faster.
"""

from helpers.experiments.cifar10 import GROUPED
from helpers.experiments.recipe import Claim, variant

FASTER = variant(
    GROUPED,
    "cifar-resnet9-grouped-rate",
    "grouped: a highest rate of 0.8",
    learning_rate=0.8,
)
# The first normalisation sees three channels, the colours, and the ReLU behind it cuts half of
# each off. With a bias of 2 almost all of it passes.
OPENED = variant(
    FASTER,
    "cifar-resnet9-grouped-bias",
    "grouped: the first layer's biases begin at +2",
    model_options=FASTER.model_options | {"first_bias": 2.0},
)
SMOOTHED = variant(
    OPENED,
    "cifar-resnet9-grouped-smooth",
    "grouped: label smoothing 0.1",
    label_smoothing=0.1,
)
# Nine numbers that see one channel are no more than a bias is.
UNDECAYED = variant(
    SMOOTHED,
    "cifar-resnet9-grouped-decay",
    "grouped: no weight decay on the filters of one channel",
    optimizer="training.groups.build",
    options={"depthwise_decay": 0.0},
)
MUON = variant(
    UNDECAYED,
    "cifar-resnet9-grouped-muon",
    "grouped: Muon for the 1×1 convolutions",
    optimizer="training.muon.build",
    options=UNDECAYED.options | {"muon_rate": 0.12, "muon_momentum": 0.6},
)
# Nothing else is trained here: the views take the place of the net's own mirror image.
SIX_VIEWS = variant(
    MUON,
    "cifar-resnet9-grouped-views",
    "grouped: the mean of six views when measured",
    model_options=MUON.model_options | {"mirror": False},
    views="models.views.SixViews",
    claim=Claim(757_931, 24, 92.7),
    headline=True,
)
RECIPES = (FASTER, OPENED, SMOOTHED, UNDECAYED, MUON, SIX_VIEWS)
