"""Learning rates: a schedule step by step, and the range test that looks for the highest one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from helpers.environment import CourseError, unknown
from helpers.lr_finder import LRRangeTest
from helpers.lr_finder.answers import TRIED, RangeAnswer
from helpers.lr_finder.rules import RULES
from helpers.plots.range_curves import (
    FREE,
    ROW,
    answer_of,
    draw_curve,
    draw_marks,
    draw_suggestions,
    marks_of,
    room_for,
)
from helpers.plots.rate_accuracies import STRIP_TOP, checked_rates, draw_rates
from helpers.plots.style import (
    FONT,
    GREEN,
    GREY,
    SMALL,
    given_axes,
    label_axes,
    new_axes,
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
        # Steps are counted from 1; an epoch's place is where its axis has the step's beginning.
        highest = int(rates.argmax())
        place: float = highest + 1
        if unit == "epoch":
            place = round(highest / steps, 1)
        title = f"Learning rate: highest {rates.max():.3g} at {unit} {place:g}"
    return label_axes(ax, title, unit, "learning rate")


def finite_rates(lrs: Sequence[float]) -> np.ndarray:
    """Learning rates as floats, [steps]; ``CourseError`` unless each step has a finite one."""
    # Anything else ends in an error of matplotlib's, or in an empty picture.
    rates = number_array(lrs, "learning rates")
    if rates.ndim != 1 or not len(rates):
        raise CourseError("there is no learning rate to plot: give one for each step")
    if not np.isfinite(rates).all():
        place = int(np.flatnonzero(~np.isfinite(rates))[0])
        raise CourseError(
            f"the learning rate of step {place + 1} is {rates[place]}: give finite ones"
        )
    return rates


def plot_lr_range_test(
    test: LRRangeTest, ax: Axes | None = None, rules: bool | str | Sequence[str] = False
) -> Axes:
    """The loss against the rate: its fall, and the beginning of its rise.

    Lines mark where learning is under way, the recommended highest rate of one-cycle, the edge, and
    where the test was ended. Several orders of the data are drawn as their mean and a band.

    rules: True marks what fastai's four rules suggest as well, or names of some of them.

    Raises ``CourseError`` for an unknown rule, and a loss that is not finite.
    """
    require(test, LRRangeTest, "plot_lr_range_test")
    chosen = chosen_rules(rules)
    ax = one_axes(ax, 9, 5)

    # Curve, lines, and the names above them, above which the title stands.
    marks = marks_of(test)
    draw_curve(ax, test)
    draw_marks(ax, marks)
    if chosen:
        draw_suggestions(ax, test, chosen)
    label_axes(ax, range_title(test, test.note), "learning rate", "loss")
    ax.set_title(ax.get_title(), fontsize=FONT, pad=room_for(marks))
    return ax


def chosen_rules(rules: bool | str | Sequence[str]) -> list[str]:
    """The names of rules to draw. Raises ``CourseError`` for an unknown one."""
    if rules is True:
        return list(RULES)
    if rules is False:
        return []
    # The name of one rule is a list of one.
    if isinstance(rules, str):
        rules = [rules]
    # A misspelt rule is an error before anything is drawn.
    for rule in rules:
        if rule not in RULES:
            raise unknown("rule", rule, RULES)
    return list(rules)


def range_title(test: LRRangeTest, note: str) -> str:
    """What a range test's panel shows, and whether there is no answer."""
    title = "Learning-rate range test"
    if len(test.curves) > 1:
        title = f"{title}, mean of {len(test.curves)} orders"
    if answer_of(test) is None:
        title = f"{title}: no answer within these rates"
    return with_note(title, note)


def plot_rates(
    test: LRRangeTest,
    accuracies: Mapping[float, Any],
    ax: Any = None,
    note: str = "",
    target: float | None = None,
    trained: str = "five epochs",
) -> np.ndarray:
    """A range test above, and below what trainings at several rates reached: on one axis of rates.

    accuracies: rate to one accuracy in percent for each seed; None, nan or an empty list is a
        training that diverged, which is a red cross at the bottom
    ax: two Axes to draw into; a new figure unless given
    note: of the data that the accuracies were measured on
    target: an accuracy drawn as a line
    trained: how long each training was, for the title

    The recommended rate goes through both panels; it, a third of it and three times it are light
    lines below. Rates that are far worse than the best are named at the bottom, because they would
    hide the differences between the others. Raises ``CourseError`` as ``plot_lr_range_test``, and
    for rates and accuracies that cannot be drawn.
    """
    require(test, LRRangeTest, "plot_rates")
    results = checked_rates(accuracies)
    if target is not None and not np.isfinite(number_array(target, "targets")):
        raise CourseError(f"the target is a finite accuracy, not {target!r}")
    if ax is None:
        ax = new_axes(9, 7.6, rows=2)
    above, below = given_axes(ax, 2)[:2]

    # The loss above, without its own axis of rates.
    plot_lr_range_test(test, ax=above)
    above.set_xlabel("")
    above.get_legend().set_bbox_to_anchor((0.5, -0.07))

    # One axis of rates, before words are placed along it.
    rates = [each.rate for each in results]
    low, high = min(*rates, test.rates[0]), max(*rates, test.rates[-1])
    for panel in (above, below):
        panel.set_xscale("log")
        panel.set_xlim(low / 1.3, high * 1.3)

    title = with_note(f"Accuracy after {trained} at these highest rates", note)
    label_axes(below, title, "learning rate", "accuracy (%)")
    lay_out(below)
    draw_rates(below, results, target)
    answer = answer_of(test)
    if answer is not None:
        draw_shares(below, answer)
    return np.array([above, below])


def draw_shares(ax: Axes, answer: RangeAnswer) -> None:
    """The recommended rate as above, and three light lines that are named on top of the axes.

    They end above the strip of words, which would cut them.
    """
    name = f"recommended {answer.highest:.2g}"
    ax.axvline(answer.highest, ymin=STRIP_TOP, color=GREEN, linewidth=2, label=name)
    light: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (1, 3)), "zorder": 0}
    for words, share in TRIED.items():
        rate = share * answer.edge
        ax.axvline(rate, ymin=STRIP_TOP, **light)
        place: dict[str, Any] = {
            "xycoords": ax.get_xaxis_transform(),
            "textcoords": "offset points",
        }
        look: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": SMALL}
        ax.annotate(words, (rate, 1), (0, FREE), **place, **look)
    ax.set_title(ax.get_title(), fontsize=FONT, pad=2 * FREE + ROW)


def lay_out(ax: Axes) -> None:
    """Give the axes of a figure their final places, so that words can be placed along them."""
    figure = ax.get_figure(root=True)
    if figure is not None:
        figure.draw_without_rendering()
