"""README and notebooks kept equal to the records."""

import re
from pathlib import Path

from helpers.environment import ROOT, CourseError, replacing
from helpers.experiments import load_result
from helpers.experiments.tables import results_table

TABLE = re.compile("(<!-- results -->).*?(<!-- /results -->)", re.DOTALL)
FIGURE = re.compile(r"(<!-- result ([\w-]+) -->).*?(<!-- /result -->)")


def outdated(root: Path = ROOT) -> dict[Path, str]:
    """README and notebooks whose table or figures, between their markers, are not the records'; with the right text.

    Raises ``CourseError`` where a record is missing, or README or the markers of its table.
    """
    readme = root / "README.md"
    old = {
        path: path.read_bytes().decode()
        if path.exists()
        else ""  # bytes: line ends stay as they are
        for path in (readme, *sorted((root / "notebooks").glob("*.ipynb")))
    }
    if len(TABLE.findall(old[readme])) != 1:
        raise CourseError(
            f"{readme.name} needs <!-- results --> and <!-- /results -->, once, around its table"
        )
    new = {
        path: FIGURE.sub(lambda at: f"{at[1]}{load_result(at[2]).accuracy}{at[3]}", old[path])
        for path in old
    }
    new[readme] = TABLE.sub(
        lambda at: f"{at[1]}\n\n{results_table().markdown()}\n\n{at[2]}", new[readme]
    )
    return {path: text for path, text in new.items() if text != old[path]}


def write_results(root: Path = ROOT) -> list[Path]:
    """Mend what is ``outdated``; the files that changed."""
    changed = outdated(root)
    for path, text in changed.items():
        with replacing(path) as temporary:
            temporary.write_bytes(text.encode())
    return list(changed)
