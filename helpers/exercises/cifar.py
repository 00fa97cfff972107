"""Session 07's exercises: a loader with a fault, a schedule, a softmax too many, an own net."""

from collections.abc import Callable, Iterable
from dataclasses import replace
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

# Exercise 4: what a net of the learner's own is asked for.
MOST_PARAMETERS = 50_000
LEAST_ACCURACY = 55.0
EPOCHS = 2


# Exercise 1: a loader with one fault.


@check
def mended_loader(loader_class: Callable[..., Iterable]) -> str | None:
    """A class (images, labels, mean, std, batch_size) whose batches have one black square each.

    ``images`` are bytes [N, 3, 32, 32]. Every pass gives each image once, in an order of its own,
    with its label, black in one square of 8 × 8 pixels, and normalised.
    """
    for count, batch_size in ((12, 4), (10, 4), (7, 7)):
        images, labels = numbered_images(count)
        kept = images.clone()
        mean = torch.tensor([0.5, 0.4, 0.3])
        std = torch.tensor([0.2, 0.25, 0.3])
        loader = loader_class(images, labels, mean, std, batch_size)
        seen = []
        for epoch in range(1, 5):
            case = f"{count} images in batches of {batch_size}, epoch {epoch}:"
            holes, problem = epoch_problem(loader, kept, labels, mean, std)
            if problem is not None:
                return f"{case} {problem}"
            seen.append(holes)
        if not torch.equal(images, kept):
            return "the images that were given to the loader are not what they were before"
        # The same holes again would be a fixed pattern, and no augmentation.
        if torch.equal(seen[0], seen[1]) and torch.equal(seen[1], seen[2]):
            return "the square of each image is at the same place in every epoch"
    return None


def numbered_images(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images without a black pixel, each known by its brightness, and labels that go with them."""
    brightness = torch.arange(count) * 15 + 40
    images = brightness.view(-1, 1, 1, 1).expand(count, 3, 32, 32).clone().byte()
    return images, torch.arange(count) % 10


def epoch_problem(
    loader: Iterable,
    images: torch.Tensor,
    labels: torch.Tensor,
    mean: torch.Tensor,
    std: torch.Tensor,
) -> tuple[torch.Tensor, str | None]:
    """The corners of the squares in one pass, by image, and what is wrong with that pass."""
    corners = torch.zeros(len(images), 2, dtype=torch.int64)
    visits = torch.zeros(len(images), dtype=torch.int64)
    for batch, targets in one_pass(loader):
        # Back to bytes: a right batch is made of whole numbers.
        pixels = (batch * std.view(3, 1, 1) + mean.view(3, 1, 1)) * 255
        if not torch.allclose(pixels, pixels.round(), atol=0.01):
            return corners, "the numbers of a batch are not those of normalised bytes"
        for picture, label in zip(pixels.round().long(), targets.tolist()):
            place = int(picture.max())
            known = (images[:, 0, 0, 0].long() == place).nonzero()
            if len(known) != 1:
                return corners, "a picture came out that is none of those that went in"
            number = int(known)
            visits[number] += 1
            if label != int(labels[number]):
                return corners, "an image came out with the label of another one"
            black = (picture == 0).all(0)
            problem = hole_problem(black, picture, place)
            if problem is not None:
                return corners, problem
            corners[number] = black.nonzero().amin(0)
    if not (visits == 1).all():
        return corners, "not every image came out exactly once"
    return corners, None


def one_pass(loader: Iterable) -> list[Any]:
    """All batches of one pass; raises ``NotFilledIn`` where the loader gives none yet."""
    # Dots in the place of an iterator would be an error of Python's.
    begin = getattr(type(loader), "__iter__", None)
    if begin is not None and begin(loader) is ...:
        raise NotFilledIn
    return list(given(loader))


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
            if not near(schedule(step, steps, peak, highest), share * highest):
                return (
                    f"{steps} steps, highest at step {peak}: the rate at step {step} is not the "
                    "share of the highest one that was asked for"
                )
        for step in range(steps):
            if not near(schedule(step, steps, peak, highest), highest * share_at(step, corners)):
                return (
                    f"{steps} steps, highest at step {peak}: the four corners are right, and step "
                    f"{step} does not lie on the straight line between two of them"
                )
    return None


def share_at(step: int, corners: tuple[tuple[int, float], ...]) -> float:
    """The height of the broken line through the corners."""
    for (left, low), (right, high) in zip(corners, corners[1:]):
        if step <= right:
            return low + (high - low) * (step - left) / (right - left)
    raise ValueError(f"step {step} lies behind the last corner")


def near(rate: Any, expected: float) -> bool:
    """Whether a learner's rate is the expected one, up to rounding."""
    return abs(float(given(rate)) - expected) <= 1e-6 * expected


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
    expected = F.cross_entropy(logits_net(images), targets)
    expected.backward()

    # A mended net answers the same, image by image.
    answer = mended(images)
    if list(answer.shape) != [8, 10]:
        return f"eight images came out as {list(answer.shape)}, and not as eight rows of ten"
    if not torch.equal(answer.argmax(1), logits_net(images).argmax(1)):
        return "the mended net names other classes than the net did"
    loss = F.cross_entropy(answer, targets)
    case = "with small logits"
    if size > 10:
        case = "with logits of several hundreds"
    if not torch.allclose(loss, expected, rtol=1e-4, atol=1e-5):
        return f"{case} the loss is {loss.item():.3f}, and another one is right"

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
