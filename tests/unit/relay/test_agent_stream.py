"""How one agent's stream goes to its reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.relay.rest.agent_stream import AgentStream
from clove.relay.rest.kept_output import Part


class Sleeper:
    """A reader that takes nothing until it is woken."""

    def __init__(self) -> None:
        self.paused = True
        self.aborted = False
        self.heard: list[object] = []

    def output(self, part: Part) -> None:
        self.heard.append(part.data)

    def event(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.heard.append(kind)

    def taken(self, written: int) -> int:
        return written

    def abort(self) -> None:
        self.aborted = True


def reading(reader: Sleeper) -> tuple[AgentStream, Deferred[None]]:
    stream = AgentStream(Clock(), 1, 0, 1 << 20, attached=False)
    stream.kept.add(
        {"offset": 0, "pieces": [{"stream": "stdout", "size": 1}], "data": b"x", "next": 1}
    )
    return stream, Deferred.fromCoroutine(stream.deliver(reader, 0))


def test_a_reader_that_takes_nothing_is_cut_off_with_its_token() -> None:
    reader = Sleeper()
    stream, delivering = reading(reader)
    stream.bell.ring()
    assert not delivering.called
    stream.cut_off()
    assert delivering.called
    assert (reader.aborted, reader.heard) == (True, [])


def test_one_that_reads_gets_what_there_is() -> None:
    reader = Sleeper()
    stream, delivering = reading(reader)
    reader.paused = False
    stream.end = {}
    stream.cut_off()
    assert delivering.called
    assert (reader.aborted, reader.heard) == (False, [b"x", "exit"])
