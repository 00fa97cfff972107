"""Claims are judged as a statistics book has it, and a record that is not whole is refused."""

import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from made_records import images, result

from helpers import environment
from helpers.environment import CourseError
from helpers.experiments import load_result, records
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.experiments.recipe import Claim
from helpers.experiments.records import judge
from helpers.training import History
from helpers.upkeep.digests import add_digests

SHARE = 66.666667  # of the three images that the predictions of a made record are right of
CLAIM = Claim(max_parameters=10_000, max_epochs=6, accuracy=99.4, last_epochs=3)


def history(*accuracies):
    rows = []
    for epoch, value in enumerate(accuracies, start=1):
        rows.append({"epoch": epoch, "test_accuracy": value})
    return History(rows)


def verdict(*histories, parameters=10_000, source="folder"):
    return judge(CLAIM, parameters, histories, source)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder in the place of ``notebooks/results``, which records are written to."""
    monkeypatch.setattr(environment, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(records, "smoke", lambda: False)
    (tmp_path / "notebooks" / "results").mkdir(parents=True)
    return tmp_path / "notebooks" / "results"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Claims.


def test_every_limit_of_a_claim_is_inclusive():
    assert verdict(history(90, 90, 90, 99.4, 99.4, 99.4), history(99.4, 99.4, 99.4)).passed == 2


@pytest.mark.parametrize(
    "accuracies, reason",
    [
        ((99.5, 99.5, 99.5, 99.39, 99.5, 99.5), "99.39 %"),
        ((99.5, 99.5, 99.5, 99.5, 99.5, 99.39), "99.39 %"),
        ((99.5, 99.5), "2 epochs"),
        ((99.5,) * 7, "7 epochs"),
        ((), "0 epochs, nan %"),
        ((99.5, 99.5, math.nan), "nan %"),
        ((math.nan, 99.5, 99.5), "nan %"),
        ((99.5, math.nan, 98.0), "nan %"),
    ],
)
def test_a_run_that_breaks_one_limit_fails_and_says_which(accuracies, reason):
    judged = verdict(history(99.4, 99.4, 99.4), history(*accuracies))
    assert (judged.passed, judged.n, judged.reasons) == (1, 2, (f"  run 1: {reason}",))


def test_one_parameter_too_many_fails_every_run():
    judged = verdict(history(99.5, 99.5, 99.5), history(99.5, 99.5, 90), parameters=10_001)
    assert judged.passed == 0
    assert judged.reasons == ("  run 0: 10,001 parameters", "  run 1: 10,001 parameters, 90.00 %")


def test_an_epoch_before_the_last_ones_is_not_judged():
    assert verdict(history(10, 99.4, 99.4, 99.4)).passed == 1


def test_a_verdict_prints_the_claim_the_counts_with_their_interval_and_the_reasons():
    good, bad = history(99.5, 99.5, 99.5), history(99.5, 99.5, 99.0)
    assert str(verdict(good, good, good, good, bad)).splitlines() == [
        "FAILS: ≤ 10,000 parameters, ≤ 6 epochs, ≥ 99.4 % in each of the last 3 epochs",
        "  4 of 5 runs (Wilson 95 %: 38 to 96 %)",
        "  run 4: 99.00 %",
    ]  # (0.8 + 0.384 ± 1.96 √0.0704) / 1.768
    whole = str(verdict(*[good] * 5)).splitlines()
    assert whole[1:] == ["  5 of 5 runs (Wilson 95 %: 57 to 100 %)"]
    assert str(verdict(good)).startswith("HOLDS")
    assert str(replace(CLAIM, last_epochs=1)).endswith("≥ 99.4 % in the last epoch")


def test_practice_data_are_not_judged():
    judged = verdict(history(100, 100, 100), source="practice")
    assert not judged.judged and "Wilson" not in str(judged)
    assert str(judged).startswith("NOT JUDGED (practice data)")
    assert "HOLDS" in str(result(accuracies=[99.0]).judge(Claim(5958, 1, 99.0)))
    assert "NOT JUDGED" in str(result(source="practice").judge(Claim(5958, 1, 99.0)))


# Figures.


@pytest.mark.parametrize(
    "values", [(99.5, 99.52, 99.47), (99.0, 98.0), (97.125, 97.125, 97.125, 97.125)]
)
def test_accuracy_is_mean_and_sample_deviation_with_n(values):
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    expected = f"{mean:.2f} ± {deviation:.2f} % (n = {len(values)})"
    assert result(accuracies=values).accuracy == expected


def test_a_single_run_has_no_deviation():
    assert result(accuracies=[99.5]).accuracy == "99.50 % (n = 1)"


def test_a_record_tells_its_origin_and_its_command():
    told = result(accuracies=(99, 98, 97))
    start = "recorded 2026-01-02, cpu (x86, 2 threads), torch 2.9.0, commit aaaaaaa"
    # Two threads are those of one seed after the other.
    assert told.command == "python -m helpers experiment first --seeds 3 --jobs 1"
    assert told.provenance == start and not told.from_changed_files
    # As records have it that got seeds later.
    told.record["runs"][1]["commit"] = "a" * 40
    told.record["runs"][2]["commit"] = "b" * 40
    assert told.provenance == f"{start}, bbbbbbb"
    # As one has it that ran with changed files.
    told.record["runs"][2]["commit"] = "b" * 40 + "+"
    assert told.provenance == f"{start}, bbbbbbb+" and told.from_changed_files
    told.record["environment"]["threads"] = 1
    assert "(x86, 1 thread)" in told.provenance
    assert told.command == "python -m helpers experiment first --seeds 3"


def test_predictions_need_the_images_they_were_made_on():
    recorded = result(accuracies=(SHARE, SHARE))
    assert recorded.predictions(images()).correct.tolist() == [True, True, False]
    with pytest.raises(CourseError, match="other test images.*COURSE_TRAIN=1"):
        recorded.predictions(images((1, 2, 3)))


def test_recorded_classes_count_where_rounded_logits_tie():
    recorded = result(accuracies=(SHARE,), logits=numpy.zeros((1, 3, 10), dtype="float16"))
    assert recorded.predictions(images()).predicted.tolist() == [1, 2, 3]
    assert recorded.predictions(images()).losses.tolist() == pytest.approx([math.log(10)] * 3)


def test_the_first_seeds_alone_may_have_logits(folder):
    saved = result(accuracies=(SHARE, SHARE), logits=numpy.ones((1, 3, 10), dtype="float16"))
    saved.save()
    loaded = load_result("first")
    assert loaded.predictions(images(), run=0).logits is not None
    later = loaded.predictions(images(), run=1)
    assert later.logits is None and later.predicted.tolist() == [1, 2, 3]
    result(accuracies=(SHARE,), logits=numpy.ones((2, 3, 10), dtype="float16")).save()
    with pytest.raises(CourseError, match="its logits are of other images"):
        load_result("first")


# On disk.


def test_a_record_comes_back_as_it_was_saved_with_the_digest_of_its_arrays(folder):
    saved = result(accuracies=(99, 98), logits=numpy.zeros((2, 3, 10), dtype="float16"))
    saved.save()
    loaded = load_result("first")
    digest = hashlib.sha256((folder / "first.npz").read_bytes()).hexdigest()
    assert loaded.record == saved.record | {"arrays": digest}
    assert list(loaded.record)[-3:] == ["recorded", "arrays", "runs"]
    assert loaded.arrays.keys() == saved.arrays.keys()
    for name, array in saved.arrays.items():
        assert numpy.array_equal(loaded.arrays[name], array)
    assert contents(folder).keys() == {"first.json", "first.npz"}
    assert (folder / "first.json").read_text(encoding="utf-8").startswith('{\n "name": "first",\n')


@pytest.mark.skipif(os.name == "nt", reason="there a process cannot be asked whether it lives")
def test_a_save_removes_what_killed_processes_left_and_nothing_that_is_being_written(folder):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = [f".first.npz.{ended.pid}.0a1b.tmp", f".first.json.{ended.pid}.ff.tmp"]
    alive = [
        f".first.npz.{os.getpid()}.0a1b.tmp",
        f".first.json.{os.getppid()}.0.tmp",
        f".first-fast.npz.{ended.pid}.0.tmp",
        ".first.npz.notes.tmp",
    ]
    for name in (*left, *alive):
        (folder / name).write_bytes(b"half")
    result().save()
    assert contents(folder).keys() == {"first.json", "first.npz", *alive}


class Killed(BaseException):
    """Stands for the end of the process."""


NEW = {"accuracies": (50, 51), "logits": numpy.ones((2, 3, 10), dtype="float16")}


def killed_save(monkeypatch, renames):
    """Save the new record in a process that is killed after so many renames.

    What cleans up at an error does not do so here, as little as in a process that is killed.
    """
    replace_file, left = os.replace, [renames]

    def killed_after_some(source, target):
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        replace_file(source, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "replace", killed_after_some)
        patch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        result(**NEW).save()
        raise Killed  # after both


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_save_that_is_killed_anywhere_leaves_the_old_record_or_the_new(
    folder, monkeypatch, renames
):
    result(accuracies=(99, 98)).save()
    killed_save(monkeypatch, renames)
    accuracies = {0: (99, 98), 1: (50, 51), 2: (50, 51)}[renames]
    for _ in range(2):  # the second one finds the save finished
        loaded = load_result("first")
        assert tuple(loaded.accuracies.values()) == accuracies
        assert ("logits" in loaded.arrays) == (renames > 0)
    # The files under their own names are a whole record, without those that were left.
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink()
    assert tuple(load_result("first").accuracies.values()) == accuracies
    assert contents(folder).keys() == {"first.json", "first.npz"}


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_first_save_that_is_killed_leaves_a_whole_record_or_none(folder, monkeypatch, renames):
    killed_save(monkeypatch, renames)
    if renames == 0:
        with pytest.raises(CourseError, match="not recorded yet"):
            load_result("first")
    else:
        assert load_result("first").accuracies == {0: 50, 1: 51}


def test_a_leftover_of_another_save_is_not_taken(folder, monkeypatch):
    result(accuracies=(99, 98)).save()
    killed_save(monkeypatch, 0)
    before = (folder / "first.json").read_bytes()
    (folder / ".first.json.1.ab.tmp").write_text("half a")
    (folder / ".first.json.1.ac.tmp").write_text("[]")
    (folder / "first.npz").write_bytes(b"another")
    with pytest.raises(CourseError, match="damaged"):
        load_result("first")
    assert (folder / "first.json").read_bytes() == before


@pytest.mark.parametrize("kept", ["first.json", "first.npz"])
def test_the_files_of_two_saves_are_refused_whichever_is_the_older(folder, kept):
    result(accuracies=(99, 98)).save()
    old = (folder / kept).read_bytes()
    result(accuracies=(99, 97), logits=numpy.ones((2, 3, 10), dtype="float16")).save()
    (folder / kept).write_bytes(old)
    with pytest.raises(CourseError, match="does not match its npz"):
        load_result("first")


def test_a_save_that_fails_leaves_the_old_record(folder):
    result(accuracies=(99, 98)).save()
    before = contents(folder)
    broken = result(accuracies=(1, 2, 3))
    broken.record["environment"]["device"] = object()  # JSON cannot write that
    with pytest.raises(TypeError):
        broken.save()
    assert contents(folder) == before


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_no_result(folder, value):
    broken = result(accuracies=(99, value), seeds=(0, 7))
    with pytest.raises(CourseError, match="^first, seed 7, epoch 1: test_accuracy is -?(nan|inf)"):
        broken.save()
    logits = numpy.full((1, 3, 10), value, dtype="float16")
    with pytest.raises(CourseError, match="^first: logits .*not finite"):
        result(logits=logits).save()
    other = result()
    other.record["parameters"] = value
    with pytest.raises(CourseError, match="^first: parameters is -?(nan|inf), and a record holds"):
        other.save()
    other = result()
    other.record["recipe"]["learning_rate"] = value
    with pytest.raises(CourseError, match="^first: recipe learning_rate is -?(nan|inf), and a rec"):
        other.save()
    other = result()
    other.record["runs"][0]["seconds"] = value
    with pytest.raises(CourseError, match="^first: runs 0 seconds is -?(nan|inf), and a record h"):
        other.save()
    assert contents(folder) == {}


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_record_with_such_a_number_is_damaged(folder, word):
    result().save()
    path = folder / "first.json"
    path.write_bytes(path.read_bytes().replace(b"99.0", word))
    with pytest.raises(CourseError, match="first.json is damaged"):
        load_result("first")


@pytest.mark.parametrize(
    "suffix, change, expected",
    [
        (".json", lambda old: old[:-20], "damaged"),
        (".json", lambda old: b"\xff" + old, "damaged"),
        (".json", lambda old: b"[]", "damaged"),
        (".json", lambda old: b"{}", "damaged"),
        (".json", lambda old: old.replace(b'"recipe":', b'"recept":'), "damaged"),
        (".json", lambda old: old.replace(b'"model":', b'"modell":'), "damaged"),
        (".npz", lambda old: old[:-20], "damaged"),
        (".npz", lambda old: b"", "damaged"),
        (".npz", lambda old: old[:60] + bytes(8) + old[68:], "damaged"),
        (".npz", lambda old: old + b" ", "does not match its npz"),
        (
            ".json",
            lambda old: old.replace(b'"seed": 0', b'"seed": 0}, {"seed": 9'),
            "does not match its npz",
        ),
        (
            ".json",
            lambda old: old.replace(b'"momentum": 0.9', b'"momentum": 0.8'),
            "of another recipe",
        ),
        (
            ".json",
            lambda old: old.replace(b"small.first_net", b"small.wide_net"),
            "of another recipe",
        ),
    ],
)
def test_a_damaged_or_foreign_record_is_one_line_with_the_command_that_mends_it(
    folder, suffix, change, expected
):
    result().save()
    path = folder / f"first{suffix}"
    before = path.read_bytes()
    path.write_bytes(change(before))
    assert path.read_bytes() != before
    with pytest.raises(CourseError) as error:
        load_result("first")
    told = str(error.value)
    assert "first.json" in told and expected in told and "\n" not in told
    assert told.endswith("python -m helpers experiment first --fresh")


def dropped(place, field):
    """A change of a record that takes a field away."""

    def change(record):
        del place(record)[field]

    return change


def put(place, field, value):
    """A change of a record that puts a value into a field."""

    def change(record):
        place(record)[field] = value

    return change


def whole(record):
    return record


def second_run(record):
    return record["runs"][1]


def second_row(record):
    return record["runs"][1]["epochs"][0]


@pytest.mark.parametrize(
    "change, words",
    [
        (dropped(whole, "parameters"), "the record has no parameters"),
        (dropped(whole, "data"), "the record has no data"),
        (dropped(whole, "environment"), "the record has no environment"),
        (dropped(whole, "commit"), "the record has no commit"),
        (put(whole, "parameters", "many"), "the record: parameters is 'many', and no int"),
        (put(whole, "parameters", None), "the record: parameters is None, and no int"),
        (put(whole, "recorded", 2026), "the record: recorded is 2026, and no str"),
        (put(whole, "data", {"name": "mnist", "source": "folder"}), "its data has no digest"),
        (put(whole, "environment", []), "the record: environment is .*, and no dict"),
        (dropped(second_run, "seed"), "run 1 has no seed"),
        (put(second_run, "seed", True), "run 1: seed is True, and no int"),
        (put(second_run, "seed", 0), "seed 0 stands there twice"),
        (put(second_run, "epochs", []), "run 1 has no epochs"),
        (put(second_run, "epochs", None), "run 1: epochs is None, and no list"),
        (put(second_run, "epochs", [7]), "run 1, epoch 1 has no fields"),
        (put(second_run, "seconds", math.inf), "runs 1 seconds is inf"),
        (dropped(second_row, "test_accuracy"), "run 1, epoch 1 has no test_accuracy"),
        (put(second_row, "test_accuracy", None), "test_accuracy is None, and no float"),
        (put(second_row, "test_accuracy", "98"), "test_accuracy is '98', and no float"),
        (put(second_row, "test_accuracy", 101.0), "test_accuracy is 101.0, and no percentage"),
        (put(second_row, "test_loss", math.inf), "runs 1 epochs 0 test_loss is inf"),
        (put(second_row, "epoch", 3), "run 1, epoch 1 says that it is epoch 3"),
    ],
)
def test_a_record_whose_fields_are_not_what_they_are_to_be_is_one_line(folder, change, words):
    result(accuracies=(99, 98)).save()
    path = folder / "first.json"
    record = json.loads(path.read_text())
    change(record)
    # A number that is too large for a float is read as infinity.
    path.write_text(json.dumps(record).replace("Infinity", "1e999"))
    with pytest.raises(CourseError, match=f"first.json is damaged .*{words}") as error:
        load_result("first")
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(": python -m helpers experiment first --fresh")


def test_arrays_that_do_not_fit_each_other_are_one_line(folder):
    result(logits=numpy.zeros((1, 4, 10), dtype="float16")).save()
    with pytest.raises(CourseError, match="damaged .its logits are of other images"):
        load_result("first")
    result(predictions=numpy.zeros((1, 3))).save()
    with pytest.raises(CourseError, match="damaged .its predictions are no class numbers"):
        load_result("first")


def two_runs():
    """A record of two runs, of which the first has two images of three right, the second one."""
    predictions = numpy.array([[1, 2, 3], [1, 1, 1]], dtype="uint8")
    return result(accuracies=(SHARE, 33.333333), predictions=predictions)


def test_an_accuracy_is_believed_only_where_the_predictions_have_it(folder):
    two_runs().save()
    assert load_result("first").predictions(images(), run=1).mistakes == 2

    # Changed by hand, and in another order than the arrays.
    path = folder / "first.json"
    text = path.read_text()
    path.write_text(text.replace("33.333333", "43.333333"))
    with pytest.raises(CourseError, match=r"states 43.333333 % for seed 1.* 33.3333 %: .*fresh"):
        load_result("first").predictions(images())
    record = json.loads(text)
    record["runs"].reverse()
    path.write_text(json.dumps(record))
    with pytest.raises(CourseError, match=r"states 33.333333 % for seed 1.* 66.6667 %: .*fresh"):
        load_result("first").predictions(images())


@pytest.mark.parametrize("run", [2, -1, "0", None, 0.0])
def test_a_run_that_a_record_does_not_have_is_one_line(run):
    with pytest.raises(CourseError, match=f"^the record first has runs 0 to 1, and no run {run!r}"):
        two_runs().predictions(images(), run=run)


def test_predictions_are_asked_for_with_all_of_a_data_set():
    with pytest.raises(CourseError, match="give what data.load returns, not a ImageSplit"):
        two_runs().predictions(images().test)


def test_a_missing_record_names_its_command_and_an_unknown_one_the_near_names(folder):
    words = "^first.json is not recorded yet: python -m helpers experiment first$"
    with pytest.raises(CourseError, match=words):
        load_result("first")
    with pytest.raises(CourseError, match="unknown record 'frist'; choose one of: first"):
        load_result("frist")
    result().save()
    (folder / "first.npz").unlink()
    with pytest.raises(CourseError, match=r"damaged.*first --fresh"):
        load_result("first")


def test_a_record_that_is_older_than_a_field_has_its_default(folder):
    saved = result(accuracies=(99, 98))
    functions = ("batches", "average_part", "step", "views")
    for newer in ("nesterov", "step_size", "gamma", *functions, "options"):
        del saved.record["recipe"][newer]
    saved.record["recipe"]["model"] = "first_net"
    saved.save()
    assert load_result("first").accuracies == saved.accuracies
    saved.record["recipe"]["nesterov"] = False
    saved.save()
    with pytest.raises(CourseError, match="another recipe"):
        load_result("first")


# Records that are older than the digest.


def without_digest(path, line_end=b"\n"):
    """Write a record as it was before there were digests; its text."""
    lines = path.read_bytes().splitlines()
    text = line_end.join(line for line in lines if b'"arrays"' not in line) + line_end
    path.write_bytes(text)
    return text


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_digest_is_added_and_not_a_byte_of_the_rest_changes(folder, line_end):
    for name in ("first", "first-fast", "first-slow"):
        result(name).save()
    whole = contents(folder)
    old = without_digest(folder / "first.json", line_end)
    without_digest(folder / "first-slow.json")
    with pytest.raises(CourseError, match="first.json has no digest.*python -m helpers digests$"):
        load_result("first")

    assert add_digests(folder) == [folder / "first-slow.json", folder / "first.json"]
    digest = hashlib.sha256(whole["first.npz"]).hexdigest().encode()
    start, end = old.split(b' "runs": ')
    line = b' "arrays": "' + digest + b'",' + line_end
    assert (folder / "first.json").read_bytes() == start + line + b' "runs": ' + end
    others = {name: text for name, text in contents(folder).items() if name != "first.json"}
    assert others == {name: text for name, text in whole.items() if name != "first.json"}
    assert load_result("first").accuracies == {0: 99.0}
    assert add_digests(folder) == []


def test_a_record_that_cannot_be_told_whole_gets_no_digest_and_neither_does_another(folder):
    for name in ("first", "first-fast"):
        result(name).save()
        without_digest(folder / f"{name}.json")
    text = (folder / "first.json").read_text()
    for broken in (text[:-30], text.replace('"seed": 0', '"seed": 0}, {"seed": 9'), ""):
        (folder / "first.json").write_text(broken)
        before = contents(folder)
        with pytest.raises(CourseError, match=r"first\.json is damaged, or does not match"):
            add_digests(folder)
        assert contents(folder) == before
    (folder / "first.json").write_text(json.dumps(json.loads(text)))
    with pytest.raises(CourseError, match="not written as the experiment command does"):
        add_digests(folder)


def test_every_name_of_a_record_is_that_of_its_recipe():
    assert result().recipe.name == "first" and result().recipe.build_model()
    assert result().recipe.hyperparameters() == EXPERIMENTS["first"].hyperparameters()
