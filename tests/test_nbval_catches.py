"""A changed parameter count in a notebook's stored output turns plain pytest red."""

import copy
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers.environment import ROOT

SESSION = ROOT / "notebooks" / "02_parameter_budget.ipynb"
COUNT = "9,274"


def run_pytest(folder) -> str:
    """Run a folder's notebooks as plain pytest runs the course's: its report, a line a cell."""
    shutil.copy(ROOT / "notebooks" / "conftest.py", folder)
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider"]
    command += ["-c", ROOT / "pyproject.toml", folder]
    # The folder's own conftest.py is to set the fast profile, and one thread.
    environment = os.environ | {"COURSE_TRAIN": "1"}
    for name in ("COURSE_SMOKE", "OMP_NUM_THREADS"):
        environment.pop(name, None)
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    ).stdout


def outcomes(report: str, name: str) -> list[str]:
    # pytest 8.2 writes name::ipynb, later ones write name.ipynb.
    return re.findall(rf"{name}(?:\.|::)ipynb::\S+(?: \S+)* (PASSED|FAILED|SKIPPED|XFAIL)", report)


def write_pair(notebook, folder) -> None:
    """Write the notebook, and a copy whose last cell's stored output has another count."""
    wrong = copy.deepcopy(notebook)
    for output in wrong.cells[-1].outputs:
        for holder in (output, output.get("data", {})):
            texts = {kind: text for kind, text in holder.items() if isinstance(text, str)}
            holder.update({kind: text.replace(COUNT, "9,275") for kind, text in texts.items()})
    assert wrong != notebook
    nbformat.write(notebook, folder / "right.ipynb")
    nbformat.write(wrong, folder / "wrong.ipynb")


@pytest.mark.slow
def test_an_altered_parameter_count_fails_and_the_true_one_passes(tmp_path):
    compared = {"tags": ["nbval-check-output"]}
    switches = (
        "import os, torch\n"
        "print(os.environ['COURSE_SMOKE'], 'COURSE_TRAIN' in os.environ, torch.get_num_threads())"
    )
    texts = {switches: "1 False 1\n", "print(f'{9274:,} parameters')": f"{COUNT} parameters\n"}
    cells = [
        new_code_cell(
            source,
            execution_count=number,
            metadata=compared,
            outputs=[new_output("stream", text=text)],
        )
        for number, (source, text) in enumerate(texts.items(), 1)
    ]
    write_pair(new_notebook(cells=cells), tmp_path)
    report = run_pytest(tmp_path)
    assert outcomes(report, "right") == ["PASSED", "PASSED"], report
    assert outcomes(report, "wrong") == ["PASSED", "FAILED"], report


@pytest.mark.slow
def test_it_does_so_in_the_session_on_the_parameter_budget(tmp_path):
    notebook = nbformat.read(SESSION, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    count = next(
        number
        for number, cell in enumerate(cells)
        if "nbval-check-output" in cell.metadata.get("tags", []) and COUNT in str(cell.outputs)
    )
    notebook.cells = cells[: count + 1]
    write_pair(notebook, tmp_path)
    report = run_pytest(tmp_path)
    assert outcomes(report, "right") == ["PASSED"] * (count + 1), report
    assert outcomes(report, "wrong") == ["PASSED"] * count + ["FAILED"], report
