"""Learning rates: a schedule step by step, and the range test that looks for the highest one."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError, unknown
from helpers.lr_finder import LRRangeTest
from helpers.lr_finder.rules import RULES
from helpers.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SMALL,
    label_axes,
    next_color,
    number_array,
    one_axes,
    require,
    require_count,
    with_note,
)


def plot_schedule(
    lrs: Sequence[float],
    steps_per_epoch: int | None = None,
    ax: Axes | None = None,
    label: str | None = None,
) -> Axes:
    """The learning rate of every step, held until the next one.

    ``lrs``: one rate for each step; with ``steps_per_epoch`` the axis counts epochs. With a
    ``label`` several schedules fit in one Axes, else the title says where the rate is highest.
    Raises ``CourseError`` for no rate, for one that is not finite, and for ``steps_per_epoch``
    below 1.
    """
    rates = finite_rates(lrs)
    # The axis counts steps, or epochs of so many steps.
    unit = "step"
    steps = 1
    if steps_per_epoch is not None:
        unit = "epoch"
        steps = require_count(steps_per_epoch, "steps_per_epoch", least=1)
    ax = one_axes(ax, 9, 3.4)

    # A rate holds until the next step: a stair, not a slope.
    edges = np.arange(len(rates) + 1) / steps
    color = next_color(ax)
    ax.stairs(rates, edges, baseline=None, linewidth=2.5, label=label, color=color)

    # With one curve the title has room for its peak, with several there is a legend.
    title = "Learning rate"
    if label:
        ax.legend(fontsize=SMALL)
    else:
        place = round(rates.argmax() / steps, 1)
        title = f"Learning rate: highest {rates.max():.3g} at {unit} {place:g}"
    return label_axes(ax, title, unit, "learning rate")


def finite_rates(lrs: Sequence[float]) -> np.ndarray:
    """Learning rates as floats, [steps]; ``CourseError`` unless each step has a finite one."""
    # Anything else ends in an error of matplotlib's, or in an empty picture.
    rates = number_array(lrs, "learning rates")
    if rates.ndim != 1 or not len(rates):
        raise CourseError("there is no learning rate to plot: give one for each step")
    if not np.isfinite(rates).all():
        step = int(np.flatnonzero(~np.isfinite(rates))[0])
        raise CourseError(f"the learning rate of step {step} is {rates[step]}: give finite ones")
    return rates


def plot_lr_range_test(
    test: LRRangeTest,
    rules: str | Sequence[str] = ("valley", "steep", "minimum", "slide"),
    ax: Axes | None = None,
) -> Axes:
    """Smoothed loss by learning rate, raw losses behind it, and a dot for every suggestion.

    Several orders of the data are drawn as their mean and a band. The fall sets the scale: a loss
    that diverges leaves the picture. A rule that finds no rate has no dot. Raises ``CourseError``
    for an unknown rule.
    """
    require(test, LRRangeTest, "plot_lr_range_test")
    # The name of one rule is a list of one.
    if isinstance(rules, str):
        rules = [rules]
    # A misspelt rule is an error before anything is drawn.
    for rule in rules:
        if rule not in RULES:
            raise unknown("rule", rule, RULES)
    ax = one_axes(ax, 9, 4.2)

    # What was measured lies behind, in grey; what is read is the smoothed curve.
    ax.plot(test.lrs, test.losses, color=GREY, linewidth=0.8, label="loss of each batch")
    ax.plot(test.lrs, test.smoothed, color=BLUE, linewidth=2.5, label="smoothed")

    # Several orders of the same data show how much of a curve is chance.
    title = "Learning-rate range test"
    if len(test.curves) > 1:
        title = f"{title}, mean of {len(test.curves)} orders"
        low, high = test.band
        label = "lowest to highest"
        ax.fill_between(test.lrs, low, high, color=BLUE, alpha=0.2, linewidth=0, label=label)

    # Rates were raised by the same factor at each step: a logarithmic axis spaces them evenly.
    mark_suggestions(ax, test, rules)
    ax.set_xscale("log")
    show_fall(ax, test.smoothed)
    ax.legend(fontsize=SMALL, loc="center left", bbox_to_anchor=(1, 0.5))
    return label_axes(ax, with_note(title, test.note), "learning rate", "loss")


def mark_suggestions(ax: Axes, test: LRRangeTest, rules: Sequence[str]) -> None:
    """A dot on the smoothed curve for what each rule suggests."""
    # Each dot is smaller than the one before: where they meet, rings are seen.
    looks = ((ORANGE, 16), (RED, 13), (GREEN, 10), (PURPLE, 7))
    for number, rule in enumerate(rules):
        color, size = looks[number % len(looks)]
        try:
            rate = test.suggest(rule)
        except CourseError:
            continue  # the curve never falls, or is too short for this rule
        # The curve is straight between its points, on the logarithmic axis.
        height = np.interp(np.log(rate), np.log(test.lrs), test.smoothed)
        ax.plot(rate, height, "o", color=color, markersize=size, label=f"{rule} {rate:.3g}")


def show_fall(ax: Axes, smoothed: np.ndarray) -> None:
    """Let the fall of the loss set the scale, with a quarter of it above and below."""
    finite = np.isfinite(smoothed)
    if not finite.all():
        step = int(finite.argmin())
        raise CourseError(f"the smoothed loss of step {step} is {smoothed[step]}: give finite ones")

    # From the highest point before the lowest one; what comes after it diverges.
    lowest = smoothed.argmin()
    low = smoothed[lowest]
    high = smoothed[: lowest + 1].max()

    # A curve that never falls sets its own scale, a constant one gets some.
    margin = 0.25 * (high - low)
    if margin == 0:
        margin = 0.25 * np.ptp(smoothed)
    if margin == 0:
        margin = 1
    ax.set_ylim(low - margin, high + margin)
