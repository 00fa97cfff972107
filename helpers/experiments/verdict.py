"""The verdict of document 002's autopsy: which suspects are of the right size, and what it says."""

from collections.abc import Mapping, Sequence

from helpers.experiments.autopsy import (
    DOCUMENT_KEPT,
    DOCUMENT_TRAIN,
    in_percent,
    kept_by_suspect,
)
from helpers.experiments.suspects import ANEW, AS_TOLD, Finding, by_suspect, mean_finding
from helpers.markdown import Table

# A choice: nets of another width, or another number of epochs, lose other shares by the same fault.
NEAR = 15.0

# Below so many percent of its training images a net has hardly left the 10 % of a blind guess.
LEARNED = 12.0


def accused(findings: Sequence[Finding]) -> list[str]:
    """The suspects in the order of their numbers, without what was only measured beside them."""
    names = []
    for suspect in by_suspect(findings):
        if suspect != AS_TOLD and not suspect.endswith(ANEW):
            names.append(suspect)
    return sorted(names, key=in_order)


def in_order(suspect: str) -> tuple[int, str]:
    """A number and its letter: 6b stands behind 6a, and 10 behind 9."""
    label = label_of(suspect)
    return int(label.rstrip("ab")), label


def label_of(suspect: str) -> str:
    """``6a`` of ``6a rows for columns``."""
    return suspect.split()[0]


def is_near(share: float | None) -> bool:
    """Whether a suspect keeps nearly what the report keeps."""
    if share is None or DOCUMENT_KEPT is None:
        return False
    return abs(share - DOCUMENT_KEPT) <= NEAR


def not_learned(findings: Sequence[Finding]) -> list[str]:
    """The suspects whose nets read hardly more training images than a blind guess does.

    Of what a fault does to a net that has learned, such a training says nothing, either way.
    """
    groups = by_suspect(findings)
    names = []
    for suspect in accused(findings):
        if all(each.train < LEARNED for each in groups[suspect]):
            names.append(suspect)
    return names


def that_learned(findings: Sequence[Finding]) -> list[Finding]:
    """The findings without seeds that have not learned, where another seed of theirs has.

    A suspect of which no seed has learned keeps its findings: ``not_learned`` names it.
    """
    kept = []
    for group in by_suspect(findings).values():
        some = [each for each in group if each.train >= LEARNED]
        kept += some or group
    return kept


def right_in_size(findings: Sequence[Finding]) -> list[str]:
    """The suspects that keep nearly as much as the report, of nets that have learned."""
    shares = kept_by_suspect(that_learned(findings))
    silent = not_learned(findings)
    near = []
    for suspect in accused(findings):
        if suspect not in silent and is_near(shares[suspect]):
            near.append(suspect)
    return near


def verdict_table(findings: Sequence[Finding], says: Mapping[str, str], evidence: str) -> Table:
    """For each suspect its size beside the report's, and what the report says of it.

    A suspect whose net has not learned is neither near nor far: its row says so. Where some seeds
    have learned, its row is about these, and says how many they are.

    says: a sentence by label, such as ``6a``; a suspect without one has a dash
    evidence: what the findings were measured on, for the note
    """
    groups = by_suspect(findings)
    learned = by_suspect(that_learned(findings))
    shares = kept_by_suspect(that_learned(findings))
    silent, near = not_learned(findings), right_in_size(findings)
    rows = []
    for suspect in accused(findings):
        size = "no"
        if suspect in near:
            size = "yes"
        if suspect in silent:
            size = "has not learned"
        some, all_seeds = len(learned[suspect]), len(groups[suspect])
        if some < all_seeds:
            size += f" ({some} of {all_seeds} seeds learned)"
        train = f"{mean_finding(learned[suspect]).train:.0f}"
        said = says.get(label_of(suspect), "–")
        rows.append((suspect, train, in_percent(shares[suspect]), size, said))
    report = in_percent(DOCUMENT_KEPT)
    head = ("suspect", "training (%)", "kept (%)", f"{report} ± {NEAR:.0f}?", "the report says")
    note = f"Evidence: {evidence}. The report: {DOCUMENT_TRAIN:.0f} % in training, {report} % kept."
    return Table(head, rows, note)
