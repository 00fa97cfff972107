"""The torchsummary table: document 001's row by row, exact where torchsummary miscounts, no trace on the net."""

from __future__ import annotations

import copy
import re
import sys

import pytest
import torch
from torch import nn

from helpers.environment import CourseError
from helpers.models.small import budget_net, first_net
from helpers.summary import Summary, summarize

# Document 001's table without its numbering: layer, channels, side, parameters.
DOCUMENT_001 = """
Conv2d 4 28 40, ReLU 4 28 0, BatchNorm2d 4 28 8, Conv2d 4 28 148, ReLU 4 28 0, BatchNorm2d 4 28 8,
Conv2d 8 28 296, ReLU 8 28 0, BatchNorm2d 8 28 16, MaxPool2d 8 14 0,
Conv2d 12 14 876, ReLU 12 14 0, BatchNorm2d 12 14 24, Conv2d 12 14 1308, ReLU 12 14 0, BatchNorm2d 12 14 24,
Conv2d 16 12 1744, ReLU 16 12 0, BatchNorm2d 16 12 32, MaxPool2d 16 6 0,
Conv2d 20 6 2900, ReLU 20 6 0, BatchNorm2d 20 6 40, Conv2d 10 4 1810, AvgPool2d 10 1 0
"""


def rows(summary: Summary) -> list[tuple[str, tuple[int, ...], int]]:
    """The lines of a table: layer, output shape, parameters."""
    found = re.findall(r"^ *(\S+)-\d+ +\[(.*)\] +([\d,]+)$", summary, re.MULTILINE)
    return [
        (kind, tuple(map(int, shape.split(", "))), int(count.replace(",", "")))
        for kind, shape, count in found
    ]


class Twice(nn.Module):
    """One convolution used twice, a bare parameter of three values, and a printed line."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.scale = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        print("forward")
        return self.conv(self.conv(images)) * self.scale


def test_rows_equal_document_001s_table() -> None:
    wanted = []
    for line in DOCUMENT_001.replace("\n", " ").split(","):
        kind, channels, side, parameters = line.split()
        wanted.append((kind, (-1, int(channels), int(side), int(side)), int(parameters)))
    summary = summarize(budget_net(), (1, 28, 28))
    assert len(wanted) == 25
    assert [row for row in rows(summary) if row[0] != "Flatten"] == wanted
    assert sum(parameters for _, _, parameters in rows(summary)) == 9274


def test_a_cell_shows_the_table_itself() -> None:
    summary = summarize(budget_net(), (1, 28, 28))
    assert repr(summary) == str(summary) and "\n" in repr(summary)
    assert (
        summary.startswith("-" * 64 + "\n        Layer (type)") and "Total params: 9,274" in summary
    )
    assert "Exact count" not in summary


def test_an_exact_count_stands_beside_a_miscount() -> None:
    summary = summarize(Twice(), (3, 8, 8))
    assert "Total params: 162" in summary
    assert summary.splitlines()[-1].startswith("Exact count: 84 parameters; torchsummary")
    assert sum(parameter.numel() for parameter in Twice().parameters()) == 84


def test_frozen_layers_are_no_miscount() -> None:
    model = first_net()
    model[0].requires_grad_(False)
    summary = summarize(model, (1, 28, 28))
    assert (
        "Total params: 5,958" in summary
        and "Non-trainable params: 80" in summary
        and "Exact count" not in summary
    )


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    summary = summarize(Twice(), (3, 8, 8))
    assert capsys.readouterr() == ("", "")
    assert "forward" not in summary


def test_modes_statistics_hooks_and_random_state_stay() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten())
    model[1].eval()
    before, modes = (
        copy.deepcopy(model.state_dict()),
        [module.training for module in model.modules()],
    )
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    summarize(model, (1, 8, 8))
    assert torch.equal(torch.rand(4), expected)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_in_another_precision_is_shown_and_stays(dtype: torch.dtype) -> None:
    model = first_net().to(dtype)
    assert summarize(model, (1, 28, 28)) == summarize(first_net(), (1, 28, 28))
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_on_a_gpu_stays_there() -> None:
    model = first_net().to("cuda")
    assert summarize(model, (1, 28, 28)) == summarize(first_net(), (1, 28, 28))
    assert next(model.parameters()).is_cuda


@pytest.mark.parametrize(
    ("shape", "output"), [((3,), (-1, 2)), ([5, 3], (-1, 5, 2)), (torch.Size([3]), (-1, 2))]
)
def test_a_single_layer_has_its_line(shape: tuple[int, ...], output: tuple[int, ...]) -> None:
    summary = summarize(nn.Linear(3, 2), shape)
    assert rows(summary) == [("Linear", output, 8)] and "Exact count" not in summary


@pytest.mark.parametrize(
    "shape", [(3, 28, 28), (2, 1, 28, 28), (1, 2, 2), (28, 28), (1, -1, 28), 28, "wide"]
)
def test_a_shape_that_does_not_fit_is_named(shape: object) -> None:
    with pytest.raises(CourseError) as error:
        summarize(budget_net(), shape)
    assert str(shape) in str(error.value) and "\n" not in str(error.value)


def test_a_net_that_torchsummary_cannot_show_is_a_course_error() -> None:
    with pytest.raises(CourseError, match="torchsummary cannot show"):
        summarize(nn.LSTM(3, 3), (2, 3))


def test_without_torchsummary_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchsummary", None)
    with pytest.raises(CourseError, match="pip install torchsummary"):
        summarize(first_net(), (1, 28, 28))
