"""The commands of the course: ``python -m helpers --help``.

The functions before ``print_written`` are the commands; their docstrings are the text of the help.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from helpers.upkeep import console, stopping

# What follows imports torch, which takes seconds: Ctrl-C would print where it was.
if __name__ == "__main__":
    stopping.end_when_stopped()

from helpers import environment, experiments
from helpers.data import load
from helpers.data.known import KNOWN
from helpers.environment import CourseError
from helpers.experiments import search as searching
from helpers.experiments import together
from helpers.experiments.catalogue import EXPERIMENTS, GROUPS
from helpers.upkeep import readme, sessions
from helpers.upkeep.command_line import Parser, add_amounts, add_command, count

Options = argparse.Namespace
ORDERS = 5  # of the data, in a recorded range test


def run(options: Options) -> None:
    """Run a session to an HTML page."""
    environment.need_notebooks()
    page = sessions.run_session(options.session, options.train, options.save)
    print(f"The page with its pictures: {page}")


def experiment(options: Options) -> None:
    """Train a recipe, or all of a group, over several seeds, record it, and judge its claim."""
    # Records are kept beside the notebooks.
    environment.need_notebooks()
    seeds = range(options.seeds)
    with together.joined(options.sync_norms, options.jobs) as team:
        # A name that is no group's stands for itself.
        for name in together.to_record(team, GROUPS.get(options.name, [options.name])):
            result = experiments.run(name, seeds, options.jobs, options.fresh, team)
            print(f"{name}: {result.accuracy}")
            claim = EXPERIMENTS[name].claim
            if claim:
                print(result.judge(claim))


def search(options: Options) -> None:
    """Compare a recipe's candidates on a validation split, and print them, best first."""
    environment.need_notebooks()
    trials = searching.search(options.name, range(options.seeds), options.jobs)
    print(searching.ranking(trials))


def range_test(options: Options) -> None:
    """Record a recipe's range test, or judge all that are recorded where no name is given."""
    from helpers.experiments import measured

    environment.need_notebooks()
    if options.name is None:
        if options.orders or options.fresh:
            raise CourseError("range-test: name the recipe that --orders or --fresh is for")
        print(measured.range_verdicts())
        return
    test = measured.record_range_test(options.name, options.orders or ORDERS, options.fresh)
    for number, answer in enumerate(test.answers, start=1):
        print(f"answer {number} of {len(test.curves)} orders: edge {answer.edge:.2g}")
    print(test.answer())


def autopsy(options: Options) -> None:
    """Train report 002's net with each suspected fault, and record what it does."""
    from helpers.experiments import autopsy as dissecting

    environment.need_notebooks()
    print(dissecting.run(options.name, range(options.seeds), options.jobs).table())


def digests(options: Options) -> None:
    """Write into every record the digest of its arrays, where it has none."""
    from helpers.upkeep.digests import add_digests

    # Records are committed files, and so git shows and undoes what this changes.
    environment.need_notebooks()
    print_written(add_digests(environment.NOTEBOOKS / "results"))


def results(options: Options) -> None:
    """Rewrite the figures in README and notebooks, README's pictures and the page, from records."""
    from helpers.upkeep import page as drawing
    from helpers.upkeep import pictures  # brings matplotlib

    # All is looked at before anything is written: records, texts, data and pictures.
    environment.need_notebooks()
    changed = readme.outdated()
    drawn = pictures.draw(load("mnist", validation=0))
    print_written(readme.write(changed) + drawn + drawing.write_page())


def data(options: Options) -> None:
    """Fetch the data sets where they are missing, and check them."""
    if not environment.has_notebooks() and not os.environ.get("COURSE_DATA"):
        raise CourseError(
            "there is no folder for data, for the package was installed without the course: "
            "name one in COURSE_DATA"
        )
    # A name with a slip of the finger leaves no empty folder behind.
    with no_empty_folder(environment.data_root()):
        fetch_and_check()


def fetch_and_check() -> None:
    """Print a line for each data set. Raises ``CourseError`` where one of them is missing."""
    # One that is missing must not keep the others from being fetched.
    missing = []
    for name, known in KNOWN.items():
        found = load(name, validation=0)
        train, test = len(found.train), len(found.test)
        # A notebook goes on with practice data, but this command was asked for the real ones.
        if found.source == "practice":
            missing.append(known.title)
        else:
            print(
                f"{name:8} {found.source:12} {train:,} training and {test:,} test images, "
                f"labels {found.digest[:12]}"
            )
    if missing:
        raise CourseError(
            f"no real {' and no real '.join(missing)}: give the command again with a network, "
            f"put the files into {environment.data_root()}, or name their folder in COURSE_DATA"
        )


@contextlib.contextmanager
def no_empty_folder(folder: Path) -> Iterator[None]:
    """Remove a folder that the block has made, with those around it, if nothing is in it."""
    made = []
    for place in (folder, *folder.parents):
        if not os.path.lexists(place):
            made.append(place)
    try:
        yield
    finally:
        # From the inside out; a folder that holds something cannot be removed this way.
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()


def report(options: Options) -> None:
    """Print versions, device, switches, data sources and known problems."""
    print(environment.report())


def publish(options: Options) -> None:
    """Write the course's public address into setup cells and badges."""
    from helpers.upkeep import publish as publishing  # brings nbformat

    environment.need_notebooks()
    print_written(publishing.publish(options.address))


def classroom(options: Options) -> None:
    """Write student and teacher editions and slides, for rooms without a network."""
    from helpers.upkeep import classroom as kit

    environment.need_notebooks()
    folder, remarks = kit.write()
    for remark in remarks:
        print(remark)
    print(f"editions and slides: {folder}")


def page(options: Options) -> None:
    """Write the page on which a recorded net reads a digit while it is drawn."""
    from helpers.upkeep import page as drawing

    environment.need_notebooks()
    print_written(drawing.write_page())


def export(options: Options) -> None:
    """Write a recorded net by torch.export and as ONNX, and read both back."""
    from helpers.upkeep import export as exporting

    environment.need_notebooks()
    for each in exporting.export(options.name):
        print(f"{each}\n  {each.path}")


def print_written(paths: list) -> None:
    """Print the names of the files that were written."""
    if not paths:
        print("nothing to change")
    for path in paths:
        print(f"rewritten: {path.name}")


def parser() -> Parser:
    """The command line: a subcommand for each thing that can be done."""
    top = Parser(prog="python -m helpers", description="Run the course's sessions and experiments.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    # A session is given by its number.
    command = add_command(commands, run)
    command.add_argument("session", help="for example: 01")
    command.add_argument(
        "--train", action="store_true", help="train where a recorded result would be shown"
    )
    command.add_argument("--save", action="store_true", help="keep the outputs in the notebook too")

    # Commands that train share the options of ``add_amounts``.
    command = add_command(commands, experiment)
    command.add_argument("name", help=f"for example: budget; groups: {', '.join(GROUPS)}")
    add_amounts(command)
    command.add_argument("--fresh", action="store_true", help="replace a record, whatever it holds")
    command.add_argument("--sync-norms", action="store_true", help="SyncBatchNorm, with torchrun")
    command = add_command(commands, search)
    command.add_argument("name", help="of a search, for example: budget")
    add_amounts(command)

    command = add_command(commands, range_test)
    command.add_argument("name", nargs="?", help="of a recipe or a measured net, as: residual")
    command.add_argument(
        "--orders", type=count, metavar="N", help=f"orders of the data (default {ORDERS})"
    )
    command.add_argument("--fresh", action="store_true", help="replace a record of as many orders")

    command = add_command(commands, autopsy)
    command.add_argument("name", help="of the net: document (its own) or narrow (in minutes)")
    command.add_argument(
        "--seeds", type=count, default=3, metavar="N", help="seeds 0 to N-1 (default 3)"
    )
    command.add_argument(
        "--jobs", type=count, metavar="J", help="seeds at a time (default: one on a GPU)"
    )

    # For a class, and for what comes after the course.
    add_command(commands, classroom)
    add_command(commands, page)
    command = add_command(commands, export)
    command.add_argument("name", help="of a record with weights: budget, ladder-fewer, residual")

    # Upkeep: of these, only the last one has an argument.
    add_command(commands, results)
    add_command(commands, digests)
    add_command(commands, data)
    add_command(commands, report)
    command = add_command(commands, publish)
    command.add_argument("address", metavar="OWNER/NAME", help="on GitHub")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command, and return its status.

    An error that the reader can solve is one line and status 2. A command that is stopped, by
    Ctrl-C or SIGTERM, returns 130, and one whose lines nobody reads any more, 141.
    """
    console.print_anywhere()
    handle = None
    try:
        # Parsing is part of it: a wrong command line is an error like others.
        with stopping.as_interrupts(), console.printed_at_once():
            options, others = parser().parse_known_args(arguments)
            handle = options.handle
            if others:
                raise CourseError(
                    f"{options.command} does not know {' '.join(others)}: see "
                    f"python -m helpers {options.command} --help"
                )
            if together.launched() and handle is not experiment:
                raise CourseError("torchrun is for experiment: start other commands without it")
            handle(options)
    except BrokenPipeError:
        # Such as `head`, which has seen enough.
        console.write_nowhere()
        return stopping.UNREAD
    except (CourseError, OSError) as problem:
        console.say(f"error: {problem}")
        return 2
    except KeyboardInterrupt:
        stopping.ignore_further()
        # Of several processes the leader speaks, which is stopped with the others.
        if together.launched() and os.environ["RANK"] != "0":
            return stopping.STOPPED
        # Only these keep what was trained so far.
        message = "stopped"
        if handle in (experiment, search, autopsy):
            message += "; the same command goes on from the last finished epoch"
        console.say(message)
        return stopping.STOPPED
    return 0


if __name__ == "__main__":
    status = main()
    # Python's own end takes a moment too, and would die of Ctrl-C.
    stopping.ignore_further()
    sys.exit(status)
