"""Files that are written whole or not at all, and what is said where one cannot be written."""

import contextlib
import errno
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.environment import CourseError, runs_root

# A full disk, a used-up quota, a file larger than the system allows.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What the system says where a file lies in the place of a folder.
NO_FOLDER = (errno.EEXIST, errno.ENOTDIR)


class WriteError(CourseError, OSError):
    """A folder that cannot be written: one line for the reader.

    Who can go on without the file catches it as the ``OSError`` that it is, too.
    """

    def __init__(self, text: str, problem: OSError) -> None:
        super().__init__(text)
        self.text = text
        self.problem = problem
        self.errno = problem.errno
        self.strerror = problem.strerror or str(problem)

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process sends it to its parent, which makes it anew from both parts.
        return type(self), (self.text, self.problem)


def write_error(folder: Path, problem: OSError) -> WriteError:
    """The error for a folder that the system does not let us write into, with the way out."""
    reason = problem.strerror or str(problem)
    if problem.errno in NO_FOLDER:
        reason = "a file is in the place of a folder"
    text = f"{folder} cannot be written ({reason}): make it a folder that can be written"
    if problem.errno in FULL:
        text = f"no space left in {folder}: make room there"

    # Of all folders that are written, this one is for the reader to choose.
    if folder.is_relative_to(runs_root()):
        text += ", or name another folder in COURSE_RUNS"
    return WriteError(text, problem)


def check_folder(folder: Path) -> None:
    """Make a folder where it is missing, and write a few bytes into it.

    Raises ``WriteError`` now, and not after the hours of work that are to be kept there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"it can be written")
    except OSError as problem:
        raise write_error(folder, problem) from problem


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to, and rename it to ``path`` at the end.

    A reader sees the old file or the new one, never half of it, also when the process is killed
    or when two write at once. After a failure the temporary file is removed; only a killed
    process leaves one, named ``.NAME.PROCESS.RANDOM.tmp``: ``helpers.leftovers`` removes it.
    Raises ``WriteError`` where there is no space, or no right to write.
    """
    path = Path(path)
    # Drawn from the system, not from the seeded generator: two processes may share their seed.
    number = random.SystemRandom().getrandbits(32)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{number:08x}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except (WriteError, FileNotFoundError):
        # One file is written within another's block; or the caller wrote nothing, a defect.
        raise
    except OSError as problem:
        raise write_error(path.parent, problem) from problem
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
