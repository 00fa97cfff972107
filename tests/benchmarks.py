"""Speed and memory against the documents' own loops, side by side: python tests/benchmarks.py

Ends with status 1 where a target is missed. Real MNIST is used where it is at hand, practice data
elsewhere. The ratios count; absolute figures are those of the machine and of what else it does.
torch gets one thread unless ``--threads`` says more: where others use the cores too, two threads
spend their time waiting for each other. ``--quick`` only tries whether everything runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

# The course that this file lies in, whatever other one is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu_benchmarks import Row, gpu_rows, recorded_row, speed_rows
from small_net_benchmarks import small_net_rows

from helpers import augment, data, training
from helpers.augment.library import albumentations_pipeline
from helpers.data import Batches, ImageData, ImageSplit
from helpers.environment import ROOT, data_root
from helpers.experiments.cifar10 import CROP_FLIP_CUTOUT, RESNET9
from helpers.experiments.recipe import Steps
from helpers.experiments.speed import CPU, FLOAT32, ON_A_CPU, SPEED
from helpers.lr_finder import lr_range_test
from helpers.models.residual import ResidualNet
from helpers.models.small import compact_net

BATCH = 128


@dataclass(frozen=True)
class Size:
    """How much is measured: the best of some rounds, each over some batches or for some seconds."""

    rounds: int = 3
    seconds: float = 2.0
    batches: int = 20
    range_steps: int = 100
    memory_steps: int = 200
    speed_steps: int = 8
    matrix: int = 2048


QUICK = Size(
    rounds=1,
    seconds=0.01,
    batches=2,
    range_steps=20,
    memory_steps=2,
    speed_steps=1,
    matrix=64,
)
RECIPE = augment.RandomAffine(degrees=7, translate=(0.05, 0.05), scale=(0.95, 1.05))
TRAINING = """
import resource, sys, torch
from helpers import augment, data, interpret, training
from helpers.training.averages import moving_average
from helpers.models.small import budget_net

torch.manual_seed(0)
torch.set_num_threads(int(sys.argv[3]))
data.download = lambda name, root: None
mnist = data.load("mnist", sys.argv[1], validation=0)
steps, model = int(sys.argv[2]), budget_net()
transform = augment.RandomAffine(degrees=7, translate=(0.05, 0.05), scale=(0.95, 1.05))
batches = data.Batches(mnist.train.subset(slice(128 * steps)), 128, transform, shuffle=True)
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True)
training.fit(model, batches, data.Batches(mnist.test, 1000), 1, optimizer, show=False,
             average=moving_average(model, 0.99))
interpret.predict(model, mnist.test)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
SPEED_TRAINING = """
import resource, sys, torch
from dataclasses import replace
from helpers import data
from helpers.experiments.runs import train
from helpers.experiments.speed import CPU

torch.set_num_threads(int(sys.argv[3]))
data.download = lambda name, root: None
cifar, size = data.load("cifar10", sys.argv[1], validation=0), int(sys.argv[2])
recipe = replace(CPU, batch_size=size, epochs=1)
images, unseen = [each.subset(slice(2 * size)) for each in (cifar.train, cifar.test)]
train(recipe, 0, images, unseen, show=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


class Pictures(Dataset):
    """Report 004's way: one PIL image at a time through torchvision's transforms."""

    def __init__(self, split: ImageSplit) -> None:
        from torchvision import transforms

        self.images, self.labels = split.images[:, 0].numpy(), split.labels
        self.transform = transforms.Compose(
            [
                transforms.RandomRotation(7),
                transforms.RandomAffine(7, translate=(0.1, 0.1), scale=(0.8, 1.2), shear=10),
                transforms.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
                transforms.ToTensor(),
                transforms.Normalize(split.mean, split.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


class Albums(Dataset):
    """The taught way: one image at a time through Albumentations' crop, flip and cutout."""

    def __init__(self, split: ImageSplit) -> None:
        self.images, self.labels = (
            split.images.permute(0, 2, 3, 1).contiguous().numpy(),
            split.labels,
        )
        self.pipeline = albumentations_pipeline("cifar10")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = torch.from_numpy(self.pipeline(image=self.images[index])["image"])
        return image.permute(2, 0, 1), self.labels[index]


class Timed:
    """Batches that add up how long each was waited for."""

    def __init__(self, batches: Iterable) -> None:
        self.batches, self.seconds = batches, 0.0

    def __iter__(self) -> Iterator[Any]:
        iterator, nothing = iter(self.batches), object()
        while True:
            start = time.perf_counter()
            batch = next(iterator, nothing)
            self.seconds += time.perf_counter() - start
            if batch is nothing:
                return
            yield batch


def images_per_second(batches: Iterable, seconds: float) -> float:
    """Speed of whole passes for some seconds, without the start of worker processes."""
    count, spent = 0, 0.0
    while spent < seconds:
        iterator = iter(batches)
        next(iterator)
        start = time.perf_counter()
        count += sum(len(targets) for _, targets in iterator)
        spent += time.perf_counter() - start
    return count / spent


def transforms_rows(
    split: ImageSplit,
    what: str,
    steps: Steps,
    slow: type[Dataset],
    library: str,
    target: int,
    size: Size,
) -> list[Row]:
    """Batched tensors against a DataLoader over single images: the best round of each."""
    split = split.subset(slice(BATCH * size.batches))
    ways = {"Batches": Batches(split, BATCH, augment.build(steps), shuffle=True)}
    ways |= {
        f"DataLoader over {library}, {workers} workers": DataLoader(
            slow(split), BATCH, shuffle=True, num_workers=workers
        )
        for workers in (0, 2)
    }
    speeds = dict.fromkeys(ways, 0.0)
    for name in [*ways] * size.rounds:
        speeds[name] = max(speeds[name], images_per_second(ways[name], size.seconds))
    ours, *theirs = speeds.values()
    ratio, n = ours / max(theirs), f"{len(split):,} images"
    rows = [
        Row(
            f"{what}: {name}",
            f"{speed:,.0f} images/s",
            n=n,
            threads="1 each" if "2 workers" in name else str(torch.get_num_threads()),
        )
        for name, speed in speeds.items()
    ]
    verdict = Row(
        "… Batches against the better of the two",
        f"{ratio:.1f} ×",
        f"≥ {target} ×",
        ratio >= target,
    )
    return [*rows, verdict]


def share_row(
    split: ImageSplit, name: str, transform: Callable[..., torch.Tensor], size: Size
) -> Row:
    """Share of a training step of the 6,084-parameter net that goes to data and augmentation."""
    model = compact_net().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True)
    training.train_one_epoch(
        model, Batches(split.subset(slice(BATCH * 2)), BATCH, transform), optimizer
    )  # warm
    split = split.subset(slice(BATCH * size.batches))
    batches = Timed(Batches(split, BATCH, transform, shuffle=True))
    start = time.perf_counter()
    for _ in range(size.rounds):
        training.train_one_epoch(model, batches, optimizer)
    share = 100 * batches.seconds / (time.perf_counter() - start)
    return Row(
        f"share of data in a step, 6,084 net, {name}",
        f"{share:.1f} %",
        "≤ 15 %",
        share <= 15,
        f"{size.batches * size.rounds} steps of {BATCH}",
        str(torch.get_num_threads()),
    )


def range_test_row(split: ImageSplit, size: Size) -> Row:
    """What a range test costs, against as many training steps of the 19,074-parameter net."""
    steps = size.range_steps
    model = ResidualNet().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True)
    batches = Batches(split.subset(slice(BATCH * steps)), BATCH, shuffle=True)
    ways = {
        "training": lambda: training.train_one_epoch(model, batches, optimizer),
        "range test": lambda: lr_range_test(
            model, batches, F.cross_entropy, optimizer, end_lr=0.01, steps=steps
        ),
    }
    seconds = dict.fromkeys(ways, float("inf"))
    for name in [*ways] * size.rounds:
        start = time.perf_counter()
        ways[name]()
        seconds[name] = min(seconds[name], time.perf_counter() - start)
    ratio = seconds["range test"] / seconds["training"]
    return Row(
        f"range test against training, 19,074 net ({seconds['training']:.1f} s)",
        f"{ratio:.3f} ×",
        "≤ 1.05 ×",
        ratio <= 1.05,
        f"{steps} steps of {BATCH}",
        str(torch.get_num_threads()),
    )


def load_rows(root: Path) -> tuple[ImageData, list[Row]]:
    """First load (read, sort, cache) and second one (from the cache) of MNIST in ``root``."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        mnist = data.load("mnist", root, validation=0)
        seconds.append(time.perf_counter() - start)
    n = f"{len(mnist.train) + len(mnist.test):,} images"
    return mnist, [
        Row("first load", f"{seconds[0]:.1f} s", n=n, threads="1"),
        Row("second load, from the cache", f"{seconds[1]:.2f} s", "≤ 2 s", seconds[1] <= 2, n, "1"),
    ]


def memory_row(root: Path, size: Size) -> Row:
    """Peak memory of a process that loads MNIST, trains the 9,274-parameter net, and predicts."""
    what, n = "peak memory of training the 9,274 net", f"{size.memory_steps} steps of {BATCH}"
    threads = torch.get_num_threads()
    return peak_row(what, TRAINING, [root, size.memory_steps, threads], 1.5, n)


def peak_row(what: str, script: str, arguments: list[Any], most: float, n: str) -> Row:
    """Peak memory of a process, in GB, which prints what its system counted; threads come last."""
    target = f"≤ {most:g} GB"
    if platform.system() == "Windows":
        return Row(what, "not measured on Windows", target)
    words = [str(argument) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=ROOT,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    unit = 1 if platform.system() == "Darwin" else 1024
    gigabytes = int(done.stdout.split()[-1]) * unit / 1e9
    return Row(what, f"{gigabytes:.2f} GB", target, gigabytes <= most, n, words[-1])


def two_processes_row(size: Size) -> Row:
    """Session 08's net on two cores: two processes of one thread against one of two threads."""
    script = str(ROOT / "tests" / "two_throughput.py")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ways = {"one": ([], 2), "two": (torchrun, 1)}
    speeds = dict.fromkeys(ways, 0.0)
    # In turn, so that whatever else the machine does slows both.
    for name in [*ways] * size.rounds:
        words, threads = ways[name]
        command = [sys.executable, *words, script, str(size.speed_steps), str(threads)]
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            command, cwd=ROOT, env=env, check=True, text=True, stdout=subprocess.PIPE
        )
        speeds[name] = max(speeds[name], float(done.stdout.split()[-1]))
    ratio = speeds["two"] / speeds["one"]
    return Row(
        f"two gloo processes against one ({speeds['one']:,.0f} images/s)",
        f"{ratio:.2f} ×",
        "≥ 0.9 ×",
        ratio >= 0.9,
        f"{size.speed_steps} steps",
        "2 in all",
    )


def cpu_rows(cifar: ImageData, root: Path, size: Size, quick: bool) -> list[Row]:
    """Session 08's net on a CPU: speed, memory, and what its records say."""
    device, threads = torch.device("cpu"), str(torch.get_num_threads())
    rows = []
    for recipe in (FLOAT32, CPU):
        if quick:
            recipe = replace(recipe, batch_size=20, model_options={"widths": [4, 8, 8]})
        for row in speed_rows(cifar, recipe, device, size.speed_steps, size.matrix):
            rows.append(row._replace(threads=threads))

    what = "peak memory of an epoch of two steps, and of six views"
    place = root if quick else data_root()  # where the real photographs may be
    arguments = [place, recipe.batch_size, threads]
    rows.append(peak_row(what, SPEED_TRAINING, arguments, 4.0, f"2 steps, {cifar.source}"))
    if not quick:
        rows.append(two_processes_row(size))
    rows += [recorded_row(each.name) for each in (*ON_A_CPU, FLOAT32)]
    return rows


def copy_of_mnist(folder: Path) -> None:
    """Put the real MNIST into ``folder`` where it is at hand: a copy that no cache knows."""
    for place in (os.environ.get("COURSE_DATA"), ROOT.parent / "shared" / "data", ROOT / "data"):
        if not place:
            continue
        raw = Path(place).expanduser() / "MNIST" / "raw"
        if (raw / "train-images-idx3-ubyte").is_file():
            shutil.copytree(raw, folder / "MNIST" / "raw", copy_function=shutil.copyfile)
            return


def measure(size: Size, quick: bool) -> tuple[list[Row], str]:
    """The rows of the table, and what data they are of."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if not quick:
            copy_of_mnist(folder)
        mnist, loads = load_rows(folder)
        cifar = data.load("cifar10", validation=0)
        digits, shapes = mnist.train, cifar.train
        document_004 = augment.DOCUMENT_004
        rows = transforms_rows(
            digits, "report 004's transforms", document_004, Pictures, "PIL", 8, size
        )
        rows += transforms_rows(
            shapes, "crop, flip and cutout", CROP_FLIP_CUTOUT, Albums, "Albumentations", 6, size
        )
        rows.append(share_row(digits, "the recipe's affine", RECIPE, size))
        rows.append(share_row(digits, "report 004's", augment.build(document_004), size))
        rows.append(range_test_row(digits, size))
        rows += small_net_rows(digits, size.batches, size.rounds, compiled=not quick)
        rows += loads
        rows.append(memory_row(folder, size))
        rows += cpu_rows(cifar, folder, size, quick)
        if not quick:
            rows += gpu_rows(cifar, RESNET9, SPEED)
    return rows, "practice data" if mnist.source == "practice" else "the real MNIST"


def main() -> int:
    """Measure everything, print the table, and return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="torch's threads; 1 unless given")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, whose figures say nothing"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ.pop("COURSE_SMOKE", None)
    if arguments.quick:
        os.environ["COURSE_SMOKE"] = "1"
    data.download = lambda name, root: None  # a benchmark fetches nothing
    torch.manual_seed(0)
    rows, kind = measure(QUICK if arguments.quick else Size(), arguments.quick)

    print(f"CPU ({platform.machine()}, {os.cpu_count()} cores), torch {torch.__version__}, {kind}")
    print()
    for row in [Row("what", "measured", "target", None, "n", "threads"), *rows]:
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        print(
            f"{row.what:60} {row.measured:>18}  {row.target:8} {verdict:7} {row.n:20} {row.threads}"
        )
    missed = any(row.met is False for row in rows)
    return int(missed and not arguments.quick)


if __name__ == "__main__":
    sys.exit(main())
