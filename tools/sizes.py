"""Find what has grown too long: `python tools/sizes.py PATH...` (`make lint` runs it).

Files have at most 300 lines, functions 40, from the `def` to their end, docstring included,
and classes 20 methods. A class that is one list by nature may have more, with the reason in a
comment directly above it (or above its decorators):

    # More than 20 methods: one for each syscall, and no two of them share anything.
    class Methods: ...

Prints a line for each thing that is too long, and ends with status 1 if there is any.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["REASON", "TooLong", "main", "too_long"]

FILE_LINES = 300
FUNCTION_LINES = 40
CLASS_METHODS = 20
REASON = f"# More than {CLASS_METHODS} methods:"
"""How a comment begins that says why a class has more; the reason comes after it."""


class TooLong(NamedTuple):
    """One thing that is too long.

    @ivar line: where it begins, counted from 1.
    @ivar what: what it is, with its name.
    @ivar unit: what C{size} and C{most} count: `lines` or `methods`.
    """

    path: Path
    line: int
    what: str
    size: int
    unit: str
    most: int

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.line}: {self.what}, {self.size} {self.unit} (at most {self.most})"
        )


def too_long(path: Path) -> Iterator[TooLong]:
    """What is too long in one Python file: itself, then its functions and classes.

    @raises SyntaxError: it is no Python.
    """
    text = path.read_text()
    lines = text.splitlines()
    if len(lines) > FILE_LINES:
        yield TooLong(path, 1, "file", len(lines), "lines", FILE_LINES)
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_LINES:
                what = f"function {node.name}"
                yield TooLong(path, node.lineno, what, size, "lines", FUNCTION_LINES)
        elif isinstance(node, ast.ClassDef):
            size = sum(
                isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.body
            )
            if size > CLASS_METHODS and not _has_reason(node, lines):
                what = f"class {node.name}"
                yield TooLong(path, node.lineno, what, size, "methods", CLASS_METHODS)


def _has_reason(node: ast.ClassDef, lines: list[str]) -> bool:
    """Whether the comment that ends directly above a class says why it has so many methods."""
    above = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    while above and (comment := lines[above - 1].strip()).startswith("#"):
        if comment.startswith(REASON):
            return bool(comment.removeprefix(REASON).strip())
        above -= 1
    return False


def _files(paths: list[str]) -> Iterator[Path]:
    """The Python files that are named, or lie in directories that are named, in order."""
    for path in map(Path, paths):
        if not path.exists():
            raise SystemExit(f"{path}: there is no such file or directory")
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def main(paths: list[str]) -> int:
    """Print what is too long in these files and directories; the exit status."""
    found = [each for path in _files(paths) for each in too_long(path)]
    for each in found:
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
