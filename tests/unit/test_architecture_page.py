"""docs/architecture.md is true as far as that can be told: what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
TEXT = PAGE.read_text()
LATER: set[str] = set()
"""What the page says is not there yet."""
CODE = re.sub(r"(?s)^ {4}.*?$", "", TEXT, flags=re.MULTILINE)
PATHS = sorted(set(re.findall(r"`((?:[\w.-]+/)+(?:[\w.-]+\.\w+)?)`", CODE)) - LATER)
DIAGRAMS = sorted(set(re.findall(r"(?:kernel|clove|sandbox)/[\w/]+(?:\.py)?", TEXT)))


def found(path: str) -> bool:
    return any((base / path).exists() for base in (ROOT, ROOT / "clove"))


def test_it_names_paths() -> None:
    assert len(PATHS) > 20
    assert len(DIAGRAMS) > 20


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_there(path: str) -> None:
    assert found(path)


@pytest.mark.parametrize("path", DIAGRAMS)
def test_a_path_of_the_picture_is_there(path: str) -> None:
    assert path in LATER or found(path)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", TEXT))))
def test_a_link_leads_somewhere(target: str) -> None:
    assert (PAGE.parent / target).exists()


@pytest.mark.parametrize("path", sorted(LATER))
def test_what_is_said_to_come_is_not_there_yet(path: str) -> None:
    assert path in TEXT
    assert not found(path)


def test_every_package_of_the_kernel_is_in_it() -> None:
    for package in sorted((ROOT / "clove" / "kernel").glob("*/__init__.py")):
        assert re.search(rf"\b{package.parent.name}\b", TEXT), package.parent.name


def test_it_is_read_in_ten_minutes() -> None:
    assert len(TEXT.split()) < 2000  # at 200 words a minute
