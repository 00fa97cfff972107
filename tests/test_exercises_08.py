"""Session 08's exercises: plausible wrong answers are refused, right ones accepted in any form."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import replace
from statistics import median

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers import data
from helpers.environment import ROOT
from helpers.exercises import OPEN, learners_net, speed, stopwatch
from helpers.models.speed import SpeedNet

# Exercise 1: the arithmetic of a training.


def by_layers(widths, side):
    """Forward by hand, then three times of it without what the first layer has no need of."""
    side -= 1
    first = 12 * 24 * side**2
    forward, before = first, 24
    for width in widths:
        forward += 9 * before * width * side**2
        side //= 2
        forward += 9 * width * width * side**2
        before = width
    return 3 * (forward + 10 * before) - 2 * first


def by_torch(widths, side):
    net, images = SpeedNet(widths), torch.zeros(1, 3, side, side)
    net(torch.zeros(2, 3, side, side))
    net.eval()
    with FlopCounterMode(display=False) as counter:
        net(images).sum().backward()
    return counter.get_total_flops() / 2


def by_shapes(widths, side):
    """From the shapes that hooks see."""
    net, found = SpeedNet(widths), []

    def see(layer, _, answer):
        times = 3 if layer.weight.requires_grad else 1
        found.append(times * layer.weight[0].numel() * answer[0].numel())

    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(see)
    net.eval()(torch.zeros(1, 3, side, side))
    return torch.tensor(sum(found))


@pytest.mark.parametrize("answer", [by_layers, by_torch, by_shapes])
def test_right_counts_are_accepted(answer):
    assert speed.training_multiply_adds(answer).expect_right()


def forward_alone(widths, side):
    return speed.counted(widths, side)[0]


def three_times(widths, side):
    return 3 * speed.counted(widths, side)[0]


def in_operations(widths, side):
    return 2 * by_layers(widths, side)


def without_the_linear_layer(widths, side):
    return by_layers(widths, side) - 30 * widths[-1]


def in_groups(widths, side, sides):
    """By hand; ``sides`` gives those of a group's two convolutions, and that of the next group."""
    side -= 1
    total, before = 12 * 24 * side**2, 24
    for width in widths:
        first, second, side = sides(side)
        total += 27 * width * (before * first**2 + width * second**2)
        before = width
    return total + 30 * before


def pooled_late(widths, side):
    """As if the maximum were taken behind the second convolution of a group."""
    return in_groups(widths, side, lambda side: (side, side, side // 2))


def pooled_early(widths, side):
    """As if the maximum were taken ahead of the first convolution of a group."""
    return in_groups(widths, side, lambda side: (side // 2, side // 2, side // 2))


def not_rounded(widths, side):
    """As if a map could have half a pixel."""
    return in_groups(widths, side, lambda side: (side, side / 2, side / 2))


def padded_first(widths, side):
    return by_layers(widths, side + 1)


def rounded_up(widths, side):
    """Half of an odd side, as if the rest were kept."""
    return in_groups(widths, side, lambda side: (side, -(-side // 2), -(-side // 2)))


def back_alone(widths, side):
    return speed.counted(widths, side)[1]


def first_layer_back(widths, side):
    """Its weights get a gradient, and the images none."""
    return by_layers(widths, side) + 12 * 24 * (side - 1) ** 2


def in_millions(widths, side):
    return by_layers(widths, side) / 1e6


def three_groups(widths, side):
    return by_layers((widths[0], widths[1], widths[2]), side)


def back_once(widths, side):
    """As if each layer had one gradient."""
    return 2 * speed.counted(widths, side)[0] - 12 * 24 * (side - 1) ** 2


def back_once_for_all(widths, side):
    return 2 * speed.counted(widths, side)[0]


def without_the_first_layer(widths, side):
    return by_layers(widths, side) - 12 * 24 * (side - 1) ** 2


def last_layer_forward_alone(widths, side):
    return by_layers(widths, side) - 20 * widths[-1]


def of_large_images(widths, side):
    return by_layers(widths, 32)


def of_one_net(widths, side):
    return by_layers((64, 256, 256), side)


@pytest.mark.parametrize(
    "answer",
    [
        forward_alone,
        three_times,
        in_operations,
        without_the_linear_layer,
        pooled_late,
        padded_first,
        rounded_up,
        back_alone,
        first_layer_back,
        in_millions,
        three_groups,
        back_once,
        back_once_for_all,
        without_the_first_layer,
        last_layer_forward_alone,
        of_large_images,
        of_one_net,
        lambda widths, side: "many",
        lambda widths: 1,
    ],
)
def test_wrong_counts_are_refused_without_the_answer(answer):
    verdict = speed.training_multiply_adds(answer)
    assert not verdict and verdict.problem != OPEN
    for widths, side in speed.PRICED:
        right = by_layers(widths, side)
        assert str(right) not in verdict.problem and f"{right:,}" not in verdict.problem
    assert not re.search("twice|two gradients|three times", verdict.problem)


@pytest.mark.parametrize(
    "answer, words",
    [
        (forward_alone, "the way forward alone"),
        (back_alone, "the way back alone"),
        (three_times, "first layer needs no gradients"),
        (first_layer_back, "first layer needs no gradients"),
        (in_operations, "operations"),
        (in_millions, "millions"),
        (without_the_linear_layer, "last layer is missing"),
        (pooled_late, "pools at its end"),
        (pooled_early, "comes before its pooling"),
        (not_rounded, "no whole number of pixels"),
        (padded_first, "no padding"),
        (rounded_up, "odd side"),
        (back_once, "costs more than that"),
        (back_once_for_all, "costs more than that"),
        (without_the_first_layer, "first layer is missing"),
        (last_layer_forward_alone, "last layer has a way back"),
        (three_groups, r"widths \(6, 10\), 13 pixels: your answer raised IndexError"),
        (lambda widths, side: widths.copy(), r"\(64, 256, 256\).*raised AttributeError"),
        (of_large_images, "another number is right"),
    ],
)
def test_each_slip_of_a_count_has_a_sentence_of_its_own(answer, words):
    assert re.search(words, speed.training_multiply_adds(answer).problem)


def test_an_open_count_is_not_judged():
    assert speed.training_multiply_adds(lambda widths, side: ...).problem == OPEN
    assert speed.training_multiply_adds(None).problem == OPEN


# Exercise 2: a stopwatch with faults.


def timed(gpu, batches):
    """The seconds of an epoch, from an idle device to an idle one."""
    gpu.synchronize()
    start = gpu.now()
    for images in batches:
        gpu.train(images)
    gpu.synchronize()
    return gpu.now() - start


def all_mended(gpu, batches):
    for images in batches:
        gpu.train(images)
    return sum(batches) / timed(gpu, batches)


def several_epochs(gpu, batches):
    speeds = [all_mended(gpu, batches) for _ in range(3)]
    return median(speeds)


def step_by_step(gpu, batches):
    for images in set(batches):
        gpu.train(images)
    spent = 0.0
    for images in batches:
        spent += timed(gpu, [images])
    return torch.tensor(sum(batches) / spent)


def the_second_of_two(gpu, batches):
    """Both epochs are timed, and only the later one counts."""
    seconds = [timed(gpu, batches) for _ in range(2)]
    return sum(batches) / seconds[-1]


def best_of_three(gpu, batches):
    return max(all_mended(gpu, batches) for _ in range(3))


def warm_over_the_sizes(gpu, batches):
    for images in set(batches):
        gpu.train(images)
    return sum(batches) / timed(gpu, batches)


def three_epochs(gpu, batches):
    return all_mended(gpu, batches * 3)


def reads_too_often(gpu, batches):
    """The clock is read before the warm-up, and while the device works."""
    gpu.now()
    for images in batches:
        gpu.train(images)
    gpu.synchronize()
    start = gpu.now()
    for images in batches:
        gpu.train(images)
        gpu.now()
    gpu.synchronize()
    return sum(batches) / (gpu.now() - start)


def each_size_once(gpu, batches):
    """Steps of one size take equally long, so one of each is enough."""
    seconds = {}
    for images in [*set(batches), *set(batches)]:
        seconds[images] = timed(gpu, [images])
    return sum(batches) / sum(seconds[images] for images in batches)


@pytest.mark.parametrize(
    "answer",
    [
        all_mended,
        several_epochs,
        best_of_three,
        three_epochs,
        step_by_step,
        the_second_of_two,
        warm_over_the_sizes,
        reads_too_often,
        each_size_once,
    ],
)
def test_mended_benchmarks_are_accepted(answer):
    assert stopwatch.mended_benchmark(answer).expect_right()


def as_it_was(gpu, batches):
    """The notebook's, with all its faults."""
    start = gpu.now()
    for images in batches:
        gpu.train(images)
    seconds = gpu.now() - start
    return len(batches) * batches[0] / seconds


def never_warm(gpu, batches):
    gpu.synchronize()
    start = gpu.now()
    for images in batches:
        gpu.train(images)
    gpu.synchronize()
    return sum(batches) / (gpu.now() - start)


def never_waits(gpu, batches):
    for images in batches:
        gpu.train(images)
    gpu.synchronize()
    start = gpu.now()
    for images in batches:
        gpu.train(images)
    return sum(batches) / (gpu.now() - start)


def starts_too_soon(gpu, batches):
    for images in batches:
        gpu.train(images)
    start = gpu.now()
    for images in batches:
        gpu.train(images)
    gpu.synchronize()
    return sum(batches) / (gpu.now() - start)


def warm_with_one_size(gpu, batches):
    gpu.train(batches[0])
    gpu.synchronize()
    start = gpu.now()
    for images in batches:
        gpu.train(images)
    gpu.synchronize()
    return sum(batches) / (gpu.now() - start)


def counts_full_batches(gpu, batches):
    return all_mended(gpu, batches) / sum(batches) * len(batches) * batches[0]


def only_full_batches(gpu, batches):
    return all_mended(gpu, batches[:1])


def seconds_for_an_image(gpu, batches):
    return 1 / all_mended(gpu, batches)


def mean_of_speeds(gpu, batches):
    """A slow small batch then counts as much as a full one."""
    for images in batches:
        gpu.train(images)
    speeds = []
    for images in batches:
        gpu.synchronize()
        start = gpu.now()
        gpu.train(images)
        gpu.synchronize()
        speeds.append(images / (gpu.now() - start))
    return sum(speeds) / len(speeds)


def without_the_last(gpu, batches):
    return all_mended(gpu, batches[:-1])


def never_measures(gpu, batches):
    """From what the device is said to take, which no device says."""
    return sum(batches) / sum(gpu._per_step + gpu._per_image * images for images in batches)


def peeks(gpu, batches):
    """The clock is read, and nothing is measured."""
    gpu.now()
    gpu.now()
    return sum(batches) / sum(map(gpu._seconds_for, batches))


def peeks_and_works(gpu, batches):
    gpu.synchronize()
    gpu.now()
    gpu.train(batches[0])
    gpu.synchronize()
    gpu.now()
    return sum(batches) / sum(map(gpu._seconds_for, batches))


def by_a_line(gpu, batches):
    """A step's own time and that of an image, from batches of one image and of two."""
    seconds = []
    for images in (1, 2, 1, 2):
        gpu.synchronize()
        start = gpu.now()
        for _ in range(100):
            gpu.train(images)
        gpu.synchronize()
        seconds.append((gpu.now() - start) / 100)
    slope = seconds[3] - seconds[2]
    return sum(batches) / (len(batches) * (seconds[2] - slope) + slope * sum(batches))


def seconds_of_an_epoch(gpu, batches):
    return sum(batches) / all_mended(gpu, batches)


def batches_a_second(gpu, batches):
    return all_mended(gpu, batches) / sum(batches) * len(batches)


def seconds_of_a_cold_epoch(gpu, batches):
    return sum(batches) / never_warm(gpu, batches)


def full_batches_after_a_reading(gpu, batches):
    gpu.now()
    return counts_full_batches(gpu, batches)


def forgets_the_last_wait(gpu, batches):
    """The clock is read before and after all of it, too."""
    gpu.now()
    for images in batches:
        gpu.train(images)
    gpu.synchronize()
    start = gpu.now()
    for images in batches:
        gpu.train(images)
    stop = gpu.now()
    gpu.synchronize()
    gpu.now()
    return sum(batches) / (stop - start)


def drops_the_first_of_each_size(gpu, batches):
    seen, counted, spent = set(), 0, 0.0
    for images in batches:
        gpu.synchronize()
        start = gpu.now()
        gpu.train(images)
        gpu.synchronize()
        if images in seen:
            spent += gpu.now() - start
            counted += images
        else:
            gpu.now()
        seen.add(images)
    return counted / spent


def step_by_step_never_warm(gpu, batches):
    spent = 0.0
    for images in batches:
        spent += timed(gpu, [images])
    return sum(batches) / spent


@pytest.mark.parametrize(
    "answer",
    [
        as_it_was,
        never_warm,
        never_waits,
        starts_too_soon,
        warm_with_one_size,
        counts_full_batches,
        only_full_batches,
        seconds_for_an_image,
        mean_of_speeds,
        without_the_last,
        never_measures,
        peeks,
        peeks_and_works,
        by_a_line,
        seconds_of_an_epoch,
        seconds_of_a_cold_epoch,
        batches_a_second,
        full_batches_after_a_reading,
        forgets_the_last_wait,
        drops_the_first_of_each_size,
        step_by_step_never_warm,
        lambda gpu, batches: sum(batches),
        lambda gpu, batches: "fast",
        lambda gpu: 1.0,
    ],
)
def test_faulty_benchmarks_are_refused_without_the_answer(answer):
    verdict = stopwatch.mended_benchmark(answer)
    assert not verdict and verdict.problem != OPEN
    for word in ("synchronize", "warm", "sum("):
        assert word not in verdict.problem


@pytest.mark.parametrize(
    "answer, words",
    [
        (never_waits, "for the last time"),
        (starts_too_soon, "read first"),
        (never_warm, "compiled"),
        (warm_with_one_size, "9 batches|10 batches"),
        (counts_full_batches, "count the images again"),
        (full_batches_after_a_reading, "count the images again"),
        (mean_of_speeds, "how single steps are joined"),
        (seconds_of_an_epoch, "that is a time, and not a speed"),
        (seconds_for_an_image, "time of an image"),
        (batches_a_second, "batches a second"),
        (seconds_of_a_cold_epoch, "compiled"),
        (peeks, "nothing was ordered"),
        (peeks_and_works, "calculated from other batches"),
        (by_a_line, "calculated from other batches"),
        (forgets_the_last_wait, "for the last time"),
        (drops_the_first_of_each_size, "other batches"),
        (only_full_batches, "other batches"),
        (without_the_last, "other batches"),
        (step_by_step_never_warm, "compiled"),
        (never_measures, "two readings"),
    ],
)
def test_each_fault_has_a_sentence_of_its_own(answer, words):
    assert re.search(words, stopwatch.mended_benchmark(answer).problem)


def test_an_open_benchmark_is_not_judged():
    assert stopwatch.mended_benchmark(lambda gpu, batches: ...).problem == OPEN
    assert stopwatch.mended_benchmark(...).problem == OPEN


def test_the_faults_are_counted_when_they_are_mended(capsys):
    assert stopwatch.mended_benchmark(all_mended)
    assert "had 4 faults" in capsys.readouterr().out
    assert not stopwatch.mended_benchmark(as_it_was) and not capsys.readouterr().out


def test_what_the_device_takes_is_not_found_by_its_names():
    names = [name for name in vars(stopwatch.PretendGPU()) if not name.startswith("_")]
    methods = [name for name in vars(stopwatch.PretendGPU) if not name.startswith("_")]
    assert names == [] and methods == ["LAUNCH", "now", "train", "synchronize"]


def test_the_pretended_device_takes_the_time_that_it_says():
    gpu = stopwatch.PretendGPU(per_image=0.01, per_step=1.0, compiling=5.0, busy=2.0)
    gpu.train(100)
    assert gpu.now() < 0.001
    gpu.synchronize()
    assert gpu.now() == pytest.approx(2 + 1 + 1 + 5)
    gpu.train(100)
    gpu.synchronize()
    assert gpu.now() == pytest.approx(9 + 2)


# Exercise 3: gradients of shards.


def weighted(model, images, targets, parts):
    total = [torch.zeros_like(weights) for weights in model.parameters()]
    for rank in range(parts):
        mine, labels = images[rank::parts], targets[rank::parts]
        loss = F.cross_entropy(model(mine), labels)
        for part, gradient in zip(total, torch.autograd.grad(loss, list(model.parameters()))):
            part += gradient * len(mine) / len(images)
    return total


def accumulated(model, images, targets, parts):
    model.zero_grad()
    for mine, labels in zip(images.tensor_split(parts), targets.tensor_split(parts)):
        loss = F.cross_entropy(model(mine), labels, reduction="sum") / len(images)
        loss.backward()
    return [weights.grad for weights in model.parameters()]


def by_chunks(model, images, targets, parts):
    size = -(-len(images) // parts)
    for weights in model.parameters():
        weights.grad = None
    for start in range(0, len(images), size):
        answer = model(images[start : start + size])
        loss = F.cross_entropy(answer, targets[start : start + size], reduction="none").sum()
        loss.backward()
    return tuple(weights.grad / len(images) for weights in model.parameters())


def without_calling_the_model(model, images, targets, parts):
    """By its forward function, which no hook of the model sees."""
    total = [torch.zeros_like(weights) for weights in model.parameters()]
    for mine, labels in zip(images.chunk(parts), targets.chunk(parts)):
        loss = F.cross_entropy(model.forward(mine), labels, reduction="sum") / len(images)
        for part, gradient in zip(total, torch.autograd.grad(loss, list(model.parameters()))):
            part += gradient
    return total


def layer_by_layer(model, images, targets, parts):
    total = [torch.zeros_like(weights) for weights in model.parameters()]
    for rank in range(parts):
        x = images[rank::parts]
        share = len(x) / len(images)
        for layer in model:
            x = layer(x)
        loss = share * F.cross_entropy(x, targets[rank::parts])
        for part, gradient in zip(total, torch.autograd.grad(loss, list(model.parameters()))):
            part += gradient
    return total


def of_a_copy(model, images, targets, parts):
    copy = deepcopy(model)
    return accumulated(copy, images, targets, parts)


def one_by_one(model, images, targets, parts):
    return accumulated(model, images, targets, len(images))


def of_other_weights(model, images, targets, parts):
    """The weights are handed to the model from outside."""
    names = dict(model.named_parameters())

    def loss(weights, mine, labels):
        answer = torch.func.functional_call(model, weights, (mine,))
        return F.cross_entropy(answer, labels, reduction="sum") / len(images)

    total = [torch.zeros_like(weights) for weights in model.parameters()]
    for rank in range(parts):
        found = torch.func.grad(loss)(names, images[rank::parts], targets[rank::parts])
        for part, gradient in zip(total, found.values()):
            part += gradient.detach()
    return total


def in_float32(*task):
    return [gradient.float() for gradient in weighted(*task)]


@pytest.mark.parametrize(
    "answer",
    [
        weighted,
        accumulated,
        by_chunks,
        without_calling_the_model,
        layer_by_layer,
        of_a_copy,
        one_by_one,
        of_other_weights,
        in_float32,
        lambda *task: [gradient.tolist() for gradient in weighted(*task)],
    ],
)
def test_right_gradients_are_accepted(answer):
    assert speed.sharded_gradients(answer).expect_right()


def plain_mean(model, images, targets, parts):
    model.zero_grad()
    for rank in range(parts):
        loss = F.cross_entropy(model(images[rank::parts]), targets[rank::parts])
        (loss / parts).backward()
    return [weights.grad for weights in model.parameters()]


def plain_sum(model, images, targets, parts):
    model.zero_grad()
    for rank in range(parts):
        F.cross_entropy(model(images[rank::parts]), targets[rank::parts]).backward()
    return [weights.grad for weights in model.parameters()]


def never_forgets(model, images, targets, parts):
    for rank in range(parts):
        mine = images[rank::parts]
        loss = F.cross_entropy(model(mine), targets[rank::parts])
        (loss * len(mine) / len(images)).backward()
    return [weights.grad for weights in model.parameters()]


def never_divided(model, images, targets, parts):
    """The sum over all images."""
    return [len(images) * gradient for gradient in weighted(model, images, targets, parts)]


def never_forgets_a_sum(model, images, targets, parts):
    return [gradient + 1 for gradient in never_divided(model, images, targets, parts)]


def all_at_once(model, images, targets, parts):
    loss = F.cross_entropy(model(images), targets)
    return list(torch.autograd.grad(loss, list(model.parameters())))


def drops_the_rest(model, images, targets, parts):
    count = len(images) // parts * parts
    return weighted(model, images[:count], targets[:count], parts)


def makes_a_step(model, images, targets, parts):
    found = weighted(model, images, targets, parts)
    with torch.no_grad():
        for weights, gradient in zip(model.parameters(), found):
            weights -= 0.1 * gradient
    return found


def labels_of_others(model, images, targets, parts):
    return weighted(model, images, targets.flip(0), parts)


@pytest.mark.parametrize(
    "answer",
    [
        plain_mean,
        plain_sum,
        never_forgets,
        never_divided,
        never_forgets_a_sum,
        all_at_once,
        drops_the_rest,
        makes_a_step,
        labels_of_others,
        lambda *task: [gradient.float() for gradient in plain_mean(*task)],
        lambda *task: weighted(*task)[:2],
        lambda *task: [gradient.flatten() for gradient in weighted(*task)],
        lambda *task: 3.0,
        lambda model: [],
    ],
)
def test_wrong_gradients_are_refused_without_the_answer(answer):
    verdict = speed.sharded_gradients(answer)
    assert not verdict and verdict.problem != OPEN
    for word in ("weigh", "zero_grad", "len(", "share"):
        assert word not in verdict.problem


@pytest.mark.parametrize(
    "answer, words",
    [
        (plain_mean, "is not that of the whole batch"),
        (labels_of_others, "is not that of the whole batch"),
        (plain_sum, "is a sum, and not a mean"),
        (never_divided, "is a sum, and not a mean"),
        (never_forgets, "still has the old gradients in it"),
        (never_forgets_a_sum, "still has the old gradients in it"),
        (lambda *task: [each.float() for each in never_divided(*task)], "a sum, and not"),
    ],
)
def test_a_wrong_gradient_is_told_by_what_it_is(answer, words):
    assert words in speed.sharded_gradients(answer).problem


def test_a_plain_mean_is_right_where_parts_are_equal():
    assert "10 images in 3 parts" in speed.sharded_gradients(plain_mean).problem


def test_open_gradients_are_not_judged():
    assert speed.sharded_gradients(lambda *task: ...).problem == OPEN
    assert speed.sharded_gradients(None).problem == OPEN


# Exercise 4: a net of the learner's own.


def small_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, bias=False),
        nn.BatchNorm2d(8),
        nn.GELU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


@pytest.fixture(scope="module")
def practice():
    whole = data.load("cifar10", validation=0)
    few = whole.train.subset(slice(0, 1_000)), whole.test.subset(slice(0, 100))
    return replace(whole, train=few[0], validation=few[1], test=few[1])


@pytest.mark.parametrize(
    "build",
    [
        small_net,
        lambda: SpeedNet(widths=[8, 16, 16]),
        lambda: nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10)),
    ],
)
def test_a_net_on_practice_data_is_trained_and_not_judged(build, practice):
    verdict = speed.own_cheap_net(build, practice)
    assert "practice data" in verdict.problem and "multiply-adds" in verdict.problem


@pytest.mark.parametrize(
    "build, words",
    [
        (SpeedNet, "118,"),
        (lambda: nn.Sequential(nn.Conv2d(3, 99, 3), nn.Conv2d(99, 99, 3)), "ten logits"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 9)), "ten logits"),
        (lambda: nn.Sequential(nn.Conv2d(1, 10, 3), nn.Flatten()), "raised"),
        (lambda: nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.ZeroPad1d((0, 7))), "nothing"),
        (lambda: "a net", "not a net"),
    ],
)
def test_a_net_that_does_not_fit_is_refused_before_it_is_trained(build, words, practice):
    verdict = speed.own_cheap_net(build, practice)
    assert not verdict and words in verdict.problem


class Recurrent(nn.Module):
    """Rows of pixels, one after the other; the arithmetic is in a layer that nobody counts."""

    def __init__(self):
        super().__init__()
        self.rows = nn.GRU(96, 256, batch_first=True)
        self.linear = nn.Linear(256, 10)

    def forward(self, images):
        return self.linear(self.rows(images.transpose(1, 2).flatten(2))[0][:, -1])


@pytest.mark.parametrize("build", [Recurrent, lambda: nn.Sequential(Recurrent())])
def test_what_is_not_counted_is_refused(build, practice):
    assert "recurrent" in speed.own_cheap_net(build, practice).problem


class OnlyInTraining(nn.Module):
    """A net that is expensive in one of the two modes."""

    def __init__(self, expensive):
        super().__init__()
        self.expensive = expensive
        self.wide = nn.Conv2d(3, 400, 3)
        self.linear = nn.Linear(3, 10)

    def forward(self, images):
        if self.training == self.expensive:
            images = images + self.wide(images).mean()
        return self.linear(images.mean((2, 3)))


@pytest.mark.parametrize("expensive", [True, False])
def test_the_dearer_mode_is_counted(expensive, practice):
    net = OnlyInTraining(expensive)
    assert speed.multiply_adds(net) == 27 * 400 * 30 * 30 + 30
    assert net.training
    practice = replace(practice, train=practice.train.subset(slice(0, 100)))
    net.wide = nn.Conv2d(3, 600, 3)
    assert "14,580,030" in speed.own_cheap_net(net, practice).problem


def test_an_open_net_is_not_trained(practice):
    assert speed.own_cheap_net(lambda: ..., practice).problem == OPEN
    assert speed.own_cheap_net(nn.Sequential, practice).problem == OPEN


def test_too_low_an_accuracy_is_refused(practice, monkeypatch):
    monkeypatch.setattr(learners_net, "train_own", lambda *arguments, **options: 42.0)
    real = replace(practice, source="torchvision")
    assert "42.00 %" in speed.own_cheap_net(small_net, real).problem
    assert speed.own_cheap_net(small_net, real, least=40.0).expect_right()


def source(cell_id):
    """The code of a cell of session 08."""
    notebook = json.loads((ROOT / "notebooks" / "08_speed.ipynb").read_text(encoding="utf-8"))
    [cell] = [cell for cell in notebook["cells"] if cell.get("id") == cell_id]
    return "".join(cell["source"])


@pytest.mark.slow
def test_the_notebooks_cheap_net_passes_on_the_photographs(real_data_root):
    cifar = data.load("cifar10", real_data_root, validation=0)
    if cifar.source == "practice":
        pytest.skip("the photographs of CIFAR-10 are not there: run `python -m helpers data`")
    place = {"nn": nn}
    exec(source("s08-15"), place)  # what a layer is
    exec(source("s08-223").partition("\nanswer =")[0], place)
    speed.own_cheap_net(place["my_net"], cifar).expect_right()
