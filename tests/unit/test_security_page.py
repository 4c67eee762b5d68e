"""docs/security.md names tests; each must be there, or a promise stands without one."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"test_\w+\.py", (ROOT / "docs" / "security.md").read_text())))


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_the_page_names_is_there(name: str) -> None:
    assert len(list((ROOT / "tests").rglob(name))) == 1


def test_every_file_of_attacks_is_named() -> None:
    files = {path.name for path in (ROOT / "tests" / "adversary").glob("test_*.py")}
    assert files <= set(NAMED)


def rows() -> list[tuple[str, list[str], bool]]:
    """Of each class of attack: its number, its tests, and whether the guest is said to try it."""
    page = (ROOT / "docs" / "security.md").read_text()
    found = re.findall(r"^\| (\d+) \|(.*)\|([ x]*)\|$", page, re.MULTILINE)
    return [
        (number, re.findall(r"test_\w+\.py", row), last.strip() == "x")
        for number, row, last in found
    ]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_the_guest_tries_every_class_of_attack(row: tuple[str, list[str], bool]) -> None:
    _, tests, said = row
    lists = (
        (ROOT / "tools" / "vm" / "inside")
        .read_text()
        .partition("chosen_tests=")[2]
        .partition("#")[0]
    )
    names = {re.sub(r"^test_|\.py$", "", Path(word).name) for word in re.split(r'[\s;"]+', lists)}
    there = [
        name
        for name in tests
        if re.sub(r"^test_|\.py$", "", name) in names or (ROOT / "tests" / "vm" / name).exists()
    ]
    assert said
    assert there


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
