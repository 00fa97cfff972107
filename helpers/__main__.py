"""The commands: ``python -m helpers --help``."""

from __future__ import annotations

import argparse
import sys
from typing import Sequence

from helpers import environment
from helpers.environment import CourseError


def parser() -> argparse.ArgumentParser:
    """The command line: a subcommand for each thing that can be done."""
    top = argparse.ArgumentParser(prog="python -m helpers", description="Run the course's sessions and experiments.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, positional: str = "", example: str = "") -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        if positional:
            command.add_argument(positional, help=f"for example: {example}")
        return command

    session = add("run", "run a session to an HTML page", "session", "01")
    session.add_argument("--train", action="store_true", help="train where a recorded result would be shown")
    session.add_argument("--save", action="store_true", help="keep the outputs in the notebook too")
    for name, text in (("experiment", "train a named recipe over several seeds and record the last epoch"),
                       ("search", "compare a recipe's candidates on a validation split")):
        command = add(name, text, "name", "budget")
        command.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 0 to N-1 (default 5)")
        command.add_argument("--jobs", type=int, metavar="J", help="processes at a time (default: one a core, one on a GPU)")
    commands.choices["experiment"].add_argument("--fresh", action="store_true", help="start the record anew")
    add("results", "rewrite README's table of results from the records")
    add("data", "fetch the data sets where they are missing, and check them")
    add("report", "versions, device, switches, data sources and known problems")
    add("publish", "write the course's public address into setup cells and badges", "address", "OWNER/NAME")
    return top


def run(options: argparse.Namespace) -> None:
    """Run a session and say where its page is."""
    from helpers.sessions import run_session

    print(f"The page with its pictures: {run_session(options.session, options.train, options.save)}")


def experiment(options: argparse.Namespace) -> None:
    """Run an experiment, print its last-epoch accuracy and judge its claim."""
    from helpers import experiments

    result = experiments.run(options.name, range(options.seeds), options.jobs, options.fresh)
    print(f"{options.name}: {result.accuracy}")
    claim = experiments.EXPERIMENTS[options.name].claim
    if claim:
        print(result.judge(claim))


def search(options: argparse.Namespace) -> None:
    """Run a search and print its candidates, best mean validation loss first."""
    from helpers import experiments

    print(experiments.ranking(experiments.search(options.name, range(options.seeds), options.jobs)))


def results(options: argparse.Namespace) -> None:
    """Rewrite the table in README.md."""
    from helpers.records import write_results_table

    print(f"rewritten: {write_results_table().name}")


def data(options: argparse.Namespace) -> None:
    """Load every data set once, which fetches and caches it, and say what came from where."""
    from helpers.data import load
    from helpers.sources import KNOWN

    for name in KNOWN:
        found = load(name, validation=0)
        print(f"{name:8} {found.source:12} {len(found.train):,} training and {len(found.test):,} test images, "
              f"labels {found.digest[:12]}")


def report(options: argparse.Namespace) -> None:
    """Print the report on the environment."""
    print(environment.report())


def publish(options: argparse.Namespace) -> None:
    """Set the public address."""
    from helpers.publish import publish as set_address

    print("\n".join(f"rewritten: {path.name}" for path in set_address(options.address)) or "nothing to change")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; an error that the reader can solve is one line, and status 2."""
    options = parser().parse_args(arguments)
    try:
        globals()[options.command](options)
    except CourseError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; an experiment goes on from its last finished epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
