"""What the setup cell of a notebook calls as soon as it has found the course."""

import os
import subprocess
import sys
import tempfile
from importlib import import_module, invalidate_caches, metadata, util
from pathlib import Path

import torch

from helpers.environment import ROOT, CourseError, smoke

# Where the cell looks: the working folder, the folder above it, and what it fetched in Colab.
PLACES = (".", "..", "vision-course")

# What Colab may lack, as requirements.txt asks for it.
NEEDED = (
    "scipy>=1.15,<2",
    "matplotlib>=3.10,<4",
    "albumentations>=2.0.8,<3",
    "torchsummary>=1.5.1,<2",
    "tqdm>=4.66,<5",
)

# What Colab built to fit together and to its GPU.
FIXED = ("torch", "torchvision", "numpy")

KEEP = "from helpers.setup import keep_on_drive; keep_on_drive()"
DRIVE = "/content/drive"


def prepare() -> None:
    """Make the course importable in this kernel, and ready for use where it runs in Colab.

    Raises ``CourseError`` where packages are missing in Colab and cannot be installed.
    """
    put_on_path()
    if smoke():
        # On busy cores two threads spend their time waiting for each other.
        torch.set_num_threads(1)
    if "google.colab" in sys.modules:
        install_missing()
        share_with_commands()
        offer_drive()


def put_on_path() -> None:
    """Put the course first on ``sys.path``, once, as a whole path."""
    # The cell's relative places would lead elsewhere as soon as the working folder changes.
    for place in PLACES:
        # The cell may have failed before, and put them there more than once.
        while place in sys.path:
            sys.path.remove(place)
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))


def install_missing() -> None:
    """Install the packages that are not there, and change neither torch, torchvision nor numpy."""
    missing = []
    for requirement in NEEDED:
        name, _, _ = requirement.partition(">")
        if util.find_spec(name) is None:
            missing.append(requirement)
    if not missing:
        return

    # pip obeys constraints, whatever versions a new package asks for.
    pins = []
    for name in FIXED:
        pins.append(f"{name}=={metadata.version(name)}\n")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(pins))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "-c", str(constraints)]
        done = subprocess.run([*command, *missing], check=False)
    if done.returncode:
        raise CourseError(
            f"pip could not install {', '.join(missing)}, and says above why: "
            "see whether this machine has a network, and run the cell again"
        )
    # Python caches what each folder holds, and would not see the new packages.
    invalidate_caches()


def share_with_commands() -> None:
    """Let ``!python -m helpers …`` in a cell find the course too."""
    before = os.environ.get("PYTHONPATH")
    if not before:
        os.environ["PYTHONPATH"] = str(ROOT)
    elif str(ROOT) not in before.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), before])


def offer_drive() -> None:
    """Say in one line how trainings outlive the machine, where nothing is set for that."""
    if not os.environ.get("COURSE_RUNS"):
        print(f"To keep trainings on your Drive when Colab ends this machine: {KEEP}")


def keep_on_drive(folder: str = "MyDrive/vision-course-runs") -> None:
    """Mount the reader's Google Drive, which asks for leave, and keep checkpoints in it.

    ``folder`` is a path in the Drive. Works in Colab alone.
    """
    drive = import_module("google.colab.drive")
    drive.mount(DRIVE)
    os.environ["COURSE_RUNS"] = f"{DRIVE}/{folder}"
