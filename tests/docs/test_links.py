"""What the pages that newcomers read first lead to is there."""

from __future__ import annotations

import re

import pytest

from tests.docs.test_pages import PAGES, TREE

_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    path = TREE / page
    for link in _LINK.findall(path.read_text()):
        if link.startswith(("https:", "http:")):
            continue
        name, _, heading = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not heading or heading in _headings(target.read_text()), link


def _headings(text: str) -> set[str]:
    """As GitHub names them."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}


def test_the_make_targets_of_the_readme_are_there() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", (TREE / "README.md").read_text()))
    targets = set(re.findall(r"^([a-z-]+):.*## ", (TREE / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "venv"} <= named <= targets
