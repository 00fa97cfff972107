"""The recipes for MNIST of session 06: residual nets, the range test, and depth."""

from typing import Any

from helpers.experiments.mnist_basics import SHORT
from helpers.experiments.mnist_ladder import MILD, MODERATE, STRONG
from helpers.experiments.recipe import Claim, Recipe, variant

RESIDUAL_NET = "models.residual.ResidualNet"

# Report 000's net, below 20,000 parameters, trained as rung 10 of session 04, for longer.
RESIDUAL = Recipe(
    "residual",
    RESIDUAL_NET,
    title="report 000's residual net, by session 04's recipe",
    epochs=20,
    batch_size=64,
    peak_epoch=4,
    optimizer="adamw",
    learning_rate=0.01,
    weight_decay=0.01,
    augment=MODERATE,
    average=0.999,
    claim=Claim(19_999, 20, 99.4, last_epochs=5),
    headline=True,
    document="98.93 % (40 epochs)",
)


def finalist(name: str, **changes: Any) -> Recipe:
    """The same net and epochs, in batches of 128 unless told otherwise."""
    return variant(RESIDUAL, f"residual-finalists/{name}", name, **({"batch_size": 128} | changes))


# Over three seeds: the best of the search before, which was the recipe until then, the same with a
# shear as in session 04, descent with momentum at a rate near the best of those that five epochs
# were tried at (3.16), what session 04's largest net is trained by, with its augmentation, and the
# recipe of its rung 10, which was taken.
FINALISTS = (
    finalist("AdamW, as it is", augment=MILD),
    finalist("AdamW, shear 5°"),
    finalist(
        "SGD, rate 2, decay 5e-5",
        optimizer="sgd",
        learning_rate=2.0,
        weight_decay=5e-5,
        augment=MILD,
    ),
    finalist(
        "SGD, rate 0.1, decay 5e-4, strong",
        optimizer="sgd",
        learning_rate=0.1,
        weight_decay=5e-4,
        augment=STRONG,
    ),
    finalist("AdamW, shear 5°, batches of 64", batch_size=64),
)


# A rate that a range test suggested, and four others, a factor of √10 apart.
FACTORS = {"tenth": 0.1, "third": 0.316, "triple": 3.16, "tenfold": 10.0}


def at_five_rates(recipe: Recipe) -> list[Recipe]:
    """The recipe at its own rate, which its title names, and at the four others around it."""
    words = recipe.title.removesuffix(f"{recipe.learning_rate:g}")
    recipes = [recipe]
    for name, factor in FACTORS.items():
        # Rounded, so that a record shows 0.00316 and not its last binary digits.
        rate = round(recipe.learning_rate * factor, 6)
        other = variant(
            recipe,
            f"{recipe.name}-{name}",
            f"{words}{rate:g}",
            learning_rate=rate,
        )
        recipes.append(other)
    return recipes


# The rates are the valley rule's for seed 0 over five orders of the data, with fastai's settings:
# 100 steps from 1e-7 to 10, a smoothing of 0.98.
RESIDUAL_5 = variant(
    SHORT,
    "residual-5",
    "report 000's net, five epochs, rate 0.01",
    model=RESIDUAL_NET,
    learning_rate=0.01,
    baseline="",
)
RESIDUAL_RATES = at_five_rates(RESIDUAL_5)
# A net without shortcuts, for comparison.
FIRST_5 = variant(
    SHORT,
    "first-5",
    "session 01's net, five epochs, rate 0.012",
    model="models.small.first_net",
    weight_decay=0.0,
    learning_rate=0.012,
    baseline="",
)
FIRST_RATES = at_five_rates(FIRST_5)

# Shortcuts with parameters, at the rate that was best without them.
TENFOLD = RESIDUAL_RATES[-1]
PROJECTED = variant(
    TENFOLD,
    "residual-5-conv",
    "a 1×1 convolution in shortcuts that change the shape",
    model_options={"shortcut": "conv"},
)


def plain_and_residual(blocks: int) -> list[Recipe]:
    """A net with so many blocks in each stage, without shortcuts and with them."""
    # Three stages of blocks of two layers, one layer before them, one behind.
    layers = 6 * blocks + 2
    plain = variant(
        SHORT,
        f"depth-{layers}",
        f"{layers} layers, no shortcuts",
        model=RESIDUAL_NET,
        model_options={"blocks": blocks, "shortcut": "none", "stride": 2},
        baseline="",
    )
    # The shortcuts have no parameters: both nets have equally many.
    residual = variant(
        plain,
        f"depth-{layers}-shortcuts",
        f"{layers} layers, with shortcuts",
        model_options={"blocks": blocks, "shortcut": "pad", "stride": 2},
    )
    return [plain, residual]


DEPTH_8 = plain_and_residual(blocks=1)
DEPTH_20 = plain_and_residual(blocks=3)
DEPTH_44 = plain_and_residual(blocks=7)

RECIPES = (
    RESIDUAL,
    *RESIDUAL_RATES,
    PROJECTED,
    *FIRST_RATES,
    *DEPTH_8,
    *DEPTH_20,
    *DEPTH_44,
)
