"""Slides: nothing is cut off at 1280 × 720, in a real browser; the engine is the published one."""

import hashlib
import io
import re
import tarfile
from base64 import b64encode
from itertools import pairwise
from pathlib import Path

import browser
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.environment import NOTEBOOKS, CourseError
from helpers.upkeep import decks, editions, engine, notes, pages

SESSIONS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
PARTS = {
    "script": "let engine;",
    "style": ".reveal {}",
    "notes": "let notes;",
    "license": "MIT <x>",
}

# What is seen of every slide with all of its fragments: measured from the boxes of its texts and
# pictures on the screen, and not by what the deck says of itself.
MEASURE = """
(async () => {
  while (!(window.Reveal && Reveal.isReady())) await new Promise((go) => setTimeout(go, 20));
  const found = [];
  for (const slide of document.querySelectorAll(".slides > section > section")) {
    const place = Reveal.getIndices(slide);
    Reveal.slide(place.h, place.v);
    slide.querySelectorAll(".fragment").forEach((part) => part.classList.add("visible"));
    const boxes = [];
    const walker = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      if (!walker.currentNode.data.trim()) continue;
      const range = document.createRange();
      range.selectNodeContents(walker.currentNode);
      boxes.push(...range.getClientRects());
    }
    for (const image of slide.querySelectorAll("img")) boxes.push(image.getBoundingClientRect());
    const shown = boxes.filter((box) => box.width > 0 && box.height > 0);
    const hidden = Array.from(slide.querySelectorAll("*")).filter((part) =>
      getComputedStyle(part).overflow !== "visible" && part.clientHeight &&
      (part.scrollHeight > part.clientHeight + 1 || part.scrollWidth > part.clientWidth + 1));
    const cell = slide.querySelector("[id^='cell-id='], [data-of]");
    found.push({
      cell: cell ? (cell.id || cell.dataset.of).slice(8) : "",
      parts: shown.length,
      left: Math.min(...shown.map((box) => box.left)),
      top: Math.min(...shown.map((box) => box.top)),
      right: Math.max(...shown.map((box) => box.right)),
      bottom: Math.max(...shown.map((box) => box.bottom)),
      hidden: hidden.length,
      text: parseFloat(getComputedStyle(slide).fontSize),
      fit: slide.dataset.fit,
      words: slide.textContent,
    });
  }
  return found;
})()
"""


def cut_off(slides):
    """The slides of which something lies outside the screen, by the id of their first cell."""
    found = []
    for slide in slides:
        inside = slide["left"] >= 0 and slide["top"] >= 0
        inside = inside and slide["right"] <= decks.WIDTH and slide["bottom"] <= decks.HEIGHT
        if not inside or slide["hidden"] or slide["fit"] == "0":
            found.append(slide["cell"])
    return found


@pytest.fixture(scope="module")
def published():
    """reveal.js from its cache; a test fetches nothing."""
    content = engine.read_sound(engine.cached())
    if content is None:
        pytest.skip(f"no reveal.js in {engine.cached()}: `python -m helpers classroom` fetches it")
    return engine.unpack(content)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.Browser(tmp_path_factory.mktemp("browser"), decks.WIDTH, decks.HEIGHT) as page:
        yield page


@pytest.fixture
def shown(chromium, published, tmp_path):
    """Open a notebook as a deck, and measure its slides."""

    def show(notebook, name="deck", noted=None):
        path = tmp_path / f"{name}.html"
        path.write_text(decks.as_deck(notebook, name, noted or {}, published), encoding="utf-8")
        chromium.errors.clear()
        chromium.open(path)
        slides = chromium.run(MEASURE)
        assert chromium.errors == [] and chromium.from_the_network == []
        return slides

    return show


def slide(cell, kind):
    cell.metadata["slideshow"] = {"slide_type": kind}
    return cell


# In the browser.


@pytest.mark.slow
@pytest.mark.parametrize("name", SESSIONS)
def test_nothing_is_cut_off(shown, name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    noted = notes.load(name, {cell.id for cell in notebook.cells})
    slides = shown(notebook, name, noted)
    assert len(slides) > 15 and all(one["parts"] for one in slides)
    assert cut_off(slides) == []
    # From the back of a room: text of 17 pixels on a screen of 720.
    assert min(one["text"] for one in slides) >= 17


def test_a_full_slide_becomes_two_that_hold_the_same_words(shown):
    cells = [slide(new_markdown_cell("## Start"), "slide")]
    for number in range(12):
        words = f"Paragraph {number} " + "goes on with many more words about it " * 8
        cells.append(slide(new_markdown_cell(words), ["-", "fragment"][number % 2]))
    slides = shown(new_notebook(cells=cells))
    assert len(slides) > 1 and cut_off(slides) == []
    seen = re.findall(r"Paragraph \d+", " ".join(one["words"] for one in slides))
    assert seen == [f"Paragraph {number}" for number in range(12)]
    assert all(one["text"] > 21 for one in slides)


def test_outputs_that_do_not_fit_below_their_code_go_to_the_next_slide(shown):
    lines = "\n".join(f"line = {number}" for number in range(24))
    printed = "\n".join(f"printed {number}" for number in range(24))
    cell = new_code_cell(lines, outputs=[new_output("stream", text=printed)])
    slides = shown(new_notebook(cells=[slide(cell, "slide")]))
    assert len(slides) == 2 and cut_off(slides) == []
    assert "line = 23" in slides[0]["words"] and "printed 0" in slides[1]["words"]


@pytest.mark.parametrize("source", ["x = 1\n" * 120, f"x = '{'1' * 160}'"])
def test_what_is_too_much_for_any_slide_is_reported(shown, source):
    cell = slide(new_code_cell(source, id="far-too-much"), "slide")
    assert cut_off(shown(new_notebook(cells=[cell]))) == ["far-too-much"]


def test_the_notes_are_in_the_deck_and_not_on_the_slide(shown, chromium):
    cells = [slide(new_markdown_cell("Seen", id="seen"), "slide")]
    noted = notes.parse("## seen\n- ask: Only the teacher sees this?\n", "notes")
    [only] = shown(new_notebook(cells=cells), noted=noted)
    asked = chromium.run("Reveal.getSlideNotes(Reveal.getCurrentSlide())")
    assert "Only the teacher sees this?" in asked
    assert chromium.run("document.querySelector('aside.notes').offsetHeight") == 0
    assert only["bottom"] < 200


@pytest.mark.slow
@pytest.mark.parametrize("name", SESSIONS)
def test_pages_open_with_the_network_cut(chromium, tmp_path, name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    path = tmp_path / f"{name}.html"
    path.write_text(pages.as_page(notebook, name), encoding="utf-8")
    chromium.errors.clear()
    chromium.requests.clear()
    chromium.open(path)
    assert chromium.errors == [] and chromium.from_the_network == []
    # Formulas are drawn, solutions are closed, and nothing reaches over the page's edge.
    heights = "Array.from(document.querySelectorAll('math'), (one) => one.clientHeight)"
    drawn = chromium.run(heights)
    assert drawn and min(drawn) > 5
    assert chromium.run("document.querySelectorAll('details[open]').length") == 0
    assert chromium.run("document.documentElement.scrollWidth") <= decks.WIDTH
    broken = "Array.from(document.images).filter((one) => !one.naturalWidth || !one.alt).length"
    assert chromium.run(broken) == 0


# Without a browser.


@pytest.mark.slow
def test_a_deck_has_no_solution_and_no_far_address():
    for name in SESSIONS:
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        deck = decks.as_deck(notebook, name, {}, PARTS)
        for cell in notebook.cells:
            if editions.is_solution(cell):
                assert f"cell-id={cell.id}" not in deck
        loaded = re.findall(r'<(?:script|img|link)\b[^>]*?(?:src|href)="([^"]{,30})', deck)
        assert len(loaded) >= 3 and all(address.startswith("data:") for address in loaded)
        assert "MIT &lt;x&gt;" in deck


def test_the_slides_follow_the_types_of_the_cells():
    kinds = ["slide", "-", "subslide", "fragment", "skip", "slide"]
    cells = [slide(new_markdown_cell(f"cell {at}"), kind) for at, kind in enumerate(kinds)]
    deck = decks.as_deck(new_notebook(cells=cells), "deck", {}, PARTS)
    marks = re.findall(r"<section|</section|cell \d|class=\"fragment\"", deck)
    pattern = "<section <section cell0 cell1 </section <section cell2 fragment cell3 </section"
    pattern += " </section <section <section cell5 </section </section"
    plain = [mark.replace(" ", "").replace('class="', "").strip('"') for mark in marks]
    assert plain == pattern.split()
    assert "cell 4" not in deck  # the cell that is skipped


# The engine.


def package(**files):
    """A package as npm packs it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(engine.PARTS[name])
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry in a folder, which holds a small package; gives the package's path."""
    content = package(**PARTS)
    path = tmp_path / "registry" / "reveal.js" / "-" / engine.FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    digest = b64encode(hashlib.sha512(content).digest()).decode()
    monkeypatch.setattr(engine, "SHA512", digest)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", (tmp_path / "registry").as_uri() + "/")
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    return path


def test_the_engine_is_fetched_once(registry):
    assert engine.load() == PARTS
    registry.unlink()
    assert engine.load() == PARTS


def test_a_damaged_cache_is_fetched_anew(registry):
    engine.load()
    whole = engine.cached().read_bytes()
    for damaged in (whole[:-1], whole[:40] + b"?" + whole[41:], b""):
        assert damaged != whole
        engine.cached().write_bytes(damaged)
        assert engine.load() == PARTS and engine.cached().read_bytes() == whole


@pytest.mark.parametrize("answer, said", [(None, "could not be fetched"), (b"<html>", "what came")])
def test_an_engine_that_cannot_be_had_is_one_line(registry, answer, said):
    registry.unlink()
    if answer is not None:
        registry.write_bytes(answer)
    with pytest.raises(CourseError, match=said) as caught:
        engine.load()
    assert "\n" not in str(caught.value) and f"npm pack reveal.js@{engine.VERSION}" in str(
        caught.value
    )
    assert not Path(engine.cached()).exists()


def test_steps_of_the_deck_go_down():
    script = (NOTEBOOKS / "classroom" / "deck.js").read_text(encoding="utf-8")
    steps = [float(step) for step in re.findall(r"\[([\d.]+), \d+\]", script)]
    assert len(steps) == 10 and all(one >= other for one, other in pairwise(steps))
