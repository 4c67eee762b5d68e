"""The blocking client: replies in pieces, and pushed events."""

from __future__ import annotations

from typing import Any

import pytest

from clove import CloveClient
from clove.client.limits import ClientLimits
from clove.errors import (
    LimitExceeded,
)
from clove.framing import Opcode
from tests.unit.client.echoing import echo


def test_streams_give_pieces_and_then_the_whole(peer: Any) -> None:
    def answer(ask: Any) -> Any:
        assert ask.fields["stream"] is True
        ask.reply({"success": True, "content": "one "}, more=True)
        ask.reply({"success": True, "content": "two"}, more=True)
        return {"success": True, "content": "one two", "tokens": 2}

    peer.answer = answer
    with CloveClient(peer.path) as client:
        stream = client.think_stream("count")
        assert list(stream) == ["one ", "two"]
        assert stream.result is not None
        assert stream.result["tokens"] == 2
        assert client.think_stream("again").finish()["content"] == "one two"


def test_other_calls_work_while_a_stream_is_open(peer: Any) -> None:
    def answer(ask: Any) -> Any:
        if ask.opcode == Opcode.LOGS:
            for number in range(3):
                ask.reply({"success": True, "lines": [{"offset": number}]}, more=True)
            return {"success": True, "lines": []}
        return echo(ask)

    peer.answer = answer
    with CloveClient(peer.path) as client:
        seen = []
        for line in client.follow_logs("a"):
            assert client.noop(b"x") == b"x"
            seen.append(line["offset"])
        assert seen == [0, 1, 2]


def test_leaving_a_stream_cancels_it(peer: Any) -> None:
    def answer(ask: Any) -> Any:
        if ask.opcode == Opcode.THINK:
            ask.reply({"success": True, "content": "first"}, more=True)
            return None
        return echo(ask)

    peer.answer = answer
    with CloveClient(peer.path) as client:
        with client.think_stream("x") as stream:
            assert next(stream) == "first"
        assert client.noop() == b""
        assert peer.opcodes()[-2:] == ["CANCEL", "NOOP"]
        for piece in client.think_stream("y"):
            assert piece == "first"
            break
        client.noop()
        assert peer.opcodes()[-2:] == ["CANCEL", "NOOP"]


def test_an_unread_stream_is_bounded(peer: Any) -> None:
    def answer(ask: Any) -> Any:
        if ask.opcode == Opcode.EXEC:
            for _ in range(40):
                ask.reply({"success": True, "stdout": "x" * 1000}, more=True)
            return {"success": True, "stdout": ""}
        return echo(ask)

    peer.answer = answer
    with CloveClient(peer.path, limits=ClientLimits(stream_bytes=10_000)) as client:
        stream = client.exec_stream("flood")
        client.noop()
        with pytest.raises(LimitExceeded):
            stream.finish()


def test_pushed_events_are_kept_and_bounded(peer: Any) -> None:
    def answer(ask: Any) -> Any:
        for number in range(5):
            ask.link.push({"type": "CUSTOM", "data": {"n": number}})
        return {"success": True, "subscribed": ["CUSTOM"]}

    peer.answer = answer
    with CloveClient(peer.path, limits=ClientLimits(events=3)) as client:
        client.subscribe("CUSTOM", push=True)
        events = [client.next_event(10) for _ in range(3)]
        assert [event["data"]["n"] for event in events if event] == [2, 3, 4]
        assert client.next_event(0.0) is None
