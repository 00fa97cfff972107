"""A session as slides of 1280 × 720: one file, with reveal.js in it, that needs no network."""

import base64
from typing import Any

from nbconvert import SlidesExporter

from helpers.environment import NOTEBOOKS
from helpers.upkeep import editions, pages
from helpers.upkeep.notes import Note

WIDTH, HEIGHT = 1280, 720  # pixels; the engine enlarges a slide to the screen that it is shown on

# nbconvert's template for slides, with the engine inside in the place of addresses.
DECK = """
{%- extends 'reveal/index.html.j2' -%}
{%- block header -%}
<!DOCTYPE html>
<html lang="{{ resources.language_code }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>{{ resources['metadata']['name'] | escape_html }}</title>
<!-- reveal.js
{{ resources.engine.license | escape_html }} -->
<style>{{ resources.engine.style }}</style>
<style>{{ resources.style }}</style>
</head>
{%- endblock -%}
{%- block footer -%}
{%- for script in resources.scripts -%}
<script src="{{ script }}"></script>
{%- endfor -%}
</html>
{%- endblock -%}
"""


def as_deck(notebook: Any, title: str, notes: dict[str, Note], engine: dict[str, str]) -> str:
    """The slides of a notebook, by the slide types of its cells, with the notes for the speaker.

    ``engine`` are the texts of reveal.js, as ``helpers.upkeep.engine.load`` gives them. Solutions
    are no part of a deck. The notes are seen in a window of their own, which the key S opens.
    """
    # The notes come as cells of the type "notes", which the template puts into asides.
    edition = editions.teacher(notebook, title, notes)
    edition.cells = [cell for cell in edition.cells if not editions.is_solution(cell)]
    # Blocks of the pages replace those that would load something.
    exporter = pages.prepare(SlidesExporter(raw_template=DECK + pages.BLOCKS))
    resources = {
        "metadata": {"name": title, "path": str(NOTEBOOKS)},
        "style": pages.style("deck.css"),
        "engine": engine,
        # In this order: the last one starts what the other two define.
        "scripts": [
            as_address(engine["script"]),
            as_address(engine["notes"]),
            as_address(pages.style("deck.js")),
        ],
    }
    deck, _ = exporter.from_notebook_node(edition, resources)
    return deck


def as_address(script: str) -> str:
    """A script as an address that holds it: no sign in it can then end the page's own tag."""
    # A third longer than the script itself, and as quick to open.
    content = base64.b64encode(script.encode("utf-8")).decode("ascii")
    return f"data:text/javascript;charset=utf-8;base64,{content}"
