"""README's pictures: small, all shown with a text, and drawn from the records."""

import re
import statistics
from pathlib import Path

import matplotlib
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from helpers.data import load
from helpers.environment import ROOT
from helpers.experiments import load_result
from helpers.upkeep import pictures

matplotlib.use("Agg")
IMAGES = sorted((ROOT / "images").iterdir())


def test_every_picture_is_small_and_shown_with_a_text():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r'<img src="images/([^"]+)" width="\d+" alt="([^"]+)">', text))
    assert sorted(shown) == [path.name for path in IMAGES] and len(IMAGES) >= 5
    assert all(len(words.split()) >= 4 for words in shown.values())
    assert {
        path.name: path.stat().st_size for path in IMAGES if path.stat().st_size > 200_000
    } == {}


@pytest.mark.parametrize("name", pictures.SHOWN)
def test_a_picture_says_that_it_shows_the_records_of_today(name):
    with Image.open(ROOT / "images" / f"{name}.png") as picture:
        assert picture.info.get("records") == pictures.digest_of(pictures.SHOWN[name])


def test_a_digest_is_that_of_all_its_records():
    one, two = pictures.digest_of(["first"]), pictures.digest_of(["first", "starter"])
    assert len({one, two, pictures.digest_of(["starter", "first"])}) == 3 and len(one) == 64
    assert pictures.digest_of([]) == ""


def test_the_frontier_shows_the_records():
    ax = pictures.frontier()
    drawn = {}
    for container in ax.containers:
        place, height = container.lines[0].get_xydata()[0]
        drawn[place] = height
    # No net lies outside of the axes.
    low, high = ax.get_ylim()
    assert all(low < height < high for height in drawn.values())
    results = [load_result(name) for name in pictures.FRONTIER]
    assert drawn == pytest.approx(
        {
            result.record["parameters"]: statistics.fmean(result.accuracies.values())
            for result in results
        },
        rel=1e-12,
    )


def test_the_staircase_is_the_best_mean_with_at_most_so_many_parameters():
    ax = pictures.frontier()
    [staircase] = [line for line in ax.lines if line.get_label() == "the frontier"]
    found = {}
    for name in pictures.FRONTIER:
        result = load_result(name)
        found[result.record["parameters"]] = statistics.fmean(result.accuracies.values())
    for place, height in staircase.get_xydata():
        affordable = [mean for parameters, mean in found.items() if parameters <= place]
        assert height == pytest.approx(max(affordable))
    assert len(staircase.get_xydata()) == len(found) + 1


def test_the_names_of_the_frontier_touch_nothing():
    ax = pictures.frontier()
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.texts]
    for at, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:at]), ax.texts[at].get_text()


def test_the_pictures_are_drawn_from_the_record(real_data_root: Path, tmp_path: Path):
    data = load("mnist", root=real_data_root, validation=0)
    written = pictures.draw(data, tmp_path)
    # Without CIFAR-10 its picture stays as it is; that of the page is taken in a browser.
    missing = {path.name for path in IMAGES} - {path.name for path in written}
    assert missing <= {"session_07.png", "draw_a_digit.png"}
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written)
    assert plt.get_fignums() == []
