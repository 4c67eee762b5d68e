"""Requests that come in any pieces, and which replies go out together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from clove.framing import MORE, TAG, Opcode, encode, split_tag
from clove.kernel.connection.framing_v1 import FLUSH
from clove.kernel.connection.limits import ConnectionLimits
from clove.messages.base import Reply
from tests.unit.kernel.connection_peer import Peer

ASKED = st.tuples(
    st.sampled_from([0, 2, 4, int(Opcode.READ) + 1]), st.binary(max_size=40), st.integers(1, 9)
)


def _replies(version: int, requests: list[tuple[int, bytes, int]], cuts: set[int]) -> list[Any]:
    peer = Peer()
    if version == 2:
        peer.hello()
    said = b"".join(
        encode(7, opcode, TAG.pack(tag) + body if version == 2 else body)
        for opcode, body, tag in requests
    )
    at = 0
    for cut in (*sorted(each for each in cuts if each < len(said)), len(said)):
        if said[at:cut]:
            peer.connection.data_received(said[at:cut])
        at = cut
    assert peer.connection.flow.received == len(requests) + (version == 2)
    return peer.hears()


@given(st.sampled_from([1, 2]), st.lists(ASKED, max_size=12), st.sets(st.integers(1, 800)))
def test_replies_do_not_depend_on_the_pieces(
    version: int, requests: list[tuple[int, bytes, int]], cuts: set[int]
) -> None:
    expected = [
        (opcode, TAG.pack(tag) + body if version == 2 else body) for opcode, body, tag in requests
    ]
    assert _replies(version, requests, cuts) == expected


@pytest.mark.parametrize("version", [1, 2])
def test_a_request_of_the_largest_size_and_one_byte_more(version: int) -> None:
    peer = Peer(ConnectionLimits(max_payload=100))
    if version == 2:
        peer.hello()
    tag = 5 if version == 2 else None
    peer.say(2, b"x" * 100, tag)
    [(_, payload)] = peer.hears()
    assert payload.endswith(b"x" * 100)
    peer.say(2, b"x" * 101, tag)
    [(_, payload)] = peer.hears()
    assert b"limit" in payload
    assert peer.channel.closing


class Sends:
    """Counts what is sent at once."""

    def __init__(self, peer: Peer) -> None:
        self.sizes: list[int] = []
        self._send = peer.connection.sender._send_now
        peer.connection.sender._send_now = self

    def __call__(self, data: bytes) -> int:
        self.sizes.append(len(data))
        return self._send(data)


def _tagged(opcode: int, tag: int, body: bytes = b"") -> bytes:
    return encode(0, opcode, TAG.pack(tag) + body)


def test_replies_of_version_2_to_one_piece_go_out_together() -> None:
    peer = Peer()
    peer.hello()
    sends = Sends(peer)
    peer.connection.data_received(b"".join(_tagged(2, tag) for tag in range(1, 65)))
    assert len(sends.sizes) == 1
    assert [split_tag(payload)[0] for _, payload in peer.hears()] == list(range(1, 65))


def test_replies_are_not_gathered_without_end() -> None:
    peer = Peer()
    peer.hello()
    sends = Sends(peer)
    body = b"x" * 4000
    peer.connection.data_received(b"".join(_tagged(0, tag, body) for tag in range(1, 201)))
    assert len(peer.hears()) == 200
    assert len(sends.sizes) == 4
    assert max(sends.sizes) < FLUSH + 5000


def test_what_a_request_has_pushed_comes_after_the_replies_before_it() -> None:
    peer = Peer()
    peer.hello()
    event = Reply()

    def answer(principal: Any, opcode: int, payload: bytes, stream: Any, push: Any) -> Any:
        if opcode == Opcode.STORE:
            assert push(event)
        if opcode == Opcode.LOGS:
            stream()(event)
        return b"{}"

    peer.answers.answer = answer  # type: ignore[method-assign, assignment]
    said = (_tagged(Opcode.SUBSCRIBE, 1), _tagged(Opcode.STORE, 2), _tagged(Opcode.LOGS, 3))
    peer.connection.data_received(b"".join(said))
    heard = [(opcode, split_tag(payload)[0]) for opcode, payload in peer.hears()]
    assert heard == [
        (Opcode.SUBSCRIBE, 1),
        (Opcode.EMIT, 0),
        (Opcode.STORE, 2),
        (Opcode.LOGS, 3 | MORE),
        (Opcode.LOGS, 3),
    ]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_connection_that_its_own_request_closes(end: str) -> None:
    """As KILL of oneself does: what was answered before is sent, nothing after is served."""
    peer = Peer()
    peer.hello()
    served: list[int] = []

    def answer(principal: Any, opcode: int, payload: bytes, stream: Any, push: Any) -> Any:
        served.append(opcode)
        if opcode == Opcode.KILL:
            if end == "abort":
                peer.lose()
            else:
                peer.connection.close()
        return b"{}"

    peer.answers.answer = answer  # type: ignore[method-assign, assignment]
    said = (_tagged(2, 1), _tagged(Opcode.KILL, 2), _tagged(4, 3))
    peer.connection.data_received(b"".join(said))
    assert served == [2, Opcode.KILL]
    if end == "close":
        assert [split_tag(payload)[0] for _, payload in peer.hears()] == [1, 2]


def test_few_outstanding_requests_may_be_allowed() -> None:
    peer = Peer(ConnectionLimits(max_outstanding=2))
    peer.hello()
    for tag in (1, 2, 3):
        peer.say(3, b"", tag)
    [(_, payload)] = peer.hears()
    assert split_tag(payload)[0] == 3
    assert b"limit_exceeded" in payload
    waiting: Deferred[bytes] = peer.answers.waiting[0]
    waiting.callback(b"{}")
    peer.hears()
    peer.say(2, b"", 4)
    assert [split_tag(payload)[0] for _, payload in peer.hears()] == [4]
