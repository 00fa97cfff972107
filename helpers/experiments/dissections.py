"""The trainings of an autopsy: each seed in a process of its own, right and with each fault."""

import multiprocessing
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from helpers.data import ImageData
from helpers.environment import CourseError
from helpers.experiments.folders import checkpoint_in, data_digest, run_folder
from helpers.experiments.jobs import CUT_OFF, end_all, end_with_parent
from helpers.experiments.recipe import Recipe
from helpers.experiments.runs import Trained, load_for, train_on
from helpers.experiments.suspects import (
    AS_TOLD,
    HASTY,
    OTHER_SCALE,
    Finding,
    all_on_other_scale,
    hasty,
    measure,
    trained_apart,
)
from helpers.leftovers import remove_leftovers

# One training of a seed: its name, the rows of its epochs, and what was measured on it.
Part = tuple[str, list, list[Finding]]


def every_seed(
    recipe: Recipe, seeds: Sequence[int], workers: int, threads: int
) -> Iterator[list[Part]]:
    """The parts of each seed, in their order, from so many processes, which end with this one.

    Raises ``CourseError`` where one of them is cut off.
    """
    if workers == 1:
        for seed in seeds:
            yield dissected(recipe, seed, threads)
        return
    # New processes, because a copy of this one could not use a GPU.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=begin_worker) as pool:
        count = len(seeds)
        try:
            yield from pool.map(dissected, [recipe] * count, seeds, [threads] * count)
        except BrokenProcessPool:
            raise CourseError(f"autopsy: {CUT_OFF}") from None
        except BaseException:
            # The pool would wait for whole seeds, which take hours.
            end_all(multiprocessing.active_children())
            raise


def begin_worker() -> None:
    """What each process does first: leave Ctrl-C to the parent, and end when that one does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def dissected(recipe: Recipe, seed: int, threads: int) -> list[Part]:
    """All parts of one seed, for a process of its own."""
    data = load_for(recipe, searching=False)
    return list(dissect(recipe, seed, data, threads))


def dissect(recipe: Recipe, seed: int, data: ImageData, threads: int) -> Iterator[Part]:
    """Each training of one seed, and what was measured on it."""
    # Most suspects spoil the test images alone, and share one training.
    net, history = trained(recipe, seed, data, threads)
    last = history.last["train_accuracy"]
    yield AS_TOLD, history.epochs, measure(net, last, data.test)

    # The same slip in both sets, and right images with too high a rate.
    apart = (
        (OTHER_SCALE, recipe, all_on_other_scale(data)),
        (HASTY, hasty(recipe), data),
    )
    for suspect, other, images in apart:
        net, history = trained(other, seed, images, threads)
        last = history.last["train_accuracy"]
        yield suspect, history.epochs, trained_apart(suspect, net, last, other, images)


def trained(recipe: Recipe, seed: int, data: ImageData, threads: int) -> Trained:
    """One training, which goes on from its checkpoint where it was stopped."""
    folder = run_folder(recipe, data_digest(data), threads)
    checkpoint = checkpoint_in(folder, seed)
    remove_leftovers(folder, checkpoint.name)
    net, history = train_on(recipe, seed, data, False, threads, checkpoint=checkpoint, show=False)
    # A line for each training, because a record takes minutes on a GPU and hours without one.
    last = history.last
    print(
        f"{recipe.name}, seed {seed}: training {last['train_accuracy']:.2f} %, "
        f"test {last['test_accuracy']:.2f} %",
        flush=True,
    )
    return Trained(net, history)
