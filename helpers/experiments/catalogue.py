"""Every recipe that is recorded, by its name."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from helpers.environment import smoke, unknown
from helpers.experiments import (
    cifar10,
    cifar10_assigned,
    cifar10_best,
    cifar10_grouped,
    cifar10_searches,
    mnist_basics,
    mnist_frontier,
    mnist_ladder,
    mnist_residual,
    ranges,
    speed,
    speed_searches,
)
from helpers.experiments.cifar10_searches import at_rates
from helpers.experiments.recipe import Recipe

# What one command records together, on a GPU.
ON_A_GPU = (
    *cifar10.ON_A_GPU,
    *cifar10_assigned.RECIPES,
    *cifar10_best.RECIPES,
    *cifar10_grouped.RECIPES,
)
GROUPS = {
    "cifar": [recipe.name for recipe in ON_A_GPU],
    "speed-rows": [recipe.name for recipe in speed.ON_A_GPU],
    "speed-minutes-rows": [recipe.name for recipe in speed.IN_MINUTES],
}
# What is recorded on a GPU alone, one command for all of a group.
GPU_GROUPS = ("cifar", "speed-rows")

# Whose seconds are a result: those of two cores that do nothing else.
TIMED = (
    "speed-minutes-rows",
    *(recipe.name for recipe in (*speed.ON_A_CPU, speed.FLOAT32, *speed.IN_MINUTES)),
)

# The page of all results has its rows in this order.
RECIPES = (
    *mnist_basics.RECIPES,
    *mnist_ladder.RECIPES,
    *mnist_residual.RECIPES,
    *ON_A_GPU,
    *cifar10.IN_HOURS,
    *cifar10.IN_MINUTES,
    *speed.RECIPES,
)
EXPERIMENTS = {recipe.name: recipe for recipe in RECIPES}

# What makes a net of millions of parameters narrow, for practice data.
NARROW: dict[str, dict[str, Any]] = {
    "models.resnet9.ResNet9": {"width": 4},
    "models.speed.SpeedNet": {"widths": [4, 8, 8]},
}


def to_record(name: str, seeds: int) -> str:
    """The command that records a recipe, or a group, over so many seeds."""
    command = f"python -m helpers experiment {name} --seeds {seeds}"
    # Where seconds count, all cores train one seed after the other.
    if name in TIMED:
        command += " --jobs 1"
    return command


def at_decays(recipes: Sequence[Recipe], decays: Sequence[float]) -> tuple[Recipe, ...]:
    """Each of these recipes at each of these weight decays, with names that tell them apart."""
    candidates = []
    for recipe in recipes:
        for decay in decays:
            name = f"{recipe.name}, decay {decay}"
            candidates.append(replace(recipe, name=name, weight_decay=decay))
    return tuple(candidates)


def range_searches() -> dict[str, tuple[Recipe, ...]]:
    """The nets that the range test is measured on, each at its rates."""
    found = {}
    for name, recipe in ranges.NETS.items():
        found[recipe.name] = at_rates(recipe, ranges.RATES[name])
    return found


# The candidates of searches that have no record yet, by the search's name; a search that is
# recorded is defined by its record.
SEARCHES: dict[str, tuple[Recipe, ...]] = {
    "budget-5-constant": at_rates(mnist_basics.SHORT_CONSTANT, (0.003, 0.01, 0.02, 0.05, 0.1)),
    "budget-5-he": at_rates(
        mnist_basics.SHORT_HE, (0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
    ),
    # The schedules of session 04: each at its own best rate.
    "ladder-step": at_rates(mnist_ladder.STEPPED, (0.003, 0.01, 0.03, 0.06, 0.1)),
    "ladder-onecycle": at_rates(mnist_ladder.CYCLED, (0.01, 0.03, 0.1, 0.2, 0.4)),
    # AdamW's rates came before the search for the augmentation, so with session 02's.
    "ladder-adamw": at_decays(
        at_rates(
            replace(mnist_ladder.ADAPTIVE, augment=mnist_ladder.STRONG),
            (0.001, 0.003, 0.01, 0.03, 0.1),
        ),
        (0.01, 0.1),
    ),
    # The frontier: a better recipe for report 003's net, and the best below 3,500 parameters.
    "frontier-small": mnist_frontier.SMALLEST,
    "frontier-separable": mnist_frontier.SEPARABLE,
    "frontier-finalists": mnist_frontier.FEWER_FINALISTS,
    "frontier-pointwise": mnist_frontier.POINTWISE_FORMS,
    "frontier-best": mnist_frontier.BEST_FORMS,
    "frontier-large": mnist_frontier.LARGE_FORMS,
    # Session 06: the residual net's last candidates, the nets of 44 layers each at its own rate,
    # and what the range test's answer is compared with.
    "residual-finalists": mnist_residual.FINALISTS,
    "depth-44": (
        *at_rates(mnist_residual.DEPTH_44[0], (0.03, 0.1, 0.3)),
        *at_rates(mnist_residual.DEPTH_44[1], (0.03, 0.1, 0.3)),
    ),
    **range_searches(),
    **cifar10_searches.SEARCHES,
    **speed_searches.SEARCHES,
}


def find(name: str) -> Recipe:
    """The recipe of that name; in the fast profile two epochs of a narrow net.

    Raises ``CourseError`` for an unknown name.
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, [*EXPERIMENTS, *GROUPS])
    recipe = EXPERIMENTS[name]
    if smoke():
        return for_practice(recipe, 2)
    return recipe


def for_practice(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe over few epochs, for practice data; nets of millions with a few channels."""
    # Millions of parameters are too many for a test.
    short = recipe.shortened(epochs)
    narrow = NARROW.get(recipe.model, {})
    return replace(short, model_options=recipe.model_options | narrow)
