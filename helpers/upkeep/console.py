"""What a command prints: on any console, and into a pipe that may be closed at any moment."""

import contextlib
import os
import sys
from collections.abc import Iterator


def say(message: str) -> None:
    """Print a line for the reader beside the command's own output, if anyone reads it."""
    try:
        print(message, file=sys.stderr, flush=True)
    except BrokenPipeError:
        write_nowhere()


@contextlib.contextmanager
def printed_at_once() -> Iterator[None]:
    """Bring out all that was printed at the end of the block, where a closed pipe is handled."""
    try:
        yield
    finally:
        sys.stdout.flush()


def print_anywhere() -> None:
    """Let a console that has no sign for a character show a replacement, not end the command."""
    for stream in (sys.stdout, sys.stderr):
        # Streams without this method, such as those of a notebook, take every character.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def write_nowhere() -> None:
    """Throw away what is still to be printed: Python would complain of a closed pipe at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
