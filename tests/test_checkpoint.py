"""Stopped runs against unbroken ones; and what is said of files that are damaged or foreign."""

from __future__ import annotations

import copy
import io
import random
import resource

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_runs import (
    batches_of,
    loader_of,
    same_state,
    sgd,
    skip_what_cannot_be_kept,
    small_net,
    split_of,
    without_times,
)
from torch import nn
from torch.optim import lr_scheduler as schedules
from torch.optim.swa_utils import SWALR
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from helpers import augment
from helpers.data import Batches
from helpers.environment import CourseError
from helpers.training import fit
from helpers.training.averages import moving_average
from helpers.training.checkpoint import State, difference_of_weights
from helpers.training.checkpoint_file import sealed
from helpers.training.schedule import one_cycle


class Stopped(Exception):
    """The run is killed here."""


def run(
    epochs: int,
    checkpoint=None,
    stop_after: int = 0,
    source: str = "batches",
    step_every: str = "batch",
):
    """A whole run from fresh objects, with all that draws random numbers; model and history."""
    model = small_net(seed=3, dropout=0.3)
    transform = augment.Compose(
        augment.RandomAffine(10, (0.1, 0.1)), augment.RandomCrop(1), augment.Cutout(2)
    )
    batches = (
        loader_of(70, 16, seed=5)
        if source == "loader"
        else Batches(
            split_of(70), 16, transform, shuffle=True, generator=torch.Generator().manual_seed(5)
        )
    )
    optimizer, average = sgd(model), moving_average(model, 0.9)
    cycle = step_every == "batch"
    scheduler = (
        one_cycle(optimizer, 0.1, epochs, len(batches), 2)
        if cycle
        else schedules.StepLR(optimizer, 1, 0.5)
    )

    def stop(row):
        if row["epoch"] == stop_after:
            raise Stopped

    torch.manual_seed(9)
    try:
        history = fit(
            model,
            batches,
            Batches(split_of(30, seed=1), 12),
            epochs,
            optimizer,
            scheduler,
            average=average,
            checkpoint=checkpoint,
            step_every=step_every,
            show=False,
            on_epoch=stop,
        )
    except Stopped:
        return None
    return model, average, without_times(history)


@pytest.mark.parametrize("source", ["batches", "loader"])
@pytest.mark.parametrize("step_every", ["batch", "epoch"])
@pytest.mark.parametrize("stops", [[1], [2], [3], [1, 2, 3]])
def test_a_stopped_run_goes_on_to_exactly_the_numbers_of_an_uninterrupted_one(
    tmp_path, source, step_every, stops
):
    model, average, rows = run(4, source=source, step_every=step_every)
    checkpoint = tmp_path / "deep" / "run.checkpoint"
    for stop in stops:
        assert run(4, checkpoint, stop, source, step_every) is None
        torch.manual_seed(123)
        torch.rand(7)  # a new process is in another random state
    resumed, resumed_average, resumed_rows = run(4, checkpoint, 0, source, step_every)
    assert (
        resumed_rows == rows and same_state(resumed, model) and same_state(resumed_average, average)
    )
    assert len({row["train_loss"] for row in rows}) == 4


class Untouched(Batches):
    """Batches for a run that is not to train, and not to measure."""

    def __iter__(self):
        raise AssertionError("a finished run trains")


def test_a_finished_run_is_read_back_without_training(tmp_path):
    path = tmp_path / "run.checkpoint"
    model, rows = simple_run(3, path)
    again = small_net()
    idle = Untouched(split_of(40), 10), Untouched(split_of(20), 20)
    history = fit(again, *idle, 3, sgd(again), checkpoint=path, show=False)
    assert without_times(history) == rows and same_state(again, model)


def test_a_checkpoint_changes_no_number(tmp_path):
    assert run(3, tmp_path / "run.checkpoint")[2] == run(3)[2]


def simple_run(epochs, checkpoint=None, model=None, optimizer=None, schedule=None, **options):
    """A run without an average; the model, and its rows."""
    model = model or small_net()
    optimizer = optimizer or sgd(model)
    scheduler = schedule(optimizer) if schedule else None
    history = fit(
        model,
        options.pop("batches", None) or batches_of(40, 10, seed=2),
        Batches(split_of(20, seed=1), 20),
        epochs,
        optimizer,
        scheduler,
        checkpoint=checkpoint,
        show=False,
        **options,
    )
    return model, without_times(history)


def stop_after(epoch):
    def stop(row):
        if row["epoch"] == epoch:
            raise Stopped

    return stop


def stopped_and_resumed(epochs, path, make):
    """The rows of a run that is stopped after its first epoch; ``make`` gives fresh objects."""
    with pytest.raises(Stopped):
        simple_run(epochs, path, on_epoch=stop_after(1), **make())
    np.random.seed(77)
    random.seed(77)
    torch.manual_seed(77)
    return simple_run(epochs, path, **make())


# Whatever draws random numbers


class Noisy(Dataset):
    """Images with noise from NumPy's and Python's global generators."""

    def __init__(self):
        self.images, self.labels = next(iter(Batches(split_of(40), 40)))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, at):
        noise = np.random.randn() + random.gauss(0, 1) + torch.randn(()).item()
        return self.images[at] + 0.3 * noise, self.labels[at]


def noisy_loader(kind):
    dataset = Noisy()
    if kind == "shuffle":
        return DataLoader(dataset, 10, shuffle=True)
    sampler = RandomSampler(dataset, generator=torch.Generator().manual_seed(3))
    if kind == "sampler":
        return DataLoader(dataset, 10, sampler=sampler)
    return DataLoader(dataset, batch_sampler=BatchSampler(sampler, 10, False))


@pytest.mark.parametrize("kind", ["shuffle", "sampler", "batch sampler"])
def test_samplers_numpy_and_python_go_on_drawing_where_they_stopped(tmp_path, kind):
    def make():
        np.random.seed(1)
        random.seed(1)
        torch.manual_seed(1)
        return {"batches": noisy_loader(kind), "model": small_net()}

    model, rows = simple_run(3, **make())
    resumed, resumed_rows = stopped_and_resumed(3, tmp_path / "run.checkpoint", make)
    assert resumed_rows == rows and same_state(resumed, model)


def test_shuffled_test_batches_go_on_too(tmp_path):
    def go(epochs, path=None, **options):
        model = small_net()
        noise = lambda images, drawn: images + torch.rand(images.shape, generator=drawn)  # noqa: E731
        test = Batches(split_of(20, seed=1), 6, noise, shuffle=True, generator=torch.Generator())
        train = batches_of(40, 10)
        return without_times(
            fit(model, train, test, epochs, sgd(model), checkpoint=path, show=False, **options)
        )

    path = tmp_path / "run.checkpoint"
    with pytest.raises(Stopped):
        go(3, path, on_epoch=stop_after(1))
    assert go(3, path) == go(3)


# Every schedule


SCHEDULES = {
    "StepLR": lambda o: schedules.StepLR(o, 5, 0.5),
    "MultiStepLR": lambda o: schedules.MultiStepLR(o, np.array([3, 6]), np.float64(0.5)),
    "LambdaLR": lambda o: schedules.LambdaLR(o, lambda step: np.float64(0.9) ** step),
    "Exponential": lambda o: schedules.ExponentialLR(o, np.float32(0.9)),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, np.float64(0.1), 12),
    "CyclicLR": lambda o: schedules.CyclicLR(o, 0.01, 0.1, 3),
    "warm restarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 5),
    "in a row": lambda o: schedules.SequentialLR(
        o, [schedules.ConstantLR(o, 0.1, 2), schedules.ExponentialLR(o, 0.9)], [3]
    ),
    "chained": lambda o: schedules.ChainedScheduler(
        [schedules.ConstantLR(o, 0.1, 2), schedules.ExponentialLR(o, 0.9)]
    ),
    "two": lambda o: [schedules.StepLR(o, 4, 0.5), schedules.ExponentialLR(o, 0.95)],
    "SWALR": lambda o: SWALR(o, 0.01, 4),
    "one_cycle": lambda o: one_cycle(o, np.float64(0.1), 3, 4, 2, annihilate=True),
}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_run_goes_on_under_any_schedule_also_with_numpys_numbers(tmp_path, kind):
    skip_what_cannot_be_kept(SCHEDULES[kind])

    def make():
        model = small_net()
        rate = np.float64(0.05)
        optimizer = torch.optim.SGD(model.parameters(), rate, np.float64(0.9))
        return {"model": model, "optimizer": optimizer, "schedule": SCHEDULES[kind]}

    model, rows = simple_run(3, **make())
    resumed, resumed_rows = stopped_and_resumed(3, tmp_path / "run.checkpoint", make)
    assert resumed_rows == rows and same_state(resumed, model)
    assert len({row["learning_rate"] for row in rows}) > 1


class Waves:
    """A schedule's function with an array of its own, which torch keeps with the schedule."""

    def __init__(self):
        self.factors = np.geomspace(1, 0.1, 13)[::-1]

    def __call__(self, step):
        return self.factors[step % 13]


RATES = [np.float32(0.05), np.float16(0.05), np.array(0.05), np.array(0.05, dtype=np.float32)]
RATES += [torch.tensor(0.05), 0.05]
NUMPY_SCHEDULES = {
    "none": lambda o: [],
    "an array": lambda o: schedules.LambdaLR(o, Waves()),
    "Lambda": lambda o: schedules.LambdaLR(o, lambda step: np.float32(0.9) ** step),
    "Multiplicative": lambda o: schedules.MultiplicativeLR(o, lambda step: np.float32(0.9)),
    "Cosine": lambda o: schedules.CosineAnnealingLR(o, 5, np.float32(0.01)),
}


@pytest.mark.parametrize("rate", RATES, ids=repr)
@pytest.mark.parametrize("kind", NUMPY_SCHEDULES)
def test_numpys_numbers_of_any_type_round_as_in_a_run_that_was_never_stopped(tmp_path, kind, rate):
    def make():
        model = small_net()
        optimizer = torch.optim.AdamW(
            model.parameters(), copy.deepcopy(rate), weight_decay=np.float32(0.1)
        )
        return {"model": model, "optimizer": optimizer, "schedule": NUMPY_SCHEDULES[kind]}

    model, rows = simple_run(3, **make())
    resumed, resumed_rows = stopped_and_resumed(3, tmp_path / "run.checkpoint", make)
    assert resumed_rows == rows and same_state(resumed, model)


@pytest.mark.parametrize("again", ["anew", "the same"])
def test_a_rate_that_is_a_tensor_goes_on_where_a_plateau_moved_it(tmp_path, again):
    def make(rate=0.1):
        model = small_net()
        optimizer = torch.optim.SGD(model.parameters(), torch.tensor(rate), foreach=False)
        return {
            "model": model,
            "optimizer": optimizer,
            "schedule": lambda o: schedules.ReduceLROnPlateau(o, patience=0, threshold=0.9),
            "step_every": "epoch",
        }

    path = tmp_path / "run.checkpoint"
    _, rows = simple_run(4, **make())
    first = make()
    simple_run(3, path, **first)
    resumed = {"anew": make, "the same": lambda: first}[again]()
    assert simple_run(4, path, **resumed)[1] == rows
    assert rows[-1]["learning_rate"] < 0.1
    with pytest.raises(CourseError, match=r"begun with a learning rate of .*0\.1.*0\.3.* is given"):
        simple_run(5, path, **make(0.3))


def test_a_plateau_goes_on(tmp_path):
    def make():
        model = small_net()
        return {
            "model": model,
            "optimizer": sgd(model, 0.05),
            "schedule": lambda o: schedules.ReduceLROnPlateau(o, patience=0, threshold=0.9),
            "step_every": "epoch",
        }

    _, rows = simple_run(4, **make())
    assert stopped_and_resumed(4, tmp_path / "run.checkpoint", make)[1] == rows
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.05, 0.05, 0.005, 5e-4])


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: one_cycle(optimizer, 0.1, 3, 4, 2),
        lambda optimizer: schedules.OneCycleLR(optimizer, 0.1, 12),  # which moves momentum too
        lambda optimizer: [],
    ],
)
def test_the_same_objects_go_on_after_an_interruption_within_an_epoch(tmp_path, schedule):
    """In a notebook: the cell with fit is stopped and run again, and nothing is made anew."""

    def go(stop_at, path=None):
        model, calls = small_net(), []
        optimizer = sgd(model)
        scheduler = schedule(optimizer)

        def loss_fn(logits, targets):
            calls.append(1)
            if len(calls) == stop_at:
                raise KeyboardInterrupt
            return F.cross_entropy(logits, targets)

        def cell():
            batches = batches_of(40, 10)
            test = Batches(split_of(20), 20)
            options = {"loss_fn": loss_fn, "checkpoint": path, "show": False}
            return without_times(fit(model, batches, test, 3, optimizer, scheduler, **options))

        try:
            return cell()
        except KeyboardInterrupt:
            return cell()

    assert go(7, tmp_path / "run.checkpoint") == go(0)


def test_a_run_that_went_on_in_one_place_goes_on_in_another(tmp_path):
    """First with the objects of the stopped run, whose rate is lower by now, then with new ones."""
    path = tmp_path / "run.checkpoint"

    def make():
        model = small_net()
        optimizer = sgd(model, 0.05)
        plateau = schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.99)
        return {"model": model, "optimizer": optimizer, "schedule": lambda _: plateau}

    _, rows = simple_run(5, step_every="epoch", **make())
    same = make()
    for epoch in (2, 3):
        with pytest.raises(Stopped):
            simple_run(5, path, step_every="epoch", on_epoch=stop_after(epoch), **same)
    assert simple_run(5, path, step_every="epoch", **make())[1] == rows
    assert rows[4]["learning_rate"] < rows[2]["learning_rate"] < 0.05


# Wrapped nets


def wrapped(net, kind):
    if kind == "compiled":
        return torch.compile(net, backend="eager")
    if kind == "data parallel":
        return nn.DataParallel(net)
    if kind == "both":
        return nn.DataParallel(torch.compile(net, backend="eager"))
    if kind == "inner":
        net[0] = torch.compile(net[0], backend="eager")
    return net


@pytest.mark.parametrize("saved", ["plain", "compiled", "data parallel", "both", "inner"])
@pytest.mark.parametrize("loaded", ["plain", "compiled", "data parallel", "both", "inner"])
def test_weights_fit_however_the_net_is_wrapped(tmp_path, saved, loaded):
    first, second = small_net(1), small_net(2)
    plain = list(first.parameters()), list(second.parameters())
    states = []
    for net, kind in ((first, saved), (second, loaded)):
        model = wrapped(net, kind)
        states.append(State(model, sgd(model), average=moving_average(model, 0.9)))
    states[0].save(tmp_path / "run.checkpoint", [])
    assert states[1].load(tmp_path / "run.checkpoint", 1) == []
    for mine, theirs in zip(*plain, strict=True):
        assert torch.equal(mine, theirs)
    averages = [state.average.state_dict().values() for state in states]
    for mine, theirs in zip(*averages, strict=True):
        assert torch.equal(mine, theirs)


def test_a_run_of_a_wrapped_net_goes_on_with_a_plain_one(tmp_path):
    path, first, second = tmp_path / "run.checkpoint", small_net(), small_net(7)
    model, rows = simple_run(3)
    with pytest.raises(Stopped):
        simple_run(3, path, model=nn.DataParallel(first), on_epoch=stop_after(2))
    assert simple_run(3, path, model=second)[1] == rows and same_state(second, model)


# Damaged files


@pytest.mark.parametrize("kind", ["empty", "half", "all but the end", "text"])
def test_a_damaged_checkpoint_is_one_line_that_names_the_way_out(tmp_path, kind):
    path = tmp_path / "run.checkpoint"
    run(3, path, stop_after=1)
    whole = path.read_bytes()
    spoilt = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "all but the end": whole[:-30],
        "text": b"not a checkpoint\n" * 20,
    }[kind]
    path.write_bytes(spoilt)
    with pytest.raises(CourseError) as problem:
        run(3, path)
    words = str(problem.value)
    assert str(path) in words and "damaged" in words and "delete it" in words
    assert "\n" not in words and len(words) < 320 + len(str(path))
    assert path.read_bytes() == spoilt


def test_no_flipped_bit_is_taken_for_a_weight(tmp_path):
    """Each flip is told, or lies where it changes nothing (in what a zip says twice, in a gap)."""
    path = tmp_path / "run.checkpoint"
    model, rows = simple_run(1, path)
    whole = path.read_bytes()
    places = random.Random(0)
    idle = Untouched(split_of(20), 20), Untouched(split_of(20), 20)
    noticed = 0
    for _ in range(400):
        spoilt = bytearray(whole)
        spoilt[places.randrange(len(whole))] ^= 1 << places.randrange(8)
        path.write_bytes(spoilt)
        again = small_net(5)
        try:
            history = fit(again, *idle, 1, sgd(again), checkpoint=path, show=False)
        except CourseError as problem:
            assert str(path) in str(problem)
            noticed += 1
            continue
        assert without_times(history) == rows and same_state(again, model)
    assert noticed > 200


# Sound files of something else


def test_a_weight_that_one_of_two_nets_lacks_is_named():
    weight = torch.zeros(4, 2)
    extra = {"counter": 3}  # what a module keeps beside its tensors
    one, two = {"weight": weight, "extra": extra}, {"weight": weight, "fc.bias": weight}
    assert difference_of_weights(one, two | {"extra": extra}) == "its net has no fc.bias"
    assert difference_of_weights(two, {"weight": weight}) == "this net has no fc.bias"
    assert difference_of_weights(one, {"extra": {}, "weight": torch.ones(4, 2)}) == ""
    assert difference_of_weights({"weight": weight}, {"weight": weight.T}) == (
        "its net has weight of shape [4, 2], and this one of shape [2, 4]"
    )


def test_an_average_goes_on_with_its_own_decay(tmp_path):
    path, model = tmp_path / "run.checkpoint", small_net()
    simple_run(2, path, model=model, average=moving_average(model, 0.9))
    other = small_net()
    words = "kind of average AveragedModel 0.9 there, AveragedModel 0.5 now"
    with pytest.raises(CourseError, match=words):
        simple_run(3, path, model=other, average=moving_average(other, 0.5))
    again = small_net()
    assert len(simple_run(3, path, model=again, average=moving_average(again, 0.9))[1]) == 3


def another_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("another net", r"its net has 1\.weight of shape \[4, 64\], and this one of shape \[6\]"),
        ("another optimizer", "optimizer SGD there, Adam now"),
        ("a schedule more", r"schedules \[\] there, \['StepLR'\] now"),
        ("an average more", "average False there, True now"),
        ("other groups", r"groups \[6\] there, \[2, 4\] now"),
        ("other batches", "generators of the batches 2 there, 1 now"),
        ("another rate", "begun with a learning rate of 0.05, and 0.01 is given now"),
        ("another decay", "begun with weight_decay 0.0001, and 0 is given now"),
        ("fewer epochs", "holds 2 epochs, and 1 are asked for: give epochs=2 or more"),
        ("weights alone", "no checkpoint of fit"),
        ("a list", "no checkpoint of fit"),
        ("a net", "no checkpoint that can be read here"),
        ("no history", "no checkpoint of fit"),
    ],
)
def test_a_sound_file_that_does_not_fit_is_told_and_never_to_be_deleted(tmp_path, kind, words):
    path, model, epochs = tmp_path / "run.checkpoint", small_net(), 3
    simple_run(2, path, model=another_net() if kind == "another net" else None)
    if kind == "fewer epochs":
        epochs = 1
    replace_by(path, kind)
    before, weights = path.read_bytes(), small_net()
    with pytest.raises(CourseError, match=words) as problem:
        simple_run(epochs, path, model=model, **another(kind, model))
    told = str(problem.value)
    assert str(path) in told and "another file" in told and "\n" not in told
    assert "delete" not in told and "damaged" not in told
    assert path.read_bytes() == before and same_state(model, weights)


def another(kind, model):
    """What is given to fit otherwise than before."""
    own = list(model.parameters())
    given = {
        "another optimizer": {"optimizer": torch.optim.Adam(own, 0.05)},
        "a schedule more": {"schedule": lambda optimizer: schedules.StepLR(optimizer, 1)},
        "an average more": {"average": moving_average(model, 0.9)},
        "other groups": {
            "optimizer": torch.optim.SGD([{"params": own[:2]}, {"params": own[2:]}], 0.05)
        },
        "other batches": {"batches": list(batches_of(40, 10))},
        "another rate": {"optimizer": sgd(model, 0.01)},
        "another decay": {"optimizer": torch.optim.SGD(own, 0.05, 0.9, nesterov=True)},
    }
    return given.get(kind, {})


def replace_by(path, kind):
    """Put something else that torch saved in the checkpoint's place."""
    if kind == "weights alone":
        torch.save(small_net().state_dict(), path)
    elif kind == "a list":
        torch.save([1, 2], path)
    elif kind == "a net":
        torch.save(small_net(), path)
    elif kind == "no history":
        state = torch.load(path)
        del state["epochs"]
        torch.save(state, path)


def test_a_schedule_of_another_highest_rate_is_told(tmp_path):
    path = tmp_path / "run.checkpoint"
    simple_run(3, path, schedule=lambda o: one_cycle(o, 0.1, 4, 4, 2))
    with pytest.raises(CourseError, match="begun with a learning rate of 0.1, and 0.02 is given"):
        simple_run(4, path, schedule=lambda o: one_cycle(o, 0.02, 4, 4, 2))


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(CourseError, match=r"cannot be read \(Is a directory\)"):
        simple_run(1, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match="cannot be written .*name a file in another folder"):
        simple_run(1, tmp_path / "file" / "run.checkpoint")


def test_a_state_that_could_not_be_read_again_is_told_at_once(tmp_path):
    class Odd(torch.optim.SGD):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.param_groups[0]["odd"] = Stopped

    model = small_net()
    with pytest.raises(CourseError, match="cannot be kept in a checkpoint, .*: train it without"):
        simple_run(
            2, tmp_path / "run.checkpoint", model=model, optimizer=Odd(model.parameters(), 0.1)
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "odd, words",
    [
        (Stopped, r"optimizer\['param_groups'\]\[0\]\['odd'\] is a type"),
        ([1, {"deep": Stopped}], r"\['odd'\]\[1\]\['deep'\] is a type"),
        (lambda: 1, r"\['odd'\] is a function"),
        (np.array(["words"]), r"\['odd'\] is a ndarray"),
    ],
)
def test_what_cannot_be_kept_is_named_before_the_first_epoch(tmp_path, odd, words):
    model = small_net()
    optimizer = sgd(model)
    optimizer.param_groups[0]["odd"] = odd
    with pytest.raises(CourseError, match=f"cannot be kept .*{words}.*: train it") as problem:
        simple_run(2, tmp_path / "run.checkpoint", model=model, optimizer=optimizer)
    assert "\n" not in str(problem.value) and "\x1b" not in str(problem.value)
    assert same_state(model, small_net())
    simple_run(1, model=model, optimizer=optimizer)


def test_what_comes_into_the_state_while_training_is_named_after_the_first_epoch(tmp_path):
    class Odd(torch.optim.SGD):
        def step(self, closure=None):
            self.state[self.param_groups[0]["params"][0]]["odd"] = Stopped
            return super().step(closure)

    model = small_net()
    with pytest.raises(CourseError, match=r"optimizer\['state'\]\[0\]\['odd'\] is a type"):
        simple_run(
            2, tmp_path / "run.checkpoint", model=model, optimizer=Odd(model.parameters(), 0.1)
        )


def test_a_tilde_is_the_readers_own_folder_and_a_number_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    rows = simple_run(1, "~/run.checkpoint")[1]
    assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint"]
    assert simple_run(1, "~/run.checkpoint")[1] == rows
    with pytest.raises(CourseError, match="checkpoint=5 is no file: give its path"):
        simple_run(1, 5)


# A full disk, and a diverged run


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(tmp_path):
    path = tmp_path / "run.checkpoint"
    run(4, path, stop_after=2)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(CourseError) as problem:
            run(4, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"no space left in {tmp_path}" in str(problem.value)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run.checkpoint"]
    assert run(4, path)[2] == run(4)[2]


def test_a_diverged_epoch_is_never_kept_and_a_lower_rate_is_not_ignored(tmp_path):
    path = tmp_path / "run.checkpoint"
    one_batch = {"batches": list(batches_of(20, 20))}
    model = small_net()
    for _ in range(2):
        with pytest.raises(CourseError, match="loss is (nan|inf)"):
            simple_run(2, path, model=model, optimizer=sgd(model, 1e38), **one_batch)
        assert not path.exists()
    assert simple_run(2, path, optimizer=sgd(fresh := small_net(), 0.1), model=fresh, **one_batch)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"batches": batches_of(40, 20, seed=2)}, "batches of an epoch 4 there, 2 now"),
        ({"mixed": True}, "mixed precision False there, True now"),
    ],
)
def test_a_run_of_other_batches_or_another_precision_is_told(tmp_path, given, words):
    path = tmp_path / "run.checkpoint"
    simple_run(1, path)
    before = path.read_bytes()
    with pytest.raises(CourseError, match=words):
        simple_run(2, path, **given)
    assert path.read_bytes() == before


def test_a_checkpoint_that_does_not_know_its_batches_goes_on(tmp_path):
    """Those of earlier versions do not say how many there were, nor in which precision."""
    path = tmp_path / "run.checkpoint"
    _, wanted = simple_run(2)
    simple_run(1, path)
    state = torch.load(path)
    for name in ("batches of an epoch", "mixed precision"):
        del state["begun_with"][name]
    file = io.BytesIO()
    torch.save(state, file)
    path.write_bytes(sealed(file.getvalue()))
    _, rows = simple_run(2, path)
    assert rows == wanted


def test_batches_that_do_not_know_their_number_go_on(tmp_path):
    class Endless:
        def __iter__(self):
            return iter(batches_of(40, 10, seed=2))

    path = tmp_path / "run.checkpoint"
    simple_run(1, path, batches=Endless())
    _, rows = simple_run(2, path, batches=Endless())
    assert len(rows) == 2
