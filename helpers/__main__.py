"""The commands: ``python -m helpers --help``."""

from __future__ import annotations

import argparse
import sys
from typing import Sequence

from helpers.environment import CourseError, report


def parser() -> argparse.ArgumentParser:
    """The command line, a subcommand for each thing that can be done."""
    top = argparse.ArgumentParser(prog="python -m helpers", description="Run the course's sessions and experiments.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (("experiment", "train a named recipe over several seeds and record the result"),
                       ("search", "compare a recipe's candidates on a validation split")):
        command = commands.add_parser(name, help=text)
        command.add_argument("name", help="for example: budget")
        command.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 0 to N-1 (default 5)")
        command.add_argument("--jobs", type=int, metavar="J", help="processes at a time (default: one a core, one on a GPU)")
    commands.choices["experiment"].add_argument("--fresh", action="store_true", help="start the record anew")
    commands.add_parser("report", help="versions, device, switches, known problems")
    return top


def experiment(options: argparse.Namespace) -> None:
    """Run an experiment, print its last-epoch accuracy and judge its claim."""
    from helpers import experiments

    result = experiments.run(options.name, range(options.seeds), options.jobs, options.fresh)
    print(f"{result.name}: {result.accuracy}")
    claim = experiments.EXPERIMENTS[result.name].claim
    if claim and result.record["data"]["source"] != "practice":
        print(experiments.judge(claim, result))


def search(options: argparse.Namespace) -> None:
    """Run a search and print its candidates, best mean validation loss first."""
    from helpers import experiments

    print(experiments.ranking(experiments.search(options.name, range(options.seeds), options.jobs)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; an error that the reader can solve is one line, and status 2."""
    options = parser().parse_args(arguments)
    try:
        {"experiment": experiment, "search": search, "report": lambda _: print(report())}[options.command](options)
    except CourseError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
