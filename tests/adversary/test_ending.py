"""Agents that hand their output on, so that it never ends: they are over when their processes are."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.adversary.arena import Arena

PROGRAM = (Path(__file__).parent / "ending_attempts.py").read_text()
ESCAPES = """
import os, sys
if os.fork() == 0:
    os.setsid()
    os.execv("/bin/sleep", ["sleep", "3000"])
print("last words", flush=True)
"""


@pytest.fixture(scope="module")
def there(arena_on_linux: tuple[str, Arena]) -> Arena:
    """A kernel, and a way to start agents."""
    return arena_on_linux[1]


def text(arena: Arena, agent_id: int) -> list[str]:
    return [line["text"] for line in arena.client.logs(agent_id)["lines"]]


def test_output_sent_into_a_connection_does_not_keep_an_agent(there: Arena) -> None:
    reply = there.begin(PROGRAM, "connection", name="undead")
    ended = there.client.wait(reply["id"], timeout=40)
    assert ended["exit_code"] == 0, text(there, reply["id"])
    assert text(there, reply["id"])[-1] == "last words"
    again = there.begin(PROGRAM, "connection", name="undead")  # its name is free
    there.client.wait(again["id"], timeout=40)


@pytest.mark.parametrize("way", ["escaped", "orphan"])
@pytest.mark.parametrize("sandboxed", [True, False], ids=["sandboxed", "unsandboxed"])
def test_an_escaped_process_does_not_keep_an_agent(arena: Arena, way: str, sandboxed: bool) -> None:
    reply = arena.begin(PROGRAM, way, sandboxed=sandboxed, name="undead")
    ended = arena.client.wait(reply["id"], timeout=40)
    assert ended["exit_code"] == 0
    lines = text(arena, reply["id"])
    assert lines[-1] == "last words"
    for line in lines:
        if line.startswith("escaped") and not sandboxed:  # uncontained: perhaps it is still there
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line.split()[1]), signal.SIGKILL)


@pytest.mark.parametrize("sandboxed", [True, False], ids=["sandboxed", "unsandboxed"])
def test_an_escaped_process_does_not_keep_a_command(arena: Arena, sandboxed: bool) -> None:
    source = f"""
import json, sys
from clove import CloveClient
with CloveClient() as client:
    done = client.exec([sys.executable, "-c", {ESCAPES!r}], timeout=40)
print(json.dumps([done["exit_code"], done["stdout"], done["timed_out"]]))
"""
    assert arena.run(source, sandboxed=sandboxed) == [0, "last words\n", False]
