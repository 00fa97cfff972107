"""Six views by hand, images in turn from both sides, a schedule of two lines."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from helpers.augment import Compose, build
from helpers.augment.alternating import AlternatingFlip
from helpers.data import Batches, load
from helpers.environment import CourseError
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.models.resnet9 import ResNet9
from helpers.models.views import SixViews
from helpers.training.schedule import one_cycle
from helpers.training.triangle import build as triangle


def shifted_by_hand(images, down, right):
    """Each pixel from one place further up and left, at the border from the mirrored side."""
    size = images.shape[-1]
    mirrored = {-1: 1, size: size - 2}
    result = torch.empty_like(images)
    for row in range(size):
        for column in range(size):
            above = mirrored.get(row - down, row - down)
            beside = mirrored.get(column - right, column - right)
            result[:, :, row, column] = images[:, :, above, beside]
    return result


def test_six_views_are_averaged_as_by_hand():
    torch.manual_seed(0)
    net = ResNet9(width=4).eval()
    images = torch.randn(3, 3, 32, 32)
    views = [
        (images, 1 / 4),
        (images.flip(-1), 1 / 4),
        (shifted_by_hand(images, 1, 1), 1 / 8),
        (shifted_by_hand(images, 1, 1).flip(-1), 1 / 8),
        (shifted_by_hand(images, -1, -1), 1 / 8),
        (shifted_by_hand(images, -1, -1).flip(-1), 1 / 8),
    ]
    wanted = sum(weight * net(view) for view, weight in views)
    torch.testing.assert_close(SixViews(net)(images), wanted)


def test_six_views_of_a_constant_image_are_the_net_itself_and_it_has_no_weights_of_its_own():
    torch.manual_seed(0)
    net = ResNet9(width=4).eval()
    images = torch.full((2, 3, 32, 32), 0.3)
    torch.testing.assert_close(SixViews(net)(images), net(images))
    assert [*SixViews(net).parameters()] == [*net.parameters()]


def test_each_image_is_seen_from_both_sides_in_turn():
    images = torch.arange(5 * 3 * 2 * 4.0).view(5, 3, 2, 4) / 200
    places = torch.tensor([7, 0, 3, 100, 42])
    flip = AlternatingFlip()
    seen = []
    for epoch in range(4):
        flip.set_epoch(epoch)
        seen.append(flip(images, None, places))
    for first, second in zip(seen, seen[1:]):
        assert torch.equal(second, first.flip(-1))
    for image, place, found in zip(images, places, seen[0]):
        assert torch.equal(found, image.flip(-1) if place % 2 else image)


def test_without_places_it_says_what_it_needs():
    with pytest.raises(CourseError, match="^AlternatingFlip: .* give it to Batches"):
        AlternatingFlip()(torch.rand(2, 3, 4, 4))


def test_batches_hand_places_and_epochs_on_whatever_the_order():
    split = load("cifar10", validation=0).train.subset(range(64))
    seen = []
    for epoch in (0, 1, 4):
        augment = build((("AlternatingFlip", {}),))
        batches = Batches(split, 64, augment, True, generator=torch.Generator().manual_seed(9))
        batches.set_epoch(epoch)
        seen.append(next(iter(batches))[0])
    assert torch.equal(seen[1], seen[0].flip(-1)) and torch.equal(seen[2], seen[0])
    assert not torch.equal(seen[0], seen[1])


def test_about_half_of_a_split_and_of_each_class_is_mirrored():
    labels = load("cifar10", validation=0).train.labels
    odd = torch.arange(len(labels)) % 2 == 1
    for label in range(10):
        share = odd[labels == label].double().mean()
        # Within four deviations of a fair coin's share.
        assert abs(share - 0.5) < 4 * 0.5 / (labels == label).sum() ** 0.5


def test_the_ladders_transforms_differ_in_the_flip_alone():
    mine = EXPERIMENTS["cifar-resnet9-flip"]
    other = EXPERIMENTS[mine.baseline]
    pairs = list(zip(mine.build_augment().transforms, other.build_augment().transforms))
    assert [type(one).__name__ for one, _ in pairs] == ["RandomCrop", "AlternatingFlip", "Cutout"]
    for number in (0, 2):
        assert vars(pairs[number][0]) == vars(pairs[number][1])
    assert isinstance(mine.build_augment(), Compose) and mine.build_augment().wants_indices


def rates_of(scheduler, optimizer, steps):
    taken = []
    for _ in range(steps):
        taken.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return torch.tensor(taken, dtype=torch.float64)


def two_groups(rates=(0.4, 25.6)):
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=0.1)


def test_a_triangle_is_one_cycle_and_keeps_each_groups_own_rate():
    recipe = replace(
        EXPERIMENTS["cifar-resnet9-frozen"], options={"first_share": 0.04, "last_share": 0.04}
    )
    steps = 24 * 10
    mine = two_groups()
    taken = rates_of(triangle(mine, recipe, 10), mine, steps)
    plain = two_groups((0.4,))
    oracle = rates_of(one_cycle(plain, 0.4, 24, 10, 5), plain, steps)
    torch.testing.assert_close(taken[:, :1], oracle)
    torch.testing.assert_close(taken[:, 1], taken[:, 0] * 64)


@pytest.mark.parametrize("name, first, last", [("page", 0.0, 0.0), ("assigned", 0.04, 0.04)])
def test_the_rates_of_page_and_of_the_assigned_recipe(name, first, last):
    recipe = EXPERIMENTS[f"cifar-resnet9-{name}"]
    optimizer = recipe.build_optimizer(nn.Linear(1, 1))
    taken = rates_of(recipe.build_scheduler(optimizer, 98), optimizer, 24 * 98)[:, 0]
    assert taken.argmax() == 5 * 98 - 1 and taken.max() == pytest.approx(0.4)
    assert taken[0].item() == pytest.approx(first) and taken[-1].item() == pytest.approx(last)
    # Two straight lines: the steps up are equal, and so are those down.
    up, down = taken[: 5 * 98].diff(), taken[5 * 98 - 1 :].diff()
    assert up.std() < 1e-9 and down.std() < 1e-9 and up[0] > 0 > down[0]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"options": {"last_share": 0.0}}, "the option first_share is a share .* not None"),
        ({"options": {"first_share": 0.0, "last_share": 1.5}}, "last_share .* to 1, not 1.5"),
        ({"options": {"first_share": "low", "last_share": 0.0}}, "first_share .* not 'low'"),
        (
            {"peak_epoch": 24},
            r"triangle: the peak \(epoch 24\) is step 240 of the 240 in 24 epochs",
        ),
        ({"peak_epoch": 0.1}, "triangle: the peak .* after the first step"),
    ],
)
def test_a_triangle_that_cannot_be_is_told(changes, words):
    recipe = replace(EXPERIMENTS["cifar-resnet9-page"], **changes)
    with pytest.raises(CourseError, match=words):
        triangle(two_groups(), recipe, 10)
