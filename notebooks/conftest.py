"""Notebooks run in the fast profile under pytest, also with this folder alone."""

import os

import pytest

# The kernels inherit these. One thread: on busy cores two of them wait for each other.
os.environ.update(COURSE_SMOKE="1", NO_ALBUMENTATIONS_UPDATE="1", OMP_NUM_THREADS="1")
os.environ.pop("COURSE_TRAIN", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cells belong to the slow tests, and nbval itself limits the time of each."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(0))
