"""What command rules come to for programs."""

from __future__ import annotations

import msgspec
import pytest

from clove.policy import EVERY_PROGRAM, Level, Programs, for_level, programs_of

STANDARD = for_level(Level.STANDARD)


def test_a_level_without_rules_holds_nothing() -> None:
    assert programs_of(STANDARD) == programs_of(for_level("unrestricted")) == EVERY_PROGRAM


@pytest.mark.parametrize("level", ["readonly", "minimal"])
def test_without_exec_nothing_is_allowed(level: str) -> None:
    assert programs_of(for_level(level)) == Programs(allowed=())
    listed = msgspec.structs.replace(for_level(level), allowed_commands=("ls",))
    assert programs_of(listed).allowed == ()


def test_blocked_rules_with_words_are_kept_apart() -> None:
    rules = ("dd", "git push", "/opt/dd", "rm -rf")
    found = programs_of(msgspec.structs.replace(STANDARD, blocked_commands=rules))
    assert found == Programs(blocked=("dd",), worded=("git push", "rm -rf"))


def test_of_allowed_rules_the_program_counts() -> None:
    rules = ("ls", "ls -l", "/usr/bin/git status", "/opt/x/tool", "./own")
    found = programs_of(msgspec.structs.replace(STANDARD, allowed_commands=rules))
    assert found.allowed == ("ls", "git", "/opt/x/tool", "./own")


def test_the_level_sandboxed_blocks_programs() -> None:
    found = programs_of(for_level("sandboxed"))
    assert "mount" in found.blocked
    assert found.worded == ("rm -rf",)
    assert found.allowed is None
