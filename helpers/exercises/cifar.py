"""Session 07's exercises: a loader with a fault, a schedule, a softmax too many, an own net."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from helpers.data import ImageData
from helpers.exercises import NotFilledIn, check, given
from helpers.exercises.own_net import built_net, net_problem
from helpers.exercises.parameter_budget import train_own
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.models import count_parameters

HOLE = 8  # rows and columns of the square that is cut out
EPOCHS_SEEN = 4  # of each loader

# Exercise 4: what a net of the learner's own is asked for.
MOST_PARAMETERS = 50_000
LEAST_ACCURACY = 55.0
EPOCHS = 2


# Exercise 1: a loader with one fault.


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
    for count, batch_size in ((12, 4), (10, 4), (9, 9)):
        images, labels = numbered_images(count)
        kept = images.clone()
        mean = torch.tensor([0.5, 0.4, 0.3])
        std = torch.tensor([0.2, 0.25, 0.3])
        loader = loader_class(images, labels, mean, std, batch_size)
        epochs: list[Epoch] = []
        for number in range(1, EPOCHS_SEEN + 1):
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
        given(begin(loader))
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
    orders = {tuple(epoch.order) for epoch in epochs}
    if len(orders) < len(epochs):
        return "the images come in the same order in more than one epoch"
    # The same holes again would be a fixed pattern, and no augmentation.
    first, second, third = (epoch.corners for epoch in epochs[:3])
    if torch.equal(first, second) and torch.equal(second, third):
        return "the square of each image is at the same place in every epoch"
    return None


def place_problem(epochs: list[Epoch]) -> str | None:
    """What is wrong with the places of all squares together."""
    # By chance no batch of four or more has all of its squares at one place.
    alone = 0
    for epoch in epochs:
        for batch in epoch.batches:
            corners = epoch.corners[batch]
            alone += len(batch) > 2 and bool((corners == corners[0]).all())
    if alone > 1:
        return "in a batch all images have their square at the same place"
    # Of more than a hundred squares some begin in the first fifth of the places, some in the last.
    corners = torch.cat([epoch.corners for epoch in epochs])
    fifth = (32 - HOLE + 1) // 5
    if (corners.amin(0) >= fifth).any() or (corners.amax(0) <= 32 - HOLE - fifth).any():
        return "there are places in an image that no square ever covers"
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


# Exercise 2: Smith's own one-cycle.

# Steps, the step of the highest rate, the highest rate.
CYCLES = ((101, 40, 0.4), (61, 20, 1.0), (2000, 700, 0.025), (12, 4, 3.0))


@check
def symmetric_cycle(schedule: Callable[[int, int, int, float], Any]) -> str | None:
    """A function (step, steps, peak, highest) from a step, counted from 0, to its rate.

    Straight up from a tenth of ``highest`` at step 0 to ``highest`` at ``peak``, straight down to a
    tenth at step 2 · peak, and from there straight down to a thousandth at the last step.
    """
    for steps, peak, highest in CYCLES:
        corners = ((0, 0.1), (peak, 1.0), (2 * peak, 0.1), (steps - 1, 0.001))
        # The corners first: what is wrong there is said most easily.
        for step, share in corners:
            rate = float(given(schedule(step, steps, peak, highest)))
            if not near(rate, share * highest):
                return (
                    f"{steps} steps, highest at step {peak}: {rate:.4g} came out at step {step}, "
                    f"and not the share of {highest:g}, the highest rate, that was asked for"
                )
        for step in range(steps):
            rate = float(given(schedule(step, steps, peak, highest)))
            if not near(rate, highest * share_at(step, corners)):
                return (
                    f"{steps} steps, highest at step {peak}: the four corners are right, and "
                    f"{rate:.4g}, which came out at step {step}, does not lie on the straight line "
                    "between two of them"
                )
    return None


def share_at(step: int, corners: tuple[tuple[int, float], ...]) -> float:
    """The height of the broken line through the corners."""
    for (left, low), (right, high) in zip(corners, corners[1:]):
        if step <= right:
            return low + (high - low) * (step - left) / (right - left)
    raise ValueError(f"step {step} lies behind the last corner")


def near(rate: float, expected: float) -> bool:
    """Whether a rate is the expected one, up to rounding."""
    return abs(rate - expected) <= 1e-6 * expected


# Exercise 3: a softmax before cross-entropy.


@check
def mended_net(mend: Callable[[nn.Sequential], Any]) -> str | None:
    """A function from a net that ends in a softmax to one that ``cross_entropy`` can train.

    The mended net has the same weights, names the same classes, and gets the loss and the gradient
    of the net's logits.
    """
    for seed, size in ((0, 1.0), (1, 5.0), (2, 300.0)):
        net = softmax_net(seed, size)
        before = str(net)
        mended = given(mend(net))
        if not isinstance(mended, nn.Module):
            return f"a {type(mended).__name__} came back, and not a net"
        if mended is net and str(net) == before:
            return "the net came back as it was"
        problem = loss_problem(mended, seed, size)
        if problem is not None:
            return problem
    return None


def softmax_net(seed: int = 0, size: float = 1.0) -> nn.Sequential:
    """A little net whose last layer is a softmax; ``size`` makes its logits larger."""
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 10), nn.Softmax(1))
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
        for weights in net[3].parameters():
            weights.mul_(size)
    return net


def loss_problem(mended: nn.Module, seed: int, size: float) -> str | None:
    """What is wrong with the loss or the gradient of a mended net, on eight random images."""
    # The loss that the net of the logits has, and its gradient.
    generator = torch.Generator().manual_seed(seed + 10)
    images = torch.randn(8, 3, 2, 2, generator=generator)
    targets = torch.randint(10, (8,), generator=generator)
    logits_net = softmax_net(seed, size)[:-1]
    logits = logits_net(images)
    expected = F.cross_entropy(logits, targets)
    expected.backward()

    # A mended net answers the same, image by image.
    answer = mended(images)
    if list(answer.shape) != [8, 10]:
        return f"eight images came out as {list(answer.shape)}, and not as eight rows of ten"
    if not torch.equal(answer.argmax(1), logits.argmax(1)):
        return "the mended net names other classes than the net did"
    loss = F.cross_entropy(answer, targets)
    case = f"with logits of up to {logits.detach().abs().max():,.0f}"
    if not torch.allclose(loss, expected, rtol=1e-4, atol=1e-5):
        return f"{case} the loss is {loss.item():.3f}, and the logits give another one"

    # The loss of a detached copy would be right, and nothing would learn.
    if not loss.requires_grad:
        return "the loss has no gradient, so nothing can be learned"
    loss.backward()
    return gradient_problem(mended, logits_net, case)


def gradient_problem(mended: nn.Module, logits_net: nn.Module, case: str) -> str | None:
    """What is wrong with the gradients of a mended net, beside those of the net of its logits."""
    theirs = [weights.grad for weights in mended.parameters()]
    ours = [weights.grad for weights in logits_net.parameters()]
    if len(theirs) != len(ours):
        return "the mended net has more or fewer weights than the net had"
    for mine, expected in zip(theirs, ours):
        if mine is None or expected is None:
            return "not all weights of the net get a gradient"
        if not torch.allclose(mine, expected, rtol=1e-3, atol=1e-4):
            return f"{case} the loss is right, and its gradient is not"
    return None


# Exercise 4: a net of the learner's own.


@check
def own_cifar_net(
    build_net: Any, data: ImageData, least: float = LEAST_ACCURACY, epochs: int = EPOCHS
) -> str | None:
    """Count a learner's net, train it for two epochs as the narrow net is, and judge it.

    Prints what came out. On practice data it trains for one epoch, and nothing is judged.
    """
    net = built_net(build_net)
    problem = colour_net_problem(net)
    if problem is not None:
        return problem
    count = count_parameters(net)
    recipe = replace(EXPERIMENTS["cifar-minutes"].shortened(epochs), name="own")

    def new_net() -> nn.Module:
        # Run once: a layer may find its shape by itself, and has no weights before it has.
        again = built_net(build_net)
        colour_net_problem(again)
        return again

    # Practice data show that all works, and say nothing about photographs.
    if data.source == "practice":
        train_own(new_net, recipe.shortened(1), data, seed=0)
        return (
            f"with {count:,} parameters the net is small enough, but claims are not judged on "
            "practice data"
        )
    accuracy = train_own(new_net, recipe, data, seed=0)
    print(f"{count:,} parameters: {accuracy:.2f} % of the test images after {epochs} epochs")
    if accuracy < least:
        return f"{accuracy:.2f} % after {epochs} epochs, and at least {least} % were asked for"
    return None


def colour_net_problem(model: Any) -> str | None:
    """What is wrong with a net for colour images before it is trained."""
    # The frame of the exercise is an empty row of layers.
    if isinstance(model, nn.Sequential) and len(model) == 0:
        raise NotFilledIn
    return net_problem(model, MOST_PARAMETERS, (3, 32, 32))
