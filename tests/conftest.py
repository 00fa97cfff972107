"""Every test runs in the fast profile; those that want real data ask for the folder that holds it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers.environment import ROOT

os.environ.update(COURSE_SMOKE="1", NO_ALBUMENTATIONS_UPDATE="1")
os.environ.pop("COURSE_TRAIN", None)


@pytest.fixture(scope="session")
def real_data_root() -> Path:
    """The first folder that holds the real MNIST: COURSE_DATA, shared/data beside the repository, or data/ in it."""
    places = [os.environ.get("COURSE_DATA"), ROOT.parent / "shared" / "data", ROOT / "data"]
    for place in [Path(place).resolve() for place in places if place]:
        if (place / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return place
    pytest.skip(
        "the real MNIST is neither in COURSE_DATA nor in data/: run `python -m helpers data` to fetch it"
    )
