"""How wide the range of good rates is, net by net, and from which rate on a training is lost."""

from helpers.experiments.measured import mean_of, rate_accuracies
from helpers.experiments.ranges import NETS
from helpers.markdown import NOTHING, Table

# A smaller difference than this could be the luck of three seeds, in points.
ALIKE = {"mnist": 0.2, "cifar10": 0.7}
# A training that knows less of ten classes has learned next to nothing, in percent.
LOST = 20.0


def good_rates(name: str) -> list[float]:
    """The rates that were tried on a net and whose mean lies next to the best one.

    None of their seeds diverged. Empty where nothing is recorded.
    """
    means = {}
    for rate, accuracies in rate_accuracies(name).items():
        mean = mean_of(accuracies)
        if mean is not None:
            means[rate] = mean
    least = max(means.values(), default=0.0) - ALIKE[NETS[name].data]
    # Half of the last recorded digit decides nothing.
    return [rate for rate, mean in means.items() if mean >= least - 1e-9]


def lost_rates(name: str) -> list[float]:
    """The rates at which at least one seed diverged or learned next to nothing."""
    lost = []
    for rate, accuracies in rate_accuracies(name).items():
        if any(each is None or each < LOST for each in accuracies):
            lost.append(rate)
    return lost


def good_rates_table() -> Table:
    """A row for each net of the range test whose trainings are recorded."""
    rows = []
    missing = []
    for name, recipe in NETS.items():
        good = good_rates(name)
        if not good:
            missing.append(name)
            continue
        # Below the good rates a training is slow, and not lost.
        lost = [rate for rate in lost_rates(name) if rate > max(good)]
        first = f"{min(lost):g}" if lost else NOTHING
        span = f"{min(good):g} to {max(good):g}"
        rows.append((recipe.title, span, f"{max(good) / min(good):.1f}", first))
    head = ("net", "good rates", "highest / lowest", "a seed is lost from")
    note = (
        f"Good: at most {ALIKE['mnist']:g} points off the best rate on MNIST, and "
        f"{ALIKE['cifar10']:g} on CIFAR-10. Lost: diverged, or below {LOST:g} %."
    )
    if missing:
        note += f" Not recorded yet: {', '.join(missing)}."
    return Table(head, rows, note=note)
