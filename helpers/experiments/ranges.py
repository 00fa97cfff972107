"""The nets on which the range test is measured, and the rates that its answer is compared with.

They differ in what decides how high a rate may be: normalisation, the size of the logits, the
optimizer, and the data. Each is trained over five epochs at rates a factor of √10 apart.
"""

from helpers.experiments.cifar10 import NARROW, NARROW_SCALED
from helpers.experiments.mnist_basics import SHORT_HE
from helpers.experiments.mnist_ladder import FEWER
from helpers.experiments.mnist_residual import FIRST_5, RESIDUAL_5
from helpers.experiments.recipe import Recipe, variant

PREFIX = "range-"


def net_of(recipe: Recipe, name: str, title: str) -> Recipe:
    """The recipe over five epochs, under the name of its search, compared with nothing."""
    return variant(recipe.shortened(5), PREFIX + name, title, baseline="")


# By the name that the command ``range-test`` takes. (Session 02's net without batch norm does not
# learn from torch's own first weights, at any of six rates: the search "range-budget-plain".)
NETS = {
    "residual": net_of(RESIDUAL_5, "residual", "report 000's net, batch norm, SGD"),
    "first": net_of(FIRST_5, "first", "session 01's net, no normalisation, SGD"),
    "budget-he": net_of(SHORT_HE, "budget-he", "session 02's net, He's weights, no batch norm"),
    "compact": net_of(FEWER, "compact", "session 04's net of 6,084, AdamW"),
    "narrow": net_of(NARROW, "narrow", "narrow ResNet-9, CIFAR-10, SGD"),
    "scaled": net_of(NARROW_SCALED, "scaled", "narrow ResNet-9, logits times 0.125"),
}


def half_decades(first: float, count: int) -> tuple[float, ...]:
    """``count`` rates, each a factor of √10 above the one before; the first is 10 to the ``first``.

    They are rounded to three digits, so that a name reads 0.316.
    """
    rates = []
    for number in range(count):
        rates.append(float(f"{10 ** (first + number / 2):.3g}"))
    return tuple(rates)


# They are to end on both sides of the best one. Without normalisation the highest ones diverge.
RATES = {
    "residual": half_decades(-2, 7),
    "first": half_decades(-2.5, 6),
    "budget-he": half_decades(-3, 6),
    "compact": half_decades(-3.5, 7),
    "narrow": half_decades(-2.5, 7),
    "scaled": half_decades(-1.5, 7),
}
