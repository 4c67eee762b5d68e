"""Names are the field's: no module, class, function, variable or heading has a word of our own.

The words once stood for what Linux, Twisted or OCI have a name for (a nursery for a zygote, an
exposure for a mount plan). They are looked for as whole parts of names in snake_case and CamelCase.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("clove", "bench", "examples", "tools", "twisted", "tests")
WORDS = set(
    re.findall(
        r"\w+",
        "bury buried born enclosure everybody gaps graves handover keepsakes kin lane nobody nursery"
        " pulse rehearsal scene unborn whoever whose",
    )
)
"""In no name at all."""
IN_SOURCES = WORDS | set(
    re.findall(
        r"\w+",
        "birth descent exposure furnish guard outlet pace places population remembered seat spares"
        " survey teller throwaway wish wishes",
    )
)
"""In no name of the sources and no heading; tests may have them for other things."""
MODULES = IN_SOURCES | set(
    re.findall(
        r"\w+",
        "exhaustion faults life pending process_one refusals remedies reports routing",
    )
)
"""As the name of a module they say too little."""


def parts(name: str) -> set[str]:
    """The words of a name, in lower case."""
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def sources(*packages: str) -> list[str]:
    """Paths of modules, relative to the tree."""
    found = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def names(tree: ast.AST) -> Iterator[str]:
    """Every identifier of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


def test_names_are_taken_apart() -> None:
    assert parts("ReactorTurns") == {"reactor", "turns"}
    assert parts("_HTTPRoute_of_2") == {"http", "route", "of", "2"}
    assert not parts("Lifecycle") & MODULES


def test_modules_have_none_of_these_words() -> None:
    stems = {name: re.sub(r"^test_", "", Path(name).stem) for name in sources(*PACKAGES)}
    found = {name for name, stem in stems.items() if stem in MODULES or parts(stem) & WORDS}
    assert not found


@pytest.mark.parametrize("package", PACKAGES)
def test_identifiers_have_none_of_these_words(package: str) -> None:
    words = WORDS if package == "tests" else IN_SOURCES
    found = {}
    for name in sources(package):
        used = {one for one in names(ast.parse((ROOT / name).read_text())) if parts(one) & words}
        if used:
            found[name] = sorted(used)
    assert not found


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_headings_have_none_of_these_words(page: Path) -> None:
    headings = [line for line in page.read_text().splitlines() if line.startswith("#")]
    assert not [line for line in headings if parts(line) & IN_SOURCES]
