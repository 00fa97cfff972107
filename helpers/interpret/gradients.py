"""How large the gradient is on its way back through a net: at the maps behind each convolution."""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from helpers.environment import CourseError
from helpers.interpret import check_images
from helpers.models import check_net, device_of, independent_copy
from helpers.training.checks import check_logits, explained, unpack


def map_gradients(
    model: nn.Module, images: torch.Tensor, targets: torch.Tensor
) -> list[tuple[str, float]]:
    """The name of each convolution and the size of the gradient at its maps, from the image on.

    images: [N, C, H, W], normalised as the net wants them
    targets: their classes, int64 [N]

    The gradient is that of the mean cross-entropy with respect to what a convolution gives out,
    [N, channels, rows, columns]; its size is the root of the sum of its squares for each image, and
    then the mean over the images. (The gradient of a layer's weights is something else: it is a sum
    over all places of the maps, and grows with the number of weights.)

    A copy of the net runs, in the mode that the net is in; the net itself, its running statistics
    and its gradients stay as they were, and so does the random state. Raises ``CourseError`` for
    what is no net, one without a convolution or that gives no logits, images that it does not take,
    such as those of a split, and targets that are no class numbers of it.
    """
    check_net(model, "map_gradients")
    check_images("map_gradients", images)
    net = independent_copy(model)
    device = device_of(net)
    names: list[str] = []
    maps: list[torch.Tensor] = []
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(keeper(name, names, maps))

    # With a gradient, also where all weights are frozen. Dropout draws random numbers in training.
    images, targets = unpack((images, targets), device)
    random_apart = torch.random.fork_rng(enabled=device.type in ("cpu", "cuda"))
    with torch.enable_grad(), random_apart, explained(images):
        logits = net(images.detach().requires_grad_())
        check_logits(logits, targets)
        loss = cross_entropy(logits, targets)
    if not maps:
        raise CourseError("map_gradients: the net has no convolution, and so no maps to look at")
    # A convolution whose maps reach no logit has a gradient of zeros.
    gradients = torch.autograd.grad(loss, maps, allow_unused=True, materialize_grads=True)
    sizes = [gradient.flatten(1).norm(dim=1).mean().item() for gradient in gradients]
    return list(zip(names, sizes))


def keeper(name: str, names: list[str], maps: list[torch.Tensor]) -> Any:
    """A hook that keeps what a layer gives out, under its name, and lets a copy of it go on."""

    def keep(layer: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        names.append(name)
        maps.append(output)
        # The net goes on with a copy: a ReLU behind the layer may write into what it gets.
        return output.clone()

    return keep
