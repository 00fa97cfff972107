"""One net trained by several processes, each with its part of every batch.

``torchrun --standalone --nproc-per-node N -m helpers experiment NAME`` starts N processes, and
torch's ``DistributedDataParallel`` takes the mean of their gradients in every step. That mean is
the gradient of the whole batch, so recipe, batch size and rates stay as they are.

**Who sees what.** Every process makes the same whole batches, from the same seed: their order and
augmentation are, number for number, those of a single process. Of each batch, process r trains with
images r, r + N, r + 2N …, so that every image is seen once. To augment a batch N times costs far
less than to train with it, and a part alone could not be augmented with the numbers of the whole.
Dropout draws for each part on its own, from numbers that seed, epoch and process determine.

**Batch normalisation.** Each process knows the mean and the variance of its own part alone, as if
the batch had been split in N by ghost batch normalisation (``models.ghost_norm``), which assigns
images to parts in the same way. A net that has P ghosts already gets P / N in each process, and at
least one: where N divides P, it is trained as in a single process. Running statistics move by a
fixed share towards those of a part, so the mean of N processes' statistics is what moving by the
mean over the parts would give; it is taken once an epoch, before the net is measured. With
``synchronised`` norms (torch's SyncBatchNorm, for GPUs alone) all processes share the statistics of
the whole batch instead.

Li and others, "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", 2020.
"""

import contextlib
import hashlib
import inspect
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from helpers.environment import CourseError
from helpers.models import device_of
from helpers.models.ghost_norm import GhostBatchNorm2d
from helpers.models.whitening import WhitenedConv
from helpers.training import Loss, Step, evaluate
from helpers.training.connections import lost_connections


@dataclass(frozen=True)
class Team:
    """The processes that train a net together, as one of them sees it.

    - ``rank``: the number of this process; process 0 leads, prints, measures and writes;
    - ``size``: how many they are;
    - ``store``: a table of short texts that all of them can reach;
    - ``synchronised``: whether batch normalisations use the statistics of the whole batch.
    """

    rank: int
    size: int
    store: Any
    synchronised: bool = False

    @property
    def leads(self) -> bool:
        """Whether this is the process that prints, measures and writes."""
        return self.rank == 0

    def facts(self) -> dict[str, Any]:
        """What a record says of the team, and its numbers depend on."""
        return {"processes": self.size, "synchronised": self.synchronised}

    def from_leader(self, value: Any = None) -> Any:
        """What the leader gives here, in all processes; the others wait for it."""
        # torch fills the list of every process but the leader's.
        box = [value]
        with lost_connections():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def first_to(self, name: str, unreachable: bool = True) -> bool:
        """Whether this process is the first that asks for ``name``.

        ``unreachable`` is the answer where the table is gone. Each start of the processes is asked
        anew.
        """
        # The count of a table is raised by one process after the other.
        start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        try:
            return self.store.add(f"{name} {start}", 1) == 1
        except RuntimeError:
            return unreachable

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of the processes' tensors, in all of them, to the same bits."""
        with lost_connections():
            dist.all_reduce(values)
        return values / self.size

    def gathered(self, values: torch.Tensor) -> torch.Tensor:
        """The processes' tensors [...], all of one shape, as [size, ...]."""
        places = [torch.empty_like(values) for _ in range(self.size)]
        with lost_connections():
            dist.all_gather(places, values)
        return torch.stack(places)

    def prepare(self, model: nn.Module) -> nn.Module:
        """A net whose normalisations know that they see a part of the batch; it may be a new one.

        Raises ``CourseError`` where they cannot be synchronised.
        """
        # Ghost norms are told apart from others, which have one part.
        ghosts = []
        for layer in model.modules():
            if isinstance(layer, GhostBatchNorm2d):
                ghosts.append(layer)
        if not self.synchronised:
            # Image i is in part i modulo P, and here are the images of every N-th part.
            for layer in ghosts:
                layer.parts = max(1, layer.parts // self.size)
            return model

        if ghosts:
            raise CourseError(
                "--sync-norms normalises the whole batch, and this net parts of it: leave it away"
            )
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)

    def together(
        self, model: nn.Module, step: Step, average: Any, batch_size: int, images: int
    ) -> dict[str, Any]:
        """How ``training.fit`` takes a step, measures and writes in this process.

        ``images`` are trained with in batches of ``batch_size``. Raises ``CourseError`` where
        batches cannot be shared out.
        """
        check_batches(self.size, batch_size, images)
        # Whatever has running statistics of its own.
        followed = [model]
        if average is not None:
            followed.append(average.module)

        def measure(net: nn.Module, batches: Iterable) -> tuple[float, float]:
            """Loss and accuracy, which the leader measures and all are told."""
            average_statistics(self, followed)
            found = None
            if self.leads:
                found = evaluate(net, batches)
            return self.from_leader(found)

        return {"step": SharedStep(self, model, step), "measure": measure, "writes": self.leads}


def check_batches(processes: int, batch_size: int, images: int) -> None:
    """Raise ``CourseError`` unless each process has an equally large part of every full batch.

    The last batch may be smaller, and its parts differ by an image.
    """
    # The last batch is what is left, where anything is.
    smallest = min(batch_size, images)
    if batch_size < images:
        smallest = images % batch_size or batch_size
    if processes > smallest:
        raise CourseError(
            f"{processes} processes cannot share a batch of {smallest} images: give at most "
            f"--nproc-per-node {smallest}"
        )
    # Parts of different sizes would be weighed rightly, but processes would wait for each other.
    if batch_size % processes:
        fitting = [str(n) for n in range(1, processes) if batch_size % n == 0]
        raise CourseError(
            f"{processes} processes cannot share batches of {batch_size} images evenly: give "
            f"--nproc-per-node {fitting[-1]}"
        )


class SharedStep:
    """Takes a training step with this process's part of a batch, as ``training_step`` does.

    It is given the whole batch, and returns the loss [] and the logits [B, classes] of the whole:
    all processes count the same, and notice a loss that is no number in the same step.
    """

    def __init__(self, team: Team, model: nn.Module, step: Step) -> None:
        self.team = team
        self.step = step
        self.random = torch.get_rng_state()  # until an epoch is announced

        # It shares all weights with the model, and takes the mean of their gradients while they
        # are calculated. Running statistics are the processes' own until they are averaged.
        device = device_of(model)
        devices = None
        if device.type == "cuda":
            devices = [device]
        kind = nn.parallel.DistributedDataParallel
        option = "broadcast_buffers"
        if "forward_sync_buffers" in inspect.signature(kind).parameters:
            option = "forward_sync_buffers"  # its name since torch 2.13
        options: dict[str, Any] = {option: False}
        with lost_connections():
            self.shared = kind(model, device_ids=devices, **options)

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, counted from 0, with random numbers that are this process's own."""
        # On several machines each might have found another checkpoint, or none.
        epochs = self.team.gathered(torch.tensor(epoch))
        if (epochs != epoch).any():
            raise CourseError(
                "the processes go on from different epochs: COURSE_RUNS has to be the same folder "
                "for all of them"
            )

        # No state has to be kept of them: a run that goes on finds its numbers in the same way.
        text = f"{torch.initial_seed()} {epoch} {self.team.rank}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
        self.random = torch.Generator().manual_seed(seed).get_state()
        # On a GPU nothing is drawn beside the net.
        if torch.cuda.is_available():
            torch.cuda.manual_seed(seed)

    def __call__(
        self,
        model: nn.Module,
        images: torch.Tensor,
        targets: torch.Tensor,
        optimizer: Optimizer,
        loss_fn: Loss,
        scaler: GradScaler | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # A loader of an own kind may hand out batches of any size.
        rank, size = self.team.rank, self.team.size
        count = len(images)
        if count < size:
            raise CourseError(
                f"{size} processes cannot share a batch of {count} images: give at most "
                f"--nproc-per-node {count}"
            )
        make_filters(model, images)

        # DistributedDataParallel weighs all processes equally; a last batch may not split evenly.
        mine = images[rank::size]
        weight = len(mine) * size / count

        def weighted(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            """The mean loss of this part, by its share of the batch."""
            return loss_fn(logits, targets) * weight

        # The step that a single process takes, which here waits for the gradients of the others.
        with self.own_random_numbers(), lost_connections():
            loss, logits = self.step(
                self.shared, mine, targets[rank::size], optimizer, weighted, scaler
            )
        whole = self.whole(logits.detach().float(), count)
        return self.team.mean(loss.detach().clone()), whole

    @contextlib.contextmanager
    def own_random_numbers(self) -> Iterator[None]:
        """Draw from this process's own numbers in this block, and from those of all outside it."""
        everybodys = torch.get_rng_state()
        torch.set_rng_state(self.random)
        try:
            yield
        finally:
            self.random = torch.get_rng_state()
            torch.set_rng_state(everybodys)

    def whole(self, logits: torch.Tensor, count: int) -> torch.Tensor:
        """The logits [count, classes] of all parts, in the order of the batch."""
        # Parts that lack an image at their end are filled up, because all have to have one shape.
        size = self.team.size
        lacking = -(-count // size) - len(logits)
        logits = nn.functional.pad(logits, (0, 0, 0, lacking))
        parts = self.team.gathered(logits)  # [size, images, classes]
        return parts.transpose(0, 1).flatten(0, 1)[:count]


def make_filters(model: nn.Module, images: torch.Tensor) -> None:
    """Let layers that are made from the first batch see all of it, as in a single process."""
    for layer in model.modules():
        if not isinstance(layer, WhitenedConv) or layer.known_to_be_made:
            continue
        if not layer.made:
            layer.make(images)
        # They are not trained, so nothing else would make up for a last digit that differs.
        with lost_connections():
            dist.broadcast(layer.weight.data, src=0)
        layer.known_to_be_made = True


@torch.no_grad()
def average_statistics(team: Team, models: Iterable[nn.Module]) -> None:
    """Give all processes the mean of their running means and variances."""
    # Other buffers are equal in all of them, and stay.
    statistics = []
    for model in models:
        for layer in model.modules():
            for name in ("running_mean", "running_var"):
                values = getattr(layer, name, None)
                if isinstance(values, torch.Tensor):
                    statistics.append(values)
    if not statistics:
        return

    # One long vector: to send many short ones takes longer.
    means = team.mean(torch.cat([values.flatten() for values in statistics]))
    lengths = [values.numel() for values in statistics]
    for values, mean in zip(statistics, means.split(lengths)):
        values.copy_(mean.view_as(values))
