"""A recorded net as files that leave the course: torch's own format, and ONNX.

``torch.export`` writes down what a net calculates, without the Python that it was written in
(https://docs.pytorch.org/docs/stable/export.html). ONNX says the same in a form that browsers,
phones and other programs run (https://onnx.ai). Each file is read back before it is kept.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from helpers.data import practice
from helpers.data.known import KNOWN
from helpers.environment import CourseError, runs_root, short_reason
from helpers.experiments import load_model, load_result
from helpers.writing import replacing

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
CLOSE = 1e-4  # logits read back differ by less
COUNT = 64  # images that are compared

# What the axes of a batch are called in the files.
INPUT, OUTPUT = "images", "logits"


class Exported(NamedTuple):
    """A file that was written, and by how much its logits differ from the net's, at most."""

    path: Path
    difference: float

    def __str__(self) -> str:
        size = self.path.stat().st_size / 1000
        how_far = "are equal"
        if self.difference > 0:
            how_far = f"differ by at most {self.difference:.0e}"
        return (
            f"{self.path.name}: {size:.0f} kB; read back, the logits of {COUNT} pictures {how_far}"
        )


def export(name: str, folder: Path | None = None) -> list[Exported]:
    """Write a recorded net as ``NAME.pt2`` and, where its packages are there, as ``NAME.onnx``.

    They go into ``exported`` in ``COURSE_RUNS`` unless a folder is given; a line says what is left
    out. Raises ``CourseError`` for a record without weights, and where a file that was read back
    does not give the net's logits; then it is not kept.
    """
    model = load_model(name)
    images = sample_images(load_result(name).record["data"]["name"])
    folder = folder or runs_root() / "exported"
    written = [write(model, images, folder / f"{name}.pt2", as_pt2, run_pt2)]
    if missing_packages():
        print(f"{name}.onnx is left out: {how_to_install()}")
    else:
        written.append(write(model, images, folder / f"{name}.onnx", as_onnx, run_onnx))
    return written


def write(
    model: nn.Module,
    images: torch.Tensor,
    path: Path,
    make: Callable[[nn.Module, torch.Tensor], bytes],
    run: Callable[[bytes, torch.Tensor], torch.Tensor],
) -> Exported:
    """Write a net to a file, and compare what the file gives with what the net gives.

    make: the bytes of the file
    run: the logits of a batch, from such bytes
    """
    try:
        content = make(model, images)
        difference = largest_difference(model, images, content, run)
    except CourseError:
        raise
    except Exception as problem:  # a net can hold what no format knows
        raise CourseError(
            f"{path.name} cannot be made of this net ({short_reason(problem)})"
        ) from problem
    # Not "greater": a comparison with nan is never true.
    if not difference < CLOSE:
        raise CourseError(
            f"{path.name} is not kept: its logits differ from the net's by {difference:.1e}, and "
            f"less than {CLOSE:.0e} is asked for"
        )
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return Exported(path, difference)


def largest_difference(
    model: nn.Module,
    images: torch.Tensor,
    content: bytes,
    run: Callable[[bytes, torch.Tensor], torch.Tensor],
) -> float:
    """The largest difference of a logit, over all images together and over the first one alone."""
    differences = []
    # A file that holds for one size of batch only would be of little use.
    for batch in (images, images[:1]):
        with torch.no_grad():
            expected = model(batch)
        differences.append((run(content, batch) - expected).abs().max())
    return float(torch.stack(differences).max())


def sample_images(name: str) -> torch.Tensor:
    """Images like those of the data set, drawn and normalised, float32 [COUNT, C, H, W]."""
    images, _ = practice.draw(name, COUNT, seed=0)
    return KNOWN[name].normalised(images)


# Torch's own format.


def as_pt2(model: nn.Module, images: torch.Tensor) -> bytes:
    """A net as the bytes of a ``.pt2``, for batches of any size."""
    # The file holds its examples too; of one alone torch would conclude that there is never more.
    sizes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(model, (images[:2],), dynamic_shapes=sizes)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Torch speaks of weights that lie in one piece of memory, which is as it should be.
        warnings.simplefilter("ignore", UserWarning)
        torch.export.save(program, buffer)
    return buffer.getvalue()


def run_pt2(content: bytes, images: torch.Tensor) -> torch.Tensor:
    """The logits that a ``.pt2`` gives."""
    program = torch.export.load(io.BytesIO(content))
    with torch.no_grad():
        return program.module()(images)


# ONNX.


def missing_packages() -> list[str]:
    """Those of the packages for ONNX that are not installed."""
    return [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]


def how_to_install() -> str:
    """What to install for ONNX, in words."""
    return f"pip install {' '.join(missing_packages())}"


def need_onnx() -> None:
    """Raise ``CourseError`` where a package for ONNX is missing."""
    if missing_packages():
        raise CourseError(f"ONNX needs packages that are not here: {how_to_install()}")


def as_onnx(model: nn.Module, images: torch.Tensor) -> bytes:
    """A net as the bytes of an ``.onnx``, for batches of any size, weights included."""
    need_onnx()
    with warnings.catch_warnings():
        # What torch says of its own parts that will change is of no use to the reader.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (images[:2],),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    if program is None:
        raise CourseError("torch has made no ONNX of this net")
    return program.model_proto.SerializeToString()


def run_onnx(content: bytes, images: torch.Tensor) -> torch.Tensor:
    """The logits that onnxruntime calculates from an ``.onnx``, on the CPU."""
    need_onnx()
    # Named by a text, for the package may be missing.
    onnxruntime = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    [logits] = session.run([OUTPUT], {INPUT: images.numpy()})
    return torch.from_numpy(logits)
