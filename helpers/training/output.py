"""What a training shows: a bar that disappears, and a line per epoch."""

import sys
from collections.abc import Iterable
from typing import Any


def progress(iterable: Iterable | None, label: str, show: bool = True, **options: Any) -> Any:
    """A bar that disappears when it is done.

    It goes to standard output, so that a notebook keeps no trace of it.
    """
    from tqdm import tqdm

    return tqdm(
        iterable,
        label,
        disable=not show,
        file=sys.stdout,
        leave=False,
        ncols=80,
        mininterval=0.5,
        **options,
    )


def epoch_line(row: dict[str, float], epochs: int) -> str:
    """The printed line of an epoch: ``row`` is its row in the history."""
    return (
        f"epoch {row['epoch']:2d}/{epochs}  lr {row['learning_rate']:.5f}  "
        f"train {row['train_loss']:.4f} {row['train_accuracy']:6.2f} %  "
        f"test {row['test_loss']:.4f} {row['test_accuracy']:6.2f} %  "
        f"{row['seconds']:.0f} s"
    )
