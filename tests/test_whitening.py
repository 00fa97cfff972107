"""The whitened first layer against the covariance of the patches that it was made from."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.models.resnet9 import ResNet9
from helpers.models.whitening import (
    WhitenedConv,
    eigenpatches,
    patches_of,
    whitening_filters,
)
from helpers.training.averages import moving_average


def smooth_images(count=16, size=12, seed=0):
    """Noise and a blurred copy of it: neighbouring pixels and the three colours go together."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 3, size, size, generator=generator)
    grey = noise.mean(1, keepdim=True)
    blurred = F.avg_pool2d(F.pad(grey, [2, 2, 2, 2], mode="reflect"), 5, stride=1)
    return 8 * blurred + 0.3 * noise + 0.5


def covariance(values):
    """Of rows, by its definition."""
    centred = values - values.mean(0)
    return centred.T @ centred / (len(values) - 1)


def test_patches_are_cut_out_by_hand():
    images = smooth_images(2, 5)
    by_hand = []
    for image in images:
        for row in range(3):
            for column in range(3):
                by_hand.append(image[:, row : row + 3, column : column + 3].flatten())
    assert torch.equal(patches_of(images), torch.stack(by_hand))


@pytest.mark.parametrize("eps", [0.0, 1e-3, 1e-2, 1.0])
def test_answers_to_the_patches_have_a_diagonal_covariance(eps):
    """λ / (λ + eps) on its diagonal; at eps = 0 that is the identity."""
    patches = patches_of(smooth_images()).double()
    filters = whitening_filters(patches, eps)
    found = covariance(patches @ filters.T)
    variances = torch.linalg.svdvals(patches - patches.mean(0)).square() / (len(patches) - 1)
    torch.testing.assert_close(found, torch.diag(variances / (variances + eps)), atol=1e-8, rtol=0)
    if eps == 0:
        torch.testing.assert_close(found, torch.eye(27).double(), atol=1e-8, rtol=0)


def test_patterns_are_orthogonal_and_come_with_the_largest_variance_first():
    values, vectors = eigenpatches(patches_of(smooth_images()))
    assert torch.equal(values, values.sort(descending=True).values) and values[-1] > 0
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(27).double())


class OnMPS(torch.Tensor):
    """A tensor that says it lies on Apple's MPS, which has no float64."""

    @property
    def device(self):
        return torch.device("mps")

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_a_device_without_float64_has_the_same_patterns():
    patches = patches_of(smooth_images())
    for found, wanted in zip(eigenpatches(patches.as_subclass(OnMPS)), eigenpatches(patches)):
        assert type(found) is torch.Tensor and torch.equal(found, wanted)


@pytest.mark.parametrize("width, pairs", [(64, 27), (54, 27), (8, 4), (5, 2)])
def test_a_layer_answers_as_the_filters_do_with_both_signs(width, pairs):
    images = smooth_images()
    torch.manual_seed(1)
    layer = WhitenedConv(3, width, eps=1e-2)
    random = layer.weight.clone()
    inside = layer(images)[:, :, 1:-1, 1:-1]  # without the border, which sees padding
    answers = inside.permute(0, 2, 3, 1).reshape(-1, width)

    filters = whitening_filters(patches_of(images), 1e-2).float()[:pairs]
    wanted = patches_of(images) @ filters.T
    torch.testing.assert_close(answers[:, :pairs], wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(answers[:, pairs : 2 * pairs], -wanted, atol=1e-4, rtol=1e-4)
    assert torch.equal(layer.weight[2 * pairs :], random[2 * pairs :])
    assert not layer.weight.requires_grad and torch.equal(layer.bias, torch.zeros(width))


def test_filters_are_made_once_in_training_and_stay():
    layer = WhitenedConv(3, 8).eval()
    before = layer.weight.clone()
    layer(smooth_images())
    assert torch.equal(layer.weight, before) and not layer.made
    layer.train()(smooth_images())
    made = layer.weight.clone()
    assert not torch.equal(made, before) and layer.made
    layer(smooth_images(seed=1))
    assert torch.equal(layer.weight, made)


def test_a_state_that_is_loaded_says_whether_filters_are_made():
    fresh, layer = WhitenedConv(3, 8), WhitenedConv(3, 8)
    begun = copy.deepcopy(layer.state_dict())
    layer(smooth_images())
    made = layer.weight.clone()
    fresh.load_state_dict(layer.state_dict())
    fresh(smooth_images(seed=1))
    assert torch.equal(fresh.weight, made)

    # Back to its beginning, as the range test does: then they are made anew, from other images.
    layer.load_state_dict(begun)
    layer(smooth_images(seed=1))
    assert layer.made and not torch.equal(layer.weight, made)
    patterns = whitening_filters(patches_of(smooth_images(seed=1)), 1e-2)[:4]
    torch.testing.assert_close(layer.weight[:4].flatten(1), patterns.float())


def test_mixed_precision_makes_the_same_filters():
    plain, mixed = WhitenedConv(3, 8), WhitenedConv(3, 8)
    plain(smooth_images())
    with torch.autocast("cpu", torch.bfloat16):
        mixed(smooth_images())
    assert torch.equal(plain.weight, mixed.weight)


def test_an_average_has_the_filters_too():
    torch.manual_seed(0)
    net = ResNet9(width=4, whitened=True)
    average = moving_average(net, 0.9)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for seed in range(3):
        net(F.interpolate(smooth_images(seed=seed), 32)).square().mean().backward()
        optimizer.step()
        average.update_parameters(net)
    torch.testing.assert_close(average.module.prep[0].weight, net.prep[0].weight)
    assert average.module.prep[0].made


def test_a_whitened_resnet9_has_a_bias_and_no_normalisation_in_its_first_layer():
    net = ResNet9(width=4, whitened=True)
    assert [type(part) for part in net.prep] == [WhitenedConv, nn.ReLU]
    plain = sum(each.numel() for each in ResNet9(width=4).parameters())
    assert sum(each.numel() for each in net.parameters()) == plain - 4
