"""The bar of several trainings knows which epochs cost more than others."""

from dataclasses import replace

import pytest
import torch
from small_runs import split_of

from helpers.data.growing import GrowingBatches
from helpers.experiments.epochs_bar import EpochsBar, shares_of_work
from helpers.experiments.mnist_basics import FIRST
from helpers.experiments.speed import GROWING

ROW = {
    "learning_rate": 0.1,
    "train_loss": 1.0,
    "train_accuracy": 50.0,
    "test_loss": 1.0,
    "test_accuracy": 50.0,
    "seconds": 1.0,
}


def test_the_work_of_an_epoch_is_the_area_of_its_images():
    shares = shares_of_work(GROWING)
    by_hand = [400, 400, 576, 576, 784, 784, 1024, 1024]
    assert shares == pytest.approx([area / 1024 for area in by_hand])
    assert shares_of_work(replace(FIRST, epochs=3)) == [1, 1, 1]


@pytest.mark.parametrize("epochs", [1, 3, 10])
@pytest.mark.parametrize("sizes", [[4, 8], [8, 6, 5, 4], [8]])
def test_it_is_the_area_of_the_images_that_are_trained_with(epochs, sizes):
    whole = split_of(8)
    split = replace(whole, images=whole.images[..., :8, :8])
    recipe = replace(GROWING, epochs=epochs, options={"sizes": sizes})
    areas = []
    batches = GrowingBatches(split, 4, sizes, epochs, device=torch.device("cpu"))
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        images, _ = next(iter(batches))
        areas.append(images.shape[-1] * images.shape[-2])
    expected = [area / max(sizes) ** 2 for area in areas]
    assert shares_of_work(recipe) == pytest.approx(expected)


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 100.0

    def time(self):
        return self.now


@pytest.fixture
def bar_of(monkeypatch):
    """Makes a bar that writes nowhere and reads a clock that the test sets."""
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock.time)
    made = []

    def make(recipes):
        made.append(EpochsBar(recipes))
        return made[-1], clock

    yield make
    for bar in made:
        bar.close()


def left(bar):
    """The seconds that the bar promises."""
    state = bar.bar.format_dict
    return (state["total"] - state["n"]) / state["rate"]


def test_the_time_left_is_right_after_one_epoch_of_small_images(bar_of, capsys):
    recipe = GROWING
    shares = shares_of_work(recipe)
    bar, clock = bar_of([recipe])
    for epoch, share in enumerate(shares, 1):
        clock.now += 300 * share
        bar.show(recipe, 0, ROW | {"epoch": epoch})
        assert left(bar) == pytest.approx(300 * sum(shares[epoch:]), abs=1e-6)
        assert f"epoch {epoch} of 8:" in str(bar.bar)
    bar.ended(recipe, 0)
    assert bar.bar.n == pytest.approx(bar.bar.total) and "100%" in str(bar.bar)
    # Counted as equals, the epochs would have promised too little at first.
    assert 300 * shares[0] * 7 < 0.6 * 300 * sum(shares[1:])
    assert capsys.readouterr().out.count("speed-cpu-growing, seed 0: epoch ") == 8


def test_epochs_of_an_earlier_run_are_no_work_of_this_one(bar_of):
    recipe = GROWING
    shares = shares_of_work(recipe)
    bar, clock = bar_of([recipe, recipe])
    clock.now += 200
    bar.show(recipe, 0, ROW | {"epoch": 6})
    assert left(bar) == pytest.approx((sum(shares[6:]) + sum(shares)) / shares[5] * 200)
    assert "epoch 6 of 16:" in str(bar.bar)

    # The other seed was finished before: its process ends without showing an epoch.
    bar.ended(recipe, 1)
    assert left(bar) == pytest.approx(sum(shares[6:]) / shares[5] * 200)
    assert "epoch 14 of 16:" in str(bar.bar)


def test_all_finished_before(bar_of):
    recipe = GROWING
    bar, _ = bar_of([recipe])
    bar.ended(recipe, 0)
    assert bar.bar.total == pytest.approx(0) and "epoch 8 of 8" in str(bar.bar)
