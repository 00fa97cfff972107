"""Every recipe that is recorded, by its name."""

from dataclasses import replace

from helpers.environment import smoke, unknown
from helpers.experiments import cifar10, mnist
from helpers.experiments.recipe import Recipe

EXPERIMENTS = {recipe.name: recipe for recipe in (*mnist.RECIPES, *cifar10.RECIPES)}
# candidates of searches that have no record yet, by the search's name; a recorded search is defined by its record
SEARCHES: dict[str, tuple[Recipe, ...]] = {}
GROUPS = {"cifar": [recipe.name for recipe in cifar10.CIFAR]}  # recorded together, on a GPU


def find(name: str) -> Recipe:
    """The recipe of that name; in the smoke profile two epochs of a narrow net. An unknown one is a ``CourseError``."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, [*EXPERIMENTS, *GROUPS])
    return quick(EXPERIMENTS[name], 2) if smoke() else EXPERIMENTS[name]


def quick(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe over few epochs, for practice data; of ResNet-9 a sixteenth of the channels."""
    narrow = (
        recipe.model_options | {"width": 4} if recipe.model == "ResNet9" else recipe.model_options
    )
    return replace(recipe.shortened(epochs), model_options=narrow)
