"""A folder that cannot be written is told in one line, before the work that it is to keep."""

import errno
import os
import pickle
import subprocess
import sys

import pytest

from helpers import experiments
from helpers.environment import ROOT, CourseError
from helpers.experiments import search as searching
from helpers.training.metrics import DivergedError
from helpers.upkeep import kernel, sessions
from helpers.writing import WriteError, check_folder, replacing


def bad(kind, tmp_path, monkeypatch):
    """A folder that cannot be written, and what is said of it."""
    path = tmp_path / "there"
    if kind in ("file", "in a file"):
        path.write_text("mine")
        return path / kind.removeprefix("file"), "a file is in the place of a folder"
    # An administrator may write anywhere, and a disk is not easily filled.
    path.mkdir()
    number = {"full": errno.ENOSPC, "no right": errno.EACCES}[kind]

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    monkeypatch.setattr("os.replace", fail)
    return path, {"full": "no space left in", "no right": "Permission denied"}[kind]


@pytest.fixture(params=["file", "in a file", "full", "no right"])
def folder(request, tmp_path, monkeypatch):
    path, reason = bad(request.param, tmp_path, monkeypatch)
    monkeypatch.setenv("COURSE_RUNS", str(path))
    return path, reason


def check(error, path, reason, way="COURSE_RUNS"):
    text = str(error.value)
    assert str(path) in text and reason in text and way in text and "\n" not in text
    assert isinstance(error.value, OSError) and "Errno" not in text


def test_a_file_that_cannot_be_written_names_folder_reason_and_way_out(folder):
    path, reason = folder
    with pytest.raises(CourseError) as error, replacing(path / "a" / "b.txt") as temporary:
        temporary.write_text("b")
    check(error, path, reason)
    with pytest.raises(CourseError) as error:
        check_folder(path / "a")
    check(error, path, reason)


def test_a_folder_that_is_not_the_readers_choice_names_no_switch(folder, monkeypatch, tmp_path):
    path, reason = folder
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "other"))
    with pytest.raises(CourseError) as error:
        check_folder(path)
    assert reason in str(error.value) and "COURSE" not in str(error.value)


def test_two_files_in_one_another_tell_of_the_inner_folder(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(WriteError, match="file cannot be written"),
        replacing(tmp_path / "outer"),
        replacing(tmp_path / "file" / "inner"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_checking_a_folder_makes_it_and_leaves_nothing_in_it(tmp_path):
    check_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def never(*_, **__):
    raise AssertionError("the work has begun")


def test_a_session_and_a_training_do_not_begin_where_they_cannot_be_kept(folder, monkeypatch):
    path, reason = folder
    monkeypatch.setattr(kernel, "execute", never)
    monkeypatch.setattr(experiments, "run_jobs", never)
    monkeypatch.setattr(searching, "run_jobs", never)
    for begin in (
        lambda: sessions.run_session("01"),
        lambda: experiments.run("tiny", [0]),
        lambda: searching.search("budget", [0]),
    ):
        with pytest.raises(CourseError) as error:
            begin()
        check(error, path, reason)


LIMITED = """
import resource, sys
from helpers.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
sys.exit(main(["run", "01"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_page_that_does_not_fit_is_told_before_the_first_cell(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        cwd=ROOT,
        env=os.environ | {"COURSE_RUNS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    way = "make room there, or name another folder in COURSE_RUNS"
    assert (done.returncode, done.stderr) == (2, f"error: no space left in {tmp_path}: {way}\n")


@pytest.mark.parametrize(
    "error",
    [
        WriteError("there cannot be written", OSError(errno.ENOSPC, "no space left")),
        DivergedError("epoch 1/5, step 7", "the loss is nan"),
    ],
    ids=["write", "diverged"],
)
def test_an_error_of_a_worker_reaches_its_parent_as_it_is(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)
    for name in ("errno", "strerror", "where", "reason"):
        assert getattr(again, name, None) == getattr(error, name, None)
