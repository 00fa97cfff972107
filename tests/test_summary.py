"""The torchsummary table: document 001's rows, exact where it miscounts, no trace left."""

from __future__ import annotations

import copy
import re
import sys
import threading
import types
from pathlib import Path

import numpy as np
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
Conv2d 12 14 876, ReLU 12 14 0, BatchNorm2d 12 14 24,
Conv2d 12 14 1308, ReLU 12 14 0, BatchNorm2d 12 14 24,
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
        print("-" * 64)
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


def biases_only(model: nn.Module) -> nn.Module:
    """The model with weights that stay as they are."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("bias" in name)
    return model


def weights_only(model: nn.Module) -> nn.Module:
    """The model with biases that stay as they are."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("bias" not in name)
    return model


@pytest.mark.parametrize("freeze", [biases_only, weights_only])
@pytest.mark.parametrize("build", [first_net, budget_net])
def test_the_exact_trainable_count_stands_beside_a_wrong_one(freeze, build) -> None:
    model = freeze(build())
    total = trainable = 0
    for parameter in model.parameters():
        total += parameter.numel()
        trainable += parameter.numel() * parameter.requires_grad
    assert 0 < trainable < total
    last = summarize(model, (1, 28, 28)).splitlines()[-1]
    assert last.startswith(f"Exact count: {total:,} parameters, {trainable:,} of them trainable;")
    assert "where its weight is" in last


def test_where_nothing_trains_torchsummary_is_right() -> None:
    summary = summarize(first_net().requires_grad_(False), (1, 28, 28))
    assert "\nTrainable params: 0\n" in summary and "Exact count" not in summary


def test_a_wrong_total_and_frozen_weights_are_told_together() -> None:
    last = summarize(biases_only(Twice()), (3, 8, 8)).splitlines()[-1]
    assert last.startswith("Exact count: 84 parameters, 0 of them trainable; torchsummary counts")


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


@pytest.mark.parametrize(
    "shape",
    [
        np.array([1, 28, 28]),
        tuple(np.array([1, 28, 28])),
        (np.uint8(1), np.int32(28), 28),
        torch.Size([1, 28, 28]),
        [1, 28, 28],
        torch.zeros(1, 28, 28).shape,
    ],
)
def test_a_shape_of_any_whole_numbers_is_taken(shape: object) -> None:
    assert summarize(first_net(), shape) == summarize(first_net(), (1, 28, 28))


@pytest.mark.parametrize("shape", [np.zeros((2, 3)), torch.zeros(3), torch.zeros(2, 3, 3), [None]])
def test_a_shape_of_no_numbers_is_one_line(shape: object) -> None:
    with pytest.raises(CourseError, match=r"such as \(1, 28, 28\)") as error:
        summarize(first_net(), shape)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "shape", [(), None, (1, 28.0, 28), (True, 28, 28), (1, 0, 28), (1, "28", 28), [(1, 28, 28)]]
)
def test_a_shape_of_anything_else_is_named_in_one_line(shape: object) -> None:
    with pytest.raises(CourseError, match=r"such as \(1, 28, 28\)") as error:
        summarize(first_net(), shape)
    assert str(shape) in str(error.value) and "\n" not in str(error.value)


class Keeping(nn.Module):
    """Keeps its features, as a net does whose maps are to be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.features = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.features = self.conv(images)
        return self.features.mean((2, 3))


def test_a_net_that_keeps_its_features_is_shown_and_keeps_them() -> None:
    model = Keeping()
    fresh = summarize(model, (1, 6, 6))
    assert rows(fresh) == [("Conv2d", (-1, 4, 4, 4), 40)]
    model(torch.rand(2, 1, 6, 6))
    features = model.features
    assert summarize(model, (1, 6, 6)) == fresh
    assert model.features is features and features.requires_grad
    features.sum().backward()
    assert model.conv.bias.grad.tolist() == [32.0] * 4


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_old_weight_normalisation_is_shown() -> None:
    model = nn.Sequential(torch.nn.utils.weight_norm(nn.Conv2d(1, 4, 3)), nn.ReLU())
    model(torch.rand(1, 1, 6, 6))
    summary = summarize(model, (1, 6, 6))
    assert rows(summary)[0] == ("Conv2d", (-1, 4, 4, 4), 40)
    # 36 weights and four lengths of them, and four biases.
    assert "Exact count: 44 parameters; torchsummary" in summary


def test_a_net_that_cannot_be_copied_is_told_in_one_line() -> None:
    model = first_net()
    model.lock = threading.Lock()
    with pytest.raises(CourseError, match="cannot be copied") as error:
        summarize(model, (1, 28, 28))
    assert "\n" not in str(error.value)


def test_a_net_that_torchsummary_cannot_show_is_a_course_error() -> None:
    with pytest.raises(CourseError, match="torchsummary cannot show"):
        summarize(nn.LSTM(3, 3), (2, 3))


def test_without_torchsummary_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchsummary", None)
    with pytest.raises(CourseError, match="pip install torchsummary"):
        summarize(first_net(), (1, 28, 28))


def summary_of_another_package(model, input_data=None, batch_dim=0, device=None, **options):
    """With the parameters and the rule of torch-summary 1.4."""
    print("=" * 64 + "\nTotal params: 5,958")


def summary_with_other_lines(model, input_size, batch_size=-1, device="cuda"):
    print("another table")


@pytest.mark.parametrize(
    "module",
    [
        types.SimpleNamespace(summary=summary_of_another_package),
        types.SimpleNamespace(summary=summary_with_other_lines),
        types.SimpleNamespace(summary=types.ModuleType("summary")),
        types.ModuleType("torchsummary"),
    ],
)
def test_another_package_of_the_same_module_name_is_named(
    module: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # As pip leaves it: a folder that says which package a module belongs to.
    package = tmp_path / "torch_summary-1.4.5.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch-summary\nVersion: 1.4.5\n"
    )
    (package / "top_level.txt").write_text("torchsummary\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "torchsummary", module)
    with pytest.raises(CourseError, match="torch-summary.*pip install torchsummary") as error:
        summarize(first_net(), (1, 28, 28))
    assert "\n" not in str(error.value)


OWN_FILES = {
    "torchsummary.py": "def summary(model):\n    return 0\n",
    "torchsummary.py (no function)": "x = 1\n",
    "torchsummary.py (half)": "def summary(\n",
    "torchsummary.py (lacks a library)": "import nowhere_to_be_found\n",
    "torchsummary.py (breaks)": "1 / 0\n",
    "torchsummary/__init__.py": "def summary(model):\n    return 0\n",
    "torchsummary/other.py": "",
}


@pytest.mark.parametrize("name", OWN_FILES)
def test_a_file_of_that_name_beside_the_notebook_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / name.split(" ")[0]
    file.parent.mkdir(exist_ok=True)
    file.write_text(OWN_FILES[name])
    # A folder without __init__.py comes after packages: there, the package must not be found.
    if name == "torchsummary/other.py":
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
    else:
        monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torchsummary", raising=False)
    try:
        with pytest.raises(CourseError, match="^the module torchsummary ") as error:
            summarize(first_net(), (1, 28, 28))
    finally:
        sys.modules.pop("torchsummary", None)
    place = tmp_path / "torchsummary"
    assert str(place) in str(error.value) and "\n" not in str(error.value)
    assert "another name" in str(error.value) and "pip" not in str(error.value)
    if "(" in name and "no function" not in name:
        assert "cannot be imported (" in str(error.value)


@pytest.mark.parametrize("wrong", [nn.Linear, None, "net", first_net])
def test_what_is_no_net_is_one_line(wrong: object) -> None:
    with pytest.raises(CourseError, match=r"^summarize: .*give an? (net|object), such as") as error:
        summarize(wrong, (1, 28, 28))
    assert "\n" not in str(error.value)
