"""Report 002's autopsy as a record: a net of its form, trained as told and with each fault."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from helpers import environment
from helpers.environment import CourseError, smoke, unknown
from helpers.experiments.assembling import current_commit
from helpers.experiments.catalogue import for_practice
from helpers.experiments.cifar10 import NARROW_GROUPED, RESNET9_NET
from helpers.experiments.dissections import every_seed
from helpers.experiments.jobs import checked_seeds, checked_workers, share_processors
from helpers.experiments.recipe import Recipe
from helpers.experiments.record_checks import not_finite
from helpers.experiments.records import evidence_root, results_root, short_commit
from helpers.experiments.suspects import (
    AS_TOLD,
    Finding,
    by_suspect,
    kept,
    mean_and_scatter,
    mean_finding,
)
from helpers.intervals import mean_sd
from helpers.markdown import NOTHING, Table
from helpers.writing import check_folder, replacing

# What the report states: the best of 20 epochs each.
DOCUMENT_TRAIN = 92.43
DOCUMENT_TEST = 50.23
# It has no net without the fault. A sound one would read about as much as in training.
DOCUMENT_KEPT = kept(DOCUMENT_TEST, DOCUMENT_TRAIN)

# Its net and what its images went through. It names Adam, 20 epochs and the peak, and no rate.
DOCUMENT = Recipe(
    "autopsy-document",
    RESNET9_NET,
    title="report 002's net, trained as its sentences say",
    model_options={"grouped": True},
    data="cifar10",
    epochs=20,
    peak_epoch=5,
    annihilate=False,
    batch_size=512,
    optimizer="adamw",
    learning_rate=0.01,
    weight_decay=0.0,
    augment=(
        ("RandomCrop", {"padding": 4}),
        ("RandomHorizontalFlip", {}),
        ("Cutout", {"size": 8, "fill": 0.0}),
    ),
    mixed=True,
)
# The same form with an eighth of the channels, which a CPU trains in minutes.
NARROW = replace(NARROW_GROUPED, name="autopsy-narrow", baseline="")
RECIPES = {"document": DOCUMENT, "narrow": NARROW}


# The record.


@dataclass(frozen=True, eq=False)
class Autopsy:
    """A record: ``trainings`` by name, one history for each seed, and all findings."""

    record: dict[str, Any]

    @property
    def seeds(self) -> list[int]:
        """The seeds that every training was done with."""
        return self.record["seeds"]

    @property
    def findings(self) -> list[Finding]:
        """What was measured, seed after seed."""
        return [Finding(**each) for each in self.record["findings"]]

    @property
    def provenance(self) -> str:
        """Where and from what the record was made."""
        machine = self.record["environment"]
        return (
            f"recorded on {machine['device']} ({machine['device_name']}), "
            f"torch {machine['torch']}, commit {short_commit(self.record['commit'])}, "
            f"seeds: {len(self.seeds)}: {command(self.record['name'])}"
        )

    def table(self) -> Table:
        """What each suspect does, mean ± deviation over the seeds."""
        return findings_table(self.findings, self.provenance)


def findings_table(findings: Sequence[Finding], note: str = "") -> Table:
    """A row for each suspect, and above them the report's own figures."""
    head = ("suspect", "training (%)", "test (%)", "gap", "kept (%)", "mean", "spread")
    # The report's figures have no mean and no spread: it does not state them.
    gap = DOCUMENT_TRAIN - DOCUMENT_TEST
    stated = (f"{DOCUMENT_TRAIN:.2f}", f"{DOCUMENT_TEST:.2f}", f"{gap:.1f}")
    report = "the report (best of 20 epochs)"
    rows: list[Sequence[str]] = [(report, *stated, in_percent(DOCUMENT_KEPT), NOTHING, NOTHING)]
    # A row is a mean over seeds, and the deviation says how far one seed is to be trusted.
    shares = kept_by_suspect(findings)
    for suspect, group in by_suspect(findings).items():
        train = mean_and_scatter([each.train for each in group])
        test = mean_and_scatter([each.test for each in group])
        one = mean_finding(group)
        share = in_percent(shares[suspect])
        rows.append(
            (suspect, train, test, f"{one.gap:.1f}", share, f"{one.mean:.2f}", f"{one.spread:.2f}")
        )
    return Table(head, rows, note)


def in_percent(share: float | None) -> str:
    """A share as a cell has it; a dash where there is none."""
    if share is None:
        return NOTHING
    # Adding 0 takes the sign from a zero.
    return f"{round(share) + 0}"


def kept_by_suspect(findings: Iterable[Finding]) -> dict[str, float | None]:
    """What each suspect leaves of a sound test accuracy (``suspects.kept``), means over seeds.

    Sound is the row without a fault, unless a finding has a net of its own to be compared with.
    None where neither is there.
    """
    groups = by_suspect(findings)
    shares: dict[str, float | None] = {}
    for suspect, group in groups.items():
        sound = [each.sound for each in group if each.sound is not None]
        if not sound:
            sound = [each.test for each in groups.get(AS_TOLD, [])]
        shares[suspect] = None
        if sound:
            shares[suspect] = kept(mean_finding(group).test, mean_sd(sound)[0])
    return shares


def command(name: str) -> str:
    """The command that makes the record."""
    return f"python -m helpers autopsy {name} --seeds 3"


def run(name: str, seeds: Sequence[int], jobs: int | None = None) -> Autopsy:
    """Train a recipe rightly and with each fault, measure all suspects, and record it.

    It is ``document`` or ``narrow``; ``jobs`` seeds are trained at a time, one on a GPU and one per
    processor elsewhere unless given. A run that was stopped goes on from its last finished epoch.
    Raises ``CourseError`` for another name, no seeds, fewer seeds than the record has, and no real
    data.
    """
    if name not in RECIPES:
        raise unknown("autopsy", name, RECIPES)
    # In the fast profile a narrow net on practice data shows that all works.
    recipe = RECIPES[name]
    if smoke():
        recipe = for_practice(recipe, 2)
    seeds = checked_seeds(seeds)
    workers, threads = share_processors(len(seeds), checked_workers(jobs))

    # What cannot be kept is not begun, and what says more is not replaced.
    check_folder(environment.runs_root())
    check_folder(results_root() / "measured")
    check_recorded_seeds(name, seeds)

    # Trainings are kept in checkpoints, and so only the unfinished ones are lost.
    trainings: dict[str, list] = {}
    findings: list[Finding] = []
    for seed_parts in every_seed(recipe, seeds, workers, threads):
        for suspect, epochs, seen in seed_parts:
            trainings.setdefault(suspect, []).append(epochs)
            findings += seen
    save(name, recipe, seeds, trainings, findings, threads)
    return load_autopsy(name, results_root())


def check_recorded_seeds(name: str, seeds: Sequence[int]) -> None:
    """Raise ``CourseError`` where the record has seeds that are not asked for."""
    try:
        recorded = load_autopsy(name, results_root()).seeds
    except CourseError:  # there is none, or none that can be read
        return
    if not set(recorded) <= set(seeds):
        count = max(recorded) + 1
        raise CourseError(
            f"the record of the autopsy {name} has {len(recorded)} seeds, and some of them are not "
            f"asked for: give --seeds {count}, or remove {path_of(name, results_root()).name} first"
        )


def save(
    name: str,
    recipe: Recipe,
    seeds: Sequence[int],
    trainings: dict[str, list],
    findings: Sequence[Finding],
    threads: int,
) -> None:
    """Write the record, whole or not at all, to ``results/measured/autopsy-NAME.json``."""
    kept = {
        "name": name,
        "recipe": recipe.hyperparameters(),
        "seeds": list(seeds),
        "environment": environment.machine() | {"threads": threads},
        "commit": current_commit(),
        "trainings": trainings,
        "findings": [asdict(each) for each in findings],
    }
    # Text that no reader takes for a number, such as NaN, is not written.
    if not_finite(kept):
        raise CourseError(f"autopsy {name}: {not_finite(kept)}")
    with replacing(path_of(name, results_root())) as temporary:
        text = json.dumps(kept, indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def path_of(name: str, folder: Path | None = None) -> Path:
    """The file of a record; in ``notebooks/results`` unless a folder is given."""
    return (folder or evidence_root()) / "measured" / f"autopsy-{name}.json"


def is_recorded(name: str) -> bool:
    """Whether ``notebooks/results`` holds that autopsy."""
    return path_of(name).exists()


def load_autopsy(name: str, folder: Path | None = None) -> Autopsy:
    """A recorded autopsy, ``document`` or ``narrow``, from ``notebooks/results`` unless told.

    Raises ``CourseError`` for another name, and with the command that records it where it is not
    recorded, damaged, or of another recipe than the course has today.
    """
    if name not in RECIPES:
        raise unknown("autopsy", name, RECIPES)
    # Without a record the reader is told how to make one.
    path = path_of(name, folder)
    if not path.exists():
        raise CourseError(f"the autopsy {name} is not recorded yet: {command(name)}")
    try:
        autopsy = Autopsy(json.loads(path.read_text(encoding="utf-8")))
        # What a reader asks for has to be there.
        complete = autopsy.table().rows and autopsy.record["trainings"] and autopsy.seeds
        if not complete:
            raise ValueError("a part is empty")
        recipe = Recipe.completed(autopsy.record["recipe"])
    except (ValueError, KeyError, TypeError, CourseError):
        raise CourseError(f"the record {path.name} is damaged: {command(name)}") from None

    # In the fast profile a shorter one is recorded in another folder.
    if folder is None and recipe != RECIPES[name].hyperparameters():
        raise CourseError(
            f"the record {path.name} is of another recipe than helpers/experiments has: "
            f"{command(name)}"
        )
    return autopsy
