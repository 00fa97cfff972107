"""Recorded results: ``notebooks/results/NAME.json`` and ``.npz`` read and written, claims judged, tables generated."""

from __future__ import annotations

import json
import math
import statistics
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from helpers.data import ImageData
from helpers.environment import NOTEBOOKS, ROOT, CourseError, replacing, runs_root, smoke
from helpers.interpret import Predictions, wilson_interval
from helpers.recipes import EXPERIMENTS, Claim, Recipe
from helpers.training import History

START, END = "<!-- results -->", "<!-- /results -->"


def results_root() -> Path:
    """Where records are kept; the fast profile writes beside its checkpoints, so that it never touches the evidence."""
    return runs_root() / "results" if smoke() else NOTEBOOKS / "results"


@dataclass(frozen=True, eq=False)
class Result:
    """A record (the JSON's dictionary) and its arrays: ``predictions`` [seeds, N], perhaps ``logits`` [seeds, N, classes]."""

    record: dict[str, Any]
    arrays: dict[str, Any]

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
        return f"python -m helpers experiment {self.record['name']} --seeds {len(self.record['runs'])}"

    @property
    def provenance(self) -> str:
        """When, on what and from which commit the record was made."""
        machine = self.record["environment"]
        return (f"recorded {self.record['recorded'][:10]}, {machine['device']} ({machine['device_name']}, {machine['threads']} "
                f"threads), torch {machine['torch']}, commit {self.record['commit'][:7]}")

    def predictions(self, data: ImageData, run: int = 0) -> Predictions:
        """The recorded predictions of one run. Raises ``CourseError`` where ``data`` has other test images."""
        if data.digest != self.record["data"]["digest"]:
            raise CourseError(f"the record {self.record['name']} belongs to other test images than these ({data.name}, "
                              f"{data.source}): fetch the real ones with python -m helpers data, or train with COURSE_TRAIN=1")
        if "logits" in self.arrays:
            return Predictions(data.test, self.arrays["logits"][run])
        return Predictions.from_classes(data.test, self.arrays["predictions"][run])

    def judge(self, claim: Claim) -> Verdict:
        """Judge a claim on every run of the record."""
        return judge(claim, self.record["parameters"], self.histories, self.record["data"]["source"])

    def save(self) -> None:
        """Write the arrays, then the JSON, each under a temporary name that is renamed."""
        import numpy

        path = results_root() / f"{self.record['name']}.json"
        with replacing(path.with_suffix(".npz")) as temporary, open(temporary, "wb") as file:
            numpy.savez_compressed(file, **self.arrays)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")


def load_result(name: str, folder: Path | None = None, recipe: Recipe | None = None) -> Result:
    """The record of an experiment, from ``notebooks/results`` unless a folder is given.

    Raises ``CourseError`` where there is none, a damaged one, or one of another recipe than the named (or given) one.
    """
    import numpy

    recipe, path = recipe or EXPERIMENTS.get(name), (folder or NOTEBOOKS / "results") / f"{name}.json"
    command = f"python -m helpers experiment {name}"
    if not path.exists():
        raise CourseError(f"{path.name} is not recorded yet: {command}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        with numpy.load(path.with_suffix(".npz")) as stored:
            result = Result(record, dict(stored))
        same = recipe is None or record["recipe"] == recipe.hyperparameters()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise CourseError(f"the record {path.name} is damaged ({type(problem).__name__}): {command} --fresh") from None
    if not same:
        raise CourseError(f"the record {path.name} is of another recipe than helpers/recipes.py has now: {command} --fresh")
    return result


@dataclass(frozen=True)
class Verdict:
    """How many of ``n`` runs meet a claim, and what was wrong with the others; ``judged`` is False on practice data."""

    claim: Claim
    passed: int
    n: int
    reasons: tuple[str, ...]
    judged: bool = True

    def __str__(self) -> str:
        claim, (low, high) = self.claim, wilson_interval(self.passed, self.n)
        where = f"each of the last {claim.last_epochs} epochs" if claim.last_epochs > 1 else "the last epoch"
        text = (f"at most {claim.max_parameters:,} parameters and {claim.max_epochs} epochs, at least {claim.accuracy} % in {where}")
        if not self.judged:
            return f"NOT JUDGED (practice data): {text}"
        counts = f"  {self.passed} of {self.n} runs (Wilson 95 %: {low:.0f} to {high:.0f} %)"
        return "\n".join([f"{'HOLDS' if self.passed == self.n else 'FAILS'}: {text}", counts, *self.reasons])


def judge(claim: Claim, parameters: int, histories: Sequence[History], source: str = "") -> Verdict:
    """Judge every run of a net with so many ``parameters``. Of practice data (by ``source``) nothing is claimed."""
    reasons, passed = [], 0
    for number, epochs in enumerate(history.epochs for history in histories):
        lowest = min(row["test_accuracy"] for row in epochs[-claim.last_epochs:])
        wrong = ([f"{parameters:,} parameters"] * (parameters > claim.max_parameters)
                 + [f"{len(epochs)} epochs"] * (not claim.last_epochs <= len(epochs) <= claim.max_epochs)
                 + [f"{lowest:.2f} %"] * (not lowest >= claim.accuracy))
        passed += not wrong
        reasons += [f"  run {number}: {', '.join(wrong)}"] * bool(wrong)
    return Verdict(claim, passed, len(histories), tuple(reasons), judged=source != "practice")


def paired_difference(result: Result, baseline: Result) -> tuple[float, float, float]:
    """Mean difference of last-epoch accuracy over the seeds that both have, in points, and its 95 % t interval.

    Student, "The probable error of a mean", 1908. Raises ``CourseError`` for fewer than two pairs.
    """
    from scipy.stats import t

    mine, other = result.accuracies, baseline.accuracies
    differences = [mine[seed] - other[seed] for seed in mine if seed in other]
    if len(differences) < 2:
        raise CourseError(f"{result.record['name']} and {baseline.record['name']} share {len(differences)} seeds: two are needed")
    mean, count = statistics.fmean(differences), len(differences)
    half = float(t.ppf(0.975, count - 1)) * statistics.stdev(differences) / math.sqrt(count)
    return mean, mean - half, mean + half


def comparison_table(names: Sequence[str]) -> str:
    """One change a row, in Markdown: parameters, last epoch, difference to its baseline with its interval, seconds."""
    lines = ["| change | parameters | last epoch | difference (95 % interval) | s/epoch |", "|---|---|---|---|---|"]
    for name in names:
        result, recipe, told = load_result(name), EXPERIMENTS[name], "–"
        if recipe.baseline:
            mean, low, high = paired_difference(result, load_result(recipe.baseline))
            told = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})" + ("" if low * high > 0 else ", undecided")
        seconds = statistics.median(row["seconds"] for run in result.record["runs"] for row in run["epochs"])
        lines.append(f"| {recipe.title} | {result.record['parameters']:,} | {result.accuracy} | {told} | {seconds:.0f} |")
    return "\n".join(lines)


def results_table() -> str:
    """README's table in Markdown: every experiment with its last epoch, its claim judged, machine, commit and command."""
    lines = ["| recipe | parameters | epochs | last epoch, mean ± sd | claim | recorded | command |", "|---|---|---|---|---|---|---|"]
    for name, recipe in EXPERIMENTS.items():
        result, told = load_result(name), "–"
        if recipe.claim:
            verdict, claim = result.judge(recipe.claim), recipe.claim
            told = f"≥ {claim.accuracy} % in the last {claim.last_epochs}: {verdict.passed} of {verdict.n} seeds"
        lines.append(f"| {recipe.title} | {result.record['parameters']:,} | {recipe.epochs} | {result.accuracy} | {told} "
                     f"| {result.provenance.removeprefix('recorded ')} | `{result.command}` |")
    return "\n".join(lines)


def write_results_table(readme: Path = ROOT / "README.md") -> Path:
    """Put ``results_table`` between README's two markers. Raises ``CourseError`` where they are missing."""
    text = readme.read_text(encoding="utf-8")
    if text.count(START) != 1 or text.count(END) != 1:
        raise CourseError(f"{readme.name} needs the markers {START} and {END} once each, around the table of results")
    with replacing(readme) as temporary:
        temporary.write_text(f"{text.split(START)[0]}{START}\n\n{results_table()}\n\n{END}{text.split(END)[1]}", encoding="utf-8")
    return readme
