"""Which attempt a syscall becomes, what is read from its output, what a difference means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clove.kernel.attempts.differences import (
    NO_LANDLOCK,
    ONE_PROGRAM,
    TELL_US,
    UNHEARD,
    UNREACHED,
    UNRELIABLE,
    Place,
    note,
)
from clove.kernel.attempts.outcome import FAILED, NOT_TRIED, SUCCEEDED, Outcome, read_outcome
from clove.kernel.attempts.question import question
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
    words = question("EXEC", {"command": command}).words
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
    asked = question(syscall, arguments)
    assert asked.reason
    assert not asked.words


def test_a_request_is_a_connection_to_its_host() -> None:
    assert question("HTTP", {"url": "https://API.test/x"}).tried == "connect to api.test:443"
    assert question("CONNECT", {"host": "api.test", "port": 22}).tried == "connect to api.test:22"


def test_a_long_path_is_cut_in_the_words_for_people_alone() -> None:
    path = "/" + "x" * 3000
    asked = question("WRITE", {"path": path, "mode": "append"})
    assert len(asked.tried) < 300
    assert asked.words == {"what": "WRITE", "path": path, "append": True}


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
    assert found.detail == "the attempt gave no result: exit code 1"


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
INSIDE, STALE = Place(sandboxed=True), Place(sandboxed=True, stale=True)


def rule(text: str) -> Decision:
    return Decision(False, text)


def refused(name: str) -> Outcome:
    return Outcome(happened=FAILED, errno_name=name)


@pytest.mark.parametrize(
    ("syscall", "path", "decision", "outcome", "place", "said"),
    [
        ("READ", "/workspace/x", NO, WELL, INSIDE, "own-places"),
        ("READ", "/proc/self/status", NO, WELL, INSIDE, "own-process"),
        ("READ", "/data/out/x", NO, WELL, INSIDE, "writable-is-readable"),
        ("READ", "/data/x.key", BLOCKED, WELL, INSIDE, "later-names"),
        ("READ", "/data/x", NO, WELL, Place(True, stale=True), "until-restart"),
        ("READ", "/data/x", YES, refused("ENOENT"), Place(True, stale=True), "until-restart"),
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
        ("HTTP", "", YES, refused("EAI_AGAIN"), Place(True, network=False), "own-network"),
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
        ("READ", "/data/x", YES, refused("EACCES"), Place(sandboxed=False), UNHEARD),
        ("READ", "/data/x", NO, WELL, Place(sandboxed=False), "not contained"),
        ("READ", "/data/x", NO, WELL, INSIDE, TELL_US),
    ],
)
def test_differences_have_names(
    syscall: str, path: str, decision: Decision, outcome: Outcome, place: Place, said: str
) -> None:
    writable = ["/data/out/**", "/tmp/granted/**"]
    paths = {"allowed_read_paths": ["/data/**"], "allowed_write_paths": writable}
    permissions = parse("standard", paths)
    assert said in note(syscall, path, decision, outcome, permissions, place)


def test_no_note_where_they_agree_or_nothing_was_tried() -> None:
    permissions = parse("standard")
    assert note("READ", "/x", YES, WELL, permissions, INSIDE) == ""
    assert note("READ", "/x", NO, refused("ENOENT"), permissions, INSIDE) == ""
    assert note("READ", "/x", NO, Outcome(), permissions, INSIDE) == ""


@pytest.mark.parametrize("decision", [YES, NO])
def test_where_nobody_knows_it_neither_agrees_nor_differs(decision: Decision) -> None:
    told = Outcome(happened=SUCCEEDED, reliable=False)
    assert told.succeeded is None
    assert note("READ", "/x", decision, told, parse("standard"), INSIDE) == UNRELIABLE
