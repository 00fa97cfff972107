"""Tables made from the records: one change per row, README's headlines, and every recipe."""

from collections.abc import Sequence

from helpers.environment import CourseError, unknown
from helpers.experiments import load_result
from helpers.experiments.catalogue import EXPERIMENTS, GPU_GROUPS, GROUPS, to_record
from helpers.experiments.cifar10 import IN_HOURS
from helpers.experiments.pairing import same_trainings
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import Result, Verdict, is_recorded
from helpers.intervals import Interval, mean_difference, paired_difference
from helpers.markdown import NOTHING, Table
from helpers.models import count_parameters

UNBROKEN = "\u00a0"  # a space at which no line ends
MOST_DECIMALS = 4  # behind the point, of a difference

# The rows of README's table, in its order. (The nets of the reports stand at its beginning.)
HEADLINES = ("first", "ladder-best", "large", "cifar-resnet9", "cifar-resnet9-best")
# The title of a row of a ladder names its last change alone.
WHOLE = {"cifar-resnet9-best": "the same net with all recorded changes of session 07's ladder"}


def difference(result: Result, baseline: Result, confidence: float = 0.95) -> Interval:
    """How much better a record is than its baseline after the last epoch, in points.

    Seeds are paired only where both records measure the very same nets, in different ways
    (``same_trainings``). Everything else, even one rate, leads equal seeds apart: then seeds are
    independent, and the deviation is pooled. Raises ``CourseError`` where there are fewer than two
    seeds.
    """
    # Seed 3 of one is seed 3 of the other only if every step was the same.
    mine, other = result.accuracies, baseline.accuracies
    if same_trainings(result, baseline):
        return paired_difference(mine, other, confidence)
    return mean_difference(mine, other, confidence)


def comparison(names: Sequence[str], against: str | None = None) -> Table:
    """One change per row: parameters, last epoch, and the difference to the row that it changes.

    against: the name whose row all others are compared with, whatever their recipes change

    Where all recipes have a claim, a column says how many seeds meet it; where one of them has a
    figure of a document, another gives that. Below the table stands how the differences were
    calculated, and which records were made from changed files. Raises ``CourseError`` where a name
    is unknown or not recorded, and where ``against`` is none of them.
    """
    names = list(names_in(names))
    check_against(against, names)
    recipes = [known_recipe(name) for name in names]

    # Two columns are there only where they have something to say.
    with_claims = all(recipe.claim for recipe in recipes)
    with_documents = any(recipe.document for recipe in recipes)

    rows = []
    paired = set()
    changed = []
    for number, recipe in enumerate(recipes, 1):
        result = load_result(recipe.name)
        row = [str(number), recipe.title, f"{result.record['parameters']:,}", result.accuracy]
        if result.from_changed_files:
            changed.append(str(number))

        # The difference to the recipe that this one changes, if that has a row here.
        other = against or recipe.baseline
        if other in names and other != recipe.name:
            baseline = load_result(other)
            place = names.index(other) + 1
            row.append(f"{interval_text(difference(result, baseline))} against row {place}")
            paired.add(same_trainings(result, baseline))
        else:
            row.append(NOTHING)

        if with_claims:
            row.append(claim_cell(recipe, result))
        if with_documents:
            row.append(recipe.document or NOTHING)
        rows.append(row)
    head = head_of(with_claims, with_documents)
    return Table(head, rows, note=" ".join([*method(paired), *origin(changed)]))


def head_of(with_claims: bool, with_documents: bool) -> list[str]:
    """The names of the columns of ``comparison``."""
    head = ["", "change", "parameters", "last epoch", "difference (95 % interval)"]
    if with_claims:
        head.append("seeds that meet the claim (95 %)")
    if with_documents:
        head.append("the report states")
    return head


def check_against(against: str | None, names: Sequence[str]) -> None:
    """Raise ``CourseError`` where the row that others are compared with is not among them."""
    if against is not None and against not in names:
        raise CourseError(f"comparison: against={against!r} has no row: give one of {names}")


def names_in(names: Sequence[str]) -> Sequence[str]:
    """The names themselves. Raises ``CourseError`` for a single one outside a list."""
    # Its letters would be taken for names.
    if isinstance(names, str):
        raise CourseError(f"comparison: give a list of names, such as [{names!r}], not {names!r}")
    return names


def known_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises ``CourseError`` for an unknown one."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def interval_text(interval: Interval, decimals: int = 2) -> str:
    """An interval in words, ``+0.14 (+0.03 to +0.26)``, and whether it leaves the sign open.

    Where an end would be rounded to 0, all three numbers get another decimal: else nobody could see
    on which side of 0 it lies.
    """
    ends = [end for end in interval[1:] if end != 0]
    while decimals < MOST_DECIMALS and any(round(end, decimals) == 0 for end in ends):
        decimals += 1
    estimate, low, high = [signed(value, decimals) for value in interval]
    text = f"{estimate} ({low} to {high})"
    if not interval.decided:
        text += ", undecided"
    return text


def signed(value: float, decimals: int) -> str:
    """A difference with its sign, of which a zero has a plus: there is no -0.00."""
    # A plus is written as well, because a difference can go either way.
    text = f"{value:+.{decimals}f}"
    if float(text) == 0:
        text = text.replace("-", "+")
    return text


def method(paired: set[bool]) -> list[str]:
    """Sentences on how the differences of a table were calculated; none where it has none."""
    # A table can have differences of both kinds, or of one.
    sentences = []
    if False in paired:
        sentences.append(
            "Differences are points of test accuracy, between independent seeds (pooled t)."
        )
    if True in paired:
        sentences.append(
            "Where both rows measure the very same trainings, seeds are paired (paired t)."
        )
    return sentences


def origin(rows: Sequence[str]) -> list[str]:
    """A sentence on the rows whose records were made from changed files, if there are any."""
    # The other rows can be made again from their commit.
    if not rows:
        return []
    return [f"Recorded from files that no commit holds (its + says so): row {', '.join(rows)}."]


def claim_cell(recipe: Recipe, result: Result) -> str:
    """How many of a record's seeds meet the recipe's claim; a dash where it has none."""
    if recipe.claim is None:
        return NOTHING
    return share(result.judge(recipe.claim))


def share(verdict: Verdict) -> str:
    """How many of the seeds meet a claim, with the Wilson interval of that share."""
    low, high = verdict.interval
    return f"{verdict.passed} of {verdict.n} ({low:.0f}–{high:.0f} %)"


def headline_table() -> Table:
    """README's table: the results that the course is known by, under the names of its commands."""
    head = ("name", "net and recipe", "parameters", "last epoch")
    rows = []
    for name in HEADLINES:
        result = load_result(name)
        rows.append(
            (
                f"`{name}`",
                WHOLE.get(name, EXPERIMENTS[name].title),
                f"{result.record['parameters']:,}",
                result.accuracy.replace(" ", UNBROKEN),
            )
        )
    return Table(head, rows)


def results_table(recipes: Sequence[Recipe]) -> Table:
    """Every one of these recipes with its last epoch, its claim, its origin and its command."""
    head = (
        "recipe",
        "parameters",
        "epochs",
        "last epoch, mean ± sd",
        "claim (epochs it is to hold): seeds",
        "the report states",
        "recorded",
        "command",
    )
    rows = []
    for recipe in recipes:
        if is_recorded(recipe.name):
            rows.append(_recorded_row(recipe))
        else:
            rows.append(_missing_row(recipe))
    return Table(head, rows)


def _claimed(recipe: Recipe) -> str:
    """What a recipe claims, in one cell of the table."""
    if recipe.claim is None:
        return NOTHING
    return f"≥ {recipe.claim.accuracy} % (last {recipe.claim.last_epochs})"


def _recorded_row(recipe: Recipe) -> Sequence[str]:
    """A recipe with its record."""
    result = load_result(recipe.name)

    claim = _claimed(recipe)
    if recipe.claim is not None:
        claim += f": {share(result.judge(recipe.claim))}"
    return (
        recipe.title,
        f"{result.record['parameters']:,}",
        str(recipe.epochs),
        result.accuracy,
        claim,
        recipe.document or NOTHING,
        result.provenance.removeprefix("recorded "),
        f"`{result.command}`",
    )


def _missing_row(recipe: Recipe) -> Sequence[str]:
    """A recipe without a record: its training takes hours, or a GPU."""
    where, name, seeds = "to be recorded", recipe.name, 3
    if recipe in IN_HOURS:
        seeds = 1
    # Those of a group are recorded together, by one command.
    for group in GPU_GROUPS:
        if recipe.name in GROUPS[group]:
            where, name, seeds = "to be recorded on a GPU", group, 5
    return (
        recipe.title,
        f"{count_parameters(recipe.build_model()):,}",
        str(recipe.epochs),
        where,
        _claimed(recipe),
        recipe.document or NOTHING,
        NOTHING,
        f"`{to_record(name, seeds)}`",
    )
