"""Seeds, switches, files that are written whole or not at all, and what the report says."""

import math
import os
import platform
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest
import torch

from helpers import environment
from helpers.data.known import KNOWN
from helpers.environment import ROOT, CourseError, real_number, short_reason, unknown
from helpers.writing import replacing


def test_a_seed_fixes_every_generator_and_another_changes_them():
    def draws(seed):
        generator = environment.seed_everything(seed)
        return (
            random.random(),
            numpy.random.rand(),
            float(torch.rand(())),
            float(torch.rand((), generator=generator)),
        )

    assert draws(3) == draws(3)
    assert all(one != other for one, other in zip(draws(3), draws(4)))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "3", True, None])
def test_what_is_no_seed_is_told_before_any_generator_is_seeded(seed):
    before = random.getstate(), torch.get_rng_state()
    with pytest.raises(CourseError, match="a seed is a whole number from 0 to 4294967295, not"):
        environment.seed_everything(seed)
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])


def test_numpys_whole_numbers_are_seeds_too():
    environment.seed_everything(numpy.int64(2**32 - 1))
    drawn = random.random(), numpy.random.rand(), float(torch.rand(()))
    environment.seed_everything(2**32 - 1)
    assert drawn == (random.random(), numpy.random.rand(), float(torch.rand(())))


def test_the_generator_is_apart_from_that_of_torch():
    generator = environment.seed_everything(3)
    state = torch.get_rng_state()
    torch.rand(5, generator=generator)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_replaced_file_is_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert temporary.parent == path.parent and not (text == "first" and path.exists())
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(type(error)), replacing(path) as temporary:
        temporary.write_text("ne")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_writer_that_wrote_nothing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_process_killed_while_it_writes_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from helpers.writing import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code, path], cwd=ROOT).returncode == -signal.SIGKILL
    )
    (left,) = (file for file in tmp_path.iterdir() if file != path)
    assert (
        path.read_text() == "old" and left.name.startswith(".file.txt.") and left.suffix == ".tmp"
    )


def test_many_writers_at_once_leave_one_whole_file(tmp_path):
    path, texts, seen = tmp_path / "file.txt", [str(number) * 200_000 for number in range(8)], []

    def write(text):
        for _ in range(5):
            with replacing(path) as temporary:
                temporary.write_text(text)
            seen.append(path.read_text())

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 40 and set(seen) <= set(texts) and list(tmp_path.iterdir()) == [path]


def test_an_unknown_name_brings_up_the_near_ones_or_all():
    names = ["budget", "budget-5", "first"]
    assert (
        str(unknown("experiment", "bugdet", names))
        == "unknown experiment 'bugdet'; choose one of: budget, budget-5"
    )
    assert str(unknown("experiment", "xyz", iter(names))).endswith(
        "choose one of: budget, budget-5, first"
    )
    assert isinstance(unknown("session", "", names), CourseError)


def test_a_reason_is_one_short_line_and_never_empty():
    assert short_reason(ValueError("  two\n\tlines \n")) == "two lines"
    assert short_reason(EOFError()) == "EOFError" and short_reason(OSError(" \n")) == "OSError"
    assert short_reason(RuntimeError("x" * 200)) == "x" * 160
    assert short_reason(RuntimeError("\x1b[1mbold\x1b[0m, \x1b[31;1mred\x1b[m")) == "bold, red"


@pytest.mark.parametrize(
    "value", [3, 0.5, numpy.float32(0.5), numpy.int64(3), torch.tensor(0.5), numpy.array(0.5), True]
)
def test_a_real_number_is_a_float(value):
    assert real_number(value) == float(value) and type(real_number(value)) is float


NO_NUMBERS = ["0.5", b"1", None, math.nan, math.inf, [1], (1, 2), 1j, 10**400, float]
NO_NUMBERS += [numpy.array([1, 2]), torch.ones(2), torch.tensor(math.nan)]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
def test_what_is_no_real_number(value):
    assert real_number(value) is None


@pytest.mark.parametrize(
    "cuda, mps, expected",
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_fastest_device_is_picked(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert environment.pick_device() == torch.device(expected)


@pytest.mark.parametrize("value, expected", [(None, False), ("", False), ("0", False), ("1", True)])
def test_switches_are_on_only_with_1(monkeypatch, value, expected):
    switches = {"COURSE_SMOKE": environment.smoke, "COURSE_TRAIN": environment.train_live}
    for name, switch in switches.items():
        set_to(monkeypatch, name, value)
        assert switch() is expected


def set_to(monkeypatch, name, value):
    if value is None:
        monkeypatch.delenv(name, raising=False)
    else:
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    "name, folder, default",
    [
        ("COURSE_DATA", environment.data_root, "data"),
        ("COURSE_RUNS", environment.runs_root, "runs"),
    ],
)
def test_folders_are_those_of_the_switches(monkeypatch, tmp_path, name, folder, default):
    monkeypatch.chdir(tmp_path)
    for value, expected in (
        (None, ROOT / default),
        ("", ROOT / default),
        ("some/where", tmp_path / "some" / "where"),
        (str(tmp_path / "whole"), tmp_path / "whole"),
        ("~/mine", Path.home() / "mine"),
    ):
        set_to(monkeypatch, name, value)
        assert folder() == expected


def test_folders_are_passed_on_as_whole_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_DATA", "mine")
    monkeypatch.delenv("COURSE_RUNS", raising=False)
    assert environment.whole_paths() == {"COURSE_DATA": str(tmp_path / "mine")}
    monkeypatch.setenv("COURSE_RUNS", "~/runs")
    assert environment.whole_paths()["COURSE_RUNS"] == str(Path.home() / "runs")


@pytest.mark.parametrize(
    "value, expected",
    [
        (3, 3),
        (numpy.int64(3), 3),
        (numpy.uint8(3), 3),
        (torch.tensor(3), 3),
        (0, 0),
        (-1, None),
        (numpy.int8(-1), None),
        (True, None),
        (numpy.bool_(True), None),
        (3.0, None),
        (numpy.float32(3), None),
        ("3", None),
        (None, None),
        (torch.tensor(3.0), None),
        (torch.tensor(True), None),
        (torch.tensor([3, 4]), None),
        (numpy.array(3), 3),
        (numpy.array(True), None),
        (numpy.array([3, 4]), None),
    ],
)
def test_whole_numbers_are_those_of_python_and_numpy_alone(value, expected):
    number = environment.whole_number(value, least=0)
    assert number == expected and type(number) in (int, type(None))


def test_without_the_notebooks_an_error_says_how_to_install(monkeypatch, tmp_path):
    environment.need_notebooks()
    monkeypatch.setattr(environment, "NOTEBOOKS", tmp_path / "notebooks")
    # What an experiment leaves behind there is no course.
    for folder in (None, "notebooks/results"):
        if folder:
            (tmp_path / folder).mkdir(parents=True)
        with pytest.raises(CourseError, match="pip install -r requirements.txt"):
            environment.need_notebooks()


@pytest.mark.parametrize("native, expected", [(True, torch.bfloat16), (False, torch.float16)])
def test_half_precision_is_what_a_gpu_has_in_hardware(monkeypatch, native, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert environment.half_precision(torch.device("cuda")) is expected
    assert environment.half_precision(torch.device("mps")) is None


@pytest.mark.parametrize(
    "has, expected",
    [
        ({"amx_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": True}, None),
        ({}, None),
    ],
)
def test_half_precision_is_for_cpus_that_multiply_matrices_in_hardware(monkeypatch, has, expected):
    monkeypatch.setattr(environment, "pick_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert environment.half_precision(torch.device("cpu")) is expected
    numbers = environment.machine()["mixed"]
    assert numbers == ("bfloat16" if expected else "float32")
    # It is what the processor itself says, where the system tells.
    if sys.platform == "linux":
        monkeypatch.undo()
        told = environment.processor().get("amx_bf16", False)
        assert not told or "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")


def test_a_machine_has_the_name_of_its_processor(monkeypatch):
    monkeypatch.setattr(environment, "pick_device", lambda: torch.device("cpu"))
    for told, name in (({"cpu_name": "Some Chip"}, "Some Chip"), ({}, platform.machine())):
        monkeypatch.setattr(environment, "processor", lambda told=told: told)
        assert environment.machine()["device_name"] == name
    monkeypatch.undo()
    # An older torch tells nothing of it.
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert environment.processor() == {}


def report_of(monkeypatch, **versions):
    found = environment.versions() | versions
    monkeypatch.setattr(environment, "versions", lambda: found)
    return {line[:15].strip(): line[16:] for line in environment.report().splitlines()}


def test_the_report_names_versions_device_switches_and_data(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.delenv("COURSE_RUNS", raising=False)
    (tmp_path / "cifar10-train.zip").touch()
    told = report_of(monkeypatch)
    assert told["torch"] == torch.__version__ and told["python"] == sys.version.split()[0]
    assert told["device"] == environment.pick_device().type and told["threads"] == str(
        torch.get_num_threads()
    )
    assert (
        told["COURSE_DATA"] == str(tmp_path)
        and told["COURSE_RUNS"] == "(not set)"
        and told["COURSE_SMOKE"] == "1"
    )
    assert (
        told["mnist"].startswith("not in the data folder")
        and told["cifar10"] == "found: cifar10-train.zip"
    )
    assert told["problem"] == "none known"


def test_the_places_of_the_report_are_those_that_loading_looks_at():
    places = {}
    for name, known in KNOWN.items():
        places[name] = (known.folder, name, f"{name}-train.zip")
        if known.archive is not None:
            places[name] += (known.archive,)
    assert places == environment.DATA_PLACES


def test_an_unreadable_data_folder_does_not_stop_the_report(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("COURSE_DATA", str(file))
    told = report_of(monkeypatch)
    assert told["mnist"].startswith("not in the data folder")
    assert told["problem"] == f"the data folder {file} cannot be read (Not a directory)"


def test_the_report_shows_whole_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_DATA", "mine")
    monkeypatch.setenv("COURSE_RUNS", "")
    told = report_of(monkeypatch)
    assert told["COURSE_DATA"] == str(tmp_path / "mine") and told["problem"] == "none known"


@pytest.mark.parametrize(
    "versions, expected",
    [
        ({"albumentations": "1.4.24"}, "albumentations 1"),
        ({"albumentations": "missing", "nbval": "missing"}, "not installed: albumentations, nbval"),
        ({"torch": "2.9.0+cpu", "torchvision": "0.24.0"}, "one of torch and torchvision"),
        ({"torch": "2.9.0", "torchvision": "0.24.0+cpu"}, "one of torch and torchvision"),
    ],
)
def test_known_bad_combinations_are_reported(monkeypatch, versions, expected):
    monkeypatch.setattr(environment.platform, "machine", lambda: "x86_64")
    assert report_of(monkeypatch, **versions)["problem"].startswith(expected)


@pytest.mark.parametrize(
    "versions",
    [
        {"torch": "2.9.0+cpu", "torchvision": "0.24.0+cpu"},
        {"torch": "2.9.0+cu128"},
        {"albumentations": "2.0.8"},
    ],
)
def test_good_combinations_are_not(monkeypatch, versions):
    monkeypatch.setattr(environment.platform, "machine", lambda: "x86_64")
    good = dict.fromkeys(environment.PACKAGES, "2.0")
    assert environment.known_problems(good | versions) == []
