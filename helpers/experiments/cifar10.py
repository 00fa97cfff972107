"""The recipes for CIFAR-10."""

from dataclasses import replace

from helpers.data.known import KNOWN
from helpers.experiments.recipe import Claim, Recipe

CROP_FLIP_CUTOUT = (
    ("RandomCrop", {"padding": 4}),
    ("RandomHorizontalFlip", {}),
    ("Cutout", {"size": 8, "fill": [*KNOWN["cifar10"].mean]}),
)
RESNET9 = Recipe(
    "cifar-resnet9",
    "ResNet9",
    epochs=24,
    peak_epoch=5,
    data="cifar10",
    batch_size=512,
    learning_rate=0.025,
    weight_decay=8e-3,
    annihilate=False,
    augment=CROP_FLIP_CUTOUT,
    mixed=True,
    headline=True,
    claim=Claim(6_573_130, 24, 94.0),
    title="ResNet-9 as document 002 was assigned it",
)
ANNIHILATED = replace(
    RESNET9,
    name="cifar-resnet9-annihilate",
    annihilate=True,
    claim=None,
    headline=False,
    baseline=RESNET9.name,
    title="the rate falls on to almost nothing",
)
CIFAR = [RESNET9, ANNIHILATED]
for name, title, changed in (  # they add up: each is compared with the one before
    ("scaled", "logits times 0.125", {"model_options": {"scale": 0.125}}),
    (
        "rate",
        "logits times 0.125, a highest rate of 0.4, a weight decay of 0.0005",
        {"learning_rate": 0.4, "weight_decay": 5e-4},
    ),
    (
        "reflect",
        "mirrored pixels instead of black ones around the image",
        {"augment": (("RandomCrop", {"padding": 4, "mode": "reflect"}), *CROP_FLIP_CUTOUT[1:])},
    ),
    ("smooth", "label smoothing 0.2", {"label_smoothing": 0.2}),
    ("decay", "no weight decay on biases and normalisations", {"decay_all": False}),
    ("average", "weights averaged over the last epoch", {"average": 0.99}),
    (
        "best",
        "the mean of an image and its mirror image when measured",
        {
            "model_options": {"scale": 0.125, "mirror": True},
            "claim": Claim(6_573_130, 24, 95.0),
            "headline": True,
        },
    ),
    (
        "grouped",
        "document 002's grouped version of that",
        {
            "model_options": {"grouped": True, "scale": 0.125, "mirror": True},
            "claim": Claim(757_931, 24, 92.0),
            "document": "50.23 % (best of 20 epochs)",
        },
    ),
):
    CIFAR.append(
        replace(
            CIFAR[-1], name=f"cifar-resnet9-{name}", title=title, baseline=CIFAR[-1].name, **changed
        )
    )
SHORT_CIFAR = tuple(
    replace(
        recipe.shortened(8),
        name=f"{recipe.name}-8",
        headline=False,
        baseline="",
        document="",
        claim=claim,
        title=f"{title}, eight epochs on a CPU",
    )
    for recipe, claim, title in (
        (CIFAR[-2], Claim(6_573_130, 8, 90.0), "ResNet-9 with all of these"),
        (CIFAR[-1], None, CIFAR[-1].title),
    )
)
MINUTES = replace(
    RESNET9.shortened(5),
    name="cifar-minutes",
    model_options={"width": 8},
    batch_size=128,
    claim=None,
    headline=False,
    learning_rate=0.1,
    weight_decay=5e-4,
    title="narrow: an eighth of ResNet-9's channels, five epochs",
)
NARROW = (
    MINUTES,
    *(
        replace(
            MINUTES,
            name=f"cifar-minutes-{name}",
            title=f"narrow: {title}",
            baseline=MINUTES.name,
            **changed,
        )
        for name, title, changed in (
            ("grouped", "grouped convolutions", {"model_options": {"width": 8, "grouped": True}}),
            ("annihilate", "the rate falls on to almost nothing", {"annihilate": True}),
            (
                "scaled",
                "logits times 0.125, rate 1",
                {"model_options": {"width": 8, "scale": 0.125}, "learning_rate": 1.0},
            ),
        )
    ),
)

RECIPES = (*CIFAR, *SHORT_CIFAR, *NARROW)
