"""Every test runs in the fast profile, on one thread; some ask for the folder of real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import slow_tests

ROOT = Path(__file__).resolve().parents[1]

# Set before torch is imported, which reads the number of threads once. On busy cores two threads
# spend their time waiting for each other. Processes that a test starts inherit all of it.
os.environ.update(COURSE_SMOKE="1", NO_ALBUMENTATIONS_UPDATE="1", OMP_NUM_THREADS="1")
os.environ.pop("COURSE_TRAIN", None)


def pytest_configure() -> None:
    """One thread also where something brought torch before this file was read."""
    import torch

    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what the quick inner loop leaves out."""
    for item in items:
        name = getattr(item, "originalname", item.name)
        if item.path.name in slow_tests.FILES or name in slow_tests.TESTS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def real_data_root() -> Path:
    """The first folder with the real MNIST: COURSE_DATA, shared/data beside us, or data/."""
    places = [os.environ.get("COURSE_DATA"), ROOT.parent / "shared" / "data", ROOT / "data"]
    for place in [Path(place).resolve() for place in places if place]:
        if (place / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return place
    pytest.skip(
        "the real MNIST is neither in COURSE_DATA nor in data/: "
        "run `python -m helpers data` to fetch it"
    )
