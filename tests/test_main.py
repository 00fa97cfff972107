"""Every command parses and does what it says; what goes wrong is one line, with status 2."""

import io
import os
import shlex
import signal
import subprocess
import sys

import pytest

from helpers import __main__ as commands
from helpers import data, environment, experiments
from helpers.__main__ import main, parser
from helpers.environment import ROOT, CourseError
from helpers.experiments import search as searching
from helpers.experiments.catalogue import GROUPS
from helpers.upkeep import classroom, digests, export, page, pictures, publish, readme

GOOD = [
    "run 01",
    "run 2 --train --save",
    "experiment budget",
    "experiment budget --seeds 3 --jobs 1 --fresh",
    "search budget --seeds 1 --jobs 2",
    "range-test",
    "range-test residual --orders 5 --fresh",
    "autopsy narrow --seeds 1",
    "classroom",
    "page",
    "export ladder-fewer",
    "results",
    "digests",
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
    assert options.handle is vars(commands)[line.split()[0].replace("-", "_")]
    if "--seeds 3" in line:
        assert (options.name, options.seeds, options.jobs, options.fresh) == ("budget", 3, 1, True)
    if line == "experiment budget":
        assert (options.seeds, options.jobs, options.fresh) == (5, None, False)


def help_of(capsys, *command):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_help_lists_every_command(capsys):
    text = help_of(capsys)
    for name in {line.split()[0] for line in GOOD}:
        assert f"\n    {name}" in text
        assert vars(commands)[name.replace("-", "_")].__doc__.split()[0] in text


def test_the_help_of_a_command_speaks_of_groups_where_it_knows_them(capsys):
    assert "groups: cifar" in help_of(capsys, "experiment")
    assert "group" not in help_of(capsys, "search") and "cifar" not in help_of(capsys, "search")
    with pytest.raises(CourseError, match="unknown search 'cifar'"):
        searching.find_candidates("cifar")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "fly",
        "run",
        "experiment",
        "experiment budget --seeds many",
        "experiment budget --seeds 0",
        "experiment budget --seeds -1",
        "experiment budget --seeds=-1",
        "experiment budget --seeds 2.5",
        "experiment budget --seeds 1001",
        "experiment budget --seeds 5000000000",
        f"experiment budget --seeds {'9' * 5000}",
        "experiment budget --jobs 0",
        "experiment budget --seed 3",
        "experiment budget --seeds ٣",
        "search budget --seeds 0",
        "search budget --jobs=-2",
        "range-test first --orders 0",
        "publish",
        "data now",
        "run 01 --fast",
    ],
)
def test_a_wrong_command_line_is_one_line(capsys, line):
    assert "--help" in error_of(capsys, *shlex.split(line))


@pytest.mark.parametrize("line", ["search budget --fresh", "run 01 --jobs 2", "report --seeds 3"])
def test_an_option_of_another_command_leads_to_the_help_of_this_one(capsys, line):
    command, *_, option = [word for word in line.split() if not word.isdecimal()]
    said = error_of(capsys, *line.split())
    assert f"{command} does not know {option}" in said
    assert f"see python -m helpers {command} --help" in said


@pytest.mark.parametrize("line", ["export ../results/budget", "search ../search/budget"])
def test_a_path_is_no_name(capsys, line):
    assert f"unknown {'record' if 'export' in line else 'search'} '../" in error_of(
        capsys, *line.split()
    )


@pytest.mark.parametrize("line", ["range-test residul", "search rnge-first"])
def test_a_suggestion_names_everything_once(capsys, line):
    names = error_of(capsys, *line.split()).split(": ")[-1].strip().split(", ")
    assert len(names) == len(set(names)) and {"residual", "range-first"} & set(names)


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


@pytest.mark.parametrize("command", ["experiment", "search"])
def test_a_training_that_was_stopped_says_how_it_goes_on(capsys, monkeypatch, command):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "run", stop)
    monkeypatch.setattr(searching, "search", stop)
    assert main([command, "budget"]) == 130
    told = "stopped; the same command goes on from the last finished epoch\n"
    assert capsys.readouterr().err == told


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
def test_sigterm_stops_a_command_as_ctrl_c_does(capsys, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(environment, "report", lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["report"]) == 130
    assert capsys.readouterr().err == "stopped\n" and signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_console_without_a_sign_shows_a_replacement(monkeypatch, encoding):
    class Recorded:
        accuracy = "99.50 ± 0.03 %"

        def judge(self, claim):
            return "claim: accuracy ≥ 99.4 %, parameters ≤ 10,000"

    monkeypatch.setattr(experiments, "run", lambda *_: Recorded())
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert main(["experiment", "budget"]) == 0
    assert main(["run", "≤"]) == 2
    sys.stdout.flush()
    sys.stderr.flush()
    assert b"claim: accuracy ? 99.4 %, parameters ? 10,000" in sys.stdout.buffer.getvalue()
    assert b"error: unknown session '?'" in sys.stderr.buffer.getvalue()


@pytest.mark.parametrize(
    "line",
    [
        "run 01",
        "publish a/b",
        "results",
        "digests",
        "experiment tiny",
        "search budget",
        "range-test",
    ],
)
def test_without_the_course_around_it_a_command_says_how_to_install(capsys, monkeypatch, line):
    monkeypatch.setattr(environment, "NOTEBOOKS", ROOT / "nowhere")
    said = error_of(capsys, *line.split())
    assert "notebooks are not there" in said and "pip install -r requirements.txt" in said


def test_as_a_process_the_command_returns_status_and_text():
    done = subprocess.run(
        [sys.executable, "-m", "helpers", "run", "99"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert (
        done.stderr.startswith("error: unknown session '99'; choose one of: ")
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
    assert called == [
        ("budget", range(2), None, False, None),
        ("budget-5", range(5), None, False, None),
    ]
    assert capsys.readouterr().out.splitlines() == [
        "budget: 99.50 % (n = 1)",
        "judged by 99.4",
        "budget-5: 99.50 % (n = 1)",
    ]
    called.clear()
    assert main(["experiment", "cifar", "--seeds", "5"]) == 0
    assert (
        called == [(name, range(5), None, False, None) for name in GROUPS["cifar"]]
        and len(called) == 28
    )
    assert capsys.readouterr().out.startswith(
        "cifar-resnet9: 99.50 % (n = 1)\njudged by 94.0\ncifar-resnet9-annihilate"
    )


def pretend(monkeypatch, **sources):
    """Let every data set be found in this place, and be small."""
    real = data.load

    def load(name, validation):
        found = real(name, validation=validation)
        vars(found)["source"] = sources[name]
        return found

    monkeypatch.setattr(data, "SMOKE_SIZES", {"train": 30, "test": 20})
    monkeypatch.setattr(commands, "load", load)


def test_data_tells_what_was_found(capsys, monkeypatch):
    pretend(monkeypatch, mnist="folder", cifar10="torchvision")
    assert main(["data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [line.split() for line in lines if not line.startswith("PRACTICE")]
    assert [words[:3] for words in found] == [
        ["mnist", "folder", "30"],
        ["cifar10", "torchvision", "30"],
    ]


def test_data_that_is_nowhere_is_an_error_with_the_ways_out(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    pretend(monkeypatch, mnist="practice", cifar10="practice")
    said = error_of(capsys, "data")
    assert "no real MNIST and no real CIFAR-10" in said
    for way in ("network", str(tmp_path), "COURSE_DATA"):
        assert way in said
    pretend(monkeypatch, mnist="folder", cifar10="practice")
    said = error_of(capsys, "data")
    assert "no real CIFAR-10" in said and "MNIST" not in said


def test_a_folder_that_the_search_for_data_made_and_left_empty_is_removed(
    capsys, monkeypatch, tmp_path
):
    mine = tmp_path / "mine"
    mine.mkdir()

    def load(name, validation):
        environment.data_root().mkdir(parents=True, exist_ok=True)  # as a download does
        if name == "cifar10":
            raise CourseError("no network")

    monkeypatch.setattr(commands, "load", load)
    monkeypatch.setattr(commands, "KNOWN", {"cifar10": None})
    for folder in (mine / "a" / "b", mine):
        monkeypatch.setenv("COURSE_DATA", str(folder))
        assert "no network" in error_of(capsys, "data")
        assert list(tmp_path.iterdir()) == [mine] and list(mine.iterdir()) == []
    # One that holds something stays.
    monkeypatch.setenv("COURSE_DATA", str(mine / "a"))
    with commands.no_empty_folder(mine / "a"):
        (mine / "a").mkdir()
        (mine / "a" / "file").touch()
    assert (mine / "a" / "file").exists()


@pytest.mark.parametrize("fault", ["record", "data", "picture", "last picture"])
def test_results_looks_at_everything_before_it_writes(capsys, monkeypatch, fault):
    def fail(*_, **__):
        raise CourseError(f"no {fault}")

    def never(*_):
        raise AssertionError("something was written")

    monkeypatch.setattr(readme, "outdated", fail if fault == "record" else dict)
    monkeypatch.setattr(commands, "load", fail if fault == "data" else lambda *_, **__: None)
    monkeypatch.setattr(pictures, "frontier", fail if fault == "picture" else lambda: None)
    monkeypatch.setattr(pictures, "thumbnails", fail)
    for module in (readme, pictures):
        monkeypatch.setattr(module, "replacing", never)
    assert f"no {fault}" in error_of(capsys, "results")


def test_what_is_written_for_a_class_and_for_others_is_named(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(classroom, "write", lambda: (tmp_path / "index.html", ["no slides today"]))
    monkeypatch.setattr(page, "write_page", lambda: [tmp_path / "draw_a_digit.html"])
    written = type("Exported", (), {"path": tmp_path / "a.pt2", "__str__": lambda self: "equal"})
    monkeypatch.setattr(export, "export", lambda name: [written()])
    for line in ("classroom", "page", "export first"):
        assert main(line.split()) == 0
    assert capsys.readouterr().out.splitlines() == [
        "no slides today",
        f"editions and slides: {tmp_path / 'index.html'}",
        "rewritten: draw_a_digit.html",
        "equal",
        f"  {tmp_path / 'a.pt2'}",
    ]


def test_report_prints_the_report(capsys):
    assert main(["report"]) == 0
    assert "COURSE_DATA" in capsys.readouterr().out


def test_commands_name_what_they_wrote(capsys, monkeypatch):
    monkeypatch.setattr(readme, "outdated", lambda: {"a file": "its text"})
    monkeypatch.setattr(readme, "write", lambda changed: [ROOT / "README.md"] * len(changed))
    monkeypatch.setattr(pictures, "draw", lambda images: [ROOT / "images" / f"{images.name}.png"])
    monkeypatch.setattr(
        commands, "load", lambda name, validation: type("Images", (), {"name": name})
    )
    monkeypatch.setattr(page, "write_page", lambda: [ROOT / "notebooks" / "draw_a_digit.html"])
    assert main(["results"]) == 0
    monkeypatch.setattr(publish, "publish", lambda address: [])
    assert main(["publish", "a/b"]) == 0
    monkeypatch.setattr(digests, "add_digests", lambda folder: [folder / "first.json"])
    assert main(["digests"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "rewritten: README.md",
        "rewritten: mnist.png",
        "rewritten: draw_a_digit.html",
        "nothing to change",
        "rewritten: first.json",
    ]
