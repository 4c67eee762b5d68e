"""What it may cost to judge a command: counted steps, never time."""

from __future__ import annotations

import pytest

from clove.errors import LimitExceeded
from clove.policy import check_command
from clove.policy import commands as judging
from clove.policy.work import MAX_STEPS
from tests.unit.policy.policy_lists import lists


def judged(line: str | list[str], **fields: tuple[str, ...]) -> str:
    permissions = lists(**(fields or {"blocked_commands": ("dd", "a -b")}))
    return check_command(permissions, line).rule


@pytest.mark.parametrize(
    "line",
    [
        "a;" * 600,
        "env " + "sh " * 31 + "-c '" + "a;" * 8000 + "'",
        "env " + "sh " * 31 + "-c '" + ";" * 16000 + "'",
        ["env"] * 250_000,
        ["a", *["-x"] * 200_000],
        ["a", "-" + "x" * (1 << 20)],
        ["env", *["sh"] * 100_000],
        ["find", *["-exec"] * 100_000],
    ],
    ids=["commands", "shells", "quoted", "wrappers", "words", "letters", "wrapped", "finds"],
)
def test_a_command_that_takes_too_much_to_judge_is_refused(line: str | list[str]) -> None:
    assert judged(line) == "command-unreadable"


@pytest.mark.parametrize(
    "line", ["a -b x;" * 2300, "env " + "sh " * 31 + "-c '" + "a;" * 8000 + "'", "if " * 5000 + "x"]
)
def test_judging_is_counted(line: str) -> None:
    judge = judging._Judge(lists(blocked_commands=tuple(f"a -b {one}" for one in range(100))))
    try:
        judge.line(line)
    except LimitExceeded:
        pass
    else:
        assert judge.work.spent > len(line) // 4
    assert judge.work.spent < MAX_STEPS + (1 << 14)


def test_a_letter_of_an_option_counts_wherever_it_stands() -> None:
    assert judged(["a", "-" + "x" * 5000 + "b"]) == "blocked_commands: a -b"


def test_ordinary_long_commands_are_judged() -> None:
    assert judged(["ls", *[f"file{number}" for number in range(5000)]]) == "blocked_commands"
    assert judged("; ".join(["echo some words"] * 200)) == "blocked_commands"
