"""The reference pages say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.reference import Section, configuration, limits, row

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _named(section: Section) -> str:
    return section.key or section.name


@pytest.mark.parametrize("section", limits(), ids=_named)
def test_every_limit_is_in_the_documentation_with_its_default(section: Section) -> None:
    text = (DOCS / "limits.md").read_text()
    heading = f"### `[{section.key}]`" if section.key else f"### `{section.name}`"
    _, found, after = text.partition(heading + "\n")
    assert found, f"{heading} is not there; run `make reference`"
    own = after.split("\n### ")[0]
    for field in section.fields:
        assert row(field) in own, f"{field.name} is not there; run `make reference`"


@pytest.mark.parametrize("section", limits(), ids=_named)
def test_every_limit_says_what_it_does(section: Section) -> None:
    for field in section.fields:
        assert field.text, f"{section.name}.{field.name} has no docstring below it"


@pytest.mark.parametrize("section", configuration(), ids=_named)
def test_every_key_is_in_the_documentation(section: Section) -> None:
    text = (DOCS / "configuration.md").read_text()
    for field in section.fields:
        assert row(field) in text, f"{section.key}.{field.name}: run `make reference`"


def test_the_parts_are_all_there() -> None:
    """The test above would pass if nothing were found."""
    names = {section.name for section in limits()}
    assert {"ConnectionLimits", "MailLimits", "AgentLimits", "LLMLimits", "EgressLimits"} <= names
