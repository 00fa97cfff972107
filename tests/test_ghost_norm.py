"""Ghost batch normalisation against ordinary ones, one for each part of a split batch."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from helpers.models.ghost_norm import GhostBatchNorm2d


def values(count, seed=0, memory=torch.contiguous_format, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 5, 4, 3, generator=generator, dtype=dtype)
    x = x * torch.linspace(0.5, 3, count).view(-1, 1, 1, 1) + torch.arange(5.0).view(1, 5, 1, 1)
    return x.to(memory_format=memory)


def layers(parts):
    """A ghost norm, and an ordinary norm for each of the parts, with the same weights."""
    ghost = GhostBatchNorm2d(5, parts)
    nn.init.uniform_(ghost.weight, 0.5, 2)
    nn.init.normal_(ghost.bias)
    plain = nn.BatchNorm2d(5)
    plain.load_state_dict(ghost.state_dict())
    return ghost, plain


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("count, parts", [(12, 4), (12, 1), (12, 3), (12, 12)])
def test_each_part_is_normalised_by_itself_and_the_statistics_are_their_mean(count, parts, memory):
    # In 64 bits the order in which a processor sums is no matter.
    ghost, plain = (layer.double() for layer in layers(parts))
    norms = [copy.deepcopy(plain) for _ in range(parts)]
    for seed in range(3):
        x = values(count, seed, memory, torch.float64).requires_grad_()
        y = values(count, seed, memory, torch.float64).requires_grad_()
        found = ghost(x)
        wanted = torch.empty_like(found)
        for part, norm in enumerate(norms):
            # All begin from the statistics that the ghost norm had before.
            wanted[part::parts] = norm(y[part::parts])
        torch.testing.assert_close(found, wanted)
        for name in ("running_mean", "running_var"):
            mean = torch.stack([getattr(norm, name) for norm in norms]).mean(0)
            torch.testing.assert_close(getattr(ghost, name), mean)
        assert ghost.num_batches_tracked == seed + 1

        # The gradients of both, of the values and of what is learned.
        found.square().sum().backward()
        wanted.square().sum().backward()
        torch.testing.assert_close(x.grad, y.grad)
    torch.testing.assert_close(ghost.bias.grad, sum(norm.bias.grad for norm in norms))
    torch.testing.assert_close(ghost.weight.grad, sum(norm.weight.grad for norm in norms))


@pytest.mark.parametrize(
    "count, parts, fewer", [(10, 4, 2), (456, 16, 8), (9, 4, 1), (336, 16, 16)]
)
def test_a_batch_that_cannot_be_split_evenly_has_fewer_parts(count, parts, fewer):
    ghost, _ = layers(parts)
    other = copy.deepcopy(ghost)
    other.parts = fewer
    torch.testing.assert_close(ghost(values(count)), other(values(count)))


def test_in_evaluation_it_is_an_ordinary_normalisation():
    ghost, plain = layers(4)
    ghost(values(8))
    plain.load_state_dict(ghost.state_dict())
    assert torch.equal(ghost.eval()(values(7)), plain.eval()(values(7)))


def test_statistics_can_be_held():
    ghost, _ = layers(4)
    before = copy.deepcopy(ghost.state_dict())
    ghost.track_running_stats = False
    ghost(values(8))
    for name, value in ghost.state_dict().items():
        assert torch.equal(value, before[name])


def test_mixed_precision_keeps_sixteen_bits():
    ghost, _ = layers(4)
    x = values(8)
    with torch.autocast("cpu", torch.bfloat16):
        found = ghost(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), ghost(x), atol=0.1, rtol=0.1)


def test_without_a_momentum_the_statistics_are_the_mean_of_all_batches():
    """As torch's ``update_bn`` sets them; those of the parts are means over these as well."""
    batches = [values(count, seed, dtype=torch.float64) for seed, count in enumerate((8, 12, 16))]
    ghost, plain = (layer.double() for layer in layers(4))
    undivided = copy.deepcopy(ghost)
    undivided.parts = 1
    for layer in (ghost, plain, undivided):
        update_bn(batches, layer)
        assert layer.num_batches_tracked == 3
    torch.testing.assert_close(undivided.running_mean, plain.running_mean)
    torch.testing.assert_close(undivided.running_var, plain.running_var)

    # Parts of one batch are equally large, so their mean of means is that of the batch.
    torch.testing.assert_close(ghost.running_mean, plain.running_mean)
    variances = []
    for x in batches:
        variances += [x[part::4].var((0, 2, 3)) for part in range(4)]
    torch.testing.assert_close(ghost.running_var, torch.stack(variances).mean(0))
