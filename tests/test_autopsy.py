"""Document 002's autopsy: each suspect against another calculation, and a record that is whole."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from statistics import fmean, stdev

import pytest
import torch
from torch import nn

from helpers import data
from helpers.environment import CourseError
from helpers.experiments import autopsy, dissections, suspects, verdict
from helpers.experiments.autopsy import Autopsy, findings_table, load_autopsy, run
from helpers.experiments.runs import load_for
from helpers.experiments.suspects import Finding
from helpers.models import count_parameters
from helpers.models.resnet9 import ResNet9

# Pixels in [0, 1] with a mean and a spread that differ from channel to channel.
PIXELS = torch.rand(6, 3, 5, 4, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def cifar():
    return data.load("cifar10", validation=0)


@pytest.fixture(scope="module")
def split(cifar):
    return cifar.test.subset(slice(0, 60))


# The libraries of the document.


@pytest.mark.parametrize("highest", [1.0, 255.0])
def test_normalised_is_what_albumentations_makes_of_a_tensor_as_an_array(split, highest):
    library = pytest.importorskip("albumentations")
    step = library.Normalize(mean=split.mean, std=split.std, max_pixel_value=highest)
    ours = suspects.normalised(PIXELS, split, highest)
    for pixels, expected in zip(PIXELS, ours):
        array = pixels.permute(1, 2, 0).numpy()
        theirs = torch.from_numpy(step(image=array)["image"]).permute(2, 0, 1)
        assert torch.allclose(theirs, expected, atol=1e-4)


def test_the_default_of_albumentations_is_255(split):
    library = pytest.importorskip("albumentations")
    default = library.Normalize(mean=split.mean, std=split.std)
    array = PIXELS[0].permute(1, 2, 0).numpy()
    theirs = torch.from_numpy(default(image=array)["image"]).permute(2, 0, 1)
    faulty = suspects.of_the_other_scale(PIXELS, split)[0]
    assert torch.allclose(theirs, faulty, atol=1e-4)


def test_torchvisions_steps_are_those_of_the_recipe(split):
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    image = split.images[0]
    tensor = functional.to_dtype(image, torch.float32, scale=True)
    padded = functional.pad(tensor, [4, 4, 4, 4])
    corner = functional.hflip(functional.crop(padded, 0, 8, 32, 32))
    # The recipe's crop, made to take the corner: its frame is black, before it is normalised.
    by_hand = torch.zeros(3, 32, 32)
    by_hand[:, 4:, :28] = (image / 255)[:, :28, 4:]
    assert torch.allclose(corner, by_hand.flip(-1))
    assert [name for name, _ in autopsy.DOCUMENT.augment] == [
        "RandomCrop",
        "RandomHorizontalFlip",
        "Cutout",
    ]


# The suspects.


def by_hand(name, x, mean, std):
    """What the net gets of one image, pixel by pixel; ``x`` is a list [3][rows][columns]."""
    rows, columns = len(x[0]), len(x[0][0])
    good = [[[(value - mean[c]) / std[c] for value in row] for row in x[c]] for c in range(len(x))]
    if name.startswith("1 "):
        return x
    if name.startswith("2 "):
        return [
            [[(value - mean[c]) / std[c] for value in row] for row in good[c]] for c in range(3)
        ]
    if name.startswith("3 "):
        return [
            [[(v - 255 * mean[c]) / 255 / std[c] for v in row] for row in x[c]] for c in range(3)
        ]
    if name.startswith("6a rows"):
        return [[list(column) for column in zip(*channel)] for channel in good]
    if name.startswith("6b reshaped"):
        flat = [good[c][r][k] for r in range(rows) for k in range(columns) for c in range(3)]
        return torch.tensor(flat).view(3, rows, columns).tolist()
    if name.startswith("7 "):
        swapped = x[::-1]
        return [[[(v - mean[c]) / std[c] for v in row] for row in swapped[c]] for c in range(3)]
    return [[[(255 * v - mean[c]) / std[c] for v in row] for row in x[c]] for c in range(3)]


@pytest.mark.parametrize("name", suspects.TEST_FAULTS)
def test_a_fault_is_what_a_calculation_by_hand_says(name, split):
    ours = suspects.TEST_FAULTS[name](PIXELS, split)
    for pixels, image in zip(PIXELS, ours):
        expected = torch.tensor(by_hand(name, pixels.tolist(), split.mean, split.std))
        assert torch.allclose(image, expected, rtol=1e-4, atol=1e-4)


def test_an_image_that_is_mirrored_after_normalising_is_one_that_was_mirrored_before(split):
    after = suspects.mirrored_after(PIXELS, split)
    assert torch.allclose(after, suspects.normalised(PIXELS.flip(-1), split))
    for pixels, image in zip(PIXELS, after):
        rows = by_hand("0 ", (pixels / 255).tolist(), split.mean, split.std)
        assert torch.allclose(image, torch.tensor(rows).flip(-1), rtol=1e-4, atol=1e-4)


def test_a_split_of_the_other_scale_is_normalised_as_by_the_default(split):
    images, _ = next(iter(data.Batches(suspects.on_other_scale(split), 60)))
    expected = suspects.normalised(split.images / 255, split, 255)
    assert torch.allclose(images, expected, atol=1e-5)
    # The data set itself is left alone.
    assert split.mean[0] < 1


def test_batches_of_a_split_are_those_that_training_measures_on(split):
    device = torch.device("cpu")
    [(images, labels)] = suspects.batches_of(split, suspects.normalised, device)
    right, truth = next(iter(data.Batches(split, 60)))
    assert torch.allclose(images, right, atol=1e-5) and torch.equal(labels, truth)


class Brightness(nn.Module):
    """Names class 1 where an image is bright; a normalisation before it, as real nets have."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images):
        bright = self.norm(images).mean((1, 2, 3))
        rest = torch.full((len(images), 8), -100.0, device=images.device)
        return torch.cat([torch.stack([-bright, bright], 1), rest], 1)


def test_measuring_goes_over_all_suspects_and_leaves_the_net_alone(split):
    net = Brightness().eval()
    before = copy.deepcopy(net.state_dict())
    findings = suspects.measure(net, 80.0, split)
    names = [each.suspect for each in findings]
    assert names == [
        suspects.AS_TOLD,
        *suspects.TEST_FAULTS,
        suspects.MIXED,
        suspects.SORTED,
    ]
    assert all(map(torch.equal, before.values(), net.state_dict().values()))
    assert not net.training

    # The first row is the plain accuracy, and mean and spread are those of a batch.
    images, labels = next(iter(data.Batches(split, 60)))
    accuracy = 100 * (net(images).argmax(1) == labels).float().mean().item()
    told = findings[0]
    assert told.test == pytest.approx(accuracy) and told.gap == pytest.approx(80 - accuracy)
    assert told.mean == pytest.approx(images.mean().item(), abs=1e-4)
    assert told.spread == pytest.approx(images.std().item(), abs=1e-4)


def test_training_mode_takes_the_statistics_of_the_batch():
    net = Brightness().eval()
    # All images are bright, but by their own batch half of them are dark.
    images = 5 + torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    labels = torch.tensor([0, 0, 1, 1])
    assert suspects.accuracy_in_training_mode(net, [(images, labels)]) == 100
    assert (net(images).argmax(1) == 1).all()


def test_averages_are_measured_anew_over_training_images(cifar):
    recipe = replace(autopsy.NARROW, augment=(), batch_size=50)
    net = Brightness()
    net.norm.running_mean.fill_(9.0)
    renewed = suspects.with_averages_anew(net, recipe, cifar.train.subset(slice(0, 200)))
    images, _ = next(iter(data.Batches(cifar.train.subset(slice(0, 200)), 200)))
    expected = images.mean((0, 2, 3))
    assert torch.allclose(renewed.norm.running_mean, expected, atol=1e-4)
    assert (net.norm.running_mean == 9).all()


def test_the_hasty_recipe_differs_in_its_steps_alone():
    hasty = suspects.hasty(autopsy.NARROW).hyperparameters()
    slow = autopsy.NARROW.hyperparameters()
    changed = {name for name in slow if slow[name] != hasty[name]}
    # The narrow recipe's highest rate is the same number, for another optimizer.
    assert changed <= {"name", "optimizer", "learning_rate", "weight_decay"}
    assert hasty["optimizer"] == "adamw" and hasty["learning_rate"] == suspects.HASTY_RATE


def test_the_documents_net_is_the_documents_net():
    assert count_parameters(autopsy.DOCUMENT.build_model()) == 757_931
    assert str(autopsy.DOCUMENT.build_model()) == str(ResNet9(grouped=True))
    assert (autopsy.DOCUMENT.epochs, autopsy.DOCUMENT.peak_epoch) == (20, 5)


# The table and the record.


def test_the_table_gives_means_over_seeds_below_the_reports_figures():
    findings = [
        Finding("a", 90.0, 45.0, 0.0, 1.0),
        Finding("b", 80.0, 80.0, -1.9, 0.1),
        Finding("a", 92.0, 47.0, 0.2, 1.2),
    ]
    table = findings_table(findings, "a note")
    assert table.rows[0][1:5] == ["92.43", "50.23", "42.2", "49"]
    # Without a sound row nobody knows what was lost.
    assert table.rows[1][1:] == ["91.00 ± 1.41", "46.00 ± 1.41", "45.0", "–", "0.10", "1.10"]
    assert table.rows[2][1:] == ["80.00", "80.00", "0.0", "–", "-1.90", "0.10"]
    assert table.note == "a note"


def test_what_is_kept_is_counted_from_a_blind_guess():
    assert suspects.kept(10, 90) == 0 and suspects.kept(90, 90) == 100
    assert suspects.kept(50, 90) == 50 and suspects.kept(8, 30) == pytest.approx(-10)
    # The document's own figures, and a net that has learned next to nothing
    assert pytest.approx(100 * 40.23 / 82.43) == autopsy.DOCUMENT_KEPT
    assert suspects.kept(10, 10.9) is None and suspects.kept(10, 3) is None


def test_each_suspect_is_compared_with_the_row_without_a_fault_or_with_a_net_of_its_own():
    findings = [
        Finding(suspects.AS_TOLD, 60.0, 70.0, 0.0, 1.0),
        Finding(suspects.AS_TOLD, 62.0, 72.0, 0.0, 1.0),
        Finding("3 a", 60.0, 10.0, 0.0, 1.0),
        Finding("3 a", 62.0, 41.0, 0.0, 1.0),
        Finding("4 b", 20.0, 15.0, 0.0, 1.0, sound=20.0),
        Finding("4 c", 20.0, 15.0, 0.0, 1.0, sound=10.2),
    ]
    shares = autopsy.kept_by_suspect(findings)
    assert shares[suspects.AS_TOLD] == 100 and shares["4 b"] == 50 and shares["4 c"] is None
    assert shares["3 a"] == pytest.approx(100 * (fmean([10, 41]) - 10) / (71 - 10))
    assert [row[4] for row in findings_table(findings).rows] == ["49", "100", "25", "50", "–"]


def test_the_verdict_names_the_suspects_of_the_right_size():
    findings = [
        Finding(suspects.AS_TOLD, 60.0, 90.0, 0.0, 1.0),
        Finding("9 far", 60.0, 10.0, 0.0, 1.0),
        Finding("6b above", 60.0, 62.0, 0.0, 1.0),
        Finding("6a near", 60.0, 61.0, 0.0, 1.0),
        Finding("10 near", 61.4, 38.0, 0.0, 1.0),
        Finding("10 near" + suspects.ANEW, 61.4, 50.0, 0.0, 1.0),
    ]
    # Four fifths of a point of accuracy are one of what is kept: 49 ± 15 is from 37 to 61.
    assert verdict.size_verdicts(findings) == {
        "6a near": "yes",
        "6b above": "no",
        "9 far": "no",
        "10 near": "yes",
    }
    table = verdict.verdict_table(findings, {"6a": "nothing", "10": "for"}, "made up")
    assert [row[0] for row in table.rows] == ["6a near", "6b above", "9 far", "10 near"]
    assert table.rows[0][1:] == ["60", "64", "yes", "nothing"]
    assert table.rows[1][1:] == ["60", "65", "no", "–"]
    assert table.rows[3][1:] == ["61", "35", "yes", "for"]
    assert table.head[3] == "49 ± 15?" and "made up" in table.note and "92 %" in table.note


def test_several_seeds_get_an_interval_of_what_they_keep():
    # Of a sound accuracy of 90 they keep 48.75, 50 and 51.25 %, so s is 1.25; t is 4.303.
    findings = [Finding(suspects.AS_TOLD, 60.0, 90.0, 0.0, 1.0)]
    findings += [Finding("7 a", 60.0, test, 0.0, 1.0) for test in (49.0, 50.0, 51.0)]
    table = verdict.verdict_table(findings, {}, "x")
    half = 4.303 * 1.25 / 3**0.5
    assert table.rows[0][2] == f"50 ({50 - half:.1f} to {50 + half:.1f})"
    assert "Near it is 33.8 to 63.8 %" in table.note


def test_nothing_is_of_the_right_size_where_the_net_has_learned_nothing():
    findings = [
        Finding(suspects.AS_TOLD, 10.0, 9.0, 0.0, 1.0),
        Finding("3 a", 10.0, 9.0, 0.0, 1.0),
    ]
    assert verdict.size_verdicts(findings) == {"3 a": "has not learned"}
    row = verdict.verdict_table(findings, {}, "x").rows[0]
    assert row[1:] == ["10", "–", "has not learned", "–"]


def test_a_net_that_has_not_learned_neither_accuses_nor_acquits():
    findings = [
        Finding(suspects.AS_TOLD, 60.0, 60.0, 0.0, 1.0),
        Finding("3 far", 60.0, 10.0, 0.0, 1.0),
        Finding("4 stuck", 9.9, 10.0, 0.0, 1.0),
        Finding("4 stuck" + suspects.ANEW, 9.9, 10.0, 0.0, 1.0),
        Finding("9 stuck, and right in size", 11.9, 34.0, 0.0, 1.0),
        Finding("10 hardly", 12.0, 34.0, 0.0, 1.0),
    ]
    assert verdict.not_learned(findings) == ["4 stuck", "9 stuck, and right in size"]
    found = {row[0]: row[3] for row in verdict.verdict_table(findings, {}, "x").rows}
    assert verdict.size_verdicts(findings) == found
    assert found == {
        "3 far": "no",
        "4 stuck": "has not learned",
        "9 stuck, and right in size": "has not learned",
        "10 hardly": "yes",
    }


def test_a_seed_that_has_not_learned_does_not_count_where_another_has():
    findings = [
        Finding(suspects.AS_TOLD, 60.0, 90.0, 0.0, 1.0),
        Finding("4 one seed of two", 10.0, 10.0, 0.0, 1.0),
        Finding("4 one seed of two", 30.0, 50.0, 0.0, 1.0),
        Finding("9 neither", 10.0, 10.0, 0.0, 1.0),
        Finding("9 neither", 11.0, 50.0, 0.0, 1.0),
    ]
    # The seed that learned keeps a half; with the other one it would be a quarter.
    assert verdict.not_learned(findings) == ["9 neither"]
    words = {"4 one seed of two": "yes", "9 neither": "has not learned"}
    assert verdict.size_verdicts(findings) == words
    rows = verdict.verdict_table(findings, {}, "x").rows
    assert rows[0][1:4] == ["30", "50", "yes (1 of 2 seeds learned)"]
    assert rows[1][3] == "has not learned"


@pytest.mark.parametrize(
    ("accuracies", "word"),
    [
        # Of a sound accuracy of 90 an accuracy a keeps (a − 10) · 100 / 80 percent.
        ([49.0, 50.0, 51.0], "yes"),
        ([30.0, 50.0, 70.0], "undecided"),
        # The mean lies outside by two points of what is kept, and the interval reaches inside.
        ([61.0, 63.0, 65.0], "undecided"),
        ([80.0, 80.5, 81.0], "no"),
        ([10.0, 10.0, 10.0], "no"),
    ],
)
def test_the_interval_over_seeds_says_whether_a_size_is_the_reports(accuracies, word):
    findings = [Finding(suspects.AS_TOLD, 60.0, sound, 0.0, 1.0) for sound in (89.0, 90.0, 91.0)]
    findings += [Finding("7 a", 60.0, test, 0.0, 1.0) for test in accuracies]
    assert verdict.size_verdicts(findings) == {"7 a": word}
    # By hand: mean ± 4.303 · s / √3, in percent of what is kept.
    shares = [100 * (test - 10) / 80 for test in accuracies]
    half = 4.303 * stdev(shares) / 3**0.5
    low, high = fmean(shares) - half, fmean(shares) + half
    inside = autopsy.DOCUMENT_KEPT - verdict.NEAR, autopsy.DOCUMENT_KEPT + verdict.NEAR
    expected = "undecided"
    if inside[0] <= low and high <= inside[1]:
        expected = "yes"
    if high < inside[0] or low > inside[1]:
        expected = "no"
    assert word == expected


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, cifar):
    """An autopsy of two seeds on a few practice images, in a folder of its own."""
    few = replace(
        cifar,
        train=cifar.train.subset(slice(0, 60)),
        test=cifar.test.subset(slice(0, 40)),
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(dissections, "load_for", lambda recipe, searching: few)
    # On busy cores two threads would spend their time waiting for each other.
    patch.setattr(autopsy, "share_processors", lambda jobs, workers: (1, 1))
    patch.setenv("COURSE_RUNS", str(tmp_path_factory.mktemp("runs")))
    small = replace(autopsy.NARROW, model_options={"grouped": True, "width": 4}, batch_size=12)
    patch.setitem(autopsy.RECIPES, "narrow", small)
    found = run("narrow", range(2), jobs=1)
    yield found
    patch.undo()


def test_a_run_measures_every_suspect_with_every_seed(recorded):
    assert recorded.seeds == [0, 1]
    assert list(recorded.record["trainings"]) == [
        suspects.AS_TOLD,
        suspects.OTHER_SCALE,
        suspects.HASTY,
    ]
    for histories in recorded.record["trainings"].values():
        assert len(histories) == 2 and len(histories[0]) == 2
    groups = autopsy.by_suspect(recorded.findings)
    assert all(len(group) == 2 for group in groups.values())
    assert len(recorded.table().rows) == 1 + len(groups) == 1 + 10 + 4
    # What was measured is what the training itself measured after its last epoch.
    for name in (suspects.AS_TOLD, suspects.OTHER_SCALE, suspects.HASTY):
        for finding, history in zip(groups[name], recorded.record["trainings"][name]):
            assert finding.test == pytest.approx(history[-1]["test_accuracy"], abs=2.6)
            assert finding.train == history[-1]["train_accuracy"]


def test_a_record_says_where_it_is_from(recorded):
    text = recorded.table().note
    assert "python -m helpers autopsy narrow --seeds 3" in text and "seeds: 2" in text
    assert {"commit", "environment", "recipe"} <= set(recorded.record)
    assert recorded.record["recipe"]["epochs"] == 2


def test_a_finished_run_is_read_and_not_trained_again(recorded, monkeypatch):
    def no_training(*arguments, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr("helpers.training.train_one_epoch", no_training)
    again = run("narrow", [0, 1], jobs=1)
    assert again.findings == recorded.findings


def test_seeds_of_a_record_are_not_left_out(recorded):
    with pytest.raises(CourseError, match="has 2 seeds, and .* give --seeds 2, or remove"):
        run("narrow", [0], jobs=1)
    assert load_autopsy("narrow", autopsy.results_root()).seeds == [0, 1]


def test_a_record_names_the_threads_of_its_trainings(recorded, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    found = recorded.record
    recipe = autopsy.RECIPES["narrow"]
    autopsy.save("narrow", recipe, [0], found["trainings"], recorded.findings, 5)
    kept = json.loads(autopsy.path_of("narrow", autopsy.results_root()).read_text())
    assert kept["environment"]["threads"] == 5
    marked = Autopsy(found | {"commit": "0123456789abcdef+"})
    assert "commit 0123456+," in marked.provenance


def write(folder, text):
    path = autopsy.path_of("narrow", folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_what_is_missing_or_damaged_is_named_with_its_command(tmp_path, recorded):
    with pytest.raises(CourseError, match="not recorded yet: python -m helpers autopsy narrow"):
        load_autopsy("narrow", tmp_path)
    with pytest.raises(CourseError, match="unknown autopsy 'wide'"):
        load_autopsy("wide")
    with pytest.raises(CourseError, match="unknown autopsy 'wide'"):
        run("wide", [0])
    without = {key: value for key, value in recorded.record.items() if key != "findings"}
    for text in ("{", "[]", "{}", json.dumps(without), json.dumps(recorded.record)[:-300]):
        write(tmp_path, text)
        with pytest.raises(CourseError, match="is damaged: python -m helpers autopsy narrow"):
            load_autopsy("narrow", tmp_path)
    write(tmp_path, json.dumps(recorded.record))
    assert load_autopsy("narrow", tmp_path).findings == recorded.findings


def test_a_record_of_another_recipe_is_not_shown_as_todays(tmp_path, monkeypatch):
    monkeypatch.setitem(autopsy.RECIPES, "narrow", autopsy.NARROW)
    kept = load_autopsy("narrow").record
    monkeypatch.setattr(autopsy, "evidence_root", lambda: tmp_path)
    older = {key: value for key, value in kept["recipe"].items() if key != "views"}
    write(tmp_path, json.dumps(kept | {"recipe": older}))
    assert load_autopsy("narrow").seeds == kept["seeds"]
    write(tmp_path, json.dumps(kept | {"recipe": older | {"learning_rate": 0.2}}))
    with pytest.raises(CourseError, match="another recipe .*: python -m helpers autopsy narrow"):
        load_autopsy("narrow")
    assert load_autopsy("narrow", tmp_path).seeds == kept["seeds"]


def test_nothing_is_left_where_the_numbers_are_not_finite(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    bad = [Finding("a", 90.0, float("nan"), 0.0, 1.0)]
    with pytest.raises(CourseError, match="nan"):
        autopsy.save("narrow", autopsy.NARROW, [0], {"a": [[]]}, bad, 1)
    assert not list(tmp_path.rglob("*.json"))


def test_an_autopsy_without_seeds_in_its_table_has_one_number():
    autopsy_of_one = Autopsy(
        {
            "name": "narrow",
            "seeds": [0],
            "commit": "abcdefgh",
            "environment": {"device": "cpu", "device_name": "x", "torch": "2"},
            "findings": [vars(Finding("a", 90.0, 45.0, 0.0, 1.0))],
        }
    )
    assert autopsy_of_one.table().rows[1][1] == "90.00"


@pytest.mark.slow
def test_seeds_side_by_side_are_those_of_one_process(tmp_path, monkeypatch):
    """Real processes, on practice data: the same numbers in the same order."""
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    small = replace(autopsy.NARROW, epochs=1, peak_epoch=0.5, batch_size=500)
    recipe = replace(small, model_options={"width": 4})
    # Other tests of this file give this process fewer images than its workers have.
    monkeypatch.setattr(dissections, "load_for", load_for)
    in_two, in_one = [], []
    for found, workers in ((in_two, 2), (in_one, 1)):
        # In the second folder nothing is read that the first run has kept.
        monkeypatch.setenv("COURSE_RUNS", str(tmp_path / str(workers)))
        for seed_parts in dissections.every_seed(recipe, [0, 1], workers, 1):
            found.append([without_seconds(part) for part in seed_parts])
    assert in_two == in_one
    names = [[suspect for suspect, _, _ in seed_parts] for seed_parts in in_two]
    assert names == [[suspects.AS_TOLD, suspects.OTHER_SCALE, suspects.HASTY]] * 2


def without_seconds(part):
    """What does not depend on the clock in a training of one seed."""
    suspect, epochs, findings = part
    rows = []
    for epoch in epochs:
        rows.append({key: value for key, value in epoch.items() if key != "seconds"})
    return suspect, rows, findings


@pytest.mark.slow
def test_a_training_of_a_worker_that_diverges_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    small = replace(autopsy.NARROW, epochs=1, peak_epoch=0.5, batch_size=500, learning_rate=1e30)
    recipe = replace(small, model_options={"width": 4})
    with pytest.raises(CourseError, match="the loss is .* at a learning rate of"):
        list(dissections.every_seed(recipe, [0, 1], 2, 1))
