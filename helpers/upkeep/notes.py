"""The teacher's notes: what to ask at a cell of a session, what goes wrong there, how long it is.

They stand in ``notebooks/classroom/notes_01.md`` and so on, one note under each heading, which
begins with the id of the cell that it belongs to::

    ## s01-10b The brightness of a digit
    - minutes: 3
    - ask: How much of the picture is ink?
    - wrong: Most say one half, and think of the stroke alone.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from helpers.environment import CourseError
from helpers.upkeep.pages import CLASSROOM

# The forms of a line. What stands before the first heading is for readers of the file.
HEADING = re.compile(r"##\s+(\S+)\s*(.*)")
ENTRY = re.compile(r"-\s+(\w+):\s*(.*)")
# What an entry is called in the file, and in the teacher's edition.
KINDS = {
    "ask": "Ask.",
    "wrong": "What goes wrong.",
    "say": "Say.",
    "board": "On the board.",
    "skip": "If time is short.",
}


@dataclass
class Note:
    """What a teacher is told at one cell; ``lines`` are pairs of a kind and a text."""

    cell: str
    title: str = ""
    minutes: float = 0.0
    lines: list[tuple[str, str]] = field(default_factory=list)

    def markdown(self) -> str:
        """The note as the Markdown of a cell."""
        # In one line, as a title that an eye finds while the class waits.
        head = " · ".join(filter(None, ["For the teacher", self.title]))
        if self.minutes:
            head += f" · {self.minutes:g} minutes"
        parts = [f"**{head}**"]
        for kind, text in self.lines:
            parts.append(f"**{KINDS[kind]}** {text}")
        return "\n\n".join(parts)


def notes_file(session: str) -> Path:
    """Where the notes of a session are, by its name: ``01_first_network`` or ``01``."""
    return CLASSROOM / f"notes_{session[:2]}.md"


def load(session: str, cells: set[str]) -> dict[str, Note]:
    """The notes of a session, by the ids of their cells; none where nobody has written any.

    ``cells`` are the ids of the session. Raises ``CourseError`` for a note at a cell that is not
    among them, and for a line that is none of the forms above.
    """
    path = notes_file(session)
    if not path.exists():
        return {}
    found = parse(path.read_text(encoding="utf-8"), path.name)
    # A cell that was renamed or taken out would take its note along in silence.
    for name in found:
        if name not in cells:
            raise CourseError(f"{path.name} has a note at {name!r}, which is no cell of {session}")
    return found


def parse(text: str, name: str) -> dict[str, Note]:
    """The notes of a text. ``name`` is its file's, for errors."""
    notes: dict[str, Note] = {}
    note: Note | None = None
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{name}, line {number}"
        # Every line is a heading, or belongs to the note of the last one.
        heading = HEADING.fullmatch(line)
        if heading is not None:
            note = Note(cell=heading.group(1), title=heading.group(2))
            if note.cell in notes:
                raise CourseError(f"{place}: a second note at {note.cell!r}; join the two")
            notes[note.cell] = note
        elif note is not None and line.strip():
            read_line(note, line, place)
    return notes


def read_line(note: Note, line: str, place: str) -> None:
    """Add an entry, or the next line of an entry, to a note."""
    entry = ENTRY.fullmatch(line)
    if entry is None:
        # A long text goes on, with a margin, on further lines.
        if not line.startswith(" ") or not note.lines:
            raise CourseError(f"{place}: begin it with `- ask: `, or go on with two blanks")
        kind, text = note.lines[-1]
        note.lines[-1] = (kind, f"{text} {line.strip()}")
        return

    # A slip of the finger must not hide a sentence from the teacher.
    kind, text = entry.groups()
    if kind == "minutes":
        note.minutes = read_minutes(text, place)
    elif kind in KINDS:
        note.lines.append((kind, text))
    else:
        choices = ", ".join(["minutes", *KINDS])
        raise CourseError(f"{place}: unknown entry {kind!r}; choose one of: {choices}")


def read_minutes(text: str, place: str) -> float:
    """A number of minutes, from 0 to 120."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    # Also what is no number, such as "nan", is not between the two.
    if not 0 <= minutes <= 120:
        raise CourseError(f"{place}: minutes are a number from 0 to 120, not {text!r}")
    return minutes
