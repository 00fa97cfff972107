"""Run a session's notebook without a browser, to an HTML page, or in place to commit it."""

import os
import re
import time
from pathlib import Path
from typing import Any

from helpers.environment import (
    NOTEBOOKS,
    CourseError,
    runs_root,
    smoke,
    unknown,
    whole_paths,
)
from helpers.upkeep.palettes import with_palettes
from helpers.writing import check_folder, replacing

COLOUR = re.compile(r"\x1b\[[\d;]*m")


def find_session(number: str) -> Path:
    """The notebook whose name begins with ``number``: ``1``, ``01`` or the whole stem.

    Raises ``CourseError`` where there is none.
    """
    stems = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    for stem in stems:
        digits = stem[:2]
        if number in (stem, digits, digits.lstrip("0")):
            return NOTEBOOKS / f"{stem}.ipynb"
    raise unknown("session", number, stems)


def run_session(number: str, train: bool = False, save: bool = False) -> Path:
    """Execute a session from top to bottom, write it as a page, and return the page's path.

    ``train`` trains where a recorded result would be shown; ``save`` also keeps the outputs in
    the notebook. Raises ``CourseError`` before the first cell where the page cannot be written,
    and with the error that stopped a cell; the page then ends with it, and the notebook is left as
    it was.
    """
    # These take a second to import, which the other commands need not wait for.
    import nbformat
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    from helpers.upkeep import kernel, minutes, pages

    path = find_session(number)
    page = runs_root() / f"{path.stem}.html"
    # A page that cannot be written must not be found out after the last cell.
    check_folder(page.parent)
    if save:
        check_folder(path.parent)

    notebook = nbformat.read(path, as_version=4)
    failed = ""
    started = time.monotonic()
    try:
        kernel.execute(notebook, path.stem, NOTEBOOKS, kernel_variables(train))
    except (CellExecutionError, DeadKernelError) as problem:
        # The last line of the traceback, without its colours.
        failed = COLOUR.sub("", str(problem)).strip().splitlines()[-1]

    # A session that failed has its page too: it shows where.
    text = pages.as_page(notebook, path.stem)
    with replacing(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    pages.copy_linked(notebook, page.parent)
    if failed:
        raise CourseError(f"{path.stem} stopped: {failed}; the page up to there: {page}")

    # The teacher's edition tells how long a session computes on this machine.
    minutes.keep(path.stem, time.monotonic() - started)
    if save:
        without_answers(notebook)
        with_palettes(notebook)
        with replacing(path) as temporary:
            nbformat.write(notebook, temporary)
    return page


def without_answers(notebook: Any) -> None:
    """Take the outputs of the solutions away: a folded cell would show its answer below it."""
    for cell in notebook.cells:
        # The words before a solution may have the tag too.
        if cell.cell_type == "code" and "solution" in cell.metadata.get("tags", []):
            cell.outputs = []


def kernel_variables(train: bool) -> dict[str, str]:
    """The environment variables of a session's kernel."""
    variables = dict(os.environ)
    # The kernel works in notebooks/, where a relative path would lead elsewhere.
    variables.update(whole_paths())
    # Else ipykernel prints lines about Python's frozen modules.
    variables["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    if train:
        variables["COURSE_TRAIN"] = "1"
    # On busy cores two threads spend their time waiting for each other.
    if smoke():
        variables.setdefault("OMP_NUM_THREADS", "1")
    return variables
