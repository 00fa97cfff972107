"""Editions and pages: what is left out, what is put in again, and that no network is needed."""

import copy
import html.parser
import re
import sys
import xml.etree.ElementTree as ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.environment import NOTEBOOKS, CourseError
from helpers.upkeep import classroom, editions, engine, formulas, kernel, minutes, notes, pages
from helpers.upkeep.sessions import kernel_variables

SESSIONS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
PICTURE = "iVBORw0KGgo="


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code(source, cell_id, *tags, shown="", folded=False):
    """A code cell that was run and has printed ``shown``."""
    metadata = {"tags": list(tags)} if tags else {}
    if folded:
        metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
    outputs = [new_output("stream", text=shown)] if shown else []
    return new_code_cell(source, id=cell_id, metadata=metadata, outputs=outputs, execution_count=1)


def solutions(notebook):
    """Each solution of a notebook, with the id of the cell that it follows."""
    found = []
    before = ""
    for cell in notebook.cells:
        if editions.is_solution(cell):
            found.append((before, cell))
        before = cell.id
    return found


def with_solutions(edition, found):
    """A student edition with the solutions put in at their places, as ``solutions`` gave them."""
    # In their order, for a solution may follow another one.
    whole = copy.deepcopy(edition)
    for before, cell in found:
        ids = [other.id for other in whole.cells]
        whole.cells.insert(ids.index(before) + 1, copy.deepcopy(cell))
    return whole


@pytest.fixture
def lesson():
    """A notebook with two guesses, of which one is answered late, and one exercise."""
    figure = new_output("display_data", {"image/png": PICTURE}, metadata={"image/png": {}})
    figure.metadata["image/png"]["alt"] = 'a "curve" that falls'
    cells = [
        new_markdown_cell("# A lesson", id="title"),
        code("import os", "setup", "setup", folded=True),
        code("1", "before", shown="1"),
        code("guess = None  # your guess: a number", "asked", shown="odd"),
        code("print(2)", "between", shown="2"),
        code("print(guess)", "answer", shown="None"),
        code("print(3)", "after", shown="3"),
        code("guess = None", "asked-again"),
        code("guesses = 4", "no-answer", shown="4"),
        code("f'{guess}'", "answer-again", shown="None"),
        code("guess_rows = None", "never-read", shown="5"),
        code("print(5)", "last", shown="5"),
        new_markdown_cell("## Exercise\n\nWrite $f(n) = n^2$.", id="exercise"),
        code("def f(n): ...", "frame"),
        new_markdown_cell("It squares.", id="told", metadata={"tags": ["solution"]}),
        code("f = lambda n: n * n", "solved", "solution", folded=True),
        code("figure", "figure"),
    ]
    cells[-1].outputs = [figure]
    return new_notebook(cells=cells)


# Editions.


def test_the_student_edition_keeps_what_no_guess_is_about(lesson):
    before = nbformat.writes(lesson)
    edition = editions.student(lesson)
    shown = {cell.id for cell in edition.cells if cell.get("outputs")}
    assert shown == {"before", "after", "last", "figure"}
    assert [cell.id for cell in edition.cells][:2] == ["title", "edition"]
    assert not {"told", "solved"} & {cell.id for cell in edition.cells}
    nbformat.validate(edition)
    assert nbformat.writes(lesson) == before  # the source is left as it was


def test_a_cell_without_its_output_counts_as_not_run(lesson):
    counts = {cell.id: cell.get("execution_count") for cell in editions.student(lesson).cells}
    assert counts["answer"] is counts["asked"] is None and counts["after"] == 1


@pytest.mark.parametrize("name", SESSIONS)
def test_a_student_edition_with_its_solutions_is_the_session(name):
    source = read(name)
    edition = editions.student(source)
    whole = with_solutions(edition, solutions(source))
    del whole.cells[1]  # what the edition says of itself
    both = [[(cell.id, cell.source) for cell in one.cells] for one in (whole, source)]
    assert both[0] == both[1]
    assert not any(editions.is_solution(cell) for cell in edition.cells)
    assert any(editions.is_solution(cell) for cell in source.cells)


@pytest.mark.parametrize("name", SESSIONS)
def test_no_answer_stands_below_a_guess(name):
    # Looked for in another way than the edition does it: by what the answers print.
    for cell in editions.student(read(name)).cells:
        for output in cell.get("outputs", []):
            texts = [output.get("text", ""), *map(str, output.get("data", {}).values())]
            assert not any("your guess" in text for text in texts), cell.id


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a whole session, on cores that may be busy
def test_the_solutions_pass_every_check_in_the_student_edition():
    name = "03_receptive_field"
    source = read(name)
    put_in = solutions(source)
    asked = [cell for _, cell in put_in if "expect_right()" in cell.source]
    assert len(asked) == len(put_in) >= 4
    whole = with_solutions(editions.student(source), put_in)
    # Where a check fails, its cell raises, and so does this.
    kernel.execute(whole, name, NOTEBOOKS, kernel_variables(train=False))
    verdicts = [
        cell.outputs[-1].data["text/plain"] for cell in whole.cells if cell in asked_in(whole)
    ]
    assert len(verdicts) == len(asked) and all("right" in text for text in verdicts), verdicts


def asked_in(notebook):
    return [cell for cell in notebook.cells if editions.is_solution(cell)]


@pytest.mark.slow
def test_a_wrong_solution_is_noticed(lesson):
    lesson.cells[-2].source = "raise AssertionError('not yet')"
    whole = with_solutions(editions.student(lesson), solutions(lesson))
    whole.cells = [cell for cell in whole.cells if cell.id in ("frame", "told", "solved")]
    with pytest.raises(Exception, match="not yet"):
        kernel.execute(whole, "lesson", NOTEBOOKS, kernel_variables(train=False))


def test_the_teacher_edition_shows_solutions_and_notes_at_their_places(lesson):
    note = notes.parse("## exercise Squares\n- minutes: 2.5\n- ask: Why?\n", "notes")
    edition = editions.teacher(lesson, "09_lesson", note)
    ids = [cell.id for cell in edition.cells]
    assert ids[ids.index("exercise") + 1] == "exercise-note" and ids[1] == "plan"
    solved = edition.cells[ids.index("solved")]
    assert "cellView" not in solved.metadata and "source_hidden" not in solved.metadata.jupyter
    assert "source_hidden" in edition.cells[ids.index("setup")].metadata.jupyter
    said = edition.cells[ids.index("exercise-note")].source
    assert "Squares · 2.5 minutes" in said and "**Ask.** Why?" in said
    nbformat.validate(edition)


def test_the_plan_adds_up_minutes_by_section(lesson):
    note = notes.parse("## title\n- minutes: 2\n## exercise\n- minutes: 3\n", "notes")
    plan = editions.plan_of(lesson, "09_lesson", note).splitlines()
    assert plan[-3:-1] == ["| Beginning | 2 | 0 |", "| Exercise | 3 | 0 |"]
    assert plan[-1].startswith("| **together** | **5** |")


def test_reading_aloud_is_counted_in_words_without_comments():
    text = "one two, three's <!-- not these words --> four " * 65
    assert minutes.reading([new_markdown_cell(text), new_code_cell("x = 1")]) == 2.0


def test_what_a_session_computes_is_measured_and_told(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    minutes.keep("03_x", 90.0)
    assert "not measured here" in minutes.measured("03_x")  # the fast profile says nothing
    monkeypatch.delenv("COURSE_SMOKE")
    minutes.keep("03_x", 90.0)
    assert "computes 1.5 minutes" in minutes.measured("03_x")
    for damaged in ("", "{}", "[1]", '{"seconds": "?", "device": 1}'):
        minutes.file_of("03_x").write_text(damaged)
        assert "`python -m helpers run 03`" in minutes.measured("03_x")


# The teacher's notes.


def test_a_note_goes_on_over_lines():
    text = "# Words before\n\n## a-1 Name of it\n- ask: One\n  and two?\n- wrong: Three.\n\n## b\n"
    found = notes.parse(text, "notes")
    assert list(found) == ["a-1", "b"] and found["a-1"].title == "Name of it"
    assert found["a-1"].lines == [("ask", "One and two?"), ("wrong", "Three.")]
    assert found["b"].lines == [] and found["b"].minutes == 0


@pytest.mark.parametrize(
    "text, said",
    [
        ("## a\n- aks: x", "line 2: unknown entry 'aks'; choose one of: minutes, ask, wrong"),
        ("## a\n- minutes: some", "line 2: minutes are a number from 0 to 120, not 'some'"),
        ("## a\n- minutes: nan", "minutes are a number"),
        ("## a\n- minutes: -1", "minutes are a number"),
        ("## a\nwords", "line 2: begin it with `- ask: `"),
        ("## a\n  words", "line 2: begin it with `- ask: `"),
        ("## a\n## a", "line 2: a second note at 'a'; join the two"),
    ],
)
def test_a_wrong_line_of_the_notes_is_named(text, said):
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        notes.parse(text, "notes_01.md")
    assert str(caught.value).startswith("notes_01.md, line")


def test_a_note_at_no_cell_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(notes, "CLASSROOM", tmp_path)
    assert notes.load("01_x", {"a"}) == {}
    (tmp_path / "notes_01.md").write_text("## gone\n", encoding="utf-8")
    with pytest.raises(CourseError, match="has a note at 'gone', which is no cell of 01_x"):
        notes.load("01_x", {"a"})


@pytest.mark.parametrize("name", SESSIONS)
def test_committed_notes_fit_and_every_guess_has_one(name):
    notebook = read(name)
    found = notes.load(name, {cell.id for cell in notebook.cells})
    if not found:
        return  # a session whose notes are yet to be written
    assert 60 <= sum(note.minutes for note in found.values()) <= 150
    for title, cells in editions.sections(notebook):
        asks = any(editions.ASKED.search(cell.source) for cell in cells)
        kinds = {kind for cell in cells if cell.id in found for kind, _ in found[cell.id].lines}
        assert not asks or {"ask", "wrong"} <= kinds, f"{name}: nothing to ask in {title!r}"


# Formulas and pages.


def formulas_of(name):
    """Every formula of a session, by nbconvert's own reading of its Markdown."""
    found = []

    class Noting(pages.Renderer):
        def block_math(self, body):
            found.append((body, "block"))
            return ""

        def inline_math(self, body):
            found.append((body, "inline"))
            return ""

    for cell in read(name).cells:
        if cell.cell_type == "markdown":
            pages.MarkdownWithMath(renderer=Noting(escape=False)).render(cell.source)
    return found


needs_formulas = pytest.mark.skipif(
    bool(formulas.problem()), reason="latex2mathml is not installed"
)


@needs_formulas
@pytest.mark.parametrize("name", SESSIONS)
def test_every_formula_of_a_session_becomes_mathml(name):
    found = formulas_of(name)
    assert found
    for tex, display in found:
        made = formulas.mathml(tex, display)
        element = ElementTree.fromstring(made)
        assert element.tag == "{http://www.w3.org/1998/Math/MathML}math", tex
        assert element.get("display") == display
        # A command that it does not know would stand there with its backslash.
        assert "\\" not in "".join(element.itertext()), tex


@needs_formulas
def test_a_formula_says_what_its_tex_says():
    element = ElementTree.fromstring(formulas.mathml(r"5{,}958 \cdot \frac{a}{b}"))
    names = [part.tag.rpartition("}")[2] for part in element.iter()]
    assert "mfrac" in names
    # The sign of multiplication differs from version to version.
    assert re.fullmatch("5,958[·⋅]ab", "".join(element.itertext()))


def test_without_latex2mathml_the_tex_is_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    assert formulas.mathml(" a < b ") == '<code class="formula">a &lt; b</code>'


def test_a_formula_that_is_none_is_shown_as_it_is():
    assert formulas.mathml(r"\left( a") == r'<code class="formula">\left( a</code>'


class Loads(html.parser.HTMLParser):
    """Collects every address that a browser would load for a page by itself."""

    def __init__(self):
        super().__init__()
        self.found, self.texts = [], []
        self.in_style = False

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.in_style = tag == "style"
        for name in ("src", "srcset", "poster", "data", "background"):
            self.found.append(named.get(name))
        if tag in ("link", "image", "use", "base"):
            self.found.append(named.get("href"))
        self.texts.append(named.get("style") or "")

    def handle_data(self, data):
        if self.in_style:
            self.texts.append(data)


def far_addresses(page):
    """What a page would load that is not in it."""
    reader = Loads()
    reader.feed(page)
    for text in reader.texts:
        reader.found += re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", text)
    flat = ["".join(one) if isinstance(one, tuple) else one for one in reader.found]
    return [address for address in flat if address and not address.startswith(("data:", "#"))]


def test_what_a_page_would_load_is_seen():
    page = (
        '<img src="http://a/b.png"><link href="//c/d.css"><script src="e.js"></script>'
        '<style>@import "f.css"; p { background: url(g.png) }</style><a href="http://free/">x</a>'
        "<p style=\"background: url('h.png')\">"
    )
    assert set(far_addresses(page)) == {
        "http://a/b.png", "//c/d.css", "e.js", "f.css", "g.png", "h.png",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SESSIONS)
def test_a_page_of_a_session_loads_nothing(name):
    page = pages.as_page(read(name), name)
    assert far_addresses(page) == []
    assert page.count("<summary>Solution</summary>") == len(solutions(read(name)))
    assert "$$" not in re.sub(r"<(pre|code|style)\b.*?</\1>", "", page, flags=re.DOTALL)


def test_solutions_and_setup_are_folded_and_the_teacher_sees_solutions(lesson):
    # The setup cell, the words before the solution, and the solution.
    page = pages.as_page(lesson, "lesson")
    assert page.count("<details>") == 3 and "open=" not in page
    assert page.index("<details>", page.index("Exercise")) < page.index("It squares.")
    page = pages.as_page(lesson, "lesson", unfolded=True)
    assert page.count("<details>") == 1 and page.count('<details open="">') == 2


def test_pictures_say_what_they_show(lesson):
    page = pages.as_page(lesson, "lesson")
    assert 'alt="a &quot;curve&quot; that falls"' in page or 'alt=\'a "curve"' in page
    del lesson.cells[-1].outputs[0].metadata["image/png"]
    assert 'alt="a figure, which the text' in pages.as_page(lesson, "lesson")


def test_markdown_with_far_pictures_and_links():
    far = "https://example.org/x.svg"
    made = pages.markdown(
        f"[![Open in Colab]({far})](https://example.org)\n\n<img src='{far}' alt='that'> "
        f'<img alt="this" src="{far}">\n\n[next](02_parameter_budget.ipynb#it) ![gone](../../etc/x)'
    )
    assert "Open in Colab" in made and "this" in made and far_addresses(made) == []
    assert 'href="02_parameter_budget.html#it"' in made and "<em>gone</em>" in made


def test_a_link_out_of_the_notebooks_is_words_in_a_page():
    made = pages.markdown(
        "The [reports](../README.md) and [session 02](02_parameter_budget.ipynb)."
    )
    assert "The reports and <a" in made and "README" not in made


def luminance(colour):
    """Relative luminance of a colour such as #0757ad, by the formula of WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    lighter, darker = sorted([luminance(one), luminance(other)], reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("name", ["page.css", "deck.css"])
def test_every_text_stands_out_from_every_ground(name):
    assert round(contrast("#000000", "#ffffff"), 1) == 21 and contrast("#777777", "#ffffff") < 4.5
    text = pages.style(name)
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", text))
    colours = set(re.findall(r"(?<![-\w])color: (#[0-9a-f]{6})", text))
    colours |= {named[key] for key in re.findall(r"(?<![-\w])color: var\(--(\w+)\)", text)}
    grounds = {"#ffffff", named["ground"], named.get("note", "#ffffff")}
    assert len(colours) > 5
    for colour in colours:
        for ground in grounds:
            assert contrast(colour, ground) >= 4.5, f"{colour} on {ground}"


# The command.


def test_the_command_writes_all_editions(monkeypatch, tmp_path, lesson):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(lesson, folder / "09_lesson.ipynb")
    monkeypatch.setattr(classroom, "NOTEBOOKS", folder)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(engine, "REGISTRY", "file:///nowhere")
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)

    index, remarks = classroom.write()
    assert "the slides are left out: reveal.js could not be fetched" in remarks[-1]
    assert "\n" not in remarks[-1] and "npm pack reveal.js@" in remarks[-1]
    made = {path.relative_to(index.parent).as_posix() for path in index.parent.rglob("*.*")}
    both = ("student/09_lesson", "teacher/09_lesson")
    assert made == {"index.html", *(f"{name}{end}" for name in both for end in (".html", ".ipynb"))}
    for name in both:
        page = (index.parent / f"{name}.html").read_text(encoding="utf-8")
        assert far_addresses(page) == [] and "lambda" in page or "student" in name
    text = index.read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+)"', text)
    assert len(links) == 4 and all((index.parent / link).is_file() for link in links)


def test_pages_that_a_text_links_to_lie_beside_the_page(monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "NOTEBOOKS", tmp_path)
    (tmp_path / "draw.html").write_text("<p>draw here</p>", encoding="utf-8")
    far = "[far](https://example.org/far.html), [up](../up.html), [lost](lost.html)"
    cells = [new_markdown_cell(f"[draw](draw.html), {far}")]
    pages.copy_linked(new_notebook(cells=cells), tmp_path / "made")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["draw.html"]
    assert (tmp_path / "made" / "draw.html").read_text(encoding="utf-8") == "<p>draw here</p>"


def test_a_folder_that_cannot_be_written_is_told_first(monkeypatch, tmp_path):
    (tmp_path / "runs").write_text("a file")
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    with pytest.raises(CourseError, match="cannot be written"):
        classroom.write()
