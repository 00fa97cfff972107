"""README and notebooks kept equal to the records."""

import re
from pathlib import Path

from helpers.environment import ROOT, CourseError
from helpers.experiments import load_result
from helpers.experiments.speed_rows import time_of
from helpers.experiments.tables import headline_table, known_recipe
from helpers.upkeep.cheat_sheet import cheat_sheet
from helpers.upkeep.ledger import ledger
from helpers.writing import replacing

# Pages that are written as a whole, and what writes them.
PAGES = {"notebooks/results/README.md": ledger, "notebooks/CHEAT_SHEET.md": cheat_sheet}
TABLE = re.compile("(<!-- results -->).*?(<!-- /results -->)", re.DOTALL)
FIGURE = re.compile(r"(<!-- result ([\w-]+) -->).*?(<!-- /result -->)")
SHARE = re.compile(r"(<!-- claim ([\w-]+) -->).*?(<!-- /claim -->)")
TIME = re.compile(r"(<!-- time ([\w-]+) -->).*?(<!-- /time -->)")


def outdated(root: Path = ROOT) -> dict[Path, str]:
    """README and notebooks with other figures than the records, each with the right text.

    A figure stands between two markers. Raises ``CourseError`` where a record is missing, or README
    or the markers of its table.
    """
    # The texts as they are now, README first.
    readme = root / "README.md"
    old = {readme: ""}
    for path in (readme, *sorted((root / "notebooks").glob("*.ipynb"))):
        if path.exists():
            old[path] = path.read_bytes().decode()  # as bytes, so that line ends stay as they are
    if len(TABLE.findall(old[readme])) != 1:
        raise CourseError(
            f"{readme.name} needs <!-- results --> and <!-- /results -->, once, around its table"
        )

    # One figure after the other in every file, and the table in README.
    new = {}
    for path, text in old.items():
        new[path] = TIME.sub(time, SHARE.sub(share_of_claim, FIGURE.sub(figure, text)))
    new[readme] = TABLE.sub(table, new[readme])

    for name, text_of in PAGES.items():
        page = root / name
        old[page] = ""
        if page.exists():
            old[page] = page.read_text(encoding="utf-8")
        new[page] = text_of()

    # Files that are right already are left alone.
    changed = {}
    for path, text in new.items():
        if text != old[path]:
            changed[path] = text
    return changed


def figure(place: re.Match[str]) -> str:
    """The recorded accuracy that belongs between two markers, with them."""
    begin, name, end = place.groups()
    return begin + load_result(name).accuracy + end


def share_of_claim(place: re.Match[str]) -> str:
    """How many trainings meet the recipe's claim, such as ``4 of 5``, between its two markers."""
    begin, name, end = place.groups()
    claim = known_recipe(name).claim
    if claim is None:
        raise CourseError(f"{begin}: the recipe {name} claims nothing, so no training can meet it")
    verdict = load_result(name).judge(claim)
    return f"{begin}{verdict.passed} of {verdict.n}{end}"


def time(place: re.Match[str]) -> str:
    """What one recorded training took with its measuring, such as ``7.6 minutes``."""
    begin, name, end = place.groups()
    return begin + time_of(name) + end


def table(place: re.Match[str]) -> str:
    """The table of headlines, with the two markers around it, in the text's line ends."""
    begin, end = place.groups()
    text = f"{begin}\n\n{headline_table().markdown()}\n\n{end}"
    if "\r\n" in place.string:
        text = text.replace("\n", "\r\n")
    return text


def write(changed: dict[Path, str]) -> list[Path]:
    """Put the right texts in place, and return the files."""
    for path, text in changed.items():
        with replacing(path) as temporary:
            temporary.write_bytes(text.encode())
    return list(changed)
