"""Exported nets: read back by torch and by onnxruntime themselves, they give the net's logits."""

from __future__ import annotations

import importlib.util
import io
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from helpers import experiments
from helpers.data import practice
from helpers.environment import CourseError
from helpers.upkeep import export as exporting

pytestmark = pytest.mark.slow  # torch takes seconds to write a net down

NAME = "ladder-fewer"
MISSING = [
    name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None
]
needs_onnx = pytest.mark.skipif(
    bool(MISSING), reason=f"an extra is not installed: pip install {' '.join(MISSING)}"
)


def digits(count: int) -> torch.Tensor:
    """Practice digits of another seed than those that the export itself compares."""
    images, _ = practice.draw("mnist", count, seed=11)
    return (images / 255 - 0.1307) / 0.3081


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> list[exporting.Exported]:
    return exporting.export(NAME, tmp_path_factory.mktemp("exported"))


def test_torch_reads_its_own_format(written) -> None:
    assert written[0].path.name == f"{NAME}.pt2"
    program = torch.export.load(written[0].path).module()
    model = experiments.load_model(NAME)
    for count in (1, 7, 200):
        images = digits(count)
        with torch.no_grad():
            torch.testing.assert_close(program(images), model(images), rtol=0, atol=1e-4)


@needs_onnx
def test_onnxruntime_reads_the_other(written) -> None:
    import onnxruntime

    path = written[1].path
    assert path.name == f"{NAME}.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    model = experiments.load_model(NAME)
    for count in (1, 7, 200):
        images = digits(count)
        [logits] = session.run(["logits"], {"images": images.numpy()})
        with torch.no_grad():
            expected = model(images)
        torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=0, atol=1e-4)


@needs_onnx
def test_an_onnx_file_stands_alone(written) -> None:
    import onnx

    # Weights in a second file would be left behind.
    assert [path.name for path in written[1].path.parent.iterdir()].count(f"{NAME}.onnx.data") == 0
    onnx.checker.check_model(onnx.load(written[1].path), full_check=True)


def test_a_line_says_how_far_the_logits_differ(written) -> None:
    for each in written:
        assert each.difference < 1e-4
        assert str(each).startswith(f"{each.path.name}: ") and "\n" not in str(each)
        assert str(each._replace(difference=0.0)).endswith("pictures are equal")
        assert str(each._replace(difference=5e-6)).endswith("differ by at most 5e-06")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(exporting, "ONNX_PACKAGES", ("onnx_that_nobody_has", "json"))
    [only] = exporting.export(NAME, tmp_path)
    assert only.path.suffix == ".pt2"
    [line] = capsys.readouterr().out.splitlines()
    assert line == f"{NAME}.onnx is left out: pip install onnx_that_nobody_has"
    with pytest.raises(CourseError, match="pip install onnx_that_nobody_has"):
        exporting.as_onnx(experiments.load_model(NAME), digits(2))


def test_a_record_without_weights_is_one_line(tmp_path) -> None:
    with pytest.raises(CourseError, match="holds no weights") as problem:
        exporting.export("field-11", tmp_path)
    assert "\n" not in str(problem.value) and not list(tmp_path.iterdir())
    with pytest.raises(CourseError, match="unknown record"):
        exporting.export("no-such-net", tmp_path)


@pytest.mark.parametrize("error", [2e-4, float("nan")])
def test_a_file_with_other_logits_is_not_kept(tmp_path, error) -> None:
    def run(content: bytes, images: torch.Tensor) -> torch.Tensor:
        return exporting.run_pt2(content, images) + error

    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()
    path = tmp_path / "net.pt2"
    with pytest.raises(CourseError, match=r"net\.pt2 is not kept"):
        exporting.write(model, digits(4), path, exporting.as_pt2, run)
    assert not list(tmp_path.iterdir())


def test_a_net_that_no_format_knows_is_one_line(tmp_path) -> None:
    class Undecided(nn.Module):
        """Goes another way for other numbers, which cannot be written down as one calculation."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if float(images.sum()) > 0:
                return images.flatten(1)[:, :10]
            return -images.flatten(1)[:, :10]

    path = tmp_path / "net.pt2"
    with pytest.raises(CourseError, match=r"net\.pt2 cannot be made") as problem:
        exporting.write(Undecided(), digits(4), path, exporting.as_pt2, exporting.run_pt2)
    assert "\n" not in str(problem.value) and not list(tmp_path.iterdir())


def test_the_file_is_the_one_that_was_compared(tmp_path) -> None:
    # One weight less than in the net: what is read back is the file, and not the net.
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()

    def make(net: nn.Module, images: torch.Tensor) -> bytes:
        other = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()
        other.load_state_dict(net.state_dict())
        with torch.no_grad():
            other[1].weight[0, 0] += 1
        return exporting.as_pt2(other, images)

    with pytest.raises(CourseError, match="is not kept"):
        exporting.write(model, digits(4), tmp_path / "net.pt2", make, exporting.run_pt2)


def test_nothing_is_said_beside_the_command(tmp_path: Path, capsys) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = exporting.as_pt2(experiments.load_model(NAME), digits(3))
    assert capsys.readouterr().out == "" and len(content) < 300_000
    assert torch.export.load(io.BytesIO(content)) is not None
