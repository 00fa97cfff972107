"""The measurement of a training step, on whatever device there is, with a narrow net."""

import subprocess
import sys
import time
from dataclasses import replace

import gpu_benchmarks
import pytest
import torch

from helpers import data
from helpers.environment import ROOT, pick_device
from helpers.experiments.cifar10 import RESNET9
from helpers.experiments.speed import ON_A_CPU, SPEED
from helpers.training import History

FAST = replace(SPEED, model_options={"widths": [4, 8, 8]}, batch_size=40)
NARROW = replace(RESNET9, model_options={"width": 4}, batch_size=32)
CPU = torch.device("cpu")


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setenv("COURSE_SMOKE", "1")
    cifar = data.load("cifar10", validation=0)
    return replace(cifar, train=cifar.train.subset(slice(80)), test=cifar.test.subset(slice(10)))


def test_slow_data_have_their_share_of_a_step(few):
    class Slow:
        def __iter__(self):
            for batch in data.Batches(few.train, 32):
                time.sleep(0.2)
                yield batch

    training = gpu_benchmarks.Training(NARROW, CPU)
    fast = training.cost(data.Batches(few.train, 32))
    slow = training.cost(Slow())
    assert fast.images == slow.images == 80 and fast.data < 0.2 <= 0.59 < slow.data <= slow.seconds


def test_the_arithmetic_of_a_convolution_is_that_of_the_formula():
    # Forward: nine weights a position, and the linear layer. Back it is twice that, less the
    # gradient of the images, which nobody asks for.
    places = [
        (3, 64, 32),
        (64, 128, 32),
        (128, 128, 16),
        (128, 128, 16),
        (128, 256, 16),
        (256, 512, 8),
        (512, 512, 4),
        (512, 512, 4),
    ]
    forward = sum(9 * c * d * side**2 for c, d, side in places) + 5120
    assert gpu_benchmarks.multiply_adds(RESNET9, (3, 32, 32)) == pytest.approx(
        3 * forward - 9 * 3 * 64 * 32**2
    )


def test_rows_have_shares_between_0_and_100_and_judge_them(few):
    device = pick_device()
    rows = {
        row.what: row
        for row in gpu_benchmarks.step_rows(few, NARROW, device, "here", epochs=1, size=64)
    }
    share = float(rows["… share of data and augmentation in a step"].measured.split()[0])
    assert 0 < share < 100 and rows["… share of data and augmentation in a step"].met == (
        share <= 5
    )
    assert rows["CIFAR-10 on the device, as bytes"].met and len(rows) == 5 + (device.type == "cuda")
    assert rows["ResNet-9 training, here"].measured.endswith("images/s")


def test_the_arithmetic_of_a_whitened_net_leaves_the_making_of_its_filters_out():
    # Forward, and back without what the first layer would need for its weights and for the images.
    first = 12 * 24 * 31**2
    places = [(24, 4, 31), (4, 4, 15), (4, 8, 15), (8, 8, 7), (8, 8, 7), (8, 8, 3)]
    forward = first + sum(9 * c * d * side**2 for c, d, side in places) + 80
    assert gpu_benchmarks.multiply_adds(FAST, (3, 32, 32)) == 3 * forward - 2 * first


@pytest.mark.parametrize(
    "half, mixed", [(None, True), (torch.bfloat16, True), (torch.bfloat16, False)]
)
def test_speed_has_a_share_of_the_matrices_beside_it(few, monkeypatch, half, mixed):
    monkeypatch.setattr(gpu_benchmarks, "half_precision", lambda device: half)
    rows = gpu_benchmarks.speed_rows(few, replace(FAST, mixed=mixed), CPU, steps=2, size=256)
    numbers = [float(row.measured.split()[0].replace(",", "")) for row in rows]
    speed, minutes, matrices, share = numbers
    # The minutes are printed with one digit behind the point.
    assert minutes == pytest.approx(8 * 50_000 / speed / 60, rel=0.02, abs=0.051)
    assert rows[0].what == "speed: training, cpu" and rows[0].n == "2 steps of 40"
    per_image = 2 * gpu_benchmarks.multiply_adds(FAST, (3, 32, 32))
    assert share == pytest.approx(100 * speed * per_image / (matrices * 1e9), abs=0.6, rel=0.1)
    # In float32 alone the share is judged.
    assert rows[3].met == (None if half and mixed else share >= 85)


class Record:
    """A record of two seeds and three epochs."""

    def __init__(self, last):
        rows = [[(10.0, 92.0), (11.0, 94.5), (12.0, 94.1)], [(20.0, 93.0), (20.0, 93.9), last]]
        names = ("seconds", "test_accuracy")
        self.histories = []
        for history in rows:
            epochs = [dict(zip(names, row)) for row in history]
            self.histories.append(History(epochs))


@pytest.mark.parametrize(
    "last, measured", [((20.0, 94.0), "40.5 s"), ((20.0, 93.9), "not reached")]
)
def test_seconds_to_94_are_those_of_the_first_epoch_that_comes_there(monkeypatch, last, measured):
    monkeypatch.setattr(gpu_benchmarks, "is_recorded", lambda name: True)
    monkeypatch.setattr(gpu_benchmarks, "load_result", lambda name: Record(last))
    row = gpu_benchmarks.recorded_row("speed")
    assert row.measured == measured and row.n.endswith("of 2 seeds")
    monkeypatch.setattr(gpu_benchmarks, "is_recorded", lambda name: False)
    assert gpu_benchmarks.recorded_row("speed").measured == "not recorded yet"


def test_without_a_gpu_one_row_says_so(few, monkeypatch):
    monkeypatch.setattr(gpu_benchmarks, "pick_device", lambda: CPU)
    (row,) = gpu_benchmarks.gpu_rows(few, NARROW, FAST)
    assert row.measured == "on a GPU" and row.met is None


@pytest.mark.slow
def test_the_benchmarks_run_and_have_all_their_rows():
    command = [sys.executable, ROOT / "tests" / "benchmarks.py", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = done.stdout.split("\n\n")[1].splitlines()
    assert table[0].split() == ["what", "measured", "target", "n", "threads"]
    assert len(table) == 1 + 4 + 4 + 2 + 1 + 5 + 2 + 1 + 2 * 4 + 1 + len(ON_A_CPU) + 1
