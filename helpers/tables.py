"""Tables in Markdown from the records, and the figures of README and notebooks kept equal to them."""

import re
from pathlib import Path
from typing import Iterable, Sequence

from helpers.environment import ROOT, CourseError, replacing
from helpers.interpret import wilson_interval
from helpers.models import count_parameters
from helpers.recipes import EXPERIMENTS, GROUPS, Recipe
from helpers.records import Verdict, is_recorded, load_result, paired_difference

TABLE = re.compile("(<!-- results -->).*?(<!-- /results -->)", re.DOTALL)
FIGURE = re.compile(r"(<!-- result ([\w-]+) -->).*?(<!-- /result -->)")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _told(verdict: Verdict) -> str:
    low, high = wilson_interval(verdict.passed, verdict.n)
    return f"{verdict.passed} of {verdict.n} ({low:.0f}–{high:.0f} %)"


def comparison_table(names: Sequence[str]) -> str:
    """One change a row, in Markdown: parameters, last epoch, difference to its baseline, if that is one of ``names``.

    Differences have intervals. Where all have claims, how many seeds meet them; where documents state figures, those.
    """
    recipes = [EXPERIMENTS[name] for name in names]
    claims, documents = all(recipe.claim for recipe in recipes), any(recipe.document for recipe in recipes)

    def row(recipe: Recipe) -> Sequence[str]:
        result, told = load_result(recipe.name), "–"
        if recipe.baseline in names:
            mean, low, high = paired_difference(result, load_result(recipe.baseline))
            told = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})" + ("" if low * high > 0 else ", undecided")
        return (recipe.title, f"{result.record['parameters']:,}", result.accuracy, told,
                *[_told(result.judge(recipe.claim)) if recipe.claim else "–"] * claims,
                *[recipe.document or "–"] * documents)

    return _table(("change", "parameters", "last epoch", "difference (95 % interval)",
                   *["seeds that meet the claim (95 %)"] * claims, *["document"] * documents), map(row, recipes))


def results_table() -> str:
    """README's table in Markdown: every experiment with its last epoch, its claim judged, its origin and command."""
    def row(recipe: Recipe) -> Sequence[str]:
        claim = f"≥ {recipe.claim.accuracy} % (last {recipe.claim.last_epochs})" if recipe.claim else "–"
        if recipe.data == "cifar10" and not is_recorded(recipe.name):  # its hours are many, or a GPU's
            group, seeds, where = ("cifar", 5, " on a GPU") if recipe.name in GROUPS["cifar"] else (recipe.name, 1, "")
            return (recipe.title, f"{count_parameters(recipe.build_model()):,}", str(recipe.epochs),
                    f"to be recorded{where}", claim, recipe.document or "–", "–",
                    f"`python -m helpers experiment {group} --seeds {seeds}`")
        result = load_result(recipe.name)
        if recipe.claim:
            claim += f": {_told(result.judge(recipe.claim))}"
        return (recipe.title, f"{result.record['parameters']:,}", str(recipe.epochs), result.accuracy, claim,
                recipe.document or "–", result.provenance.removeprefix("recorded "), f"`{result.command}`")

    return _table(("recipe", "parameters", "epochs", "last epoch, mean ± sd", "claim (epochs it is to hold): seeds",
                   "document", "recorded", "command"), map(row, EXPERIMENTS.values()))


def outdated(root: Path = ROOT) -> dict[Path, str]:
    """README and notebooks whose table or figures, between their markers, are not the records'; with the right text.

    Raises ``CourseError`` where a record is missing, or README or the markers of its table.
    """
    readme = root / "README.md"
    old = {path: path.read_bytes().decode() if path.exists() else ""  # bytes: line ends stay as they are
           for path in (readme, *sorted((root / "notebooks").glob("*.ipynb")))}
    if len(TABLE.findall(old[readme])) != 1:
        raise CourseError(f"{readme.name} needs <!-- results --> and <!-- /results -->, once, around its table")
    new = {path: FIGURE.sub(lambda at: f"{at[1]}{load_result(at[2]).accuracy}{at[3]}", old[path]) for path in old}
    new[readme] = TABLE.sub(lambda at: f"{at[1]}\n\n{results_table()}\n\n{at[2]}", new[readme])
    return {path: text for path, text in new.items() if text != old[path]}


def write_results(root: Path = ROOT) -> list[Path]:
    """Mend what is ``outdated``; the files that changed."""
    changed = outdated(root)
    for path, text in changed.items():
        with replacing(path) as temporary:
            temporary.write_bytes(text.encode())
    return list(changed)
