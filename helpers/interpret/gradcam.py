"""Grad-CAM: where in an image a class gets its logit from, by the gradient at a layer's maps.

Selvaraju and others, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", 2017.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from helpers.data.checks import is_whole
from helpers.environment import CourseError
from helpers.interpret import check_classes, check_images
from helpers.models import check_net, device_of, evaluating, kind_of
from helpers.training.checks import check_logits, explained

ORANGE = (255.0, 120.0, 0.0)
STRENGTH = 0.75  # share of the colour where a map is highest


def grad_cam(
    model: nn.Module, layer: nn.Module, images: torch.Tensor, classes: Sequence[int] | torch.Tensor
) -> torch.Tensor:
    """A map for each image: what of its class's logit came from where, [N, rows, columns].

    layer: a part of the model that gives maps [N, C, rows, columns]; the last convolution's block,
        as a rule
    images: [N, C, H, W], normalised as the net wants them
    classes: for each image the class that is asked about, int64 [N]

    The weight of a map is the mean of the logit's gradient over its places; the weighted sum of all
    maps is kept where it is positive. Values are not scaled, and lie on the CPU. The model's modes
    and gradients stay as they were. Raises ``CourseError`` for what is no net, no layer or no
    images, where the layer gives no maps, where the net does not take the images or gives no
    logits, and for classes that are no whole numbers, are not one each, or that it does not have.
    """
    check_net(model, "grad_cam")
    if not isinstance(layer, nn.Module):
        raise CourseError(f"grad_cam: give a layer, such as net.layer3, not {kind_of(layer)}")
    check_images("grad_cam", images)
    device = device_of(model)
    asked = one_class_each(classes, len(images)).to(device)
    seen: list[Any] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> Any:
        """Hand the maps out as the layer gives them; the net goes on with a copy of them."""
        seen.append(output)
        # A ReLU behind the layer may write into what it gets.
        if isinstance(output, torch.Tensor):
            return output.clone()
        return output

    handle = layer.register_forward_hook(keep)
    try:
        with evaluating(model), torch.enable_grad():
            # Images that want a gradient, so that a net of frozen weights has one too.
            with explained(images):
                logits = model(images.to(device).detach().requires_grad_())
            maps = the_maps(seen, len(images))
            check_logits(logits, asked)
            check_classes("grad_cam", asked, logits)
            # Images do not meet in evaluation mode: the sum has every image's own gradient.
            chosen = logits.gather(1, asked[:, None]).sum()
            [gradient] = torch.autograd.grad(chosen, maps)
    finally:
        handle.remove()
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * maps).sum(1).relu().detach().cpu()


def one_class_each(classes: Any, count: int) -> torch.Tensor:
    """The classes that are asked about, int64 [N], one for each of ``count`` images."""
    wanted = f"give a whole number for each of the {count} images"
    try:
        asked = torch.as_tensor(classes)
    except (TypeError, ValueError, RuntimeError):
        raise CourseError(f"grad_cam: the classes are {kind_of(classes)}: {wanted}") from None
    # A fraction would be cut off; an empty list has no type.
    if asked.dim() != 1 or not (is_whole(asked.dtype) or len(asked) == 0):
        kind = str(asked.dtype).removeprefix("torch.")
        raise CourseError(f"grad_cam: the classes are {kind} {list(asked.shape)}: {wanted}")
    if len(asked) != count:
        raise CourseError(f"grad_cam: {len(asked)} classes for {count} images: give one each")
    return asked.long()


def the_maps(seen: Sequence[Any], count: int) -> torch.Tensor:
    """The maps that a layer gave, once, for ``count`` images; ``CourseError`` for anything else."""
    once = len(seen) == 1 and isinstance(seen[0], torch.Tensor)
    if not once or seen[0].dim() != 4 or len(seen[0]) != count:
        raise CourseError(
            "grad_cam: the layer has to be used once by the net, and to give maps [N, C, H, W] of "
            "its N images: give the block of a convolution, such as net.layer3"
        )
    return seen[0]


def coloured(images: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Images, uint8 [N, C, H, W], in grey, and orange where their map [N, rows, columns] is high.

    The result has three channels. Each map is stretched to the image, and scaled by its own highest
    value: maps of different images cannot be compared. A map of zeros leaves a grey image.
    """
    size = images.shape[-2:]
    heat = F.interpolate(maps[:, None].float(), size, mode="bilinear", align_corners=False)
    highest = heat.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    share = STRENGTH * heat / highest

    # Grey keeps the form of things, so that the colour alone speaks of the map.
    grey = images.float().cpu().mean(1, keepdim=True)
    color = torch.tensor(ORANGE).view(1, 3, 1, 1)
    return ((1 - share) * grey + share * color).round().clamp(0, 255).byte()
