"""Every committed notebook is tidy; the checker finds each fault put into a good notebook."""

import json

import nbformat
import pytest
from hygiene import LINK, link_problems, problems
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.environment import ROOT
from helpers.upkeep import publish

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SESSIONS = (
    "01_first_network",
    "02_parameter_budget",
    "03_receptive_field",
    "04_under_8000",
    "05_reading_mistakes",
    "06_residual_mnist",
    "07_cifar_resnet_onecycle",
    "08_speed",
)


@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_the_notebook_is_tidy(name):
    found = problems(ROOT / "notebooks" / name)
    assert not found, "\n".join(found)


def test_every_session_has_its_notebook():
    assert set(SESSIONS) <= {path.stem for path in NOTEBOOKS}


def test_badges_are_those_of_the_published_address():
    address = publish.published()
    assert publish.colab_block([path.stem for path in NOTEBOOKS], address) in (
        ROOT / "README.md"
    ).read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        assert (
            publish.colab_block([path.stem], address)
            in nbformat.read(path, as_version=4).cells[0].source
        )


PAGES = [
    "README.md",
    "helpers/README.md",
    ".github/CONTRIBUTING.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("notebooks/**/*.md"))),
]


@pytest.mark.parametrize("page", PAGES)
def test_links_and_images_of_a_page_resolve(page):
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    found = link_problems(text, path.parent, ROOT)
    assert not found, "\n".join(found)
    assert LINK.search(text) or page not in ("README.md", ".github/CONTRIBUTING.md")


# The checker itself.


def good():
    """A small notebook that keeps every rule."""
    words = (
        "It says in words what the next cell shows and asks what will come out. " * 8
        + "[here](01.ipynb#part)"
    )
    image = "![it](../images/a%20b.png)"
    slide = {"slideshow": {"slide_type": "slide"}}
    form = slide | {"tags": ["solution"], "jupyter": {"source_hidden": True}, "cellView": "form"}
    result = new_output(
        "execute_result", {"text/plain": "1/home stretch, train/test, 3e-05"}, execution_count=3
    )
    return new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        cells=[
            new_markdown_cell(f"# Title\n\n{words} [there](https://example.org/home/x) {image}"),
            new_code_cell(
                publish.setup_cell(publish.published()),
                metadata=form | {"tags": ["setup"]},
                execution_count=1,
            ),
            new_code_cell("import os\n\n%matplotlib inline", metadata=slide, execution_count=2),
            new_markdown_cell("Now `f[a](b)` and $a[i](x)$."),
            new_code_cell(
                "x = 1\nx / 2",
                metadata=slide | {"tags": ["nbval-check-output"]},
                execution_count=3,
                outputs=[new_output("stream", text="fine\n"), result],
            ),
            new_code_cell("x", metadata=form, execution_count=4),
        ],
    )


@pytest.fixture
def problems_of(tmp_path):
    """Write a notebook as a course would hold it, and say what is wrong with it."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a b.png").touch()

    def check(notebook):
        nbformat.write(notebook, tmp_path / "notebooks" / "01.ipynb")
        return problems(tmp_path / "notebooks" / "01.ipynb")

    return check


def test_a_good_notebook_has_no_problem(problems_of):
    assert problems_of(good()) == []


def test_a_notebook_may_have_800_kb(problems_of):
    notebook = good()
    notebook.cells[4].outputs.append(new_output("display_data", {"image/png": "A" * 790_000}))
    assert problems_of(notebook) == []
    notebook.cells[4].outputs.append(new_output("display_data", {"image/png": "A" * 20_000}))
    assert problems_of(notebook) == ["larger than 800 KB"]


TABLE = "| net | accuracy |\n|:---|---:|\n| small | 99 % |\n"


def test_what_is_no_table_of_pipes(problems_of):
    notebook = good()
    notebook.cells[4].source = "a = {1} | {2} | {3}\n'---|---'"
    notebook.cells[4].outputs = [
        new_output("stream", text="loss |x - y| of a | b\n 50%|█████     | 1/2 [00:01]\n"),
        # What Markdown renders is a table to the reader.
        new_output("display_data", {"text/markdown": TABLE}),
    ]
    assert problems_of(notebook) == []


def output(kind, *arguments, **values):
    return lambda cell: cell.outputs.append(new_output(kind, *arguments, **values))


def source(text):
    return lambda cell: cell.update(source=text)


def more(text):
    return lambda cell: cell.update(source=cell.source + text)


def meta(**values):
    return lambda cell: cell.metadata.update(values)


SPOILED = [
    (4, lambda cell: cell.update(execution_count=7), "not executed"),
    (4, lambda cell: cell.update(execution_count=None), "not executed"),
    (4, output("error", ename="E", evalue="", traceback=[]), "error"),
    (4, output("stream", name="stderr", text="hm"), "stderr"),
    (4, output("stream", text="UserWarning: hm"), "warning"),
    (4, output("display_data", {"text/html": "<b>FutureWarning</b>"}), "warning"),
    (4, output("stream", text="saved in /home/ada/x.png"), "machine path"),
    (4, output("display_data", {"text/plain": "Path('/work')"}), "machine path"),
    (4, output("stream", text=r"saved in C:\Users\ada"), "machine path"),
    (4, source("open('/tmp/x')"), "machine path"),
    (4, output("display_data", {"image/png": "A" * 800_000}), "larger than"),
    (4, output("stream", text=TABLE), "shows a table of pipes"),
    (4, output("display_data", {"text/plain": TABLE}), "shows a table of pipes"),
    (4, output("stream", text="a table\n\n | a | b |\n"), "shows a table of pipes"),
    (4, source("print('| a | b |')\nprint('|---|---|')"), "writes a table of pipes"),
    (4, source(f"x = '{'1' * 83}'"), "over 88 characters"),
    (1, more("\n"), "setup cell"),
    (1, more("\n" * 9 + "x"), "more than eight lines"),
    (1, meta(jupyter={}), "setup cell is not folded"),
    (1, meta(cellView=""), "setup cell is not folded"),
    (1, meta(tags=[]), "setup cell"),
    (3, meta(tags=["solution"]), "in words 'Now `f[a](b)` and $a' is not folded"),
    (4, meta(tags=["setup"]), "setup cell"),
    (2, source("from os import *"), "star import"),
    (4, source("import sys"), "one cell"),
    (4, source("def f():\n    import sys"), "one cell"),
    (4, source("from sys import path"), "one cell"),
    (2, source("y = 1"), "one cell"),
    (4, source("x ="), "does not parse"),
    (4, source("x = 1\n" * 41), "a cell of 41 lines"),
    (4, source(""), "empty"),
    (0, source("# Title"), "words of prose"),
    (0, more(" [gone](02.ipynb)"), "dead link"),
    (0, more(" ![gone](../images/gone.png)"), "dead link"),
    (0, more(' <img src="../images/gone.png">'), "dead link"),
    (0, more(" ![gone](attachment:gone.png)"), "dead link"),
    (0, more(" [out](../../other)"), "dead link"),
    (0, more(" [root](/notebooks/01.ipynb)"), "dead link"),
    (0, more(" [plain](http://example.org)"), "dead link"),
    (0, more(" http://example.org"), "dead link"),
    (0, more(" [odd](https://example)"), "dead link"),
    (0, more(" [empty]()"), "dead link"),
    (0, more("\n\n[a]: gone.md"), "dead link"),
    (4, meta(execution={"iopub.execute_input": "2026-01-01"}), "times"),
    (4, meta(slideshow={}), "slideshow"),
    (4, meta(tags=[]), "compared"),
    (4, meta(tags=["nbval-skip"]), "kept from the tests"),
    (4, source("# NBVAL_SKIP"), "kept from the tests"),
    (5, meta(jupyter={}), "not folded"),
    (5, meta(cellView=""), "not folded"),
    (5, output("stream", text="right\n"), "committed with its output"),
]


@pytest.mark.parametrize("cell, spoil, expected", SPOILED)
def test_a_spoiled_notebook_is_reported(problems_of, cell, spoil, expected):
    notebook = good()
    spoil(notebook.cells[cell])
    assert any(expected in problem for problem in problems_of(notebook))


def test_long_cells_are_reported(problems_of):
    notebook = good()
    for number in (2, 4, 5):
        notebook.cells[number].source += "\nx = 1" * 9
    assert any("the median cell has" in problem for problem in problems_of(notebook))


def test_a_third_code_cell_in_a_row_is_reported(problems_of):
    notebook = good()
    del notebook.cells[3]
    assert "more than two code cells in a row" in problems_of(notebook)


def test_another_kernel_is_reported(problems_of):
    notebook = good()
    notebook.metadata.kernelspec.name = "mine"
    assert problems_of(notebook) == ["the kernel is not python3"]


def test_cells_without_ids_are_reported(tmp_path, problems_of):
    notebook = good()
    problems_of(notebook)
    old = json.loads((tmp_path / "notebooks" / "01.ipynb").read_text()) | {"nbformat_minor": 4}
    for cell in old["cells"]:
        del cell["id"]
    (tmp_path / "notebooks" / "old.ipynb").write_text(json.dumps(old))
    assert "cells without an id of their own" in problems(tmp_path / "notebooks" / "old.ipynb")
