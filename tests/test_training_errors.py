"""What cannot be trained on or measured: one line with the thing, the value and the way out."""

from __future__ import annotations

import copy
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_runs import batches_of, same_state, sgd, small_net, split_of
from torch import nn
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from helpers.data import Batches, ImageData
from helpers.environment import CourseError
from helpers.lr_finder import lr_range_test
from helpers.models.ghost_norm import GhostBatchNorm2d
from helpers.models.views import SixViews
from helpers.training import History, evaluate, fit, train_one_epoch


def images_and_targets(count=20):
    return next(iter(Batches(split_of(count), count)))


def trains(model, batches):
    train_one_epoch(model, batches, sgd(model))


def fits(model, batches):
    fit(model, batches, Batches(split_of(20), 20), 1, sgd(model), show=False)


def measures(model, batches):
    evaluate(model, batches)


def sweeps(model, batches):
    lr_range_test(model, batches, F.cross_entropy, sgd(model), steps=10)


WAYS = [trains, fits, measures, sweeps]


def one_line(call, words, *arguments):
    with pytest.raises(CourseError, match=words) as problem:
        call(*arguments)
    assert "\n" not in str(problem.value)


# Batches


def odd_batch(kind):
    images, targets = images_and_targets()
    ways = {
        "a dictionary": {"images": images, "labels": targets},
        "three items": (images, targets, targets),
        "images alone": (images,),
        "a tensor": images,
        "arrays": (images.numpy(), targets.numpy()),
        "a list of labels": (images, targets.tolist()),
        "one-hot": (images, F.one_hot(targets, 4)),
        "one-hot floats": (images, F.one_hot(targets, 4).float()),
        "floats": (images, targets.float()),
        "a column": (images, targets[:, None]),
        "too few": (images, targets[:-1]),
    }
    return ways[kind]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("a dictionary", r"a batch is a dict: give pairs \(images, targets\)"),
        ("three items", r"a batch has 3 items: give pairs \(images, targets\)"),
        ("images alone", "a batch has 1 items"),
        ("a tensor", "a batch is a Tensor"),
        ("arrays", "the images of a batch are a ndarray: give a tensor"),
        ("a list of labels", "the targets of a batch are a list: give a tensor"),
        ("one-hot", r"targets of a batch of 20 images are int64 \[20, 4\]: .* int64 \[20\]"),
        ("one-hot floats", r"are float32 \[20, 4\]: give class numbers"),
        ("floats", r"are float32 \[20\]: give class numbers"),
        ("a column", r"are int64 \[20, 1\]"),
        ("too few", r"of 20 images are int64 \[19\]"),
    ],
)
def test_batches_that_are_no_pairs_of_images_and_class_numbers(way, kind, words):
    one_line(way, words, small_net(), [odd_batch(kind)])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("label", "word"), [(4, "4"), (-1, "-1"), (-100, "-100")])
def test_a_class_number_that_the_net_does_not_have(way, label, word):
    images, targets = images_and_targets()
    targets[7] = label
    one_line(
        way,
        f"Target {word} is out of bounds.*between 0 and n - 1",
        small_net(),
        [(images, targets)],
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_class_numbers_of_any_whole_type_are_the_same(dtype):
    images, targets = images_and_targets()
    models = small_net(), small_net()
    rows = [
        (train_one_epoch(model, batch, sgd(model)), evaluate(model, batch))
        for model, batch in zip(models, ([(images, targets)], [(images, targets.to(dtype))]))
    ]
    assert rows[0] == rows[1] and same_state(*models)


def test_a_range_test_of_an_image_too_many_changes_nothing():
    model = small_net()
    one_line(sweeps, "batch has 3 items", model, [odd_batch("three items")])
    assert same_state(model, small_net())


# Nets


class Answers(nn.Module):
    """A net that returns something of its logits."""

    def __init__(self, change):
        super().__init__()
        self.net, self.change = small_net(), change

    def forward(self, images):
        return self.change(self.net(images))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda logits: (logits, logits),
            "returns a tuple: the net has to return the logits alone",
        ),
        (lambda logits: {"logits": logits}, "returns a dict: .*logits alone"),
        (lambda logits: None, "returns a NoneType"),
        (lambda logits: logits[:, :, None], r"\[20, 4, 1\] for 20 images: .* \[20, classes\]"),
        (lambda logits: logits[:, 0], r"returns \[20\] for 20 images"),
        (lambda logits: logits[:5], r"returns \[5, 4\] for 20 images"),
        (lambda logits: logits.mean(), r"returns \[\] for 20 images"),
    ],
)
def test_nets_that_do_not_return_logits(way, change, words):
    one_line(way, words, Answers(change), [images_and_targets()])


def normalised():
    """A net with batch norm over single numbers: one image a batch gives nothing to average."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.BatchNorm1d(6), nn.Linear(6, 4))


def squeezing():
    """Written for many images: of one it removes the axis of the batch too."""

    class Squeeze(nn.Module):
        def forward(self, images):
            return images.squeeze()

    return nn.Sequential(nn.Conv2d(1, 4, 8), Squeeze())


LAST_OF_ONE = r"last batch.*Batches\(drop_last=True\)"


@pytest.mark.parametrize("way", [trains, fits])
def test_batch_norm_and_a_last_batch_of_one(way):
    one_line(way, f"batch norm .* of one image.*{LAST_OF_ONE}", normalised(), batches_of(21, 10))
    way(normalised(), batches_of(20, 10))
    way(normalised(), Batches(split_of(21), 10, drop_last=True))
    evaluate(normalised(), batches_of(21, 10))  # which needs no second image


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("norm", "words"),
    [
        (lambda: nn.GroupNorm(4, 4), "^group norm .*a batch of one image has: take a batch size"),
        (lambda: nn.InstanceNorm2d(4, affine=True), "^instance norm .*: give it larger feature"),
        (
            lambda: nn.BatchNorm2d(4, track_running_stats=False),
            "^batch norm .*a batch of one image has: take .*in training also Batches",
        ),
    ],
)
def test_another_norm_over_single_numbers(way, norm, words):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 8), norm(), nn.Flatten())
    one_line(way, words, net, batches_of(21, 10))


@pytest.mark.parametrize("way", [trains, fits, sweeps])
def test_ghosts_of_one_image_each(way):
    net = nn.Sequential(nn.Conv2d(1, 4, 8), GhostBatchNorm2d(4, 4), nn.Flatten())
    words = r"^batch norm .* a part of the batch of 4 images has \(Expected.*: .*fewer parts .*maps"
    one_line(way, words, net, batches_of(20, 4))
    larger = nn.Sequential(nn.Conv2d(1, 4, 7), GhostBatchNorm2d(4, 4), nn.Flatten())
    way(larger, batches_of(20, 4))


@pytest.mark.parametrize("way", [trains, fits, measures])
def test_squeeze_and_a_last_batch_of_one(way):
    one_line(way, rf"squeeze\(\) in the net.*{LAST_OF_ONE}", squeezing(), batches_of(21, 10))
    way(squeezing(), batches_of(20, 10))
    way(squeezing(), Batches(split_of(21), 10, drop_last=True))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "after",
    [
        lambda x: x.log_softmax(dim=1),
        lambda x: x.softmax(1),
        lambda x: torch.cat([x, x], 1),
        lambda x: x - x.mean(1, keepdim=True),
        lambda x: x.flatten(1),
        lambda x: F.batch_norm(x, None, None, training=True),
    ],
)
def test_squeeze_before_something_else_and_a_last_batch_of_one(way, after):
    class Squeezing(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = squeezing()

        def forward(self, images):
            return after(self.net(images))

    one_line(
        way, rf"one image.*squeeze\(\) in the net.*{LAST_OF_ONE}", Squeezing(), batches_of(21, 10)
    )
    way(Squeezing(), batches_of(20, 10))


def test_an_axis_too_many_in_a_batch_of_many_is_torchs_own_error():
    with pytest.raises(IndexError, match="Dimension out of range"):
        trains(Answers(lambda logits: logits.mean(7)), batches_of(20, 10))


def test_an_error_of_another_kind_stays_what_it_is():
    with pytest.raises(ValueError, match="^something else$"):
        trains(
            Answers(lambda logits: exec("raise ValueError('something else')")), batches_of(20, 10)
        )
    with pytest.raises(IndexError, match="^something else$"):
        trains(
            Answers(lambda logits: exec("raise IndexError('something else')")), batches_of(20, 10)
        )


# Batches, nets, losses and optimizers of another kind


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "change", ["uint8", "float64", "three channels", "rows", "too small", "3 D"]
)
def test_images_that_do_not_fit_the_net(way, change):
    images, targets = images_and_targets()
    changed = {
        "uint8": images.to(torch.uint8),
        "float64": images.double(),
        "three channels": images.expand(-1, 3, -1, -1),
        "rows": images.flatten(1),
        "too small": images[..., :2, :2],
        "3 D": images[:, 0],
    }[change]
    kind, shape = str(changed.dtype).removeprefix("torch."), str(list(changed.shape))
    words = rf"the net cannot calculate with images {kind} {re.escape(shape)} \(.*: give float32"
    one_line(way, words, small_net(), [(changed, targets)])
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    if change not in ("rows", "3 D"):
        one_line(way, words, linear, [(changed, targets)])


def test_a_net_that_scales_its_images_itself_takes_bytes():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def forward(self, images):
            return self.net(images.float() / 255)

    images, targets = images_and_targets()
    trains(Scaled(), [(images.mul(20).abs().to(torch.uint8), targets)])


@pytest.mark.parametrize("way", WAYS)
def test_a_split_is_no_batches(way):
    split = split_of(20)
    words = r"a {} is given: give data.Batches\(split, batch_size\)"
    one_line(way, words.format("ImageSplit"), small_net(), split)
    whole = ImageData("digits", "folder", split.classes, (0.3,), (0.2,), split, split, split)
    one_line(way, words.format("ImageData"), small_net(), whole)
    one_line(way, words.format("NoneType"), small_net(), None)


def test_a_test_split_that_is_no_batches_is_told_before_training():
    model = small_net()
    one_line(
        lambda: fit(model, batches_of(20, 10), split_of(20), 1, sgd(model), show=False),
        "a ImageSplit is given",
    )
    assert same_state(model, small_net())


def call_with(way, **options):
    """Call one of the four with a net, an optimizer and a loss of which some are given."""
    net = small_net()
    given = {"model": net, "optimizer": sgd(net), "loss_fn": F.cross_entropy} | options
    batches = batches_of(20, 10)
    model, optimizer, loss_fn = given["model"], given["optimizer"], given["loss_fn"]
    if way is trains:
        train_one_epoch(model, batches, optimizer, loss_fn)
    elif way is fits:
        fit(model, batches, batches, 1, optimizer, loss_fn=loss_fn, show=False)
    elif way is measures:
        evaluate(model, batches, loss_fn)
    else:
        lr_range_test(model, batches, loss_fn, optimizer, steps=10)


@pytest.mark.parametrize("way", WAYS)
def test_a_class_instead_of_a_net_or_a_loss(way):
    words = r"Answers is a class, and no net: give an object, such as Answers\(\)$"
    one_line(lambda: call_with(way, model=Answers), words)
    net = small_net()
    loaded = net.load_state_dict(net.state_dict())
    for model, kind in (
        (small_net, "function"),
        (None, "NoneType"),
        ("net", "str"),
        (loaded, "_IncompatibleKeys"),
        (net.state_dict(), "OrderedDict"),
    ):
        words = rf"give a net, such as first_net\(\), not something of type {kind}$"
        one_line(lambda m=model: call_with(way, model=m), words)
    one_line(
        lambda: call_with(way, loss_fn=nn.CrossEntropyLoss),
        r"loss_fn is the class CrossEntropyLoss: give an object, CrossEntropyLoss\(\)",
    )
    one_line(lambda: call_with(way, loss_fn="cross"), "loss_fn='cross' cannot be called")
    call_with(way, loss_fn=nn.CrossEntropyLoss())


@pytest.mark.parametrize("way", [trains, fits, sweeps])
def test_what_is_no_optimizer(way):
    for optimizer in (None, torch.optim.SGD, 0.1):
        one_line(lambda o=optimizer: call_with(way, optimizer=o), "is no optimizer: give one")


@pytest.mark.parametrize("way", [trains, fits, sweeps])
@pytest.mark.parametrize("rate", [np.array([0.1]), np.array([0.1, 0.2]), math.nan, "0.1"])
def test_a_rate_that_is_not_one_number(way, rate):
    model = small_net()
    optimizer = sgd(model)
    optimizer.param_groups[0]["lr"] = rate
    one_line(
        lambda: call_with(way, model=model, optimizer=optimizer),
        "the optimizer's lr is one finite number, not ",
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_loss_that_is_not_one_number(way):
    loss_fn = nn.CrossEntropyLoss(reduction="none")
    one_line(lambda: call_with(way, loss_fn=loss_fn), r"loss_fn returns .*\(reduction='mean'\)")
    one_line(
        lambda: call_with(way, loss_fn=lambda *_: 0.5), "the loss is no tensor|returns a float"
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "loss_fn",
    [
        nn.MSELoss,
        nn.MSELoss(),
        nn.L1Loss(),
        nn.BCEWithLogitsLoss(),
        F.mse_loss,
        F.binary_cross_entropy_with_logits,
    ],
)
def test_a_loss_that_takes_other_targets(way, loss_fn):
    words = r"the loss \w+ takes other targets than class numbers \[B\]: give nn.CrossEntropyLoss"
    one_line(lambda: call_with(way, loss_fn=loss_fn), words)


def test_as_many_images_as_classes_are_not_taken_for_a_number_per_logit():
    model = small_net()
    batches = batches_of(20, 4)
    one_line(
        lambda: train_one_epoch(model, batches, sgd(model), nn.MSELoss()), "takes other targets"
    )
    assert same_state(model, small_net())


class OneHotMSE(nn.MSELoss):
    def forward(self, logits, targets):
        return super().forward(logits.softmax(1), F.one_hot(targets, 4).float())


class DividedSum(nn.CrossEntropyLoss):
    def forward(self, logits, targets):
        return super().forward(logits, targets) / len(targets)


@pytest.mark.parametrize("way", WAYS)
def test_a_loss_of_ones_own_is_taken(way):
    call_with(way, loss_fn=OneHotMSE())
    call_with(way, loss_fn=lambda logits, targets: OneHotMSE()(logits, targets))
    call_with(way, loss_fn=DividedSum(reduction="sum"))


@pytest.mark.parametrize("way", WAYS)
def test_a_sum_of_losses(way):
    words = r"CrossEntropyLoss is a sum over the batch: .* mean \(reduction='mean'\)"
    one_line(lambda: call_with(way, loss_fn=nn.CrossEntropyLoss(reduction="sum")), words)


@pytest.mark.parametrize("way", [trains, fits, sweeps])
def test_optimizer_and_loss_that_have_changed_places(way):
    net = small_net()
    given = {"model": net, "optimizer": nn.CrossEntropyLoss(), "loss_fn": sgd(net)}
    words = "^loss_fn is the optimizer SGD: optimizer and loss_fn have changed places"
    one_line(lambda: call_with(way, **given), words)


@pytest.mark.parametrize("way", [trains, fits, sweeps])
def test_a_net_in_the_place_of_something_else_is_shown_in_short(way):
    with pytest.raises(CourseError, match="is no optimizer") as problem:
        call_with(way, optimizer=small_net())
    assert "\n" not in str(problem.value) and len(str(problem.value)) < 260
    one_line(lambda: fit_with(epochs=small_net()), r"at least 1, not Sequential\(")
    one_line(lambda: fit_with(scheduler=small_net()), r"scheduler=Sequential\(.* is no schedule")


@pytest.mark.parametrize("way", [trains, fits, sweeps])
def test_a_frozen_net_and_an_optimizer_that_needs_a_closure(way):
    frozen = small_net().requires_grad_(False)
    one_line(
        lambda: call_with(way, model=frozen, optimizer=sgd(frozen)),
        r"nothing can be trained.*requires_grad_\(True\)",
    )
    model = small_net()
    optimizer = torch.optim.LBFGS(model.parameters())
    one_line(
        lambda: call_with(way, model=model, optimizer=optimizer),
        r"the optimizer needs a closure \(LBFGS.step.*: take SGD or Adam",
    )


# What is given to fit


def fit_with(**options):
    model = options.pop("model", None) or small_net()
    given = {"epochs": 1, "optimizer": sgd(model), "show": False} | options
    return fit(model, batches_of(20, 10), Batches(split_of(20), 20), **given)


@pytest.mark.parametrize("epochs", [0, -3, 2.0, True, "2", None, math.nan])
def test_epochs_that_are_no_number_of_passes(epochs):
    one_line(lambda: fit_with(epochs=epochs), "epochs is a whole number of at least 1, not ")


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_numpys_whole_numbers_are_taken(kind):
    assert len(fit_with(epochs=kind(2)).epochs) == 2
    model = small_net()
    test = lr_range_test(
        model, batches_of(20, 10), F.cross_entropy, sgd(model), steps=kind(12), orders=kind(1)
    )
    assert len(test.rates) == 12


def test_an_epoch_with_an_optimizer_of_another_net():
    model = small_net()
    one_line(
        lambda: train_one_epoch(model, batches_of(20, 10), sgd(small_net())),
        "^the optimizer lacks 6 of .* holds 6 that are not the model's: make it from model",
    )
    assert same_state(model, small_net())


@pytest.mark.parametrize(
    "given, words",
    [
        ({"average": 0.99}, "^the average is a float, which has no update_parameters: give moving"),
        ({"step": None}, "^step=None cannot be called: give a function, or leave it out"),
    ],
)
def test_an_epoch_with_a_part_of_another_kind(given, words):
    model = small_net()
    one_line(lambda: train_one_epoch(model, batches_of(20, 10), sgd(model), **given), words)
    assert same_state(model, small_net())


def test_an_optimizer_of_another_net():
    other = sgd(small_net())
    one_line(lambda: fit_with(optimizer=other), "lacks 6 of .* holds 6 that are not the model's")
    model = small_net()
    optimizer = sgd(model)
    model[6] = nn.Linear(54, 4)  # a new head, after the optimizer was made
    one_line(lambda: fit_with(model=model, optimizer=optimizer), "lacks 2 of .* holds 2 that")
    part = sgd(model[6])
    one_line(lambda: fit_with(model=model, optimizer=part), "lacks 4 of .* requires_grad_")
    model[:6].requires_grad_(False)
    before = model[0].weight.clone()
    fit_with(model=model, optimizer=part)
    assert torch.equal(model[0].weight, before)


def test_a_plateau_cannot_step_after_every_batch():
    model = small_net()
    optimizer = sgd(model)
    plateau = ReduceLROnPlateau(optimizer)
    for scheduler in (plateau, [StepLR(optimizer, 1), plateau]):
        given = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
        one_line(lambda given=given: fit_with(**given), "ReduceLROnPlateau.*step_every='epoch'")
    assert same_state(model, small_net())


def test_a_schedule_that_is_given_the_test_loss_cannot_wait_for_it_to_rise():
    model = small_net()
    optimizer = sgd(model)
    given = {"model": model, "optimizer": optimizer, "step_every": "epoch"}
    rising = ReduceLROnPlateau(optimizer, mode="max")
    for scheduler in (rising, [StepLR(optimizer, 1), rising]):
        one_line(lambda s=scheduler: fit_with(scheduler=s, **given), "gets the test loss.*'min'")
    assert same_state(model, small_net())
    fit_with(scheduler=ReduceLROnPlateau(optimizer, mode="min"), **given)


def sequential(optimizer):
    return SequentialLR(optimizer, [StepLR(optimizer, 1), StepLR(optimizer, 1)], [1])


@pytest.mark.parametrize("step_every", ["batch", "epoch"])
@pytest.mark.parametrize("make", [lambda o: StepLR(o, 1), sequential])
def test_a_schedule_of_another_optimizer(make, step_every):
    model = small_net()
    before, optimizer = sgd(model), sgd(model)
    mixed = [StepLR(optimizer, 1), make(before)]
    chained = ChainedScheduler([make(before)])
    chained.optimizer = optimizer  # which hides the one inside
    for scheduler in (make(before), mixed, chained):
        given = {"optimizer": optimizer, "scheduler": scheduler, "step_every": step_every}
        one_line(lambda given=given: fit_with(model=model, **given), "made for another optimizer")
    assert same_state(model, small_net())
    for scheduler in (make(optimizer), ChainedScheduler([make(optimizer)])):
        fit_with(model=model, optimizer=optimizer, scheduler=scheduler, step_every=step_every)
    one_line(
        lambda: train_one_epoch(model, batches_of(20, 10), optimizer, scheduler=StepLR(before, 1)),
        "made for another optimizer",
    )


def test_a_schedule_of_the_optimizer_inside_a_wrapper_moves_its_rate():
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, inner):
            super().__init__(inner.param_groups, {})
            self.inner, self.param_groups = inner, inner.param_groups

        def step(self, closure=None):
            return self.inner.step()

    model = small_net()
    inner = sgd(model, 0.08)
    schedule = StepLR(inner, 1, 0.5)
    history = fit_with(
        model=model, optimizer=Wrapper(inner), scheduler=schedule, step_every="epoch", epochs=2
    )
    assert [row["learning_rate"] for row in history.epochs] == [0.08, 0.04]


@pytest.mark.parametrize("scheduler", [5, "cosine", StepLR, [StepLR], len])
def test_what_is_no_schedule(scheduler):
    one_line(lambda: fit_with(scheduler=scheduler), "is no schedule: give one that was made")


# Numbers that are not finite


def test_test_images_that_are_not_finite_stop_the_run():
    images, targets = images_and_targets()
    for value in (math.nan, math.inf):
        images[3, 0, 2, 2] = value
        model, rows = small_net(), []
        one_line(
            lambda model=model, rows=rows: fit(
                model,
                batches_of(20, 10),
                [(images, targets)],
                2,
                sgd(model),
                show=False,
                on_epoch=rows.append,
            ),
            r"epoch 1/2: the test loss is nan at a learning rate of 0\.05: take a lower one",
        )
        assert rows == []


def test_a_last_step_that_ruins_the_weights_is_no_result():
    model = small_net()
    one_line(
        fits_with_rate,
        r"epoch 1/1: the test loss is (nan|inf) at a learning rate of 1e\+38",
        model,
        1e38,
    )
    one_line(
        fits_with_rate, r"step 1: the loss is (nan|inf) .*a new model, .*a lower rate", model, 0.01
    )


def fits_with_rate(model, rate):
    batches = list(Batches(split_of(20), 20))
    fit(model, batches, batches, 1, sgd(model, rate), show=False)


# The parts of fit


@pytest.mark.parametrize(
    "given, words",
    [
        ({"average": 0.99}, "the average is a float, which has no update_parameters: give moving"),
        ({"average": nn.Flatten()}, "the average is a Flatten, which has no update_parameters"),
        ({"step": None}, "step=None cannot be called"),
        ({"views": 3}, "views=3 cannot be called: give a function, or leave it out"),
        (
            {"views": SixViews(nn.Flatten())},
            "views is an object SixViews.*: give the class SixViews, or a function of the net",
        ),
        ({"measure": "accuracy"}, "measure='accuracy' cannot be called"),
    ],
)
def test_a_part_of_another_kind_is_told_before_the_first_step(given, words):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    before = copy.deepcopy(model.state_dict())

    def trained():
        batches = Batches(split_of(20), 20)
        fit(model, batches, batches, 1, sgd(model), show=False, **given)

    one_line(trained, words)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_history_without_an_epoch_has_no_last_one():
    with pytest.raises(CourseError, match="holds no epoch yet"):
        History().last  # noqa: B018
