"""How trained nets become a record."""

import subprocess
from datetime import datetime, timezone
from typing import Any

from helpers import environment
from helpers.data import ImageData
from helpers.environment import ROOT
from helpers.experiments.recipe import Recipe
from helpers.experiments.records import Result
from helpers.experiments.runs import MEASURED, Trained
from helpers.interpret import predict
from helpers.models import count_parameters
from helpers.training import History

LOGITS_OF = 5  # seeds: more logits would make a record large, and every seed keeps its classes
WEIGHTS_LIMIT = 200_000  # bytes: larger weights are not recorded
DIGITS = 6  # behind the point, of every recorded number


def assemble(recipe: Recipe, data: ImageData, trained: dict[int, Trained]) -> Result:
    """The record of the trained nets and histories of a recipe, by seed (``runs.train_net``)."""
    # Everything that is needed to judge the result, and to make it again.
    runs = [run_of(seed, history) for seed, (_, history) in trained.items()]
    nets = [net for net, _ in trained.values()]
    record = {
        "name": recipe.name,
        "recipe": recipe.hyperparameters(),
        "parameters": count_parameters(recipe.build_model()),
        "train_images": len(data.train),
        "data": {"name": data.name, "source": data.source, "digest": data.digest},
        "environment": environment.machine(),
        "commit": current_commit(),
        "recorded": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "runs": runs,
    }
    return Result(record, arrays_of(recipe, data, nets))


def run_of(seed: int, history: History) -> dict[str, Any]:
    """What a record keeps of one training: its seed, its seconds, and a row per epoch."""
    # Six digits are more than any two processors agree on.
    epochs = []
    for row in history.epochs:
        epochs.append({key: round(value, DIGITS) for key, value in row.items()})
    seconds = sum(row["seconds"] for row in history.epochs)
    return {"seed": seed, "seconds": round(seconds, 1), "epochs": epochs}


def arrays_of(recipe: Recipe, data: ImageData, nets: list[Any]) -> dict[str, Any]:
    """The classes that every net predicts, uint8 [seeds, N].

    Of a headline also the logits of the first five seeds, float16 [≤ 5, N, 10], and the first net's
    weights where they are small.
    """
    import numpy

    # Every image of the test split, in its fixed order.
    logits = []
    for net in nets:
        predictions = predict(recipe.measured(net), data.test, MEASURED)
        logits.append(numpy.asarray(predictions.logits))
    stacked = numpy.stack(logits)

    # The classes are those of the full logits: rounded to 16 bits, two of them can be equal.
    arrays = {"predictions": stacked.argmax(2).astype("uint8")}
    if recipe.headline:
        arrays["logits"] = stacked[:LOGITS_OF].astype("float16")
        weights = nets[0].state_dict()
        if sum(tensor.nbytes for tensor in weights.values()) <= WEIGHTS_LIMIT:
            for name, tensor in weights.items():
                arrays[f"weights/{name}"] = tensor.numpy(force=True)
    return arrays


def current_commit() -> str:
    """The commit of the code that runs; ``unknown`` without git.

    A ``+`` behind it says that files of ``helpers`` have been changed since, or that it has code
    which no commit holds.
    """
    try:
        commit = git("rev-parse", "HEAD") or "unknown"
        changed = git("status", "--porcelain", "-uno", "--", "helpers")
        added = git("ls-files", "--others", "--exclude-standard", "--", "helpers/*.py")
        if changed or added:
            commit += "+"
    except OSError:  # git is not installed
        return "unknown"
    return commit


def git(*arguments: str) -> str:
    """What a git command prints about the course's folder; nothing where it fails."""
    # The folder is named, because the command may be given in another one.
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
