"""The one writer of tables: an HTML table in Jupyter, Markdown in README, aligned text in a terminal."""

import html
import re
from collections.abc import Iterable, Sequence

NUMBER = re.compile(r"[-+−]?\d[\d.,]*( ?[%s×])?|–?")  # what is lined up on its right side


class Table:
    """Rows of text under a head. As the last line of a notebook cell it shows itself; ``print`` gives text.

    ``note`` is a line below the table, such as what a difference is taken against. Cells are told by ``str``.
    Raises ``ValueError`` for a row that is longer or shorter than the head.
    """

    def __init__(
        self, head: Sequence[str], rows: Iterable[Sequence[object]], note: str = ""
    ) -> None:
        self.head = [str(cell) for cell in head]
        self.rows = [[str(cell) for cell in row] for row in rows]
        self.note = note
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"a row of {len(row)} cells under {len(self.head)} heads: {row}")

    def _right(self) -> list[bool]:
        """For each column whether it holds numbers alone, which are lined up on their right side."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.head)
        return [bool(column) and all(map(NUMBER.fullmatch, column)) for column in columns]

    def __str__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        right = self._right()
        text = []
        for line in lines:
            cells = []
            for cell, width, to_the_right in zip(line, widths, right, strict=True):
                cells.append(cell.rjust(width) if to_the_right else cell.ljust(width))
            text.append("  ".join(cells).rstrip())
        if self.note:
            text.append(self.note)
        return "\n".join(text)

    __repr__ = __str__

    def markdown(self) -> str:
        """The table as GitHub and Jupyter read it: a line a row, cells between bars, the note below."""
        rules = ["---:" if right else "---" for right in self._right()]
        lines = []
        for cells in (self.head, rules, *self.rows):
            escaped = [cell.replace("|", "\\|").replace("\n", " ") for cell in cells]
            lines.append(f"| {' | '.join(escaped)} |")
        if self.note:
            lines += ["", self.note]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        right = self._right()
        lines = [self._html_line("th", self.head, right)]
        lines += [self._html_line("td", row, right) for row in self.rows]
        note = f"<p><small>{html.escape(self.note)}</small></p>" if self.note else ""
        return f"<table>{''.join(lines)}</table>{note}"

    def _html_line(self, tag: str, cells: Sequence[str], right: Sequence[bool]) -> str:
        parts = []
        for cell, to_the_right in zip(cells, right, strict=True):
            side = "right" if to_the_right else "left"
            text = html.escape(cell).replace("\n", "<br>")
            parts.append(f'<{tag} style="text-align: {side}">{text}</{tag}>')
        return f"<tr>{''.join(parts)}</tr>"
