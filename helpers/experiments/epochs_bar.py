"""The bar of several trainings: it counts their epochs, and weighs each by its arithmetic.

Where images grow from epoch to epoch, the last epoch takes longer than the first, and a bar that
took them for equal would promise an end that is too early.
"""

import sys
from collections.abc import Sequence

from helpers.data.growing import size_in
from helpers.experiments.recipe import Recipe
from helpers.training.output import epoch_line, progress

# What is counted is no whole number, so only its share is shown.
FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"


def shares_of_work(recipe: Recipe) -> list[float]:
    """The arithmetic of every epoch; with images of the largest size it is 1.

    That of a convolution is proportional to the area of its maps, and so to that of the images.
    """
    sizes: Sequence[int] = recipe.options.get("sizes", [1])
    shares = []
    for epoch in range(recipe.epochs):
        size = size_in(epoch, sizes, recipe.epochs)
        shares.append((size / max(sizes)) ** 2)
    return shares


class EpochsBar:
    """A bar over all epochs of several trainings, of which ``recipes`` has one entry each."""

    def __init__(self, recipes: Sequence[Recipe]) -> None:
        self.epochs = sum(recipe.epochs for recipe in recipes)
        self.done: dict[tuple[str, int], int] = {}  # epochs, by the recipe's name and the seed
        work = sum(sum(shares_of_work(recipe)) for recipe in recipes)
        self.bar = progress(None, self.label(), total=work, bar_format=FORMAT)

    def label(self) -> str:
        """What stands before the bar."""
        return f"epoch {sum(self.done.values())} of {self.epochs}"

    def show(self, recipe: Recipe, seed: int, row: dict[str, float]) -> None:
        """Print a finished epoch, of which ``row`` is the row in the history, and move the bar.

        An earlier run may have finished the epochs before it: nobody has waited for them here.
        """
        epoch = int(row["epoch"])
        line = epoch_line(row, recipe.epochs)
        self.bar.write(f"{recipe.name}, seed {seed}: {line}", file=sys.stdout)
        self.bar.total -= self.work_until(recipe, seed, epoch - 1)
        self.bar.update(self.work_until(recipe, seed, epoch))

    def ended(self, recipe: Recipe, seed: int) -> None:
        """A training has ended; epochs that it has not shown were finished by an earlier run."""
        self.bar.total -= self.work_until(recipe, seed, recipe.epochs)
        self.bar.refresh()

    def work_until(self, recipe: Recipe, seed: int, epoch: int) -> float:
        """Take so many epochs for done, and return the work of those that were not before."""
        key = recipe.name, seed
        before = self.done.get(key, 0)
        self.done[key] = epoch
        self.bar.set_description_str(self.label(), refresh=False)
        return sum(shares_of_work(recipe)[before:epoch])

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()
