"""The training loop against a plain one, the schedule against torch's, averages by hand."""

from __future__ import annotations

import copy
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_runs import batches_of, loader_of, same_state, sgd, small_net, split_of, without_times
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from helpers import environment
from helpers.data import Batches
from helpers.environment import CourseError
from helpers.models import independent_copy
from helpers.training import evaluate, fit, precision, train_one_epoch
from helpers.training.averages import moving_average
from helpers.training.schedule import one_cycle

# The loop


@pytest.mark.parametrize("source", [loader_of, batches_of])
def test_an_epoch_equals_a_plain_loop_bit_for_bit(source):
    model, plain = small_net(dropout=0.2), small_net(dropout=0.2)
    optimizer, plain_optimizer = sgd(model), sgd(plain)
    scheduler, plain_scheduler = (
        one_cycle(each, 0.1, 2, 4, 1) for each in (optimizer, plain_optimizer)
    )
    torch.manual_seed(1)
    results = [
        train_one_epoch(model, batches, optimizer, scheduler=scheduler)
        for batches in [source(100, 32)]
        for _ in range(2)
    ]
    torch.manual_seed(1)
    batches, expected = source(100, 32), []
    for _ in range(2):
        loss_sum, right = 0.0, 0
        for images, targets in batches:
            plain_optimizer.zero_grad()
            logits = plain(images)
            loss = F.cross_entropy(logits, targets)
            loss.backward()
            rate = plain_optimizer.param_groups[0]["lr"]
            plain_optimizer.step()
            plain_scheduler.step()
            loss_sum = loss_sum + loss.detach() * len(targets)
            right += (logits.argmax(1) == targets).sum().item()
        expected.append((loss_sum.item() / 100, 100.0 * right / 100, rate))
    assert same_state(model, plain) and results == expected


def test_an_epoch_puts_a_model_that_was_evaluated_back_to_training():
    model = small_net().eval()
    train_one_epoch(model, batches_of(20, 10), sgd(model))
    assert all(module.training for module in model.modules())


def test_the_loss_of_the_recipe_is_the_one_that_is_minimised():
    model, plain = small_net(), small_net()
    images, targets = next(iter(Batches(split_of(30), 30)))
    loss = F.cross_entropy(plain(images), targets, label_smoothing=0.3)
    loss.backward()
    optimizer = sgd(plain)
    optimizer.step()
    epoch = train_one_epoch(
        model,
        [(images, targets)],
        sgd(model),
        lambda logits, targets: F.cross_entropy(logits, targets, label_smoothing=0.3),
    )
    assert same_state(model, plain) and epoch.loss == pytest.approx(loss.item(), rel=1e-6)


# Metrics


@pytest.mark.parametrize("cuts", [[100], [32, 32, 32, 4], [99, 1], [1] * 100])
def test_metrics_count_every_sample_once_however_the_batches_are_cut(cuts):
    model = small_net().eval()
    images, targets = next(iter(Batches(split_of(100), 100)))
    with torch.no_grad():
        logits = model(images).double()
    loss = -logits.log_softmax(1)[range(100), targets].mean().item()
    accuracy = 100 * (logits.argmax(1) == targets).double().mean().item()
    batches = list(zip(images.split(cuts), targets.split(cuts), strict=True))
    assert evaluate(model, batches) == (
        pytest.approx(loss, rel=1e-5),
        pytest.approx(accuracy, abs=1e-9),
    )
    plain = nn.Sequential(*(layer for layer in model if not isinstance(layer, nn.BatchNorm2d)))
    still = torch.optim.SGD(
        plain.parameters(), lr=0.0
    )  # a net that does not move, alike in both modes
    epoch = train_one_epoch(plain, batches, still)
    whole = evaluate(plain, [(images, targets)])
    assert (epoch.loss, epoch.accuracy) == pytest.approx(whole, rel=1e-5)


def test_evaluate_uses_evaluating_draws_no_gradient_and_changes_nothing():
    model = small_net(dropout=0.5)
    before, batches = copy.deepcopy(model), Batches(split_of(50), 20)
    state = torch.get_rng_state()
    loss, _ = evaluate(model, batches)
    assert evaluate(model, batches)[0] == loss == evaluate(model.eval(), batches)[0]
    assert same_state(model, before) and torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_evaluate_takes_the_loss_it_is_given():
    model, batches = small_net(), Batches(split_of(50), 20)
    doubled, _ = evaluate(
        model, batches, lambda logits, targets: 2 * F.cross_entropy(logits, targets)
    )
    assert doubled == pytest.approx(2 * evaluate(model, batches)[0])


@pytest.mark.parametrize("breaks", [False, True])
def test_evaluate_leaves_every_mode_as_it_was_also_when_it_is_stopped(breaks):
    def batches():
        yield from Batches(split_of(40), 20)
        if breaks:
            raise KeyboardInterrupt

    model = small_net().train()
    model[1].eval()  # a frozen normalisation inside a model in training
    modes = [module.training for module in model.modules()]
    try:
        evaluate(model, batches())
    except KeyboardInterrupt:
        assert breaks
    assert [module.training for module in model.modules()] == modes and modes.count(False) == 1


def test_an_empty_loader_is_a_plain_error():
    model = small_net()
    for measure in (
        lambda: evaluate(model, []),
        lambda: train_one_epoch(model, [], sgd(model)),
        lambda: fit(model, [], [], 1, sgd(model), show=False),
    ):
        with pytest.raises(CourseError, match="the loader is empty"):
            measure()


def test_a_generator_is_empty_in_the_second_epoch():
    model = small_net()
    batches = batches_of(20, 10)
    with pytest.raises(CourseError, match="one that can be repeated, such as Batches$"):
        fit(model, (batch for batch in batches), batches, 2, sgd(model), show=False)


# The schedule


def rates_of(optimizer: torch.optim.Optimizer, scheduler, steps: int) -> list[float]:
    """The rate of every step, as the optimizer is stepped."""
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def one_parameter(rate: float = 1e-3) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], rate, momentum=0.9)


@pytest.mark.parametrize("anneal", ["linear", "cos"])
@pytest.mark.parametrize("annihilate", [False, True])
@pytest.mark.parametrize(
    ("epochs", "steps", "peak"),
    [(24, 98, 5), (15, 30, 3), (2, 7, 1), (19, 11, 0.4), (5, 10, 4.5), (1, 10, 0.3)],
)
def test_one_cycle_equals_torchs_step_by_step(anneal, annihilate, epochs, steps, peak):
    ours, theirs = one_parameter(), one_parameter()
    scheduler = one_cycle(
        ours, 0.4, epochs, steps, peak, min_lr=0.4 / 7, annihilate=annihilate, anneal=anneal
    )
    oracle = OneCycleLR(
        theirs,
        0.4,
        total_steps=epochs * steps,
        pct_start=peak / epochs,
        anneal_strategy=anneal,
        cycle_momentum=False,
        div_factor=7,
        final_div_factor=1e4 if annihilate else 1,
    )
    total = epochs * steps - 1  # torch's refuses to be stepped past the end
    assert rates_of(ours, scheduler, total) == pytest.approx(
        rates_of(theirs, oracle, total), rel=1e-9
    )
    assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9)
    assert ours.param_groups[0]["momentum"] == 0.9


@settings(max_examples=60, deadline=None)
@given(
    max_lr=st.floats(1e-5, 10),
    ratio=st.floats(1.01, 1e4),
    epochs=st.integers(1, 30),
    steps=st.integers(2, 12),
    part=st.floats(0.05, 0.95),
    annihilate=st.booleans(),
    anneal=st.sampled_from(["linear", "cos"]),
)
def test_any_cycle_equals_torchs(max_lr, ratio, epochs, steps, part, annihilate, anneal):
    peak = part * epochs
    assume(1.01 < peak * steps < epochs * steps - 0.01)
    ours, theirs = one_parameter(), one_parameter()
    scheduler = one_cycle(
        ours, max_lr, epochs, steps, peak, max_lr / ratio, annihilate=annihilate, anneal=anneal
    )
    oracle = OneCycleLR(
        theirs,
        max_lr,
        total_steps=epochs * steps,
        pct_start=peak / epochs,
        anneal_strategy=anneal,
        cycle_momentum=False,
        div_factor=ratio,
        final_div_factor=1e4 if annihilate else 1,
        three_phase=False,
    )
    total = epochs * steps - 1
    assert rates_of(ours, scheduler, total) == pytest.approx(
        rates_of(theirs, oracle, total), rel=1e-6, abs=1e-12
    )


@pytest.mark.parametrize(("epochs", "steps", "peak"), [(24, 98, 5), (15, 469, 3), (3, 4, 2)])
def test_the_peak_is_the_last_step_of_its_epoch_and_the_ends_are_low(epochs, steps, peak):
    optimizer = one_parameter()
    rates = rates_of(optimizer, one_cycle(optimizer, 0.4, epochs, steps, peak), epochs * steps)
    assert rates.index(max(rates)) == peak * steps - 1 and max(rates) == 0.4
    assert rates[0] == pytest.approx(0.4 / 25) and rates[-1] == pytest.approx(0.4 / 25)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.4 / 25)  # and stays there
    for piece in (rates[: peak * steps], rates[peak * steps - 1 :]):
        changes = torch.tensor(piece, dtype=torch.float64).diff()
        torch.testing.assert_close(changes, changes[:1].expand_as(changes))  # a straight line


def test_annihilation_ends_ten_thousand_times_below_the_start():
    optimizer = one_parameter()
    rates = rates_of(
        optimizer, one_cycle(optimizer, 0.1, 4, 10, 1, min_lr=0.02, annihilate=True), 40
    )
    assert rates[0] == pytest.approx(0.02) and rates[-1] == pytest.approx(0.02 / 10_000)


def test_parameter_groups_keep_the_ratio_of_their_rates():
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (0.01, 0.04, 0.0)]
    optimizer = torch.optim.SGD(groups)
    for _ in range(2):  # a second schedule on the same optimizer starts from the same ratios
        scheduler = one_cycle(optimizer, 0.4, 3, 4, 1)
        rates = []
        for _ in range(12):
            rates.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            scheduler.step()
        first, second, none = torch.tensor(rates).T
        torch.testing.assert_close(second, 4 * first)
        assert second.max() == pytest.approx(0.4) and second.argmax() == 3 and not none.any()


def test_an_optimizer_with_rate_zero_gets_the_whole_cycle():
    optimizer = one_parameter(0.0)
    assert max(rates_of(optimizer, one_cycle(optimizer, 0.4, 3, 4, 1), 12)) == 0.4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"peak_epoch": 0}, r"the peak \(epoch 0\)"),
        ({"peak_epoch": 3}, r"the peak \(epoch 3\).*3 epochs"),
        ({"peak_epoch": -1}, "the peak"),
        (
            {"peak_epoch": 1, "steps_per_epoch": 1, "epochs": 5},
            r"the peak \(epoch 1\) is step 1 of the 5 in 5 epochs: .* after the first step",
        ),
        ({"epochs": -3}, "epochs is a number above 0, not -3"),
        ({"epochs": 0}, "epochs is a number above 0, not 0"),
        ({"steps_per_epoch": 0}, r"steps_per_epoch is .* len\(train_batches\), not 0$"),
        ({"steps_per_epoch": 2.5}, "steps_per_epoch is a whole number of at least 1, .* not 2.5$"),
        ({"min_lr": 0.4}, "min_lr.*0.4"),
        ({"min_lr": 0.0}, "min_lr"),
        ({"peak_epoch": "2"}, "peak_epoch is a finite number, not '2'"),
        ({"epochs": None}, "epochs is a finite number, not None"),
        ({"min_lr": "low"}, "min_lr is a finite number, not 'low'"),
        ({"max_lr": math.inf}, "max_lr is a finite number, not inf"),
        ({"max_lr": "high"}, "max_lr is a finite number, not 'high'"),
        ({"max_lr": 0.0}, "one_cycle: max_lr is a number above 0, not 0.0$"),
        ({"max_lr": -0.1, "min_lr": 0.1}, "max_lr is a number above 0, not -0.1$"),
        ({"anneal": "sine"}, "anneal is 'linear' or 'cos', not 'sine'"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_and_the_optimizer_left_alone(options, words):
    optimizer = one_parameter()
    with pytest.raises(CourseError, match=words):
        given = {"max_lr": 0.4, "epochs": 3, "steps_per_epoch": 10, "peak_epoch": 1} | options
        one_cycle(optimizer, **given)
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_a_schedule_of_a_net_is_told():
    with pytest.raises(CourseError, match="is no optimizer: give one that was made"):
        one_cycle(nn.Linear(2, 2), 0.1, 3, 10, 1)


# fit and its history


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: one_cycle(optimizer, 0.1, 3, 5, 2),
        lambda optimizer: OneCycleLR(optimizer, 0.1, 15, pct_start=2 / 3),
    ],
)
def test_the_recorded_rate_is_that_of_the_last_step_taken(schedule):
    model = small_net()
    optimizer, taken = sgd(model), []
    optimizer.register_step_pre_hook(lambda *_: taken.append(optimizer.param_groups[0]["lr"]))
    history = fit(
        model,
        batches_of(50, 10),
        Batches(split_of(20), 20),
        3,
        optimizer,
        schedule(optimizer),
        show=False,
    )
    assert [row["learning_rate"] for row in history.epochs] == [taken[4], taken[9], taken[14]]
    assert (
        history.epochs[1]["learning_rate"] == pytest.approx(0.1)
        and history.last["learning_rate"] < 0.01
    )


def test_a_scheduler_can_step_once_an_epoch():
    model = small_net()
    optimizer = sgd(model, 0.01)
    history = fit(
        model,
        batches_of(50, 10),
        Batches(split_of(20), 20),
        6,
        optimizer,
        StepLR(optimizer, 2, 0.3),
        step_every="epoch",
        show=False,
    )
    assert [row["learning_rate"] for row in history.epochs] == pytest.approx(
        [0.01, 0.01, 0.003, 0.003, 9e-4, 9e-4]
    )


def by_hand(model, batches, test_batches, epochs, optimizer, schedulers):
    """What fit does, written out in plain torch; the rows of its history."""
    rows = []
    for epoch in range(epochs):
        loss_sum, right, count = 0.0, 0, 0
        model.train()
        for images, targets in batches:
            optimizer.zero_grad()
            logits = model(images)
            loss = F.cross_entropy(logits, targets)
            loss.backward()
            rate = optimizer.param_groups[0]["lr"]
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step()
            loss_sum = loss_sum + loss.detach() * len(targets)
            right += (logits.argmax(1) == targets).sum().item()
            count += len(targets)
        test_sum, test_right, test_count = 0.0, 0, 0
        model.eval()
        with torch.no_grad():
            for images, targets in test_batches:
                logits = model(images)
                test_sum = test_sum + F.cross_entropy(logits, targets) * len(targets)
                test_right += (logits.argmax(1) == targets).sum().item()
                test_count += len(targets)
        rows.append(
            {
                "epoch": epoch + 1,
                "learning_rate": rate,
                "train_loss": loss_sum.item() / count,
                "train_accuracy": 100 * right / count,
                "test_loss": test_sum.item() / test_count,
                "test_accuracy": 100 * test_right / test_count,
            }
        )
    return rows


@pytest.mark.parametrize("source", [loader_of, batches_of])
@pytest.mark.parametrize(
    "make", [sgd, lambda model: torch.optim.AdamW(model.parameters(), 0.05, weight_decay=0.1)]
)
@pytest.mark.parametrize("several", [False, True])
def test_fit_equals_a_loop_written_out_by_hand_to_the_last_bit(source, make, several):
    runs = []
    for loop in (fit, by_hand):
        model, test_batches = small_net(dropout=0.2), Batches(split_of(50, seed=1), 20)
        optimizer, batches = make(model), source(100, 32)
        schedulers = [one_cycle(optimizer, 0.1, 3, 4, 1)]
        if several:
            schedulers = [StepLR(optimizer, 3, 0.5), ExponentialLR(optimizer, 0.9)]
        torch.manual_seed(1)
        if loop is by_hand:
            rows = loop(model, batches, test_batches, 3, optimizer, schedulers)
        else:
            scheduler = schedulers if several else schedulers[0]
            rows = without_times(
                fit(model, batches, test_batches, 3, optimizer, scheduler, show=False)
            )
        runs.append((model, rows))
    assert runs[0][1] == runs[1][1] and same_state(runs[0][0], runs[1][0])


def test_several_schedules_step_together_once_an_epoch():
    model = small_net()
    optimizer = sgd(model, 0.01)
    schedulers = (StepLR(optimizer, 2, 0.5), ExponentialLR(optimizer, 0.9))
    history = fit(
        model,
        batches_of(50, 10),
        Batches(split_of(20), 20),
        4,
        optimizer,
        schedulers,
        step_every="epoch",
        show=False,
    )
    expected = [0.01, 0.009, 0.01 * 0.81 / 2, 0.01 * 0.729 / 2]
    assert [row["learning_rate"] for row in history.epochs] == pytest.approx(expected)


def test_a_plateau_goes_by_the_test_loss():
    model = small_net()
    optimizer = sgd(model, 0.05)
    plateau = ReduceLROnPlateau(optimizer, factor=0.1, patience=0, threshold=0.2)
    history = fit(
        model,
        batches_of(50, 10),
        Batches(split_of(20, seed=4), 20),
        8,
        optimizer,
        [plateau],
        step_every="epoch",
        show=False,
    )
    rate, lowest = 0.05, math.inf
    for row in history.epochs:
        assert row["learning_rate"] == pytest.approx(rate)
        if row["test_loss"] >= 0.8 * lowest:
            rate *= 0.1
        else:
            lowest = row["test_loss"]
    assert rate < 0.05


# Another optimizer, another step, views


class Signs(torch.optim.Optimizer):
    """A step of fixed length in every coordinate: an optimizer that torch does not have."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad.sign()


def test_an_optimizer_beside_torchs_own_trains(tmp_path):
    models, rows = [], []
    for path in (None, tmp_path / "run.checkpoint"):
        model = small_net()
        optimizer = Signs(model.parameters(), 0.003)
        test = Batches(split_of(100, seed=1), 50)
        history = fit(
            model,
            batches_of(200, 20),
            test,
            3,
            optimizer,
            one_cycle(optimizer, 0.003, 3, 10, 1),
            checkpoint=path,
            show=False,
        )
        models.append(model)
        rows.append(without_times(history))
    assert rows[0] == rows[1] and same_state(*models)
    assert rows[0][2]["train_loss"] < 0.8 * rows[0][0]["train_loss"]


def sharpness_aware_step(model, images, targets, optimizer, loss_fn, scaler):
    """Two passes: up the gradient by 0.05, and down by the gradient that is met there."""
    assert scaler is None
    optimizer.zero_grad()
    logits = model(images)
    loss = loss_fn(logits, targets)
    loss.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    length = torch.stack([gradient.norm() for gradient in gradients]).norm()
    moves = [0.05 * gradient / length for gradient in gradients]
    with torch.no_grad():
        for parameter, move in zip(model.parameters(), moves):
            parameter += move
    optimizer.zero_grad()
    loss_fn(model(images), targets).backward()
    with torch.no_grad():
        for parameter, move in zip(model.parameters(), moves):
            parameter -= move
    optimizer.step()
    return loss, logits


def test_another_step_makes_the_updates():
    model, plain, losses = small_net(), small_net(), []
    optimizer, plain_optimizer = sgd(model), sgd(plain)
    history = fit(
        model,
        batches_of(60, 20),
        Batches(split_of(20), 20),
        2,
        optimizer,
        step=sharpness_aware_step,
        show=False,
    )
    batches = batches_of(60, 20)
    for _ in range(2):
        for images, targets in batches:
            loss, _ = sharpness_aware_step(
                plain, images, targets, plain_optimizer, F.cross_entropy, None
            )
            losses.append(loss.item())
    assert same_state(model, plain)
    assert history.last["train_loss"] == pytest.approx(sum(losses[3:]) / 3, rel=1e-6)


class Mirrored(nn.Module):
    """The mean of the logits of an image and of its mirror image."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return (self.net(images) + self.net(images.flip(3))) / 2


@pytest.mark.parametrize("averaged", [False, True])
def test_views_are_for_the_result_alone_and_change_no_update(averaged):
    runs = []
    for views in (None, Mirrored):
        model, test = small_net(dropout=0.2), Batches(split_of(60, seed=1), 25)
        average = moving_average(model, 0.9) if averaged else None
        torch.manual_seed(2)
        history = fit(
            model,
            batches_of(100, 20),
            test,
            2,
            sgd(model),
            average=average,
            views=views,
            show=False,
        )
        runs.append((model, history, average.module if averaged else model))
    (plain, alone, _), (seen, mirrored, measured) = runs
    assert same_state(plain, seen)
    assert mirrored.last["train_loss"] == alone.last["train_loss"]
    assert mirrored.epochs[0]["test_loss"] == alone.epochs[0]["test_loss"]
    assert mirrored.last["test_loss"] != alone.last["test_loss"]
    expected = evaluate(Mirrored(measured), Batches(split_of(60, seed=1), 25))
    assert (mirrored.last["test_loss"], mirrored.last["test_accuracy"]) == expected


# Epochs are counted for whom they change the order


class Counting(Batches):
    """Batches that note which epoch they were told of."""

    def set_epoch(self, epoch):
        self.told = [*getattr(self, "told", []), epoch]


def test_the_batches_are_told_the_epoch_counted_from_0(tmp_path):
    path = tmp_path / "run.checkpoint"
    for epochs, told in ((2, [0, 1]), (5, [2, 3, 4]), (5, [])):
        model, batches = small_net(), Counting(split_of(20), 10)
        test = Counting(split_of(20), 10)
        fit(model, batches, test, epochs, sgd(model), checkpoint=path, show=False)
        assert getattr(batches, "told", []) == told and not hasattr(test, "told")


def test_a_sampler_is_told_the_epoch_too():
    images, labels = next(iter(Batches(split_of(40), 40)))
    orders = []
    for loop in (fit, None):
        dataset = TensorDataset(images, labels)
        sampler = DistributedSampler(dataset, num_replicas=2, rank=0, seed=5)
        loader, seen = DataLoader(dataset, 10, sampler=sampler), []
        model = small_net()
        model[5].register_forward_pre_hook(lambda *_, seen=seen: seen.append(1))
        drawn = []
        if loop is fit:
            model.register_forward_pre_hook(
                lambda net, given, drawn=drawn: drawn.append(given[0].sum().item())
            )
            fit(model, loader, [(images, labels)], 3, sgd(model), show=False)
            drawn = [total for at, total in enumerate(drawn) if at % 3 < 2]
        else:
            for epoch in range(3):
                sampler.set_epoch(epoch)
                drawn += [batch.sum().item() for batch, _ in loader]
        orders.append(drawn)
    assert orders[0] == orders[1] and len(set(orders[0])) == 6


def test_a_constant_rate_needs_no_scheduler():
    model = small_net()
    history = fit(
        model, batches_of(50, 10), Batches(split_of(20), 20), 2, sgd(model, 0.02), show=False
    )
    assert [row["learning_rate"] for row in history.epochs] == [0.02, 0.02]


def test_an_unknown_step_is_refused():
    model = small_net()
    with pytest.raises(CourseError, match="step_every is 'batch' or 'epoch', not 'step'"):
        fit(model, batches_of(20, 10), batches_of(20, 10), 1, sgd(model), step_every="step")


def test_the_history_holds_what_evaluate_says_and_the_net_learns(capsys):
    model, rows = small_net(), []
    test_batches = Batches(split_of(200, seed=1), 64)
    history = fit(
        model,
        batches_of(400, 32),
        test_batches,
        3,
        sgd(model),
        on_epoch=rows.append,
        loss_fn=lambda logits, targets: F.cross_entropy(logits, targets, label_smoothing=0.5),
    )
    assert (history.last["test_loss"], history.last["test_accuracy"]) == evaluate(
        model, test_batches
    )
    assert history.epochs == rows and [row["epoch"] for row in rows] == [1, 2, 3]
    assert history.last["test_accuracy"] > 90 and history.last["train_accuracy"] > 90
    printed = capsys.readouterr()
    lines = [
        line
        for line in printed.out.replace("\r", "\n").splitlines()
        if line.startswith("epoch") and "lr" in line
    ]
    assert (
        len(lines) == 3
        and f"{history.last['test_accuracy']:.2f} %" in lines[-1]
        and not printed.err
    )
    fit(model, batches_of(40, 32), test_batches, 1, sgd(model), show=False)
    assert capsys.readouterr() == ("", "")


def test_fit_warns_of_nothing():
    model = small_net()
    optimizer = sgd(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(
            model,
            batches_of(50, 10),
            Batches(split_of(20), 20),
            2,
            optimizer,
            one_cycle(optimizer, 0.1, 2, 5, 1),
            average=moving_average(model, 0.9),
            show=False,
        )


def test_fit_leaves_no_hook_behind():
    model = small_net()
    optimizer = sgd(model)
    hooks = len(optimizer._optimizer_step_pre_hooks)
    fit(model, batches_of(20, 10), batches_of(20, 10), 1, optimizer, show=False)
    assert len(optimizer._optimizer_step_pre_hooks) == hooks


# Averaged weights


def test_the_moving_average_equals_one_written_by_hand():
    model, decay = small_net(), 0.9
    average, optimizer, by_hand = moving_average(model, decay), sgd(model), None
    for step, (images, targets) in enumerate(batches_of(300, 10)):
        optimizer.zero_grad()
        F.cross_entropy(model(images), targets).backward()
        optimizer.step()
        average.update_parameters(model)
        now = {
            name: value.clone()
            for name, value in model.state_dict().items()
            if value.is_floating_point()
        }
        kept = min(decay, (1 + step) / (10 + step))
        by_hand = (
            {name: by_hand[name] * kept + value * (1 - kept) for name, value in now.items()}
            if by_hand
            else now
        )
    assert kept > 0.75 and any("running" in name for name in by_hand)
    for name, value in average.module.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, by_hand[name], atol=1e-6, rtol=1e-5)
    assert not same_state(average.module, model)


class Counted(nn.Module):
    """A net with buffers of whole numbers: places and a count, and one that has no order."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(3, 2)
        self.register_buffer("places", torch.arange(49))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("waves", torch.zeros(2, dtype=torch.complex64))

    def forward(self, images):
        return self.line(images)


def test_buffers_of_whole_numbers_are_copied_and_others_averaged():
    model = Counted()
    average = moving_average(model, 0.5)
    by_hand = None
    for step in range(200):
        model.count += 7
        model.mean += 1.5
        model.waves += 1.5j
        model.mask.logical_not_()
        model.places.copy_(torch.arange(49).roll(step))
        average.update_parameters(model)
        kept = min(0.5, (1 + step) / (10 + step))
        now = model.mean.clone()
        by_hand = now if by_hand is None else kept * by_hand + (1 - kept) * now
    assert torch.equal(average.module.places, torch.arange(49).roll(199))
    assert average.module.count == 1400
    assert torch.equal(average.module.mask, model.mask)
    torch.testing.assert_close(average.module.mean, by_hand)
    torch.testing.assert_close(average.module.waves, by_hand * 1j)
    assert not torch.equal(average.module.mean, model.mean)


class Keeping(nn.Module):
    """A net that keeps the features of its last forward pass."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(1, 3, 8), nn.Linear(3, 4)

    def forward(self, images):
        self.features = self.body(images).flatten(1)
        return self.head(self.features)


def normed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has a newer one
        head = nn.utils.weight_norm(nn.Linear(64, 4))
    return nn.Sequential(nn.Flatten(), head)


@pytest.mark.parametrize("make", [Keeping, normed])
def test_a_net_that_keeps_results_of_a_pass_can_be_averaged(make):
    model = make()
    batches = batches_of(60, 10)
    train_one_epoch(model, batches, sgd(model))
    average = moving_average(model, 0.0)
    history = fit(
        model, batches, Batches(split_of(30), 30), 1, sgd(model), average=average, show=False
    )
    assert history.last["test_loss"] == evaluate(model, Batches(split_of(30), 30))[0]
    for mine, theirs in zip(model.parameters(), average.module.parameters(), strict=True):
        assert torch.equal(mine, theirs) and mine is not theirs


def test_results_of_a_pass_are_copied_without_it_however_deep_they_lie():
    model = Keeping()
    model(torch.zeros(1, 1, 8, 8))
    model.all_features = {"twice": [2 * model.features]}
    copied = independent_copy(model)
    [mine], [theirs] = model.all_features["twice"], copied.all_features["twice"]
    assert torch.equal(mine, theirs) and mine.data_ptr() != theirs.data_ptr()
    assert mine.requires_grad and not theirs.requires_grad
    assert not {each.data_ptr() for each in model.parameters()} & {
        each.data_ptr() for each in copied.parameters()
    }


def test_a_net_that_cannot_be_copied_is_told():
    model = Keeping()
    model(torch.zeros(1, 1, 8, 8))
    model.rows = (row for row in model.features)
    with pytest.raises(CourseError, match="Keeping cannot be copied .*x.detach()"):
        moving_average(model, 0.9)


@pytest.mark.parametrize("decay", [-1, -0.001, 1.001, 2, math.nan, math.inf, "slow", "0.9", None])
def test_a_decay_out_of_range_is_told(decay):
    with pytest.raises(CourseError, match="decay lies between 0 and 1, not "):
        moving_average(small_net(), decay)


def test_with_an_average_it_is_the_averaged_model_that_is_measured_and_training_is_the_same():
    model, plain, test_batches = small_net(), small_net(), Batches(split_of(50, seed=1), 50)
    average = moving_average(model, 0.95)
    history = fit(
        model, batches_of(100, 10), test_batches, 2, sgd(model), average=average, show=False
    )
    alone = fit(plain, batches_of(100, 10), test_batches, 2, sgd(plain), show=False)
    assert same_state(model, plain) and history.last["train_loss"] == alone.last["train_loss"]
    assert (
        history.last["test_loss"]
        == evaluate(average.module, test_batches)[0]
        != alone.last["test_loss"]
    )


@pytest.mark.parametrize("at", [1, 37, 101, 230])
def test_a_loss_that_is_no_finite_number_stops_the_run_and_the_last_epoch_is_kept(tmp_path, at):
    """230 steps an epoch; the loss fails in the second one, also after the last look."""
    path, model, calls = tmp_path / "run.checkpoint", small_net(), []

    def loss_fn(logits, targets):
        calls.append(1)
        return F.cross_entropy(logits, targets) * (math.nan if len(calls) == 230 + at else 1)

    optimizer = sgd(model)
    with pytest.raises(
        CourseError, match=rf"epoch 2/3, step {at}: the loss is nan at a learning rate of 0\.05:"
    ):
        fit(
            model,
            batches_of(230, 1),
            batches_of(20, 10),
            3,
            optimizer,
            loss_fn=loss_fn,
            checkpoint=path,
            show=False,
        )
    kept = torch.load(path)
    assert len(kept["epochs"]) == 1 and all(
        value.isfinite().all() for value in kept["model"].values()
    )


def test_a_rate_far_too_high_is_told():
    model = small_net()
    with pytest.raises(
        CourseError, match="step [23]: the loss is (nan|inf) at a learning rate of 1e[+]30"
    ):
        fit(model, batches_of(40, 10), Batches(split_of(20), 20), 2, sgd(model, 1e30), show=False)


# Mixed precision: a GPU's, played on the CPU


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_mixed_precision_equals_a_loop_with_torchs_own_scaler(monkeypatch, half):
    monkeypatch.setattr(precision, "half_precision", lambda device: half)
    model, plain = small_net(), small_net()
    optimizer, plain_optimizer, seen = sgd(model), sgd(plain), []
    model[0].register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    result = train_one_epoch(
        model, batches_of(100, 32), optimizer, scaler=precision.loss_scaler(torch.device("cpu"))
    )
    scaler, losses = torch.amp.GradScaler("cpu", init_scale=1024, enabled=half == torch.float16), []
    for images, targets in batches_of(100, 32):
        plain_optimizer.zero_grad()
        with torch.autocast("cpu", half):
            loss = F.cross_entropy(plain(images), targets)
        scaler.scale(loss).backward()
        scaler.step(plain_optimizer)
        scaler.update()
        losses.append(loss.item() * len(targets))
    assert same_state(model, plain) and set(seen) == {half}
    assert result[0] == pytest.approx(sum(losses) / 100, rel=1e-5)


def test_float16_gradients_that_overflow_skip_the_step_and_halve_the_scale(monkeypatch):
    monkeypatch.setattr(precision, "half_precision", lambda device: torch.float16)
    model, scaler = small_net(), precision.loss_scaler(torch.device("cpu"))
    before, weights = scaler.get_scale(), model[6].weight.detach().clone()
    train_one_epoch(
        model,
        [next(iter(batches_of(20, 10)))],
        sgd(model),
        lambda *both: F.cross_entropy(*both) * 1e6,
        scaler=scaler,
    )
    assert before == 1024 and scaler.get_scale() == 512 and torch.equal(model[6].weight, weights)


@pytest.mark.parametrize(
    "first, then",
    [
        (torch.float16, torch.float16),
        (torch.bfloat16, torch.float16),
        (torch.float16, torch.bfloat16),
    ],
)
def test_a_mixed_run_goes_on_also_on_a_device_of_another_kind(monkeypatch, tmp_path, first, then):
    def go(half, epochs, path=None):
        monkeypatch.setattr(precision, "half_precision", lambda device: half)
        model = small_net()
        return fit(
            model,
            batches_of(60, 20),
            batches_of(20, 10),
            epochs,
            sgd(model),
            show=False,
            mixed=True,
            checkpoint=path,
        )

    go(first, 2, tmp_path / "run.checkpoint")
    rows = without_times(go(then, 3, tmp_path / "run.checkpoint"))
    assert len(rows) == 3 and (
        first != then or rows[2] == pytest.approx(without_times(go(first, 3))[2], rel=1e-5)
    )


def test_on_a_gpu_bfloat16_is_for_hardware_that_has_it(monkeypatch):
    for there, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation=True, there=there: there or including_emulation,
        )
        assert environment.half_precision(torch.device("cuda")) == expected


def test_on_a_cpu_that_is_not_fast_in_16_bits_mixed_precision_changes_no_number(monkeypatch):
    monkeypatch.setattr(environment, "processor", dict)
    mixed, plain = small_net(), small_net()
    rows = [
        without_times(
            fit(model, batches_of(60, 20), batches_of(20, 10), 2, sgd(model), show=False, mixed=on)
        )
        for model, on in ((mixed, True), (plain, False))
    ]
    assert rows[0] == rows[1] and same_state(mixed, plain)
