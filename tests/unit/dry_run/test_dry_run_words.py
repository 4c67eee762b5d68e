"""Which dry run a syscall becomes, what is read from its output, the diagnosis where policy differs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clove.kernel.dry_run.diagnosis import (
    NO_LANDLOCK,
    ONE_PROGRAM,
    TELL_US,
    UNHEARD,
    UNREACHED,
    UNRELIABLE,
    Conditions,
    diagnose,
)
from clove.kernel.dry_run.outcome import FAILED, NOT_TRIED, SUCCEEDED, Outcome, read_outcome
from clove.kernel.dry_run.plan import plan_for
from clove.policy import Decision, parse


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("git push", "git"),
        ("/usr/bin/env python3", "/usr/bin/env"),
        ("A=1 B=2 make -j4 | tee log", "make"),
        ("cd /tmp && ls", "/bin/sh"),
        ("$EDITOR notes", "/bin/sh"),
        ("'unclosed", "/bin/sh"),
        ("# nothing", "/bin/sh"),
        (["git", "push"], "git"),
        (["A=1"], "A=1"),
    ],
)
def test_the_program_that_a_command_starts_first(command: str | list[str], program: str) -> None:
    words = plan_for("EXEC", {"command": command}).instructions
    assert (words["program"], words["shell"]) == (program, isinstance(command, str))


@pytest.mark.parametrize(
    ("syscall", "arguments"),
    [
        ("THINK", {}),
        ("SPAWN", {"name": "x"}),
        ("SEND", {"to": 1}),
        ("EXEC", {"command": ""}),
        ("EXEC", {"command": []}),
        ("EXEC", {"command": ["a\0b"]}),
        ("EXEC", {"command": "x" * 20000}),
        ("READ", {"path": "/a\0b"}),
        ("HTTP", {"url": "mailto:nobody"}),
    ],
)
def test_what_cannot_be_tried_says_why(syscall: str, arguments: dict[str, Any]) -> None:
    plan = plan_for(syscall, arguments)
    assert plan.reason
    assert not plan.instructions


def test_a_request_is_a_connection_to_its_host() -> None:
    assert plan_for("HTTP", {"url": "https://API.test/x"}).tried == "connect to api.test:443"
    assert plan_for("CONNECT", {"host": "api.test", "port": 22}).tried == "connect to api.test:22"


def test_a_long_path_is_cut_in_the_words_for_people_alone() -> None:
    path = "/" + "x" * 3000
    plan = plan_for("WRITE", {"path": path, "mode": "append"})
    assert len(plan.tried) < 300
    assert plan.instructions == {"what": "WRITE", "path": path, "append": True}


def test_the_last_line_counts() -> None:
    said = b'{"happened": "failed"}\nnoise\n{"happened": "succeeded", "detail": "yes"}\n'
    assert read_outcome("x", said, "") == Outcome(tried="x", happened=SUCCEEDED, detail="yes")


@pytest.mark.parametrize(
    "said",
    [b"", b"\xff", b"[]", b"nothing", b'{"happened": "maybe"}', b'{"happened": []}', b"[" * 100000],
)
def test_what_is_no_result_is_none(said: bytes) -> None:
    found = read_outcome("x", said, "exit code 1")
    assert found.happened == NOT_TRIED
    assert found.succeeded is None
    assert found.detail == "the dry run gave no result: exit code 1"


def test_no_more_is_believed_of_a_result_than_its_form() -> None:
    said = {"happened": FAILED, "error": 7, "errno_name": "E" * 5000, "detail": "\x1b[2J\ud800"}
    found = read_outcome("x", json.dumps(said).encode(), "").to_wire()
    assert found["error"] == ""
    assert len(found["errno_name"]) == 400
    assert found["detail"] == "?[2J\\ud800"
    json.dumps(found, ensure_ascii=False).encode()


YES = Decision(True, "level: standard")
NO = Decision(False, "allowed_read_paths")
BLOCKED = Decision(False, "blocked_paths: **/*.key")
WELL = Outcome(happened=SUCCEEDED)
WITHOUT_LANDLOCK = Outcome(happened=SUCCEEDED, sandbox={"landlock": False})
INSIDE, STALE = Conditions(sandboxed=True), Conditions(sandboxed=True, stale=True)


def rule(text: str) -> Decision:
    return Decision(False, text)


def refused(name: str) -> Outcome:
    return Outcome(happened=FAILED, errno_name=name)


@pytest.mark.parametrize(
    ("syscall", "path", "decision", "outcome", "conditions", "said"),
    [
        ("READ", "/workspace/x", NO, WELL, INSIDE, "own-places"),
        ("READ", "/src/repo/.git/HEAD", NO, WELL, INSIDE, "worktrees"),
        ("READ", "/proc/self/status", NO, WELL, INSIDE, "own-process"),
        ("READ", "/data/out/x", NO, WELL, INSIDE, "writable-is-readable"),
        ("READ", "/data/x.key", BLOCKED, WELL, INSIDE, "later-names"),
        ("READ", "/data/x", NO, WELL, Conditions(True, stale=True), "until-restart"),
        ("READ", "/data/x", YES, refused("ENOENT"), Conditions(True, stale=True), "until-restart"),
        ("EXEC", "", rule("blocked_commands: git push"), WELL, INSIDE, "command-words"),
        ("EXEC", "", rule("blocked_commands: git push"), WELL, STALE, "command-words"),
        ("EXEC", "", rule("blocked_commands: git"), WELL, INSIDE, ONE_PROGRAM),
        ("EXEC", "", rule("blocked_commands: git"), WELL, STALE, "until-restart"),
        ("EXEC", "", rule("allowed_commands"), WELL, INSIDE, "command-names"),
        ("EXEC", "", rule("allowed_commands"), WELL, STALE, "until-restart"),
        ("EXEC", "", rule("allowed_commands"), WITHOUT_LANDLOCK, INSIDE, NO_LANDLOCK),
        ("EXEC", "", rule("level: readonly"), WITHOUT_LANDLOCK, INSIDE, NO_LANDLOCK),
        ("EXEC", "", rule("level: readonly"), WELL, INSIDE, "start-programs"),
        ("HTTP", "", NO, WELL, INSIDE, "own-requests"),
        ("HTTP", "", YES, refused("EAI_AGAIN"), Conditions(True, network=False), "own-network"),
        ("HTTP", "", YES, refused("ETIMEDOUT"), INSIDE, UNREACHED),
        ("READ", "/srv/x", YES, refused("ENOENT"), INSIDE, "no such path"),
        ("READ", "/data/x", YES, refused("ENOENT"), INSIDE, "needs a restart"),
        ("WRITE", "/data/out/y/x", YES, refused("ENOENT"), INSIDE, "directory is not there"),
        ("READ", "/tmp/x", YES, refused("ENOENT"), INSIDE, "its own sandbox's"),
        ("WRITE", "/tmp/granted/y/x", YES, refused("ENOENT"), INSIDE, "directory is not there"),
        ("READ", "/workspace/x", YES, refused("ENOENT"), INSIDE, "there is no such file"),
        ("WRITE", "/workspace/y/x", YES, refused("ENOENT"), INSIDE, "directory is not there"),
        ("WRITE", "/data/x", YES, refused("EROFS"), INSIDE, "read-only"),
        ("READ", "/data/x", YES, refused("EACCES"), INSIDE, "owner and mode"),
        ("EXEC", "", YES, refused("ENOENT"), INSIDE, "no such program"),
        ("EXEC", "", YES, refused("EACCES"), INSIDE, "What can be executed"),
        ("EXEC", "", YES, refused("EACCES"), STALE, "until-restart"),
        ("EXEC", "", YES, refused("ENOEXEC"), INSIDE, UNHEARD),
        ("READ", "/data/x", YES, refused("EACCES"), Conditions(sandboxed=False), UNHEARD),
        ("READ", "/data/x", NO, WELL, Conditions(sandboxed=False), "not contained"),
        ("READ", "/data/x", NO, WELL, INSIDE, TELL_US),
    ],
)
def test_differences_have_names(
    syscall: str, path: str, decision: Decision, outcome: Outcome, conditions: Conditions, said: str
) -> None:
    writable = ["/data/out/**", "/tmp/granted/**"]
    paths = {"allowed_read_paths": ["/data/**"], "allowed_write_paths": writable}
    permissions = parse("standard", paths)
    assert said in diagnose(syscall, path, decision, outcome, permissions, conditions)


def test_no_note_where_they_agree_or_nothing_was_tried() -> None:
    permissions = parse("standard")
    assert diagnose("READ", "/x", YES, WELL, permissions, INSIDE) == ""
    assert diagnose("READ", "/x", NO, refused("ENOENT"), permissions, INSIDE) == ""
    assert diagnose("READ", "/x", NO, Outcome(), permissions, INSIDE) == ""


@pytest.mark.parametrize("decision", [YES, NO])
def test_an_unknown_outcome_neither_agrees_nor_differs(decision: Decision) -> None:
    told = Outcome(happened=SUCCEEDED, reliable=False)
    assert told.succeeded is None
    assert diagnose("READ", "/x", decision, told, parse("standard"), INSIDE) == UNRELIABLE
