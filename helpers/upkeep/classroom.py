"""What a class needs, from the sessions themselves: student and teacher editions, and slides.

All of it lies in a folder outside git, and every page opens without a network.
"""

import html
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from helpers.environment import NOTEBOOKS, CourseError, runs_root
from helpers.upkeep import decks, editions, engine, formulas, minutes, notes, pages
from helpers.writing import check_folder, replacing

# A picture of the course in a text; others are none of the course's files.
PICTURE = re.compile(r"\]\(\.\./images/([\w.-]+)\)")

# Filled in by ``as_index``. It has the style of the pages that it leads to.
INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Classroom</title>
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<style>{style}</style></head><body><main>
<h1>For the classroom</h1>
<p>All pages open without a network. The notebooks need the course's package:
<code>pip install -r requirements.txt</code> in the folder of the course. In the slides the space
bar goes on, the key S opens the teacher's notes in a window of their own, and ? lists all keys.</p>
<table><tr><th>session</th><th>student</th><th>teacher</th><th>slides</th><th>minutes planned</th>
<th>read aloud</th></tr>
{rows}</table>
</main></body></html>
"""


@dataclass
class Session:
    """A session as it is in the course, with the teacher's notes."""

    name: str
    notebook: Any
    notes: dict[str, notes.Note]


def folder() -> Path:
    """Where the editions are written."""
    return runs_root() / "classroom"


def read_sessions() -> list[Session]:
    """Every session, in order. Raises ``CourseError`` for a note that fits no cell."""
    # A session that is added to the folder has its editions too: no list names them.
    found = []
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        # Notes are kept by the ids of cells, which stay when a text is changed.
        cells = {cell.id for cell in notebook.cells}
        found.append(Session(path.stem, notebook, notes.load(path.stem, cells)))
    return found


def write() -> tuple[Path, list[str]]:
    """Write all editions and a page that leads to them.

    Returns that page, and a line for each thing that had to be left out. Raises ``CourseError``
    where a note is wrong or the folder cannot be written.
    """
    # What is wrong is found before anything is written.
    sessions = read_sessions()
    check_folder(folder())
    remarks = [line for line in [formulas.problem()] if line]
    # Without the engine everything else is still of use.
    slides = load_engine(remarks)

    # One edition after the other, so that only one long text is in memory.
    for session in sessions:
        write_edition(session, "student", editions.student(session.notebook))
        taught = editions.teacher(session.notebook, session.name, session.notes)
        write_edition(session, "teacher", taught)
        copy_pictures(session)
        if slides is not None:
            deck = decks.as_deck(session.notebook, session.name, session.notes, slides)
            write_text(folder() / "slides" / f"{session.name}.html", deck)
            pages.copy_linked(session.notebook, folder() / "slides")

    # Last, and so it never leads to a file that is not there yet.
    index = folder() / "index.html"
    write_text(index, as_index(sessions, with_slides=slides is not None))
    return index, remarks


def load_engine(remarks: list[str]) -> dict[str, str] | None:
    """The slide engine, or None and one line more among the remarks."""
    try:
        return engine.load()
    except CourseError as problem:
        remarks.append(f"the slides are left out: {problem}")
        return None


def write_edition(session: Session, kind: str, edition: Any) -> None:
    """Write an edition as a notebook to work in, and as a page to read or print."""
    # The names are those of the sessions, so that links between sessions lead on.
    place = folder() / kind
    write_text(place / f"{session.name}.ipynb", nbformat.writes(edition) + "\n")
    page = pages.as_page(edition, session.name, unfolded=kind == "teacher")
    write_text(place / f"{session.name}.html", page)
    pages.copy_linked(edition, place)


def write_text(path: Path, text: str) -> None:
    """Write a file whole, in a folder that is made where it is missing."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def copy_pictures(session: Session) -> None:
    """Put the pictures that a notebook's text shows where its editions look for them."""
    for cell in session.notebook.cells:
        for name in PICTURE.findall(cell.source):
            # One that is missing leaves its description; a test of the notebooks tells of it.
            source = NOTEBOOKS.parent / "images" / name
            if source.is_file():
                with replacing(folder() / "images" / name) as temporary:
                    shutil.copyfile(source, temporary)


def as_index(sessions: list[Session], with_slides: bool) -> str:
    """The page that leads to all editions."""
    rows = []
    for session in sessions:
        planned = sum(note.minutes for note in session.notes.values())
        cells = [
            html.escape(session.name.replace("_", " ")),
            both_forms("student", session.name),
            both_forms("teacher", session.name),
            "–",
            f"{planned:g}",
            f"{minutes.reading(session.notebook.cells):.0f}",
        ]
        if with_slides:
            cells[3] = f'<a href="slides/{session.name}.html">slides</a>'
        rows.append(f"<tr><td>{'</td><td>'.join(cells)}</td></tr>")
    return INDEX.format(style=pages.style("page.css"), rows="\n".join(rows))


def both_forms(kind: str, name: str) -> str:
    """Links to an edition as a page and as a notebook."""
    place = f"{kind}/{name}"
    return f'<a href="{place}.html">page</a>, <a href="{place}.ipynb">notebook</a>'
