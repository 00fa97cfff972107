"""Muon: steps that move a layer's filters equally far in all directions.

The gradient of a layer is a matrix, and a few directions of it are often far larger than all
others. Muon keeps the directions (the singular vectors), and makes all singular values about 1.
Jordan, "Muon: An Optimizer for Hidden Layers in Neural Networks", 2024. ``torch.optim.Muon`` takes
matrices only, and exists since torch 2.9: a test compares this with it where it is there.
"""

from typing import Any

import torch
from torch import nn

from helpers.environment import CourseError, real_number
from helpers.training.groups import parameter_groups, parameters_by_kind

# The polynomial that brings singular values between 0 and 1 close to 1 fastest. (Jordan)
FIRST, THIRD, FIFTH = 3.4445, -4.7750, 2.0315


def orthogonal(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The matrix [rows, columns] with its singular vectors, and singular values of about 1.

    Each step of this Newton-Schulz iteration makes a·s + b·s³ + c·s⁵ of every singular value s: it
    needs only products of matrices, which a GPU calculates in 16 bits. After five steps values that
    were not below a 400th of the matrix's length lie between 0.65 and 1.25.
    """
    x = matrix
    if matrix.is_cuda:
        x = matrix.bfloat16()

    # The products are smaller if the matrix is wide, and not tall.
    tall = len(x) > x.shape[1]
    if tall:
        x = x.T

    # No singular value is larger than the length of all entries together.
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = FIRST * x + (THIRD * gram + FIFTH * gram @ gram) @ x
    if tall:
        x = x.T
    return x.to(matrix.dtype)


class Muon(torch.optim.SGD):
    """Gradient descent with momentum, whose steps are orthogonal in groups with ``muon=True``.

    Those groups hold kernels [out, in, k, k] of convolutions, each as a matrix [out, in · k · k].
    A kernel gets the length √out before each step, so that a rate says by which share of itself it
    moves; a normalisation behind it makes up for its length. They have no weight decay.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make one step; ``closure`` is handed on, and calculates the gradients anew if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()

        # Once a kernel's gradient has been used it is put away, so that SGD leaves it alone.
        for group in self.param_groups:
            if group["muon"]:
                for kernel in group["params"]:
                    if kernel.grad is not None:
                        self.move(kernel, group)
                        kernel.grad = None
        super().step()
        return loss

    def move(self, kernel: torch.Tensor, group: dict[str, Any]) -> None:
        """One step of one kernel."""
        # Nesterov's momentum, as torch's SGD has it.
        state = self.state[kernel]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(kernel)
        buffer = state["momentum_buffer"]
        buffer.mul_(group["momentum"]).add_(kernel.grad)
        direction = kernel.grad + group["momentum"] * buffer

        # The kernel at its length, then a step along the orthogonal matrix.
        kernel.mul_(len(kernel) ** 0.5 / kernel.norm().clamp(min=1e-7))
        update = orthogonal(direction.flatten(1)).view(kernel.shape)
        kernel.add_(update, alpha=-group["lr"])


def build(model: nn.Module, recipe: Any) -> Muon:
    """Muon for the kernels of all convolutions over several channels, SGD for everything else.

    The recipe's options have ``muon_rate`` and ``muon_momentum``, and those of
    ``groups.parameter_groups``. Raises ``CourseError`` for one of Muon's that is not there, or is
    no number of at least 0.
    """
    kernels = parameters_by_kind(model)["kernel"]
    moved_by_muon = set(kernels)

    # The other groups as without Muon; what is left of each.
    groups = []
    for group in parameter_groups(model, recipe):
        group["params"] = [each for each in group["params"] if each not in moved_by_muon]
        group["muon"] = False
        if group["params"]:
            groups.append(group)

    if kernels:
        muon = {
            "params": kernels,
            "lr": option_of(recipe, "muon_rate"),
            "momentum": option_of(recipe, "muon_momentum"),
            "muon": True,
        }
        if "rho" in recipe.options:
            muon["rho"] = recipe.options["rho"]
        groups.append(muon)
    return Muon(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )


def option_of(recipe: Any, name: str) -> float:
    """A number among the recipe's options. Raises ``CourseError`` unless it is at least 0."""
    value = recipe.options.get(name)
    if real_number(value) is None or value < 0:
        raise CourseError(f"muon: the option {name} is a number of at least 0, not {value!r}")
    return value
