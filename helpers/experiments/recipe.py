"""A recipe, with every hyperparameter of a training, and the claim that it is judged by."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy
import torch
import torch.nn.functional as F
from torch import nn

from helpers import augment, training
from helpers.augment import Compose
from helpers.environment import CourseError
from helpers.experiments.parts import find_part
from helpers.training.averages import moving_average
from helpers.training.schedule import one_cycle

Steps = tuple[tuple[str, dict[str, Any]], ...]

# The fields that say how a result is shown and judged: a training does not depend on them.
NOT_TRAINED = ("title", "claim", "baseline", "headline", "document")

# Records from before recipes had paths name their nets in this way.
OLD_NETS = {
    "first_net": "models.small.first_net",
    "budget_net": "models.small.budget_net",
    "wide_net": "models.small.wide_net",
    "field_net": "models.small.field_net",
    "basic_net": "models.small.basic_net",
    "early_pool_net": "models.small.early_pool_net",
    "compact_net": "models.small.compact_net",
    "PointwiseNet": "models.small.PointwiseNet",
    "SharedNet": "models.small.SharedNet",
    "ResidualNet": "models.residual.ResidualNet",
    "ResNet9": "models.resnet9.ResNet9",
}


@dataclass(frozen=True)
class Claim:
    """At most so many parameters and epochs, and an accuracy in each of the last epochs.

    ``accuracy`` is in percent, and the least that each of the ``last_epochs`` may have.
    """

    max_parameters: int
    max_epochs: int
    accuracy: float
    last_epochs: int = 1

    def __str__(self) -> str:
        # "each of the last 1 epochs" would be no English.
        where = "the last epoch"
        if self.last_epochs > 1:
            where = f"each of the last {self.last_epochs} epochs"
        limits = f"≤ {self.max_parameters:,} parameters, ≤ {self.max_epochs} epochs"
        return f"{limits}, ≥ {self.accuracy} % in {where}"


@dataclass(frozen=True)
class Recipe:
    """A network and everything that its training depends on.

    Some fields can be a *path* inside ``helpers``, such as ``models.small.first_net``: folders,
    file, and the name of a function or class in it. A new net, optimizer or schedule is a file of
    its own, so that this file, and with it the finished epochs of all other recipes, stay as they
    are.
    """

    name: str
    model: str  # the path of the net
    epochs: int
    model_options: dict[str, Any] = field(default_factory=dict)  # arguments of the net

    data: str = "mnist"  # or "cifar10"
    batch_size: int = 128

    # "sgd", "adamw", or the path of a function (model, recipe) that returns an optimizer.
    optimizer: str = "sgd"
    learning_rate: float = 0.1  # the highest of the schedule
    momentum: float = 0.9  # AdamW's first beta, too
    nesterov: bool = True  # for "sgd" alone
    weight_decay: float = 1e-4

    # "one_cycle", "step", "constant", or the path of a function (optimizer, recipe,
    # steps_per_epoch) that returns a scheduler, several of them, or None.
    schedule: str = "one_cycle"
    peak_epoch: float = 4.0  # of "one_cycle": where the rate is highest
    annihilate: bool = True  # of "one_cycle": whether the rate falls to almost nothing
    step_size: int = 6  # of "step": so many epochs …
    gamma: float = 0.1  # … and the rate is multiplied by this

    # Pairs of a transform's name and its arguments: in helpers.augment, or as ``batches`` has it.
    augment: Steps = ()
    label_smoothing: float = 0.0

    # The decay of averaged weights, which are measured in place of the others; 0 for none.
    average: float = 0.0
    decay_all: bool = True  # False: biases and normalisations do not decay

    # Mixed precision, where a device is fast at it, and torch's compiler, for the speed on a GPU.
    mixed: bool = False
    compile: bool = False

    # Four more paths of functions. The first is called as (split, recipe, device, generator), and
    # returns the training batches: a DataLoader, or another iterable of pairs that has a length.
    # The second is called as (model, recipe), and returns what training.fit takes as its average.
    batches: str = ""  # empty: helpers.data.Batches
    average_part: str = ""  # empty: the moving average that ``average`` asks for
    step: str = ""  # takes one training step; empty: training.training_step
    views: str = ""  # wraps the trained net for measuring; empty: none
    options: dict[str, Any] = field(default_factory=dict)  # settings of the recipe's own parts

    # From here on: how the result is shown and judged.
    title: str = ""
    claim: Claim | None = None
    baseline: str = ""  # the name of the recipe that it is compared with
    headline: bool = False  # whether its logits and weights are kept
    document: str = ""  # what the course's source states of it

    def __post_init__(self) -> None:
        """Make NumPy's numbers plain, because a record, which is JSON, holds plain ones alone."""
        for name, value in vars(self).items():
            # The fields of a frozen class are set in this way alone.
            object.__setattr__(self, name, plain(value))

    # What a record keeps of it.

    def hyperparameters(self) -> dict[str, Any]:
        """What a record keeps of the recipe, as JSON has it (lists for tuples)."""
        # To text and back: JSON turns tuples into lists, and equal recipes are to compare as equal.
        fields = asdict(self)
        for name in NOT_TRAINED:
            del fields[name]
        try:
            return json.loads(json.dumps(fields))
        except TypeError as problem:
            raise CourseError(
                f"the recipe {self.name} cannot be recorded ({problem}): give numbers, texts, and "
                "lists or dictionaries of them"
            ) from None

    @classmethod
    def completed(cls, kept: dict[str, Any]) -> dict[str, Any]:
        """What a record kept of its recipe, as a record of today would have it.

        Fields that are newer than the record get their defaults, and an old name becomes a path.
        """
        # What the record says comes last, so that it wins over a default.
        model = OLD_NETS.get(kept["model"], kept["model"])
        defaults = cls(name="", model="", epochs=0).hyperparameters()
        return defaults | kept | {"model": model}

    @classmethod
    def restored(cls, kept: dict[str, Any]) -> Recipe:
        """The recipe that a record kept."""
        fields = cls.completed(kept)
        # JSON has lists where a recipe has tuples.
        fields["augment"] = tuple((name, arguments) for name, arguments in kept["augment"])
        return cls(**fields)

    # How it differs from others.

    def shortened(self, epochs: int) -> Recipe:
        """The same recipe over fewer epochs, its peak moved in proportion."""
        # A recipe that is shorter already stays as it is.
        epochs = min(epochs, self.epochs)
        return replace(self, epochs=epochs, peak_epoch=self.peak_epoch * epochs / self.epochs)

    def trains_as(self, other: Recipe) -> bool:
        """Whether both train the same net step by step, and differ at most in what is measured."""
        return self.trained_part() == other.trained_part()

    def trained_part(self) -> dict[str, Any]:
        """The hyperparameters without the name, and without what is done to measure alone."""
        fields = self.hyperparameters()
        for name in ("name", "average", "average_part", "views"):
            del fields[name]
        # A net with this option looks at mirror images in evaluation mode alone.
        fields["model_options"].pop("mirror", None)
        return fields

    # The parts that a training is made of.

    def part_paths(self) -> list[str]:
        """The paths of the recipe's own parts inside ``helpers``, the net's first."""
        # A path has a dot, and a word such as "sgd" has none.
        fields = [self.model, self.optimizer, self.schedule]
        fields += [self.batches, self.average_part, self.step, self.views]
        return [path for path in fields if "." in path]

    def build_model(self) -> nn.Module:
        """The network, its convolutions in channels-last order: equal numbers, sooner on a CPU."""
        # Channels-last: the numbers of a pixel lie beside each other in memory.
        network = find_part("model", self.model)
        return network(**self.model_options).to(memory_format=torch.channels_last)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The parameters for an optimizer; in two groups where biases and norms do not decay."""
        if self.decay_all:
            return [{"params": list(model.parameters())}]

        # Weights have two or more axes; biases, and what a normalisation learns, have one.
        weights, others = [], []
        for parameter in model.parameters():
            if parameter.dim() > 1:
                weights.append(parameter)
            else:
                others.append(parameter)
        return [{"params": weights}, {"params": others, "weight_decay": 0.0}]

    def build_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Stochastic gradient descent with momentum, AdamW, or the optimizer at the recipe's path.

        Raises ``CourseError`` where there is none of that name.
        """
        if self.optimizer == "sgd":
            return torch.optim.SGD(
                self.parameter_groups(model),
                lr=self.learning_rate,
                momentum=self.momentum,
                nesterov=self.nesterov,
                weight_decay=self.weight_decay,
            )
        if self.optimizer == "adamw":
            return torch.optim.AdamW(
                self.parameter_groups(model),
                lr=self.learning_rate,
                betas=(self.momentum, 0.999),
                weight_decay=self.weight_decay,
            )
        return find_part("optimizer", self.optimizer, ["sgd", "adamw"])(model, self)

    def build_scheduler(self, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Any:
        """The schedule, or several, to be stepped after every batch; None for a constant rate.

        Raises ``CourseError`` where there is none of that name.
        """
        if self.schedule == "constant":
            return None
        if self.schedule == "step":
            steps = self.step_size * steps_per_epoch
            return torch.optim.lr_scheduler.StepLR(optimizer, steps, self.gamma)
        if self.schedule == "one_cycle":
            return one_cycle(
                optimizer,
                self.learning_rate,
                self.epochs,
                steps_per_epoch,
                self.peak_epoch,
                annihilate=self.annihilate,
            )
        schedule = find_part("schedule", self.schedule, ["one_cycle", "step", "constant"])
        return schedule(optimizer, self, steps_per_epoch)

    def build_average(self, model: nn.Module) -> Any:
        """The running average of the weights, measured in their place; None without one."""
        if self.average_part:
            return find_part("average_part", self.average_part)(model, self)
        if self.average:
            return moving_average(model, self.average)
        return None

    def build_augment(self) -> Compose | None:
        """The transform of the training images; None for none."""
        return augment.build(self.augment)

    def build_step(self) -> Callable[..., Any]:
        """The function that takes a training step, for ``training.fit``."""
        if self.step:
            return find_part("step", self.step)
        return training.training_step

    def build_views(self) -> Callable[[nn.Module], nn.Module] | None:
        """The function that wraps the trained net for measuring; None where there is none."""
        if self.views:
            return find_part("views", self.views)
        return None

    def measured(self, net: nn.Module) -> nn.Module:
        """What is measured of a trained net, and used: the net itself, or its views."""
        views = self.build_views()
        if views is None:
            return net
        return views(net)

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, with the recipe's label smoothing."""
        return F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)


def plain(value: Any) -> Any:
    """A value with Python's numbers in the place of NumPy's, also inside of lists and so on."""
    if isinstance(value, numpy.generic):
        return value.item()
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value


def variant(parent: Recipe, name: str, title: str, **changes: Any) -> Recipe:
    """A recipe that differs from its parent in ``changes``, and is compared with it.

    It inherits every hyperparameter. It does not inherit what belongs to the parent's result: its
    claim, the document's figure, being a headline. Its ``baseline`` is the parent unless another is
    among the changes.
    """
    # The parent's title, claim and figures would be wrong of this one.
    own = {"claim": None, "document": "", "headline": False, "baseline": parent.name}
    return replace(parent, name=name, title=title, **(own | changes))
