"""CONTRIBUTING says which files a new syscall touches: looked up, by those of one that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
SECTION = PAGE.partition("## Adding a syscall")[2].partition("\n## ")[0]
STEPS = re.findall(r"^\d+\. `([^`]+)`: ", SECTION, re.MULTILINE)
NUMBERS = ("seven", "eight", "nine", "ten", "eleven", "twelve")
GENERATED = ROOT / "clove/client/results"
SEARCHED = ("clove", "docs", "tests/conformance")
"""Where every mention of a syscall is one that a new syscall would need, too."""
GRANTED = ROOT / "clove/kernel/remote/granted.py"
"""Has those that remote callers may make, and no others."""
USERS = ROOT / "clove/cli"
"""Asks the kernel as any program does."""


def files_with(*names: str) -> set[str]:
    """The files with one of these words."""
    words = re.compile(rf"\b({'|'.join(names)})\b")
    return {
        str(path.relative_to(ROOT))
        for folder in SEARCHED
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".toml")
        and path.parent not in (GENERATED, USERS)
        and path != GRANTED
        and words.search(path.read_text())
    }


def file_of(step: str, found: set[str]) -> str:
    """The file that a step means: itself, or the one that was found in that folder and no step names."""
    if not step.endswith("/"):
        return step
    inside = [path for path in found - set(STEPS) if path.startswith(step)]
    assert len(inside) == 1, f"{step}: {inside}"
    return inside[0]


def test_a_syscall_stands_in_the_files_that_are_listed_and_no_others() -> None:
    found = files_with("METRICS_SYSTEM", "MetricsSystemReply", "get_system_metrics")
    assert found == {file_of(step, found) for step in STEPS}
    assert f"touches {NUMBERS[len(STEPS) - 7]} files" in SECTION


@pytest.mark.parametrize(
    "names",
    [
        ("KEYS", "KeysRequest", "list_keys"),
        ("LLM_REPORT", "LLMReportRequest", "llm_report"),
        ("UNSUBSCRIBE", "UnsubscribeRequest", "unsubscribe"),
        ("REGISTER", "RegisterRequest", "register_name"),
    ],
    ids=lambda names: names[0],
)
def test_no_listed_file_could_be_left_out(names: tuple[str, ...]) -> None:
    found = files_with(*names)
    assert {step for step in STEPS if not step.endswith("/")} <= found
    assert all(any(path.startswith(step) for path in found) for step in STEPS)
