"""A sharpness-aware step against two steps by hand."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers import environment
from helpers.models.ghost_norm import GhostBatchNorm2d
from helpers.training import train_one_epoch
from helpers.training.precision import loss_scaler
from helpers.training.sam import RHO, step


def small_net(norm=nn.BatchNorm2d):
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), norm(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)
    return nn.Sequential(*layers)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(8, 3, 6, 6, generator=generator)
    return images, torch.randint(3, (8,), generator=generator)


def sgd(net, **options):
    return torch.optim.SGD([{"params": list(net.parameters()), **options}], lr=0.1, momentum=0.9)


def gradient_of(net, images, targets):
    loss = F.cross_entropy(net(images), targets)
    return loss, torch.autograd.grad(loss, list(net.parameters()))


@pytest.mark.parametrize("rho", [None, 0.0, 0.1, 1.0])
def test_it_is_two_steps_by_hand(rho):
    mine, theirs = small_net(), small_net()
    optimizer = sgd(mine) if rho is None else sgd(mine, rho=rho)
    oracle = sgd(theirs)
    for seed in range(3):
        images, targets = batch(seed)
        loss, logits = step(mine, images, targets, optimizer, F.cross_entropy, None)

        # By hand: the gradient, the place uphill, the gradient there, the step from here.
        first, gradients = gradient_of(theirs, images, targets)
        length = sum(float(each.double().square().sum()) for each in gradients) ** 0.5
        uphill = copy.deepcopy(theirs)
        with torch.no_grad():
            for weights, gradient in zip(uphill.parameters(), gradients):
                weights += (RHO if rho is None else rho) / length * gradient
        _, there = gradient_of(uphill, images, targets)
        for weights, gradient in zip(theirs.parameters(), there):
            weights.grad = gradient
        oracle.step()

        torch.testing.assert_close(loss, first)
        assert logits.shape == (8, 3)
        for one, other in zip(mine.parameters(), theirs.parameters()):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
        # Running statistics are those of the first pass alone.
        for one, other in zip(mine.buffers(), theirs.buffers()):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, lambda channels: GhostBatchNorm2d(channels, 4)])
def test_running_statistics_move_once_and_go_on_moving(norm):
    net = small_net(norm)
    images, targets = batch()
    for count in (1, 2):
        step(net, images, targets, sgd(net), F.cross_entropy, None)
        assert net[1].num_batches_tracked == count and net[1].track_running_stats


def test_frozen_weights_stay():
    net = small_net()
    net[0].weight.requires_grad_(False)
    before = net[0].weight.clone()
    step(net, *batch(), sgd(net), F.cross_entropy, None)
    assert torch.equal(net[0].weight, before) and net[0].weight.grad is None


def test_without_a_slope_nothing_moves():
    net = small_net()
    before = copy.deepcopy(net.state_dict())
    step(net, *batch(), sgd(net), lambda logits, _: 0 * logits.sum(), None)
    for name, weights in net.named_parameters():
        assert torch.equal(weights, before[name])


def test_it_works_with_a_scaler_that_does_nothing_and_in_an_epoch(monkeypatch):
    # As on a processor that has no units for products of 16 bits.
    monkeypatch.setattr(environment, "processor", dict)
    one, other = small_net(), small_net()
    images, targets = batch()
    scaler = loss_scaler(torch.device("cpu"))
    step(one, images, targets, sgd(one), F.cross_entropy, scaler)
    train_one_epoch(other, [(images, targets)], sgd(other), step=step)
    for mine, theirs in zip(one.parameters(), other.parameters()):
        assert torch.equal(mine, theirs)


def test_statistics_of_one_axis_move_once_too():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))
    images, targets = batch()
    step(net, images, targets, sgd(net), F.cross_entropy, None)
    # Those of the place where the weights were; uphill the linear layer gives other values.
    oracle = nn.BatchNorm1d(6)
    torch.manual_seed(0)
    oracle(nn.Linear(108, 6)(images.flatten(1)))
    for name, value in oracle.named_buffers():
        torch.testing.assert_close(getattr(net[2], name), value)
