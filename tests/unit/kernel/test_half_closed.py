"""A peer that has shut down its sending half is answered, then the connection is closed: all in memory."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from clove.channels.unix import UnixChannel
from clove.framing import TAG, Opcode, encode
from clove.kernel.connection.connection import KernelConnection
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.credentials import AgentSocket
from clove.kernel.principal import Kind, Principal
from clove.messages import Reply
from clove.policy import Level, for_level
from tests.unit.kernel.connection_peer import Peer
from tests.unit.kernel.paired_transport import Reactor, Transport

QUICK, SLOW = 2, 3
"""Opcodes that are answered at once, and when the test says so."""


def test_nothing_is_left_to_answer() -> None:
    peer = Peer()
    peer.say(QUICK, b"x")
    peer.channel.end_sending()
    assert peer.channel.closing
    assert peer.hears() == [(QUICK, b"x")]


def test_what_was_asked_for_is_answered_in_order_first() -> None:
    peer = Peer()
    for opcode in (SLOW, QUICK, SLOW, QUICK):
        peer.say(opcode, b"x")
    peer.channel.end_sending()
    assert not peer.channel.closing
    peer.answers.waiting[0].callback(b"first")
    assert not peer.channel.closing
    peer.answers.waiting[1].callback(b"third")
    assert peer.channel.closing
    assert peer.hears() == [(SLOW, b"first"), (QUICK, b"x"), (SLOW, b"third"), (QUICK, b"x")]
    assert peer.answers.cancelled == 0


def test_of_version_2_whatever_is_outstanding() -> None:
    peer = Peer()
    peer.hello()
    for tag in (1, 2):
        peer.say(SLOW, tag=tag)
    peer.channel.end_sending()
    peer.answers.waiting[1].callback(b"second")
    assert not peer.channel.closing
    assert peer.connection.push(Reply())
    peer.answers.waiting[0].callback(b"first")
    assert peer.channel.closing
    assert not peer.connection.push(Reply())
    heard = [payload for opcode, payload in peer.hears() if opcode == SLOW]
    assert heard == [TAG.pack(2) + b"second", TAG.pack(1) + b"first"]


@pytest.mark.parametrize("before", [(), (SLOW,)], ids=["nothing", "a request"])
def test_a_frame_that_was_cut_off_is_said_after_the_answers(before: tuple[int, ...]) -> None:
    peer = Peer()
    for opcode in before:
        peer.say(opcode)
    peer.connection.data_received(encode(0, QUICK, b"cut")[:-1])
    peer.channel.end_sending()
    for waiting in peer.answers.waiting:
        assert not peer.channel.closing
        waiting.callback(b"answer")
    assert peer.channel.closing
    *answers, (_, error) = peer.hears()
    assert [opcode for opcode, _ in answers] == list(before)
    assert "cut off" in json.loads(error)["error"]


def test_nothing_that_came_with_the_end_of_another_request_is_left_out() -> None:
    peer = Peer()
    peer.hello()
    peer.channel.stop_reading()
    peer.say(QUICK, b"not read yet", tag=1)
    cancel = encode(0, Opcode.CANCEL, TAG.pack(3) + TAG.pack(2))
    last = encode(0, QUICK, TAG.pack(4) + b"last")
    peer.connection.data_received(encode(0, SLOW, TAG.pack(2)) + cancel + last)
    peer.channel.end_sending()
    peer.channel.go_on_reading()
    assert peer.channel.closing
    assert [payload[: TAG.size] for _, payload in peer.hears()] == [
        TAG.pack(each) for each in (1, 2, 3, 4)
    ]


def test_one_that_reads_nothing_is_cut_off_when_the_time_to_write_is_over() -> None:
    peer = Peer(ConnectionLimits(write_timeout=10))
    peer.channel.stop_reading()
    peer.say(QUICK, b"x")
    peer.say(SLOW)
    peer.say(QUICK, b"waits for the peer to read")
    peer.channel.end_sending()
    for second in (0, 9):
        peer.connection.check(second)
    assert not peer.channel.aborted
    peer.connection.check(11)
    assert peer.channel.aborted


def test_nor_does_it_hold_the_connection_after_the_last_answer() -> None:
    peer = Peer(ConnectionLimits(frame_timeout=10))
    peer.channel.stop_reading()
    peer.say(QUICK, b"x")
    peer.channel.end_sending()
    assert peer.channel.closing
    for second in (0, 9):
        peer.connection.check(second)
    assert not peer.channel.aborted
    peer.connection.check(11)
    assert peer.channel.aborted


def test_when_it_is_gone_altogether_what_it_asked_for_is_given_up() -> None:
    peer = Peer()
    peer.say(SLOW)
    peer.channel.end_sending()
    peer.connection.check(0)
    assert not peer.channel.aborted
    peer.channel.hung_up = True
    peer.connection.check(1)
    assert peer.channel.aborted
    peer.lose()
    assert peer.answers.cancelled == 1
    assert peer.closed


def test_a_connection_that_is_lost_and_not_closed_yet_is_not_asked_for_its_socket() -> None:
    ours, theirs = socket.socketpair()
    reactor: Any = Reactor()
    transport: Any = Transport(ours, reactor)
    transport.closed = Deferred()  # where Linux cannot refuse descriptors, another thread closes it
    channel, peer = UnixChannel(transport, ours), Peer()
    answers: Any = peer.answers
    connection = KernelConnection(answers, peer.principals, ConnectionLimits(), channel)
    connection.open(lambda: AgentSocket(Principal(9, Kind.AGENT, for_level(Level.STANDARD))))
    with ours, theirs:
        theirs.sendall(encode(0, SLOW, b"x"))
        theirs.shutdown(socket.SHUT_WR)
        reactor.turn()
        reactor.turn()
        assert connection.half_closed
        del transport.socket  # as Twisted does
        channel.transport_lost()
        assert connection in peer.principals.connections
        connection.check(1)
        transport.closed.callback(None)
    assert connection not in peer.principals.connections
