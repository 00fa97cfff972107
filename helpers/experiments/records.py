"""Recorded results, ``notebooks/results/NAME.json`` and ``.npz``, and how claims are judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import environment
from helpers.data import ImageData
from helpers.environment import CourseError, runs_root, smoke, whole_number
from helpers.experiments import record_file
from helpers.experiments.recipe import Claim, Recipe
from helpers.interpret import Predictions
from helpers.intervals import mean_sd, wilson
from helpers.training import History


def evidence_root() -> Path:
    """Where the course's records are read: ``notebooks/results``."""
    return environment.NOTEBOOKS / "results"


def results_root() -> Path:
    """Where records are written: the same folder, but not in the fast profile.

    That writes beside its checkpoints, so that it never touches the evidence.
    """
    # Two epochs of a narrow net on practice data are no result.
    if smoke():
        return runs_root() / "results"
    return evidence_root()


def is_recorded(name: str) -> bool:
    """Whether ``notebooks/results`` holds a record of that name."""
    return is_file_name(name) and (evidence_root() / f"{name}.json").exists()


def is_file_name(name: str) -> bool:
    """Whether a record's name leads to a file of its folder, and not out of it."""
    return Path(str(name)).name == str(name)


def short_commit(commit: str) -> str:
    """A commit as a table has it: seven characters are enough, and a ``+`` behind it is kept."""
    short = commit[:7]
    if commit.endswith("+"):
        short += "+"
    return short


@dataclass(frozen=True, eq=False)
class Result:
    """A record: what its JSON holds, and the arrays of its NPZ.

    The arrays are ``predictions`` [seeds, N], maybe ``logits`` [first seeds, N, 10], and maybe the
    weights of the first seed's net, each as ``weights/NAME``.
    """

    record: dict[str, Any]
    arrays: dict[str, Any]

    @property
    def recipe(self) -> Recipe:
        """The recipe that the record kept."""
        return Recipe.restored(self.record["recipe"])

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What the record kept of its recipe, as a record of today would have it."""
        return Recipe.completed(self.record["recipe"])

    @property
    def histories(self) -> list[History]:
        """The epochs of every seed."""
        return [History(run["epochs"]) for run in self.record["runs"]]

    @property
    def accuracies(self) -> dict[int, float]:
        """Test accuracy after the last epoch, in percent, by seed."""
        accuracies = {}
        for run in self.record["runs"]:
            accuracies[run["seed"]] = run["epochs"][-1]["test_accuracy"]
        return accuracies

    @property
    def accuracy(self) -> str:
        """Mean and sample standard deviation over n seeds: ``99.50 ± 0.03 % (n = 5)``."""
        values = list(self.accuracies.values())
        mean, deviation = mean_sd(values)
        text = f"{mean:.2f}"
        # A single value has no deviation.
        if len(values) > 1:
            text += f" ± {deviation:.2f}"
        return f"{text} % (n = {len(values)})"

    @property
    def command(self) -> str:
        """The command that makes this record."""
        name, count = self.record["name"], len(self.record["runs"])
        command = f"python -m helpers experiment {name} --seeds {count}"
        # On two cores seeds side by side have a thread each.
        made_on = self.record["environment"]
        if count > 1 and made_on["device"] == "cpu" and made_on["threads"] > 1:
            command += " --jobs 1"
        return command

    @property
    def commits(self) -> list[str]:
        """The commits that the record, and seeds added later, were made from; each once.

        A ``+`` at the end says that files of ``helpers`` had been changed since that commit.
        """
        commits = []
        for part in (self.record, *self.record["runs"]):
            if "commit" in part and part["commit"] not in commits:
                commits.append(part["commit"])
        return commits

    @property
    def from_changed_files(self) -> bool:
        """Whether some of it was made from files that no commit holds."""
        return any(commit.endswith("+") for commit in self.commits)

    @property
    def numbers(self) -> str:
        """The numbers that a training multiplied; empty where an older record does not say."""
        machine = self.record["environment"]
        if self.recipe.mixed and "mixed" in machine:
            return machine["mixed"]
        # Older records say nothing of it: mixed precision was for GPUs alone then.
        if self.recipe.mixed and machine["device"] != "cpu":
            return ""
        return "float32"

    @property
    def threads(self) -> str:
        """How many threads trained it, in words; results repeat exactly at an equal number."""
        count = self.record["environment"]["threads"]
        if count == 1:
            return "1 thread"
        return f"{count} threads"

    @property
    def provenance(self) -> str:
        """When, on what and from which commits the record was made."""
        machine = self.record["environment"]
        threads = self.threads
        if "processes" in machine:
            threads += f" in each of {machine['processes']} processes"
        if self.recipe.mixed and "mixed" in machine:
            threads += f", {self.numbers}"

        commits = [short_commit(commit) for commit in self.commits]
        return (
            f"recorded {self.record['recorded'][:10]}, {machine['device']} "
            f"({machine['device_name']}, {threads}), torch {machine['torch']}, "
            f"commit {', '.join(dict.fromkeys(commits))}"
        )

    def predictions(self, data: ImageData, run: int = 0) -> Predictions:
        """The recorded predictions of one run, a number from 0, on the test images of ``data``.

        Raises ``CourseError`` where these are other images than the record's, where the record has
        no such run, and where an accuracy that it states is not that of its predictions.
        """
        name = self.record["name"]
        if not isinstance(data, ImageData):
            kind = type(data).__name__
            raise CourseError(f"the record {name}: give what data.load returns, not a {kind}")

        # The n-th prediction belongs to the n-th image: of other images it would say nothing.
        if data.digest != self.record["data"]["digest"]:
            raise CourseError(
                f"the record {name} belongs to other test images than these "
                f"({data.name}, {data.source}): fetch them with python -m helpers data, or train "
                "with COURSE_TRAIN=1"
            )
        self.check_accuracies(data)
        count = len(self.record["runs"])
        place = whole_number(run, least=0)
        if place is None or place >= count:
            raise CourseError(f"the record {name} has runs 0 to {count - 1}, and no run {run!r}")

        # Headlines alone keep logits, and of their first seeds alone.
        logits = None
        if place < len(self.arrays.get("logits", ())):
            logits = self.arrays["logits"][place]
        return Predictions(data.test, logits, self.arrays["predictions"][place])

    def check_accuracies(self, data: ImageData) -> None:
        """Raise ``CourseError`` unless every run's last accuracy is that of its predictions.

        So neither a figure that was changed by hand nor runs in another order are believed.
        """
        labels = data.test.labels.numpy()
        predictions = self.arrays["predictions"]
        for row, (seed, stated) in zip(predictions, self.accuracies.items(), strict=True):
            measured = 100 * float((row == labels).mean())
            # A record rounds to six digits.
            if abs(measured - stated) > 1e-6:
                name = self.record["name"]
                raise CourseError(
                    f"the record {name}.json states {stated} % for seed {seed}, and its npz holds "
                    f"predictions of {measured:.4f} %: python -m helpers experiment {name} --fresh"
                )

    def judge(self, claim: Claim) -> Verdict:
        """Judge a claim on every run of the record."""
        parameters, source = self.record["parameters"], self.record["data"]["source"]
        return judge(claim, parameters, self.histories, source)

    def save(self) -> None:
        """Write the two files of the record (``record_file.write``).

        Raises ``CourseError`` where a number is not finite; then nothing is written.
        """
        path = results_root() / f"{self.record['name']}.json"
        record_file.write(path, self.record, self.arrays)


@dataclass(frozen=True)
class Verdict:
    """How many of ``n`` runs meet a claim, and what was wrong with the others.

    ``judged`` is False on practice data.
    """

    claim: Claim
    passed: int
    n: int
    reasons: tuple[str, ...]
    judged: bool = True

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share of runs that meet the claim, in percent."""
        return wilson(self.passed, self.n)

    def __str__(self) -> str:
        if not self.judged:
            return f"NOT JUDGED (practice data): {self.claim}"
        # A claim holds where every run meets it; the interval says how sure so few runs make it.
        word = "FAILS"
        if self.passed == self.n:
            word = "HOLDS"
        low, high = self.interval
        interval = f"Wilson 95 %: {low:.0f} to {high:.0f} %"
        counts = f"  {self.passed} of {self.n} runs ({interval})"
        return "\n".join([f"{word}: {self.claim}", counts, *self.reasons])


def judge(claim: Claim, parameters: int, histories: Sequence[History], source: str = "") -> Verdict:
    """Judge every run of a net with so many ``parameters``.

    ``source`` is that of the data: of practice data nothing is claimed.
    """
    # A run passes where nothing can be said against it.
    reasons = []
    for number, history in enumerate(histories):
        wrong = objections(claim, parameters, history)
        if wrong:
            reasons.append(f"  run {number}: {', '.join(wrong)}")
    passed = len(histories) - len(reasons)
    judged = source != "practice"
    return Verdict(claim, passed, len(histories), tuple(reasons), judged)


def objections(claim: Claim, parameters: int, history: History) -> list[str]:
    """In which ways a run does not meet a claim."""
    # Every limit counts, so that a failed run says all that is wrong.
    wrong = []
    if parameters > claim.max_parameters:
        wrong.append(f"{parameters:,} parameters")
    epochs = len(history.epochs)
    if not claim.last_epochs <= epochs <= claim.max_epochs:
        wrong.append(f"{epochs} epochs")
    lowest = lowest_accuracy(history, claim.last_epochs)
    if not lowest >= claim.accuracy:  # so that nan does not pass either
        wrong.append(f"{lowest:.2f} %")
    return wrong


def lowest_accuracy(history: History, last_epochs: int) -> float:
    """The lowest test accuracy of the last epochs; nan where there is none, or one is nan."""
    # Every comparison with nan is false, so nan is looked for on its own.
    lowest = math.nan
    for row in history.epochs[-last_epochs:]:
        accuracy = row["test_accuracy"]
        if math.isnan(accuracy):
            return math.nan
        if math.isnan(lowest) or accuracy < lowest:
            lowest = accuracy
    return lowest
