"""How long a session takes: what it computes is measured, and what is read aloud is counted."""

import json
import re
from pathlib import Path
from typing import Any

from helpers.environment import machine, runs_root, smoke
from helpers.writing import replacing

WORDS_A_MINUTE = 130  # read aloud to a class, with a glance at it
WORD = re.compile(r"\w[\w'’.,-]*")
COMMENT = re.compile("<!--.*?-->", re.DOTALL)


def file_of(name: str) -> Path:
    """Where the seconds of a session are kept: on this machine, beside its page."""
    return runs_root() / f"{name}.seconds.json"


def keep(name: str, seconds: float) -> None:
    """Note how long a whole session has computed; the fast profile says nothing about a lesson."""
    if smoke():
        return
    # A number without its machine could not be told from that of another one.
    here = machine()
    found = {"seconds": round(seconds, 1), "device": here["device"], "threads": here["threads"]}
    with replacing(file_of(name)) as temporary:
        temporary.write_text(json.dumps(found), encoding="utf-8")


def measured(name: str) -> str:
    """A sentence about the time that a session computes on this machine, as ``keep`` noted it."""
    number = name[:2]
    try:
        found = json.loads(file_of(name).read_text(encoding="utf-8"))
        seconds, device = float(found["seconds"]), found["device"]
    except (OSError, ValueError, KeyError, TypeError):
        # A file that was never written, or by another version of this one.
        return (
            f"How long it computes was not measured here: `python -m helpers run {number}` does so."
        )
    return f"On this machine ({device}) it computes {seconds / 60:.1f} minutes, run as a whole."


def reading(cells: list[Any]) -> float:
    """Minutes in which the Markdown of some cells is read aloud."""
    # Code is not read aloud, and what is in a comment nobody sees.
    words = 0
    for cell in cells:
        if cell.cell_type == "markdown":
            words += len(WORD.findall(COMMENT.sub("", cell.source)))
    return words / WORDS_A_MINUTE
