"""Session 01's checks refuse plausible wrong answers without telling the right one."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import data
from helpers.environment import pick_device
from helpers.exercises import NOTHING_CAME_BACK, OPEN
from helpers.exercises import first_network as exercises
from helpers.exercises.own_net import own_net
from helpers.models.small import first_net

# A loop is written as the lines of one step, with a step's usual surroundings.
LOOP = """
def loop(model, batches, optimizer, scheduler, epochs):
    losses = []
    for _ in range({epochs}):
        model.{mode}()
        for images, labels in batches:
{lines}
    return {result}
"""
ZERO = "optimizer.zero_grad()"
LOSS = "loss = F.cross_entropy(model(images), labels)"
BACK = "loss.backward()"
STEP = "optimizer.step()"
NEXT = "scheduler.step()"
KEEP = "losses.append(loss)"


def loop_of(*lines, epochs="epochs", mode="train", result="losses"):
    text = "\n".join(" " * 12 + line for line in lines)
    names = {"F": F, "nn": nn, "torch": torch}
    exec(LOOP.format(epochs=epochs, mode=mode, lines=text, result=result), names)
    return names["loop"]


SOFTMAXED = "loss = F.cross_entropy(model(images).softmax(1), labels)"
SWAPPED = "loss = F.cross_entropy(labels, model(images))"
ONE_HOT = "loss = F.mse_loss(model(images), F.one_hot(labels, 3).float())"
SUMMED = "loss = F.cross_entropy(model(images), labels, reduction='sum')"
WRONG_LOOPS = {
    "gradients add up": (loop_of(LOSS, BACK, STEP, NEXT, KEEP), "leaves behind"),
    "cleared too late": (loop_of(LOSS, BACK, ZERO, STEP, NEXT, KEEP), "no weight"),
    "step before backward": (loop_of(ZERO, LOSS, STEP, BACK, NEXT, KEEP), "no weight"),
    "no step": (loop_of(ZERO, LOSS, BACK, NEXT, KEEP), "no weight"),
    "no backward": (loop_of(ZERO, LOSS, STEP, NEXT, KEEP), "no weight"),
    "probabilities as logits": (loop_of(ZERO, SOFTMAXED, BACK, STEP, NEXT, KEEP), "logits"),
    "arguments swapped": (loop_of(ZERO, SWAPPED, BACK, STEP, NEXT, KEEP), "raised"),
    "another loss": (loop_of(ZERO, ONE_HOT, BACK, STEP, NEXT, KEEP), "logits"),
    "a sum": (loop_of(ZERO, SUMMED, BACK, STEP, NEXT, KEEP), "logits"),
    "nothing kept": (loop_of(ZERO, LOSS, BACK, STEP, NEXT), "0 losses"),
    "no schedule": (loop_of(ZERO, LOSS, BACK, STEP, KEEP), "schedule moved 0"),
    "steps twice": (loop_of(ZERO, LOSS, BACK, STEP, STEP, NEXT, KEEP), "not to what"),
    "one epoch": (loop_of(ZERO, LOSS, BACK, STEP, NEXT, KEEP, epochs="1"), "3 losses"),
    "evaluation mode": (loop_of(ZERO, LOSS, BACK, STEP, NEXT, KEEP, mode="eval"), "evaluation"),
    "a number": (loop_of(ZERO, LOSS, BACK, STEP, NEXT, KEEP, result="float(loss)"), "float"),
    "the sum": (loop_of(ZERO, LOSS, BACK, STEP, NEXT, KEEP, result="sum(losses)"), "no row"),
    "not a function": (3, "raised"),
}


@pytest.mark.parametrize("loop, expected", WRONG_LOOPS.values(), ids=list(WRONG_LOOPS))
def test_wrong_loops_are_refused(loop, expected, capsys):
    verdict = exercises.training_loop(loop)
    assert not verdict and expected in repr(verdict)
    for line in ("zero_grad", "backward(", ".step(", "cross_entropy(model"):
        assert line not in verdict.problem
    assert exercises.loop_to_use(loop) is exercises.course_loop
    assert "does not pass the check yet" in capsys.readouterr().out


LOGITS = "logits = model(images); loss = nn.CrossEntropyLoss()(logits, labels)"
LONG_FORM = "loss = F.nll_loss(model(images).log_softmax(1), labels)"
RIGHT_LOOPS = [
    exercises.course_loop,
    loop_of(ZERO, LOSS, BACK, STEP, NEXT, KEEP),
    loop_of(LOSS, BACK, STEP, ZERO, NEXT, "losses.append(loss.item())"),
    loop_of("model.zero_grad()", LOGITS, BACK, STEP, NEXT, "losses.append(loss.detach())"),
    loop_of(LONG_FORM, ZERO, BACK, STEP, NEXT, KEEP, result="torch.stack(losses)"),
    loop_of(ZERO, LOSS, BACK, STEP, NEXT, KEEP, result="tuple(losses)"),
]


@pytest.mark.parametrize("loop", RIGHT_LOOPS)
def test_right_loops_are_accepted_and_used(loop, capsys):
    exercises.training_loop(loop).expect_right()
    used = exercises.loop_to_use(loop)
    assert "passes the check" in capsys.readouterr().out
    trial = exercises.Trial(used, exercises.trial_batches(2), 2)
    assert len(trial.losses) == 4
    for loss in trial.losses:
        assert type(loss) is float


OPEN_LOOPS = [
    None,
    ...,
    loop_of("...", "loss = ...", "...", "...", NEXT, KEEP),
    loop_of(ZERO, "loss = ...", "...", "...", NEXT, KEEP),
    loop_of("pass", result="None"),
]


@pytest.mark.parametrize("loop", OPEN_LOOPS)
def test_open_loops_are_told_so(loop):
    assert exercises.training_loop(loop).problem == OPEN
    assert exercises.loop_to_use(loop) is exercises.course_loop


def test_a_check_leaves_torch_s_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    exercises.training_loop(exercises.course_loop)
    assert torch.equal(torch.rand(2), expected)


# Two formulas.


WRONG_COUNTS = {
    "no bias": lambda i, o, k: k * k * i * o,
    "one bias": lambda i, o, k: k * k * i * o + 1,
    "a bias for each input": lambda i, o, k: (k * k * o + 1) * i,
    "one channel": lambda i, o, k: (k * k + 1) * o,
    "no square": lambda i, o, k: (k * i + 1) * o,
    "always 3×3": lambda i, o, k: (9 * i + 1) * o,
    "one answer": lambda i, o, k: 1168,
    "a text": lambda i, o, k: "1168",
    "too few arguments": lambda i, o: 9 * i * o,
}


@pytest.mark.parametrize("answer", WRONG_COUNTS.values(), ids=list(WRONG_COUNTS))
def test_wrong_counts_are_refused(answer):
    verdict = exercises.conv_parameters(answer)
    assert not verdict and verdict.problem != OPEN
    assert "k" not in verdict.problem.replace("take", "").split()


RIGHT_COUNTS = [
    lambda i, o, k: (k * k * i + 1) * o,
    lambda i, o, k: k**2 * i * o + o,
    lambda i, o, k: sum(p.numel() for p in nn.Conv2d(i, o, k).parameters()),
    lambda in_channels, out_channels, kernel_size: torch.tensor(
        out_channels * (in_channels * kernel_size**2 + 1)
    ),
]


@pytest.mark.parametrize("answer", RIGHT_COUNTS)
def test_right_counts_are_accepted(answer):
    exercises.conv_parameters(answer).expect_right()


WRONG_SIZES = {
    "not rounded": lambda n, k, s, p: (n + 2 * p - k) / s + 1,
    "rounded up": lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1,
    "padding on one side": lambda n, k, s, p: (n + p - k) // s + 1,
    "no padding": lambda n, k, s, p: (n - k) // s + 1,
    "no plus one": lambda n, k, s, p: (n + 2 * p - k) // s,
    "divided": lambda n, k, s, p: n // s,
    "plus one first": lambda n, k, s, p: (n + 2 * p - k + 1) // s,
    "rounded to the nearest": lambda n, k, s, p: round((n + 2 * p - k) / s) + 1,
    "one answer": lambda n, k, s, p: 14,
}


@pytest.mark.parametrize("answer", WRONG_SIZES.values(), ids=list(WRONG_SIZES))
def test_wrong_sizes_are_refused(answer):
    verdict = exercises.output_size(answer)
    assert not verdict and "does not make" in verdict.problem


def counted_places(n, kernel_size, stride, padding):
    return len(range(0, n + 2 * padding - kernel_size + 1, stride))


RIGHT_SIZES = [
    lambda n, k, s, p: (n + 2 * p - k) // s + 1,
    lambda n, k, s, p: (n + 2 * p - k + s) // s,
    lambda n, k, s, p: int((n + 2 * p - k) / s) + 1,
    lambda n, k, s, p: nn.MaxPool2d(k, s)(torch.zeros(1, n + 2 * p, n + 2 * p)).shape[-1],
    counted_places,
]


@pytest.mark.parametrize("answer", RIGHT_SIZES)
def test_right_sizes_are_accepted(answer):
    exercises.output_size(answer).expect_right()


@pytest.mark.parametrize("check", [exercises.conv_parameters, exercises.output_size])
def test_open_formulas_are_told_so(check):
    for answer in (None, ..., lambda *sizes: ...):
        assert check(answer).problem == OPEN
    assert check(lambda *sizes: None).problem == NOTHING_CAME_BACK


# An accuracy to be mended.


def measure(model, batches, evaluating=True, by_batch=False, unit=100, of="logits"):
    if evaluating:
        model.eval()
    shares, right, seen = [], 0, 0
    for images, labels in batches:
        logits = model(images)
        named = logits.argmax(1)
        if of == "smallest":
            named = logits.argmin(1)
        hits = (named == labels).float()
        shares.append(hits.mean())
        right += hits.sum()
        seen += len(labels)
    if by_batch:
        return unit * sum(shares) / len(shares)
    return unit * right / seen


WRONG_ACCURACIES = {
    "as given": lambda m, b: measure(m, b, evaluating=False, by_batch=True),
    "batches alike": lambda m, b: measure(m, b, by_batch=True),
    "training mode": lambda m, b: measure(m, b, evaluating=False),
    "a share": lambda m, b: measure(m, b, unit=1),
    "the smallest logit": lambda m, b: measure(m, b, of="smallest"),
    "the first batch": lambda m, b: measure(m, b[:1]),
    "errors": lambda m, b: 100 - measure(m, b),
    "a text": lambda m, b: "75 %",
}


@pytest.mark.parametrize("answer", WRONG_ACCURACIES.values(), ids=list(WRONG_ACCURACIES))
def test_wrong_accuracies_are_refused(answer):
    verdict = exercises.accuracy_over_batches(answer)
    assert not verdict and verdict.problem != OPEN
    assert "eval" not in verdict.problem


def in_one_batch(model, batches):
    images = torch.cat([images for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    return measure(model, [(images, labels)]).item()


def weighted(model, batches):
    sizes = torch.tensor([float(len(labels)) for _, labels in batches])
    accuracies = torch.tensor([measure(model, [batch]) for batch in batches])
    return (sizes * accuracies).sum() / sizes.sum()


@pytest.mark.parametrize("answer", [measure, in_one_batch, weighted])
def test_right_accuracies_are_accepted(answer):
    exercises.accuracy_over_batches(answer).expect_right()


def test_open_accuracies_are_told_so():
    for answer in (None, ..., lambda model, batches: ...):
        assert exercises.accuracy_over_batches(answer).problem == OPEN
    assert exercises.accuracy_over_batches(lambda *task: None).problem == NOTHING_CAME_BACK


# A net of the learner's own.


@pytest.fixture(scope="module")
def digits():
    """Practice digits that pass for real ones, so that a net is judged on them."""
    practice = data.load("mnist", validation=0)
    return replace(practice, source="folder")


def net_of(first, second, third, kernel=3):
    return nn.Sequential(
        nn.Conv2d(1, first, kernel),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(second, third, 3),
        nn.ReLU(),
        nn.Conv2d(third, 10, 3),
        nn.Flatten(),
    )


def small():
    return net_of(8, 12, 20)


def linear():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10))


WRONG_NETS = {
    "too large": (first_net, "were asked for"),
    "no ten logits": (lambda: nn.Sequential(*small(), nn.Linear(10, 9)), "ten logits"),
    "maps left": (lambda: nn.Sequential(nn.Conv2d(1, 10, 3)), "ten logits"),
    "no image": (lambda: nn.Linear(784, 10), "raised"),
    "three channels": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten()), "raised"),
    "no net": (lambda: 4946, "not a net"),
    "nothing to learn": (lambda: nn.Sequential(nn.AvgPool2d((28, 2), (28, 2)), nn.Flatten()), ""),
    "does not learn": (lambda: nn.Sequential(*linear(), nn.Hardtanh(0, 1e-9)), "were asked for"),
}


@pytest.mark.parametrize("build, expected", WRONG_NETS.values(), ids=list(WRONG_NETS))
def test_wrong_nets_are_refused(build, expected, digits):
    verdict = own_net(build, exercises.course_loop, digits, least=50.0)
    assert not verdict and verdict.problem != OPEN and expected in repr(verdict)


def test_a_net_that_stays_below_the_claim_is_refused(digits):
    verdict = own_net(linear, exercises.course_loop, digits, epochs=1)
    assert not verdict and "at least 98.5 %" in verdict.problem


def test_a_net_of_fixed_numbers_is_refused(digits):
    def frozen():
        net = linear()
        net[2].weight.requires_grad_(False)
        return net

    verdict = own_net(frozen, exercises.course_loop, digits, epochs=1)
    assert not verdict and "numbers that are not learned" in verdict.problem


@pytest.mark.parametrize("build", [small, linear, linear(), lambda: net_of(4, 8, 12)])
def test_right_nets_are_accepted(build, digits, capsys):
    # After three epochs it depends on torch's version whether one has begun to learn.
    own_net(build, exercises.course_loop, digits, least=30.0, epochs=6).expect_right()
    assert "% after 6 epochs" in capsys.readouterr().out


def test_nothing_is_judged_on_practice_data():
    verdict = own_net(linear, None, data.load("mnist", validation=0))
    assert verdict.problem == OPEN
    loop = exercises.course_loop
    verdict = own_net(linear, loop, data.load("mnist", validation=0))
    assert "not judged on practice data" in verdict.problem


@pytest.mark.parametrize("build", [None, ..., lambda: ..., nn.Sequential])
def test_open_nets_are_told_so(build, digits):
    assert own_net(build, exercises.course_loop, digits).problem == OPEN


def test_the_net_trains_on_the_device_of_the_course(digits):
    devices = set()

    def loop(model, batches, *others):
        devices.add(next(model.parameters()).device.type)
        devices.add(batches.device.type)

    own_net(linear, loop, digits)
    assert devices == {pick_device().type}
