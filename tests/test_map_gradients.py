"""The gradient at the maps of a net, against autograd and against a chain rule by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from helpers.environment import CourseError
from helpers.interpret.gradients import map_gradients
from helpers.models.residual import ResidualNet


def batch(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 1, 8, 8, generator=generator)
    return images, torch.randint(0, 10, (count,), generator=generator)


class ByHand(nn.Module):
    """Two convolutions with a normalisation, whose maps are kept for autograd."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.two = nn.Conv2d(3, 5, 3)
        self.linear = nn.Linear(5, 10)

    def forward(self, x):
        first = self.one(x)
        second = self.two(torch.relu(self.norm(first)))
        self.maps = (first, second)
        return self.linear(second.mean((2, 3)))


@pytest.mark.parametrize("training", [True, False])
def test_sizes_are_those_of_autograd_for_each_image(training):
    torch.manual_seed(0)
    net = ByHand().train(training)
    images, targets = batch()
    found = map_gradients(net, images, targets)
    assert not hasattr(net, "maps")

    twin = copy.deepcopy(net)
    loss = cross_entropy(twin(images), targets)
    gradients = torch.autograd.grad(loss, twin.maps)
    assert [name for name, _ in found] == ["one", "two"]
    for (_, size), gradient in zip(found, gradients, strict=True):
        expected = sum(float((each**2).sum()) ** 0.5 for each in gradient) / len(images)
        assert size == pytest.approx(expected, rel=1e-4)


def test_the_last_maps_by_the_chain_rule():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(1, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images, targets = batch(count=2)
    # At a logit the gradient is (softmax - target) / N; each of 36 places has 1/36 of it.
    errors = net(images).softmax(1)
    errors[range(2), targets] -= 1
    expected = (errors / 2).norm(dim=1).mean() * 36**0.5 / 36
    [(name, size)] = map_gradients(net, images, targets)
    assert name == "0" and size == pytest.approx(expected.item(), rel=1e-4)


def test_the_net_stays_as_it_was():
    torch.manual_seed(2)
    net = ResidualNet(widths=(4, 8), stride=2)
    before = copy.deepcopy(net.state_dict())
    random = torch.get_rng_state()
    found = map_gradients(net, *batch())
    assert len(found) == 5 and all(size > 0 for _, size in found)
    for mine, kept in zip(net.state_dict().values(), before.values(), strict=True):
        assert torch.equal(mine, kept)
    assert net.training and all(weights.grad is None for weights in net.parameters())
    assert not any(layer._forward_hooks for layer in net.modules())
    assert torch.equal(torch.get_rng_state(), random)


def test_dropout_leaves_the_random_state_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 10, 3), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    torch.manual_seed(7)
    random = torch.get_rng_state()
    found = map_gradients(net, *batch())
    assert torch.equal(torch.get_rng_state(), random) and map_gradients(net, *batch()) == found
    # It draws what the net itself would draw there.
    images, targets = batch()
    kept = []
    net[0].register_forward_hook(lambda layer, inputs, maps: kept.append(maps))
    [gradient] = torch.autograd.grad(cross_entropy(net(images), targets), kept)
    assert found[0][1] == pytest.approx(gradient.flatten(1).norm(dim=1).mean().item())


def test_frozen_weights_and_disabled_gradients_are_no_obstacle():
    torch.manual_seed(3)
    net = ByHand()
    expected = map_gradients(net, *batch())
    for weights in net.parameters():
        weights.requires_grad_(False)
    with torch.no_grad():
        assert map_gradients(net, *batch()) == expected


def test_a_net_without_a_convolution_has_no_maps():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(CourseError, match="no convolution"):
        map_gradients(net, *batch())


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.Identity])
def test_a_relu_that_writes_into_its_input_changes_no_gradient(norm):
    def net(inplace):
        torch.manual_seed(5)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            norm(4),
            nn.ReLU(inplace),
            nn.Conv2d(4, 3, 3),
            nn.ReLU(inplace),
            nn.Flatten(),
            nn.Linear(48, 10),
        )

    found = map_gradients(net(True), *batch())
    assert found == map_gradients(net(False), *batch()) and len(found) == 2


def test_what_is_no_net_and_what_it_cannot_answer_is_refused():
    images, targets = batch()
    with pytest.raises(CourseError, match=r"map_gradients: ByHand is a class, .* ByHand\(\)$"):
        map_gradients(ByHand, images, targets)
    with pytest.raises(CourseError, match=r"Target 12 is out of bounds"):
        map_gradients(ByHand(), images, torch.full_like(targets, 12))
    with pytest.raises(CourseError, match=r"4 images are float32 \[4\]: give class numbers"):
        map_gradients(ByHand(), images, targets.float())
    for wrong in (images.byte(), images[:, 0], list(images), None):
        with pytest.raises(CourseError, match="^map_gradients: the images are .* tensor of floats"):
            map_gradients(ByHand(), wrong, targets)
    with pytest.raises(CourseError, match="the net cannot calculate with images float32"):
        map_gradients(ByHand(), images.repeat(1, 3, 1, 1), targets)
    with pytest.raises(CourseError, match=r"returns \[4, 3, 6, 6\] for 4 images"):
        map_gradients(nn.Conv2d(1, 3, 3), images, targets)
