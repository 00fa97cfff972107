"""Checkpoints: the whole state of a training run in one file, so that a killed run goes on as if never stopped."""

from pathlib import Path

import torch
from torch import nn
from torch.amp import GradScaler
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from helpers.environment import CourseError, replacing


class State:
    """Everything a run needs to go on: weights, optimizer, schedule, average, loss scale, history and random states."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: LRScheduler | None,
        average: AveragedModel | None,
        generator: torch.Generator | None,
        scaler: GradScaler | None = None,
    ) -> None:
        self.parts = {
            "model": model,
            "optimizer": optimizer,
            "scheduler": scheduler,
            "average": average,
            "scaler": scaler,
        }
        self.generator = generator

    def save(self, path: Path, epochs: list[dict[str, float]]) -> None:
        """Write the state to ``path`` under a temporary name and rename it."""
        state = {name: part.state_dict() for name, part in self.parts.items() if part is not None}
        random = {
            "torch_random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all(),
        }
        state |= random | {"epochs": epochs}
        if self.generator is not None:
            state["generator"] = self.generator.get_state()
        with replacing(path) as temporary:
            torch.save(state, temporary)

    def load(self, path: Path) -> list[dict[str, float]]:
        """Restore the state from ``path`` and return the finished epochs; none where there is no such file."""
        if not Path(path).exists():
            return []
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            for name, part in self.parts.items():
                if part is not None and state[name] != {}:  # as of a scaler where none was needed
                    part.load_state_dict(state[name])
            torch.set_rng_state(state["torch_random"])
            if self.generator is not None:
                self.generator.set_state(state["generator"])
            torch.cuda.set_rng_state_all(state.get("cuda_random", []))
            return state["epochs"]
        except Exception as problem:  # a damaged pickle can raise anything
            reason = " ".join(f"{type(problem).__name__}: {problem}".split())[:160]
            raise CourseError(
                f"the checkpoint {path} is damaged or of another run ({reason}); delete it, and start "
                "again with a new model"
            ) from None
