"""The torchsummary table of a net, made on a copy, with the exact parameter count where torchsummary miscounts."""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from helpers.environment import CourseError
from helpers.models import count_parameters

RULE = "-" * 64
ROW = re.compile(r"^ *(\S+)-\d+ +(\[.*\]) +([\d,]+)$", re.MULTILINE)
TOTAL = re.compile(r"^Total params: ([\d,]+)$", re.MULTILINE)


class SummaryRow(NamedTuple):
    """One line of the table; the first size of ``output_shape``, the batch, is -1 as torchsummary writes it."""

    type: str
    output_shape: tuple
    parameters: int


class Summary(str):
    """The table as text, shown as it is at the end of a notebook cell; ``parameters`` is the exact count."""

    parameters: int

    def __repr__(self) -> str:
        return str(self)

    @property
    def rows(self) -> list[SummaryRow]:
        """The lines of the table, in the order of the forward pass (a module made of others after its parts)."""
        return [SummaryRow(kind, _tuples(ast.literal_eval(shape)), _number(count))
                for kind, shape, count in ROW.findall(self)]


def _tuples(shape: list | int) -> tuple | int:
    return tuple(_tuples(size) for size in shape) if isinstance(shape, list) else shape


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _sizes(input_shape: Sequence[int]) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in input_shape)
    except (TypeError, ValueError):
        raise CourseError(f"input shape {input_shape!r} is not a sequence of sizes such as (1, 28, 28)") from None


def _check_forward(model: nn.Module, sizes: tuple[int, ...]) -> None:
    try:
        with torch.no_grad():
            model(torch.zeros(2, *sizes))
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CourseError(f"the net does not accept input of shape {sizes}: {reason}; give the shape of one image "
                          "without the batch, such as (1, 28, 28)") from error


def _print_table(model: nn.Module, sizes: tuple[int, ...]) -> None:
    try:
        from torchsummary import summary
    except ImportError:
        raise CourseError("torchsummary is not installed: pip install torchsummary") from None
    # torchsummary gives no line to the net itself, so a net that is a single layer goes into a container.
    net = model if any(True for _ in model.children()) else nn.Sequential(model)
    try:
        with torch.no_grad():
            summary(net, sizes, device="cpu")
    except AttributeError as error:
        # After the last line torchsummary asks a total of no parameters for .numpy(), which an int has not.
        if "'int' object has no attribute 'numpy'" not in str(error):
            raise CourseError(f"torchsummary cannot show this net: {error}") from error
        print("=" * 64, "Total params: 0", RULE, sep="\n")


def summarize(model: nn.Module, input_shape: Sequence[int]) -> Summary:
    """The torchsummary table for one image of ``input_shape`` [C, H, W], as text with ``rows`` and ``parameters``.

    torchsummary runs the net, which moves batch-norm statistics, and knows the CPU and CUDA alone: it gets a float32
    copy on the CPU, so the model, its modes and the random state stay as they were. It counts a layer once per use and
    overlooks bare ``nn.Parameter``s: where its total is wrong, a last line gives the exact count. CourseError where the
    net does not accept the shape, or torchsummary is missing or cannot show the net.
    """
    sizes, printed = _sizes(input_shape), io.StringIO()
    net = copy.deepcopy(model).to("cpu").float()
    with contextlib.redirect_stdout(printed), torch.random.fork_rng(devices=[]):
        _check_forward(net, sizes)
        _print_table(net, sizes)
    text = printed.getvalue()
    text = text[text.index(RULE):].rstrip()
    # The table's total holds frozen layers too.
    exact, total = count_parameters(net.requires_grad_(True)), _number(TOTAL.search(text)[1])
    if exact != total:
        text += (f"\nExact count: {exact:,} parameters; torchsummary counts a layer once per use and overlooks bare "
                 "nn.Parameters.")
    result = Summary(text)
    result.parameters = exact
    return result
