"""The cache: used where it is sound and of the same source, made again where not.

It is never in anyone's way.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
import torch
from data_sets import (
    apart,  # noqa: F401
    random_pools,
    same,
    write_folders,
    write_idx,
)
from PIL import Image

from helpers import data
from helpers.data import cache
from helpers.data.known import KNOWN
from helpers.environment import ROOT

pytestmark = pytest.mark.usefixtures("apart")


def test_a_second_load_reads_the_cache_and_a_changed_source_is_decoded_anew(tmp_path, monkeypatch):
    folder = write_folders(tmp_path, "cifar10", random_pools("cifar10"))
    first = data.load("cifar10", tmp_path, validation=0)
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", lambda *_: pytest.fail("decoded again"))
        assert same(data.load("cifar10", tmp_path, validation=0).train, first.train)
    (folder / "train" / "cat" / "3.png").unlink()
    assert len(data.load("cifar10", tmp_path, validation=0).train) == len(first.train) - 1


def test_a_new_cache_takes_the_place_of_outdated_ones_of_its_split_alone(tmp_path):
    folder = write_folders(tmp_path, "cifar10", random_pools("cifar10"))
    data.load("cifar10", tmp_path, validation=0)
    [outdated] = tmp_path.glob("cifar10-train-*.pt")
    names = (
        "cifar10-test-0123456789ab.pt",
        "cifar10-train-my-notes-here.pt",
        "mnist-train-0123456789ab.pt",
    )
    strangers = [temporary(tmp_path, os.getpid(), outdated.name)]
    strangers += [tmp_path / name for name in names]
    for path in strangers:
        path.write_bytes(b"kept")
    (folder / "train" / "cat" / "3.png").unlink()
    held = data.load("cifar10", tmp_path, validation=0, test=False)
    assert not outdated.exists() and all(path.exists() for path in strangers)
    assert same(data.load("cifar10", tmp_path, validation=0, test=False).train, held.train)


def test_a_cache_that_could_not_be_written_leaves_the_outdated_one(tmp_path, full_disk):
    outdated = tmp_path / "mnist-train-0123456789ab.pt"
    outdated.write_bytes(b"old")
    cache.save(random_pools("mnist")["train"], tmp_path / "mnist-train-ba9876543210.pt")
    assert [path.name for path in tmp_path.glob("*.pt")] == [outdated.name]


def test_without_the_test_split_its_images_are_not_even_read(tmp_path, monkeypatch):
    folder = write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    (folder / "t10k-images-idx3-ubyte").write_bytes(b"damaged")
    held = data.load("mnist", tmp_path, validation=5, test=False)
    assert (len(held.train), len(held.validation), len(held.test)) == (35, 5, 0)


@pytest.mark.parametrize(
    "harm", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: pickle.dumps([1, 2], 2)]
)
def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch, harm):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    first = data.load("mnist", tmp_path, validation=0)
    [path] = tmp_path.glob("mnist-train-*.pt")
    sound = path.read_bytes()
    path.write_bytes(harm(sound))
    assert same(data.load("mnist", tmp_path, validation=0).train, first.train)
    assert torch.load(path, weights_only=True)[0].shape == (40, 1, 28, 28)


def test_a_cache_of_another_shape_is_made_again(tmp_path, monkeypatch):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    first = data.load("mnist", tmp_path, validation=0)
    [path] = tmp_path.glob("mnist-train-*.pt")
    torch.save(list(random_pools("cifar10")["train"]), path)
    assert same(data.load("mnist", tmp_path, validation=0).train, first.train)


def test_the_cache_of_a_read_only_folder_lies_in_the_repository(tmp_path, monkeypatch):
    write_idx(tmp_path / "shared", random_pools("mnist"), monkeypatch)
    (tmp_path / "shared").chmod(0o555)
    data.load("mnist", tmp_path / "shared", validation=0)
    (tmp_path / "shared").chmod(0o755)
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["MNIST"]
    assert len(list((tmp_path / "repository" / "data").glob("mnist-*.pt"))) == 2


def test_a_full_size_data_set_is_sorted_within_seconds_and_loads_from_the_cache_in_two(
    tmp_path, monkeypatch
):
    write_idx(tmp_path, random_pools("mnist", 60_000, 10_000), monkeypatch)
    data.load("mnist", tmp_path)
    start = time.process_time()
    held = data.load("mnist", tmp_path)
    assert time.process_time() - start <= 2
    assert (len(held.train), len(held.validation), len(held.test)) == (55_000, 5_000, 10_000)


@pytest.fixture(params=["said by the system", "met while writing"])
def full_disk(request, monkeypatch):
    """Every write of a cache fails: at once, or really, at a file-size limit of 4 KiB."""
    save = torch.save

    def at_once(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def midway(*args):
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            save(*args)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(torch, "save", at_once if request.param == "said by the system" else midway)


def test_a_full_disk_leaves_the_data_uncached_and_no_file_behind(
    tmp_path, monkeypatch, capsys, full_disk
):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    held = [data.load("mnist", tmp_path, validation=0) for _ in range(2)]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all("could not be cached" in line for line in lines)
    assert same(held[0].train, held[1].train) and len(held[0].train) == 40
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pt", ".tmp")]


def in_another_process(script: str, *arguments: object) -> subprocess.Popen:
    """A process that runs the script, with no network and with the real switches of a user."""
    switches = {"COURSE_SMOKE", "COURSE_DATA"}
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)


@pytest.mark.slow
def test_two_processes_caching_at_once_both_succeed(tmp_path):
    write_folders(tmp_path, "mnist", random_pools("mnist", 600))
    script = """
import hashlib, sys
from helpers import data
from helpers.data import cache
from helpers.data.known import KNOWN
images = data.load("mnist", sys.argv[1], validation=0).train.images
print(hashlib.sha256(images.numpy()).hexdigest())
"""
    running = [in_another_process(script, tmp_path) for _ in "ab"]
    said = [process.communicate()[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0] and said[0] == said[1]
    assert len(list(tmp_path.glob("mnist-*.pt"))) == 2 and not list(tmp_path.glob(".*"))
    [path] = tmp_path.glob("mnist-train-*.pt")
    assert hashlib.sha256(torch.load(path, weights_only=True)[0].numpy()).hexdigest() == said[0]


# Damage that torch does not notice


def cached(tmp_path, monkeypatch) -> tuple[data.ImageData, Path]:
    """A small MNIST that was loaded once, and the file that caches its training images."""
    write_idx(tmp_path, random_pools("mnist", 10), monkeypatch)
    held = data.load("mnist", tmp_path, validation=0)
    [path] = tmp_path.glob("mnist-train-*.pt")
    return held, path


def test_no_flipped_bit_of_a_cached_file_reaches_the_learner(tmp_path, monkeypatch):
    held, path = cached(tmp_path, monkeypatch)
    sound = path.read_bytes()
    numbers = numpy.random.default_rng(0).integers(len(sound) * 8, size=300)
    unseen = 0
    for number in numbers:
        harmed = bytearray(sound)
        harmed[number // 8] ^= 1 << (number % 8)
        path.write_bytes(harmed)
        pool = cache.load(path, (1, 28, 28))
        unseen += pool is None
        if pool is not None:  # a bit that means nothing
            assert torch.equal(pool[0], held.train.images)
            assert torch.equal(pool[1], held.train.labels)
    assert unseen > 200  # most bits are pixels


@pytest.mark.parametrize("part", ["pixels", "labels"])
def test_a_flipped_bit_among_pixels_or_labels_is_decoded_again(tmp_path, monkeypatch, part):
    held, path = cached(tmp_path, monkeypatch)
    tensor = {"pixels": held.train.images, "labels": held.train.labels}[part]
    raw = bytearray(path.read_bytes())
    raw[raw.find(tensor.numpy().tobytes()) + 8] ^= 1
    path.write_bytes(raw)
    images, labels, _ = torch.load(path, weights_only=True)  # torch sees nothing
    assert not torch.equal({"pixels": images, "labels": labels}[part], tensor)
    assert same(data.load("mnist", tmp_path, validation=0).train, held.train)
    assert cache.load(path, (1, 28, 28)) is not None


def test_a_cache_without_a_digest_is_made_again(tmp_path, monkeypatch):
    held, path = cached(tmp_path, monkeypatch)
    torch.save([held.train.images.flip(0), held.train.labels], path)
    assert same(data.load("mnist", tmp_path, validation=0).train, held.train)
    assert len(torch.load(path, weights_only=True)) == 3


# What killed processes leave


def ended_process() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def temporary(folder: Path, process: int, name: str = "mnist-train-0123456789ab.pt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{name}.{process}.00c0ffee.tmp"
    path.write_bytes(b"half")
    return path


def test_a_killed_process_leaves_nothing_that_the_next_load_does_not_remove(tmp_path, monkeypatch):
    write_idx(tmp_path, random_pools("mnist", 10), monkeypatch)
    script = """
import os, sys, torch
from helpers import data
from helpers.data import cache
from helpers.data.known import KNOWN
from helpers.data.known import KNOWN
KNOWN["mnist"].md5.update(zip(KNOWN["mnist"].md5, sys.argv[2:]))
def half(pool, opened):
    opened.write(b"half")
    opened.flush()
    print("writing", flush=True)
    sys.stdin.read()
torch.save = half
data.load("mnist", sys.argv[1])
"""
    process = in_another_process(script, tmp_path, *KNOWN["mnist"].md5.values())
    assert process.stdout.readline() == "writing\n"
    [left] = tmp_path.glob(".*.tmp")

    # As long as it lives, its file stays.
    data.load("mnist", tmp_path, validation=0)
    assert left.exists()
    process.kill()
    process.communicate()
    data.load("mnist", tmp_path, validation=0)
    assert not left.exists() and not list(tmp_path.glob(".*"))


def test_leftovers_are_removed_in_both_places_of_the_cache_and_strangers_stay(
    tmp_path, monkeypatch
):
    write_idx(tmp_path, random_pools("mnist", 10), monkeypatch)
    gone = ended_process()
    left = [
        temporary(tmp_path, gone),
        temporary(tmp_path, gone, "cifar10-test-0123456789ab.pt"),
        temporary(tmp_path / "repository" / "data", gone),
    ]
    strangers = [
        temporary(tmp_path, os.getpid()),
        temporary(tmp_path, gone, "record.json"),
        temporary(tmp_path, gone, "my-train-notes.pt"),
    ]
    data.load("mnist", tmp_path, validation=0)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in strangers)


def test_what_is_older_than_a_day_is_not_being_written_whoever_has_the_number_now(
    tmp_path, monkeypatch
):
    write_idx(tmp_path, random_pools("mnist", 10), monkeypatch)
    left = temporary(tmp_path, os.getpid())
    os.utime(left, (0, time.time() - 25 * 3600))
    data.load("mnist", tmp_path, validation=0)
    assert not left.exists()


def test_a_killed_download_is_removed_by_the_next_one_and_a_living_one_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "PRACTICE_SIZES", {"train": 20, "test": 10})
    folders = [tmp_path / f".download.{number}.x1.tmp" for number in (ended_process(), os.getpid())]
    for folder in folders:
        (folder / "MNIST").mkdir(parents=True)
        (folder / "MNIST" / "half.gz").write_bytes(b"half")
    data.load("mnist", tmp_path, validation=0)
    assert [folder.exists() for folder in folders] == [False, True]
