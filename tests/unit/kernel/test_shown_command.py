"""The line that says what an agent runs."""

from __future__ import annotations

import pytest

from clove.kernel.agents.starts import MOST_CODE, SHOWN, shown_command
from clove.messages.agents import SpawnRequest

LONG = "x" * (MOST_CODE + 1)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["python3", "-c", LONG, "work.py", "a b"], "python3 -c … work.py 'a b'"),
        (["python3", "-c", LONG[:-1], "work.py"], f"python3 -c {LONG[:-1]} work.py"),
        (["sh", "-c", LONG], f"sh -c {LONG}"),
        (["tool", LONG, "-c", "-c", LONG], f"tool {LONG} -c -c {LONG}"),
        (["-c", LONG, "x"], f"-c {LONG} x"),
        (["cat", *["y"] * 1000], ("cat " + "y " * 1000)[: SHOWN - 1] + "…"),
    ],
)
def test_long_code_before_other_words_is_left_out(words: list[str], shown: str) -> None:
    assert shown_command(SpawnRequest(name="a", command=words)) == shown


def test_a_script_is_shown_with_its_arguments() -> None:
    request = SpawnRequest(name="a", script="/app/a b.py", args=["-v"])
    assert shown_command(request) == "'/app/a b.py' -v"
