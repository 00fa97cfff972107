"""The commands: ``python -m helpers --help``. Each function is one; its docstring is what the help says of it."""

import argparse
import sys
from typing import NoReturn
from collections.abc import Sequence

from helpers import environment, experiments
from helpers.data import load
from helpers.data.known import KNOWN
from helpers.environment import CourseError
from helpers.experiments import search as searching
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS
from helpers.upkeep import readme, sessions


class Parser(argparse.ArgumentParser):
    """Tells what is wrong with a command line in one line, as every other error is told."""

    def error(self, message: str) -> NoReturn:
        raise CourseError(f"{message} (see {self.prog} --help)")


def run(options: argparse.Namespace) -> None:
    """Run a session to an HTML page."""
    print(
        f"The page with its pictures: {sessions.run_session(options.session, options.train, options.save)}"
    )


def experiment(options: argparse.Namespace) -> None:
    """Train a named recipe, or all of a group, over several seeds, record the last epoch, and judge claims."""
    for name in GROUPS.get(options.name, [options.name]):
        result = experiments.run(name, range(options.seeds), options.jobs, options.fresh)
        claim = EXPERIMENTS[name].claim
        print(f"{name}: {result.accuracy}", *([result.judge(claim)] if claim else []), sep="\n")


def search(options: argparse.Namespace) -> None:
    """Compare a recipe's candidates on a validation split, and print them, lowest mean loss first."""
    print(searching.ranking(searching.search(options.name, range(options.seeds), options.jobs)))


def results(options: argparse.Namespace) -> None:
    """Rewrite the figures in README and notebooks, and README's pictures, from the records."""
    from helpers.upkeep import pictures  # brings matplotlib

    written = [*readme.write_results(), *pictures.draw(load("mnist", validation=0))]
    print("\n".join(f"rewritten: {path.name}" for path in written))


def data(options: argparse.Namespace) -> None:
    """Fetch the data sets where they are missing, and check them."""
    for name in KNOWN:
        found = load(name, validation=0)
        print(
            f"{name:8} {found.source:12} {len(found.train):,} training and {len(found.test):,} test images, "
            f"labels {found.digest[:12]}"
        )


def report(options: argparse.Namespace) -> None:
    """Print versions, device, switches, data sources and known problems."""
    print(environment.report())


def publish(options: argparse.Namespace) -> None:
    """Write the course's public address into setup cells and badges."""
    from helpers.upkeep import publish as publishing  # brings nbformat

    written = publishing.publish(options.address)
    print("\n".join(f"rewritten: {path.name}" for path in written) or "nothing to change")


COMMANDS = {
    run: ("session", "--train", "--save"),
    experiment: ("name", "--seeds", "--jobs", "--fresh"),
    search: ("name", "--seeds", "--jobs"),
    results: (),
    data: (),
    report: (),
    publish: ("address",),
}
ARGUMENTS = {
    "session": {"help": "for example: 01"},
    "name": {"help": "for example: budget; cifar is a group"},
    "address": {"metavar": "OWNER/NAME", "help": "on GitHub"},
    "--train": {"action": "store_true", "help": "train where a recorded result would be shown"},
    "--save": {"action": "store_true", "help": "keep the outputs in the notebook too"},
    "--seeds": {"type": int, "default": 5, "metavar": "N", "help": "seeds 0 to N-1 (default 5)"},
    "--jobs": {
        "type": int,
        "metavar": "J",
        "help": "processes at a time (default: one a core, one on a GPU)",
    },
    "--fresh": {"action": "store_true", "help": "replace a record, whatever it holds"},
}


def parser() -> Parser:
    """The command line: a subcommand for each thing that can be done."""
    top = Parser(prog="python -m helpers", description="Run the course's sessions and experiments.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for handle, arguments in COMMANDS.items():
        command = commands.add_parser(
            handle.__name__, help=handle.__doc__, description=handle.__doc__
        )
        command.set_defaults(handle=handle)
        for argument in arguments:
            command.add_argument(argument, **ARGUMENTS[argument])
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; an error that the reader can solve is one line, and status 2."""
    try:
        options = parser().parse_args(arguments)
        options.handle(options)
    except (CourseError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; an experiment goes on from its last finished epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
