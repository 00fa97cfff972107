"""The cache: used where it is sound and of the same source, made again where not, and never in anyone's way."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import subprocess
import sys
import time

import pytest
import torch
from data_sets import apart, random_pools, same, write_folders, write_idx
from PIL import Image

from helpers import data
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
    start = time.perf_counter()
    held = data.load("mnist", tmp_path)
    assert time.perf_counter() - start <= 2
    assert (len(held.train), len(held.validation), len(held.test)) == (55_000, 5_000, 10_000)


@pytest.fixture(params=["said by the system", "met while writing"])
def full_disk(request, monkeypatch):
    """Every write of a cache fails: at once with "no space left", or really, at a file-size limit of 4 KiB."""
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

    monkeypatch.setattr(
        data.torch, "save", at_once if request.param == "said by the system" else midway
    )


def test_a_full_disk_leaves_the_data_uncached_and_no_file_behind(
    tmp_path, monkeypatch, capsys, full_disk
):
    write_idx(tmp_path, random_pools("mnist"), monkeypatch)
    held = [data.load("mnist", tmp_path, validation=0) for _ in range(2)]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all("could not be cached" in line for line in lines)
    assert same(held[0].train, held[1].train) and len(held[0].train) == 40
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pt", ".tmp")]


def test_two_processes_caching_at_once_both_succeed(tmp_path):
    command = [
        sys.executable,
        "-c",
        """
import sys, torch
from pathlib import Path
root = Path(sys.argv[1])
pool = torch.arange(600 * 784).view(600, 1, 28, 28).to(torch.uint8), torch.arange(600) % 10
source = data.Source("folder", [Path(data.__file__)], lambda split: pool)
print(data.hashlib.sha256(data._read("mnist", source, root, "train")[0].numpy()).hexdigest())
""",
    ]
    (tmp_path / "root").mkdir()
    running = [
        subprocess.Popen([*command, tmp_path / "root"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in "ab"
    ]
    said = [process.communicate()[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0] and said[0] == said[1]
    [path] = (tmp_path / "root").iterdir()
    assert hashlib.sha256(torch.load(path, weights_only=True)[0].numpy()).hexdigest() == said[0]
