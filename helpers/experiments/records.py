"""Recorded results: ``notebooks/results/NAME.json`` and ``.npz`` read and written, claims judged."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from collections.abc import Sequence

from helpers.data import ImageData
from helpers.environment import NOTEBOOKS, ROOT, CourseError, replacing, runs_root, smoke
from helpers.experiments.recipe import Claim, Recipe
from helpers.interpret import Predictions
from helpers.intervals import wilson
from helpers.training import History


def results_root() -> Path:
    """Where records are kept; the fast profile writes beside its checkpoints, so that it never touches the evidence."""
    return runs_root() / "results" if smoke() else NOTEBOOKS / "results"


def is_recorded(name: str) -> bool:
    """Whether ``notebooks/results`` holds a record of that name."""
    return (NOTEBOOKS / "results" / f"{name}.json").exists()


@dataclass(frozen=True, eq=False)
class Result:
    """A record (the JSON's dictionary) and its arrays: ``predictions`` [seeds, N], maybe ``logits`` [seeds, N, 10]."""

    record: dict[str, Any]
    arrays: dict[str, Any]

    @property
    def recipe(self) -> Recipe:
        """The recipe that the record kept."""
        return Recipe.restored(self.record["recipe"])

    @property
    def histories(self) -> list[History]:
        """The epochs of every seed."""
        return [History(run["epochs"]) for run in self.record["runs"]]

    @property
    def accuracies(self) -> dict[int, float]:
        """Test accuracy after the last epoch, in percent, by seed."""
        return {run["seed"]: run["epochs"][-1]["test_accuracy"] for run in self.record["runs"]}

    @property
    def accuracy(self) -> str:
        """Mean and sample standard deviation over n seeds: ``99.50 ± 0.03 % (n = 5)``."""
        values = list(self.accuracies.values())
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.2f}{spread} % (n = {len(values)})"

    @property
    def command(self) -> str:
        """The command that makes this record."""
        return (
            f"python -m helpers experiment {self.record['name']} --seeds {len(self.record['runs'])}"
        )

    @property
    def provenance(self) -> str:
        """When, on what and from which commits (``+``: and changed files) the record and seeds added later were made."""
        made, on = self.record, self.record["environment"]
        commits = [each["commit"] for each in (made, *made["runs"]) if "commit" in each]
        commits = dict.fromkeys(commit[:7] + "+" * commit.endswith("+") for commit in commits)
        return (
            f"recorded {made['recorded'][:10]}, {on['device']} ({on['device_name']}, {on['threads']} "
            f"thread{'s' * (on['threads'] > 1)}), torch {on['torch']}, commit {', '.join(commits)}"
        )

    def predictions(self, data: ImageData, run: int = 0) -> Predictions:
        """The recorded predictions of one run. Raises ``CourseError`` where ``data`` has other test images."""
        if data.digest != self.record["data"]["digest"]:
            raise CourseError(
                f"the record {self.record['name']} belongs to other test images than these ({data.name}, "
                f"{data.source}): fetch them with python -m helpers data, or train with COURSE_TRAIN=1"
            )
        logits = self.arrays["logits"][run] if "logits" in self.arrays else None
        return Predictions(data.test, logits, self.arrays["predictions"][run])

    def judge(self, claim: Claim) -> Verdict:
        """Judge a claim on every run of the record."""
        return judge(
            claim, self.record["parameters"], self.histories, self.record["data"]["source"]
        )

    def save(self) -> None:
        """Write arrays and JSON whole under temporary names, then rename both; remove what killed processes left."""
        import numpy

        path = results_root() / f"{self.record['name']}.json"
        with replacing(path) as text, replacing(path.with_suffix(".npz")) as packed:
            with open(packed, "wb") as file:
                numpy.savez_compressed(file, **self.arrays)
            text.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")
        for left in path.parent.glob(f".{path.stem}.*.tmp"):
            left.unlink(missing_ok=True)


@dataclass(frozen=True)
class Verdict:
    """How many of ``n`` runs meet a claim, and what was wrong with the others; ``judged`` is False on practice data."""

    claim: Claim
    passed: int
    n: int
    reasons: tuple[str, ...]
    judged: bool = True

    def __str__(self) -> str:
        if not self.judged:
            return f"NOT JUDGED (practice data): {self.claim}"
        low, high = wilson(self.passed, self.n)
        counts = f"  {self.passed} of {self.n} runs (Wilson 95 %: {low:.0f} to {high:.0f} %)"
        return "\n".join(
            [
                f"{'HOLDS' if self.passed == self.n else 'FAILS'}: {self.claim}",
                counts,
                *self.reasons,
            ]
        )


def judge(claim: Claim, parameters: int, histories: Sequence[History], source: str = "") -> Verdict:
    """Judge every run of a net with so many ``parameters``. Of practice data (by ``source``) nothing is claimed."""
    reasons, passed = [], 0
    for number, epochs in enumerate(history.epochs for history in histories):
        last = [row["test_accuracy"] for row in epochs[-claim.last_epochs :]]
        lowest = min(
            last, key=lambda value: (value == value, value), default=math.nan
        )  # not a number is lowest of all
        wrong = (
            [f"{parameters:,} parameters"] * (parameters > claim.max_parameters)
            + [f"{len(epochs)} epochs"] * (not claim.last_epochs <= len(epochs) <= claim.max_epochs)
            + [f"{lowest:.2f} %"] * (not lowest >= claim.accuracy)
        )
        passed += not wrong
        reasons += [f"  run {number}: {', '.join(wrong)}"] * bool(wrong)
    return Verdict(claim, passed, len(histories), tuple(reasons), judged=source != "practice")


def commit() -> str:
    """The commit of the code that runs, with ``+`` where ``helpers`` differs from it; ``unknown`` without git."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "-uno", "--", "helpers")
        return (git("rev-parse", "HEAD") or "unknown") + "+" * bool(changed)
    except OSError:
        return "unknown"
