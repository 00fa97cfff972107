"""The glossary: its terms are used from the session on that introduces them, and not before."""

from __future__ import annotations

import json
import re

import pytest

from helpers.environment import ROOT

ROW = re.compile(r"^\| ([^|]+) \| (\d\d) \| ([^|]+) \|$", re.MULTILINE)
TEXT = (ROOT / "notebooks" / "GLOSSARY.md").read_text(encoding="utf-8")
TERMS = {term: (session, meaning) for term, session, meaning in ROW.findall(TEXT)}

# A term is looked for in the plain words of notebooks: links, titles of other works and names in
# code are no uses of it.
NO_PROSE = re.compile(
    r"`[^`]*`|\[[^\]]*\]\([^)]*\)|\*[A-Z][^*]*\*(?!\*)|^References:.*", re.M | re.S
)


def prose(number: str) -> str:
    """What a session says in its Markdown cells."""
    [path] = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return "\n\n".join(NO_PROSE.sub(" ", text) for text in texts)


PROSE = {path.name[:2]: prose(path.name[:2]) for path in (ROOT / "notebooks").glob("0*.ipynb")}


def uses(term: str, session: str) -> list[str]:
    """Every place of a session that uses a term, or its plural."""
    pattern = re.compile(r"\b" + r"\s+".join(map(re.escape, term.split())) + r"s?\b", re.IGNORECASE)
    return [
        PROSE[session][max(0, at.start() - 40) : at.end() + 40]
        for at in pattern.finditer(PROSE[session])
    ]


def test_the_glossary_is_in_order_and_each_term_is_there_once():
    names = [term for term, _, _ in ROW.findall(TEXT)]
    assert len(names) >= 50 and names == sorted(set(names), key=str.lower)
    # Every line of the table is a row that was read.
    assert len(names) == sum(line.startswith("| ") for line in TEXT.splitlines()) - 1
    for session, meaning in TERMS.values():
        assert session in PROSE and meaning.endswith(".") and len(meaning.split()) >= 4


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_used_by_its_session_and_by_none_before(term):
    session, _ = TERMS[term]
    assert uses(term, session)
    for earlier in sorted(PROSE):
        if earlier < session:
            assert uses(term, earlier) == []
