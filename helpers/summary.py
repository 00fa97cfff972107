"""The torchsummary table of a net, made on a copy, with the exact parameter count where torchsummary miscounts."""

import contextlib
import copy
import io
import re
from collections.abc import Sequence

import torch
from torch import nn

from helpers.environment import CourseError


class Summary(str):
    """The table as text, which the end of a notebook cell shows as it is, without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _printed(net: nn.Module, input_shape: Sequence[int]) -> str:
    try:
        from torchsummary import summary
    except ImportError:
        raise CourseError("torchsummary is not installed: pip install torchsummary") from None
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), torch.random.fork_rng(devices=[]), torch.no_grad():
            summary(net, tuple(input_shape), device="cpu")
    except AttributeError as error:
        raise CourseError(f"torchsummary cannot show this net: {error}") from error
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise CourseError(
            f"the net does not accept input of shape {input_shape}: {error!r}; give the shape of one "
            "image without the batch, such as (1, 28, 28)"
        ) from error
    return output.getvalue().rstrip()


def summarize(model: nn.Module, input_shape: Sequence[int]) -> Summary:
    """The torchsummary table for one image of ``input_shape`` [C, H, W], as text.

    torchsummary runs the net, which moves batch-norm statistics, and knows the CPU and CUDA alone: it gets a float32
    copy on the CPU, so the model, its modes and the random state stay as they were. It counts a layer once per use and
    overlooks bare ``nn.Parameter``s: where its total is wrong, a last line gives the exact count. CourseError where the
    net does not accept the shape, or torchsummary is missing or cannot show the net.
    """
    net = copy.deepcopy(model).cpu().float()
    # torchsummary gives no line to the net itself, so a single layer goes into a container.
    text = _printed(net if list(net.children()) else nn.Sequential(net), input_shape)
    text = text[text.index("-" * 64) :]  # without what the net itself prints
    total = int(re.search("Total params: ([0-9,]+)", text)[1].replace(",", ""))
    exact = sum(parameter.numel() for parameter in net.parameters())
    if exact != total:
        text += (
            f"\nExact count: {exact:,} parameters; torchsummary counts a layer once per use and overlooks bare "
            "nn.Parameters."
        )
    return Summary(text)
