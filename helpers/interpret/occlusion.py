"""Occlusion: a patch is slid over an image, and the net is asked again at every place.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 4.2.
"""

from dataclasses import dataclass

import torch
from torch import nn

from helpers.data import ImageSplit
from helpers.environment import CourseError, real_number, whole_number
from helpers.interpret import check_outputs, check_split
from helpers.models import check_net, device_of, evaluating
from helpers.training.checks import check_logits, explained


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """What a net says of one image when a patch covers a part of it; tensors on the CPU.

    index: of the image in its split.
    size: rows and columns of the patch, in pixels.
    stride: pixels from one place of the patch to the next.
    change: [rows, columns], the true class's log-probability with the patch less that without it.
    predicted: int64 [rows, columns], the class that the net names with the patch.
    answer: the class that it names without the patch.

    Entry [i, j] belongs to the patch around row i · stride, column j · stride.
    """

    index: int
    size: int
    stride: int
    change: torch.Tensor
    predicted: torch.Tensor
    answer: int


def occlusion_map(
    model: nn.Module,
    split: ImageSplit,
    index: int,
    size: int = 7,
    stride: int = 1,
    fill: float | None = None,
) -> OcclusionMap:
    """Cover an image with a patch, place by place, and measure what it does to the true class.

    The patch is laid around every pixel, or every ``stride``-th; at the rim its outer part is cut.

    fill: the patch's grey, from 0 (black) to 1 (white); the mean of the split unless given, which
        is 0 for the net.

    The model's modes are put back. Raises ``CourseError`` for what is no net, one that does not
    take the images or gives no logit for each class of the split, for an image that is not there,
    for a patch that does not fit on it, and for a grey outside 0 to 1.
    """
    check_split("occlusion_map", split)
    check_net(model, "occlusion_map")
    place = place_of(index, len(split))
    height, width = split.images.shape[2:]
    if whole_number(size, least=1) is None or size > min(height, width):
        raise CourseError(
            f"occlusion_map: size={size!r}: give a whole number from 1 to {min(height, width)}"
        )
    if whole_number(stride, least=1) is None:
        raise CourseError(f"occlusion_map: stride={stride!r}: give a whole number of at least 1")
    grey = real_number(fill)
    if fill is not None and (grey is None or not 0 <= grey <= 1):
        raise CourseError(
            f"occlusion_map: fill={fill!r}: give a grey from 0 (black) to 1 (white), or None"
        )

    # The image as the net gets it, and the grey of the patch on the same scale.
    mean = torch.tensor(split.mean).view(-1, 1, 1)
    std = torch.tensor(split.std).view(-1, 1, 1)
    image = (split.images[place].cpu() / 255 - mean) / std
    patch = torch.zeros_like(mean)
    if grey is not None:
        patch = (grey - mean) / std

    # The image itself, and then a copy for each place of the patch.
    rows = range(0, height, stride)
    columns = range(0, width, stride)
    copies = image.repeat(1 + len(rows) * len(columns), 1, 1, 1)
    number = 0
    for row in rows:
        for column in columns:
            number += 1
            top, left = row - size // 2, column - size // 2
            across = slice(max(0, left), left + size)
            copies[number, :, max(0, top) : top + size, across] = patch
    changes, answers = compare_answers(model, split, place, copies)

    # The first is that of the image itself.
    places = (len(rows), len(columns))
    change, predicted = changes[1:].view(places), answers[1:].view(places)
    return OcclusionMap(place, size, stride, change, predicted, int(answers[0]))


def place_of(index: int, count: int) -> int:
    """The index of one of ``count`` images as an int. Raises ``CourseError`` for any other."""
    if count == 0:
        raise CourseError("occlusion_map: the split holds no images: give one that does")
    place = whole_number(index, least=0)
    if place is None or place >= count:
        raise CourseError(
            f"occlusion_map: index={index!r} of {count} images: give 0 to {count - 1}"
        )
    return place


def compare_answers(
    model: nn.Module, split: ImageSplit, index: int, copies: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a net says of copies [N, C, H, W] of an image of a split, the first of them uncovered.

    Returns the true class's log-probability less that of the first copy, [N], and the classes that
    the net names, int64 [N]; both on the CPU.
    """
    device = device_of(model)
    labels = split.labels[index].repeat(len(copies))
    outputs = []
    with evaluating(model), torch.no_grad():
        for batch, targets in zip(copies.split(500), labels.split(500)):
            with explained(batch):
                logits = model(batch.to(device))
            check_logits(logits, targets)
            check_outputs("occlusion_map", logits, split)
            outputs.append(logits.float().cpu())
    logits = torch.cat(outputs)

    # The logarithm of softmax directly: of a probability that rounds to 0 there is none.
    true = int(split.labels[index])
    log_probabilities = logits.log_softmax(1)[:, true]
    return log_probabilities - log_probabilities[0], logits.argmax(1)
