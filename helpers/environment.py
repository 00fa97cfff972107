"""Where the course runs: device, seeds, switches, files and versions. Every other module may import this one."""

from __future__ import annotations

import contextlib
import difflib
import os
import platform
import random
from importlib import metadata
from pathlib import Path
from typing import Iterable, Iterator

import torch

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PACKAGES = ("torch", "torchvision", "numpy", "matplotlib", "torchsummary", "albumentations", "tqdm", "nbval", "nbconvert")


class CourseError(Exception):
    """A problem that the reader can solve; its text is one line: what, which file or value, and the way out."""


def smoke() -> bool:
    """True in the fast profile of the tests (``COURSE_SMOKE=1``): practice data, few samples, few steps."""
    return os.environ.get("COURSE_SMOKE", "") == "1"


def train_live() -> bool:
    """True where ``COURSE_TRAIN=1`` asks to train although a recorded result could be shown."""
    return os.environ.get("COURSE_TRAIN", "") == "1"


def data_root() -> Path:
    """The folder that holds the data sets: ``COURSE_DATA``, or ``data/`` in the repository."""
    return Path(os.environ.get("COURSE_DATA") or ROOT / "data").expanduser()


def runs_root() -> Path:
    """The folder for checkpoints and pages: ``COURSE_RUNS``, or ``runs/`` in the repository."""
    return Path(os.environ.get("COURSE_RUNS") or ROOT / "runs").expanduser()


def pick_device() -> torch.device:
    """The fastest device at hand: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


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
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{random.SystemRandom().getrandbits(32):08x}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def unknown(kind: str, name: str, names: Iterable[str]) -> CourseError:
    """The error for a name that is not there: it says the near ones, or all of them."""
    names = list(names)
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5) or names
    return CourseError(f"unknown {kind} {name!r}; there is: {', '.join(near)}")


def versions() -> dict[str, str]:
    """Installed versions of the course's packages, by name; ``missing`` where one is not installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def machine(device: torch.device | None = None) -> dict[str, str | int]:
    """What a record says of the machine: device and its name, torch, Python, system and number of threads."""
    device = device or pick_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"device": device.type, "device_name": name, "torch": torch.__version__, "python": platform.python_version(),
            "system": platform.system(), "threads": torch.get_num_threads()}


def known_problems(found: dict[str, str]) -> list[str]:
    """One line for each combination of versions that is known to go wrong."""
    problems = []
    if found["albumentations"].startswith("1."):
        problems.append("albumentations 1 knows other argument names than the course: pip install 'albumentations>=2,<3'")
    if "+cpu" in found["torch"] and "+cpu" not in found["torchvision"] and platform.system() == "Linux":
        problems.append("a CPU build of torch beside a CUDA build of torchvision: importing torchvision may fail; install "
                        "both from the same index")
    problems += [f"{name} is not installed: pip install -r requirements.txt" for name, version in found.items()
                 if version == "missing"]
    return problems


def report() -> str:
    """Versions, device, threads, switches and known-bad combinations, as lines of text."""
    found = versions()
    lines = [f"{name:15} {value}" for name, value in {**found, **machine()}.items() if name != "python" or value]
    lines += [f"{name:15} {os.environ.get(name, '(not set)')}"
              for name in ("COURSE_DATA", "COURSE_SMOKE", "COURSE_TRAIN", "COURSE_REPO", "COURSE_RUNS")]
    problems = known_problems(found)
    return "\n".join(lines + ["problems        " + (problems[0] if problems else "none known")]
                     + [" " * 16 + line for line in problems[1:]])
