"""The recipes for MNIST."""

from dataclasses import replace

from helpers import augment
from helpers.experiments.recipe import Claim, Recipe, Steps


def affine(degrees: float, shift: float, scale: float, shear: float = 0.0) -> Steps:
    """The one augmentation step of the small nets: largest rotation, shift, change of scale and shear."""
    return (
        (
            "RandomAffine",
            {
                "degrees": degrees,
                "translate": [shift, shift],
                "scale": [1 - scale, 1 + scale],
                "shear": shear,
            },
        ),
    )


BUDGET = Recipe(
    "budget",
    "budget_net",
    epochs=19,
    peak_epoch=4,
    augment=affine(8, 0.08, 0.08, 5),
    weight_decay=5e-4,
    average=0.999,
    claim=Claim(19_999, 19, 99.4, last_epochs=5),
    headline=True,
    title="document 001's net: augmentation, one-cycle, averaged weights",
)
SHORT = Recipe(
    "budget-5",
    "budget_net",
    epochs=5,
    peak_epoch=1.5,
    title="document 001's net, five epochs, no augmentation",
)

FIRST = Recipe(
    "first",
    "first_net",
    epochs=3,
    peak_epoch=1,
    weight_decay=0.0,
    claim=Claim(10_000, 3, 98.0),
    title="session 01's first net: four convolutions, three epochs",
)

FIELDS = {
    11: (),
    16: (3,),
    24: (2, 4),
    34: (1, 2),
    54: (1, 2, 3),
}  # receptive field in pixels: where field_net pools
LADDER = Recipe(
    "ladder-basic",
    "basic_net",
    epochs=15,
    batch_size=64,
    learning_rate=0.01,
    nesterov=False,
    peak_epoch=3,
    weight_decay=0.0,
    schedule="constant",
    claim=Claim(7_999, 15, 99.4, last_epochs=5),
    document="99.25 % (best epoch)",
    title="basic: three convolutions before the pooling, three after it",
)
DROPOUT = replace(
    LADDER,
    name="ladder-dropout",
    model_options={"dropout": 0.05},
    baseline="ladder-basic",
    document="99.29 % (best epoch)",
    title="dropout of 0.05 after every convolution",
)
EARLY = replace(
    DROPOUT,
    name="ladder-pool",
    model="early_pool_net",
    baseline="ladder-dropout",
    document="99.35 % (best epoch)",
    title="pooling and 1×1 convolutions moved to a field of 5×5",
)
STEPPED = replace(
    EARLY,
    name="ladder-step",
    schedule="step",
    gamma=0.3,
    learning_rate=0.03,
    baseline="ladder-pool",
    document="99.43 % (best epoch)",
    title="StepLR: the rate times 0.3 every six epochs",
)
CYCLED = replace(
    EARLY,
    name="ladder-onecycle",
    schedule="one_cycle",
    learning_rate=0.1,
    baseline="ladder-step",
    document="",
    title="the one-cycle schedule instead of StepLR",
)
MOVED = replace(
    CYCLED,
    name="ladder-augment",
    augment=affine(8, 0.08, 0.08, 5),
    baseline="ladder-onecycle",
    document="99.50 % (best epoch)",
    title="augmentation: rotation, shift, scale and shear",
)
AVERAGED = replace(
    MOVED,
    name="ladder-average",
    model_options={},
    optimizer="adamw",
    learning_rate=0.01,
    weight_decay=0.01,
    average=0.999,
    baseline="ladder-augment",
    document="",
    title="our recipe: AdamW, averaged weights, no dropout",
)
FEWER = replace(
    AVERAGED,
    name="ladder-fewer",
    model="compact_net",
    headline=True,
    baseline="ladder-average",
    document="99.45 % (best epoch)",
    title="fewer parameters: document 003's final net",
)
UNMOVED = replace(
    FEWER,
    name="ladder-fewer-unmoved",
    augment=(),
    baseline="ladder-fewer",
    headline=False,
    document="",
    title="the final net without augmentation",
)
SMALL = replace(
    AVERAGED,
    name="small",
    model="budget_net",
    model_options={"widths": [4, 4, 6, 8, 8, 10, 9]},
    claim=Claim(3_999, 15, 99.4, last_epochs=5),
    baseline="",
    title="document 001's net with fewer channels",
)
TINY = replace(
    SMALL,
    name="tiny",
    model_options={"widths": [4] * 7},
    claim=None,
    title="four channels everywhere",
)
BEST = replace(
    BUDGET,
    name="ladder-best",
    epochs=15,
    peak_epoch=3,
    model_options={"widths": [4, 4, 8, 10, 10, 16, 18]},
    claim=LADDER.claim,
    headline=False,
    title="document 001's net and recipe, below 8,000 parameters",
)
LARGE = replace(
    BUDGET,
    name="large",
    epochs=20,
    model_options={"widths": [8, 8, 16, 16, 16, 24, 24]},
    headline=False,
    claim=Claim(19_999, 20, 99.6),
    title="document 001's net with more channels",
)
POINTWISE = replace(
    LADDER,
    name="pointwise-document",
    model="PointwiseNet",
    batch_size=128,
    augment=augment.DOCUMENT_004,
    document="99.42 % (last epoch of one run)",
    title="document 004's net and recipe: a constant rate",
)
POINTWISE_STEP = replace(
    POINTWISE,
    name="pointwise-step",
    schedule="step",
    baseline="pointwise-document",
    document="",
    title="with the step() that document 004 left commented out",
)
POINTWISE_OURS = replace(
    AVERAGED,
    name="pointwise",
    model="PointwiseNet",
    model_options={"dropout": 0.0},
    baseline="pointwise-document",
    title="document 004's net, our recipe",
)
RESIDUAL = replace(
    BEST,
    name="residual",
    model="ResidualNet",
    model_options={},
    epochs=20,
    peak_epoch=4,
    optimizer="adamw",
    learning_rate=0.01,
    weight_decay=0.01,
    augment=affine(6, 0.05, 0.05),
    claim=Claim(19_999, 20, 99.4, 5),
    headline=True,
    document="98.93 % (40 epochs)",
    title="document 000's residual net: AdamW, mild augmentation",
)


def at_five_rates(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipe at the rate that a range test suggested, and at four others, a factor of √10 apart."""
    factors = {"tenth": 0.1, "third": 0.316, "triple": 3.16, "tenfold": 10.0}
    return recipe, *(
        replace(
            recipe,
            name=f"{recipe.name}-{name}",
            baseline=recipe.name,
            learning_rate=round(recipe.learning_rate * factor, 6),
            title=f"{recipe.title}, times {factor:g}",
        )
        for name, factor in factors.items()
    )


# the rates are the valley rule's for seed 0, over five orders of the data: session 06 shows the test
RESIDUAL_RATES = at_five_rates(
    replace(
        SHORT,
        name="residual-5",
        model="ResidualNet",
        learning_rate=0.01,
        title="document 000's net, five epochs at the suggested rate",
    )
)
FIRST_RATES = at_five_rates(
    replace(
        SHORT,
        name="first-5",
        model="first_net",
        weight_decay=0.0,
        learning_rate=0.012,
        title="session 01's net, five epochs at the suggested rate",
    )
)
PROJECTED = replace(
    RESIDUAL_RATES[-1],
    name="residual-5-conv",
    model_options={"shortcut": "conv"},
    baseline="residual-5-tenfold",
    title="a 1×1 convolution in shortcuts that change the shape",
)
DEEP = tuple(
    replace(
        SHORT,
        name=f"depth-{6 * blocks + 2}{end}",
        baseline=end and f"depth-{6 * blocks + 2}",
        model="ResidualNet",
        title=f"{6 * blocks + 2} layers, {'with' if end else 'no'} shortcuts",
        model_options={"blocks": blocks, "shortcut": "pad" if end else "none", "stride": 2},
    )
    for blocks in (1, 3, 7)
    for end in ("", "-shortcuts")
)

RECIPES = (
    FIRST,
    replace(
        FIRST,
        name="first-fast",
        learning_rate=0.2,
        claim=None,
        baseline="first",
        title="twice the learning rate",
    ),
    replace(
        FIRST,
        name="first-slow",
        learning_rate=0.001,
        claim=None,
        baseline="first",
        title="a hundredth of the learning rate",
    ),
    replace(
        FIRST,
        name="first-one-epoch",
        epochs=1,
        peak_epoch=1 / 3,
        claim=None,
        baseline="first",
        title="one epoch instead of three",
    ),
    BUDGET,
    SHORT,
    replace(
        SHORT,
        name="budget-5-wide",
        model="wide_net",
        baseline="budget-5",
        title="four wide convolutions instead of eight narrow ones",
    ),
    replace(
        SHORT,
        name="budget-5-no-norm",
        model_options={"batch_norm": False},
        learning_rate=0.01,
        baseline="budget-5",
        title="without batch normalisation, at its own best rate",
    ),
    replace(
        SHORT,
        name="budget-5-constant",
        schedule="constant",
        baseline="budget-5",
        title="a constant learning rate",
    ),
    *(
        replace(
            SHORT,
            name=f"field-{pixels}",
            model="field_net",
            model_options={"pools": list(pools)},
            baseline="field-11" if pools else "",
            claim=Claim(4_999, 5, 99.0) if pixels == 34 else None,
            title=f"sees {pixels} pixels: pools after {' and '.join(map(str, pools)) or 'none'} of five convolutions",
        )
        for pixels, pools in FIELDS.items()
    ),
    LADDER,
    DROPOUT,
    EARLY,
    STEPPED,
    CYCLED,
    MOVED,
    AVERAGED,
    FEWER,
    UNMOVED,
    BEST,
    SMALL,
    TINY,
    LARGE,
    POINTWISE,
    POINTWISE_STEP,
    POINTWISE_OURS,
    RESIDUAL,
    *RESIDUAL_RATES,
    PROJECTED,
    *FIRST_RATES,
    *DEEP,
)
