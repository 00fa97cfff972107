"""Checkpoints: the whole state of a training run in one file, so that a killed run goes on as if never stopped."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.amp import GradScaler

from helpers.environment import CourseError, replacing
from helpers.randomness import random_states, set_random_states


class State:
    """Everything a run needs to go on: weights, optimizer, schedule, average, loss scale, history and random states."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedulers: list[Any],
        average: Any,
        scaler: GradScaler | None,
        generators: list[torch.Generator],
    ) -> None:
        self.parts = {
            "model": model,
            "optimizer": optimizer,
            "average": average,
            "scaler": scaler,
        }
        for number, scheduler in enumerate(schedulers):
            self.parts[f"scheduler {number}"] = scheduler
        self.generators = generators

    def save(self, path: Path, epochs: list[dict[str, float]]) -> None:
        """Write the state to ``path`` under a temporary name and rename it."""
        state = {name: part.state_dict() for name, part in self.parts.items() if part is not None}
        state |= {"random": random_states(self.generators), "epochs": epochs}
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
            set_random_states(state["random"], self.generators)
            return state["epochs"]
        except Exception as problem:  # a damaged pickle can raise anything
            reason = " ".join(f"{type(problem).__name__}: {problem}".split())[:160]
            raise CourseError(
                f"the checkpoint {path} is damaged or of another run ({reason}); delete it, and start "
                "again with a new model"
            ) from None
