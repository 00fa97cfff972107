"""Two notebooks from one: what a student works in, and what a teacher has at hand."""

import copy
import re
from collections.abc import Mapping
from typing import Any

from nbformat.v4 import new_markdown_cell

from helpers.upkeep import minutes
from helpers.upkeep.notes import Note

# A place where a guess is asked for: ``guess = None  # your guess: percent``.
ASKED = re.compile(r"^(guess\w*) = None\b", re.MULTILINE)

# What the student edition says of itself, behind its title.
STUDENT = (
    "*This is the student edition: solutions are left out, and so are the outputs from a guess to "
    "its answer. Give your guess, run the cell, and compare, before you read on: later tables may "
    "tell.*"
)


def student(notebook: Any) -> Any:
    """The notebook without solutions, and without outputs from a guess to its answer."""
    edition = copy.deepcopy(notebook)
    edition.cells = [cell for cell in edition.cells if not is_solution(cell)]
    # Without its number a cell is seen to wait for being run.
    for cell in hidden_answers(edition.cells):
        cell.outputs = []
        cell.execution_count = None
    edition.cells.insert(1, remark(STUDENT, "edition", "skip"))
    return edition


def is_solution(cell: Any) -> bool:
    """Whether a cell, of code or of text, belongs to the solution of an exercise."""
    return "solution" in cell.metadata.get("tags", [])


def hidden_answers(cells: list[Any]) -> list[Any]:
    """The code cells from each question to its answer: the last cell that reads the guess."""
    code = [cell for cell in cells if cell.cell_type == "code"]
    # What lies between may give the answer away as well, as a figure above it does.
    hidden = []
    for place, cell in enumerate(code):
        for name in ASKED.findall(cell.source):
            hidden += code[place : answer_to(name, code, place) + 1]
    return hidden


def answer_to(name: str, code: list[Any], asked: int) -> int:
    """The index of the last cell that reads a guess before the name is asked for again."""
    answer = asked
    for place in range(asked + 1, len(code)):
        source = code[place].source
        # The same name serves for many questions, one after the other.
        if name in ASKED.findall(source):
            break
        if re.search(rf"\b{name}\b", source):
            answer = place
    return answer


def remark(text: str, tag: str, slide_type: str, cell_id: str = "") -> Any:
    """A Markdown cell that an edition adds."""
    # A stable id: an edition that is written twice is the same file.
    metadata = {"tags": [tag], "slideshow": {"slide_type": slide_type}}
    return new_markdown_cell(text, metadata=metadata, id=cell_id or tag)


# The teacher's edition.


def teacher(notebook: Any, name: str, notes: Mapping[str, Note]) -> Any:
    """The notebook with its solutions in sight, a plan of its minutes, and a note at some cells."""
    edition = copy.deepcopy(notebook)
    cells = []
    for cell in edition.cells:
        if is_solution(cell) and cell.cell_type == "code":
            unfold(cell)
        cells.append(cell)
        # Behind its cell: the class has read what the teacher then asks about.
        if cell.id in notes:
            note = remark(notes[cell.id].markdown(), "teacher-note", "notes", f"{cell.id}-note")
            cells.append(note)
    edition.cells = cells
    # Behind the title, which stays the first thing that is seen.
    plan = remark(plan_of(notebook, name, notes), "teacher-note", "skip", "plan")
    edition.cells.insert(1, plan)
    return edition


def unfold(cell: Any) -> None:
    """Show the source of a folded cell, in Jupyter and in Colab."""
    cell.metadata.pop("cellView", None)
    cell.metadata.get("jupyter", {}).pop("source_hidden", None)


def sections(notebook: Any) -> list[tuple[str, list[Any]]]:
    """The parts of a notebook, from one heading of the second level to the next."""
    found: list[tuple[str, list[Any]]] = [("Beginning", [])]
    for cell in notebook.cells:
        heading = re.match(r"## (.*)", cell.source)
        if cell.cell_type == "markdown" and heading is not None:
            found.append((heading.group(1), []))
        found[-1][1].append(cell)
    return found


def plan_of(notebook: Any, name: str, notes: Mapping[str, Note]) -> str:
    """A table of the sections: minutes that are planned, and those that reading aloud takes."""
    rows = ["| section | planned | read aloud |", "|:---|---:|---:|"]
    planned_in_all = aloud_in_all = 0.0
    for title, cells in sections(notebook):
        planned = sum(notes[cell.id].minutes for cell in cells if cell.id in notes)
        aloud = minutes.reading(cells)
        rows.append(f"| {title} | {planned:g} | {aloud:.0f} |")
        planned_in_all += planned
        aloud_in_all += aloud
    rows.append(f"| **together** | **{planned_in_all:g}** | **{aloud_in_all:.0f}** |")

    head = "**For the teacher · The plan, in minutes.** " + minutes.measured(name)
    rule = (
        "What is planned is an estimate, with questions and silence; "
        f"reading aloud is counted at {minutes.WORDS_A_MINUTE} words a minute. "
        "Sections with 0 are for reading at home."
    )
    if not notes:
        rule += " Nobody has written notes for this session yet."
    return "\n".join([f"{head} {rule}", "", *rows])
