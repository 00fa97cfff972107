"""The recipes that are recorded, session by session, each by its name."""

from dataclasses import replace

from helpers import augment
from helpers.environment import smoke, unknown
from helpers.recipe import Claim, Recipe, Steps
from helpers.sources import KNOWN


def affine(degrees: float, shift: float, scale: float, shear: float = 0.0) -> Steps:
    """The one augmentation step of the small nets: largest rotation, shift, change of scale and shear."""
    return (("RandomAffine", {"degrees": degrees, "translate": [shift, shift], "scale": [1 - scale, 1 + scale],
                              "shear": shear}),)


BUDGET = Recipe("budget", "budget_net", epochs=19, peak_epoch=4, augment=affine(8, 0.08, 0.08, 5), weight_decay=5e-4,
                average=0.999, claim=Claim(19_999, 19, 99.4, last_epochs=5), headline=True,
                title="document 001's net: augmentation, one-cycle, averaged weights")
SHORT = Recipe("budget-5", "budget_net", epochs=5, peak_epoch=1.5,
               title="document 001's net, five epochs, no augmentation")

FIRST = Recipe("first", "first_net", epochs=3, peak_epoch=1, weight_decay=0.0, claim=Claim(10_000, 3, 98.0),
               title="session 01's first net: four convolutions, three epochs")

FIELDS = {11: (), 16: (3,), 24: (2, 4), 34: (1, 2), 54: (1, 2, 3)}  # receptive field in pixels: where field_net pools
LADDER = Recipe("ladder-basic", "basic_net", epochs=15, batch_size=64, learning_rate=0.01, nesterov=False, peak_epoch=3,
                weight_decay=0.0, schedule="constant", claim=Claim(7_999, 15, 99.4, last_epochs=5),
                document="99.25 % (best epoch)", title="basic: three convolutions before the pooling, three after it")
DROPOUT = replace(LADDER, name="ladder-dropout", model_options={"dropout": 0.05}, baseline="ladder-basic",
                  document="99.29 % (best epoch)", title="dropout of 0.05 after every convolution")
EARLY = replace(DROPOUT, name="ladder-pool", model="early_pool_net", baseline="ladder-dropout",
                document="99.35 % (best epoch)", title="pooling and 1×1 convolutions moved to a field of 5×5")
STEPPED = replace(EARLY, name="ladder-step", schedule="step", gamma=0.3, learning_rate=0.03, baseline="ladder-pool",
                  document="99.43 % (best epoch)", title="StepLR: the rate times 0.3 every six epochs")
CYCLED = replace(EARLY, name="ladder-onecycle", schedule="one_cycle", learning_rate=0.1, baseline="ladder-step",
                 document="", title="the one-cycle schedule instead of StepLR")
MOVED = replace(CYCLED, name="ladder-augment", augment=affine(8, 0.08, 0.08, 5), baseline="ladder-onecycle",
                document="99.50 % (best epoch)", title="augmentation: rotation, shift, scale and shear")
AVERAGED = replace(MOVED, name="ladder-average", model_options={}, optimizer="adamw", learning_rate=0.01,
                   weight_decay=0.01, average=0.999, baseline="ladder-augment", document="",
                   title="our recipe: AdamW, averaged weights, no dropout")
FEWER = replace(AVERAGED, name="ladder-fewer", model="compact_net", headline=True, baseline="ladder-average",
                document="99.45 % (best epoch)", title="fewer parameters: document 003's final net")
UNMOVED = replace(FEWER, name="ladder-fewer-unmoved", augment=(), baseline="ladder-fewer", headline=False, document="",
                  title="the final net without augmentation")
SMALL = replace(AVERAGED, name="small", model="budget_net", model_options={"widths": [4, 4, 6, 8, 8, 10, 9]},
                claim=Claim(3_999, 15, 99.4, last_epochs=5), baseline="",
                title="document 001's net with fewer channels")
TINY = replace(SMALL, name="tiny", model_options={"widths": [4] * 7}, claim=None, title="four channels everywhere")
BEST = replace(BUDGET, name="ladder-best", epochs=15, peak_epoch=3, model_options={"widths": [4, 4, 8, 10, 10, 16, 18]},
               claim=LADDER.claim, headline=False, title="document 001's net and recipe, below 8,000 parameters")
LARGE = replace(BUDGET, name="large", epochs=20, model_options={"widths": [8, 8, 16, 16, 16, 24, 24]}, headline=False,
                claim=Claim(19_999, 20, 99.6), title="document 001's net with more channels")
POINTWISE = replace(LADDER, name="pointwise-document", model="PointwiseNet", batch_size=128,
                    augment=augment.DOCUMENT_004, document="99.42 % (last epoch of one run)",
                    title="document 004's net and recipe: a constant rate")
POINTWISE_STEP = replace(POINTWISE, name="pointwise-step", schedule="step", baseline="pointwise-document", document="",
                         title="with the step() that document 004 left commented out")
POINTWISE_OURS = replace(AVERAGED, name="pointwise", model="PointwiseNet", model_options={"dropout": 0.0},
                         baseline="pointwise-document", title="document 004's net, our recipe")
RESIDUAL = replace(BEST, name="residual", model="ResidualNet", model_options={}, epochs=20, peak_epoch=4,
                   optimizer="adamw", learning_rate=0.01, weight_decay=0.01, augment=affine(6, 0.05, 0.05),
                   claim=Claim(19_999, 20, 99.4, 5), headline=True, document="98.93 % (40 epochs)",
                   title="document 000's residual net: AdamW, mild augmentation")


def at_five_rates(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipe at the rate that a range test suggested, and at four others, a factor of √10 apart."""
    factors = {"tenth": 0.1, "third": 0.316, "triple": 3.16, "tenfold": 10.0}
    return recipe, *(replace(recipe, name=f"{recipe.name}-{name}", baseline=recipe.name,
                             learning_rate=round(recipe.learning_rate * factor, 6),
                             title=f"{recipe.title}, times {factor:g}")
                     for name, factor in factors.items())


# the rates are the valley rule's for seed 0, over five orders of the data: session 06 shows the test
RESIDUAL_RATES = at_five_rates(replace(SHORT, name="residual-5", model="ResidualNet", learning_rate=0.01,
                                       title="document 000's net, five epochs at the suggested rate"))
FIRST_RATES = at_five_rates(replace(SHORT, name="first-5", model="first_net", weight_decay=0.0, learning_rate=0.012,
                                    title="session 01's net, five epochs at the suggested rate"))
PROJECTED = replace(RESIDUAL_RATES[-1], name="residual-5-conv", model_options={"shortcut": "conv"},
                    baseline="residual-5-tenfold", title="a 1×1 convolution in shortcuts that change the shape")
DEEP = tuple(replace(SHORT, name=f"depth-{6 * blocks + 2}{end}", baseline=end and f"depth-{6 * blocks + 2}",
                     model="ResidualNet", title=f"{6 * blocks + 2} layers, {'with' if end else 'no'} shortcuts",
                     model_options={"blocks": blocks, "shortcut": "pad" if end else "none", "stride": 2})
             for blocks in (1, 3, 7) for end in ("", "-shortcuts"))

CROP_FLIP_CUTOUT = (("RandomCrop", {"padding": 4}), ("RandomHorizontalFlip", {}),
                    ("Cutout", {"size": 8, "fill": [*KNOWN["cifar10"].mean]}))
RESNET9 = Recipe("cifar-resnet9", "ResNet9", epochs=24, peak_epoch=5, data="cifar10", batch_size=512,
                 learning_rate=0.025, weight_decay=8e-3, annihilate=False, augment=CROP_FLIP_CUTOUT, mixed=True,
                 headline=True, claim=Claim(6_573_130, 24, 94.0), title="ResNet-9 as document 002 was assigned it")
ANNIHILATED = replace(RESNET9, name="cifar-resnet9-annihilate", annihilate=True, claim=None, headline=False,
                      baseline=RESNET9.name, title="the rate falls on to almost nothing")
CIFAR = [RESNET9, ANNIHILATED]
for name, title, changed in (  # they add up: each is compared with the one before
        ("scaled", "logits times 0.125", {"model_options": {"scale": 0.125}}),
        ("rate", "logits times 0.125, a highest rate of 0.4, a weight decay of 0.0005", {
            "learning_rate": 0.4, "weight_decay": 5e-4}),
        ("reflect", "mirrored pixels instead of black ones around the image", {
            "augment": (("RandomCrop", {"padding": 4, "mode": "reflect"}), *CROP_FLIP_CUTOUT[1:])}),
        ("smooth", "label smoothing 0.2", {"label_smoothing": 0.2}),
        ("decay", "no weight decay on biases and normalisations", {"decay_all": False}),
        ("average", "weights averaged over the last epoch", {"average": 0.99}),
        ("best", "the mean of an image and its mirror image when measured", {
            "model_options": {"scale": 0.125, "mirror": True}, "claim": Claim(6_573_130, 24, 95.0), "headline": True}),
        ("grouped", "document 002's grouped version of that", {
            "model_options": {"grouped": True, "scale": 0.125, "mirror": True}, "claim": Claim(757_931, 24, 92.0),
            "document": "50.23 % (best of 20 epochs)"})):
    CIFAR.append(replace(CIFAR[-1], name=f"cifar-resnet9-{name}", title=title, baseline=CIFAR[-1].name, **changed))
SHORT_CIFAR = tuple(replace(recipe.shortened(8), name=f"{recipe.name}-8", headline=False, baseline="", document="",
                            claim=claim, title=f"{title}, eight epochs on a CPU")
                    for recipe, claim, title in ((CIFAR[-2], Claim(6_573_130, 8, 90.0), "ResNet-9 with all of these"),
                                                 (CIFAR[-1], None, CIFAR[-1].title)))
MINUTES = replace(RESNET9.shortened(5), name="cifar-minutes", model_options={"width": 8}, batch_size=128, claim=None,
                  headline=False, learning_rate=0.1, weight_decay=5e-4,
                  title="narrow: an eighth of ResNet-9's channels, five epochs")
NARROW = (MINUTES, *(replace(MINUTES, name=f"cifar-minutes-{name}", title=f"narrow: {title}", baseline=MINUTES.name,
                             **changed) for name, title, changed in (
    ("grouped", "grouped convolutions", {"model_options": {"width": 8, "grouped": True}}),
    ("annihilate", "the rate falls on to almost nothing", {"annihilate": True}),
    ("scaled", "logits times 0.125, rate 1", {"model_options": {"width": 8, "scale": 0.125}, "learning_rate": 1.0}))))

EXPERIMENTS: dict[str, Recipe] = {recipe.name: recipe for recipe in (
    FIRST,
    replace(FIRST, name="first-fast", learning_rate=0.2, claim=None, baseline="first", title="twice the learning rate"),
    replace(FIRST, name="first-slow", learning_rate=0.001, claim=None, baseline="first",
            title="a hundredth of the learning rate"),
    replace(FIRST, name="first-one-epoch", epochs=1, peak_epoch=1 / 3, claim=None, baseline="first",
            title="one epoch instead of three"),
    BUDGET, SHORT, replace(SHORT, name="budget-5-wide", model="wide_net", baseline="budget-5",
            title="four wide convolutions instead of eight narrow ones"),
    replace(SHORT, name="budget-5-no-norm", model_options={"batch_norm": False}, learning_rate=0.01,
            baseline="budget-5", title="without batch normalisation, at its own best rate"),
    replace(SHORT, name="budget-5-constant", schedule="constant", baseline="budget-5",
            title="a constant learning rate"),
    *(replace(SHORT, name=f"field-{pixels}", model="field_net", model_options={"pools": list(pools)},
              baseline="field-11" if pools else "", claim=Claim(4_999, 5, 99.0) if pixels == 34 else None,
              title=f"sees {pixels} pixels: pools after {' and '.join(map(str, pools)) or 'none'} of five convolutions")
      for pixels, pools in FIELDS.items()),
    LADDER, DROPOUT, EARLY, STEPPED, CYCLED, MOVED, AVERAGED, FEWER, UNMOVED, BEST, SMALL, TINY, LARGE,
    POINTWISE, POINTWISE_STEP, POINTWISE_OURS, RESIDUAL, *RESIDUAL_RATES, PROJECTED, *FIRST_RATES, *DEEP,
    *CIFAR, *SHORT_CIFAR, *NARROW)}
# candidates of searches that have no record yet, by the search's name; a recorded search is defined by its record
SEARCHES: dict[str, tuple[Recipe, ...]] = {}
GROUPS = {"cifar": [recipe.name for recipe in CIFAR]}  # recorded together, on a GPU


def find(name: str) -> Recipe:
    """The recipe of that name; in the smoke profile two epochs of a narrow net. An unknown one is a ``CourseError``."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, [*EXPERIMENTS, *GROUPS])
    return quick(EXPERIMENTS[name], 2) if smoke() else EXPERIMENTS[name]


def quick(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe over few epochs, for practice data; of ResNet-9 a sixteenth of the channels."""
    narrow = recipe.model_options | {"width": 4} if recipe.model == "ResNet9" else recipe.model_options
    return replace(recipe.shortened(epochs), model_options=narrow)
