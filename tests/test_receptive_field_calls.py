"""Receptive fields of compiled nets, statistics, comparisons, and what a measurement refuses."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from test_receptive_field import Net, conv, positive
from test_receptive_field_heads import gradient_box, row_box
from torch import nn

from helpers.environment import CourseError
from helpers.receptive_field.measured import effective_receptive_field
from helpers.receptive_field.table import ReceptiveFieldTable, receptive_field_table


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


def test_a_compiled_net_has_the_field_of_the_net_itself() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(conv(3), nn.Tanh(), nn.Sequential(conv(3, 2)))
    images = torch.randn(2, 2, 11, 11)
    wanted = effective_receptive_field(plain, (2, 11, 11), images)
    inside = nn.Sequential(plain[0], plain[1], compiled(plain[2]))
    for model in (compiled(plain), inside, compiled(inside)):
        kinds = [type(module) for module in model.modules()]
        assert receptive_field_table(model, (2, 11, 11)) == receptive_field_table(
            plain, (2, 11, 11)
        )
        field = effective_receptive_field(model, (2, 11, 11), images)
        assert torch.equal(field.map, wanted.map) and field.box == wanted.box is not None
        layer = effective_receptive_field(model, (2, 11, 11), images, layer="2.0")
        assert torch.equal(layer.map, wanted.map)
        assert [type(module) for module in model.modules()] == kinds, "the net was changed"


def test_a_compiled_layer_under_two_names_is_found_under_both() -> None:
    layer = compiled(conv(3))
    rows = receptive_field_table(nn.Sequential(layer, layer), (2, 9, 9))
    assert [(row.name, row.rf) for row in rows] == [("0", 3), ("0 (2)", 5)]


@pytest.mark.parametrize(
    "function",
    [
        lambda _, x: (x - x.mean()) / x.std(),
        lambda _, x: (x - x.mean()) / x.var(False).sqrt(),
        lambda _, x: (x - x.mean((2, 3), True)) / x.std((2, 3), False, True),
        lambda _, x: (x - x.amin()) / x.max(),
    ],
)
def test_statistics_of_the_whole_image_are_named_and_left_out(function: Callable) -> None:
    rows = receptive_field_table(nn.Sequential(conv(3), Net(function), conv(3)), (2, 16, 16))
    assert [row.rf for row in rows] == [3, 16, 3, 16, 3, 5]
    assert [row.note for row in rows if row.kind in ("sub", "div")] == [
        f"gate left out: {rows[1].name}",
        f"gate left out: {rows[3].name}",
    ]


@pytest.mark.parametrize(
    "function",
    [
        lambda _, x: x.clip(0.1, 0.9),
        lambda _, x: torch.clip(x, min=0),
        lambda _, x: x.logsumexp(1, keepdim=True),
        lambda _, x: x / x.std(1, keepdim=True).clip(min=1),
        lambda _, x: x * (x > 0),
        lambda _, x: torch.where(x > 0, x, 0.1 * x),
        lambda _, x: torch.where(x <= 0, 0.5, 2.0) * x,
        lambda _, x: x.masked_fill(x.eq(0), 1),
        lambda _, x: torch.cat([x, x], axis=1),
        lambda _, x: torch.stack([x, x], axis=1).flatten(1, 2),
        lambda _, x: torch.softmax(x, axis=1),
        lambda _, x: x.log_softmax(axis=-3),
        lambda _, x: x.chunk(2, axis=1)[0],
        lambda _, x: x.amax(axis=1, keepdims=True),
        lambda _, x: torch.hstack([x, x]),
        lambda _, x: torch.hstack((x, torch.zeros(1, 2, 14, 14))),
        lambda _, x: nn.Dropout1d().eval()(x.flatten(2)).unflatten(2, (14, 14)),
    ],
)
def test_a_pointwise_call_leaves_every_position_where_it_is(function: Callable) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(conv(3), Net(function))
    rows = receptive_field_table(model, (2, 16, 16))
    assert [(row.rf, row.start, row.n_out) for row in rows] == [(3, 1.5, 14)] * len(rows)
    assert not any(row.note for row in rows)
    field = effective_receptive_field(model, (2, 16, 16), position=(4, 9), threshold=0)
    assert field.box == field.seen == (4, 9, 6, 11)


def test_paths_that_are_compared_or_chosen_from_are_a_union() -> None:
    def function(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return torch.where(net.a(x) > 0, net.a(x), net.b(x))

    row = receptive_field_table(Net(function, a=conv(3), b=conv(5, 1, 1)), (2, 16, 16))[-1]
    assert (row.kind, row.rf, row.rf_min) == ("where", 5, 3)


@pytest.mark.parametrize(
    ("function", "sizes"),
    [
        (lambda _, x: x.mean(3, keepdim=True), [(1, 11)]),
        (lambda _, x: x.mean(axis=3, keepdims=True), [(1, 11)]),
        (lambda _, x: x.sum(2).unsqueeze(2), [(7, 1)]),
        (lambda _, x: x.logsumexp(-1).flatten(1), [(1, 11)]),
        (lambda _, x: x.mean(-1).mean(-1), [(1, 11), (7, 1)]),
        (lambda _, x: x.mean(2).sum(2), [(7, 1), (1, 11)]),
        (lambda _, x: x.sum(3, True).mean((-2, -1)), [(1, 11), (7, 1)]),
    ],
)
def test_means_over_rows_or_columns_alone_see_what_gradients_say(
    function: Callable, sizes: list[tuple[int, int]]
) -> None:
    model = nn.Sequential(conv(3), Net(function))
    rows = receptive_field_table(model, (2, 9, 13))
    assert [row.kernel_size for row in rows[1:]] == sizes
    field = effective_receptive_field(
        positive(model), (2, 9, 13), torch.ones(1, 2, 9, 13), threshold=0
    )
    assert field.box == field.seen
    if len(sizes) == 2:
        assert row_box(rows[-1]) == gradient_box(model, torch.ones(1, 2, 9, 13)) == (0, 0, 8, 12)


def test_a_slice_of_a_table_is_a_table() -> None:
    table = receptive_field_table(nn.Sequential(conv(3), conv(3), conv(3)), (2, 9, 9))
    part = table[1:]
    assert isinstance(part, ReceptiveFieldTable) and list(part) == list(table)[1:]
    assert str(part).splitlines()[1:] == str(table).splitlines()[2:]
    assert "<table" in part._repr_html_() and len(part.markdown().splitlines()) == 4
    assert table[-1] is table[2] and table[np.int64(0)].rf == 3 and len(table[5:]) == 0


@pytest.mark.parametrize(
    "position", [[3, 5], np.array([3, 5]), torch.tensor([3, 5]), (np.int8(3), torch.tensor(5))]
)
def test_a_position_is_any_two_whole_numbers(position: object) -> None:
    field = effective_receptive_field(conv(3), (2, 10, 10), position=position)
    assert field.position == (3, 5) and field.box == (3, 5, 5, 7)
    assert [type(place) for place in field.position] == [int, int]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("position [3, 8] is outside the 8×8", {"position": [3, 8]}),
        ("position tensor([3., 5.]) is outside", {"position": torch.tensor([3.0, 5.0])}),
        ("position [[1 2] [3 4]] is outside", {"position": np.array([[1, 2], [3, 4]])}),
        ("position 35 is outside", {"position": "35"}),
        ("threshold=-1: give a share", {"threshold": -1}),
        ("threshold=nan: give a share", {"threshold": math.nan}),
        ("threshold=2: give a share", {"threshold": 2}),
        ("threshold=1: give a share", {"threshold": 1}),
        ("threshold=None: give a share", {"threshold": None}),
        ("threshold=half: give a share", {"threshold": "half"}),
        ("threshold=0.1: give a share", {"threshold": "0.1"}),
    ],
)
def test_a_position_or_a_threshold_that_does_not_fit_is_one_line(words: str, given: dict) -> None:
    with pytest.raises(CourseError, match=rf"\A{re.escape(words)}.*\Z"):
        effective_receptive_field(conv(3), (2, 10, 10), **given)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_net_that_diverged_has_no_field_to_measure(value: float) -> None:
    model = nn.Sequential(conv(3), nn.ReLU(), conv(3))
    model[0].weight.data.fill_(value)
    for layer, name in (("", "the net"), ("0", "0")):
        with pytest.raises(CourseError, match=rf"\Awhat {name} gives, .* is not finite: .*\Z"):
            effective_receptive_field(model, (2, 9, 9), layer=layer)
    images = torch.full((1, 2, 9, 9), math.nan)
    with pytest.raises(CourseError, match="is not finite"):
        effective_receptive_field(conv(3), (2, 9, 9), images)
    # A table knows sizes alone, and says them of such a net too.
    assert receptive_field_table(model, (2, 9, 9))[-1].rf == 5
