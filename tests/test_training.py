"""The training loop against a plain one, the schedule against torch's, averages by hand."""

from __future__ import annotations

import copy
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from small_runs import batches_of, loader_of, same_state, sgd, small_net, split_of, without_times
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR, StepLR

from helpers import environment, precision
from helpers.data import Batches
from helpers.environment import CourseError
from helpers.training import evaluate, fit, moving_average, one_cycle, train_one_epoch

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


def test_evaluate_uses_evaluation_mode_draws_no_gradient_and_changes_nothing():
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
        ({"min_lr": 0.4}, "min_lr.*0.4"),
        ({"min_lr": 0.0}, "min_lr"),
        ({"anneal": "sine"}, "anneal is 'linear' or 'cos', not 'sine'"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_and_the_optimizer_left_alone(options, words):
    optimizer = one_parameter()
    with pytest.raises(CourseError, match=words):
        one_cycle(
            optimizer, 0.4, **({"epochs": 3, "steps_per_epoch": 10, "peak_epoch": 1} | options)
        )
    assert optimizer.param_groups[0]["lr"] == 1e-3


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


def test_mixed_precision_is_for_gpus_alone_and_bfloat16_for_hardware_that_has_it(monkeypatch):
    assert (
        environment.half_precision(torch.device("cpu"))
        is None
        is environment.half_precision(torch.device("mps"))
    )
    for there, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation=True, there=there: there or including_emulation,
        )
        assert environment.half_precision(torch.device("cuda")) == expected


def test_on_a_cpu_mixed_precision_changes_no_number():
    mixed, plain = small_net(), small_net()
    rows = [
        without_times(
            fit(model, batches_of(60, 20), batches_of(20, 10), 2, sgd(model), show=False, mixed=on)
        )
        for model, on in ((mixed, True), (plain, False))
    ]
    assert rows[0] == rows[1] and same_state(mixed, plain)
