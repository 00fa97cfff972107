"""The one writer of tables: HTML in Jupyter, Markdown in README, aligned text in a terminal."""

import html
import re
from collections.abc import Iterable, Sequence

from helpers.environment import CourseError

# A number, such as 9,274 or 99.41 % or −0.14, and a range of two, such as 99.23–99.53 %
NUMBER = r"[-+−]?\d[\d.,]*"
QUANTITY = re.compile(rf"{NUMBER}( ?[–±] ?{NUMBER})?( ?[%s×])?")
NOTHING = "–"  # a cell without anything
MISSING = ("", NOTHING)
RULES = {"left": "---", "right": "---:"}


class Table:
    """Rows of cells under a head. As the last line of a notebook cell it shows itself.

    ``print`` gives aligned text. Columns of numbers are lined up on their right side.

    head: the title of each column.
    rows: cells of any type, shown as ``str`` writes them; they may hold Markdown, such as code.
    note: a line below the table, such as what a difference is taken against.

    Raises ``CourseError`` for a row that is longer or shorter than the head.
    """

    def __init__(
        self, head: Sequence[object], rows: Iterable[Sequence[object]], note: str = ""
    ) -> None:
        self.head = as_text(head)
        self.rows = []
        self.note = note
        for row in rows:
            cells = cells_of(row)
            if len(cells) != len(self.head):
                raise CourseError(
                    f"Table: a row has {len(self.head)} cells, one for each title, not "
                    f"{one_line(repr(row))[:80]}"
                )
            self.rows.append(cells)

    def __str__(self) -> str:
        lines = []
        for row in [self.head, *self.rows]:
            lines.append(list(map(one_line, row)))

        # Each column is as wide as its widest cell.
        widths = []
        for column in zip(*lines, strict=True):
            widths.append(max(map(len, column)))

        text = []
        for line in lines:
            cells = []
            for cell, width, side in zip(line, widths, self.sides(), strict=True):
                cells.append(filled(cell, width, side))
            text.append("  ".join(cells).rstrip())
        if self.note:
            text.append(self.note)
        return "\n".join(text)

    __repr__ = __str__

    def markdown(self) -> str:
        """The table as GitHub reads it: a line per row, cells between bars, the note below."""
        # In Markdown, the line below the head says on which side a column is lined up.
        rules = []
        for side in self.sides():
            rules.append(RULES[side])

        lines = [markdown_line(self.head), markdown_line(rules)]
        for row in self.rows:
            lines.append(markdown_line(row))
        if self.note:
            lines += ["", self.note]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What Jupyter shows. No colours are set, so that a dark theme brings its own."""
        sides = self.sides()
        lines = ["<table>", "<thead>", html_line("th", self.head, sides), "</thead>", "<tbody>"]
        for row in self.rows:
            lines.append(html_line("td", row, sides))
        lines += ["</tbody>", "</table>"]
        if self.note:
            lines.append(f"<p><small>{html.escape(self.note)}</small></p>")
        return "\n".join(lines)

    def sides(self) -> list[str]:
        """The side of each column: right where it holds numbers, or dashes in their place."""
        sides = []
        for column in range(len(self.head)):
            # One cell of words makes a column of words.
            numbers = 0
            words = 0
            for row in self.rows:
                if QUANTITY.fullmatch(row[column]):
                    numbers += 1
                elif row[column] not in MISSING:
                    words += 1
            side = "left"
            if numbers > 0 and words == 0:
                side = "right"
            sides.append(side)
        return sides


def cells_of(row: Sequence[object]) -> list[str]:
    """The cells of a row as texts; none where it is no row."""
    # A text has a length as well: its letters would become the cells.
    if isinstance(row, str) or not isinstance(row, Iterable):
        return []
    return as_text(row)


def as_text(cells: Iterable[object]) -> list[str]:
    """Each cell as a text."""
    return list(map(str, cells))


def one_line(cell: str) -> str:
    """A cell without line breaks, which neither a terminal's table nor Markdown's can hold."""
    return " ".join(cell.splitlines())


def filled(cell: str, width: int, side: str) -> str:
    """A cell with blanks up to its width; it stands on its ``side``."""
    if side == "right":
        return cell.rjust(width)
    return cell.ljust(width)


def markdown_line(cells: Sequence[str]) -> str:
    """A row between bars. A bar inside a cell is escaped, and so are backslashes before it."""
    escaped = []
    for cell in cells:
        escaped.append(re.sub(r"(\\*)\|", r"\1\1\\|", one_line(cell)))
    return f"| {' | '.join(escaped)} |"


def html_line(tag: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    """A row of ``td`` or ``th`` cells, which may have several lines."""
    parts = []
    for cell, side in zip(cells, sides, strict=True):
        text = "<br>".join(html.escape(cell).splitlines())
        # Jupyter lines all cells up on the right unless a cell says otherwise.
        parts.append(f'<{tag} style="text-align: {side}">{text}</{tag}>')
    return f"<tr>{''.join(parts)}</tr>"
