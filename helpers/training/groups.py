"""Parameters of a net in groups that are trained with rates and decays of their own."""

from typing import Any

import torch
from torch import nn

Groups = list[dict[str, Any]]


def build(model: nn.Module, recipe: Any) -> torch.optim.SGD:
    """Stochastic gradient descent with momentum, in the groups of ``parameter_groups``."""
    return torch.optim.SGD(
        parameter_groups(model, recipe),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )


def parameter_groups(model: nn.Module, recipe: Any) -> Groups:
    """A net's parameters by kind, with what the recipe's options say of each; none is empty.

    Frozen ones are left out. The options:

    - ``bias_factor``: biases of convolutions and normalisations move so many times faster, and
      decay so many times more slowly, so that each step shrinks them as it shrinks weights;
    - ``depthwise_decay``: the weight decay of filters that see a single channel;
    - ``rho``: how far a sharpness-aware step looks (see ``sam``), noted in every group.

    Without an option a kind is trained as the recipe says (``decay_all``).
    """
    kinds = parameters_by_kind(model)
    options = recipe.options
    no_decay = {"weight_decay": 0.0}
    if recipe.decay_all:
        no_decay = {}

    # The group of the head is the first one: its rate is the one that a history shows.
    groups: Groups = [
        {"params": kinds["linear"] + kinds["kernel"]},
        {"params": kinds["depthwise"]},
        {"params": kinds["scale"] + kinds["linear bias"]} | no_decay,
        {"params": kinds["bias"]} | no_decay,
    ]
    # What the options say of a kind.
    if "depthwise_decay" in options:
        groups[1]["weight_decay"] = options["depthwise_decay"]
    if "bias_factor" in options:
        groups[3]["lr"] = recipe.learning_rate * options["bias_factor"]
        groups[3]["weight_decay"] = recipe.weight_decay / options["bias_factor"]

    # A grouped net's kinds are not all in every net.
    filled = []
    for group in groups:
        if "rho" in options:
            group["rho"] = options["rho"]
        if group["params"]:
            filled.append(group)
    return filled


def parameters_by_kind(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The parameters to be trained, in lists by kind; a kind that the net lacks is an empty list.

    The kinds are ``linear``, ``kernel``, ``depthwise``, ``scale``, ``bias`` and ``linear bias``.
    """
    names = ("linear", "kernel", "depthwise", "scale", "bias", "linear bias")
    kinds: dict[str, list[nn.Parameter]] = {name: [] for name in names}
    for layer in model.modules():
        # Only what the layer holds itself: what its parts hold, they are asked for.
        for name, parameter in layer.named_parameters(recurse=False):
            if parameter.requires_grad:
                kinds[kind_of(layer, name)].append(parameter)
    return kinds


def kind_of(layer: nn.Module, name: str) -> str:
    """The kind of a parameter, from the layer that holds it and its name there."""
    # The last layer is told from the others: what follows it is the loss, and no normalisation.
    if isinstance(layer, nn.Linear):
        if name == "bias":
            return "linear bias"
        return "linear"
    if name == "bias":
        return "bias"
    # Convolutions and normalisations are left, each with its weight.
    if not isinstance(layer, nn.Conv2d):
        return "scale"
    if layer.groups > 1:
        return "depthwise"
    return "kernel"
