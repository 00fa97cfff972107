"""What a process leaves in the data folder when it is killed while it writes there."""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

LONGEST_WRITING = 24 * 3600  # seconds; nothing that is older is still being written


def remove_leftovers(folder: Path, name: re.Pattern[str]) -> None:
    """Remove the temporary files and folders in ``folder`` whose process is no more.

    ``name`` matches their names; its first group is the number of the process that writes them.
    The number tells of processes of this machine alone: one on another machine that writes into
    the same folder at this moment loses its copy, says so, and decodes again at its next load.
    """
    with contextlib.suppress(OSError):  # a folder that is not there, or not ours, holds nothing
        for path in folder.iterdir():
            match = name.fullmatch(path.name)
            if match and not is_being_written(path, int(match[1])):
                remove(path)


def is_being_written(path: Path, process: int) -> bool:
    """Whether the process still runs, and ``path`` is not older than any writing takes.

    The age decides where another process has got the number since.
    """
    age = time.time() - path.stat().st_mtime
    return age < LONGEST_WRITING and is_running(process)


def is_running(process: int) -> bool:
    """Whether there is a process of this number. Windows cannot be asked so, and says yes."""
    if os.name == "nt":  # there, os.kill ends the process
        return True
    try:
        os.kill(process, 0)  # signal 0 is sent to nobody: it asks
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
