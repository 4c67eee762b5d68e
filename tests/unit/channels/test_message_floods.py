"""A WebSocket of which more comes than anybody wants: nothing stalls, nothing grows (attacks.md, row 26)."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from clove.channels.message_socket import MessageSocket
from clove.channels.websocket_messages import serving
from clove.channels.websocket_turns import STEPS
from clove.client.websocket import request
from tests.fuzz.websocket_frames import BINARY, TEXT, websocket_frame


class Receiver:
    """Counts what comes; pauses when it has so many."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.socket: Any = None
        self.messages: list[bytes] = []
        self.most = most

    def binary_received(self, data: bytes) -> None:
        self.messages.append(data)
        if len(self.messages) >= self.most:
            self.socket.pause()

    text_received = binary_received

    def writable(self) -> None: ...

    def closed(self, reason: str) -> None: ...


class End:
    """A server's end that has been through the opening handshake."""

    def __init__(self, receiver: Receiver) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.protocol: Any = serving(self._accept, reactor=self.clock).buildProtocol(None)
        self.receiver = receiver
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(request("127.0.0.1", 1)[0])

    def _accept(self, socket: MessageSocket) -> None:
        self.receiver.socket = socket
        socket.receiver = self.receiver

    def settle(self) -> None:
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)


SMALL = websocket_frame(BINARY, b"x")


def test_ten_thousand_small_messages_that_come_at_once_take_many_turns() -> None:
    receiver = Receiver()
    end = End(receiver)
    end.protocol.dataReceived(SMALL * 10_000)
    assert 0 < len(receiver.messages) <= STEPS
    assert end.transport.producerState == "paused"
    end.settle()
    assert len(receiver.messages) == 10_000
    assert end.transport.producerState == "producing"


def test_what_was_read_already_waits_for_a_receiver_that_pauses() -> None:
    receiver = Receiver(3)
    end = End(receiver)
    end.protocol.dataReceived(SMALL * 10)
    end.settle()
    assert len(receiver.messages) == 3
    assert end.transport.producerState == "paused"
    receiver.most = 1 << 30
    receiver.socket.resume()
    assert len(receiver.messages) == 3  # from the next turn on
    end.settle()
    assert len(receiver.messages) == 10
    assert end.transport.producerState == "producing"


def test_nothing_is_left_of_a_connection_that_is_lost_while_messages_wait() -> None:
    end = End(Receiver())
    end.protocol.dataReceived(SMALL * 10_000)
    end.protocol.connectionLost()
    end.clock.advance(100)
    assert end.clock.getDelayedCalls() == []


def test_a_message_in_many_pieces_is_kept_as_one() -> None:
    receiver = Receiver()
    end = End(receiver)
    end.protocol.dataReceived(websocket_frame(TEXT, b"[", last=False))
    for _ in range(300):
        end.protocol.dataReceived(websocket_frame(0, b"", last=False))
        end.protocol.dataReceived(websocket_frame(0, b" ", last=False))
    for byte in websocket_frame(0, bytes(1000), last=False):
        end.protocol.dataReceived(bytes((byte,)))
    assert len(end.protocol.message_data) == 1
    end.protocol.dataReceived(websocket_frame(0, b"]"))
    assert receiver.messages == [b"[" + b" " * 300 + bytes(1000) + b"]"]


def test_a_message_goes_on_after_its_connection_has_settled() -> None:
    receiver = Receiver()
    end = End(receiver)
    end.protocol.dataReceived(websocket_frame(TEXT, b"[", last=False))
    end.protocol.settle()
    end.protocol.dataReceived(websocket_frame(0, b"]"))
    assert receiver.messages == [b"[]"]


def test_what_is_sent_to_a_peer_that_was_just_cut_off_is_dropped() -> None:
    receiver = Receiver()
    end = End(receiver)
    end.protocol.dataReceived(websocket_frame(TEXT, b"\xff"))
    said = end.transport.value()
    receiver.socket.send_text(b"{}")
    receiver.socket.send(b"x")
    receiver.socket.ping()
    assert end.transport.value() == said
