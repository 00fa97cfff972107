"""Connections between the processes that train a net together, and what is said of a lost one."""

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta

import torch

from helpers.environment import CourseError

# Others may wait while the first process downloads data, or measures. One that dies is noticed at
# once, because its connections end with it.
PATIENCE = timedelta(hours=2)
JOINING = timedelta(minutes=5)

LOST = (
    "another process of this run has ended; finished epochs are kept, and the same command goes on"
)
# What the libraries that carry the numbers call themselves in their errors.
CARRIERS = ("gloo", "NCCL", "TCPStore", "Connection closed", "Connection reset")


def launched() -> bool:
    """Whether torchrun, or somebody with its environment variables, started several processes."""
    # A single process needs no other one, and trains as without torchrun.
    return int(os.environ.get("WORLD_SIZE") or 1) > 1 and "RANK" in os.environ


@contextlib.contextmanager
def lost_connections() -> Iterator[None]:
    """Turn the errors of a connection whose other end is gone into one line."""
    # It is a RuntimeError too, and has a cause of its own.
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as problem:
        # Most of them have no type of their own.
        words = str(problem)
        if not any(name in words for name in CARRIERS):
            raise
        raise CourseError(LOST) from problem
