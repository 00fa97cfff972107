"""A command that is stopped, or that nobody reads, ends with its status and without a traceback."""

import os
import signal
import subprocess
import sys
import time

import pytest

from helpers import environment
from helpers.__main__ import main
from helpers.environment import ROOT
from helpers.experiments import jobs
from helpers.upkeep import stopping

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")

COMMAND = [sys.executable, "-m", "helpers"]
PIPE = subprocess.PIPE


def start(*arguments, **more):
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
        text=True,
        env=os.environ | more,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_until_caught(process, number):
    """Wait until the process has a handler of its own, as Linux tells it."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with open(f"/proc/{process.pid}/status") as status:
            [mask] = [line.split()[1] for line in status if line.startswith("SigCgt")]
        if int(mask, 16) >> (number - 1) & 1:
            return
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux about a process")
@pytest.mark.parametrize("delay", [0, 0.4])
def test_a_command_is_stopped_while_torch_is_imported(delay):
    process = start("report")
    # Python itself does not handle this one: it is ours.
    wait_until_caught(process, signal.SIGTERM)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert (process.returncode, out, said) == (130, "", "stopped\n")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux about a process")
def test_sigterm_while_torch_is_imported_is_told_alike():
    process = start("report")
    wait_until_caught(process, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) == ("", "stopped\n") and process.returncode == 130


TWICE = """
import atexit, os, signal, sys, threading, runpy
from helpers import environment
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
environment.report = interrupt
atexit.register(interrupt)
sys.argv = ["helpers", "report"]
runpy.run_module("helpers", run_name="__main__")
"""


def test_a_second_ctrl_c_after_stopped_changes_nothing():
    done = subprocess.run(
        [sys.executable, "-c", TWICE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stderr) == (130, "stopped\n")


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stopping.end_when_stopped()
        terminating = signal.getsignal(signal.SIGTERM)
        with stopping.as_interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert terminating is stopping.end_at_once
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_where_other_code_called_main_its_signals_stay(monkeypatch):
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    monkeypatch.setattr(environment, "report", lambda: os.kill(os.getpid(), signal.SIGINT))
    assert main(["report"]) == 130
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before


@pytest.mark.parametrize("command", ["report", "--help", "data", "fly 2>&1"])
def test_a_pipe_that_nobody_reads_ends_a_command_quietly(command, tmp_path):
    line = f"'{sys.executable}' -m helpers {command} | true"
    environ = os.environ | {"COURSE_SMOKE": "1", "COURSE_DATA": str(tmp_path)}
    done = subprocess.run(
        line, shell=True, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_nobody_reads_has_the_status_of_sigpipe():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "report"], cwd=ROOT, stdout=writer, stderr=PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


HELD_BACK = """
import signal
from multiprocessing import resource_tracker
from helpers.experiments.jobs import no_interrupts
assert resource_tracker._resource_tracker._pid is None
with no_interrupts():
    resource_tracker.ensure_running()
    assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
"""


def test_the_first_worker_starts_with_ctrl_c_held_back():
    done = subprocess.run(
        [sys.executable, "-c", HELD_BACK], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_many_seeds_are_checked_in_a_moment():
    begin = time.monotonic()
    assert jobs.checked_seeds([*range(100_000), 5]) == list(range(100_000))
    assert time.monotonic() - begin < 5  # a list would take minutes
