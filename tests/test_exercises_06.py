"""Session 06's exercises: plausible wrong answers are refused, right ones accepted in any form."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import data
from helpers.exercises import OPEN, range_finder, residual_mnist
from helpers.models import count_parameters
from helpers.models.residual import BasicBlock, ResidualNet, pad_shortcut
from helpers.models.small import budget_net

# Exercise 1: a block whose shortcut begins at the wrong place.


def two_layers(block, x):
    y = torch.relu(block.norm1(block.conv1(x)))
    return block.norm2(block.conv2(y))


def as_written(block, x):
    y = two_layers(block, x)
    return torch.relu(y + pad_shortcut(x, block.out_channels, block.stride))


def shortcut_first(block, x):
    kept = x[:, :, :: block.stride, :: block.stride]
    front = (block.out_channels - x.shape[1]) // 2
    way = kept.new_zeros(len(x), block.out_channels, *kept.shape[2:])
    way[:, front : front + x.shape[1]] = kept
    x = F.relu(block.norm1(block.conv1(x)))
    return F.relu(block.norm2(block.conv2(x)).add_(way))


def by_itself(block, x):
    return block(x)


@pytest.mark.parametrize("answer", [as_written, shortcut_first])
def test_right_blocks_are_accepted(answer):
    assert residual_mnist.mended_block(answer).expect_right()


@pytest.mark.parametrize(
    "answer",
    [by_itself, lambda block, x: block.forward(x), lambda block, x: BasicBlock.forward(block, x)],
)
def test_the_block_itself_is_not_to_be_called(answer):
    verdict = residual_mnist.mended_block(answer)
    assert not verdict and "the block itself was called" in verdict.problem


def faulty(block, x):
    x = torch.relu(block.norm1(block.conv1(x)))
    y = block.norm2(block.conv2(x))
    return torch.relu(y + x)


def relu_before_the_sum(block, x):
    y = torch.relu(two_layers(block, x))
    return torch.relu(y + pad_shortcut(x, block.out_channels, block.stride))


def no_last_relu(block, x):
    return two_layers(block, x) + pad_shortcut(x, block.out_channels, block.stride)


def no_shortcut(block, x):
    return torch.relu(two_layers(block, x))


def zeros_behind(block, x):
    kept = x[:, :, :: block.stride, :: block.stride]
    way = F.pad(kept, (0, 0, 0, 0, 0, block.out_channels - x.shape[1]))
    return torch.relu(two_layers(block, x) + way)


def pooled(block, x):
    kept = F.avg_pool2d(x, block.stride, ceil_mode=True)
    return torch.relu(two_layers(block, x) + pad_shortcut(kept, block.out_channels, 1))


def detached(block, x):
    return torch.relu(two_layers(block, x) + pad_shortcut(x.detach(), block.out_channels, 1))


def detached_whole(block, x):
    return as_written(block, x.detach()) + 0 * x.sum()


def norm_run_twice(block, x):
    block.norm1(block.conv1(x))
    return as_written(block, x)


def in_place(block, x):
    y = two_layers(block, x)
    out = as_written(block, x) if block.training else torch.relu(y)
    x.relu_()
    return out


def always_evaluated(block, x):
    y = as_written(block, x)
    block.eval()
    return y


def norm_left_in_training(block, x):
    y = as_written(block, x)
    block.norm2.train()
    return y


def keeps_shapes_only(block, x):
    return torch.relu(two_layers(block, x) + x)


@pytest.mark.parametrize(
    "answer",
    [
        faulty,
        relu_before_the_sum,
        no_last_relu,
        no_shortcut,
        zeros_behind,
        pooled,
        detached,
        detached_whole,
        in_place,
        keeps_shapes_only,
        norm_run_twice,
        always_evaluated,
        norm_left_in_training,
        lambda block, x: torch.relu(as_written(block, x) + x.mean()),
        lambda block, x: [as_written(block, x)],
        lambda block: block,
    ],
)
def test_wrong_blocks_are_refused_without_the_answer(answer):
    verdict = residual_mnist.mended_block(answer)
    assert not verdict and verdict.problem != OPEN
    assert "begin" not in verdict.problem and "overwr" not in verdict.problem


@pytest.mark.parametrize(
    "answer, words",
    [
        (keeps_shapes_only, "from 4 to 8 channels with stride 2: your answer raised RuntimeError"),
        (
            norm_run_twice,
            "from 6 to 6 channels with stride 1: the output is right, and the running",
        ),
        (always_evaluated, "from 6 to 6 channels with stride 1: the block was switched between"),
        (norm_left_in_training, "from 6 to 6 channels with stride 1: the block was switched"),
    ],
)
def test_the_verdict_names_the_block(answer, words):
    assert residual_mnist.mended_block(answer).problem.startswith(words)


def test_a_block_that_is_left_open_is_not_judged():
    assert residual_mnist.mended_block(lambda block, x: ...).problem == OPEN
    assert residual_mnist.mended_block(None).problem == OPEN


# Exercise 2: what convolutions in the shortcuts cost.


def by_pairs(widths):
    return sum(a * b + 2 * b for a, b in zip(widths, widths[1:]))


def by_layers(widths):
    total = 0
    for c_in, c_out in zip(widths, widths[1:]):
        total += count_parameters(nn.Conv2d(c_in, c_out, 1, bias=False))
        total += count_parameters(nn.BatchNorm2d(c_out))
    return torch.tensor(float(total))


def by_nets(widths):
    return count_parameters(ResidualNet(widths, shortcut="conv")) - count_parameters(
        ResidualNet(widths)
    )


@pytest.mark.parametrize("answer", [by_pairs, by_layers, by_nets])
def test_right_costs_are_accepted(answer):
    assert residual_mnist.projection_cost(answer).expect_right()


@pytest.mark.parametrize(
    "answer",
    [
        lambda widths: sum(a * b for a, b in zip(widths, widths[1:])),  # the norm forgotten
        lambda widths: sum(a * b + b for a, b in zip(widths, widths[1:])),  # a bias in its place
        lambda widths: sum(a * b + 2 * a for a, b in zip(widths, widths[1:])),
        lambda widths: sum(9 * a * b + 2 * b for a, b in zip(widths, widths[1:])),
        lambda widths: sum(a * b + 2 * b for a, b in zip(widths, widths[1:]) if a != b),
        lambda widths: by_pairs([1, *widths]),  # one for the first convolution
        lambda widths: by_pairs([widths[0], *widths]),  # one in every block
        lambda widths: by_pairs(sorted(widths)),
        lambda: 700,
    ],
)
def test_wrong_costs_are_refused_without_the_answer(answer):
    verdict = residual_mnist.projection_cost(answer)
    assert not verdict and verdict.problem != OPEN
    # The right number of the first case.
    assert "736" not in verdict.problem


def test_a_number_that_is_right_once_is_no_function():
    assert not residual_mnist.projection_cost(lambda widths: 736)


def test_a_cost_that_is_left_open_is_not_judged():
    assert residual_mnist.projection_cost(lambda widths: ...).problem == OPEN


# Exercise 3: a range test with four faults.


class Finder:
    """A right range test, of which parts can be spoiled."""

    smoothing, correct, next_rate, stop, restore = 0.95, True, False, True, "copied"
    divergence = 4.0
    restore_net = True
    zero, backward = True, True
    go_on, clip = False, math.inf
    compare = staticmethod(lambda raw, means: (means[-1], min(means)))

    def rate(self, start, end, step, steps):
        return start * (end / start) ** (step / (steps - 1))

    def __call__(self, model, batches, loss_fn, optimizer, end_lr=10.0, steps=100):
        saved = copy.deepcopy(model.state_dict())
        kept = optimizer.state_dict()
        if self.restore == "copied":
            kept = copy.deepcopy(kept)
        [group] = optimizer.param_groups
        start = group["lr"]
        lrs, losses, moment = [], [], 0.0
        for step, (images, targets) in zip(range(steps), batches):
            rate = self.rate(start, end_lr, step, steps)
            group["lr"] = rate
            loss = loss_fn(model(images), targets)
            if self.zero:
                optimizer.zero_grad()
            if self.backward:
                loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), self.clip)
            optimizer.step()
            loss = loss.item()
            if self.stop and not math.isfinite(loss):
                if self.go_on:
                    continue
                break
            if self.correct:
                moment = self.smoothing * moment + (1 - self.smoothing) * loss
                mean = moment / (1 - self.smoothing ** (step + 1))
            else:
                mean = loss if not losses else 0.05 * loss + 0.95 * losses[-1]
            if self.next_rate:
                rate = self.rate(start, end_lr, step + 1, steps)
            lrs.append(rate)
            losses.append(mean)
            high, low = self.compare(loss, losses)
            if high > self.divergence * low:
                break
        if self.restore_net:
            model.load_state_dict(saved)
        self.put_back(optimizer, kept, start)
        return lrs, losses

    def put_back(self, optimizer, kept, start):
        if self.restore in ("copied", "alias"):
            optimizer.load_state_dict(kept)
        elif self.restore == "rate":
            optimizer.param_groups[0]["lr"] = start
        elif self.restore == "state":
            optimizer.state.clear()
            optimizer.param_groups[0]["lr"] = start


def finder(**parts):
    spoiled = Finder()
    for name, value in parts.items():
        setattr(spoiled, name, value)
    return spoiled


def as_arrays(*arguments):
    lrs, losses = Finder()(*arguments)
    return np.array(lrs), torch.tensor(losses, dtype=torch.float64)


def on_a_copy(model, batches, loss_fn, optimizer, end_lr=10.0, steps=100):
    """Nothing has to be put back where a copy is tested, if its optimizer is asked for rates."""
    state = copy.deepcopy(optimizer.state_dict())
    weights = copy.deepcopy(model.state_dict())
    try:
        return Finder()(model, batches, loss_fn, optimizer, end_lr, steps)
    finally:
        model.load_state_dict(weights)
        optimizer.load_state_dict(state)


def on_copies(model, batches, loss_fn, optimizer, end_lr=10.0, steps=100):
    """Net and optimizer are copied together, so that the copy of one steps that of the other."""
    model, optimizer = copy.deepcopy((model, optimizer))
    return finder(restore="nothing", restore_net=False)(
        model, batches, loss_fn, optimizer, end_lr, steps
    )


def looks_before_the_step(model, batches, loss_fn, optimizer, end_lr=10.0, steps=100):
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    start, moment = optimizer.param_groups[0]["lr"], 0.0
    lrs, losses = [], []
    for step, (images, targets) in zip(range(steps), batches):
        optimizer.param_groups[0]["lr"] = start * (end_lr / start) ** (step / (steps - 1))
        loss = loss_fn(model(images), targets)
        moment = 0.95 * moment + 0.05 * loss.item()
        mean = moment / (1 - 0.95 ** (step + 1))
        if not mean <= 4 * min([mean, *losses]) < math.inf:
            break
        lrs.append(optimizer.param_groups[0]["lr"])
        losses.append(mean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    return lrs, losses


@pytest.mark.parametrize(
    "answer", [Finder(), as_arrays, on_a_copy, on_copies, looks_before_the_step]
)
def test_right_finders_are_accepted(answer):
    assert residual_mnist.mended_finder(answer).expect_right()


def ends_too_early(model, batches, loss_fn, optimizer, end_lr=10.0, steps=100):
    return finder(divergence=1.5)(model, batches, loss_fn, optimizer, end_lr, steps)


def in_evaluation_mode(model, *arguments):
    model.eval()
    result = Finder()(model, *arguments)
    model.train()
    return result


def leaves_evaluation_mode(model, *arguments):
    result = Finder()(model, *arguments)
    model.eval()
    return result


def leaves_a_part_in_evaluation_mode(model, *arguments):
    result = Finder()(model, *arguments)
    model[1].eval()
    return result


def trains_a_copy_of_the_net_alone(model, *arguments):
    return Finder()(copy.deepcopy(model), *arguments)


@pytest.mark.parametrize(
    "answer",
    [
        finder(correct=False),
        finder(next_rate=True),
        finder(stop=False),
        finder(go_on=True),
        finder(clip=1.0),
        finder(restore="nothing"),
        finder(restore="alias"),
        finder(restore="rate"),
        finder(restore="state"),
        finder(restore_net=False),
        finder(correct=False, next_rate=True, stop=False, restore="nothing"),
        finder(smoothing=0.8),
        finder(divergence=math.inf),
        finder(rate=lambda start, end, step, steps: start * (end / start) ** (step / steps)),
        finder(rate=lambda start, end, step, steps: start * (end / start) ** ((step + 1) / steps)),
        finder(rate=lambda start, end, step, steps: start + (end - start) * step / (steps - 1)),
        finder(divergence=5),
        finder(divergence=4.2),
        finder(divergence=4.05),
        finder(divergence=3.9),
        finder(divergence=3.8),
        finder(divergence=3),
        finder(divergence=20),
        finder(compare=lambda raw, means: (raw, min(means))),
        finder(compare=lambda raw, means: (means[-1], means[0])),
        finder(zero=False),
        finder(backward=False),
        in_evaluation_mode,
        leaves_evaluation_mode,
        leaves_a_part_in_evaluation_mode,
        trains_a_copy_of_the_net_alone,
        lambda *arguments: Finder()(*arguments[:5], 100),  # whatever number is asked for
        ends_too_early,
        lambda *arguments: Finder()(*arguments)[0],
        lambda *arguments: Finder()(*arguments)[::-1],
        lambda *arguments: 0.3,
        lambda model: model,
    ],
)
def test_wrong_finders_are_refused(answer):
    verdict = residual_mnist.mended_finder(answer)
    assert not verdict and verdict.problem != OPEN
    assert "deepcopy" not in verdict.problem and "isfinite" not in verdict.problem


def corrected_too_little(model, batches, loss_fn, optimizer, end_lr=10.0, steps=100):
    """The mean begins at 0, and is not corrected: it rises, and seems to explode at once."""
    lrs, losses, mean = [], [], 0.0
    for (images, targets), rate in zip(batches, np.geomspace(1e-3, end_lr, steps)):
        optimizer.param_groups[0]["lr"] = rate
        mean = 0.95 * mean + 0.05 * loss_fn(model(images), targets).item()
        optimizer.step()
        lrs.append(rate)
        losses.append(mean)
        if mean > 4 * min(losses):
            break
    return lrs, losses


@pytest.mark.parametrize(
    "spoiled, words",
    [
        (finder(next_rate=True), "was made at"),
        (finder(correct=False), "corrected mean"),
        (corrected_too_little, "point 1 of the curve"),
        (finder(divergence=5), "too late"),
        (finder(divergence=3), "too early"),
        (finder(zero=False), "by the gradient of that batch alone"),
        (finder(backward=False), "learns from each"),
        (finder(stop=False), "after the first loss of nan"),
        (finder(go_on=True), "after the first loss of nan it made 19 more steps"),
        (finder(clip=1.0), "by the gradient of that batch alone"),
        (leaves_evaluation_mode, "left in evaluation mode"),
        (finder(restore="nothing"), "a new optimizer"),
        (finder(restore="alias"), "an optimizer with momentum"),
        (finder(restore="rate"), "the next steps of training"),
        (finder(restore_net=False), "the net is another one"),
    ],
)
def test_the_verdict_names_what_was_seen(spoiled, words):
    assert words in residual_mnist.mended_finder(spoiled).problem


def test_a_finder_that_is_left_open_is_not_judged():
    assert residual_mnist.mended_finder(lambda *arguments: ...).problem == OPEN
    assert residual_mnist.mended_finder(lambda *arguments: (..., ...)).problem == OPEN
    assert residual_mnist.mended_finder(...).problem == OPEN


def test_the_smoothing_of_the_check_is_the_formula():
    assert range_finder.smoothed([3.0]) == pytest.approx([3.0])
    found = range_finder.smoothed([1.0, 2.0, 4.0])
    expected = (4.0 + 0.95 * 2.0 + 0.95**2 * 1.0) / (1 + 0.95 + 0.95**2)
    assert found[-1] == pytest.approx(expected)


# Exercise 4: a net of the learner's own.


def small_residual():
    return ResidualNet(widths=(4, 8), stride=2)


class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        around = x
        return torch.add(self.conv(x), around)


def added_by_hand():
    return nn.Sequential(
        Around(), nn.Conv2d(1, 4, 3, 2), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 10)
    )


class Sums(nn.Module):
    """A net whose one sum is written in another way each."""

    def __init__(self, add):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, 2, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.bias = nn.Parameter(torch.ones(1, 4, 1, 1))
        self.linear = nn.Linear(4, 10)
        self.add = add

    def forward(self, x):
        around = torch.relu(self.first(x))
        y = self.add(self, self.second(around), around)
        return self.linear(y.mean((2, 3)))


def of_blocks():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2),
        BasicBlock(4, 8, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


@pytest.fixture
def digits():
    """Practice digits that pass for real ones, so that a net is judged on them."""
    return replace(data.load("mnist", validation=0), source="folder")


@pytest.mark.parametrize(
    "build, rate",
    [(small_residual, 0.3), (added_by_hand, torch.tensor(0.1)), (of_blocks, 1), (of_blocks, "0.5")],
)
def test_nets_with_shortcuts_are_trained_and_judged(build, rate, digits, capsys):
    verdict = residual_mnist.own_residual(build, rate, digits, least=1.0, epochs=1)
    if isinstance(rate, str):
        assert "a number above 0" in verdict.problem
        return
    assert verdict.expect_right() and "highest rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    "add",
    [
        lambda net, y, around: y + around,
        lambda net, y, around: y.add_(around),
        lambda net, y, around: torch.add(input=y, other=around),
        lambda net, y, around: sum([y, around]),
    ],
)
def test_every_sum_of_two_maps_is_seen(add):
    net = Sums(add)
    assert residual_mnist.has_shortcut(net)
    # The net itself is left as it was.
    assert net.training and all(weights.requires_grad for weights in net.parameters())


@pytest.mark.parametrize(
    "add",
    [
        lambda net, y, around: y,
        lambda net, y, around: y + y,
        lambda net, y, around: y + y.clone(),
        lambda net, y, around: y + torch.randn_like(y),
        lambda net, y, around: y + net.bias,
        lambda net, y, around: y + 1,
        lambda net, y, around: y * around,
    ],
)
def test_other_sums_are_no_shortcuts(add, digits):
    net = Sums(add)
    before = torch.get_rng_state()
    assert not residual_mnist.has_shortcut(net)
    assert torch.equal(torch.get_rng_state(), before)
    verdict = residual_mnist.own_residual(lambda: Sums(add), 0.1, digits)
    assert "no sum of two different maps" in verdict.problem


def without_shortcut():
    return ResidualNet(widths=(4, 8), shortcut="none")


@pytest.mark.parametrize(
    "build, rate, words",
    [
        (without_shortcut, 0.1, "no shortcut"),
        (budget_net, 0.1, "no shortcut"),
        (lambda: ResidualNet(blocks=3), 0.1, "67,906 parameters"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 11)), 0.1, "11"),
        (lambda: [small_residual()], 0.1, "list"),
        (lambda: BasicBlock(3, 3), 0.1, "raised"),
        (small_residual, 0.0, "above 0"),
        (small_residual, "fast", "above 0"),
        (small_residual, math.nan, "above 0"),
        (small_residual, True, "a number above 0, not True"),
    ],
)
def test_nets_that_break_the_rules_are_refused(build, rate, words, digits):
    verdict = residual_mnist.own_residual(build, rate, digits)
    assert not verdict and words in verdict.problem


def test_a_net_that_reads_too_little_is_refused(digits):
    verdict = residual_mnist.own_residual(small_residual, 0.1, digits, least=100.1, epochs=1)
    assert "at least 100.1 %" in verdict.problem


def test_nothing_is_judged_on_practice_data(digits):
    practice = replace(digits, source="practice")
    verdict = residual_mnist.own_residual(small_residual, 0.1, practice)
    assert "not judged on practice data" in verdict.problem


def test_a_net_that_is_left_open_is_not_judged(digits):
    assert residual_mnist.own_residual(lambda: ..., 0.1, digits).problem == OPEN
    assert residual_mnist.own_residual(small_residual, ..., digits).problem == OPEN
