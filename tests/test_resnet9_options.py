"""ResNet-9 as it was before it had options, and what each option changes."""

import pytest
import torch
from torch import nn

from helpers.environment import CourseError
from helpers.models.ghost_norm import GhostBatchNorm2d
from helpers.models.resnet9 import ResNet9, Style


class OldLayers(nn.Module):
    """Two layers beside a shortcut, as the recorded trainings had them."""

    def __init__(self, channels, grouped):
        super().__init__()
        self.layers = nn.Sequential(
            old_layer(channels, channels, grouped), old_layer(channels, channels, grouped)
        )

    def forward(self, x):
        return x + self.layers(x)


def old_layer(before, after, grouped, pool=False):
    layers = [nn.Conv2d(before, after, 3, padding=1, bias=False)]
    if grouped:
        layers = [
            nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False),
            nn.BatchNorm2d(before),
            nn.ReLU(),
            nn.Conv2d(before, after, 1, bias=False),
        ]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.BatchNorm2d(after), nn.ReLU())


class OldNet(nn.Module):
    def __init__(self, grouped, width):
        super().__init__()
        self.prep = old_layer(3, width, grouped)
        self.layer1 = nn.Sequential(
            old_layer(width, 2 * width, grouped, True), OldLayers(2 * width, grouped)
        )
        self.layer2 = old_layer(2 * width, 4 * width, grouped, True)
        self.layer3 = nn.Sequential(
            old_layer(4 * width, 8 * width, grouped, True), OldLayers(8 * width, grouped)
        )
        self.pool = nn.MaxPool2d(4)
        self.linear = nn.Linear(8 * width, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.prep(x))))
        return self.linear(self.pool(x).flatten(1))


@pytest.mark.parametrize("grouped", [False, True])
def test_without_options_it_is_the_net_of_the_recorded_trainings(grouped):
    torch.manual_seed(3)
    net = ResNet9(grouped, width=8)
    drawn = torch.rand(3)
    torch.manual_seed(3)
    old = OldNet(grouped, 8)
    kept, names = net.state_dict(), list(old.state_dict())
    assert list(kept) == names
    if not grouped:  # the grouped one draws filters that it does not use: test_resnet9 has those
        assert torch.equal(torch.rand(3), drawn)
        assert all(torch.equal(kept[name], old.state_dict()[name]) for name in names)
    old.load_state_dict(kept)
    images = torch.randn(4, 3, 32, 32)
    assert torch.equal(net(images), old(images))
    assert torch.equal(net.eval()(images), old.eval()(images))


def kinds(net, kind):
    return [part for part in net.modules() if isinstance(part, kind)]


@pytest.mark.parametrize("name, kind", [("relu", nn.ReLU), ("gelu", nn.GELU), ("celu", nn.CELU)])
@pytest.mark.parametrize("grouped, count", [(False, 8), (True, 16)])
def test_an_activation_is_used_everywhere(name, kind, grouped, count):
    net = ResNet9(grouped, width=4, activation=name)
    assert [len(kinds(net, one)) for one in (nn.ReLU, nn.GELU, nn.CELU)].count(0) == 2
    assert len(kinds(net, kind)) == count
    x = torch.linspace(-2, 2, 9)
    wanted = {
        "relu": x.clamp(min=0),
        "gelu": x * torch.distributions.Normal(0, 1).cdf(x),
        "celu": torch.where(x > 0, x, 0.3 * (x / 0.3).expm1()),
    }
    torch.testing.assert_close(Style(name).activate()(x), wanted[name])


def test_another_activation_is_refused_with_those_that_are_there():
    with pytest.raises(CourseError, match="unknown activation 'silu'.*relu, gelu, celu"):
        ResNet9(width=4, activation="silu")


@pytest.mark.parametrize("grouped, count", [(False, 8), (True, 16)])
def test_norms_are_ghosts_with_frozen_scales(grouped, count):
    net = ResNet9(grouped, width=4, ghosts=16, frozen_scale=True)
    norms = kinds(net, nn.BatchNorm2d)
    assert len(norms) == count and all(type(norm) is GhostBatchNorm2d for norm in norms)
    for norm in norms:
        assert norm.parts == 16 and not norm.weight.requires_grad and norm.bias.requires_grad
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
    assert all(norm.weight.requires_grad for norm in kinds(ResNet9(width=4), nn.BatchNorm2d))


def test_dirac_convolutions_hand_their_input_on():
    torch.manual_seed(0)
    net = ResNet9(width=4, dirac=True)
    torch.manual_seed(0)
    plain = ResNet9(width=4)
    for layer, other in zip(kinds(net, nn.Conv2d), kinds(plain, nn.Conv2d)):
        x = torch.randn(2, layer.in_channels, 6, 6)
        count = layer.in_channels
        assert layer.out_channels >= count
        torch.testing.assert_close(layer(x)[:, :count], x)
        assert torch.equal(layer.weight[count:], other.weight[count:])


def test_dirac_leaves_depthwise_1x1_and_whitened_filters_alone():
    torch.manual_seed(0)
    net = ResNet9(True, width=4, dirac=True)
    torch.manual_seed(0)
    for one, other in zip(net.parameters(), ResNet9(True, width=4).parameters()):
        assert torch.equal(one, other)
    whitened = ResNet9(width=64, whitened=True, dirac=True).prep[0].weight
    assert whitened.count_nonzero() > 0.9 * whitened.numel()


def test_the_grouped_nets_first_bias_and_the_head_without_one():
    net = ResNet9(grouped=True, width=4, first_bias=2.0, head_bias=False)
    assert torch.equal(net.prep[1].bias, torch.full((3,), 2.0)) and net.linear.bias is None
    others = kinds(net, nn.BatchNorm2d)[1:]
    assert all(torch.equal(norm.bias, torch.zeros_like(norm.bias)) for norm in others)


def test_a_whitened_net_has_no_first_bias():
    with pytest.raises(CourseError, match="first_bias=0.5: a whitened net has no first norm"):
        ResNet9(width=4, whitened=True, first_bias=0.5)
    ResNet9(width=4, whitened=True, first_bias=0.0)
