"""Muon against a singular value decomposition, torch's own for matrices, and torch's SGD."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from helpers.environment import CourseError
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.models.resnet9 import ResNet9
from helpers.training.groups import parameters_by_kind
from helpers.training.muon import Muon, build, orthogonal

SHAPES = [(8, 27), (16, 16 * 9), (27, 8), (16, 16), (1, 9)]


def with_values(rows, columns, values, seed=0):
    """A matrix with these singular values, and its singular vectors."""
    generator = torch.Generator().manual_seed(seed)
    count = len(values)
    left = torch.linalg.qr(torch.randn(rows, count, generator=generator)).Q
    right = torch.linalg.qr(torch.randn(columns, count, generator=generator)).Q
    return left @ torch.diag(values) @ right.T, left, right


@pytest.mark.parametrize("rows, columns", SHAPES)
@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_singular_vectors_stay_and_values_become_about_one(rows, columns, size):
    values = torch.logspace(0, -1.5, min(rows, columns))
    matrix, left, right = with_values(rows, columns, values * size)
    found = orthogonal(matrix)
    turned = left.T @ found @ right
    new = turned.diagonal()
    torch.testing.assert_close(found, left @ torch.diag(new) @ right.T, atol=1e-4, rtol=1e-4)
    assert new.min() > 0.65 and new.max() < 1.25, new


@pytest.mark.parametrize("rows, columns", SHAPES)
def test_in_the_16_bits_of_a_gpu_it_is_nearly_the_same(rows, columns):
    values = torch.logspace(0, -1.5, min(rows, columns))
    matrix, _, _ = with_values(rows, columns, values)
    found, wanted = orthogonal(matrix.bfloat16()).float(), orthogonal(matrix)
    assert (found - wanted).norm() < 0.05 * wanted.norm()
    assert torch.linalg.svdvals(found).min() > 0.6 and torch.linalg.svdvals(found).max() < 1.3


def test_every_value_from_a_400th_of_the_length_on_comes_close_to_one():
    """A diagonal matrix: its singular values are what stands there."""
    for share in torch.logspace(-2.6, 0, 200).tolist():
        rest = (1 - share**2) ** 0.5
        found = orthogonal(torch.diag(torch.tensor([share, rest])))
        assert 0.65 < found[0, 0] < 1.25, share


def test_a_gradient_of_zeros_moves_nothing():
    assert torch.equal(orthogonal(torch.zeros(4, 9)), torch.zeros(4, 9))


def normalised(kernel):
    kernel.mul_(len(kernel) ** 0.5 / kernel.norm())


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon is there since 2.9")
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (40, 3, 3, 3), (16, 16, 3, 3), (4, 8, 1, 1)])
def test_steps_are_those_of_torchs_muon_on_flattened_kernels(shape, memory):
    """Torch calculates them in bfloat16, with eight bits."""
    torch.manual_seed(0)
    kernel = torch.randn(shape).to(memory_format=memory).requires_grad_()
    matrix = kernel.detach().flatten(1).clone().requires_grad_()
    group = {"params": [kernel], "muon": True}
    mine = Muon([group], lr=0.1, momentum=0.6, nesterov=True)
    # Torch moves matrices with more rows than columns further; here a rate is a rate.
    rate = 0.1 / max(1, len(matrix) / matrix.shape[1]) ** 0.5
    theirs = torch.optim.Muon([matrix], lr=rate, momentum=0.6, weight_decay=0.0)
    for _ in range(4):
        gradient = torch.randn(shape)
        kernel.grad = gradient.clone(memory_format=memory)
        matrix.grad = gradient.flatten(1).clone()
        with torch.no_grad():
            normalised(matrix)
        mine.step()
        theirs.step()
        # A step of 0.1 in matrices of about this length, to some per cent of it.
        difference = (kernel.flatten(1) - matrix).norm()
        assert difference < 0.03 * 0.1 * matrix.norm(), difference


def test_a_kernel_moves_by_its_rate_along_the_singular_vectors_of_its_momentum():
    torch.manual_seed(0)
    kernel = torch.randn(4, 2, 3, 3, requires_grad=True)
    optimizer = Muon([{"params": [kernel], "muon": True}], lr=0.2, momentum=0.5, nesterov=True)
    buffer = torch.zeros(4, 18)
    for _ in range(3):
        gradient = torch.randn(4, 2, 3, 3)
        old = kernel.detach().flatten(1) * 2 / kernel.detach().norm()  # √4 = 2
        kernel.grad = gradient
        optimizer.step()
        buffer = 0.5 * buffer + gradient.flatten(1)
        left, _, right = torch.linalg.svd(gradient.flatten(1) + 0.5 * buffer, full_matrices=False)
        moved = (old - kernel.detach().flatten(1)) / 0.2
        turned = left.T @ moved @ right.T
        torch.testing.assert_close(turned, torch.diag(turned.diagonal()), atol=1e-4, rtol=0)
        assert turned.diagonal().min() > 0.65 and turned.diagonal().max() < 1.25
        assert kernel.grad is None


def test_all_others_move_as_with_sgd():
    recipe = EXPERIMENTS["cifar-resnet9-grouped-muon"]
    torch.manual_seed(0)
    mine = ResNet9(grouped=True, width=4)
    theirs = copy.deepcopy(mine)
    optimizer = build(mine, recipe)
    kinds = parameters_by_kind(theirs)
    sgd = {"lr": recipe.learning_rate, "momentum": recipe.momentum, "nesterov": True}
    oracle = torch.optim.SGD(
        [
            {"params": kinds["linear"], "weight_decay": recipe.weight_decay},
            {"params": [*kinds["depthwise"], *kinds["scale"], *kinds["bias"]]},
            {"params": kinds["linear bias"]},
        ],
        **sgd,
    )
    for _ in range(2):
        for one, other in zip(mine.parameters(), theirs.parameters()):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        optimizer.step()
        oracle.step()
    kernels = {id(kernel) for kernel in parameters_by_kind(mine)["kernel"]}
    assert len(kernels) == 8
    for one, other in zip(mine.parameters(), theirs.parameters()):
        if id(one) in kernels:
            assert not torch.equal(one, other)
        else:
            torch.testing.assert_close(one, other)


def test_a_closure_is_called_and_its_loss_returned():
    kernel = torch.randn(4, 2, 3, 3, requires_grad=True)
    optimizer = Muon([{"params": [kernel], "muon": True}], lr=0.1, momentum=0.5, nesterov=True)

    def closure():
        loss = kernel.square().sum()
        loss.backward()
        return loss

    before = kernel.detach().square().sum()
    assert torch.equal(optimizer.step(closure).detach(), before)


def test_its_state_is_kept_and_loaded():
    torch.manual_seed(0)
    one = ResNet9(width=4)
    other = copy.deepcopy(one)
    recipe = EXPERIMENTS["cifar-resnet9-muon"]
    first, second = build(one, recipe), build(other, recipe)

    def step(net, optimizer, seed):
        torch.manual_seed(seed)
        for each in net.parameters():
            each.grad = torch.randn_like(each)
        optimizer.step()

    step(one, first, 1)
    other.load_state_dict(one.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    step(one, first, 2), step(other, second, 2)
    for mine, theirs in zip(one.parameters(), other.parameters()):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", ["cifar-resnet9-muon", "cifar-resnet9-sam"])
def test_groups_hold_every_parameter_once_with_its_rate(name):
    recipe = EXPERIMENTS[name]
    net = ResNet9(width=4, **{"frozen_scale": True, "whitened": True})
    optimizer = build(net, recipe)
    held = [each for group in optimizer.param_groups for each in group["params"]]
    trained = [each for each in net.parameters() if each.requires_grad]
    assert len(held) == len(trained) and {id(each) for each in held} == {id(e) for e in trained}
    found = [
        (group["lr"], group["weight_decay"], group["muon"]) for group in optimizer.param_groups
    ]
    assert found == [
        (0.4, 5e-4, False),  # the last layer
        (0.4, 0.0, False),  # and its bias
        (25.6, 5e-4 / 64, False),  # biases
        (0.12, 5e-4, True),  # kernels, whose length is fixed
    ]
    rhos = [group.get("rho") for group in optimizer.param_groups]
    assert rhos == [0.05 if name.endswith("sam") else None] * 4


def test_a_net_without_convolutions_has_no_kernels_to_move():
    recipe = EXPERIMENTS["cifar-resnet9-muon"]
    optimizer = build(nn.Linear(2, 2), recipe)
    assert [group["muon"] for group in optimizer.param_groups] == [False, False]


@pytest.mark.parametrize("name", ["muon_rate", "muon_momentum"])
@pytest.mark.parametrize("value", [None, -0.1, "low", float("nan")])
def test_an_option_of_muon_that_is_no_number_is_told(name, value):
    recipe = EXPERIMENTS["cifar-resnet9-muon"]
    options = {**recipe.options, name: value}
    if value is None:
        del options[name]
    words = f"^muon: the option {name} is a number of at least 0, not {value!r}$"
    with pytest.raises(CourseError, match=words):
        build(ResNet9(width=4), replace(recipe, options=options))
