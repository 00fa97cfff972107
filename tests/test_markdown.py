"""The one writer of tables: read back by parsers of HTML and Markdown, and by eye in a terminal."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from helpers.environment import CourseError
from helpers.markdown import Table

TABLE = Table(
    ("recipe", "parameters", "accuracy"),
    [("basic", "7,964", "99.25 %"), ("our recipe: AdamW", "874", "98.5 %")],
    note="After the last epoch.",
)


class Cells(HTMLParser):
    """The cells of an HTML table as (tag, side, text), a list a row; a line break is ``/``."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, str, str]]] = []
        self.open: list[str] = []
        self.side = ""
        self.text: list[str] = []
        self.notes: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.text.append("/")
            return
        self.open.append(tag)
        self.text = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            assert dict(attributes).keys() == {"style"}
            self.side = str(dict(attributes)["style"])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.rows[-1].append((tag, self.side, "".join(self.text)))
        if tag == "small":
            self.notes.append("".join(self.text))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def texts(table: Table) -> list[list[str]]:
    """The texts of the HTML table, row by row."""
    return [[text for _, _, text in row] for row in Cells(table._repr_html_()).rows]


def markdown_cells(line: str) -> list[str]:
    """A row as GitHub reads it: bars part cells, unless a backslash stands before them."""
    cells = [""]
    for character in re.findall(r"\\[|\\]|.", line.strip()):
        if character == "|":
            cells.append("")
        elif len(character) == 2:
            cells[-1] += character[1]
        else:
            cells[-1] += character
    assert cells[0] == cells[-1] == ""
    return [cell.strip() for cell in cells[1:-1]]


def test_a_terminal_gets_aligned_columns() -> None:
    assert str(TABLE).splitlines() == [
        "recipe             parameters  accuracy",
        "basic                   7,964   99.25 %",
        "our recipe: AdamW         874    98.5 %",
        "After the last epoch.",
    ]
    assert repr(TABLE) == str(TABLE)


def test_markdown_has_a_line_a_row_and_the_note_after_an_empty_one() -> None:
    assert TABLE.markdown().splitlines() == [
        "| recipe | parameters | accuracy |",
        "| --- | ---: | ---: |",
        "| basic | 7,964 | 99.25 % |",
        "| our recipe: AdamW | 874 | 98.5 % |",
        "",
        "After the last epoch.",
    ]


def test_jupyter_gets_every_cell_with_its_side() -> None:
    page = Cells(TABLE._repr_html_())
    head, first, second = page.rows
    assert [tag for tag, _, _ in head] == ["th"] * 3
    assert [tag for tag, _, _ in first + second] == ["td"] * 6
    sides = ["text-align: left", "text-align: right", "text-align: right"]
    assert [[side for _, side, _ in row] for row in page.rows] == [sides] * 3
    assert texts(TABLE) == [TABLE.head, *TABLE.rows]
    assert page.notes == ["After the last epoch."]


def test_no_colour_is_set_so_that_a_dark_theme_is_readable() -> None:
    assert not re.search("color|background|#[0-9a-f]{3}|class=", TABLE._repr_html_())


def test_html_is_escaped() -> None:
    table = Table(("a < b", "&"), [("<script>", 'x="1"'), ("it's", "&amp;")], note="<b>")
    assert texts(table) == [["a < b", "&"], ["<script>", 'x="1"'], ["it's", "&amp;"]]
    assert "<script>" not in table._repr_html_()
    assert Cells(table._repr_html_()).notes == ["<b>"]


@pytest.mark.parametrize("cell", ["a|b", "|", "||", r"a\|b", r"\\|", r"C:\data", "`a|b`"])
def test_a_bar_inside_a_cell_parts_no_cells_in_markdown(cell: str) -> None:
    table = Table(("one", cell), [(cell, "two")])
    head, _, row = table.markdown().splitlines()
    assert len(markdown_cells(head)) == len(markdown_cells(row)) == 2
    if "\\" not in cell:
        assert markdown_cells(row) == [cell, "two"]
    assert texts(table) == [["one", cell], [cell, "two"]]
    assert cell in str(table)


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_line_break_is_kept_in_html_and_a_blank_elsewhere(line_break: str) -> None:
    table = Table(("the\nhead", "b"), [(f"two{line_break}lines", "x")])
    assert texts(table) == [["the/head", "b"], ["two/lines", "x"]]
    assert str(table).splitlines() == ["the head   b", "two lines  x"]
    assert table.markdown().splitlines()[::2] == ["| the head | b |", "| two lines | x |"]


def test_a_table_without_rows_is_its_head() -> None:
    table = Table(("a", "number"), [])
    assert str(table) == "a  number"
    assert table.markdown() == "| a | number |\n| --- | --- |"
    assert texts(table) == [["a", "number"]]


def test_a_table_without_columns_is_nothing() -> None:
    assert str(Table((), [])) == "" and texts(Table((), [])) == [[]]


def test_without_a_note_nothing_follows() -> None:
    table = Table(("a",), [("x",)])
    assert str(table) == "a\nx" and table.markdown() == "| a |\n| --- |\n| x |"
    assert table._repr_html_().endswith("</table>")


SINGLE = ["0", "9,274", "6,379,786", "99.41 %", "99.4%", "-0.14", "+0.14", "−0.14", "12 s", "3×"]
DOUBLE = ["99.41 ± 0.05 %", "20.77–93.85 %", "0.0251 ± 0.0004", "2 – 3"]


@pytest.mark.parametrize("cell", [*SINGLE, *DOUBLE])
def test_numbers_stand_on_the_right(cell: str) -> None:
    assert Table(("n",), [(cell,), ("–",), ("",)]).sides() == ["right"]


WORDS = ["ant", "5 of 5", "99.41 ± 0.05 % (n = 5)", "2026-11-22", "3x3 pixels", "≥ 99.4 %"]


@pytest.mark.parametrize("cell", [*WORDS, "v1.0", "1 2", "nan %", "n", "%", "."])
def test_words_stand_on_the_left_with_all_their_column(cell: str) -> None:
    assert Table(("n",), [("9,274",), (cell,)]).sides() == ["left"]


@pytest.mark.parametrize("cell", ["–", ""])
def test_a_column_without_any_number_is_no_column_of_numbers(cell: str) -> None:
    assert Table(("words",), [(cell,)]).sides() == ["left"]


def test_cells_of_any_type_are_told_by_str() -> None:
    table = Table(("a", 2), [(1, 2.5), (None, True)])
    assert table.head == ["a", "2"] and table.rows == [["1", "2.5"], ["None", "True"]]


def test_rows_may_come_one_by_one() -> None:
    table = Table(("a", "b"), (pair for pair in [(1, 2), (3, 4)]))
    assert str(table) == str(table) == "a  b\n1  2\n3  4"


@pytest.mark.parametrize("row", [(), ("x",), ("x", "y", "z"), "xy", 5, None])
def test_a_row_that_does_not_fit_its_head_is_refused(row: object) -> None:
    with pytest.raises(CourseError, match="^Table: .*2 cells.*" + re.escape(repr(row))):
        Table(("a", "b"), [("1", "2"), row])
