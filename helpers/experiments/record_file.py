"""The two files of a record, NAME.json and NAME.npz: written together, and read together.

The JSON holds the digest of the NPZ, which ties the two to one save.
"""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from helpers.environment import CourseError
from helpers.experiments.record_checks import check_finite, check_record
from helpers.leftovers import remove_leftovers
from helpers.writing import replacing


def write(path: Path, record: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write ``record`` to ``path``, a JSON, and ``arrays`` to the NPZ beside it.

    Both are written whole under temporary names, and then renamed, the NPZ first. Where this is
    killed between the two renames, the new JSON still lies there under its temporary name, and
    ``finish_save`` finds it. Raises ``CourseError`` where a number is not finite; then nothing is
    written.
    """
    import numpy

    # A net that diverged in its last step has no number worth keeping.
    check_finite(record, arrays)

    # Arrays first: their digest goes into the JSON.
    arrays_path = path.with_suffix(".npz")
    with replacing(path) as text, replacing(arrays_path) as packed:
        with open(packed, "wb") as file:
            numpy.savez_compressed(file, **arrays)
        whole = with_digest(record, digest_of(packed))
        written = json.dumps(whole, indent=1, allow_nan=False)
        text.write_text(written + "\n", encoding="utf-8")

    # Earlier processes may have been killed in the lines above.
    remove_leftovers(path.parent, path.name)
    remove_leftovers(path.parent, arrays_path.name)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the JSON at ``path`` holds, and the arrays of the NPZ beside it.

    Raises ``CourseError`` for a record that is damaged, lacks a field, has no digest, or whose two
    files were saved at different times; its line ends with the command that mends it.
    """
    command = f"python -m helpers experiment {path.stem} --fresh"
    try:
        record, arrays = read_unchecked(path)
        as_many_runs = len(record["runs"]) == len(arrays["predictions"])
        digest = record.get("arrays")
    except Exception:  # a damaged archive can raise anything
        raise CourseError(f"the record {path.name} is damaged: {command}") from None

    # Records from before there were digests are sound, and only have to be given one.
    if digest is None:
        raise CourseError(
            f"the record {path.name} has no digest of its npz: python -m helpers digests"
        )
    if not as_many_runs or digest != digest_of(path.with_suffix(".npz")):
        raise CourseError(
            f"the record {path.name} does not match its npz; probably a save was interrupted: "
            f"{command}"
        )

    # Both are of one save, and yet a hand may have changed the text.
    try:
        check_record(record, arrays)
    except ValueError as problem:
        raise CourseError(f"the record {path.name} is damaged ({problem}): {command}") from None
    except Exception:  # what should be a recipe can be anything
        raise CourseError(f"the record {path.name} is damaged: {command}") from None
    return record, arrays


def finish_save(path: Path) -> None:
    """Finish the save that was killed between its two renames, where there was one.

    Then the NPZ is the new one, and the JSON that belongs to it is a temporary file beside it: its
    text is put into place. The older record, which the NPZ has replaced, is no longer needed.
    """
    # Without such a file, which is the rule, nothing has to be read.
    leftovers = list(path.parent.glob(f".{path.name}.*.tmp"))
    arrays_path = path.with_suffix(".npz")
    if not leftovers or not arrays_path.exists():
        return

    digest = digest_of(arrays_path)
    if digest_in(path) == digest:
        return
    for leftover in leftovers:
        if digest_in(leftover) == digest:
            # A copy, because a process that still lives will rename its own.
            with contextlib.suppress(OSError), replacing(path) as temporary:
                temporary.write_bytes(leftover.read_bytes())
            return


def digest_in(path: Path) -> str | None:
    """The digest of the NPZ that a JSON holds; None where it cannot be read, or holds none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["arrays"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_unchecked(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON and the arrays as they are; whatever is wrong with a file is raised as it comes."""
    import numpy

    record = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    with numpy.load(path.with_suffix(".npz")) as stored:
        arrays = dict(stored)
    return record, arrays


def refuse(constant: str) -> None:
    """Called for ``NaN`` and ``Infinity``, which are no JSON. Raises ``ValueError``."""
    raise ValueError(f"{constant} is not a finite number")


def digest_of(file: Path) -> str:
    """SHA-256 of the bytes of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def with_digest(record: dict[str, Any], digest: str) -> dict[str, Any]:
    """The record with ``arrays``, the digest of its NPZ, before its runs."""
    # The runs are long, so what concerns the record as a whole stands before them.
    fields = dict(record)
    runs = fields.pop("runs")
    return fields | {"arrays": digest, "runs": runs}
