"""What the searches for session 08's recipes compare, on the validation split.

Three rates are looked for, each with the others where they are: Muon's, that of the last layer, and
that of the biases. The nets of a search are small enough that a GPU trains one in seconds.
"""

from collections.abc import Sequence
from dataclasses import replace

from helpers.experiments.cifar10_searches import at_options, candidate
from helpers.experiments.recipe import Recipe
from helpers.experiments.speed import CPU, GROWING_BATCHES, NO_MUON, SPEED


def at_head_rates(recipe: Recipe, factors: Sequence[float]) -> list[Recipe]:
    """The recipe with so many times the rate of its last layer, and all else as before.

    That is the rate of the biases, and by which share a step shrinks the weights.
    """
    candidates = []
    for factor in factors:
        # Both are told in terms of this rate, so they are divided by what it is multiplied with.
        options = recipe.options | {"bias_factor": recipe.options["bias_factor"] / factor}
        candidates.append(
            candidate(
                recipe,
                f"head {recipe.learning_rate * factor:g}",
                learning_rate=recipe.learning_rate * factor,
                weight_decay=recipe.weight_decay / factor,
                options=options,
            )
        )
    return candidates


def at_all_rates(recipe: Recipe, factors: Sequence[float]) -> list[Recipe]:
    """The recipe with so many times the rates of SGD; a step shrinks the weights as before."""
    candidates = []
    for factor in factors:
        # Their product is what counts for the weights.
        rate = recipe.learning_rate * factor
        decay = recipe.weight_decay / factor
        words = f"rate {rate:g}"
        candidates.append(candidate(recipe, words, learning_rate=rate, weight_decay=decay))
    return candidates


def around(recipe: Recipe) -> tuple[Recipe, ...]:
    """A recipe with Muon, and half and twice of each of its rates; of the decay, too."""
    muon = recipe.options["muon_rate"]
    bias = recipe.options["bias_factor"]
    decays = []
    for factor in (0.5, 2):
        decay = recipe.weight_decay * factor
        decays.append(candidate(recipe, f"decay {decay:g}", weight_decay=decay))
    return (
        recipe,
        *at_options(recipe, "muon_rate", (muon / 2, muon * 2)),
        *at_head_rates(recipe, (0.5, 2)),
        *at_options(recipe, "bias_factor", (bias / 4, bias * 2)),
        *decays,
    )


def smaller(widths: Sequence[int], sizes: Sequence[int], epochs: int) -> Recipe:
    """The recipe for a CPU with groups of these widths, and images of these sizes, in turn."""
    # The name says all that makes the difference, and is a line of the search's table.
    words = f"{'-'.join(map(str, widths))}, {'-'.join(map(str, sizes))} pixels, {epochs} epochs"
    return candidate(
        replace(CPU, batches=GROWING_BATCHES, epochs=epochs),
        words,
        model_options=CPU.model_options | {"widths": list(widths)},
        options=CPU.options | {"sizes": list(sizes)},
    )


# Where less arithmetic costs least: small images, narrow groups, or both with more epochs.
WHOLE, NARROW, LEAN = (64, 256, 256), (32, 256, 256), (64, 128, 256)
LESS_ARITHMETIC = (
    smaller(WHOLE, (24, 32), 8),
    smaller(WHOLE, (20, 24, 28, 32), 8),
    smaller(WHOLE, (20, 24, 28, 32), 10),
    smaller(WHOLE, (17, 25, 32), 10),
    smaller(WHOLE, (24, 28), 10),
    smaller(NARROW, (32,), 8),
    smaller(NARROW, (20, 24, 28, 32), 10),
    smaller(NARROW, (20, 24, 28, 32), 12),
    smaller(LEAN, (32,), 10),
    smaller(LEAN, (20, 24, 28, 32), 14),
)

# In this order they are worth a machine's minutes: what is chosen in one is used in the next.
SEARCHES: dict[str, tuple[Recipe, ...]] = {
    "speed-rates": around(SPEED),
    "speed-cpu-rates": around(CPU),
    "speed-arithmetic": LESS_ARITHMETIC,
    # A fair row without Muon has the best rate for it.
    "speed-sgd-rates": tuple(at_all_rates(NO_MUON, (0.25, 0.5, 1, 2))),
}
