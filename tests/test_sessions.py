"""A session becomes a page; what stops it, a cell or the reader, is told in one line."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from processes import has_ended

from helpers.__main__ import main
from helpers.environment import ROOT
from helpers.upkeep import sessions

pytestmark = pytest.mark.slow  # a kernel takes seconds to start


def error_of(capsys, *command):
    """The one line that a failing command says."""
    assert main(command) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ") and output.err.count("\n") == 1, output.err
    return output.err


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Write a notebook of these code cells as session 08, in a folder of its own."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(sessions, "NOTEBOOKS", folder)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))

    def write(*sources):
        cells = [new_markdown_cell("# A *tiny* session"), *map(new_code_cell, sources)]
        nbformat.write(new_notebook(cells=cells), folder / "08_tiny.ipynb")
        return folder / "08_tiny.ipynb"

    return write


BAR = """\
from helpers.training.output import progress
for _ in progress(range(3), 'waiting', miniters=1): pass"""
WHERE = """\
import os, sys
print(os.environ.get('COURSE_TRAIN'), os.path.basename(os.getcwd()))
sys.executable"""


def test_a_session_becomes_a_page_and_the_notebook_stays_as_it_was(session, capfd, tmp_path):
    path = session("21 * 2", BAR + "\nprint('after the bar')", WHERE)
    before = path.read_bytes()
    assert main(["run", "8"]) == 0
    output, page = capfd.readouterr(), tmp_path / "runs" / "08_tiny.html"
    assert str(page) in output.out and output.err == ""  # nor does the kernel warn
    text = page.read_text(encoding="utf-8")
    assert (
        "<em>tiny</em>" in text
        and "<pre>42</pre>" in text
        and "after the bar" in text
        and "None notebooks" in text
    )
    assert os.path.normpath(sys.executable) in text and "| 0/3" not in text
    assert path.read_bytes() == before and os.environ.get("COURSE_TRAIN") is None


def test_save_keeps_the_outputs_without_the_bars(session):
    path = session(BAR, BAR + "\nprint('done', end='')", WHERE)
    assert main(["run", "08_tiny", "--train", "--save"]) == 0
    first, second, third = nbformat.read(path, as_version=4).cells[1:]
    assert first.outputs == [] and [output.text for output in second.outputs] == ["done"]
    assert third.outputs[0].text == "1 notebooks\n" and "execution" not in first.metadata
    assert [cell.execution_count for cell in (first, second, third)] == [1, 2, 3]
    assert os.environ.get("COURSE_TRAIN") is None


@pytest.mark.parametrize(
    "source, reason",
    [("{}['gone']", "KeyError: 'gone'"), ("import os; os._exit(3)", "Kernel died")],
)
def test_a_cell_that_fails_is_one_line_and_the_notebook_stays_as_it_was(
    session, capsys, tmp_path, source, reason
):
    path = session("6 * 7", source, "6 * 8")
    before = path.read_bytes()
    page = tmp_path / "runs" / "08_tiny.html"
    said = error_of(capsys, "run", "08", "--save")
    assert said == f"error: 08_tiny stopped: {reason}; the page up to there: {page}\n"
    text = page.read_text(encoding="utf-8")
    assert "<pre>42</pre>" in text and "<pre>48</pre>" not in text
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", ["9", "tiny", "", "8_tiny"])
def test_an_unknown_session_names_those_that_are_there(session, capsys, number):
    session("1")
    assert f"unknown session {number!r}; choose one of: 08_tiny" in error_of(capsys, "run", number)


@pytest.mark.parametrize("switch", ["COURSE_DATA", "COURSE_RUNS"])
def test_a_relative_folder_is_the_same_in_the_kernel(session, monkeypatch, tmp_path, switch):
    path = session(
        "import os; from helpers.environment import data_root, runs_root",
        "print(os.path.basename(os.getcwd()), data_root(), runs_root())",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv(switch, "mine")
    assert main(["run", "8", "--save"]) == 0
    expected = {"COURSE_DATA": tmp_path / "data", "COURSE_RUNS": tmp_path / "runs"}
    expected[switch] = tmp_path / "mine"
    printed = nbformat.read(path, as_version=4).cells[-1].outputs[0].text
    assert printed == f"notebooks {expected['COURSE_DATA']} {expected['COURSE_RUNS']}\n"


def test_the_kernel_is_quiet_and_in_the_fast_profile_on_one_thread(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    variables = sessions.kernel_variables(train=False)
    assert variables["PYDEVD_DISABLE_FILE_VALIDATION"] == variables["OMP_NUM_THREADS"] == "1"
    assert "COURSE_TRAIN" not in variables
    monkeypatch.delenv("COURSE_SMOKE")
    variables = sessions.kernel_variables(train=True)
    assert variables["COURSE_TRAIN"] == "1" and "OMP_NUM_THREADS" not in variables
    assert "COURSE_TRAIN" not in os.environ


STOPPED = """
import sys
from pathlib import Path
from helpers.__main__ import main
from helpers.upkeep import sessions
sessions.NOTEBOOKS = Path(sys.argv[1])
sys.exit(main(["run", "8"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", ["import time; time.sleep(300)", "while True: pass"])
def test_a_session_that_is_stopped_says_so_and_its_kernel_ends(session, tmp_path, by, work):
    note = tmp_path / "kernel.pid"
    path = session(
        f"import os, pathlib; pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\n{work}"
    )
    command = [sys.executable, "-c", STOPPED, str(path.parent)]
    pipe = subprocess.PIPE
    done = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    try:
        wait_for(lambda: note.exists() and note.read_text())
        kernel = psutil.Process(int(note.read_text()))
        done.send_signal(by)
        _, said = done.communicate(timeout=60)
    finally:
        done.kill()
    assert (done.returncode, said) == (130, "stopped\n")
    wait_for(lambda: has_ended(kernel))
    assert list((tmp_path / "runs").iterdir()) == []


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen in a minute"
        time.sleep(0.05)


def test_a_solution_is_kept_without_its_output(session, capfd):
    path = session("'a question'", "'the answer'")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["tags"] = ["solution"]
    nbformat.write(notebook, path)
    assert main(["run", "8", "--save"]) == 0
    kept = nbformat.read(path, as_version=4).cells
    assert kept[-2].outputs[0].data["text/plain"] == "'a question'"
    assert kept[-1].outputs == [] and kept[-1].execution_count == 2


def test_the_page_folds_solutions_and_draws_formulas_without_a_network(session, capfd, tmp_path):
    path = session("'a question'", "'the answer'")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "The sum is $\\frac{a}{b}$, written `$x$`."
    notebook.cells[-1].metadata["tags"] = ["solution"]
    nbformat.write(notebook, path)
    assert main(["run", "8"]) == 0
    page = (tmp_path / "runs" / "08_tiny.html").read_text(encoding="utf-8")
    before, folded = page.split("<summary>Solution</summary>")
    assert "&#39;a question&#39;" in before or "'a question'" in before
    assert "the answer" in folded and "the answer" not in before
    # The one formula is drawn or, without latex2mathml, shown as TeX; code is left as it is.
    assert page.count("<math") + page.count('class="formula"') == 1
    assert "written <code>$x$</code>" in page
    assert "https://" not in re.sub(r"<a [^>]*>", "", page)


def test_how_long_a_session_computes_is_kept(session, capfd, tmp_path, monkeypatch):
    session("import time; time.sleep(0.5)")
    monkeypatch.delenv("COURSE_SMOKE")
    assert main(["run", "8"]) == 0
    kept = json.loads((tmp_path / "runs" / "08_tiny.seconds.json").read_text())
    assert 0.5 <= kept["seconds"] < 250 and kept["device"]
