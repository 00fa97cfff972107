"""Every command parses and does what it says; what goes wrong is one line, with status 2."""

import os
import shlex
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers import __main__ as commands
from helpers import data, experiments
from helpers.__main__ import main, parser
from helpers.environment import ROOT, CourseError
from helpers.experiments import tables
from helpers.experiments.catalogue import GROUPS
from helpers.upkeep import pictures, sessions

GOOD = [
    "run 01",
    "run 2 --train --save",
    "experiment budget",
    "experiment budget --seeds 3 --jobs 1 --fresh",
    "search budget --seeds 1 --jobs 2",
    "results",
    "data",
    "report",
    "publish owner/name",
]


def error_of(capsys, *command):
    """The one line that a failing command says."""
    assert main(command) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ") and output.err.count("\n") == 1, output.err
    return output.err


@pytest.mark.parametrize("line", GOOD)
def test_every_command_parses(line):
    options = parser().parse_args(shlex.split(line))
    assert options.handle is vars(commands)[line.split()[0]]
    if "--seeds 3" in line:
        assert (options.name, options.seeds, options.jobs, options.fresh) == ("budget", 3, 1, True)
    if line == "experiment budget":
        assert (options.seeds, options.jobs, options.fresh) == (5, None, False)


def test_the_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0 and {line.split()[0] for line in GOOD} == {
        handle.__name__ for handle in commands.COMMANDS
    }
    assert all(
        handle.__name__ in text and handle.__doc__.split()[0] in text
        for handle in commands.COMMANDS
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "fly",
        "run",
        "experiment",
        "experiment budget --seeds many",
        "publish",
        "data now",
        "run 01 --fast",
    ],
)
def test_a_wrong_command_line_is_one_line(capsys, line):
    assert "--help" in error_of(capsys, *shlex.split(line))


@pytest.mark.parametrize(
    "problem", [CourseError("the file is gone: fetch it"), OSError(28, "No space left", "x.pt")]
)
def test_an_error_is_one_line(capsys, monkeypatch, problem):
    monkeypatch.setattr(commands.environment, "report", lambda: (_ for _ in ()).throw(problem))
    assert error_of(capsys, "report") == f"error: {problem}\n"


def test_a_defect_is_not_hidden(monkeypatch):
    monkeypatch.setattr(commands.environment, "report", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["report"])


def test_ctrl_c_is_told(capsys, monkeypatch):
    monkeypatch.setattr(experiments, "run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["experiment", "budget"]) == 130
    assert (
        capsys.readouterr().err == "stopped; an experiment goes on from its last finished epoch\n"
    )


def test_as_a_process_the_command_returns_status_and_text():
    done = subprocess.run(
        [sys.executable, "-m", "helpers", "run", "99"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert (
        done.stderr.startswith("error: unknown session '99'; there is: ")
        and "01_first_network" in done.stderr
    )


def test_an_experiment_prints_its_accuracy_and_its_claim(capsys, monkeypatch):
    class Recorded:
        accuracy = "99.50 % (n = 1)"

        def judge(self, claim):
            return f"judged by {claim.accuracy}"

    called = []
    monkeypatch.setattr(experiments, "run", lambda *options: called.append(options) or Recorded())
    assert main(["experiment", "budget", "--seeds", "2"]) == main(["experiment", "budget-5"]) == 0
    assert called == [("budget", range(2), None, False), ("budget-5", range(5), None, False)]
    assert capsys.readouterr().out.splitlines() == [
        "budget: 99.50 % (n = 1)",
        "judged by 99.4",
        "budget-5: 99.50 % (n = 1)",
    ]
    called.clear()
    assert main(["experiment", "cifar", "--seeds", "5"]) == 0
    assert (
        called == [(name, range(5), None, False) for name in GROUPS["cifar"]] and len(called) == 10
    )
    assert capsys.readouterr().out.startswith(
        "cifar-resnet9: 99.50 % (n = 1)\njudged by 94.0\ncifar-resnet9-annihilate"
    )


def test_data_tells_what_was_found(capsys, monkeypatch):
    monkeypatch.setattr(data, "SMOKE_SIZES", {"train": 30, "test": 20})
    assert main(["data"]) == 0
    lines = [
        line.split()
        for line in capsys.readouterr().out.splitlines()
        if not line.startswith("PRACTICE")
    ]
    assert [line[:3] for line in lines] == [
        ["mnist", "practice", "30"],
        ["cifar10", "practice", "30"],
    ]


def test_report_prints_the_report(capsys):
    assert main(["report"]) == 0
    assert "COURSE_DATA" in capsys.readouterr().out


def test_results_and_publish_name_what_they_wrote(capsys, monkeypatch):
    monkeypatch.setattr(tables, "write_results", lambda: [ROOT / "README.md"])
    monkeypatch.setattr(pictures, "draw", lambda images: [ROOT / "images" / f"{images.name}.png"])
    monkeypatch.setattr(
        commands, "load", lambda name, validation: type("Images", (), {"name": name})
    )
    assert main(["results"]) == 0
    monkeypatch.setattr("helpers.publish.publish", lambda address: [])
    assert main(["publish", "a/b"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "rewritten: README.md",
        "rewritten: mnist.png",
        "nothing to change",
    ]


# Sessions.


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


BAR = "from helpers.training import progress\nfor _ in progress(range(3), 'waiting', miniters=1): pass"
WHERE = "import os, sys\nprint(os.environ.get('COURSE_TRAIN'), os.path.basename(os.getcwd()))\nsys.executable"


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
    assert sys.executable in text and "| 0/3" not in text
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
    assert f"unknown session {number!r}; there is: 08_tiny" in error_of(capsys, "run", number)
