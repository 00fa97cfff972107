"""Where the course runs: device, seeds, switches, folders and versions.

Every other module may import this one, and it imports none of them.
"""

import difflib
import math
import operator
import os
import platform
import random
import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
LARGEST_SEED = 2**32 - 1  # NumPy takes no larger one

# What the report names. A switch is an environment variable.
PACKAGES = (
    "torch torchvision numpy scipy matplotlib torchsummary albumentations tqdm nbval nbconvert"
).split()
SWITCHES = ("COURSE_DATA", "COURSE_SMOKE", "COURSE_TRAIN", "COURSE_REPO", "COURSE_RUNS")

# Where a data set may lie in the data folder, in the order in which it is looked for.
DATA_PLACES = {
    "mnist": ("MNIST/raw", "mnist", "mnist-train.zip"),
    "cifar10": ("cifar-10-batches-py", "cifar10", "cifar10-train.zip", "cifar-10-python.tar.gz"),
}


class CourseError(Exception):
    """A problem that the reader can solve.

    Its text is one line: what went wrong, with which file or value, and the way out.
    """


# Switches and folders.


def smoke() -> bool:
    """Whether this is the fast profile of the tests: practice data, few samples, few steps.

    ``COURSE_SMOKE=1`` asks for it.
    """
    return os.environ.get("COURSE_SMOKE") == "1"


def train_live() -> bool:
    """Whether ``COURSE_TRAIN=1`` asks to train where a recorded result could be shown."""
    return os.environ.get("COURSE_TRAIN") == "1"


def data_root() -> Path:
    """The folder that holds the data sets: ``COURSE_DATA``, or ``data/`` in the repository."""
    return _folder("COURSE_DATA", ROOT / "data")


def runs_root() -> Path:
    """The folder for checkpoints and pages: ``COURSE_RUNS``, or ``runs/`` in the repository."""
    return _folder("COURSE_RUNS", ROOT / "runs")


def _folder(switch: str, default: Path) -> Path:
    """The whole path that a switch names, or the default where it is empty or not set."""
    value = os.environ.get(switch)
    if not value:
        return default
    # A relative path starts at the working folder; an error message should show the whole one.
    return Path(value).expanduser().absolute()


def whole_paths() -> dict[str, str]:
    """The switches that name folders, as whole paths, for a process in another working folder."""
    variables = {}
    if os.environ.get("COURSE_DATA"):
        variables["COURSE_DATA"] = str(data_root())
    if os.environ.get("COURSE_RUNS"):
        variables["COURSE_RUNS"] = str(runs_root())
    return variables


# Device and seeds.


def pick_device() -> torch.device:
    """The fastest device at hand: CUDA, then Apple's MPS, then the CPU."""
    # An NVIDIA card; torch's builds for AMD cards answer to the same name.
    if torch.cuda.is_available():
        return torch.device("cuda")
    # The graphics unit of an Apple chip.
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def half_precision(device: torch.device) -> torch.dtype | None:
    """The 16-bit numbers that a device calculates fast in, or None where it has none.

    These are bfloat16 on a CUDA device that has them in hardware, and float16 on older ones; and
    bfloat16 on a CPU with units that multiply matrices of them (Intel's AMX, Xeons since 2023).
    """
    if device.type == "cpu" and processor().get("amx_bf16"):
        return torch.bfloat16
    if device.type != "cuda":
        return None
    # Without this argument torch also says yes to a slow emulation, on a T4 for example.
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16


def processor() -> Mapping[str, Any]:
    """What torch knows of the CPU: its name, and what it has; nothing from an older torch."""
    return getattr(torch.cpu, "get_capabilities", dict)()


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and torch. Raises ``CourseError`` for what is no seed.

    Returns a generator of the CPU, seeded alike but apart from torch's own, for batches.
    """
    number = checked_seed(seed)
    # Whatever draws without a generator of its own draws from one of these three.
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
    # Batches do not depend on how many numbers a net has drawn for its weights before.
    return torch.Generator().manual_seed(number)


def checked_seed(seed: object) -> int:
    """A seed as a plain int. Raises ``CourseError`` for what is no whole number in the range."""
    number = whole_number(seed, least=0)
    if number is None or number > LARGEST_SEED:
        raise CourseError(f"a seed is a whole number from 0 to {LARGEST_SEED}, not {seed!r}")
    return number


# Numbers, and the texts of errors.


def whole_number(value: object, least: int | None = None) -> int | None:
    """``value`` as an int where it is a whole number, NumPy's included; else None.

    A bool or a float is none, and neither is a number below ``least``.
    """
    # Python, torch and NumPy before 2.3 count a bool among the whole numbers.
    if isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool"):
        return None
    # A float is no index, not even 3.0, and neither are arrays of several numbers.
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
    if least is not None and number < least:
        return None
    return number


def real_number(value: object) -> float | None:
    """``value`` as a float where it is a finite number, NumPy's and torch's included; else None."""
    # A text can be read as a number, but is none; nor is a list of one number, which NumPy before
    # 2.4 reads as that number.
    if isinstance(value, str | bytes) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    if math.isfinite(number):
        return number
    return None


def short_reason(problem: BaseException) -> str:
    """What an error says, in one line of at most 160 characters; its type where it says nothing."""
    # Some of torch's errors are coloured, by codes that a file or a page would show.
    uncoloured = re.sub(r"\x1b\[[0-9;]*m", "", str(problem))
    words = " ".join(uncoloured.split())
    if not words:
        return type(problem).__name__
    return words[:160]


def unknown(kind: str, name: str, names: Iterable[str]) -> CourseError:
    """The error for an unknown name: it offers the similar names, or all of them."""
    # A typing error leaves a similar name.
    names = list(dict.fromkeys(names))  # some lists that are put together share a name
    shown = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
    if not shown:
        shown = names
    return CourseError(f"unknown {kind} {name!r}; choose one of: {', '.join(shown)}")


def has_notebooks() -> bool:
    """Whether the package lies in the course, and not alone among other packages."""
    # A folder alone says nothing: others have one of that name.
    return any(NOTEBOOKS.glob("01_*.ipynb"))


def need_notebooks() -> None:
    """Raise ``CourseError`` where the package is installed without the course around it."""
    if not has_notebooks():
        raise CourseError(
            "the notebooks are not there, for the package was installed without the course: "
            "clone the course and give `pip install -r requirements.txt` in its folder"
        )


# The report.


def versions() -> dict[str, str]:
    """Installed versions of Python and of the course's packages, by name.

    The version of a package that is not installed is ``missing``.
    """
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def machine() -> dict[str, str | int]:
    """What a record says of the machine: device, torch, Python, system and number of threads.

    ``mixed`` names the numbers that mixed precision multiplies there.
    """
    device = pick_device()
    device_name = processor().get("cpu_name") or platform.machine()
    if device.type == "cuda":
        device_name = torch.cuda.get_device_name()
    return {
        "device": device.type,
        "device_name": device_name,
        "mixed": str(half_precision(device) or torch.float32).removeprefix("torch."),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "threads": torch.get_num_threads(),
    }


def data_sources() -> dict[str, str]:
    """For each data set the place that ``data.load`` would read, found without reading it."""
    found = {}
    for name, places in DATA_PLACES.items():
        found[name] = "not in the data folder: python -m helpers data fetches it"
        # From last to first, so that the place that ``data.load`` reads first is set last.
        for place in reversed(places):
            if os.path.exists(data_root() / place):
                found[name] = f"found: {place}"
    return found


def known_problems(found: dict[str, str]) -> list[str]:
    """One line for each thing in ``versions()`` that is known to go wrong."""
    problems = []
    missing = [name for name, version in found.items() if version == "missing"]
    if missing:
        names = ", ".join(missing)
        problems.append(f"not installed: {names}; pip install -r requirements.txt")

    if found["albumentations"].startswith("1."):
        problems.append(
            "albumentations 1 has other argument names than the course: "
            "pip install 'albumentations>=2,<3'"
        )

    # Builds for the CPU are marked as such only on machines of this kind.
    both_there = "torch" not in missing and "torchvision" not in missing
    differ = ("+cpu" in found["torch"]) != ("+cpu" in found["torchvision"])
    if both_there and differ and platform.machine() == "x86_64":
        problems.append(
            "one of torch and torchvision is a CPU build, the other not, "
            "and may not import: reinstall"
        )
    return problems


def data_problem() -> list[str]:
    """One line where the data folder is there and cannot be read; else none."""
    try:
        os.listdir(data_root())
    except FileNotFoundError:  # it is made when data are fetched
        return []
    except OSError as problem:
        return [f"the data folder {data_root()} cannot be read ({problem.strerror or problem})"]
    return []


def report() -> str:
    """Versions, device, threads, switches, data sources and known problems, as lines of text."""
    # Facts by name, in the order in which they are shown.
    found = versions()
    facts: dict[str, str | int] = {**found, **machine()}
    for switch in SWITCHES:
        facts[switch] = os.environ.get(switch, "(not set)")
    facts.update(whole_paths())
    facts.update(data_sources())

    # One line per fact, the names in a column of their own.
    lines = []
    for name, value in facts.items():
        lines.append(f"{name:15} {value}")
    problems = known_problems(found) + data_problem()
    for problem in problems or ["none known"]:
        lines.append(f"{'problem':15} {problem}")
    return "\n".join(lines)
