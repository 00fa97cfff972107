"""Temporary files of dead processes are removed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.leftovers import is_running, remove_leftovers
from helpers.writing import replacing

UNIX = pytest.mark.skipif(os.name == "nt", reason="Windows does not say which processes live")


def ended_process() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@UNIX
def test_a_process_runs_or_not():
    assert is_running(os.getpid()) and is_running(os.getppid())
    assert is_running(1)  # another user's, as a rule
    assert not is_running(ended_process())
    assert not is_running(10**30)


@UNIX
def test_only_what_dead_processes_left_of_this_file_is_removed(tmp_path):
    gone = ended_process()
    dead = [f".record.json.{gone}.00c0ffee.tmp", f".record.json.{gone}.1.tmp"]
    kept = [
        f".record.json.{os.getpid()}.00c0ffee.tmp",
        ".record.json.1.00c0ffee.tmp",  # the first process of all is always there
        f".other.json.{gone}.00c0ffee.tmp",
        ".record.json.x.00c0ffee.tmp",
        "record.json",
    ]
    for name in (*dead, *kept):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "record.json")
    assert names(tmp_path) == set(kept)


@UNIX
def test_the_name_may_be_a_pattern_and_a_folder_goes_with_its_content(tmp_path):
    gone = ended_process()
    for name in (f".a-1.pt.{gone}.0a.tmp", f".a-2.pt.{gone}.0a.tmp", f".b-1.pt.{gone}.0a.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    remove_leftovers(tmp_path, "a-?.pt")
    assert names(tmp_path) == {f".b-1.pt.{gone}.0a.tmp"}


def test_what_is_older_than_a_day_is_removed_whoever_has_the_number_now(tmp_path):
    old, fresh = (tmp_path / f".a.pt.{os.getpid()}.{number}.tmp" for number in (1, 2))
    old.touch()
    fresh.touch()
    os.utime(old, (0, time.time() - 25 * 3600))
    remove_leftovers(tmp_path, "a.pt")
    assert names(tmp_path) == {fresh.name}


@UNIX
def test_the_names_are_those_of_replacing(tmp_path):
    script = """
import os, sys
from pathlib import Path
from helpers.writing import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.touch()
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", script, tmp_path / "a.pt"], check=False)
    assert len(names(tmp_path)) == 1
    with replacing(tmp_path / "a.pt") as temporary:
        temporary.touch()
        remove_leftovers(tmp_path, "a.pt")
        assert names(tmp_path) == {temporary.name}


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    remove_leftovers(tmp_path / "nowhere", "a.pt")
