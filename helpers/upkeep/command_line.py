"""How a command line is read: subcommands, the numbers they take, and what is said of a slip."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from helpers.environment import CourseError

MOST = 1000  # seeds, or processes: more is a slip of the finger


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line, like every other error; options are whole words."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise CourseError(f"{message} (see {self.prog} --help)")


def count(text: str) -> int:
    """A whole number from 1 to 1000, as the words of a command line give it."""
    # int() alone would take "1_0", " 3 " and "٣", and refuses more than 4,300 digits.
    if text.isascii() and text.isdecimal() and len(text) <= 9:
        number = int(text)
        if 1 <= number <= MOST:
            return number
    raise argparse.ArgumentTypeError(f"{text[:40]!r}: give at least 1, and at most {MOST}")


def add_command(commands: argparse._SubParsersAction, handle: Callable) -> argparse.ArgumentParser:
    """A subcommand that is carried out by ``handle``, and has its name and its docstring."""
    # The same text stands in the list of all commands and on the page of this one.
    text = handle.__doc__
    name = handle.__name__.replace("_", "-")
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(handle=handle, command=name)
    return command


def add_amounts(command: argparse.ArgumentParser) -> None:
    """The options of a command that trains: how many seeds, and how many at a time."""
    command.add_argument(
        "--seeds", type=count, default=5, metavar="N", help="seeds 0 to N-1 (default 5)"
    )
    command.add_argument(
        "--jobs",
        type=count,
        metavar="J",
        help="processes at a time (default: one per core, one on a GPU)",
    )
