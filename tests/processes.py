"""Questions about processes that may end, or wait to be reaped, while they are asked."""

import psutil


def has_ended(process):
    """Whether a process is gone; one that nobody has reaped yet has ended as well."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def descendants(process, wanted):
    """The processes below a running one for which ``wanted`` holds.

    A zombie has neither arguments nor environment, and a short one, as git's, may end between
    the listing and the question: neither is wanted.
    """
    found = []
    for below in psutil.Process(process.pid).children(recursive=True):
        try:
            if wanted(below):
                found.append(below)
        except psutil.NoSuchProcess:
            continue
    return found
