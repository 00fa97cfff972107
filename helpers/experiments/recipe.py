"""A recipe, with every hyperparameter of a training, and the claim that it is judged by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from helpers import augment, training
from helpers.environment import unknown
from helpers.models import residual, resnet9, small

Steps = tuple[tuple[str, dict[str, Any]], ...]
UNJUDGED = ("title", "claim", "baseline", "headline", "document")


@dataclass(frozen=True)
class Claim:
    """At most so many parameters and epochs, and at least ``accuracy`` percent in each of the ``last_epochs``."""

    max_parameters: int
    max_epochs: int
    accuracy: float
    last_epochs: int = 1

    def __str__(self) -> str:
        where = (
            f"each of the last {self.last_epochs} epochs"
            if self.last_epochs > 1
            else "the last epoch"
        )
        return f"≤ {self.max_parameters:,} parameters, ≤ {self.max_epochs} epochs, ≥ {self.accuracy} % in {where}"


@dataclass(frozen=True)
class Recipe:
    """A network and everything that its training depends on. ``learning_rate`` is the highest of its ``schedule``.

    ``schedule``: ``"one_cycle"`` (``peak_epoch``, ``annihilate``), ``"step"`` (times ``gamma`` every ``step_size``
    epochs) or ``"constant"``. ``augment`` lists (transform, arguments); ``average`` is the decay of averaged weights, 0
    for none; ``decay_all=False`` leaves biases and normalisations without weight decay; ``mixed`` (mixed precision) and
    ``compile`` (torch's compiler) are for the speed on a GPU. The fields from ``title`` on say how the result is told;
    ``baseline`` names the recipe that it is compared with, ``document`` what the course's source states of it.
    """

    name: str
    model: str
    epochs: int
    model_options: dict[str, Any] = field(default_factory=dict)
    data: str = "mnist"
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-4
    schedule: str = "one_cycle"
    peak_epoch: float = 4.0
    annihilate: bool = True
    step_size: int = 6
    gamma: float = 0.1
    augment: Steps = ()
    label_smoothing: float = 0.0
    average: float = 0.0
    decay_all: bool = True
    mixed: bool = False
    compile: bool = False
    title: str = ""
    claim: Claim | None = None
    baseline: str = ""
    headline: bool = False
    document: str = ""

    def hyperparameters(self) -> dict[str, Any]:
        """What a record keeps of the recipe, as JSON has it (lists for tuples)."""
        fields = {name: value for name, value in asdict(self).items() if name not in UNJUDGED}
        return fields | {"augment": [[name, dict(arguments)] for name, arguments in self.augment]}

    @classmethod
    def completed(cls, kept: dict[str, Any]) -> dict[str, Any]:
        """What a record kept of its recipe, with the fields that are newer than the record at their defaults."""
        return cls("", "", 0).hyperparameters() | kept

    @classmethod
    def restored(cls, kept: dict[str, Any]) -> Recipe:
        """The recipe that a record kept."""
        return cls(
            **cls.completed(kept)
            | {"augment": tuple((name, arguments) for name, arguments in kept["augment"])}
        )

    def trains_as(self, other: Recipe) -> bool:
        """Whether both train the same net step by step, and differ at most in what is measured of it."""

        def trained(recipe: Recipe) -> dict[str, Any]:
            options = {
                name: value for name, value in recipe.model_options.items() if name != "mirror"
            }
            return recipe.hyperparameters() | {"name": "", "average": 0.0, "model_options": options}

        return trained(self) == trained(other)

    def shortened(self, epochs: int) -> Recipe:
        """The same recipe over fewer epochs, its peak moved in proportion."""
        epochs = min(epochs, self.epochs)
        return replace(self, epochs=epochs, peak_epoch=self.peak_epoch * epochs / self.epochs)

    def build_model(self) -> nn.Module:
        """The network, its convolutions in channels-last order: the numbers are the same, the CPU is faster."""
        networks = vars(small) | vars(residual) | vars(resnet9)
        if self.model not in networks:
            raise unknown(
                "model", self.model, [name for name in networks if name.lower().endswith("net")]
            )
        return networks[self.model](**self.model_options).to(memory_format=torch.channels_last)

    def build_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Stochastic gradient descent with momentum, Nesterov's unless the recipe says otherwise; or AdamW."""
        groups: Any = model.parameters()
        if not self.decay_all:
            groups = [
                {"params": [each for each in model.parameters() if each.dim() > 1]},
                {
                    "params": [each for each in model.parameters() if each.dim() < 2],
                    "weight_decay": 0.0,
                },
            ]
        if self.optimizer == "adamw":
            return torch.optim.AdamW(
                groups,
                lr=self.learning_rate,
                betas=(self.momentum, 0.999),
                weight_decay=self.weight_decay,
            )
        if self.optimizer != "sgd":
            raise unknown("optimizer", self.optimizer, ["sgd", "adamw"])
        return torch.optim.SGD(
            groups,
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )

    def build_scheduler(self, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Any:
        """The schedule, to be stepped after every batch; None for a constant rate."""
        if self.schedule == "constant":
            return None
        if self.schedule == "step":
            return torch.optim.lr_scheduler.StepLR(
                optimizer, self.step_size * steps_per_epoch, self.gamma
            )
        if self.schedule != "one_cycle":
            raise unknown("schedule", self.schedule, ["one_cycle", "step", "constant"])
        return training.one_cycle(
            optimizer,
            self.learning_rate,
            self.epochs,
            steps_per_epoch,
            self.peak_epoch,
            annihilate=self.annihilate,
        )

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, with the recipe's label smoothing."""
        return F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)

    def build_augment(self) -> augment.Compose | None:
        """The transform of the training images; None for none."""
        return augment.build(self.augment)
