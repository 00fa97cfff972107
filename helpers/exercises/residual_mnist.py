"""Session 06's exercises: a block and a range test to mend, a count, and a net of one's own."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from helpers.data import ImageData
from helpers.environment import real_number
from helpers.exercises import NotFilledIn, check, returned, same_numbers
from helpers.exercises.learners_net import (
    built_net,
    net_problem,
    trained_and_judged,
    used_net,
)
from helpers.exercises.range_finder import mended_finder
from helpers.experiments.catalogue import EXPERIMENTS
from helpers.models import count_parameters, device_of, independent_copy
from helpers.models.residual import BasicBlock, ResidualNet

# Exercise 3, the range test, is checked in a file of its own.
__all__ = ["mended_block", "mended_finder", "own_residual", "projection_cost"]

# The last exercise: what a net of the learner's own is asked for.
MOST_PARAMETERS = 19_999
LEAST_ACCURACY = 98.5
EPOCHS = 2


# Exercise 1: a block whose shortcut begins at the wrong place.


@check
def mended_block(forward: Callable[[BasicBlock, torch.Tensor], Any]) -> str | None:
    """A function (block, x) that does what the block does, against ``BasicBlock`` itself."""
    # Blocks that keep the shape, that add channels, also an odd number, and that only take strides.
    blocks = ((6, 6, 1, 8), (4, 8, 2, 8), (3, 6, 2, 7), (4, 7, 1, 5), (6, 6, 2, 7), (3, 5, 3, 8))
    for c_in, c_out, stride, size in blocks:
        words = f"from {c_in} to {c_out} channels with stride {stride}"
        for training in (True, False):
            problem = first_problem(forward, restless_block(c_in, c_out, stride), size, training)
            if problem is not None:
                return f"{words}: {problem}"
    return None


def first_problem(
    forward: Callable[..., Any], block: BasicBlock, size: int, training: bool
) -> str | None:
    """What is wrong with a forward pass, also where it raises an error: a block is named then."""
    try:
        return block_problem(forward, block, size, training)
    except NotFilledIn:
        raise
    except Exception as error:  # the learner's code can raise anything
        return f"your answer raised {type(error).__name__}: {error}"


def restless_block(c_in: int, c_out: int, stride: int) -> BasicBlock:
    """A block whose normalisations have scales and shifts of their own."""
    # A generator of its own, so that no random number of the notebook is used up.
    generator = torch.Generator().manual_seed(c_in + 10 * c_out)
    block = BasicBlock(c_in, c_out, stride)
    with torch.no_grad():
        for weights in block.parameters():
            weights.copy_(0.5 * torch.randn(weights.shape, generator=generator))
        # Evaluation mode has to use the running means, so that they are not 0.
        for name, buffer in block.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return block


def block_problem(
    forward: Callable[..., Any], block: BasicBlock, size: int, training: bool
) -> str | None:
    """What is wrong with a learner's forward pass through one block, or None."""
    block.train(training)
    twin = copy.deepcopy(block)
    generator = torch.Generator().manual_seed(size)
    channels = block.conv1.in_channels
    x = torch.randn(4, channels, size, size, generator=generator, requires_grad=True)
    # A tensor that is no leaf, as inside a net: in-place sums are possible, and seen.
    inside, expected_x = 1 * x, x.detach().clone().requires_grad_()
    calls: list[nn.Module] = []
    original = BasicBlock.forward

    def counted(layer: BasicBlock, x: torch.Tensor) -> torch.Tensor:
        calls.append(layer)
        return original(layer, x)

    # By the class, so that a call of block.forward is seen as well.
    with patch.object(BasicBlock, "forward", counted):
        found = returned(forward(block, inside))
    expected = twin(expected_x)
    if calls:
        return "the block itself was called, and its parts were to be used one by one"

    # Shapes first, because they say most; then what the input has become; then the numbers.
    if not isinstance(found, torch.Tensor):
        return f"a {type(found).__name__} came back, and not a tensor"
    if found.shape != expected.shape:
        return f"the output has shape {list(found.shape)}, and not {list(expected.shape)}"
    if not torch.equal(inside, x):
        return "the input was changed, and others may still need it"
    if (found < 0).any():
        return "the output has negative numbers, and the last step is a ReLU"
    if not same_numbers(found, expected, 1e-4):
        return "the shape of the output is right, and its numbers are not those of the block"
    problem = state_problem(block, twin)
    if problem:
        return problem

    # A gradient goes both ways, or the shortcut does not do its work.
    if not found.requires_grad:
        return "no gradient flows back through the output"
    found.square().sum().backward()
    expected.square().sum().backward()
    if x.grad is None or not same_numbers(x.grad, expected_x.grad, 1e-3):
        return "the numbers are right, and the gradient that reaches the input is not"
    return None


def state_problem(block: BasicBlock, twin: BasicBlock) -> str | None:
    """What a forward pass has left behind in a block that its twin does not have, or None."""
    # Whoever runs a normalisation twice in training moves its running statistics twice.
    for kept, expected in zip(block.buffers(), twin.buffers(), strict=True):
        if not same_numbers(kept, expected, 1e-4):
            return "the output is right, and the running statistics of a normalisation are not"
    if any(module.training != twin.training for module in block.modules()):
        return "the block was switched between training and evaluation mode"
    return None


# Exercise 2: what convolutions in the shortcuts cost.


@check
def projection_cost(answer: Callable[[list[int]], Any]) -> str | None:
    """A function from the widths of the stages to parameters, against nets that torch makes."""
    # Also stages of equal width, which halve the map all the same, and a net of one stage.
    for widths in ([8, 16, 32], [4, 6, 10, 12], [8, 8, 16], [16, 8], [5]):
        # A list of its own, which the answer may change.
        found = returned(answer(list(widths)))
        with_them = count_parameters(ResidualNet(widths, shortcut="conv"))
        without = count_parameters(ResidualNet(widths, shortcut="none"))
        if not same_numbers(found, with_them - without):
            return (
                f"for stages of {', '.join(map(str, widths))} channels: {found} is not what the "
                "shortcuts cost; which blocks have a convolution in theirs, and what stands "
                "behind it?"
            )
    return None


# Exercise 4: a net of the learner's own.


@check
def own_residual(
    build_net: Any,
    rate: Any,
    data: ImageData,
    least: float = LEAST_ACCURACY,
    epochs: int = EPOCHS,
) -> str | None:
    """Count a learner's net, look for a shortcut, and train it at the learner's highest rate.

    Prints what came out. On practice data it trains for one epoch, and nothing is judged.
    """
    net = built_net(build_net)
    problem = net_problem(net, MOST_PARAMETERS)
    if problem is not None:
        return problem
    if not has_shortcut(net):
        return (
            "no sum of two different maps, both made of the image, was seen in the net, so there "
            "is no shortcut in it"
        )
    highest = real_number(rate)
    # True is the number 1 to Python, and no rate that anybody has read off a curve.
    if highest is None or highest <= 0 or isinstance(rate, bool):
        return f"the highest rate is a number above 0, not {rate!r}"
    # The recipe of the session's range tests, over fewer epochs and at the learner's rate.
    base = EXPERIMENTS["residual-5"].shortened(epochs)
    recipe = replace(base, name="own", learning_rate=highest)

    def new_net() -> nn.Module:
        return used_net(build_net)

    count = f"{count_parameters(net):,} parameters and a highest rate of {highest:g}"
    return trained_and_judged(new_net, recipe, data, least, count, images="test digits")


def has_shortcut(net: nn.Module) -> bool:
    """Whether two different maps that both depend on the image are added in a net for digits."""
    net = independent_copy(net).eval()
    # Of frozen weights alone nothing asks for a gradient: a map that does was made of the image.
    for weights in net.parameters():
        weights.requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 1, 28, 28, generator=generator).to(device_of(net)).requires_grad_()
    sums = SumsOfMaps()
    # Not the leaf itself, which no net may change in place.
    with torch.random.fork_rng(enabled=image.device.type in ("cpu", "cuda")), sums:
        net(1 * image)
    return sums.found


class SumsOfMaps(TorchFunctionMode):
    """Sees each sum while a net runs; ``found`` as soon as one can be the end of a shortcut."""

    found = False

    def __torch_function__(
        self, function: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        # Methods, functions and operators differ in underscores alone: add, add_, __iadd__. One
        # that works in place changes a term, so that the terms are looked at before.
        if function.__name__.strip("_") in ("add", "iadd", "radd"):
            terms = [*args, *(kwargs or {}).values()]
            self.found = self.found or ends_shortcut(terms)
        return function(*args, **(kwargs or {}))


def ends_shortcut(terms: list[Any]) -> bool:
    """Whether the terms of a sum are two different maps, both made of the image."""
    maps = [term for term in terms if isinstance(term, torch.Tensor) and term.dim() == 4]
    if len(maps) != 2 or not (maps[0].requires_grad and maps[1].requires_grad):
        return False
    return not torch.equal(*maps)
