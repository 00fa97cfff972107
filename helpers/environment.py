"""Where the course runs: device, seeds, switches, files and versions. Every other module may import this one."""

import contextlib
import difflib
import operator
import os
import platform
import random
from importlib import metadata
from pathlib import Path
from collections.abc import Iterable, Iterator

import torch

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "matplotlib",
    "torchsummary",
    "albumentations",
    "tqdm",
    "nbval",
    "nbconvert",
)
SWITCHES = ("COURSE_DATA", "COURSE_SMOKE", "COURSE_TRAIN", "COURSE_REPO", "COURSE_RUNS")
DATA_PLACES = {
    "mnist": ("MNIST/raw", "mnist", "mnist-train.zip"),  # in the order in which data.load looks
    "cifar10": ("cifar-10-batches-py", "cifar10", "cifar10-train.zip"),
}


class CourseError(Exception):
    """A problem that the reader can solve; its text is one line: what, which file or value, and the way out."""


def smoke() -> bool:
    """True in the fast profile of the tests (``COURSE_SMOKE=1``): practice data, few samples, few steps."""
    return os.environ.get("COURSE_SMOKE") == "1"


def train_live() -> bool:
    """True where ``COURSE_TRAIN=1`` asks to train although a recorded result could be shown."""
    return os.environ.get("COURSE_TRAIN") == "1"


def data_root() -> Path:
    """The folder that holds the data sets: ``COURSE_DATA``, or ``data/`` in the repository."""
    return Path(os.environ.get("COURSE_DATA") or ROOT / "data").expanduser()


def runs_root() -> Path:
    """The folder for checkpoints and pages: ``COURSE_RUNS``, or ``runs/`` in the repository."""
    return Path(os.environ.get("COURSE_RUNS") or ROOT / "runs").expanduser()


def pick_device() -> torch.device:
    """The fastest device at hand: CUDA, then Apple's MPS, then the CPU."""
    available = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    return torch.device(next(kind for kind, there in available.items() if there()))


def half_precision(device: torch.device) -> torch.dtype | None:
    """The 16-bit numbers that a device calculates fast in: bfloat16, float16 on older GPUs, None on all but CUDA."""
    if device.type != "cuda":
        return None
    return (
        torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    )


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and torch, and return a CPU generator of its own, seeded alike, for batches."""
    import numpy

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to; rename it to ``path`` on success, remove it on failure.

    A reader sees the old file or the new one, never half of it, also when the process is killed or two write at once.
    What a killed process leaves is ``.NAME.*.tmp``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(
        f".{path.name}.{os.getpid()}.{random.SystemRandom().getrandbits(32):08x}.tmp"
    )
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def whole_number(value: object, least: int | None = None) -> int | None:
    """``value`` as an int where it is a whole number, NumPy's included; else None.

    A bool or a float is none, and neither is a number below ``least``.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    number = operator.index(value)
    if least is not None and number < least:
        return None
    return number


def unknown(kind: str, name: str, names: Iterable[str]) -> CourseError:
    """The error for a name that is not there: it says the near ones, or all of them."""
    names = list(names)
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5) or names
    return CourseError(f"unknown {kind} {name!r}; there is: {', '.join(near)}")


def versions() -> dict[str, str]:
    """Installed versions of Python and the course's packages, by name; ``missing`` where one is not installed."""
    found = {"python": platform.python_version()} | dict.fromkeys(PACKAGES, "missing")
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def machine() -> dict[str, str | int]:
    """What a record says of the machine: device and its name, torch, Python, system and number of threads."""
    device = pick_device().type
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return {
        "device": device,
        "device_name": name,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "threads": torch.get_num_threads(),
    }


def data_sources() -> dict[str, str]:
    """For each data set the place in the data folder that ``data.load`` would read, found without reading it."""
    missing = "not in the data folder: python -m helpers data fetches it"
    return {
        name: next(
            (f"found: {place}" for place in places if os.path.exists(data_root() / place)), missing
        )
        for name, places in DATA_PLACES.items()
    }


def known_problems(found: dict[str, str]) -> list[str]:
    """One line for each thing in ``versions()`` that is known to go wrong."""
    missing = [name for name in found if found[name] == "missing"]
    problems = [f"not installed: {', '.join(missing)}; pip install -r requirements.txt"] * bool(
        missing
    )
    if found["albumentations"].startswith("1."):
        problems.append(
            "albumentations 1 has other argument names than the course: pip install 'albumentations>=2,<3'"
        )
    cpu_builds = {"+cpu" in found[name] for name in ("torch", "torchvision") if name not in missing}
    if len(cpu_builds) == 2 and platform.machine() == "x86_64":
        problems.append(
            "one of torch and torchvision is a CPU build, the other not, and may not import: reinstall"
        )
    return problems


def report() -> str:
    """Versions, device, threads, switches, data sources and known-bad combinations, as lines of text."""
    found, switches = versions(), {name: os.environ.get(name, "(not set)") for name in SWITCHES}
    lines = [
        f"{name:15} {value}"
        for name, value in (found | machine() | switches | data_sources()).items()
    ]
    return "\n".join(
        lines + [f"{'problem':15} {problem}" for problem in known_problems(found) or ["none known"]]
    )
