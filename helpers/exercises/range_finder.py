"""The check of a range test that a learner has mended: rates, curve, end, and traces."""

import copy
import math
from collections.abc import Callable, Sequence
from itertools import chain, pairwise, repeat
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from helpers.exercises import check, returned, same_numbers
from helpers.lr_finder import lr_range_test

Batch = tuple[torch.Tensor, torch.Tensor]

DIVERGENCE = 4  # times the lowest point of the curve, above which a test ends


@check
def mended_finder(finder: Callable[..., Any]) -> str | None:
    """A function (model, batches, loss_fn, optimizer, end_lr, steps) that returns two lists.

    They are the rates and the smoothed losses; everything else is as before the call.
    """
    # The curve comes first, since a wrong one ends a test too early, and then all else is wrong.
    for find_problem in (
        curve_problem,
        rates_problem,
        end_problem,
        traces_problem,
        training_problem,
    ):
        problem = find_problem(finder)
        if problem is not None:
            return problem
    return None


class Shared(list):
    """A list that copies have in common."""

    def __deepcopy__(self, memo: Any) -> "Shared":
        return self


class Watched(torch.optim.SGD):
    """SGD that keeps the rate of each of its steps in ``used``, and of those of its copies."""

    def __init__(self, parameters: Any, lr: float, momentum: float = 0.0) -> None:
        super().__init__(parameters, lr=lr, momentum=momentum)
        self.used = Shared()

    def __getstate__(self) -> dict[str, Any]:
        # What torch copies, and ``used`` too: a copy of net and optimizer may make the test.
        return super().__getstate__() | {"used": self.used}

    def step(self, closure: Any = None) -> Any:
        self.used.append(float(self.param_groups[0]["lr"]))
        return super().step(closure)


def small_net() -> nn.Sequential:
    """A net with a normalisation, always with the same first weights."""
    generator = torch.Generator().manual_seed(6)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(0.5 * torch.randn(weights.shape, generator=generator))
    return net


def some_batches(count: int) -> list[Batch]:
    """Batches of eight random images of four numbers, and their labels."""
    generator = torch.Generator().manual_seed(count)
    batches = []
    for _ in range(count):
        images = torch.randn(8, 4, generator=generator)
        batches.append((images, torch.randint(0, 3, (8,), generator=generator)))
    return batches


def scripted(losses: Sequence[float]) -> Callable[..., torch.Tensor]:
    """A loss function that ignores the net, and returns one of these losses after the other."""
    # Zero times the logits, so that there is something to go back through. The last one is repeated
    # for tests that make too many steps.
    numbers = chain(losses, repeat(losses[-1]))
    return lambda logits, targets: 0 * logits.sum() + next(numbers)


def curve(
    finder: Callable[..., Any], loss_fn: Any, steps: int, start: float = 1e-3, end: float = 10.0
) -> tuple[list[float], list[float], list[float]]:
    """The rates and losses that a learner's test returns, and the rates of its steps."""
    net = small_net()
    optimizer = Watched(net.parameters(), lr=start)
    # Lists, arrays and tensors are all right.
    batches = some_batches(steps + 5)  # more than are wanted
    found = returned(finder(net, batches, loss_fn, optimizer, end, steps))
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise ValueError("two lists are to come back, of rates and of losses")
    lrs, losses = ([float(value) for value in row] for row in found)
    return lrs, losses, optimizer.used


def rates_problem(finder: Callable[..., Any]) -> str | None:
    """Whether each rate is that of its own step, from the first one to ``end_lr``."""
    for start, end, steps in ((1e-3, 10.0, 21), (1e-4, 1.0, 40)):
        # A loss that never changes gives no reason to end.
        lrs, losses, used = curve(finder, scripted([2.0] * steps), steps, start, end)
        words = f"from {start} to {end} in {steps} steps:"
        if len(used) != steps:
            return f"{words} it made {len(used)} steps while nothing diverged"
        if len(lrs) != steps or len(losses) != steps:
            return f"{words} {len(lrs)} rates and {len(losses)} losses came back"

        # What was used comes first: a list that agrees with wrong steps is no right one.
        factors = [after / before for before, after in pairwise(used)]
        if not same_numbers(factors, [factors[0]] * len(factors), 1e-4):
            return f"{words} the rate does not grow by the same factor from step to step"
        # As shares of the ends, so that one tolerance serves for both.
        if not same_numbers([used[0] / start, used[-1] / end], [1.0, 1.0], 1e-3):
            return f"{words} the steps were made at rates from {used[0]:.3g} to {used[-1]:.3g}"
        for number, (stated, real) in enumerate(zip(lrs, used), 1):
            if not math.isclose(stated, real, rel_tol=1e-4):
                return (
                    f"{words} step {number} was made at {real:.4g}, and the list says {stated:.4g}"
                )
    return None


def curve_problem(finder: Callable[..., Any]) -> str | None:
    """Whether the losses are smoothed with 0.95, and the start of the mean is divided out."""
    # The first sequence shows what the first loss weighs, the second all other weights.
    generator = torch.Generator().manual_seed(1)
    noise = (1 + torch.rand(30, generator=generator)).tolist()
    for name, raw in (("10 at first, then 2", [10.0] + [2.0] * 29), ("random", noise)):
        _, losses, _ = curve(finder, scripted(raw), len(raw))
        for number, (found, expected) in enumerate(zip(losses, smoothed(raw)), 1):
            if not math.isclose(found, expected, rel_tol=1e-3):
                return (
                    f"losses that are {name}: point {number} of the curve is {found:.3f}, which "
                    "is not the corrected mean"
                )
        if len(losses) != len(raw):
            return f"losses that are {name}: {len(losses)} points came back, and not {len(raw)}"
    return None


def smoothed(losses: Sequence[float], smoothing: float = 0.95) -> list[float]:
    """Moving averages whose start at 0 is divided out."""
    moment = 0.0
    means = []
    for count, loss in enumerate(losses, 1):
        moment = smoothing * moment + (1 - smoothing) * loss
        means.append(moment / (1 - smoothing**count))
    return means


def end_problem(finder: Callable[..., Any]) -> str | None:
    """Whether it ends where a loss is no finite number, or explodes, and not before."""
    # Twenty losses of a net that learns, and what comes after them. Finite ones in the end, so that
    # whoever leaves out the others and goes on is seen.
    falling = [2.3 - 0.05 * step for step in range(20)]
    for name, value in (("nan", math.nan), ("inf", math.inf)):
        raw = falling + [value] * 3 + [1.0] * 17
        lrs, losses, used = curve(finder, scripted(raw), len(raw))
        if len(used) > 21:
            return f"after the first loss of {name} it made {len(used) - 21} more steps"
        if not all(map(math.isfinite, losses)):
            return f"a loss of {name} is among those that came back, and cannot be drawn"
        if not len(lrs) == len(losses) == 20:
            return (
                f"20 losses were finite before the first {name}, and {len(lrs)} rates and "
                f"{len(losses)} losses came back"
            )

    return threshold_problem(finder)


def threshold_problem(finder: Callable[..., Any]) -> str | None:
    """Whether it ends in the step in which the curve is more than four times its lowest."""
    # Slowly past the limit, so that limits nearby end elsewhere; a start that lies above the lowest
    # place; and a rise that is no explosion.
    for words, raw in (
        ("from 1 to 4.4", [1.0] * 20 + [4.4] * 80),
        ("from 4 to 1 and then to 10", [4.0] * 3 + [1.0] * 40 + [10.0] * 40),
        ("from 1 to 2", [1.0] * 20 + [2.0] * 20),
    ):
        expected = steps_until(DIVERGENCE, smoothed(raw))
        _, _, used = curve(finder, scripted(raw), len(raw))
        count = len(used)
        # Whoever looks at the curve before the step does not make the last one.
        if count == expected or count == expected - 1 < len(raw) - 1:
            continue
        word = "late"
        if count < expected:
            word = "early"
        return f"losses that go {words}: after step {count} of {len(raw)} it ended too {word}"
    return None


def steps_until(divergence: float, means: Sequence[float]) -> int:
    """After how many points a curve is above so many times its lowest; all where it never is."""
    lowest = math.inf
    for count, mean in enumerate(means, 1):
        lowest = min(lowest, mean)
        if mean > divergence * lowest:
            return count
    return len(means)


def traces_problem(finder: Callable[..., Any]) -> str | None:
    """Whether net and optimizer go on as if there had been no test."""
    for words, steps_before in (("a new optimizer", 0), ("an optimizer with momentum", 3)):
        net = small_net()
        optimizer = Watched(net.parameters(), lr=0.02, momentum=0.9)
        train_on(net, optimizer, steps_before)
        # The twin goes on without a test, and is what the net should be.
        twin, other = twin_of(net, optimizer)
        returned(finder(net, some_batches(30), cross_entropy, optimizer, 1.0, 30))

        # At once, and after two more steps, in which momentum would be seen.
        if not all(module.training for module in net.modules()):
            return "the net is left in evaluation mode"
        if not same_state(net, twin):
            return "the net is another one after the test"
        if not math.isclose(optimizer.param_groups[0]["lr"], 0.02):
            return f"{words}: something of it is not as it was before the test"
        for model, stepper in ((net, optimizer), (twin, other)):
            train_on(model, stepper, 2)
        if not same_state(net, twin):
            return (
                f"{words}: net and rate are as before, and still the next steps of training are "
                "others than without the test"
            )
    return None


def training_problem(finder: Callable[..., Any]) -> str | None:
    """Whether each batch is a step of training: the losses are those of the course's range test."""
    net = small_net()
    optimizer = Watched(net.parameters(), lr=0.002, momentum=0.9)
    twin, other = twin_of(net, optimizer)
    batches = some_batches(30)
    expected = lr_range_test(twin, batches, steep_loss, other, 0.002, 0.1, 30, smoothing=0.95)
    _, losses = returned(finder(net, batches, steep_loss, optimizer, 0.1, 30))
    found = [float(loss) for loss in losses]
    if not same_numbers(found, expected.smoothed, 1e-3):
        return (
            "the losses of real batches are not those of a net that learns from each of them, in "
            "training mode and by the gradient of that batch alone"
        )
    return None


def steep_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """A loss with gradients so large that whoever limits them takes other steps."""
    return 10 * cross_entropy(logits, targets)


def twin_of(net: nn.Module, optimizer: Watched) -> tuple[nn.Module, Watched]:
    """A copy of a net, and of its optimizer with all that it remembers."""
    twin = copy.deepcopy(net)
    other = Watched(twin.parameters(), lr=0.02, momentum=0.9)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return twin, other


def train_on(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    """A few steps of training on random numbers."""
    for images, targets in some_batches(steps):
        optimizer.zero_grad()
        cross_entropy(net(images), targets).backward()
        optimizer.step()


def same_state(net: nn.Module, other: nn.Module) -> bool:
    """Whether two nets have equal weights and running statistics."""
    # Running statistics are in the state as well.
    states = zip(net.state_dict().values(), other.state_dict().values())
    return all(same_numbers(mine, theirs) for mine, theirs in states)
