"""What session 08 says of its records: times, machines, differences, and commands."""

from __future__ import annotations

import json

import pytest
from made_records import MADE_WITH, result
from scipy.stats import ttest_ind

from helpers import environment
from helpers.experiments import load_result, records, speed, speed_rows
from helpers.experiments.catalogue import EXPERIMENTS, to_record


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty course, whose records are read and written."""
    monkeypatch.setattr(environment, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(records, "smoke", lambda: False)
    (tmp_path / "notebooks" / "results" / "search").mkdir(parents=True)
    return tmp_path


def save(name, accuracies, seconds=100.0):
    """A record of one epoch a seed, of so many seconds."""
    made = result(name, accuracies)
    for run in made.record["runs"]:
        run["epochs"][0]["seconds"] = seconds + run["seed"]
    made.save()


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.47, "0.5 s"),
        (119.94, "119.9 s"),
        (120, "2.0 minutes"),
        (942, "15.7 minutes"),
        (7200, "2.0 hours"),
        (9000, "2.5 hours"),
    ],
)
def test_a_duration_has_a_unit_that_fits(seconds, text):
    assert speed_rows.duration(seconds) == text


def test_what_is_missing_is_told_by_its_command(folder, capsys):
    speed_rows.missing([recipe.name for recipe in speed.RECIPES])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "not recorded yet, made by: python -m helpers experiment speed-minutes-rows --seeds 3"
        " --jobs 1",
        "not recorded yet, made on a GPU by: python -m helpers experiment speed-rows --seeds 5",
    ]
    assert len(lines) == 8
    speed_rows.without("no-muon")
    assert capsys.readouterr().out.count("is not recorded yet") == 2
    table = speed_rows.overview(["speed"])
    assert table.rows[0][2:] == ["to be recorded on a GPU", "–", "–"]
    [row] = speed_rows.overview(["speed-cpu"]).rows
    assert row[2:] == ["not recorded yet", "–", "–"]
    assert speed_rows.times_to(["speed"], 94) is None
    assert speed_rows.changes("speed", speed.ON_A_GPU) == {}
    assert speed_rows.searched("speed-rates", "speed") is None
    assert "search speed-rates --seeds 3" in capsys.readouterr().out


def test_a_record_says_its_time_and_its_machine(folder):
    save("speed-cpu", (94.1, 94.3, 93.8), seconds=300.0)
    assert speed_rows.recorded(["speed", "speed-cpu"]) == ["speed-cpu"]
    assert speed_rows.seconds_an_epoch("speed-cpu") == 301.0
    [row] = speed_rows.overview(["speed-cpu"]).rows
    assert row[2:] == ["94.07 ± 0.25 % (n = 3)", "5.0 minutes", "x86, 2 threads, float32"]
    assert speed_rows.seconds_to("speed-cpu", 94.0) == [300.0, 301.0]
    assert speed_rows.times_to(["speed-cpu"], 94.0).rows[0][1:3] == ["–", "2 of 3"]
    assert speed_rows.times_to(["speed-cpu"], 93.0).rows[0][1:3] == ["301", "3 of 3"]


@pytest.mark.parametrize(
    "name, device, mixed, told",
    [
        ("speed-cpu", "cpu", "bfloat16", "x86, 2 threads, bfloat16"),
        ("speed-cpu", "cpu", "float32", "x86, 2 threads, float32"),
        # An older record: its commit knew mixed precision on GPUs alone.
        ("speed-cpu", "cpu", None, "x86, 2 threads, float32"),
        ("speed-cpu", "cuda", None, "x86, 2 threads"),
        ("speed-cpu-float32", "cpu", "bfloat16", "x86, 2 threads, float32"),
        ("speed-cpu-float32", "cuda", None, "x86, 2 threads, float32"),
    ],
)
def test_a_record_says_which_numbers_were_multiplied(folder, name, device, mixed, told):
    made = result(name, (94.0,))
    made.record["environment"]["device"] = device
    if mixed is not None:
        made.record["environment"]["mixed"] = mixed
    made.save()
    assert speed_rows.machine(name) == told
    # Where it is what the recipe has anyway, or not known, there is nothing to tell.
    words = f"({told})" if EXPERIMENTS[name].mixed and mixed else "(x86, 2 threads)"
    assert words in load_result(name).provenance


def test_a_difference_is_that_of_the_recipe_that_lacks_something(folder, capsys):
    lacking, complete = (93.1, 93.3, 93.0), (94.1, 94.3, 93.9)
    save("speed", complete), save("speed-relu", lacking)
    found = speed_rows.changes("speed", speed.ON_A_GPU)
    low, high = ttest_ind(lacking, complete).confidence_interval(0.95)
    assert found == {"relu": pytest.approx((-0.9667, low, high), abs=1e-3)}
    speed_rows.without("relu")
    said = capsys.readouterr().out
    assert "with it:    94.10" in said and "without it: 93.13" in said and "-0.97 (" in said
    assert "histories" not in said


@pytest.mark.parametrize("change, words", [(0.0, "in pairs of seeds"), (1e-4, "two samples")])
def test_views_are_paired_only_where_the_nets_are_the_same(folder, capsys, change, words):
    save("speed", (94.1, 94.3, 93.9))
    one = result("speed-one-view", (94.0, 94.1, 93.9))
    one.record["runs"][2]["epochs"][0]["train_loss"] += change
    one.save()
    speed_rows.without("one-view")
    assert words in capsys.readouterr().out


def test_the_command_of_a_timed_row_asks_for_all_cores():
    for name in ("speed-minutes", "speed-cpu-shorter", "speed-minutes-rows"):
        assert to_record(name, 3) == f"python -m helpers experiment {name} --seeds 3 --jobs 1"
    assert to_record("first", 5) == "python -m helpers experiment first --seeds 5"


def test_each_saving_is_compared_with_the_recipe_before_it(folder, capsys):
    save("speed-cpu", (94.1, 94.3), 600.0), save("speed-cpu-growing", (94.0, 94.1), 300.0)
    speed_rows.steps_of_saving(speed.ON_A_CPU)
    said = capsys.readouterr().out
    assert "speed-cpu-growing against speed-cpu, in points: -0.15 (" in said
    assert "10.0 minutes → 5.0 minutes" in said


@pytest.mark.parametrize(
    "losses, words",
    [
        ((0.9, 1.0), "speed-rates: speed has the lowest mean loss, and it is the recipe as it is"),
        ((1.0, 0.9), "speed-relu has the lowest mean loss, and not speed as it is"),
    ],
)
def test_a_search_says_whether_the_recipe_itself_is_best(folder, capsys, losses, words):
    trials = []
    for name, loss in zip(("speed", "speed-relu"), losses):
        recipe = EXPERIMENTS[name].hyperparameters()
        row = {"recipe": recipe, "seed": 0, **MADE_WITH, "validation_loss": loss}
        trials.append(row | {"validation_accuracy": 90.0})
    path = environment.NOTEBOOKS / "results" / "search" / "speed-rates.json"
    path.write_text(json.dumps({"name": "speed-rates", "trials": trials}), encoding="utf-8")
    assert len(speed_rows.searched("speed-rates", "speed").rows) == 2
    assert words in capsys.readouterr().out
    speed_rows.searched("speed-rates")
    assert "as it is" not in capsys.readouterr().out
    priced = speed_rows.searched("speed-rates", price=lambda recipe: len(recipe.name))
    assert priced.head[-1] == "PFLOP"
    assert sorted((row[0], row[-1]) for row in priced.rows) == [
        ("speed", "5.000"),
        ("speed-relu", "10.000"),
    ]


def test_a_search_over_smoothed_labels_names_the_highest_accuracy(folder, capsys):
    trials = []
    for name, accuracy in (("speed", 93.0), ("speed-narrow", 94.0)):
        recipe = EXPERIMENTS["speed"].hyperparameters() | {"name": name}
        recipe["label_smoothing"] = accuracy - 93
        row = {"recipe": recipe, "seed": 0, **MADE_WITH, "validation_loss": accuracy}
        trials.append(row | {"validation_accuracy": accuracy})
    path = environment.NOTEBOOKS / "results" / "search" / "speed-rates.json"
    path.write_text(json.dumps({"name": "speed-rates", "trials": trials}), encoding="utf-8")
    speed_rows.searched("speed-rates", "speed")
    said = capsys.readouterr().out
    assert "speed-narrow has the highest mean accuracy, and not speed as it is" in said
