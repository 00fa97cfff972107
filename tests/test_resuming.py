"""What a run that goes on may not change without a word: its schedule; and any bit of its file."""

from __future__ import annotations

import random
import zipfile

import numpy as np
import pytest
import torch
from small_runs import (
    batches_of,
    same_state,
    sgd,
    skip_what_cannot_be_kept,
    small_net,
    split_of,
    without_times,
)
from torch.optim import lr_scheduler as schedules
from torch.optim.swa_utils import SWALR

from helpers.data import Batches
from helpers.environment import CourseError
from helpers.training import fit
from helpers.training.checkpoint import State
from helpers.training.schedule import one_cycle


class Stopped(Exception):
    """The run is killed here."""


def run(path, schedule, epochs=3, stop_after=0, step_every="batch", **given):
    """A run of four steps an epoch, perhaps stopped after an epoch; the rows."""

    def stop(row):
        if row["epoch"] == stop_after:
            raise Stopped

    model = given.get("model") or small_net()
    optimizer = given.get("optimizer") or sgd(model)
    batches = given.get("batches") or batches_of(40, 10)
    options = {"checkpoint": path, "step_every": step_every, "show": False, "on_epoch": stop}
    test = Batches(split_of(20, seed=1), 20)
    history = fit(model, batches, test, epochs, optimizer, schedule(optimizer), **options)
    return without_times(history)


# Schedules with other settings.


class Decay:
    """A function of the step that is an object: its attributes are in the schedule's state."""

    def __init__(self, gamma):
        self.gamma = gamma

    def __call__(self, step):
        return self.gamma**step


def chained(factor, gamma=0.9):
    return lambda o: schedules.ChainedScheduler(
        [schedules.ConstantLR(o, factor, 2), schedules.ExponentialLR(o, gamma)]
    )


def in_a_row(milestone, gamma=0.9):
    return lambda o: schedules.SequentialLR(
        o, [schedules.ConstantLR(o, 0.1, 2), schedules.ExponentialLR(o, gamma)], [milestone]
    )


CHANGES = {
    "StepLR, gamma": (
        lambda o: schedules.StepLR(o, 50, 0.1),
        lambda o: schedules.StepLR(o, 50, 0.9),
        "StepLR's gamma = 0.1, and 0.9 is given now",
    ),
    "StepLR, step_size": (
        lambda o: schedules.StepLR(o, 5),
        lambda o: schedules.StepLR(o, np.int64(6)),
        "StepLR's step_size = 5, and 6 is given now",
    ),
    "CosineAnnealingLR": (
        lambda o: schedules.CosineAnnealingLR(o, 12),
        lambda o: schedules.CosineAnnealingLR(o, 16),
        "CosineAnnealingLR's T_max = 12, and 16 is given now",
    ),
    "warm restarts": (
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 3),
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 3, T_mult=2),
        "CosineAnnealingWarmRestarts's T_mult = 1, and 2 is given now",
    ),
    "ExponentialLR": (
        lambda o: schedules.ExponentialLR(o, 0.9),
        lambda o: schedules.ExponentialLR(o, np.float32(0.95)),
        r"ExponentialLR's gamma = 0.9, and 0\.94999",
    ),
    "MultiStepLR": (
        lambda o: schedules.MultiStepLR(o, [5, 8, 8]),
        lambda o: schedules.MultiStepLR(o, [5, 9]),
        r"MultiStepLR's milestones = \[5, 8, 8\], and \[5, 9\] is given now",
    ),
    "CyclicLR": (
        lambda o: schedules.CyclicLR(o, 0.01, 0.1, 3),
        lambda o: schedules.CyclicLR(o, 0.01, 0.1, 4),
        r"CyclicLR's total_size = 6.0, and 8.0 is given now",
    ),
    "CyclicLR, scale_fn": (
        lambda o: schedules.CyclicLR(o, 0.01, 0.1, 3, scale_fn=lambda cycle: 1.0),
        lambda o: schedules.CyclicLR(o, 0.01, 0.1, 3, scale_fn=lambda cycle: 0.5),
        "CyclicLR's factor of step 0 for group 0 = 1.0, and 0.5 is given now",
    ),
    "OneCycleLR, pct_start": (
        lambda o: schedules.OneCycleLR(o, 0.1, 12),
        lambda o: schedules.OneCycleLR(o, 0.1, 12, pct_start=0.5),
        r"OneCycleLR's _schedule_phases\[0\]\.end_step = 2\.\d+, and 5\.0 is given now",
    ),
    "OneCycleLR, total_steps": (
        lambda o: schedules.OneCycleLR(o, 0.1, 12),
        lambda o: schedules.OneCycleLR(o, 0.1, 16),
        "OneCycleLR's total_steps = 12, and 16 is given now",
    ),
    "OneCycleLR, anneal_strategy": (
        lambda o: schedules.OneCycleLR(o, 0.1, 12),
        lambda o: schedules.OneCycleLR(o, 0.1, 12, anneal_strategy="linear"),
        "OneCycleLR's _anneal_func_type = cos, and linear is given now",
    ),
    "LinearLR": (
        lambda o: schedules.LinearLR(o, 0.5),
        lambda o: schedules.LinearLR(o, 0.5, 0.9),
        "LinearLR's end_factor = 1.0, and 0.9 is given now",
    ),
    "LambdaLR": (
        lambda o: schedules.LambdaLR(o, lambda step: 0.9**step),
        lambda o: schedules.LambdaLR(o, lambda step: 0.8**step),
        "LambdaLR's factor of step 1 for group 0 = 0.9, and 0.8 is given now",
    ),
    "LambdaLR of an object": (
        lambda o: schedules.LambdaLR(o, Decay(0.9)),
        lambda o: schedules.LambdaLR(o, Decay(0.8)),
        r"LambdaLR's lr_lambdas\[0\]\.gamma = 0.9, and 0.8 is given now",
    ),
    "LambdaLR of a shorter table": (
        lambda o: schedules.LambdaLR(o, lambda step: (1 / np.arange(1, 40))[step]),
        lambda o: schedules.LambdaLR(o, lambda step: (1 / np.arange(1, 30))[step]),
        "LambdaLR's factor of step 29 for group 0 = 0.0333.*, and nothing is given now",
    ),
    "MultiplicativeLR": (
        lambda o: schedules.MultiplicativeLR(o, lambda step: 0.9),
        lambda o: schedules.MultiplicativeLR(o, lambda step: 0.9 if step < 50_000 else 0.8),
        "MultiplicativeLR's factor of step 5.* = 0.9, and 0.8 is given now",
    ),
    "one_cycle, peak": (
        lambda o: one_cycle(o, 0.1, 3, 4, 2),
        lambda o: one_cycle(o, 0.1, 3, 4, 2.25),
        "LambdaLR's factor of step 1 for group 0 = .*, and .* is given now",
    ),
    "one_cycle, end": (
        lambda o: one_cycle(o, 0.1, 3, 4, 2),
        lambda o: one_cycle(o, 0.1, 3, 4, 2, annihilate=True),
        "LambdaLR's factor of step 8 for group 0 = .*, and .* is given now",
    ),
    "one_cycle, epochs": (
        lambda o: one_cycle(o, 0.1, 30, 98, 5),
        lambda o: one_cycle(o, 0.1, 31, 98, 5),
        "LambdaLR's factor of step 5.* for group 0 = .*, and .* is given now",
    ),
    "chained": (chained(0.1), chained(0.2), r"_schedulers\[0\]\.factor = 0.1, and 0.2 is given"),
    "chained, the second": (chained(0.1), chained(0.1, 0.8), r"_schedulers\[1\]\.gamma = 0.9"),
    "a longer chain": (
        lambda o: schedules.ChainedScheduler([schedules.ConstantLR(o)]),
        lambda o: schedules.ChainedScheduler([schedules.ConstantLR(o), schedules.ConstantLR(o)]),
        r"_schedulers\[1\].* = nothing, and .* is given now",
    ),
    "another link": (
        lambda o: schedules.ChainedScheduler([schedules.ExponentialLR(o, 0.1)]),
        lambda o: schedules.ChainedScheduler([schedules.StepLR(o, 5, 0.1)]),
        r"_schedulers\[0\]\.kind = ExponentialLR, and StepLR is given now",
    ),
    "in a row, milestone": (in_a_row(3), in_a_row(5), r"_milestones\[0\] = 3, and 5 is given now"),
    "in a row, the second": (in_a_row(3), in_a_row(3, 0.8), r"_schedulers\[1\]\.gamma = 0.9"),
    "SWALR": (
        lambda o: SWALR(o, 0.01, 4),
        lambda o: SWALR(o, 0.01, 5),
        "SWALR's anneal_epochs = 4, and 5 is given now",
    ),
    "the second of two": (
        lambda o: [schedules.StepLR(o, 4), schedules.ExponentialLR(o, 0.9)],
        lambda o: [schedules.StepLR(o, 4), schedules.ExponentialLR(o, 0.8)],
        "ExponentialLR's gamma = 0.9, and 0.8 is given now",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_another_setting_of_the_schedule_is_told_in_one_line(tmp_path, kind):
    begun, other, words = CHANGES[kind]
    skip_what_cannot_be_kept(begun)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(Stopped):
        run(path, begun, stop_after=1)
    before, model = path.read_bytes(), small_net(5)
    with pytest.raises(CourseError, match=words) as problem:
        run(path, other, epochs=4, model=model)
    told = str(problem.value)
    assert "it was begun with" in told and "go on as that run was begun" in told
    assert "\n" not in told and len(told) < 300 + len(str(path))
    # Nothing has changed, and as it was begun the run goes on.
    assert path.read_bytes() == before and same_state(model, small_net(5))
    assert len(run(path, begun)) == 3


@pytest.mark.parametrize("name", ["factor", "patience", "cooldown", "threshold", "min_lr"])
def test_another_plateau_is_told(tmp_path, name):
    def schedule(**settings):
        return lambda o: schedules.ReduceLROnPlateau(o, **{"patience": 0, **settings})

    path = tmp_path / "run.checkpoint"
    with pytest.raises(Stopped):
        run(path, schedule(), stop_after=2, step_every="epoch")
    with pytest.raises(CourseError, match=f"ReduceLROnPlateau's .*{name}.* is given now"):
        run(path, schedule(**{name: 0.25 if name != "patience" else 3}), step_every="epoch")
    assert len(run(path, schedule(), step_every="epoch")) == 3


def test_a_setting_that_was_calculated_elsewhere_may_differ_in_its_last_digit(tmp_path):
    path = tmp_path / "run.checkpoint"
    gamma = 0.9
    with pytest.raises(Stopped):
        run(path, lambda o: schedules.ExponentialLR(o, gamma), stop_after=1)
    nearly = np.nextafter(gamma, 1)
    assert len(run(path, lambda o: schedules.ExponentialLR(o, nearly))) == 3


class Warm(schedules.LRScheduler):
    """A schedule of an own kind, which counts under a name of its own, and begins late to do so."""

    def __init__(self, optimizer, length, notes=()):
        self.length, self.seen, self.notes = length, 0, list(notes)
        super().__init__(optimizer)

    def get_lr(self):
        self.seen += 1
        if self.seen > 1:
            self.late = self.seen
        return [rate * min(1, self.seen / self.length) for rate in self.base_lrs]


@pytest.mark.parametrize("same_objects", [False, True])
def test_a_schedule_of_an_own_kind_may_count_as_it_likes(tmp_path, same_objects):
    expected = run(None, lambda o: Warm(o, 10))
    path, model = tmp_path / "run.checkpoint", small_net()
    optimizer = sgd(model)
    warm = Warm(optimizer, 10)
    given = {"model": model, "optimizer": optimizer}
    with pytest.raises(Stopped):
        run(path, lambda o: warm, stop_after=1, **given)
    with pytest.raises(CourseError, match="Warm's length = 10, and 9 is given now"):
        run(path, lambda o: Warm(o, 9))
    if same_objects:
        warm.step()  # the run was stopped within the next epoch
        assert run(path, lambda o: warm, **given) == expected
    else:
        assert run(path, lambda o: Warm(o, 10)) == expected


def test_rates_that_are_tensors_are_compared_too(tmp_path):
    def go(path, gamma, rate, **options):
        model = small_net()
        optimizer = torch.optim.SGD(model.parameters(), torch.tensor(rate), foreach=False)
        schedule = lambda o: schedules.ExponentialLR(o, gamma)  # noqa: E731
        return run(path, schedule, model=model, optimizer=optimizer, **options)

    path = tmp_path / "run.checkpoint"
    with pytest.raises(Stopped):
        go(path, 0.9, 0.05, stop_after=1)
    with pytest.raises(CourseError, match="gamma = 0.9, and 0.8 is given"):
        go(path, 0.8, 0.05)
    assert go(path, 0.9, 0.05) == go(None, 0.9, 0.05)


def test_a_schedule_whose_state_cannot_be_kept_still_trains():
    table = [0.9**step for step in range(40)]
    expected = run(None, lambda o: schedules.LambdaLR(o, lambda step: table[step]))
    assert run(None, lambda o: schedules.LambdaLR(o, table.__getitem__)) == expected


# Generators of another kind.


class Noise:
    def __init__(self, rng):
        self.rng = rng

    def __call__(self, images, generator):
        return images


@pytest.mark.parametrize(
    ("begun", "other"),
    [
        (np.random.default_rng(1), random.Random(1)),
        (torch.Generator(), np.random.RandomState(1)),
        (np.random.RandomState(1), np.random.Generator(np.random.MT19937(1))),
    ],
)
def test_generators_of_another_kind_are_told(tmp_path, begun, other):
    def batches(rng):
        return Batches(split_of(40), 10, Noise(rng))

    path = tmp_path / "run.checkpoint"
    with pytest.raises(Stopped):
        run(path, lambda o: None, stop_after=1, batches=batches(begun))
    with pytest.raises(CourseError, match=r"kinds of generators \['torch on cpu', .*\] there"):
        run(path, lambda o: None, batches=batches(other))


# Damaged files.


def saved(path):
    """A checkpoint of a small run; the net, and the whole file."""
    model = small_net(3)
    State(model, sgd(model)).save(path, [])
    return model, path.read_bytes()


def loaded(path):
    model = small_net(4)
    State(model, sgd(model)).load(path, 1)
    return model


def test_a_flag_that_is_flipped_in_the_index_of_the_file_is_noticed(tmp_path):
    """As a folder torch reads an entry otherwise, though the checksum of its bytes is right."""
    path = tmp_path / "run.checkpoint"
    model, whole = saved(path)
    assert same_state(loaded(path), model)
    entries = [at for at in range(len(whole)) if whole[at : at + 4] == b"PK\x01\x02"]
    assert len(entries) == len(zipfile.ZipFile(path).infolist()) > 10
    for entry in entries:
        spoilt = bytearray(whole)
        spoilt[entry + 38] ^= 0x10  # external attributes: the folder flag of MS-DOS
        path.write_bytes(spoilt)
        with pytest.raises(CourseError, match="is damaged, .*SHA-256 is wrong.*delete it"):
            loaded(path)


def test_every_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "run.checkpoint"
    _, whole = saved(path)
    places = random.Random(0)
    for number in range(400):
        place = places.randrange(len(whole))
        if number < 100:  # in the mark and the digest at the end
            place = len(whole) - 1 - number
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << places.randrange(8)
        path.write_bytes(spoilt)
        with pytest.raises(CourseError, match="is damaged, or no checkpoint") as problem:
            loaded(path)
        assert "\n" not in str(problem.value)


@pytest.mark.parametrize("missing", [1, 30, 64, 72, 73, 200])
def test_a_file_whose_end_is_missing_is_noticed(tmp_path, missing):
    path = tmp_path / "run.checkpoint"
    _, whole = saved(path)
    path.write_bytes(whole[:-missing])
    with pytest.raises(CourseError, match="is damaged, or no checkpoint"):
        loaded(path)


def test_torch_reads_the_file_as_any_other(tmp_path):
    path = tmp_path / "run.checkpoint"
    model, _ = saved(path)
    state = torch.load(path, weights_only=True)
    for name, weight in model.state_dict().items():
        assert torch.equal(state["model"][name], weight)
