"""Recorded range tests: made as the recipe says, read as written, and never believed if damaged."""

import inspect
import json
import re

import numpy as np
import pytest
import torch
from small_experiments import small_profile

from helpers import data, environment
from helpers.__main__ import main
from helpers.data import Batches
from helpers.environment import CourseError
from helpers.experiments import measured, range_tests
from helpers.experiments.catalogue import EXPERIMENTS, SEARCHES, for_practice
from helpers.experiments.range_tests import (
    SETTINGS,
    load_range_test,
    range_recipe,
    recommended_rate,
    record_range_test,
)
from helpers.experiments.ranges import NETS
from helpers.experiments.search import find_candidates
from helpers.lr_finder import lr_range_test


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The fast profile, and range tests of 20 steps."""
    monkeypatch.setitem(SETTINGS, "steps", 20)
    yield from small_profile(tmp_path, monkeypatch)


def test_the_settings_are_the_defaults_of_the_range_test():
    parameters = inspect.signature(lr_range_test).parameters
    for name, value in SETTINGS.items():
        assert parameters[name].default == value
    assert set(SETTINGS) == {*list(parameters)[4:]} - {"orders", "show"}


def test_names_are_those_of_the_measured_nets_and_of_all_recipes():
    assert range_recipe("residual") is NETS["residual"] is not EXPERIMENTS["residual"]
    assert range_recipe("cifar-resnet9") is EXPERIMENTS["cifar-resnet9"]
    assert measured.load_range_test is load_range_test
    with pytest.raises(CourseError, match="unknown range test 'residul'"):
        load_range_test("residul")


def test_a_range_test_is_that_of_a_fresh_net_by_its_recipe(small):
    test = record_range_test("compact", orders=2)
    recipe = for_practice(NETS["compact"], 2)

    # By hand: seed 0, the training images of a search, batches, augmentation, optimizer.
    generator = environment.seed_everything(0)
    model = recipe.build_model()
    images = data.load("mnist", validation=5_000, test=False)
    batches = Batches(images.train, 64, recipe.build_augment(), shuffle=True, generator=generator)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.01, betas=(0.9, 0.999), weight_decay=0.01
    )
    expected = lr_range_test(
        model, batches, torch.nn.functional.cross_entropy, optimizer, steps=20, orders=2
    )
    assert test.rates == pytest.approx(np.geomspace(1e-4, 10, 20), rel=1e-4)
    assert len(test.curves) == 2 and test.note == images.train.note != ""
    for mine, other in zip(test.curves, expected.curves, strict=True):
        assert mine == pytest.approx(other, rel=6e-5)


def test_a_record_holds_what_is_needed_to_make_it_again(small):
    record_range_test("first", orders=3)
    (path,) = (small / "results" / "measured").iterdir()
    record = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == "range-first.json" and list(record) == list(range_tests.RECORD)
    assert record["settings"] == SETTINGS | {"orders": 3}
    assert record["recipe"] == for_practice(NETS["first"], 2).hyperparameters()
    assert record["name"] == record["recipe"]["name"] == "range-first"
    assert record["environment"]["mixed"] == "float32"  # as all range tests step
    assert record["environment"]["threads"] == 1 and record["data"]["source"] == "practice"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+\+00:00", record["recorded"])
    numbers = [*record["rates"], *record["curves"][0]["losses"]]
    assert all(number == float(f"{number:.5g}") for number in numbers)


def test_what_was_rounded_answers_as_before(small):
    recorded = record_range_test("first", orders=1)
    again = load_range_test("first", small / "results")
    for mine, other in zip(recorded.curves, again.curves, strict=True):
        assert np.array_equal(mine, other)
    assert np.array_equal(recorded.rates, again.rates)


def write(folder, edges, **changes):
    """A record of ``first`` by hand: losses that are lowest at the edges, one for each order."""
    rates = np.geomspace(1e-4, 10, 101)
    curves = []
    for edge in edges:
        losses = np.interp(np.log10(rates), [-4, -2.5, np.log10(edge), 1], [2, 2, 1, 5])
        curves.append({"losses": losses.tolist(), "smoothed": losses.tolist()})
    machine = {"device": "cpu", "device_name": "a", "torch": "2", "threads": 1}
    record = {
        "name": "range-first",
        "recipe": NETS["first"].hyperparameters(),
        "settings": {},
        "data": {"name": "mnist", "source": "folder", "digest": "d", "note": ""},
        "environment": machine,
        "commit": "c",
        "recorded": "2026",
        "rates": rates.tolist(),
        "curves": curves,
    }
    path = folder / "measured" / "range-first.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record | changes), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"rates": [2.0, 1.0]},
        {"rates": [0.0, *np.geomspace(1e-4, 10, 100)]},
        {"rates": "1e-4"},
        {"curves": []},
        {"curves": [{"losses": [1.0]}]},
        {"curves": [{"losses": [1.0], "smoothed": [1.0, 2.0]}]},
        {"curves": [{"losses": [1.0] * 102, "smoothed": [1.0] * 102}]},
        {"curves": [{"losses": [float("nan")], "smoothed": [1.0]}]},
        {"data": {"name": "mnist"}},
        {"environment": {}},
        {"recipe": {}},
        {"recorded": None},
    ],
)
def test_a_damaged_record_is_one_line_with_the_command(tmp_path, changes):
    write(tmp_path, [1.0])
    assert load_range_test("first", tmp_path).answer().edge == pytest.approx(1)
    path = write(tmp_path, [1.0], **changes)
    said = f"the record {path.name} is damaged: python -m helpers range-test first"
    with pytest.raises(CourseError, match=re.escape(said)) as problem:
        load_range_test("first", tmp_path)
    assert "\n" not in str(problem.value)
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(CourseError, match="damaged"):
        load_range_test("first", tmp_path)


def test_a_record_that_is_missing_or_of_another_recipe_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(range_tests, "evidence_root", lambda: tmp_path)
    with pytest.raises(CourseError, match=r"^range-first\.json is not recorded yet: python -m hel"):
        load_range_test("first")
    assert recommended_rate("first") is None
    write(tmp_path, [1.0], recipe=NETS["first"].hyperparameters() | {"momentum": 0.5})
    with pytest.raises(CourseError, match="of another recipe than .*: python -m helpers range-tes"):
        load_range_test("first")
    assert load_range_test("first", tmp_path).lrs[0] == 1e-4


def test_the_recommended_rate_joins_the_search_once_its_test_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.experiments.search.results_root", lambda: tmp_path)
    plain = find_candidates("range-first")
    assert plain == list(SEARCHES["range-first"])
    write(tmp_path, [0.02, 0.251, 0.251])
    assert recommended_rate("first", tmp_path) == 0.063  # a quarter of 0.251, with two digits
    *others, last = find_candidates("range-first")
    assert others == plain and last.name == "range-first/rate 0.063"
    assert last.learning_rate == 0.063 and last.hyperparameters() | {
        "name": "",
        "learning_rate": 0,
    } == plain[0].hyperparameters() | {"name": "", "learning_rate": 0}

    # One that is tried already is not tried twice, and without an answer there is none.
    write(tmp_path, [0.3981071705534972])
    assert recommended_rate("first", tmp_path) == 0.1 and find_candidates("range-first") == plain
    flat = {"losses": [1.0] * 101, "smoothed": [1.0] * 101}
    write(tmp_path, [1.0], curves=[flat])
    assert recommended_rate("first", tmp_path) is None and find_candidates("range-first") == plain


def test_the_command_records_and_prints_the_answer(small, capsys, monkeypatch):
    monkeypatch.setattr(environment, "need_notebooks", lambda: None)
    made = []

    def record(name, orders, fresh):
        made.append((name, orders, fresh))
        write(small, [0.5, 1.0, 2.0])
        return load_range_test("first", small)

    monkeypatch.setattr(measured, "record_range_test", record)
    assert main(["range-test", "first"]) == main(["range-test", "first", "--orders", "3"]) == 0
    assert made == [("first", 5, False), ("first", 3, False)]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [f"answer {n} of 3 orders: edge {e}" for n, e in ((1, 0.5), (2, 1), (3, 2))]
    assert "Recommended as the highest rate of one-cycle: 0.25" in lines[4]


@pytest.mark.parametrize("orders, made", [(2, False), (3, False), (4, True)])
@pytest.mark.parametrize("fault", ["", "other recipe", "damaged"])
def test_a_record_of_as_many_orders_is_kept(tmp_path, monkeypatch, capsys, orders, made, fault):
    for name in ("evidence_root", "results_root"):
        monkeypatch.setattr(range_tests, name, lambda: tmp_path)
    monkeypatch.setattr(range_tests, "smoke", lambda: False)
    recipe = NETS["first"].hyperparameters()
    if fault == "other recipe":
        recipe["momentum"] = 0.5
    if fault == "damaged":
        recipe["momentum"] = "0.9"
    path = write(tmp_path, [0.5, 1.0, 2.0], recipe=recipe)
    before = path.read_bytes()

    class Begun(Exception):
        """A range test was begun."""

    def begin(*_, **__):
        raise Begun

    monkeypatch.setattr(range_tests, "load_for", begin)
    if made or fault:
        with pytest.raises(Begun):
            range_tests.record_range_test("first", orders)
    else:
        assert len(range_tests.record_range_test("first", orders).curves) == 3
        assert "recorded already, with 3 orders: --fresh" in capsys.readouterr().out
    with pytest.raises(Begun):
        range_tests.record_range_test("first", 1, fresh=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", ["range-test --orders 3", "range-test --fresh"])
def test_options_without_a_name_are_not_ignored(capsys, line):
    assert main(line.split()) == 2
    assert "name the recipe that --orders or --fresh is for" in capsys.readouterr().err
