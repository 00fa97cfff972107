"""The moving average of buffers that are not all finite, against the formula by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from helpers.environment import CourseError
from helpers.training.averages import moving_average

INF, NAN = float("inf"), float("nan")


class Masked(nn.Module):
    """A net with a causal mask: -inf above the diagonal, 0 elsewhere."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=dtype))
        mask = torch.full((4, 4), -INF, dtype=dtype).triu(1)
        self.register_buffer("mask", mask)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99, 1.0])
def test_a_causal_mask_stays_as_it_is(dtype, decay):
    net = Masked(dtype)
    average = moving_average(net, decay)
    for step in range(20):
        net.weight.data.fill_(step)
        average.update_parameters(net)
        assert torch.equal(average.module.mask, net.mask)
    assert average.module.weight.isfinite().all()


def test_attention_under_the_mask_has_the_same_answer_in_the_averaged_net():
    net = Masked()
    average = moving_average(net, 0.9)
    for _ in range(3):
        average.update_parameters(net)
    queries = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0))
    answers = []
    for mask in (net.mask, average.module.mask):
        answers.append(nn.functional.scaled_dot_product_attention(queries, queries, queries, mask))
    assert torch.equal(*answers) and answers[0].isfinite().all()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (-INF, -INF, -INF),
        (INF, INF, INF),
        (INF, -INF, -INF),
        (2.0, INF, INF),
        (INF, 2.0, 2.0),
        (NAN, 2.0, 2.0),
        (2.0, NAN, NAN),
        (2.0, 2.0, 2.0),
        (0.1, 0.1, 0.1),
        (1.0, 12.0, 1 + 11 * (1 - 2 / 11)),  # d = (1 + 1) / (10 + 1) in the second step
    ],
)
def test_an_entry_that_is_not_finite_is_copied_and_its_neighbours_are_averaged(
    first, second, expected
):
    net = nn.Module()
    net.register_buffer("values", torch.tensor([first, 1.0], dtype=torch.float64))
    average = moving_average(net, 0.99)
    average.update_parameters(net)
    net.values = torch.tensor([second, 12.0], dtype=torch.float64)
    average.update_parameters(net)
    hand = torch.tensor([expected, 1 + 11 * (1 - 2 / 11)], dtype=torch.float64)
    torch.testing.assert_close(average.module.values, hand, rtol=1e-15, atol=0, equal_nan=True)


def test_complex_and_whole_numbers_are_copied_where_no_mean_is():
    net = nn.Module()
    net.register_buffer("waves", torch.tensor([complex(INF, 0), 1 + 1j]))
    net.register_buffer("count", torch.tensor([7, 9]))
    average = moving_average(net, 0.0)
    for _ in range(3):
        net.count += 1
        average.update_parameters(net)
    assert average.module.waves.tolist() == [complex(INF, 0), 1 + 1j]
    assert average.module.count.tolist() == [10, 12]


@pytest.mark.parametrize("decay", [0.2, 0.99])
def test_finite_numbers_are_torchs_own_bit_for_bit(decay):
    """The numbers of every record with an average: lerp by (1 - d), and nothing else."""
    draws = torch.Generator().manual_seed(1)
    net = nn.Linear(5, 7)
    average = moving_average(net, decay)
    expected = [parameter.detach().clone() for parameter in net.parameters()]
    for step in range(30):
        for parameter in net.parameters():
            parameter.data += torch.randn(parameter.shape, generator=draws)
        average.update_parameters(net)
        for kept, parameter in zip(expected, net.parameters(), strict=True):
            weight = 1 - min(decay, (1 + step) / (10 + step))
            kept.lerp_(parameter.detach(), 1.0 if step == 0 else weight)
    for kept, parameter in zip(expected, average.module.parameters(), strict=True):
        assert torch.equal(kept, parameter)


@pytest.mark.parametrize(
    "model, words",
    [
        (
            nn.Linear,
            r"Linear is a class, and no net: give an object, such as Linear\(\)",
        ),
        (
            lambda: nn.Linear(2, 2),
            "not something of type function",
        ),
        (nn.Linear(2, 2).state_dict(), "not something of type OrderedDict"),
    ],
)
def test_what_is_no_net_has_no_average(model, words):
    with pytest.raises(CourseError, match=f"^.*{words}$"):
        moving_average(model, 0.9)
