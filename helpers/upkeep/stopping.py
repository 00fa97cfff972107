"""How a command ends that is stopped: by Ctrl-C, by SIGTERM, or by a pipe that nobody reads."""

import contextlib
import os
import signal
from collections.abc import Iterator

# The statuses that a shell gives to what was ended by SIGINT and by SIGPIPE.
STOPPED = 130
UNREAD = 141

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_at_once(*_: object) -> None:
    """Handle a signal: end this process without a traceback, and without any other work."""
    # Written past Python's own streams, which may be in the middle of a line.
    with contextlib.suppress(OSError):
        os.write(2, b"stopped\n")
    os._exit(STOPPED)


def end_when_stopped() -> None:
    """Let a signal end this process at once, as long as there is nothing that it could lose."""
    for number in SIGNALS:
        # A shell has its background jobs ignore Ctrl-C, and so it stays.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end_at_once)


def ignore_further() -> None:
    """Ignore more signals in a process of the command that is about to end anyway."""
    # Where main was called by other code, the signals are that code's.
    for number in SIGNALS:
        if signal.getsignal(number) is end_at_once:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` for Ctrl-C and SIGTERM, so that processes end with a command."""
    before = {}
    try:
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if handler is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
                before[number] = handler
    except ValueError:
        pass  # only the main thread may set handlers
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
