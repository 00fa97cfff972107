"""One small picture for each session, for README's list of sessions."""

import numpy as np
import torch
from matplotlib.axes import Axes

from helpers.data import ImageData, load
from helpers.experiments import load_result
from helpers.models.residual import ResidualNet
from helpers.models.small import budget_net
from helpers.models.speed import SpeedNet
from helpers.plots.fields import plot_receptive_field
from helpers.plots.images import show_images, show_misclassified
from helpers.plots.nets import draw_network
from helpers.plots.residual import draw_residual_net
from helpers.plots.seeds import plot_seeds
from helpers.receptive_field.measured import effective_receptive_field

Drawn = Axes | np.ndarray
DIGIT = (1, 28, 28)

# Some rungs of session 04, from the first to the last.
RUNGS = ("basic", "dropout", "pool", "step", "onecycle", "augment", "average", "fewer")


def thumbnails(mnist: ImageData) -> dict[str, Drawn]:
    """Name to picture, for every session whose data are there."""
    drawn: dict[str, Drawn] = {
        "session_01": show_images(mnist.test, count=8, columns=4),
        "session_02": draw_network(budget_net(), DIGIT),
        "session_03": field(),
        "session_04": rungs(),
        "session_05": show_misclassified(load_result("ladder-fewer").predictions(mnist), count=6),
        "session_06": draw_residual_net(ResidualNet()),
        "session_08": draw_network(SpeedNet(), (3, 32, 32)),
    }
    # Practice data are no CIFAR-10: then the picture that is there stays.
    cifar = load("cifar10", validation=0)
    if cifar.source != "practice":
        drawn["session_07"] = show_images(cifar.test, count=8, columns=4)
    return drawn


def field() -> Drawn:
    """What one position of session 02's net sees, measured by gradient."""
    torch.manual_seed(0)
    noise = torch.randn(16, *DIGIT)
    return plot_receptive_field(effective_receptive_field(budget_net(), DIGIT, noise))


def rungs() -> Drawn:
    """The ladder of session 04, a dot for each training."""
    rows = {}
    for name in RUNGS:
        rows[name] = load_result(f"ladder-{name}").accuracies
    return plot_seeds(rows, target=99.4)
