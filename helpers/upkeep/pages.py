"""A notebook as one HTML file that needs no network: pictures, formulas and style are in it."""

import base64
import html
import logging
import mimetypes
import re
import shutil
from pathlib import Path
from typing import Any

from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from helpers.environment import NOTEBOOKS, ROOT
from helpers.upkeep.formulas import mathml
from helpers.writing import replacing

CLASSROOM = NOTEBOOKS / "classroom"  # the style of pages and decks, and the teacher's notes

# A link to another session leads to the other session's page.
SESSION_LINK = re.compile(r'href="(\d\d_\w+)\.ipynb')
# A link to a file of the course that no page has near it, such as README, is its words alone.
OUTER_LINK = re.compile(r'<a href="\.\./[^"]*"[^>]*>(.*?)</a>', re.DOTALL)
# A link to a page beside the notebooks.
PAGE_LINK = re.compile(r"\]\(([\w-]+\.html)\)")
# An <img> of a text, with an address in some network.
FAR_IMAGE = re.compile(r"<img\b[^>]*\bsrc\s*=\s*[\"']?(?:https?:)?//[^>]*>", re.IGNORECASE)
ALT = re.compile(r"\balt=([\"'])(.*?)\1")

# What both templates add: pictures say what they show, and nothing is loaded from elsewhere.
BLOCKS = """
{%- macro picture(output, kind) -%}
<div class="jp-RenderedImage jp-OutputArea-output">
<img src="data:{{ kind }};base64,{{ output.data[kind] }}" alt="{{ output | described(kind) }}">
</div>
{%- endmacro -%}
{%- block data_png scoped -%}{{ picture(output, 'image/png') }}{%- endblock -%}
{%- block data_jpg scoped -%}{{ picture(output, 'image/jpeg') }}{%- endblock -%}
{%- block data_latex scoped -%}{{ output.data['text/latex'] | formula }}{%- endblock -%}
"""

# nbconvert's page without what it loads: a reader of notebooks, a style, and formulas.
PAGE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block notebook_css -%}<style>{{ resources.style }}</style>{%- endblock -%}
{%- block codecell -%}
{%- set name = cell | folded_name -%}
{%- if name -%}
<details {{ 'open' if resources.unfolded and name == 'Solution' }}><summary>{{ name }}</summary>
{{ super() }}
</details>
{%- else -%}
{{ super() }}
{%- endif -%}
{%- endblock -%}
{%- block markdowncell scoped -%}
{%- if cell | folded_name -%}
<details {{ 'open' if resources.unfolded }}><summary>Solution</summary>
{{ super() }}
</details>
{%- else -%}
{{ super() }}
{%- endif -%}
{%- endblock -%}
"""


class Renderer(IPythonRenderer):
    """Markdown to HTML: formulas as MathML, and pictures in the page itself."""

    def block_math(self, body: str) -> str:
        """A formula on a line of its own."""
        return mathml(body, "block")

    def inline_math(self, body: str) -> str:
        """A formula inside a sentence."""
        return mathml(body)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """A picture of the course; in the place of one from a network, its description."""
        path = (NOTEBOOKS / url).resolve()
        # Nothing outside the course gets into a page, whatever a notebook names.
        if "://" in url or not path.is_relative_to(ROOT) or not path.is_file():
            return f"<em>{text}</em>"
        return super().image(text, as_data(path), title)


def as_data(path: Path) -> str:
    """A file as an address that holds its content."""
    kind, _ = mimetypes.guess_type(path.name)
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{kind};base64,{content}"


def markdown(text: str) -> str:
    """Markdown with formulas, as HTML that loads nothing."""
    # HTML in a text is the course's own, such as the marks around a result.
    renderer = Renderer(escape=False, anchor_link_text="")
    page = MarkdownWithMath(renderer=renderer).render(text)
    page = FAR_IMAGE.sub(described_only, page)
    page = OUTER_LINK.sub(r"\1", page)
    return SESSION_LINK.sub(r'href="\1.html', page)


def described_only(found: re.Match[str]) -> str:
    """The description of an image that a page cannot load."""
    alt = ALT.search(found.group())
    if alt is None:
        return ""
    return f"<em>{alt.group(2)}</em>"


def described(output: Any, kind: str) -> str:
    """The alternative text of a picture, from its metadata."""
    # Jupyter keeps it by the kind of picture; a tool may set it for the whole output.
    known = output.get("metadata", {})
    text = known.get(kind, {}).get("alt") or known.get("alt")
    return html.escape(text or "a figure, which the text around it explains")


def folded_name(cell: Any) -> str:
    """What stands on a cell that the page folds; nothing for a cell that is shown."""
    # Jupyter folds both of them; nbconvert would show them in full.
    tags = cell.metadata.get("tags", [])
    if "solution" in tags:
        return "Solution"
    if "setup" in tags:
        return "Setup"
    return ""


def prepare(exporter: Any) -> Any:
    """Give an exporter of nbconvert the filters that its template uses."""
    filters = {
        "markdown2html": markdown,
        "described": described,
        "folded_name": folded_name,
        "formula": lambda tex: mathml(tex.strip(" $")),
    }
    for name, function in filters.items():
        exporter.register_filter(name, function)
    # It would print a line about pictures in a text that have no description.
    exporter.log.setLevel(logging.ERROR)
    return exporter


def style(name: str) -> str:
    """One of the style sheets in ``notebooks/classroom``."""
    return (CLASSROOM / name).read_text(encoding="utf-8")


def as_page(notebook: Any, title: str, unfolded: bool = False) -> str:
    """The notebook as a page; setup is folded, and so are solutions unless ``unfolded`` is set."""
    # Blocks of the same name replace those of nbconvert.
    exporter = prepare(HTMLExporter(raw_template=PAGE + BLOCKS))
    resources = {
        "metadata": {"name": title, "path": str(NOTEBOOKS)},
        "style": style("page.css"),
        "unfolded": unfolded,
    }
    page, _ = exporter.from_notebook_node(notebook, resources)
    return page


def copy_linked(notebook: Any, folder: Path) -> None:
    """Put the pages that a notebook's texts link to into a folder, beside its own page.

    These are HTML files beside the notebooks, such as ``draw_a_digit.html``.
    """
    for cell in notebook.cells:
        for name in PAGE_LINK.findall(cell.source):
            # A test of the notebooks tells of a link that leads nowhere.
            source = NOTEBOOKS / name
            if source.is_file():
                with replacing(folder / name) as temporary:
                    shutil.copyfile(source, temporary)
