"""What a recipe changes against the one that it is compared with, in words."""

import textwrap
from typing import Any

from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.recipe import Recipe

MOST_VALUES = 3  # changes with their values; of more than these only the names are said
WIDTH = 86  # letters of a line, so that it fits a cell's output

# How fields are called where the name alone would not be understood.
NAMES = {"model": "net", "augment": "augmentation", "average": "averaged weights"}

# What belongs to one choice alone: with another one such a field does nothing.
NEEDS = {
    "peak_epoch": ("schedule", "one_cycle"),
    "annihilate": ("schedule", "one_cycle"),
    "step_size": ("schedule", "step"),
    "gamma": ("schedule", "step"),
    "nesterov": ("optimizer", "sgd"),
}


def changed(name: str) -> str:
    """What a recipe changes against its baseline, as lines that can be printed."""
    new = EXPERIMENTS[name]
    words = changes(new, EXPERIMENTS[new.baseline])
    text = f"changed: {'; '.join(words) or 'nothing'}"
    return textwrap.fill(text, WIDTH, initial_indent="   ", subsequent_indent="      ")


def changes(new: Recipe, old: Recipe, most: int = MOST_VALUES) -> list[str]:
    """The settings that differ, each as ``name before → after``; of more than ``most`` the names.

    A setting that the new recipe does not use, such as the factor of another schedule, is left out.
    """
    mine, theirs = new.hyperparameters(), old.hyperparameters()
    names = []
    words = []
    for field, after in mine.items():
        before = theirs[field]
        if field == "name" or before == after or not is_used(field, mine):
            continue
        if field == "model_options":
            option_names, option_words = option_changes(before, after)
            names += option_names
            words += option_words
            continue
        called = NAMES.get(field, field.replace("_", " "))
        names.append(called)
        # What the old recipe did not use has nothing to be changed from.
        if is_used(field, theirs):
            words.append(f"{called} {in_words(before)} → {in_words(after)}")
        else:
            words.append(f"{called} {in_words(after)}")
    if len(words) > most:
        return names
    return words


def is_used(field: str, settings: dict[str, Any]) -> bool:
    """Whether a field does anything, with these settings."""
    if field not in NEEDS:
        return True
    choice, value = NEEDS[field]
    return settings[choice] == value


def option_changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The options of a net that differ: their names, and their changes in words."""
    names = []
    words = []
    for option in dict.fromkeys([*before, *after]):
        if option not in after:
            words.append(f"no {option}")
        elif option not in before:
            words.append(f"{option} {after[option]}")
        elif before[option] != after[option]:
            words.append(f"{option} {before[option]} → {after[option]}")
        else:
            continue
        names.append(option)
    return names, words


def in_words(value: Any) -> str:
    """A setting as a reader sees it: a net without its path, transforms by what they do."""
    if isinstance(value, list):
        return ", ".join(moved(step) for step in value) or "none"
    if isinstance(value, str) and "." in value:
        return value.rpartition(".")[2]
    return str(value)


def moved(step: list[Any]) -> str:
    """A transform in words: how far it moves an image, or its name where it does something else."""
    name, options = step
    if name != "RandomAffine" or "scale" not in options or "translate" not in options:
        return str(name)
    shift = 100 * options["translate"][0]
    scale = 100 * (options["scale"][1] - 1)
    text = f"turn {options['degrees']:g}°, shift {shift:g} %, scale {scale:.3g} %"
    if options.get("shear"):
        text += f", shear {options['shear']:g}°"
    return text
