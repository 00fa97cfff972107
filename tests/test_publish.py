"""Publishing rewrites setup cells and badges, all of them or none, and nothing else."""

import difflib
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.environment import ROOT, CourseError
from helpers.upkeep import publish

NAME = "Ada-L/vision.course"
ADDRESS = f"https://github.com/{NAME}"


@pytest.fixture
def course(tmp_path):
    """A course of two executed notebooks, not yet published, as its authors leave it."""
    both = publish.colab_block(["01_first", "02_second"])
    (tmp_path / "notebooks").mkdir()
    for stem in ("01_first", "02_second"):
        output = new_output(
            "display_data", {"text/plain": "größer als 1e-07 → α", "image/png": "iVBORw0KGgo="}
        )
        badge = publish.colab_block([stem])
        cells = [
            new_markdown_cell(f"# {stem}: “é”\n\n{badge}\n\nThe question.", id="title"),
            new_code_cell(
                publish.setup_cell(), id="setup", metadata={"tags": ["setup"]}, execution_count=1
            ),
            new_code_cell("print(1e-7)", id="code", execution_count=2, outputs=[output]),
            new_markdown_cell(
                "<!-- colab -->\nnot a badge, not the first cell\n<!-- /colab -->", id="text"
            ),
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        notebook = nbformat.writes(new_notebook(cells=cells, metadata=kernel)) + "\n"
        (tmp_path / "notebooks" / f"{stem}.ipynb").write_text(notebook)
    readme = f"# Course\n\n{both}\n\nText – as it was.\n".replace("\n", "\r\n")
    (tmp_path / "README.md").write_text(readme, newline="")
    project = re.sub(r"Repository = .*\n", "", (ROOT / "pyproject.toml").read_text())
    (tmp_path / "pyproject.toml").write_text(project)
    return tmp_path


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes().decode()
        for path in root.rglob("*")
        if path.is_file()
    }


def changed_lines(old, new):
    lines = difflib.ndiff(old.splitlines(keepends=True), new.splitlines(keepends=True))
    return [line[2:].strip() for line in lines if line[0] in "+-"]


def test_setup_cells_and_badges_carry_the_address(course):
    changed = publish.publish(NAME, course)
    assert len(changed) == 4 and publish.published(course) == ADDRESS
    for path in (course / "notebooks").glob("*.ipynb"):
        title, setup, code, text = nbformat.read(path, as_version=4).cells
        assert (
            setup.source == publish.setup_cell(ADDRESS)
            and f'os.environ.get("COURSE_REPO") or "{NAME}"' in setup.source
        )
        link = (
            f"colab.research.google.com/github/Ada-L/vision.course/blob/main/notebooks/{path.name})"
        )
        assert link in title.source and link in (course / "README.md").read_text()
        assert publish.colab_block([path.stem], ADDRESS) in title.source
        assert "not a badge" in text.source and (setup.execution_count, code.execution_count) == (
            1,
            2,
        )


def test_everything_else_stays_byte_for_byte(course):
    old = contents(course)
    publish.publish(NAME, course)
    new = contents(course)
    assert old.keys() == new.keys()
    for name in old:
        lines = changed_lines(old[name], new[name])
        assert lines and all(
            re.search("colab|repository = |COURSE_REPO", line, re.IGNORECASE) or not line
            for line in lines
        ), lines
    assert new["README.md"].startswith("# Course\r\n") and new["README.md"].endswith(
        "Text – as it was.\r\n"
    )
    for name in ("notebooks/01_first.ipynb", "notebooks/02_second.ipynb"):
        nbformat.write(nbformat.read(course / name, as_version=4), course / name)
        assert (course / name).read_bytes().decode() == new[
            name
        ]  # the layout is the one nbformat writes


def with_windows_line_ends(root):
    for path in (root / "README.md", root / "pyproject.toml", *root.glob("notebooks/*")):
        text = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        path.write_bytes(text)


def test_line_ends_stay_as_they_are(course):
    publish.publish(NAME, course)
    expected = {name: text.replace("\r\n", "\n") for name, text in contents(course).items()}
    publish.publish("some-one/else", course)
    with_windows_line_ends(course)
    assert len(publish.publish(NAME, course)) == 4
    for name, text in contents(course).items():
        assert text == expected[name].replace("\n", "\r\n"), name
    assert publish.publish(NAME, course) == [] and publish.published(course) == ADDRESS


def test_an_address_is_put_in_whatever_the_line_ends(course):
    with_windows_line_ends(course)
    publish.publish(NAME, course)
    assert "\n" not in contents(course)["pyproject.toml"].replace("\r\n", "")
    assert f'Repository = "{ADDRESS}"\r\n' in contents(course)["pyproject.toml"]


def test_publishing_twice_changes_nothing_and_another_address_replaces_the_first(course):
    publish.publish(NAME, course)
    once = contents(course)
    assert publish.publish(NAME, course) == [] and contents(course) == once
    publish.publish("someone/else", course)
    assert publish.published(course) == "https://github.com/someone/else"
    assert not any("Ada-L" in text for text in contents(course).values())
    assert contents(course)["pyproject.toml"].count("Repository") == 1


def test_before_publishing_the_text_says_how_to_open_it_and_links_to_no_repository(course):
    assert publish.published(course) == ""
    title, setup, *_ = nbformat.read(course / "notebooks" / "01_first.ipynb", as_version=4).cells
    for text in (contents(course)["README.md"], title.source):
        assert "Upload notebook" in text and "github" not in text.lower()
    assert "input(" in setup.source


@pytest.mark.parametrize(
    "address",
    ["", "name", "a/b/c", "a b/c", "a/..", "a/b\n", 'a/b"', "https://example.org/a/b", "-/"],
)
def test_a_bad_address_is_refused_and_nothing_is_written(course, address):
    old = contents(course)
    with pytest.raises(CourseError, match="OWNER/NAME") as error:
        publish.publish(address, course)
    assert repr(address) in str(error.value) and contents(course) == old


def edited(course, name, old, new):
    text = (course / name).read_text()
    assert old in text
    (course / name).write_text(text.replace(old, new))
    return name


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("notebooks/02_second.ipynb", '"setup"\n', '"other"\n'),
        ("notebooks/02_second.ipynb", "<!-- /colab -->", ""),
        ("notebooks/02_second.ipynb", '"cells"', '"sells"'),
        ("notebooks/02_second.ipynb", "{", "["),
        ("notebooks/02_second.ipynb", '"source"', '"sauce"'),
        ("README.md", "<!-- colab -->", ""),
        ("pyproject.toml", "[project.urls]", ""),
    ],
)
def test_a_broken_file_is_named_and_nothing_is_written(course, name, old, new):
    edited(course, name, old, new)
    before = contents(course)
    with pytest.raises(CourseError) as error:
        publish.publish(NAME, course)
    assert (
        name.rpartition("/")[2] in str(error.value)
        and "\n" not in str(error.value)
        and contents(course) == before
    )


def test_a_missing_readme_is_named(course):
    (course / "README.md").unlink()
    with pytest.raises(CourseError, match="README.md"):
        publish.publish(NAME, course)


@pytest.mark.parametrize("old, new", [("--depth 1", "--depth 2"), ("Open in Colab", "Open it")])
def test_a_changed_setup_cell_or_badge_is_mended(course, old, new):
    publish.publish(NAME, course)
    before = contents(course)
    edited(course, "notebooks/02_second.ipynb", old, new)
    assert [path.name for path in publish.publish(NAME, course)] == ["02_second.ipynb"]
    assert contents(course) == before


def test_a_write_that_fails_leaves_whole_files(course, monkeypatch):
    old = contents(course)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        publish.publish(NAME, course)
    assert contents(course) == old
