"""Several processes that train one net, against one process with ghost batch norm."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
import two_processes
from processes import descendants
from torch import nn
from two_processes import outcome, seen, small_net, speed_recipe, split_of, steps

from helpers.__main__ import main
from helpers.data import Batches
from helpers.environment import ROOT, CourseError
from helpers.experiments import together
from helpers.experiments.folders import TOGETHER, run_folder
from helpers.experiments.mnist_basics import FIRST
from helpers.experiments.reach import PACKAGE, START, reached_files
from helpers.experiments.runs import train_net
from helpers.training import evaluate, sam, training_step
from helpers.training.connections import LOST, lost_connections
from helpers.training.several import Team, check_batches

UNIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def own(printed):
    """What was printed, without the line with which gloo of torch 2.8 greets in every process."""
    return re.sub(r"^\[Gloo\] Rank .*\n", "", printed, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes found, over gloo; and the folder that they could write into."""
    folder = tmp_path_factory.mktemp("two")
    variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    script = ROOT / "tests" / "two_processes.py"
    started = []
    for rank in range(2):
        env = os.environ | variables | {"RANK": str(rank), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(script), str(folder)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, env=env, **options))
    printed = [process.communicate(timeout=250)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(printed)
    assert [own(lines) for lines in printed] == ["", ""]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)], folder


def close(found, wanted, **tolerance):
    """All numbers of two lists or dictionaries of tensors or numbers are equal to rounding."""
    tolerance = tolerance or {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(found, wanted, check_dtype=False, **tolerance)


# The first steps.


@pytest.mark.parametrize("name", two_processes.GHOSTS)
def test_gradients_and_steps_are_those_of_one_process_with_ghosts(two, name):
    found, _ = two
    ghosts = max(2, two_processes.GHOSTS[name])  # one norm each makes two parts
    wanted = steps(small_net(ghosts), training_step)
    for process in found:
        for what in ("gradients", "weights", "losses"):
            close(
                process[name][what],
                wanted[what],
                rtol=1e-6 if what == "losses" else 1e-9,
                atol=1e-12,
            )
        close(process[name]["logits"], wanted["logits"], rtol=1e-5, atol=1e-6)
    # Both have moved by the same bits.
    for mine, other in zip(found[0][name]["weights"], found[1][name]["weights"], strict=True):
        assert torch.equal(mine, other)


def test_without_ghosts_one_process_takes_other_steps(two):
    """So that the test above says something."""
    found, _ = two
    wanted = steps(small_net(1), training_step)
    difference = found[0]["a norm"]["gradients"][0] - wanted["gradients"][0]
    assert difference.abs().max() > 1e-4


def test_a_sharpness_aware_step_looks_from_both_parts(two):
    wanted = steps(small_net(2), sam.step)
    for process in two[0]:
        close(process["sam"]["weights"], wanted["weights"])


def test_a_batch_that_does_not_split_evenly_has_its_own_gradient(two):
    wanted = steps(small_net(0), training_step, count=7)
    for process in two[0]:
        close(process["uneven"]["gradients"], wanted["gradients"])
        close(process["uneven"]["weights"], wanted["weights"])
        assert process["uneven"]["logits"][0].shape == (7, 10)


def test_running_statistics_are_the_mean_of_both_as_with_ghosts(two):
    found, _ = two
    net = small_net(2)
    average = two_processes.moving_average(net, 0.9)
    steps(net, training_step, average=average)
    before = [process["statistics"][0]["1.running_mean"] for process in found]
    assert (before[0] - before[1]).abs().max() > 1e-3
    for process in found:
        for state, wanted in zip(process["statistics"][1:], (net, average.module)):
            close(state, wanted.state_dict(), rtol=1e-5, atol=1e-6)
    # The leader measures, and both know it.
    assert found[0]["measured"] == found[1]["measured"]
    close(found[0]["measured"], evaluate(net.float(), Batches(split_of(20), 7)), rtol=1e-4, atol=0)


# Whole trainings.


def test_session_08s_recipe_trains_as_in_one_process_with_ghosts(two):
    """With whitening, Muon, alternating flips, a smaller last batch and six views."""
    found, _ = two
    images = split_of(40)
    wanted = outcome(train_net(speed_recipe(ghosts=2), 0, images, images, show=False))
    for process in found:
        close(process["speed"], wanted, rtol=1e-3, atol=1e-4)
    assert found[0]["speed"]["rows"] == found[1]["speed"]["rows"]
    assert torch.equal(*(each["speed"]["state"]["first.0.weight"] for each in found))


def test_both_together_see_every_image_once_as_one_process_does(two):
    found, _ = two
    alone = seen(None, 40)
    assert len(alone["images"]) == 6 and [len(each) for each in alone["images"]] == [16, 16, 8] * 2
    for number, batch in enumerate(alone["images"]):
        for process in found:
            assert torch.equal(process["seen"]["images"][number], batch[process["rank"] :: 2])
    # What is counted is counted over the whole batch.
    for process in found:
        close(process["seen"]["rows"], alone["rows"], rtol=1e-5, atol=1e-6)


def test_each_net_draws_its_own_numbers_and_nothing_else_does(two):
    (inside, outside), (other, same) = (process["numbers"] for process in two[0])
    assert torch.equal(outside, same)
    assert len(torch.cat([inside, other]).unique()) == 8


def test_only_the_leader_writes(two):
    names = {path.name for path in two[1].iterdir()}
    assert names == {"0.pt", "1.pt", "0.checkpoint", "shared.checkpoint"}


def test_a_run_that_was_stopped_goes_on_with_the_same_numbers(two):
    found, _ = two
    for process in found:
        assert (
            process["resumed"]["rows"] == process["unbroken"]["rows"] == found[0]["resumed"]["rows"]
        )
        for name, value in process["unbroken"]["state"].items():
            assert torch.equal(process["resumed"]["state"][name], value)


# The command.


def torchrun(runs, *arguments, processes=2):
    """The experiment command in several processes, in a process group of its own."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command.append(f"--nproc-per-node={processes}")
    return subprocess.Popen(
        [*command, "-m", "helpers", "experiment", *arguments],
        cwd=ROOT,
        env=os.environ | {"COURSE_RUNS": str(runs), "COURSE_SMOKE": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def process_of(command, rank):
    """The process of this rank that torchrun has started."""
    found = descendants(command, lambda below: below.environ().get("RANK") == str(rank))
    return found[0]  # a process that it starts itself has its environment, and comes later


def lines_of(error):
    """What the course's own command has said among torchrun's many lines."""
    return re.findall(r"^(?:error: |stopped).*$", error, re.MULTILINE)


def the_line_of(error):
    """The one line that it has said."""
    said = lines_of(error)
    assert len(said) == 1, f"said: {said}, in\n{error}"
    return said[0]


def test_what_is_wrong_is_said_once(tmp_path):
    command = torchrun(tmp_path, "nothing")
    printed, error = command.communicate(timeout=200)
    assert command.returncode != 0 and own(printed) == ""
    line = the_line_of(error)
    assert line.startswith("error: unknown experiment 'nothing'")


def test_processes_that_do_not_divide_the_batch_are_told_how_many_do(tmp_path):
    command = torchrun(tmp_path, "first", "--seeds", "1", processes=3)
    printed, error = command.communicate(timeout=200)
    assert command.returncode != 0
    line = the_line_of(error)
    assert line == (
        "error: first, seed 0: 3 processes cannot share batches of 128 images evenly: give "
        "--nproc-per-node 2"
    )
    assert "epoch  1" not in printed and not list(tmp_path.rglob("*.checkpoint"))
    assert not list(tmp_path.rglob("*.json"))


@UNIX
def test_one_process_dies_the_others_end_and_the_same_command_goes_on(tmp_path):
    command = torchrun(tmp_path, "first", "--seeds", "1")
    for line in command.stdout:
        if "epoch  1/2" in line:
            break
    victim = process_of(command, 1)
    survivor = process_of(command, 0)
    victim.send_signal(signal.SIGKILL)
    error = command.communicate(timeout=200)[1]
    assert command.returncode != 0 and not survivor.is_running()
    line = the_line_of(error)
    assert "the same command goes on" in line

    # The finished epoch is not trained again, and one record says by whom it was made.
    [checkpoint] = tmp_path.rglob("*.checkpoint")
    command = torchrun(tmp_path, "first", "--seeds", "1")
    printed, error = command.communicate(timeout=200)
    assert (command.returncode, lines_of(error)) == (0, []), error
    assert "Warning" not in error
    assert "epoch  1/2" not in printed and printed.count("epoch  2/2") == 1
    assert printed.count("first: ") == 1
    assert list(tmp_path.rglob("*.checkpoint")) == [checkpoint] and not list(
        tmp_path.rglob("*.tmp")
    )
    record = json.loads((tmp_path / "results" / "first.json").read_text(encoding="utf-8"))
    assert [row["epoch"] for row in record["runs"][0]["epochs"]] == [1, 2]
    machine = record["environment"]
    assert (machine["processes"], machine["synchronised"]) == (2, False)


# What cannot be done is one line.


def launched_by_hand(monkeypatch, port):
    """The environment of the first of two processes."""
    values = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_a_port_in_use(monkeypatch, capsys):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        launched_by_hand(monkeypatch, port)
        assert main(["experiment", "first"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"error: the port {port} is in use") and "--standalone" in told


def test_no_torch_distributed(monkeypatch, capsys):
    launched_by_hand(monkeypatch, 1)
    monkeypatch.setattr(dist, "is_available", lambda: False)
    assert main(["experiment", "first"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: several processes need torch.distributed")
    assert told.count("\n") == 1


def test_a_port_that_is_none(monkeypatch, capsys):
    launched_by_hand(monkeypatch, "many")
    assert main(["experiment", "first"]) == 2
    assert "do not find each other at port many" in capsys.readouterr().err


@pytest.mark.parametrize(
    "processes, batch_size, images, words",
    [
        (3, 128, 60_000, "3 processes cannot share batches of 128 images evenly: .*-node 2$"),
        (6, 100, 60_000, "6 processes cannot share batches of 100 images evenly: .*-node 5$"),
        (16, 8, 60_000, "16 processes cannot share a batch of 8 images: .*at most .*-node 8$"),
        (8, 128, 132, "8 processes cannot share a batch of 4 images: .*at most .*-node 4$"),
        (2, 128, 1, "2 processes cannot share a batch of 1 images"),
    ],
)
def test_batches_that_cannot_be_shared(processes, batch_size, images, words):
    with pytest.raises(CourseError, match=words):
        check_batches(processes, batch_size, images)


@pytest.mark.parametrize(
    "processes, batch_size, images", [(2, 128, 60_000), (5, 500, 50_000), (3, 6, 10), (4, 8, 8)]
)
def test_batches_that_can_be_shared(processes, batch_size, images):
    check_batches(processes, batch_size, images)


@pytest.mark.parametrize(
    "device, synchronised, workers, words",
    [
        ("cpu", False, 2, "^--jobs trains nets side by side"),
        ("cpu", True, None, "SyncBatchNorm does not exist on a CPU: leave it away"),
        ("mps", False, None, "NVIDIA GPUs or on a CPU, and not on mps"),
        ("cuda", False, None, "^3 processes for 1 GPUs: give --nproc-per-node 1"),
    ],
)
def test_a_machine_that_is_not_for_so_many(monkeypatch, device, synchronised, workers, words):
    monkeypatch.setattr(together, "pick_device", lambda: torch.device(device))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    with pytest.raises(CourseError, match=words):
        together.check_machine(Team(0, 3, None, synchronised), workers)


def test_other_commands_are_not_for_several_processes(monkeypatch, capsys):
    launched_by_hand(monkeypatch, 1)
    assert main(["search", "budget"]) == 2
    assert capsys.readouterr().err == (
        "error: torchrun is for experiment: start other commands without it\n"
    )


@pytest.mark.parametrize("rank, lines", [("0", 1), ("1", 0)])
def test_of_several_processes_that_are_stopped_the_leader_says_so(monkeypatch, capsys, rank, lines):
    def stopped(synchronised):
        raise KeyboardInterrupt

    launched_by_hand(monkeypatch, 1)
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(together, "join", stopped)
    assert main(["experiment", "first"]) == 130
    assert capsys.readouterr().err.count("stopped") == lines


def test_synchronised_norms_without_torchrun(capsys):
    assert main(["experiment", "first", "--sync-norms"]) == 2
    assert "give the command to torchrun" in capsys.readouterr().err


def test_a_lost_connection_is_told_from_other_errors():
    with pytest.raises(CourseError, match=LOST), lost_connections():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:537] Connection closed by peer")
    with pytest.raises(RuntimeError, match="mat1 and mat2"), lost_connections():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


# Parts of it.


def test_norms_are_synchronised_where_asked_for():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.BatchNorm2d(2)))
    names = list(model.state_dict())
    found = Team(0, 2, None, True).prepare(model)
    assert isinstance(found[1][0], nn.SyncBatchNorm) and list(found.state_dict()) == names
    with pytest.raises(CourseError, match="--sync-norms normalises the whole batch"):
        Team(0, 2, None, True).prepare(small_net(4))


@pytest.mark.parametrize("ghosts, size, parts", [(16, 2, 8), (16, 4, 4), (4, 8, 1), (1, 2, 1)])
def test_ghosts_are_shared_out(ghosts, size, parts):
    assert Team(0, size, None).prepare(small_net(ghosts))[1].parts == parts


def test_the_number_of_processes_names_the_folder():
    folders = {run_folder(FIRST, "abc", 1)}
    for team in (Team(0, 2, None), Team(1, 2, None), Team(0, 4, None), Team(0, 2, None, True)):
        folders.add(run_folder(FIRST, "abc", 1, together=team.facts()))
    assert len(folders) == 4


def test_what_processes_share_names_the_folders_of_their_runs_alone():
    shared = {"training/several.py", "training/connections.py"}
    found = []
    for start in ([START], [START, TOGETHER]):
        paths = reached_files(start)
        found.append({path.relative_to(PACKAGE).as_posix() for path in paths})
    assert found[1] - found[0] >= shared


def test_who_speaks_first():
    class Table:
        counts: dict[str, int] = {}

        def add(self, name, amount):
            self.counts[name] = self.counts.get(name, 0) + amount
            return self.counts[name]

    class Gone:
        def add(self, name, amount):
            raise RuntimeError("Connection reset by peer")

    team = Team(0, 2, Table())
    assert [team.first_to("say"), team.first_to("say"), team.first_to("sing")] == [
        True,
        False,
        True,
    ]
    assert Team(1, 2, Gone()).first_to("say")
    assert not Team(1, 2, Gone()).first_to("say", unreachable=False)


@pytest.mark.parametrize(
    "rank, by_torchrun, speaks",
    [(0, True, True), (0, False, True), (1, True, False), (1, False, True)],
)
def test_who_speaks_where_nobody_can_be_asked(monkeypatch, rank, by_torchrun, speaks):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    if by_torchrun:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert together.speaks_unasked(Team(rank, 2, None)) == speaks


def test_a_signal_while_an_error_is_said_ends_in_one_line(monkeypatch):
    """It is said by the process itself, not by the command around it."""
    said = []

    def end(team, line, status):
        said.append((line, status))
        if len(said) == 1:
            raise KeyboardInterrupt
        raise SystemExit(status)

    launched_by_hand(monkeypatch, 1)
    monkeypatch.setattr(together, "join", lambda synchronised: Team(1, 2, None))
    monkeypatch.setattr(together, "connect", lambda team: None)
    monkeypatch.setattr(together, "end", end)
    with pytest.raises(SystemExit), together.joined():
        raise CourseError("wrong")
    assert said == [("error: wrong", 2), (together.STOPPED, 130)]
