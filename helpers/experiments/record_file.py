"""The two files of a record, NAME.json and NAME.npz: written together, and read together.

The JSON holds the digest of the NPZ, which ties the two to one save.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from helpers.environment import CourseError, replacing
from helpers.experiments.recipe import Recipe
from helpers.leftovers import remove_leftovers


def write(path: Path, record: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write ``record`` to ``path``, a JSON, and ``arrays`` to the NPZ beside it.

    Both are written whole under temporary names, and then renamed. A reader who finds the files of
    two saves, because this one was killed between the two renames, sees it from the digest. Raises
    ``CourseError`` where a number is not finite; then nothing is written.
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


def check_finite(record: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Raise ``CourseError`` for a number that is not finite: it is no result."""
    import numpy

    # The error names the place of a figure: its seed, its epoch, its column.
    name = record["name"]
    for run in record["runs"]:
        for row in run["epochs"]:
            for key, value in row.items():
                if not math.isfinite(value):
                    raise CourseError(
                        f"{name}, seed {run['seed']}, epoch {row['epoch']}: {key} is {value}, "
                        "and a record holds finite numbers only: take a lower learning rate"
                    )

    # Logits and weights: 16 bits hold no number above 65,504.
    for key, array in arrays.items():
        if not numpy.isfinite(array).all():
            raise CourseError(
                f"{name}: {key} holds numbers that are not finite, and a record holds finite "
                "numbers only: take a lower learning rate"
            )


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the JSON at ``path`` holds, and the arrays of the NPZ beside it.

    Raises ``CourseError`` for a record that is damaged, has no digest, or whose two files were
    saved at different times; its line ends with the command that mends it.
    """
    command = f"python -m helpers experiment {path.stem} --fresh"
    try:
        record, arrays = read_unchecked(path)
        as_many_runs = len(record["runs"]) == len(arrays["predictions"])
        digest = record.get("arrays")
        Recipe.completed(record["recipe"])  # raises where the record does not hold a whole recipe
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
    return record, arrays


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
