"""What is trained: frozen recipes with every hyperparameter, and the claims they are judged by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from helpers import augment, models, training
from helpers.environment import smoke, unknown

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
        where = f"each of the last {self.last_epochs} epochs" if self.last_epochs > 1 else "the last epoch"
        return f"≤ {self.max_parameters:,} parameters, ≤ {self.max_epochs} epochs, ≥ {self.accuracy} % in {where}"


@dataclass(frozen=True)
class Recipe:
    """A network and everything that its training depends on. ``learning_rate`` is the highest of its ``schedule``.

    ``schedule``: ``"one_cycle"`` (``peak_epoch``, ``annihilate``), ``"step"`` (times ``gamma`` every ``step_size``
    epochs) or ``"constant"``. ``augment`` lists (transform, arguments); ``average`` is the decay of averaged weights, 0
    for none. The fields from ``title`` on say how the result is told; ``baseline`` names the recipe that it is compared
    with, ``document`` what the course's source states of it.
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

    def shortened(self, epochs: int) -> Recipe:
        """The same recipe over fewer epochs, its peak moved in proportion."""
        epochs = min(epochs, self.epochs)
        return replace(self, epochs=epochs, peak_epoch=self.peak_epoch * epochs / self.epochs)

    def build_model(self) -> nn.Module:
        """The network, its convolutions in channels-last order: the numbers are the same, the CPU is faster."""
        if not hasattr(models, self.model):
            raise unknown("model", self.model, [name for name in vars(models) if name.lower().endswith("net")])
        return getattr(models, self.model)(**self.model_options).to(memory_format=torch.channels_last)

    def build_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Stochastic gradient descent with momentum, Nesterov's unless the recipe says otherwise; or AdamW."""
        if self.optimizer == "adamw":
            return torch.optim.AdamW(model.parameters(), lr=self.learning_rate, betas=(self.momentum, 0.999),
                                     weight_decay=self.weight_decay)
        if self.optimizer != "sgd":
            raise unknown("optimizer", self.optimizer, ["sgd", "adamw"])
        return torch.optim.SGD(model.parameters(), lr=self.learning_rate, momentum=self.momentum,
                               nesterov=self.nesterov, weight_decay=self.weight_decay)

    def build_scheduler(self, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Any:
        """The schedule, to be stepped after every batch; None for a constant rate."""
        if self.schedule == "constant":
            return None
        if self.schedule == "step":
            return torch.optim.lr_scheduler.StepLR(optimizer, self.step_size * steps_per_epoch, self.gamma)
        if self.schedule != "one_cycle":
            raise unknown("schedule", self.schedule, ["one_cycle", "step", "constant"])
        return training.one_cycle(optimizer, self.learning_rate, self.epochs, steps_per_epoch, self.peak_epoch,
                                  annihilate=self.annihilate)

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy, with the recipe's label smoothing."""
        return F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)

    def build_augment(self) -> augment.Compose | None:
        """The transform of the training images; None for none."""
        return augment.build(self.augment)


def affine(degrees: float, shift: float, scale: float, shear: float = 0.0) -> Steps:
    """The one augmentation step of the small nets: largest rotation, shift, change of scale and shear."""
    return (("RandomAffine", {"degrees": degrees, "translate": [shift, shift], "scale": [1 - scale, 1 + scale],
                              "shear": shear}),)


BUDGET = Recipe("budget", "budget_net", epochs=19, peak_epoch=4, augment=affine(8, 0.08, 0.08, 5), weight_decay=5e-4,
                average=0.999, claim=Claim(19_999, 19, 99.4, last_epochs=5), headline=True,
                title="document 001's net: augmentation, one-cycle, averaged weights")
SHORT = Recipe("budget-5", "budget_net", epochs=5, peak_epoch=1.5,
               title="document 001's net, five epochs, no augmentation")

FIRST = Recipe("first", "first_net", epochs=3, peak_epoch=1, weight_decay=0.0, claim=Claim(10_000, 3, 98.0),
               title="session 01's first net: four convolutions, three epochs")

FIELDS = {11: (), 16: (3,), 24: (2, 4), 34: (1, 2), 54: (1, 2, 3)}  # receptive field in pixels: where field_net pools
LADDER = Recipe("ladder-basic", "basic_net", epochs=15, batch_size=64, learning_rate=0.01, nesterov=False, peak_epoch=3,
                weight_decay=0.0, schedule="constant", claim=Claim(7_999, 15, 99.4, last_epochs=5),
                document="99.25 % (best epoch)", title="basic: three convolutions before the pooling, three after it")
DROPOUT = replace(LADDER, name="ladder-dropout", model_options={"dropout": 0.05}, baseline="ladder-basic",
                  document="99.29 % (best epoch)", title="dropout of 0.05 after every convolution")
EARLY = replace(DROPOUT, name="ladder-pool", model="early_pool_net", baseline="ladder-dropout",
                document="99.35 % (best epoch)", title="pooling and 1×1 convolutions moved to a field of 5×5")
STEPPED = replace(EARLY, name="ladder-step", schedule="step", gamma=0.3, learning_rate=0.03, baseline="ladder-pool",
                  document="99.43 % (best epoch)", title="StepLR: the rate times 0.3 every six epochs")
CYCLED = replace(EARLY, name="ladder-onecycle", schedule="one_cycle", learning_rate=0.1, baseline="ladder-step",
                 document="", title="the one-cycle schedule instead of StepLR")
MOVED = replace(CYCLED, name="ladder-augment", augment=affine(8, 0.08, 0.08, 5), baseline="ladder-onecycle",
                document="99.50 % (best epoch)", title="augmentation: rotation, shift, scale and shear")
AVERAGED = replace(MOVED, name="ladder-average", model_options={}, optimizer="adamw", learning_rate=0.01,
                   weight_decay=0.01, average=0.999, baseline="ladder-augment", document="",
                   title="our recipe: AdamW, averaged weights, no dropout")
FEWER = replace(AVERAGED, name="ladder-fewer", model="compact_net", headline=True, baseline="ladder-average",
                document="99.45 % (best epoch)", title="fewer parameters: document 003's final net")
UNMOVED = replace(FEWER, name="ladder-fewer-unmoved", augment=(), baseline="ladder-fewer", headline=False, document="",
                  title="the final net without augmentation")
SMALL = replace(AVERAGED, name="small", model="budget_net", model_options={"widths": [4, 4, 6, 8, 8, 10, 9]},
                claim=Claim(3_999, 15, 99.4, last_epochs=5), baseline="",
                title="document 001's net with fewer channels")
TINY = replace(SMALL, name="tiny", model_options={"widths": [4] * 7}, claim=None, title="four channels everywhere")
BEST = replace(BUDGET, name="ladder-best", epochs=15, peak_epoch=3, model_options={"widths": [4, 4, 8, 10, 10, 16, 18]},
               claim=LADDER.claim, headline=False, title="document 001's net and recipe, below 8,000 parameters")
LARGE = replace(BUDGET, name="large", epochs=20, model_options={"widths": [8, 8, 16, 16, 16, 24, 24]}, headline=False,
                claim=Claim(19_999, 20, 99.6), title="document 001's net with more channels")
POINTWISE = replace(LADDER, name="pointwise-document", model="PointwiseNet", batch_size=128,
                    augment=augment.DOCUMENT_004, document="99.42 % (last epoch of one run)",
                    title="document 004's net and recipe: a constant rate")
POINTWISE_STEP = replace(POINTWISE, name="pointwise-step", schedule="step", baseline="pointwise-document", document="",
                         title="with the step() that document 004 left commented out")
POINTWISE_OURS = replace(AVERAGED, name="pointwise", model="PointwiseNet", model_options={"dropout": 0.0},
                         baseline="pointwise-document", title="document 004's net, our recipe")

EXPERIMENTS: dict[str, Recipe] = {recipe.name: recipe for recipe in (
    FIRST,
    replace(FIRST, name="first-fast", learning_rate=0.2, claim=None, baseline="first",
            title="twice the learning rate"),
    replace(FIRST, name="first-slow", learning_rate=0.001, claim=None, baseline="first",
            title="a hundredth of the learning rate"),
    replace(FIRST, name="first-one-epoch", epochs=1, peak_epoch=1 / 3, claim=None, baseline="first",
            title="one epoch instead of three"),
    BUDGET,
    SHORT,
    replace(SHORT, name="budget-5-wide", model="wide_net", baseline="budget-5",
            title="four wide convolutions instead of eight narrow ones"),
    replace(SHORT, name="budget-5-no-norm", model_options={"batch_norm": False}, learning_rate=0.01,
            baseline="budget-5", title="without batch normalisation, at its own best rate"),
    replace(SHORT, name="budget-5-constant", schedule="constant", baseline="budget-5",
            title="a constant learning rate"),
    *(replace(SHORT, name=f"field-{pixels}", model="field_net", model_options={"pools": list(pools)},
              baseline="field-11" if pools else "", claim=Claim(4_999, 5, 99.0) if pixels == 34 else None,
              title=f"sees {pixels} pixels: pools after {' and '.join(map(str, pools)) or 'none'} of five convolutions")
      for pixels, pools in FIELDS.items()),
    LADDER, DROPOUT, EARLY, STEPPED, CYCLED, MOVED, AVERAGED, FEWER, UNMOVED, BEST, SMALL, TINY, LARGE,
    POINTWISE, POINTWISE_STEP, POINTWISE_OURS,
)}


def find(name: str) -> Recipe:
    """The recipe of that name, cut to two epochs in the smoke profile. Raises ``CourseError`` naming the near ones."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name].shortened(2) if smoke() else EXPERIMENTS[name]
