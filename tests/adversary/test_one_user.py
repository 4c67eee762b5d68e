"""An agent takes all that Linux counts for a user; the kernel and the other agents go on.

Under a rootless kernel all of them are one user. docs/limits.md says for each of these
resources what holds it ("What one user shares").
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from tests.adversary.arena import Arena, emptied

BY_LANDLOCK = [0, "EACCES"]
"""Where there is Landlock no agent has a message queue: none is below what it may write to."""
PROGRAM = Path(__file__).with_name("taking_all.py")


class Fixture:
    """A thief that has taken what it could, and an agent that was there before.

    @ivar taken: what the thief got; see `taking_all.py`.
    """

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.other = arena.begin_file(str(PROGRAM), permissions={"level": "standard"})["id"]
        self.thief = arena.begin_file(str(PROGRAM), permissions={"level": "standard"})["id"]
        self.taken: dict[str, list[Any]] = arena.say(self.thief, "take")


@pytest.fixture(scope="module")
def fixture(arena: Arena) -> Iterator[Fixture]:
    with emptied(arena):
        yield Fixture(arena)


AS_THE_OTHER = """
import sys
from clove import CloveClient
with CloveClient() as client:
    print(client.write_file("/workspace/written", "text")["bytes_written"])
    print(client.read_file("/workspace/written")["content"])
    print(client.exec(["echo", "run"])["stdout"].strip())
"""


def test_what_the_thief_gets_has_an_end(fixture: Fixture) -> None:
    taken = fixture.taken
    assert taken["in_flight"][1] in ("ETOOMANYREFS", "EMFILE")
    assert taken["in_flight"][0] * 100 <= 1200
    assert taken["inotify_instance"] == [16, "EMFILE"]
    assert taken["message_queue"] in ([1, "EMFILE"], BY_LANDLOCK)
    assert taken["locked"][0] <= 4
    assert taken["locked"][1] in ("ENOMEM", "EAGAIN")
    signals = taken["timer"][0] + 100 * taken["queued_signal"][0]
    assert 900 <= signals <= 1100


def test_another_agent_can_use_the_same(fixture: Fixture) -> None:
    used = fixture.arena.say(fixture.other, "use")
    if fixture.taken["message_queue"] == BY_LANDLOCK:
        assert used.pop("message_queue") == "EACCES"
    assert set(used.values()) == {"had"}, used


def test_a_new_agent_reads_writes_and_runs_commands(fixture: Fixture) -> None:
    started = fixture.arena.begin(AS_THE_OTHER)
    fixture.arena.client.wait(started["id"], timeout=50)
    lines = fixture.arena.client.logs(started["id"])["lines"]
    assert [line["text"].strip() for line in lines] == ["4", "text", "run"]


def test_a_new_agent_with_a_network_starts(fixture: Fixture) -> None:
    started = fixture.arena.begin("print(1)", network=True)
    assert fixture.arena.printed(started["id"]) == 1


def test_the_kernel_serves_new_connections(fixture: Fixture) -> None:
    with CloveClient(fixture.arena.kernel.socket) as client:
        assert fixture.thief in [agent["id"] for agent in client.list_agents()]
