"""What came before bytes that are no frame is answered, whoever waits for what; then the connection is closed."""

from __future__ import annotations

import gc
import json
import weakref

import pytest

from clove.framing import HEADER, MAGIC, TAG, encode
from clove.kernel.connection.limits import ConnectionLimits
from clove.policy import Level
from tests.unit.kernel.connection_peer import Peer

QUICK, SLOW = 2, 3
"""Opcodes that are answered at once, and when the test says so."""
BROKEN = {"magic": bytes(17), "size": HEADER.pack(MAGIC, 0, QUICK, 1 << 40)}


@pytest.fixture(params=list(BROKEN.values()), ids=list(BROKEN))
def broken(request: pytest.FixtureRequest) -> bytes:
    return bytes(request.param)


def test_a_family_without_time_left_loses_no_request_before_it(
    broken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Peer()
    operator.principals._grants = {4242: Level.STANDARD}
    monkeypatch.setattr(Peer, "uid", 4242)
    peer = Peer(ConnectionLimits(), operator.principals)
    operator.principals.time.spend(-4242, 10.0, operator.clock.seconds())
    peer.connection.data_received(encode(0, QUICK, b"x") * 3 + broken)
    assert (peer.hears(), peer.channel.closing) == ([], False)
    while not peer.channel.closing:
        operator.clock.advance(1)
    *answers, (_, error) = peer.hears()
    assert answers == [(QUICK, b"x")] * 3
    assert not json.loads(error)["success"]


def test_version_1_is_told_in_order(broken: bytes) -> None:
    peer = Peer()
    peer.connection.data_received(encode(0, SLOW, b"") + encode(0, QUICK, b"x") + broken)
    assert (peer.hears(), peer.channel.closing) == ([], False)
    peer.answers.waiting[0].callback(b"slow")
    slow, quick, (_, error) = peer.hears()
    assert (slow, quick) == ((SLOW, b"slow"), (QUICK, b"x"))
    assert not json.loads(error)["success"]
    assert peer.channel.closing


def test_on_version_2_nothing_in_work_is_waited_for(broken: bytes) -> None:
    peer = Peer()
    peer.hello()
    peer.connection.data_received(encode(0, SLOW, TAG.pack(1)) + broken)
    [(_, error)] = peer.hears()
    assert not json.loads(error[TAG.size :])["success"]
    assert peer.channel.closing


def test_a_peer_that_goes_meanwhile_holds_nothing(broken: bytes) -> None:
    peer = Peer()
    peer.connection.data_received(encode(0, SLOW, b"") + broken)
    peer.channel.hung_up = True
    peer.connection.check(1)
    assert peer.channel.aborted


def test_nothing_of_the_connection_is_left_to_the_collector_of_cycles(broken: bytes) -> None:
    peer = Peer(principals=Peer().principals)
    peer.connection.data_received(encode(0, SLOW, b"") + encode(0, QUICK, b"x") + broken)
    peer.answers.waiting.pop().callback(b"slow")
    peer.answers.streams.clear()
    seen = weakref.ref(peer.connection)
    gc.collect()
    gc.disable()
    try:
        peer.lose()
        del peer
        assert seen() is None
    finally:
        gc.enable()
