"""The verdict of report 002's autopsy: which suspects are of the right size, and what it says."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from helpers.experiments.autopsy import (
    DOCUMENT_KEPT,
    DOCUMENT_TRAIN,
    in_percent,
    kept_by_suspect,
)
from helpers.experiments.suspects import ANEW, AS_TOLD, Finding, by_suspect, mean_finding
from helpers.intervals import mean_interval
from helpers.markdown import NOTHING, Table

# A choice: nets of another width, or another number of epochs, lose other shares by the same fault.
NEAR = 15.0

# What the table says of a suspect's size.
YES, NO, UNDECIDED, HAS_NOT_LEARNED = "yes", "no", "undecided", "has not learned"

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


def near_report(shares: Sequence[float]) -> str:
    """Whether a suspect keeps nearly what the report keeps: its mean over seeds, or its interval.

    With two seeds or more the question is put to Student's interval of the mean: it may lie within
    the window, outside of it, or hold one of the window's ends, and then the seeds cannot tell.
    """
    if not shares or DOCUMENT_KEPT is None:
        return NO
    half = half_width(shares)
    off = abs(fmean(shares) - DOCUMENT_KEPT)
    if off + half <= NEAR:
        return YES
    return UNDECIDED if off - half <= NEAR else NO


def half_width(shares: Sequence[float]) -> float:
    """Half of Student's 95 % interval for the mean of several seeds; 0 for one seed or none."""
    if len(shares) < 2:
        return 0.0
    mean, _, high = mean_interval(shares)
    return high - mean


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


def size_verdicts(findings: Sequence[Finding]) -> dict[str, str]:
    """For each suspect whether it is of the report's size: yes, no, undecided, or not learned."""
    learned = by_suspect(that_learned(findings))
    silent = not_learned(findings)
    words = {}
    for suspect in accused(findings):
        words[suspect] = HAS_NOT_LEARNED
        if suspect not in silent:
            words[suspect] = near_report(shares_of_seeds(learned[suspect], learned))
    return words


def shares_of_seeds(group: Sequence[Finding], groups: Mapping[str, list[Finding]]) -> list[float]:
    """What each seed of a suspect keeps of the mean sound accuracy, as ``kept_by_suspect`` has it.

    Empty where no sound accuracy is known, or it is that of a blind guess.
    """
    shares = []
    for each in group:
        share = kept_by_suspect([*groups.get(AS_TOLD, []), each])[each.suspect]
        if share is not None:
            shares.append(share)
    return shares


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
    rows = []
    for suspect, size in size_verdicts(findings).items():
        some, all_seeds = len(learned[suspect]), len(groups[suspect])
        if some < all_seeds:
            size += f" ({some} of {all_seeds} seeds learned)"
        train = f"{mean_finding(learned[suspect]).train:.0f}"
        said = says.get(label_of(suspect), NOTHING)
        kept = kept_cell(shares[suspect], shares_of_seeds(learned[suspect], learned))
        rows.append((suspect, train, kept, size, said))
    report = in_percent(DOCUMENT_KEPT)
    head = ("suspect", "training (%)", "kept (%)", f"{report} ± {NEAR:.0f}?", "the report says")
    note = f"Evidence: {evidence}. The report: {DOCUMENT_TRAIN:.0f} % in training, {report} % kept."
    if DOCUMENT_KEPT is not None:
        low, high = DOCUMENT_KEPT - NEAR, DOCUMENT_KEPT + NEAR
        note += f" Near it is {low:.1f} to {high:.1f} %; in brackets: the 95 % interval over seeds."
    return Table(head, rows, note)


def kept_cell(share: float | None, shares: Sequence[float]) -> str:
    """What a suspect keeps, with the interval of the mean where there are several seeds."""
    half = half_width(shares)
    if share is None or half == 0:
        return in_percent(share)
    return f"{in_percent(share)} ({share - half:.1f} to {share + half:.1f})"
