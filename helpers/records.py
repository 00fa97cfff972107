"""Recorded results: reading and writing ``notebooks/results/NAME.json`` and ``.npz``, judging claims, generated tables."""

from __future__ import annotations

import json
import math
import statistics
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

import torch

from helpers.data import ImageData
from helpers.environment import NOTEBOOKS, CourseError, replacing, runs_root, smoke
from helpers.interpret import Predictions, wilson_interval
from helpers.recipes import EXPERIMENTS, Claim, Recipe
from helpers.training import History


def results_root() -> Path:
    """Where records are kept; the fast profile writes beside its checkpoints, so that it never touches the evidence."""
    return runs_root() / "results" if smoke() else NOTEBOOKS / "results"


@dataclass(frozen=True, eq=False)
class Result:
    """A record (the JSON's dictionary) and its arrays: ``predictions`` [seeds, N], perhaps ``logits`` [seeds, N, classes]."""

    record: dict[str, Any]
    arrays: dict[str, Any]

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.record["name"]

    @property
    def histories(self) -> list[History]:
        """The epochs of every seed."""
        return [History(run["epochs"]) for run in self.record["runs"]]

    @property
    def accuracies(self) -> list[float]:
        """Test accuracy after the last epoch, in percent, a seed each."""
        return [history.last["test_accuracy"] for history in self.histories]

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.record["runs"])

    @property
    def mean(self) -> float:
        """Mean over seeds of the last epoch's test accuracy, in percent."""
        return statistics.fmean(self.accuracies)

    @property
    def std(self) -> float:
        """Sample standard deviation over seeds, in points; NaN for one seed."""
        return statistics.stdev(self.accuracies) if self.n > 1 else math.nan

    @property
    def accuracy(self) -> str:
        """``99.50 ± 0.03 % (n = 5)``."""
        spread = f" ± {self.std:.2f}" if self.n > 1 else ""
        return f"{self.mean:.2f}{spread} % (n = {self.n})"

    @property
    def provenance(self) -> str:
        """When, on what and from which commit the record was made, and the command that makes it again."""
        machine, commit = self.record["environment"], self.record["commit"]
        return (f"recorded {self.record['recorded'][:10]} on {machine['device']} ({machine['device_name']}), torch "
                f"{machine['torch']}, commit {commit[:7]}: {command(self.record)}")

    def of_seed(self, data: ImageData, position: int = 0) -> Predictions:
        """The recorded predictions of one seed on ``data``'s test images. Raises ``CourseError`` where they are others."""
        if data.digest != self.record["data"]["digest"]:
            raise CourseError(f"the record {self.name!r} was made on other test images than {data.name} from {data.source}: "
                              f"get the real data (python -m helpers data), or train anew with COURSE_TRAIN=1")
        if "logits" not in self.arrays:
            raise CourseError(f"the record {self.name!r} keeps predicted classes only, no logits")
        return Predictions(data.test, torch.from_numpy(self.arrays["logits"][position]).float())


def command(record: dict[str, Any]) -> str:
    """The command that writes this record."""
    return f"python -m helpers experiment {record['name']} --seeds {len(record['runs'])}"


def save_result(result: Result, folder: Path | None = None) -> Path:
    """Write the arrays, then the JSON, each under a temporary name that is renamed. Returns the JSON's path."""
    import numpy

    path = (folder or results_root()) / f"{result.name}.json"
    with replacing(path.with_suffix(".npz")) as temporary, open(temporary, "wb") as file:
        numpy.savez_compressed(file, **result.arrays)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(result.record, indent=1) + "\n", encoding="utf-8")
    return path


def load_result(name: str, folder: Path | None = None) -> Result:
    """The recorded result of an experiment. Raises ``CourseError`` where there is none, or one of another recipe."""
    import numpy

    path = (folder or results_root()) / f"{name}.json"
    again = f"python -m helpers experiment {name} --fresh records it anew"
    if not path.exists():
        raise CourseError(f"no recorded result {path.name}: {again.replace(' --fresh', '').replace('anew', 'one')}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        with numpy.load(path.with_suffix(".npz")) as stored:
            arrays = dict(stored)
        recipe = record["recipe"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise CourseError(f"the record {path.name} cannot be read ({type(problem).__name__}): {again}") from None
    if name in EXPERIMENTS and not smoke() and recipe != EXPERIMENTS[name].hyperparameters():
        raise CourseError(f"the record {path.name} is of another recipe than the one in helpers/recipes.py: {again}")
    return Result(record, arrays)


@dataclass(frozen=True)
class Verdict:
    """How many seeds meet a claim."""

    claim: Claim
    passed: int
    n: int
    reasons: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """True where every seed meets the claim."""
        return self.passed == self.n

    def __str__(self) -> str:
        low, high = wilson_interval(self.passed, self.n)
        claim = (f"≤ {self.claim.max_parameters:,} parameters, ≤ {self.claim.max_epochs} epochs, ≥ {self.claim.accuracy} % in "
                 f"each of the last {self.claim.last_epochs} epochs")
        verdict = "HOLDS" if self.holds else "FAILS"
        return "\n".join([f"{verdict}: {claim}: {self.passed} of {self.n} seeds (Wilson 95 %: {low:.0f}–{high:.0f} %)",
                          *self.reasons])


def judge(claim: Claim, result: Result) -> Verdict:
    """Judge ``claim`` seed by seed. Raises ``CourseError`` on practice data, of which nothing is claimed."""
    if result.record["data"]["source"] == "practice":
        raise CourseError(f"{result.name}: claims are not judged on practice data; get the real data first")
    reasons, passed = [], 0
    for run in result.record["runs"]:
        wrong = []
        if result.record["parameters"] > claim.max_parameters:
            wrong.append(f"{result.record['parameters']:,} parameters")
        if len(run["epochs"]) > claim.max_epochs:
            wrong.append(f"{len(run['epochs'])} epochs")
        lowest = min(row["test_accuracy"] for row in run["epochs"][-claim.last_epochs:])
        if lowest < claim.accuracy or len(run["epochs"]) < claim.last_epochs:
            wrong.append(f"{lowest:.2f} % in one of the last {claim.last_epochs} epochs")
        passed += not wrong
        reasons += [f"  seed {run['seed']}: {', '.join(wrong)}"] * bool(wrong)
    return Verdict(claim, passed, result.n, tuple(reasons))


def paired_difference(result: Result, baseline: Result) -> tuple[float, float, float, int]:
    """Mean difference of last-epoch accuracy over equal seeds, in points, its 95 % t interval, and the number of pairs.

    Student, "The probable error of a mean", 1908. Raises ``CourseError`` for fewer than two pairs.
    """
    from scipy.stats import t

    first = dict(zip((run["seed"] for run in result.record["runs"]), result.accuracies))
    second = dict(zip((run["seed"] for run in baseline.record["runs"]), baseline.accuracies))
    differences = [first[seed] - second[seed] for seed in first if seed in second]
    if len(differences) < 2:
        raise CourseError(f"{result.name} and {baseline.name} share {len(differences)} seeds; a comparison takes two or more")
    mean, count = statistics.fmean(differences), len(differences)
    half = float(t.ppf(0.975, count - 1)) * statistics.stdev(differences) / math.sqrt(count)
    return mean, mean - half, mean + half, count


def comparison_table(names: Sequence[str]) -> str:
    """A Markdown table, one change a row: what was changed, parameters, last epoch, difference with its interval, seconds."""
    lines = ["| change | parameters | epochs | last epoch | difference (95 %) | s/epoch |", "|---|---|---|---|---|---|"]
    for name in names:
        result, recipe = load_result(name), EXPERIMENTS[name]
        difference = "–"
        if recipe.baseline:
            mean, low, high, _ = paired_difference(result, load_result(recipe.baseline))
            told = "" if low * high > 0 else ", undecided"
            difference = f"{mean:+.2f} ({low:+.2f} … {high:+.2f}){told}"
        seconds = statistics.median(row["seconds"] for run in result.record["runs"] for row in run["epochs"])
        lines.append(f"| {recipe.title} | {result.record['parameters']:,} | {recipe.epochs} | {result.accuracy} | {difference} "
                     f"| {seconds:.0f} |")
    return "\n".join(lines)


def results_table() -> str:
    """README's Markdown table: every experiment with its last epoch, its claim judged, its machine, commit and command."""
    lines = ["| net and recipe | parameters | epochs | last epoch, mean ± sd | claim | machine, date, commit | command |",
             "|---|---|---|---|---|---|---|"]
    for name, recipe in EXPERIMENTS.items():
        lines.append(_row(recipe, load_result(name)))
    return "\n".join(lines)


def _row(recipe: Recipe, result: Result) -> str:
    told = "–"
    if recipe.claim:
        verdict = judge(recipe.claim, result)
        last = f"last {recipe.claim.last_epochs} epochs" if recipe.claim.last_epochs > 1 else "last epoch"
        told = f"{last} ≥ {recipe.claim.accuracy} %: {verdict.passed} of {verdict.n} seeds"
    machine = result.record["environment"]
    return (f"| {recipe.title} | {result.record['parameters']:,} | {recipe.epochs} | {result.accuracy} | {told} "
            f"| {machine['device']}, {result.record['recorded'][:10]}, {result.record['commit'][:7]} | `{command(result.record)}` |")
