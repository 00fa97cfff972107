"""What README and notebooks tell is what the records hold."""

from dataclasses import replace

import pytest
from made_records import result
from scipy.stats import ttest_ind, ttest_rel

from helpers import environment
from helpers.environment import CourseError
from helpers.experiments import records, tables
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.recipe import Claim
from helpers.experiments.speed_rows import seconds_of
from helpers.intervals import Interval
from helpers.upkeep import ledger
from helpers.upkeep.readme import outdated, write


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty course, whose records are read and written."""
    monkeypatch.setattr(environment, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(records, "smoke", lambda: False)
    (tmp_path / "notebooks").mkdir()
    return tmp_path


# Differences.


def test_independent_seeds_have_the_pooled_interval_of_students_test():
    mine, other = (99.5, 99.44, 99.61, 99.4), (99.3, 99.41, 99.36)
    found = tables.difference(result("first-fast", mine), result("first", other))
    low, high = ttest_ind(mine, other).confidence_interval(0.95)
    assert found == pytest.approx((sum(mine) / 4 - sum(other) / 3, low, high))


def test_seeds_are_paired_where_the_same_training_is_measured_twice():
    mine, other = (95.1, 95.3, 94.9), (95.0, 95.15, 94.85)
    mirrored = result("cifar-resnet9-average", mine, seeds=(0, 1, 2))
    plain = result("cifar-resnet9-decay", (95.15, 94.85, 95.0), seeds=(1, 2, 0))
    low, high = ttest_rel(mine, other).confidence_interval(0.95)
    assert tables.difference(mirrored, plain) == pytest.approx((0.1, low, high))


@pytest.mark.parametrize(
    "low, high, text",
    [
        (0.03, 0.26, "+0.14 (+0.03 to +0.26)"),
        (-0.26, -0.03, "+0.14 (-0.26 to -0.03)"),
        (-0.03, 0.26, "+0.14 (-0.03 to +0.26), undecided"),
        (0.0, 0.26, "+0.14 (+0.00 to +0.26), undecided"),
        (-0.26, 0.0, "+0.14 (-0.26 to +0.00), undecided"),
    ],
)
def test_a_difference_says_whether_its_sign_is_known(low, high, text):
    interval = Interval(0.14, low, high)
    assert tables.interval_text(interval) == text and interval.decided == ("undecided" not in text)


def test_a_difference_has_as_many_decimals_as_are_asked_for_and_no_negative_zero():
    assert tables.interval_text(Interval(0.0944, 0.0041, 0.19), 3) == "+0.094 (+0.004 to +0.190)"
    text = tables.interval_text(Interval(-0.001, -0.05, 0.04))
    assert text == "+0.00 (-0.05 to +0.04), undecided"


@pytest.mark.parametrize(
    "interval, text",
    [
        (Interval(0.043, -0.0031, 0.0889), "+0.043 (-0.003 to +0.089), undecided"),
        (Interval(0.043, 0.0031, 0.0829), "+0.043 (+0.003 to +0.083)"),
        (Interval(-0.05, -0.1, -0.0004), "-0.0500 (-0.1000 to -0.0004)"),
        (Interval(-0.05, -0.1, -0.00000001), "-0.0500 (-0.1000 to +0.0000)"),
        (Interval(0.0, 0.0, 0.0), "+0.00 (+0.00 to +0.00), undecided"),
    ],
)
def test_an_end_close_to_zero_is_never_rounded_to_it(interval, text):
    assert tables.interval_text(interval) == text


# Tables.


def test_a_comparison_has_a_row_a_change(folder):
    result("first", (98.0, 98.2, 98.1)).save()
    result("first-fast", (98.5, 98.8, 98.6)).save()
    result("first-slow", (98.1, 98.0, 98.2)).save()
    names = ["first", "first-fast", "first-slow"]
    table = tables.comparison(names)
    assert table.head == [
        "",
        "change",
        "parameters",
        "last epoch",
        "difference (95 % interval)",
    ]
    assert [row[0] for row in table.rows] == ["1", "2", "3"]
    assert [row[1] for row in table.rows] == [EXPERIMENTS[name].title for name in names]
    assert table.rows[0][2:] == ["5,958", "98.10 ± 0.10 % (n = 3)", "–"]
    # 8/15 ± 2.776 √((0.01 + 0.0233) / 2 · 2/3)
    assert table.rows[1][4] == "+0.53 (+0.24 to +0.83) against row 1"
    assert table.rows[2][4] == "+0.00 (-0.23 to +0.23), undecided against row 1"
    assert "independent seeds (pooled t)" in table.note and "paired" not in table.note


def test_a_difference_is_taken_against_the_row_of_the_baseline_and_only_if_it_is_there(folder):
    for name in ("first", "first-fast", "budget-5"):
        result(name, (98.0, 98.2)).save()
    rows = tables.comparison(["budget-5", "first", "first-fast"]).rows
    assert [row[4] for row in rows[:2]] == ["–", "–"] and rows[2][4].endswith("against row 2")
    alone = tables.comparison(["first-fast"])
    assert alone.rows[0][4] == "–" and alone.note == ""


def test_all_rows_can_be_compared_with_one_that_is_named(folder):
    for name, last in (("first", 98.2), ("first-fast", 98.4), ("budget-5", 98.6)):
        result(name, (98.0, last)).save()
    table = tables.comparison(["first-fast", "first", "budget-5"], against="first-fast")
    differences = [row[4] for row in table.rows]
    # The recipe that the first row changes is set beside it the other way round.
    assert differences[0] == "–" and differences[1].startswith("-0.10")
    assert differences[2].startswith("+0.10") and all("row 1" in each for each in differences[1:])
    with pytest.raises(CourseError, match="against='second' has no row"):
        tables.comparison(["first"], against="second")


def test_a_table_says_which_records_were_made_from_changed_files(folder):
    result("first", (98.0, 98.2), commit="a" * 40 + "+").save()
    result("first-fast", (98.0, 98.2)).save()
    result("first-slow", (98.0, 98.2), commit="b" * 40 + "+").save()
    note = tables.comparison(["first", "first-fast", "first-slow"]).note
    assert note.endswith("Recorded from files that no commit holds (its + says so): row 1, 3.")
    assert "no commit" not in tables.comparison(["first-fast"]).note


def test_a_ladder_also_tells_claims_and_documents(folder, monkeypatch):
    claim = Claim(10_000, 3, 98.1)
    first = replace(EXPERIMENTS["first"], claim=claim, document="99.25 %, best epoch")
    monkeypatch.setitem(EXPERIMENTS, "first", first)
    fast = replace(EXPERIMENTS["first-fast"], claim=claim)
    monkeypatch.setitem(EXPERIMENTS, "first-fast", fast)
    result("first", (98.0, 98.2, 98.1)).save()
    result("first-fast", (98.0, 98.0, 98.0)).save()
    table = tables.comparison(["first", "first-fast"])
    assert table.head[5:] == ["seeds that meet the claim (95 %)", "the report states"]
    assert table.rows[0][5:] == ["2 of 3 (21–94 %)", "99.25 %, best epoch"]
    assert table.rows[1][5:] == ["0 of 3 (0–56 %)", "–"]


def test_an_unknown_row_is_one_line_and_so_is_one_without_a_record(folder):
    with pytest.raises(CourseError, match="unknown experiment 'frist'; choose one of: first"):
        tables.comparison(["frist"])
    with pytest.raises(CourseError, match="not recorded yet"):
        tables.comparison(["first"])


@pytest.fixture
def course(folder, monkeypatch):
    """A README and a notebook with markers, and the two records that they need."""
    kept = {name: EXPERIMENTS[name] for name in ("first", "first-fast")}
    monkeypatch.setattr(tables, "EXPERIMENTS", kept)
    monkeypatch.setattr(tables, "HEADLINES", ("first",))
    monkeypatch.setattr(ledger, "EXPERIMENTS", kept)
    for name in kept:
        result(name, (98.0, 98.2)).save()
    (folder / "README.md").write_bytes(
        "# Kurs\r\n<!-- results -->\nold\n<!-- /results -->\r\nthe end – so".encode()
    )
    (folder / "notebooks" / "results").mkdir(exist_ok=True)
    (folder / "notebooks" / "01.ipynb").write_bytes(
        '["It: <!-- result first -->…<!-- /result -->, é."]'.encode()
    )
    return folder


def test_the_share_of_trainings_that_meet_a_claim_and_their_time_are_written_too(course):
    notebook = course / "notebooks" / "01.ipynb"
    notebook.write_text("It holds in <!-- claim first -->…<!-- /claim -->.", encoding="utf-8")
    write(outdated(course))
    assert notebook.read_text() == "It holds in <!-- claim first -->2 of 2<!-- /claim -->."
    notebook.write_text("<!-- claim first-fast -->…<!-- /claim -->", encoding="utf-8")
    with pytest.raises(CourseError, match="first-fast claims nothing"):
        write(outdated(course))
    notebook.write_text("It took <!-- time first -->…<!-- /time -->.", encoding="utf-8")
    write(outdated(course))
    spent = seconds_of("first")
    assert notebook.read_text() == f"It took <!-- time first -->{spent:.1f} s<!-- /time -->."
    notebook.write_text("<!-- claim fist -->…<!-- /claim -->", encoding="utf-8")
    with pytest.raises(CourseError, match="unknown experiment 'fist'"):
        write(outdated(course))


def test_the_table_has_a_row_an_experiment(course):
    table = tables.results_table(list(tables.EXPERIMENTS.values()))
    assert [row[0] for row in table.rows] == [
        EXPERIMENTS[name].title for name in ("first", "first-fast")
    ]
    assert table.rows[0][3:7] == [
        "98.10 ± 0.14 % (n = 2)",
        "≥ 98.0 % (last 1): 2 of 2 (34–100 %)",
        "–",
        "2026-01-02, cpu (x86, 2 threads), torch 2.9.0, commit aaaaaaa",
    ]
    # Two threads are those of one seed after the other.
    assert table.rows[0][7] == "`python -m helpers experiment first --seeds 2 --jobs 1`"
    assert table.rows[1][4:6] == ["–", "–"]


def test_the_table_shows_the_plus_of_a_record_from_changed_files(course):
    result("first", (98.0, 98.2), commit="c" * 40 + "+").save()
    rows = tables.results_table([EXPERIMENTS["first"]]).rows
    assert rows[0][6].endswith("commit ccccccc+")


def test_a_net_of_cifar_10_without_a_record_is_told_as_one_to_record(course):
    names = ("cifar-resnet9-grouped", "cifar-resnet9-best-8", "speed", "speed-cpu")
    rows = tables.results_table([EXPERIMENTS[name] for name in names]).rows
    commands = []
    for row in rows[2:]:
        commands.append((row[3], row[7]))
    assert commands == [
        ("to be recorded on a GPU", "`python -m helpers experiment speed-rows --seeds 5`"),
        ("to be recorded", "`python -m helpers experiment speed-cpu --seeds 3 --jobs 1`"),
    ]
    assert rows[:2] == [
        [
            "report 002's grouped version of that",
            "757,931",
            "24",
            "to be recorded on a GPU",
            "≥ 92.0 % (last 1)",
            "50.23 % (best of 20 epochs)",
            "–",
            "`python -m helpers experiment cifar --seeds 5`",
        ],
        [
            "ResNet-9 with all of these, eight epochs on a CPU",
            "6,573,130",
            "8",
            "to be recorded",
            "≥ 90.0 % (last 1)",
            "–",
            "–",
            "`python -m helpers experiment cifar-resnet9-best-8 --seeds 1`",
        ],
    ]


# README and notebooks.


def test_the_figures_are_written_between_their_markers_and_nowhere_else(course):
    readme, notebook = course / "README.md", course / "notebooks" / "01.ipynb"
    page = course / "notebooks" / "results" / "README.md"
    sheet = course / "notebooks" / "CHEAT_SHEET.md"
    assert write(outdated(course)) == [readme, notebook, page, sheet]
    table = tables.headline_table().markdown()
    assert "98.10 ± 0.14 % (n = 2)" in table.replace("\u00a0", " ") and "| `first` |" in table
    # The file has Windows' line ends, and so has the table in it.
    expected = f"# Kurs\n<!-- results -->\n\n{table}\n\n<!-- /results -->\nthe end – so"
    assert readme.read_bytes().decode() == expected.replace("\n", "\r\n")
    assert notebook.read_bytes().decode() == (
        '["It: <!-- result first -->98.10 ± 0.14 % (n = 2)<!-- /result -->, é."]'
    )
    # The cheat sheet counts what the models module counts.
    rows = sheet.read_text(encoding="utf-8").splitlines()
    assert "| 02: the net of report 001 | 9,274 | 46 pixels |" in rows
    assert len(rows) < 100 and "Wilson" in "".join(rows)

    # The page of all records has every recipe, with its origin.
    text = page.read_text(encoding="utf-8")
    assert text == ledger.ledger() and "twice the learning rate" in text and "torch 2.9.0" in text


def test_every_recipe_belongs_to_a_session():
    for recipe in EXPERIMENTS.values():
        assert ledger.session_of(recipe) in ledger.SESSIONS
    assert ledger.session_of(EXPERIMENTS["first"])[:2] == "01"
    assert ledger.session_of(EXPERIMENTS["first-5-tenth"])[:2] == "06"
    with pytest.raises(KeyError, match="none-of-them"):
        ledger.session_of(replace(EXPERIMENTS["first"], name="none-of-them"))


def test_writing_the_figures_twice_changes_nothing(course):
    write(outdated(course))
    before = {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}
    assert outdated(course) == {} and write(outdated(course)) == []
    assert {path: path.read_bytes() for path in course.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "<!-- results -->",
        "<!-- /results --> <!-- results -->",
        "<!-- results --><!-- /results -->" * 2,
    ],
)
def test_a_readme_without_its_markers_is_an_error_and_nothing_is_written(course, text):
    readme, notebook = course / "README.md", course / "notebooks" / "01.ipynb"
    if text is None:
        readme.unlink()
    else:
        readme.write_text(text)
    before = notebook.read_bytes()
    with pytest.raises(CourseError, match="README.md needs <!-- results -->"):
        write(outdated(course))
    assert notebook.read_bytes() == before and readme.exists() == (text is not None)


def test_a_figure_without_a_record_stops_the_writing(course):
    notebook = course / "notebooks" / "01.ipynb"
    notebook.write_text("<!-- result budget -->…<!-- /result -->", encoding="utf-8")
    with pytest.raises(CourseError, match="python -m helpers experiment budget"):
        write(outdated(course))
    assert "old" in (course / "README.md").read_text(encoding="utf-8")


def test_a_comparison_of_a_single_name_asks_for_a_list():
    with pytest.raises(CourseError, match=r"^comparison: give a list of names, such as"):
        tables.comparison("first")
