"""The exercises of session 01: the training loop, two formulas, and an accuracy."""

import functools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, StepLR

from helpers.exercises import check, given, returned, same_numbers
from helpers.models import count_parameters

# A loop trains a model on batches, for some epochs, and returns the loss of every step.
Loop = Callable[..., Any]
Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]


# The training loop.


def course_loop(
    model: nn.Module,
    batches: Iterable,
    optimizer: torch.optim.Optimizer,
    scheduler: LRScheduler,
    epochs: int,
) -> list[float]:
    """The loop of session 01, complete: trains ``model``, and returns the loss of every step."""
    losses = []
    for _ in range(epochs):
        model.train()
        for images, labels in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    return losses


class Watched(nn.Module):
    """A small net, [N, 6] to logits [N, 3], that notes in which mode it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
        self.was_training: list[bool] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.was_training.append(self.training)
        return self.layers(inputs)


class Trial:
    """What a loop has done to a small net on some batches."""

    def __init__(self, loop: Loop, batches: Pairs, epochs: int) -> None:
        # The same net with every loop; torch's own random numbers stay as they were.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = Watched()
        self.before = self.weights()

        # Momentum makes what is left over from an earlier step count; the rate changes each step.
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.3, momentum=0.9)
        self.scheduler = StepLR(optimizer, 1, 0.8)
        self.model.eval()  # a loop has to change the mode itself
        with warnings.catch_warnings():
            # torch warns of a schedule that moves without a step: the check says it itself.
            warnings.simplefilter("ignore")
            self.losses = loop(self.model, batches, optimizer, self.scheduler, epochs)
        self.after = self.weights()

    def weights(self) -> torch.Tensor:
        """All weights of the net in one row, [parameters]."""
        return nn.utils.parameters_to_vector(self.model.parameters()).detach().clone()


def trial_batches(count: int) -> Pairs:
    """So many batches of random inputs [4, 6] with labels [4]."""
    # A generator of its own, so that the session's random numbers are not used up.
    generator = torch.Generator().manual_seed(1)
    batches = []
    for _ in range(count):
        inputs = torch.randn(4, 6, generator=generator)
        labels = torch.randint(3, (4,), generator=generator)
        batches.append((inputs, labels))
    return batches


@check
def training_loop(loop: Loop) -> str | None:
    """Whether a loop does what ``course_loop`` does, on one step, on two, and over two epochs."""
    # One step says whether a step is right, two whether it leaves nothing behind for the next.
    for count, epochs in ((1, 1), (2, 1), (3, 2)):
        batches = trial_batches(count)
        mine = Trial(loop, batches, epochs)
        ours = Trial(course_loop, batches, epochs)
        problem = loop_problem(mine, ours, steps=count * epochs)
        if problem is not None:
            return problem
    return None


def loop_problem(mine: Trial, ours: Trial, steps: int) -> str | None:
    """What is wrong with a loop that made so many steps, beside one that is right."""
    # A loss that is left open is found in the list that comes back.
    given(mine.losses)
    problem = losses_problem(mine.losses, steps)
    if problem is not None:
        return problem
    mine.losses = as_numbers(mine.losses)
    if not mine.model.was_training:
        return "the net was never asked about an image"
    if not all(mine.model.was_training):
        return "the net was in evaluation mode while it learned"

    # What was measured comes before what was done with it.
    if not same_numbers(mine.losses[0], ours.losses[0]):
        return (
            "the loss of the first step is not the cross-entropy of the net's logits and the "
            "labels; mind what the loss function takes, and in which order"
        )
    if torch.equal(mine.before, mine.after):
        return f"after {steps} {in_words(steps)} no weight has changed"
    if mine.scheduler.last_epoch != ours.scheduler.last_epoch:
        moved = mine.scheduler.last_epoch
        return f"in {steps} {in_words(steps)} the schedule moved {moved} times"
    if same_numbers(mine.after, ours.after) and same_numbers(mine.losses, ours.losses):
        return None
    if steps == 1:
        return "the weights did change in the first step, but not to what they should be"
    return (
        "the first step is right and a later one is not: look at what one step leaves behind for "
        "the next, and at the order of the lines"
    )


def losses_problem(losses: Any, steps: int) -> str | None:
    """What is wrong with the losses that a loop returned after so many steps."""
    if not isinstance(losses, list | tuple | torch.Tensor) or not hasattr(losses, "__len__"):
        return f"it returned a {type(losses).__name__}, and not a list with the loss of every step"
    # A sum or a mean is a tensor as well, but has no length.
    if isinstance(losses, torch.Tensor) and losses.dim() != 1:
        return "it returned a tensor that is no row of losses"
    if len(losses) != steps:
        return f"{steps} {in_words(steps)} left {len(losses)} losses in the list"
    return None


def in_words(steps: int) -> str:
    """The word behind a number of steps."""
    if steps == 1:
        return "step"
    return "steps"


def loop_to_use(loop: Loop) -> Loop:
    """The learner's loop where it is right; else the course's own. Says which, in one line.

    The loop that comes back returns the loss of every step as a number.
    """
    # An unfinished loop must not stop the session: the numbers below are the same with either.
    if not training_loop(loop):
        print("Your loop does not pass the check yet, so the course's own trains from here on.")
        return course_loop

    @functools.wraps(loop)
    def with_numbers(*arguments: Any, **settings: Any) -> list[float]:
        return as_numbers(loop(*arguments, **settings))

    print("Your loop passes the check: it trains from here on.")
    return with_numbers


def as_numbers(losses: Iterable[Any]) -> list[float]:
    """Losses as plain numbers, whether or not their tensors still know how they were made."""
    # torch warns where such a tensor becomes a number without being detached.
    numbers = []
    for loss in losses:
        numbers.append(torch.as_tensor(loss).detach().item())
    return numbers


# Two formulas.


@check
def conv_parameters(answer: Callable[[int, int, int], int]) -> str | None:
    """Whether a function counts the parameters of a convolution, for a grid of sizes."""
    # Sizes that differ from each other, so that mixing two of them up shows.
    for in_channels in (1, 3, 8):
        for out_channels in (1, 4, 16):
            for kernel_size in (1, 3, 5):
                found = returned(answer(in_channels, out_channels, kernel_size))
                layer = nn.Conv2d(in_channels, out_channels, kernel_size)
                if not same_numbers(found, count_parameters(layer)):
                    return (
                        f"{found} is not what nn.Conv2d({in_channels}, {out_channels}, "
                        f"{kernel_size}) has"
                    )
    return None


@check
def output_size(answer: Callable[[int, int, int, int], int]) -> str | None:
    """Whether a function gives the output size of a window, for a grid of sizes."""
    # Divisions that come out even, and others.
    for n in (7, 28, 31):
        for kernel_size in (1, 2, 3, 5):
            for stride in (1, 2, 3):
                for padding in (0, 1, 2):
                    found = returned(answer(n, kernel_size, stride, padding))
                    layer = nn.Conv2d(1, 1, kernel_size, stride, padding)
                    rows = layer(torch.zeros(1, 1, n, n)).shape[2]
                    if not same_numbers(found, rows):
                        return (
                            f"{n} pixels, window {kernel_size}, stride {stride}, padding "
                            f"{padding}: nn.Conv2d does not make {found}"
                        )
    return None


# An accuracy to be mended.


class Undecided(nn.Module):
    """Gives its inputs back as logits, and in training mode their negatives."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            return -inputs
        return inputs


def scored_batches(sizes: Sequence[int], right: Sequence[int]) -> Pairs:
    """Batches of logits [n, 3] as inputs, of which so many name the label; labels [n]."""
    # The first ones of a batch are named rightly, the others one class too high.
    batches = []
    for size, hits in zip(sizes, right, strict=True):
        labels = torch.arange(size) % 3
        named = labels.clone()
        named[hits:] = (named[hits:] + 1) % 3
        batches.append((F.one_hot(named, 3).float(), labels))
    return batches


@check
def accuracy_over_batches(answer: Callable[[nn.Module, Pairs], float]) -> str | None:
    """Whether a function measures accuracy in percent, on batches of equal and unequal size."""
    for sizes, right in (((4, 4), (4, 2)), ((8, 2), (8, 0)), ((5, 3, 1), (0, 2, 1)), ((6,), (5,))):
        model = Undecided().train()
        found = returned(answer(model, scored_batches(sizes, right)))
        expected = 100 * sum(right) / sum(sizes)
        if same_numbers(found, expected, tolerance=1e-4):
            continue

        # Which of the usual faults it is.
        if len(sizes) == 1 or len(set(sizes)) == 1:
            return accuracy_fault(float(found), expected)
        return (
            f"batches of {', '.join(map(str, sizes))} images with {', '.join(map(str, right))} of "
            f"them right gave {float(found):.1f} %: does every image count once?"
        )
    return None


def accuracy_fault(found: float, expected: float) -> str:
    """What is said about a wrong accuracy over batches of one size."""
    if same_numbers(100 * found, expected, tolerance=1e-4):
        return "it gives a share between 0 and 1, and percent were asked for"
    return f"batches of one size gave {found:.1f} %, and {expected:.1f} % of their images are right"
