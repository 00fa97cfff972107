"""What a killed process leaves behind: the temporary files of ``writing.replacing``.

They are named ``.NAME.PROCESS.RANDOM.tmp``, and PROCESS is the number of the process that writes.
"""

import contextlib
import os
import shutil
import time
from pathlib import Path

LONGEST_WRITING = 24 * 3600  # seconds


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove the temporary files and folders of ``name`` in ``folder`` that nobody writes any more.

    ``name`` is the name of a finished file; it may hold the ``*`` and ``?`` of a shell. A folder
    that does not exist, or cannot be read or written, is left as it is. A process number says
    nothing about other machines: one of them that writes into the same folder loses its copy.
    """
    for path in folder.glob(f".{name}.*.*.tmp"):
        process = path.name.split(".")[-3]
        if not process.isdecimal():
            continue
        # It may vanish at this moment, where another process removes it as well.
        with contextlib.suppress(OSError):
            if not is_being_written(path, int(process)):
                remove(path)


def is_being_written(path: Path, process: int) -> bool:
    """Whether the process still runs, and ``path`` is not older than any writing takes."""
    # The age decides where a new process has got the same number, and on Windows.
    age = time.time() - path.stat().st_mtime
    return age < LONGEST_WRITING and is_running(process)


def is_running(process: int) -> bool:
    """Whether a process of this number exists; always True on Windows, which cannot be asked."""
    # On Windows, os.kill would end the process.
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)  # signal 0 does nothing, and fails where no process receives it
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it exists, and belongs to another user
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file, or a folder with everything in it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
