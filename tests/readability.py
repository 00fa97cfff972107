"""How the package reads, in figures: python tests/readability.py [FILE or FOLDER …] [--files]

Ends with status 1 where a target is missed. A code line is one that is neither blank, nor a comment
alone, nor part of a docstring; its characters are counted with its indentation. Comments are
counted wherever they stand, also behind code. A function is as long as it is in the file, docstring
included. Nodes are those of the syntax tree. Complexity is McCabe's, in its strict form: beside
statements it counts each ``and`` and ``or``, conditional expressions and comprehensions.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
LONG = 100
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.Assert, ast.Lambda)


@dataclass
class Reading:
    """What was counted in one file, or in several files together."""

    files: int = 0
    code_lines: int = 0
    characters: int = 0
    long_lines: int = 0
    nodes: int = 0
    comprehensions: int = 0
    conditionals: int = 0
    comments: int = 0
    functions: list[tuple[int, str]] = field(default_factory=list)  # (lines, name)
    complexities: list[tuple[int, str]] = field(default_factory=list)  # (complexity, name)

    def per_line(self, count: int) -> float:
        return count / max(self.code_lines, 1)

    def per_hundred(self, count: int) -> float:
        return 100 * self.per_line(count)

    @property
    def median_function(self) -> float:
        return median([lines for lines, _ in self.functions] or [0])

    @property
    def longest_function(self) -> tuple[int, str]:
        return max(self.functions, default=(0, "-"))

    @property
    def most_complex(self) -> tuple[int, str]:
        return max(self.complexities, default=(0, "-"))


def docstring_lines(tree: ast.Module) -> set[int]:
    """Numbers of the lines that belong to the docstring of a module, a class or a function."""
    numbers = set()
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)):
            continue
        if ast.get_docstring(node) is not None:
            docstring = node.body[0]
            numbers.update(range(docstring.lineno, docstring.end_lineno + 1))
    return numbers


def code_lines(source: str) -> list[str]:
    """Lines that are neither blank, nor a comment alone, nor part of a docstring."""
    documented = docstring_lines(ast.parse(source))
    lines = []
    for number, line in enumerate(source.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#") and number not in documented:
            lines.append(line)
    return lines


def read(source: str) -> Reading:
    """Count in the text of one file."""
    lines = code_lines(source)
    reading = Reading(files=1, code_lines=len(lines))
    reading.characters = sum(map(len, lines))
    for line in lines:
        if len(line) > LONG:
            reading.long_lines += 1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            reading.comments += 1
    for node in ast.walk(ast.parse(source)):
        reading.nodes += 1
        if isinstance(node, COMPREHENSIONS):
            reading.comprehensions += 1
        elif isinstance(node, ast.IfExp):
            reading.conditionals += 1
        elif isinstance(node, FUNCTIONS):
            reading.functions.append((node.end_lineno - node.lineno + 1, node.name))
            reading.complexities.append((complexity(node), node.name))
    return reading


def complexity(function: ast.AST) -> int:
    """One, and one more for each place where the way through a function parts."""
    number = 1
    for node in ast.walk(function):
        if isinstance(node, BRANCHES):
            number += 1
        elif isinstance(node, ast.BoolOp):
            number += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            number += 1 + len(node.ifs)
        elif isinstance(node, ast.Match):
            number += len(node.cases)
    return number


def read_files(paths: list[Path]) -> dict[Path, Reading]:
    """Read every Python file among the paths and under their folders."""
    files = []
    for path in paths:
        path = path.resolve()
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    if not files:
        raise SystemExit(f"there is no Python file in {', '.join(map(str, paths))}")
    readings = {}
    for file in files:
        readings[file] = read(file.read_text(encoding="utf-8"))
    return readings


def together(readings: list[Reading]) -> Reading:
    """The counts of several files added up."""
    total = Reading()
    for reading in readings:
        for name, value in vars(reading).items():
            setattr(total, name, getattr(total, name) + value)
    return total


def missed(reading: Reading) -> list[str]:
    """The targets that a reading misses, a line each."""
    wrong = []
    if reading.per_line(reading.characters) > 50:
        wrong.append(f"{reading.per_line(reading.characters):.1f} characters a code line (<= 50)")
    if reading.long_lines > 0:
        wrong.append(f"{reading.long_lines} code lines over {LONG} characters (0)")
    if reading.per_hundred(reading.comprehensions) > 4:
        share = reading.per_hundred(reading.comprehensions)
        wrong.append(f"{share:.2f} comprehensions in 100 code lines (<= 4)")
    if reading.per_hundred(reading.conditionals) > 2.5:
        share = reading.per_hundred(reading.conditionals)
        wrong.append(f"{share:.2f} conditional expressions in 100 code lines (<= 2.5)")
    if reading.per_hundred(reading.comments) < 10:
        share = reading.per_hundred(reading.comments)
        wrong.append(f"{share:.2f} comments in 100 code lines (>= 10)")
    for number, name in reading.complexities:
        if number > 12:
            wrong.append(f"complexity {number} of {name} (<= 12)")
    return wrong


COLUMNS = "{:32} {:>5} {:>5} {:>5} {:>5} {:>6} {:>6} {:>8}   {:3} / {:28} {}"
HEAD = COLUMNS.format(
    "file", "lines", "chars", f">{LONG}", "nodes", "compr.", "cond.", "comments",
    "med", "longest function", "most complex",
)  # fmt: skip


def row(name: str, reading: Reading) -> str:
    """The figures of one file, or of all, as a line of the table."""
    lines, longest = reading.longest_function
    complexity, most_complex = reading.most_complex
    return COLUMNS.format(
        name,
        reading.code_lines,
        f"{reading.per_line(reading.characters):.1f}",
        f"{reading.per_hundred(reading.long_lines):.0f}%",
        f"{reading.per_line(reading.nodes):.1f}",
        f"{reading.per_hundred(reading.comprehensions):.1f}",
        f"{reading.per_hundred(reading.conditionals):.1f}",
        f"{reading.per_hundred(reading.comments):.1f}",
        f"{reading.median_function:g}",
        f"{lines} {longest}",
        f"{complexity} {most_complex}",
    )


def main() -> int:
    """Print the figures; returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[HELPERS], help="files or folders")
    parser.add_argument("--files", action="store_true", help="a line for each file as well")
    arguments = parser.parse_args()
    readings = read_files(arguments.paths)
    total = together(list(readings.values()))

    # Comprehensions, conditional expressions and comments stand in 100 code lines.
    print(HEAD)
    if arguments.files:
        for path, reading in readings.items():
            name = path.name
            if path.is_relative_to(HELPERS):
                name = path.relative_to(HELPERS).as_posix()
            print(row(name, reading))
    print(row(f"{total.files} files", total))

    for problem in missed(total):
        print(f"missed: {problem}")
    return int(bool(missed(total)))


if __name__ == "__main__":
    sys.exit(main())
