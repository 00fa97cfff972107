"""Session 07's first exercise: a loader of augmented batches that has one fault."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from helpers.exercises import check, given, returned

HOLE = 8  # rows and columns of the square that is cut out
PLACES = 32 - HOLE + 1  # rows, and columns, that a square can begin in
# Images, images in a batch, and epochs seen, of each loader that is tried. They make 408 squares: a
# right loader leaves one of the rows or columns out in two or three of a million times.
LOADERS = ((12, 4, 12), (10, 4, 12), (9, 9, 16))


@dataclass
class Epoch:
    """One pass: the numbers of the images, batch by batch, and the corner of each one's square."""

    batches: list[list[int]]
    corners: torch.Tensor

    @property
    def order(self) -> list[int]:
        """The numbers of the images as they came out."""
        return [number for batch in self.batches for number in batch]


@check
def mended_loader(loader_class: Callable[..., Iterable]) -> str | None:
    """A class (images, labels, mean, std, batch_size) whose batches have one black square each.

    ``images`` are bytes [N, 3, 32, 32]. Every pass gives each image once, in an order of its own,
    with its label, black in one square of 8 × 8 pixels at a place of its own, and normalised.
    """
    seen: list[Epoch] = []
    for count, batch_size, passes in LOADERS:
        images, labels = numbered_images(count)
        kept = images.clone()
        mean = torch.tensor([0.5, 0.4, 0.3])
        std = torch.tensor([0.2, 0.25, 0.3])
        loader = loader_class(images, labels, mean, std, batch_size)
        epochs: list[Epoch] = []
        for number in range(1, passes + 1):
            epoch = Epoch([], torch.zeros(count, 2, dtype=torch.int64))
            problem = epoch_problem(loader, kept, labels, (mean, std), epoch)
            problem = problem or size_problem(epoch, count, batch_size)
            if problem is not None:
                # What is wrong from the second epoch on is for the learner to find.
                if number > 1:
                    problem = "something is not as it should be: look at its images"
                return f"{count} images in batches of {batch_size}, epoch {number}: {problem}"
            epochs.append(epoch)
        if not torch.equal(images, kept):
            return "the images that were given to the loader are not what they were before"
        problem = repeated_problem(epochs)
        if problem is not None:
            return problem
        seen += epochs
    return place_problem(seen)


def numbered_images(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images without a black pixel, each known by its brightness, and labels that go with them."""
    brightness = torch.arange(count) * 15 + 40
    images = brightness.view(-1, 1, 1, 1).expand(count, 3, 32, 32).clone().byte()
    return images, torch.arange(count) % 10


def epoch_problem(
    loader: Iterable,
    images: torch.Tensor,
    labels: torch.Tensor,
    statistics: tuple[torch.Tensor, torch.Tensor],
    epoch: Epoch,
) -> str | None:
    """What is wrong with the images of one pass; what came out is put into ``epoch``."""
    mean, std = (numbers.view(3, 1, 1) for numbers in statistics)
    for batch, targets in one_pass(loader):
        # Back to bytes: a right batch is made of whole numbers.
        pixels = (batch * std + mean) * 255
        if not torch.allclose(pixels, pixels.round(), atol=0.01):
            return "the numbers of a batch are not those of normalised bytes"
        epoch.batches.append([])
        for picture, label in zip(pixels.round().long(), torch.as_tensor(targets).tolist()):
            place = int(picture.max())
            known = (images[:, 0, 0, 0].long() == place).nonzero()
            if len(known) != 1:
                return "a picture came out that is none of those that went in"
            number = int(known)
            epoch.batches[-1].append(number)
            if label != int(labels[number]):
                return "an image came out with the label of another one"
            black = (picture == 0).all(0)
            problem = hole_problem(black, picture, place)
            if problem is not None:
                return problem
            epoch.corners[number] = black.nonzero().amin(0)
    return None


def one_pass(loader: Iterable) -> list[Any]:
    """All batches of one pass; raises ``NotFilledIn`` where the loader gives none yet."""
    # Dots, or nothing at all, in the place of an iterator would be an error of Python's.
    begin = getattr(type(loader), "__iter__", None)
    if begin is not None:
        returned(begin(loader))
    return given(list(given(loader)))


def size_problem(epoch: Epoch, count: int, batch_size: int) -> str | None:
    """What is wrong with the number of images in one pass, or with the sizes of its batches."""
    if sorted(epoch.order) != list(range(count)):
        return "not every image came out exactly once"
    # All batches are full, but for what is left over.
    full, rest = divmod(count, batch_size)
    wanted = [batch_size] * full + [rest] * (rest > 0)
    sizes = [len(batch) for batch in epoch.batches]
    if sizes != wanted:
        return f"the batches have {sizes} images"
    return None


def repeated_problem(epochs: list[Epoch]) -> str | None:
    """What is the same in several epochs, and should be drawn anew."""
    # Two of sixteen orders of nine images can agree by chance.
    orders = {tuple(epoch.order) for epoch in epochs}
    if len(orders) < len(epochs) - 1:
        return "the images come in the same order in more than one epoch"
    half = len(epochs[0].order) // 2
    if all(neighbours_kept(epoch.order, epochs[0].order) > half for epoch in epochs[1:]):
        return "from epoch to epoch most images keep their neighbours, so it is one order, turned"
    # The same holes again would be a fixed pattern, and no augmentation.
    first, second, third = (epoch.corners for epoch in epochs[:3])
    if torch.equal(first, second) and torch.equal(second, third):
        return "the square of each image is at the same place in every epoch"
    return None


def neighbours_kept(order: list[int], first: list[int]) -> int:
    """How many images are followed by one that was beside them in the first order, as on a ring.

    Of orders that are drawn anew it is about two, however many images there are.
    """
    ring = list(zip(first, first[1:] + first[:1]))
    beside = set(ring) | {(after, before) for before, after in ring}
    return sum(pair in beside for pair in zip(order, order[1:]))


def place_problem(epochs: list[Epoch]) -> str | None:
    """What is wrong with the places of all squares together."""
    problem = batch_problem(epochs)
    if problem is not None:
        return problem
    corners = torch.cat([epoch.corners for epoch in epochs])
    rows, columns = corners.T
    # By chance a row and a column agree once in 25 times.
    if bool((rows == columns).all()) or bool((rows + columns == PLACES - 1).all()):
        return "the row of a square and its column are not drawn apart: one tells the other"

    # So many squares begin in the first and the last place, and in all between.
    if (corners.amin(0) > 0).any() or (corners.amax(0) < PLACES - 1).any():
        return "there are places in an image that no square ever covers"
    if min(len(rows.unique()), len(columns.unique())) < PLACES:
        return "there are rows or columns, between the first and the last, that no square begins in"
    return None


def batch_problem(epochs: list[Epoch]) -> str | None:
    """What the squares of one batch share, batch after batch."""
    # By chance no batch of four or more has all of its squares in one row, or in one column.
    same_row, same_column, same_place = 0, 0, 0
    for epoch in epochs:
        for batch in epoch.batches:
            if len(batch) < 3:
                continue
            corners = epoch.corners[batch]
            row, column = (corners == corners[0]).all(0).tolist()
            same_row += row
            same_column += column
            same_place += row and column
    if same_place > 1:
        return "in a batch all images have their square at the same place"
    if same_row > 1:
        return "in a batch all images have their square in the same rows"
    if same_column > 1:
        return "in a batch all images have their square in the same columns"
    return None


def hole_problem(black: torch.Tensor, picture: torch.Tensor, brightness: int) -> str | None:
    """What is wrong with the black pixels of one picture; ``black`` is a mask [32, 32]."""
    covered = int(black.sum())
    if covered != HOLE * HOLE:
        return f"an image has {covered} black pixels, and one square of 8 × 8 has 64"
    rows, columns = black.nonzero().T
    if rows.max() - rows.min() != HOLE - 1 or columns.max() - columns.min() != HOLE - 1:
        return "the black pixels of an image are no square of 8 × 8"
    if not (picture[:, ~black] == brightness).all():
        return "outside of its square an image is not what it was"
    return None
