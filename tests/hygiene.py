"""What a committed notebook is checked for: run in order, clean, short, in rhythm, links alive."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from statistics import median
from urllib.parse import unquote, urlsplit

import nbformat

from helpers.upkeep import publish

MACHINE_PATH = re.compile(
    r"(?<![\w.:/-])/(home|root|work|tmp|usr|opt|mnt|private|Users)\b|\b[A-Z]:\\+Users", re.ASCII
)
LINK = re.compile(
    r"""\]\(\s*<?([^)\s>]*)[^)]*\)  # [text](target "title")
                      |(?:href|src)=["\']([^"\']*)["\']  # HTML
                      |^\[[^\]]+\]:\s*(\S+)  # [text]: target
                      |\b(http://[^\s)>]*)  # bare, and not https""",
    re.MULTILINE | re.VERBOSE,
)
# A table as Markdown writes it: the line below its head, or a row.
PIPES = re.compile(r"\|[ \t]*:?-{3,}:?[ \t]*\||^\s*\|.*\|.*\|\s*$", re.MULTILINE)
NOT_PROSE = re.compile(r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
SLIDES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
IMAGES = ("image/png", "image/jpeg", "application/vnd")


def link_problems(text: str, place: Path, root: Path, attachments=()) -> list[str]:
    """Dead links and images of a Markdown text in the folder ``place`` of a repository."""
    targets = ["".join(groups) for groups in LINK.findall(NOT_PROSE.sub("", text))]
    return [
        f"dead link {target!r}"
        for target in targets
        if not resolves(target, place, root, attachments)
    ]


def resolves(target: str, place: Path, root: Path, attachments=()) -> bool:
    url = urlsplit(target)
    if url.scheme == "attachment":
        return url.path in attachments
    if url.scheme:
        return (
            url.scheme == "https"
            and re.fullmatch(r"[a-z\d-]+(\.[a-z\d-]+)+", url.netloc) is not None
        )
    if target.startswith("#"):
        return len(target) > 1
    file = (place / unquote(url.path)).resolve()
    return (
        bool(url.path)
        and not url.path.startswith("/")
        and file.exists()
        and file.is_relative_to(root.resolve())
    )


def execution(path, notebook, code):
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        yield "not executed 1…n in order"


def outputs(path, notebook, code):
    for number, cell in enumerate(code, 1):
        for output in cell.outputs:
            shown = {
                kind: data
                for kind, data in output.get("data", {}).items()
                if not kind.startswith(IMAGES)
            }
            text = output.get("text", "") + json.dumps(shown, ensure_ascii=False)
            if output.output_type == "error":
                yield f"cell {number} ends in an error"
            if output.get("name") == "stderr":
                yield f"cell {number} writes to stderr"
            if "Warning" in text:
                yield f"cell {number} shows a warning"
            if MACHINE_PATH.search(text):
                yield f"cell {number} shows a machine path"
            printed = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            if PIPES.search(printed):
                yield f"cell {number} shows a table of pipes"


def sources(path, notebook, code):
    for cell in notebook.cells:
        if match := MACHINE_PATH.search(cell.source):
            yield f"machine path {match[0]} in the source"
    names = [cell.get("id") for cell in notebook.cells]
    if None in names or len(set(names)) < len(names):
        yield "cells without an id of their own"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"


def size(path, notebook, code):
    if path.stat().st_size > 800_000:
        yield "larger than 800 KB"


def width(path, notebook, code):
    for number, cell in enumerate(code, 1):
        if max(map(len, cell.source.splitlines()), default=0) > 88:
            yield f"cell {number} has a line of over 88 characters"
        if PIPES.search(cell.source):
            yield f"cell {number} writes a table of pipes"


def setup(path, notebook, code):
    tagged = [
        number for number, cell in enumerate(code) if "setup" in cell.metadata.get("tags", [])
    ]
    if tagged != [0] or code[0].source != publish.setup_cell(publish.published()):
        yield "the first code cell is not the setup cell of helpers.upkeep.publish"
    for number in tagged:
        if len(code[number].source.splitlines()) > 8:
            yield "the setup cell has more than eight lines"
        if not folded(code[number]):
            yield "the setup cell is not folded"


def folded(cell) -> bool:
    """Whether Jupyter and Colab hide a cell's source until the reader asks for it."""
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden") is True
    return hidden and cell.metadata.get("cellView") == "form"


def imports(path, notebook, code):
    places = []
    for number, cell in enumerate(code):
        try:
            nodes = list(
                ast.walk(
                    ast.parse(re.sub(r"^( *)[%!].*", r"\1pass", cell.source, flags=re.MULTILINE))
                )
            )
        except SyntaxError as error:
            yield f"cell {number + 1} does not parse: {error.msg}"
            continue
        found = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
        places += [number] if found else []
        if any(alias.name == "*" for node in found for alias in node.names):
            yield "a star import"
    # The setup cell may have imports of its own.
    if places not in ([1], [0, 1]):
        yield "imports are not in one cell, right after the setup cell"


def rhythm(path, notebook, code):
    lengths = [len(cell.source.splitlines()) for cell in code]
    if min(lengths) == 0:
        yield "an empty code cell"
    if max(lengths) > 40:
        yield f"a cell of {max(lengths)} lines"
    if median(lengths) > 9:
        yield f"the median cell has {median(lengths)} lines"
    if "ccc" in "".join(cell.cell_type[0] for cell in notebook.cells):
        yield "more than two code cells in a row"
    prose = [
        publish.BLOCK.sub("", cell.source)
        for cell in notebook.cells
        if cell.cell_type == "markdown"
    ]
    words = sum(len(text.split()) for text in prose)
    if words / sum(lengths) < 3:
        yield f"{words / sum(lengths):.1f} words of prose a line of code"


def links(path, notebook, code):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from link_problems(
                cell.source, path.parent, path.parent.parent, cell.get("attachments", {})
            )


def metadata(path, notebook, code):
    for number, cell in enumerate(code, 1):
        tags = set(cell.metadata.get("tags", []))
        if "execution" in cell.metadata:
            yield f"cell {number} keeps the times it ran at"
        if cell.metadata.get("slideshow", {}).get("slide_type") not in SLIDES:
            yield f"cell {number} has no slideshow metadata"
        if tags & {"nbval-skip", "raises-exception"} or re.search(
            "NBVAL_SKIP|NBVAL_RAISES", cell.source
        ):
            yield f"cell {number} is kept from the tests"
        if "solution" in tags and not folded(cell):
            yield f"solution in cell {number} is not folded"
        if "solution" in tags and cell.outputs:
            yield f"solution in cell {number} is committed with its output"
    for cell in notebook.cells:
        words = cell.cell_type == "markdown" and "solution" in cell.metadata.get("tags", [])
        if words and cell.metadata.get("jupyter", {}).get("source_hidden") is not True:
            yield f"the solution in words {cell.source[:20]!r} is not folded"
    if not any("nbval-check-output" in cell.metadata.get("tags", []) for cell in code):
        yield "no cell has its output compared"


RULES = (execution, outputs, sources, size, width, setup, imports, rhythm, links, metadata)


def problems(path: Path) -> list[str]:
    """What is wrong with the notebook, a line each; empty where it is tidy."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [problem for rule in RULES for problem in rule(path, notebook, code)]
