"""The suspects of report 002's autopsy, and what each of them does to a net.

Some spoil the test images alone: they are measured on a net that was trained as the report's
sentences say. Others need a training of their own.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from helpers.data import ImageData, ImageSplit
from helpers.experiments.recipe import Recipe
from helpers.experiments.runs import training_batches
from helpers.intervals import mean_sd
from helpers.models import device_of
from helpers.training import evaluate

MEASURED = 500  # images per batch where a net is measured
RENEWED = 5_000  # training images that running averages are measured anew on

# The report's rule for the highest rate is "when the Loss is minimum". This is a choice of ours
# and lies below that place, which is near 0.5 for the narrow net with Adam.
HASTY_RATE = 0.1

CHANCE = 10.0  # percent of ten classes, which a blind guess names rightly


# Suspects that spoil the test images: from pixels in [0, 1] to what the net gets.


def normalised(pixels: torch.Tensor, split: ImageSplit, highest: float = 1.0) -> torch.Tensor:
    """What Albumentations' ``Normalize(mean, std, max_pixel_value=highest)`` makes of pixels.

    That is (x − mean · highest) / (std · highest), in every channel of [N, C, H, W].
    """
    mean = pixels.new_tensor(split.mean).view(-1, 1, 1)
    std = pixels.new_tensor(split.std).view(-1, 1, 1)
    return (pixels - mean * highest) / (std * highest)


def not_normalised(pixels: torch.Tensor, split: ImageSplit) -> torch.Tensor:
    """The pixels as they are."""
    return pixels


def normalised_twice(pixels: torch.Tensor, split: ImageSplit) -> torch.Tensor:
    """Normalised once in each library."""
    return normalised(normalised(pixels, split), split)


def of_the_other_scale(pixels: torch.Tensor, split: ImageSplit) -> torch.Tensor:
    """Statistics of 0 to 255 for images of 0 to 1: the library's default ``max_pixel_value``."""
    return normalised(pixels, split, 255)


def mirrored_after(pixels: torch.Tensor, split: ImageSplit) -> torch.Tensor:
    """Every image mirrored, after it was normalised."""
    return normalised(pixels, split).flip(-1)


def rows_for_columns(pixels: torch.Tensor, split: ImageSplit) -> torch.Tensor:
    """Rows and columns exchanged."""
    return normalised(pixels, split).transpose(2, 3)


def reshaped(pixels: torch.Tensor, split: ImageSplit) -> torch.Tensor:
    """Colours last in memory, read as if they were first."""
    images = normalised(pixels, split)
    return images.permute(0, 2, 3, 1).reshape(images.shape)


def red_for_blue(pixels: torch.Tensor, split: ImageSplit) -> torch.Tensor:
    """The order of colours that OpenCV reads files in."""
    return normalised(pixels.flip(1), split)


def in_bytes(pixels: torch.Tensor, split: ImageSplit) -> torch.Tensor:
    """Images of 0 to 255, normalised with the statistics of 0 to 1."""
    return normalised(255 * pixels, split)


Fault = Callable[[torch.Tensor, ImageSplit], torch.Tensor]

AS_TOLD = "0 as the sentences say"
OTHER_SCALE = "4 default max in both sets"
HASTY = "10 too high a rate"
ANEW = ", averages anew"
# A letter where one suspicion can be measured in two ways
ROWS = "6a rows for columns"
RESHAPED = "6b reshaped, not permuted"
COLOURS = "7 red for blue"
MIXED = "8a training mode, classes mixed"
SORTED = "8b training mode, class by class"

# Suspect 5, mirrored after normalising, is not among them: the numbers are those of before.
TEST_FAULTS: dict[str, Fault] = {
    "1 test not normalised": not_normalised,
    "2 test normalised twice": normalised_twice,
    "3 default max in the test": of_the_other_scale,
    ROWS: rows_for_columns,
    RESHAPED: reshaped,
    COLOURS: red_for_blue,
    "9 test of 0 to 255": in_bytes,
}


@dataclass(frozen=True)
class Finding:
    """What a suspect does: accuracies in percent; mean and spread of the test images' numbers.

    ``sound``: the test accuracy of that net without the fault, where it is not that of ``AS_TOLD``.
    """

    suspect: str
    train: float
    test: float
    mean: float
    spread: float
    sound: float | None = None

    @property
    def gap(self) -> float:
        """Training less test, in points."""
        return self.train - self.test


def kept(test: float, sound: float) -> float | None:
    """What is left of what a sound test accuracy has above a blind guess, in percent.

    None where the sound one is hardly above it: then there is nothing to lose.
    """
    # Shares of the accuracies themselves would have a floor of their own for every net.
    if sound < CHANCE + 1:
        return None
    return 100 * (test - CHANCE) / (sound - CHANCE)


def batches_of(split: ImageSplit, fault: Fault, device: torch.device) -> Iterator[Any]:
    """All images of a split after a fault, in their order, with their labels."""
    for images, labels in zip(split.images.split(MEASURED), split.labels.split(MEASURED)):
        pixels = images.to(device) / 255
        yield fault(pixels, split), labels.to(device)


def sorted_by_class(split: ImageSplit) -> ImageSplit:
    """The images in the order of their classes, as folders hold them."""
    return split.subset(split.labels.argsort(stable=True))


def found(suspect: str, net: nn.Module, train: float, batches: Iterable) -> Finding:
    """Measure a net on test batches; ``train`` is its accuracy in training."""
    # Batches are used twice: they are measured on, and the first one is described.
    both = list(batches)
    first = both[0][0]
    accuracy = evaluate(net, both)[1]
    return Finding(suspect, train, accuracy, first.mean().item(), first.std().item())


def measure(net: nn.Module, train: float, split: ImageSplit) -> list[Finding]:
    """Every suspect that needs no training of its own, on a net that was trained rightly.

    ``train`` is its accuracy in training, in percent. The net stays as it was.
    """
    # Without a fault first: every other row is read beside this one.
    device = device_of(net)
    findings = [found(AS_TOLD, net, train, batches_of(split, normalised, device))]
    for suspect, fault in TEST_FAULTS.items():
        findings.append(found(suspect, net, train, batches_of(split, fault, device)))

    # Training mode takes the statistics of the test batch.
    for suspect, order in ((MIXED, split), (SORTED, sorted_by_class(split))):
        batches = list(batches_of(order, normalised, device))
        accuracy = accuracy_in_training_mode(net, batches)
        first = batches[0][0]
        numbers = first.mean().item(), first.std().item()
        findings.append(Finding(suspect, train, accuracy, *numbers))
    return findings


def accuracy_in_training_mode(net: nn.Module, batches: Iterable) -> float:
    """What a net reads where nobody called ``eval()``, in percent."""
    # A copy, because running averages move in training mode.
    careless = copy.deepcopy(net).train()
    right, count = 0, 0
    with torch.no_grad():
        for images, labels in batches:
            right += int((careless(images).argmax(1) == labels).sum())
            count += len(labels)
    return 100 * right / count


# Suspects that need a training of their own.


def on_other_scale(split: ImageSplit) -> ImageSplit:
    """A split whose images, of 0 to 1, are normalised with the statistics of 0 to 255."""
    # The batches of such a split are what the library makes with its default.
    mean = tuple(255 * value for value in split.mean)
    std = tuple(255 * value for value in split.std)
    return replace(split, mean=mean, std=std)


def all_on_other_scale(data: ImageData) -> ImageData:
    """Training and test images with the statistics of 0 to 255: the same slip in both."""
    test = on_other_scale(data.test)
    return replace(data, train=on_other_scale(data.train), test=test)


def hasty(recipe: Recipe) -> Recipe:
    """The recipe with Adam at a rate that lies far beyond what learns best."""
    return replace(
        recipe,
        name=f"{recipe.name}-hasty",
        optimizer="adamw",
        learning_rate=HASTY_RATE,
        weight_decay=0.0,
    )


def with_averages_anew(net: nn.Module, recipe: Recipe, split: ImageSplit) -> nn.Module:
    """A copy of the net, its running averages measured anew over augmented training images."""
    # torch's update_bn forgets the old averages, and takes the plain mean over all batches.
    renewed = copy.deepcopy(net)
    device = device_of(net)
    generator = torch.Generator().manual_seed(0)
    few = split.subset(slice(RENEWED))
    update_bn(training_batches(recipe, few, device, generator), renewed, device)
    return renewed


def trained_apart(
    suspect: str, net: nn.Module, train: float, recipe: Recipe, data: ImageData
) -> list[Finding]:
    """Two findings on a net that was trained with a fault: as it is, and with averages anew."""
    # The same weights twice: what differs is due to the averages alone.
    device = device_of(net)
    renewed = with_averages_anew(net, recipe, data.train)
    findings = []
    for name, each in ((suspect, net), (suspect + ANEW, renewed)):
        findings.append(found(name, each, train, batches_of(data.test, normalised, device)))
    return findings


def by_suspect(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The findings of all seeds, suspect by suspect, in their order."""
    groups: dict[str, list[Finding]] = {}
    for each in findings:
        groups.setdefault(each.suspect, []).append(each)
    return groups


def mean_finding(group: Sequence[Finding]) -> Finding:
    """The mean over seeds of one suspect's findings."""
    means = []
    for name in ("train", "test", "mean", "spread"):
        values = [getattr(each, name) for each in group]
        means.append(mean_sd(values)[0])
    return Finding(group[0].suspect, *means)


def mean_and_scatter(values: Sequence[float]) -> str:
    """Mean ± deviation over seeds; of one seed the number alone."""
    mean, deviation = mean_sd(values)
    if len(values) == 1:
        return f"{mean:.2f}"
    return f"{mean:.2f} ± {deviation:.2f}"
