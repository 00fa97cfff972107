"""Records that are older than the digest of their arrays are given one."""

import json
import re
from pathlib import Path

from helpers.environment import CourseError
from helpers.experiments.record_file import digest_of, read_unchecked, with_digest
from helpers.writing import replacing

# The line that the experiment command writes before the runs, with what ends the line before it.
BEFORE_RUNS = re.compile(rb'(\r?\n )"runs": \[')


def add_digests(folder: Path) -> list[Path]:
    """Write into every record of a folder the digest of its NPZ where it has none; what changed.

    Nothing else of a file changes, not by a byte. Raises ``CourseError`` for a record that cannot
    be read, or does not match its NPZ; then no file is changed.
    """
    # A record that is damaged is found before anything has been changed.
    changed = {}
    for path in sorted(folder.glob("*.json")):
        try:
            record, arrays = read_unchecked(path)
            whole = len(record["runs"]) == len(arrays["predictions"])
            has_one = "arrays" in record
        except Exception:  # a damaged archive can raise anything
            whole = has_one = False
        if not whole:
            raise CourseError(f"{path} is damaged, or does not match its npz: make it anew")
        if not has_one:
            changed[path] = text_with_digest(path)

    for path, text in changed.items():
        with replacing(path) as temporary:
            temporary.write_bytes(text)
    return list(changed)


def text_with_digest(path: Path) -> bytes:
    """The text of a record with the digest of its NPZ put in before its runs."""
    # Text is put in, and not written anew: so line ends and numbers stay as they are.
    old = path.read_bytes()
    digest = digest_of(path.with_suffix(".npz"))
    line = rf'\1"arrays": "{digest}",\g<0>'
    new = BEFORE_RUNS.sub(line.encode(), old, count=1)
    if json.loads(new) != with_digest(json.loads(old), digest):
        raise CourseError(f"{path} is not written as the experiment command does: make it anew")
    return new
