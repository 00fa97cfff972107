"""The torchsummary table of a net, with the exact parameter count where torchsummary miscounts."""

import contextlib
import inspect
import io
from collections.abc import Callable, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

import torch
from torch import nn

from helpers.data.checks import whole_numbers
from helpers.environment import CourseError, short_reason
from helpers.models import check_net, count_parameters, independent_copy

# The lines that torchsummary's table begins with
HEAD = "-" * 64 + "\n" + "Layer (type)".rjust(20)


class Summary(str):
    """The table as text, which the end of a notebook cell shows as it is, without quotes."""

    def __repr__(self) -> str:
        return str(self)


def summarize(model: nn.Module, input_shape: Sequence[int]) -> Summary:
    """The torchsummary table for one image of ``input_shape`` [C, H, W], as text.

    torchsummary runs the net, which moves batch-norm statistics, and knows the CPU and CUDA alone:
    it gets a float32 copy on the CPU, so the model, its modes and the random state stay as they
    were. It counts a layer once per use, overlooks bare ``nn.Parameter``s, and takes a layer for
    trainable where its weight is: where one of its counts is wrong, a last line gives the exact
    ones. Raises ``CourseError`` where the net does not accept the shape or cannot be copied, and
    where torchsummary is missing, is another package of that name, or cannot show the net.
    """
    check_net(model, "summarize")
    shape = checked_shape(input_shape)
    net = independent_copy(model).cpu().float()

    # torchsummary gives no line to the net itself, so a single layer goes into a container.
    shown = net
    if len(list(net.children())) == 0:
        shown = nn.Sequential(net)
    table = printed_table(shown, shape)

    # Counted after the run, in which a lazy layer gets its parameters.
    return Summary(table + correction(table, net))


def checked_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of one image as whole numbers, NumPy's included."""
    sizes = whole_numbers(input_shape, least=1)
    if not sizes:
        shown = " ".join(str(input_shape).split())
        raise CourseError(
            f"the net does not accept input of shape {shown}: give the sizes of one image without "
            "the batch, such as (1, 28, 28)"
        )
    return sizes


def printed_table(net: nn.Module, shape: tuple[int, ...]) -> str:
    """What torchsummary prints of a net, without what the net itself prints."""
    summary = torchsummary_function()

    # It prints its table, and draws the image that it runs the net on.
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), torch.random.fork_rng(devices=[]), torch.no_grad():
            summary(net, shape, device="cpu")
    except AttributeError as error:
        raise CourseError(f"torchsummary cannot show this net: {error}") from error
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise CourseError(
            f"the net does not accept input of shape {shape}: {error!r}; give the shape of one "
            "image without the batch, such as (1, 28, 28)"
        ) from error

    # The net may have printed lines of its own before the table.
    _, head, table = output.getvalue().partition(HEAD)
    if head == "" or "Total params: " not in table:
        raise other_package()
    return (head + table).rstrip()


def torchsummary_function() -> Callable[..., Any]:
    """torchsummary's only function. Raises ``CourseError`` where it is missing or another's."""
    try:
        from torchsummary import summary
    except ModuleNotFoundError as error:
        if error.name == "torchsummary":
            raise CourseError("torchsummary is not installed: pip install torchsummary") from None
        raise other_package(short_reason(error)) from None
    except Exception as error:  # importing runs the file, whatever it holds
        raise other_package(short_reason(error)) from None

    # The package torch-summary installs a module of the same name with other parameters.
    if not inspect.isfunction(summary):
        raise other_package()
    parameters = inspect.signature(summary).parameters
    if "batch_size" not in parameters or "device" not in parameters:
        raise other_package()
    return summary


def other_package(reason: str = "") -> CourseError:
    """The error for a module ``torchsummary`` that is not the one of that package.

    ``reason`` says why it could not be imported, where that is what is wrong.
    """
    words = "is not that of the package torchsummary"
    if reason:
        words = f"cannot be imported ({reason})"

    # A file of the reader's own is found before all packages: no package helps against it.
    packages = sorted(set(metadata.packages_distributions().get("torchsummary", [])))
    place = module_place()
    if place is not None and not is_installed(place, packages):
        return CourseError(
            f"the module torchsummary {words}: {place} is in its place; give that another name, "
            "and restart the notebook"
        )

    names = " ".join(packages) or "torchsummary"
    return CourseError(
        f"the module torchsummary {words} (installed: {names}): "
        f"pip uninstall {names}, then pip install torchsummary"
    )


def module_place() -> Path | None:
    """The file or the folder that ``import torchsummary`` takes; None where it is not known."""
    try:
        spec = util.find_spec("torchsummary")
    except ValueError:  # a module that was made by hand has no file
        return None
    if spec is None:
        return None
    if spec.has_location and spec.origin is not None:
        return Path(spec.origin)
    # A folder without __init__.py can be imported as well.
    for folder in spec.submodule_search_locations or ():
        return Path(folder)
    return None


def is_installed(place: Path, packages: Sequence[str]) -> bool:
    """Whether a file or folder lies where one of these packages has been installed."""
    for package in packages:
        installed = Path(str(metadata.distribution(package).locate_file("torchsummary")))
        if place.resolve().is_relative_to(installed.resolve()):
            return True
    return False


def correction(table: str, net: nn.Module) -> str:
    """A line with the exact counts where the table's are wrong; else nothing."""
    # Each tensor once, however often it is used, and whether it is trained or not.
    exact = 0
    for parameter in net.parameters():
        exact += parameter.numel()
    trainable = count_parameters(net)

    # torchsummary can be right in one of its counts alone.
    total_is_right = printed_count("Total params", table) == exact
    if total_is_right and printed_count("Trainable params", table) == trainable:
        return ""

    # What is exact, and why torchsummary says otherwise.
    line = f"\nExact count: {exact:,} parameters"
    if trainable != exact:
        line += f", {trainable:,} of them trainable"
    if total_is_right:
        return f"{line}; torchsummary takes a layer for trainable where its weight is."
    return f"{line}; torchsummary counts a layer once per use and overlooks bare nn.Parameters."


def printed_count(name: str, table: str) -> int:
    """The number behind a name in torchsummary's table, such as ``Total params: 9,274``."""
    _, _, behind = table.partition(f"{name}: ")
    number = behind.split()[0]
    return int(number.replace(",", ""))
