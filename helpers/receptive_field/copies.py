"""Copies of a net, so that a measurement leaves the net itself alone."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from helpers.environment import CourseError
from helpers.models import check_net, independent_copy, without_history

# Hooks of torch's own that make a layer's weight anew before it runs.
WEIGHT_HOOKS = (WeightNorm, SpectralNorm, BasePruningMethod)


def copy_of(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode, without the hooks of others.

    Raises ``CourseError`` for what is no net, for lazy layers, and for what cannot be copied.
    """
    return deep_copy(model, without_history)


def copy_without_values(model: nn.Module) -> nn.Module:
    """The same, of tensors that have a shape and no values: the copy takes no memory.

    Raises ``CourseError`` for what is no net, for lazy layers, and for what cannot be copied.
    """
    return deep_copy(model, without_values)


def check_sizes(model: nn.Module) -> None:
    """Refuse a net whose sizes are not known yet."""
    for tensor in (*model.parameters(), *model.buffers()):
        if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
            raise CourseError(
                "the net has lazy layers without sizes yet: run it on one batch first"
            )


def without_values(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the same shape on the device ``meta``; floating-point ones are float32."""
    # The image is float32, and a layer's weights have to be what its input is.
    dtype = tensor.dtype
    if tensor.is_floating_point():
        dtype = torch.float32
    empty = torch.empty_like(tensor, device="meta", dtype=dtype, requires_grad=False)
    # A module refuses a plain tensor in the place of a parameter.
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, requires_grad=False)
    return empty


def deep_copy(
    model: nn.Module, stand_in: Callable[[torch.Tensor], torch.Tensor | None]
) -> nn.Module:
    """A copy in evaluation mode, without hooks, that has the tensors' stand-ins in their place."""
    check_net(model, "receptive field")
    check_sizes(model)
    net = independent_copy(uncompiled(model), stand_in).eval()
    for module in list(net.modules()):
        remove_hooks(module)
        # Layers can be compiled one by one, and one layer can have several names.
        for name, child in module._modules.items():
            if child is not None:
                module._modules[name] = uncompiled(child)
    return net


def uncompiled(module: nn.Module) -> nn.Module:
    """The module that ``torch.compile`` has wrapped, or the module itself."""
    # Compiled code cannot be followed call by call.
    return getattr(module, "_orig_mod", module)


def remove_hooks(module: nn.Module) -> None:
    """Remove the hooks of others, all but those that make weights."""
    module._forward_hooks.clear()
    module._backward_hooks.clear()
    module._backward_pre_hooks.clear()
    for number, hook in list(module._forward_pre_hooks.items()):
        if not isinstance(hook, WEIGHT_HOOKS):
            del module._forward_pre_hooks[number]


def first_line(problem: Exception) -> str:
    """The kind of an error and the first line of its text, cut at 200 characters."""
    text = f"{type(problem).__name__}: {str(problem).strip()}"
    return text.splitlines()[0][:200]
