"""The page of all records, ``notebooks/results/README.md``: session by session, with origins."""

from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.recipe import Recipe
from helpers.experiments.tables import results_table

# The sessions that show records, and how the names of their recipes begin.
SESSIONS = {
    "01 · A first network": ("first", "starter"),
    "02 · A parameter budget": ("budget",),
    "03 · Receptive fields": ("field",),
    "04 and 05 · Under 8,000 parameters": ("ladder", "small", "tiny", "large", "pointwise"),
    "06 · A residual net": ("residual", "depth", "first-5"),
    "07 · CIFAR-10": ("cifar",),
    "08 · Speed": ("speed",),
}

INTRODUCTION = """# All results

Every recipe of the course, session by session. An accuracy is the mean and the sample standard
deviation over n seeds, measured on all test images after the last epoch; all training images were
used. Recipes were chosen on a validation split of the training images ([trials](search)), where
test images are not even read. There are two exceptions. One is a rate that session 06 names: that
of its nets of five epochs was the best of five on the test images. The other is the ten epochs of
session 08's `speed-cpu-longer`: they were settled on once the test accuracy of eight was known. Of
the two nets of session 01, and of the rates of session 08, no trials are recorded.

Each row's command makes its record: it goes on where it was stopped, and with `--fresh` it begins
anew. The column "recorded" says when, on what, and from which commit; a `+` behind a commit says
that the code differed from it.

This page is written by `python -m helpers results`.
"""


def session_of(recipe: Recipe) -> str:
    """The session whose records a recipe belongs to; ``KeyError`` where there is none."""
    # The longest beginning counts: first-5 belongs to another session than first.
    found = {}
    for session, beginnings in SESSIONS.items():
        for beginning in beginnings:
            if recipe.name.startswith(beginning):
                found[len(beginning)] = session
    if not found:
        raise KeyError(recipe.name)
    return found[max(found)]


def ledger() -> str:
    """The whole page."""
    # In the order of the catalogue, so that a recipe follows the one that it changes.
    recipes: dict[str, list[Recipe]] = {session: [] for session in SESSIONS}
    for recipe in EXPERIMENTS.values():
        recipes[session_of(recipe)].append(recipe)
    parts = [INTRODUCTION]
    for session, rows in recipes.items():
        parts.append(f"## {session}\n\n{results_table(rows).markdown()}\n")
    return "\n".join(parts)
