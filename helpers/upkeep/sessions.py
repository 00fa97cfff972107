"""Run a session's notebook without a browser, to an HTML page, or in place to commit it."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from helpers.environment import NOTEBOOKS, CourseError, replacing, runs_root, unknown
from helpers.training import progress

OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")  # by a terminal: the states of a progress bar
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def find_session(number: str) -> Path:
    """The notebook whose name begins with ``number`` (``1`` or ``01`` or the whole stem). Raises ``CourseError``."""
    stems = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    found = [stem for stem in stems if number in (stem, stem[:2], stem[:2].lstrip("0"))]
    if not found:
        raise unknown("session", number, stems)
    return NOTEBOOKS / f"{found[0]}.ipynb"


def run_session(number: str, train: bool = False, save: bool = False) -> Path:
    """Execute a session top to bottom and write it as a page, whose path is returned; ``save`` also keeps the outputs.

    ``train`` trains where a recorded result would be shown. Raises ``CourseError`` with the error that stopped a cell;
    the page then ends with it, and the notebook is left as it was.
    """
    import nbformat
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from nbconvert import HTMLExporter

    path, failed = find_session(number), ""
    notebook, where = (
        nbformat.read(path, as_version=4),
        {"metadata": {"name": path.stem, "path": str(NOTEBOOKS)}},
    )
    try:
        _execute(notebook, where, os.environ | ({"COURSE_TRAIN": "1"} if train else {}))
    except (CellExecutionError, DeadKernelError) as problem:
        failed = COLOUR.sub("", str(problem)).strip().splitlines()[-1]
    page = runs_root() / f"{path.stem}.html"
    with replacing(page) as temporary:
        temporary.write_text(
            HTMLExporter(embed_images=True).from_notebook_node(notebook, where)[0], encoding="utf-8"
        )
    if failed:
        raise CourseError(f"{path.stem} stopped: {failed}; the page up to there: {page}")
    if save:
        with replacing(path) as temporary:
            nbformat.write(notebook, temporary)
    return page


def _execute(notebook: Any, where: dict[str, Any], variables: dict[str, str]) -> None:
    """Run every cell in a kernel of this environment, with a bar; keep no bar in the outputs."""
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kernel = AsyncKernelManager(kernel_name="python3")
    kernel.kernel_spec.argv[0] = (
        sys.executable
    )  # the kernel's name alone may lead to another environment
    if kernel.has_trait(
        "transport_encryption"
    ):  # since jupyter_client 8.10; kernels warn of plain text
        kernel.transport_encryption = "auto"
    with progress(None, where["metadata"]["name"], total=len(code), unit="cell") as bar:
        client = NotebookClient(
            notebook,
            km=kernel,
            timeout=None,
            record_timing=False,
            coalesce_streams=True,
            resources=where,
            on_cell_executed=lambda cell, **_: bar.update(cell in code),
        )
        try:
            client.execute(cleanup_kc=True, env=variables)
        finally:
            for cell in code:
                for output in (output for output in cell.outputs if output.output_type == "stream"):
                    output.text = OVERWRITTEN.sub("", output.text)
                cell.outputs = [output for output in cell.outputs if output.get("text") != ""]
