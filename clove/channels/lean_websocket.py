"""An open WebSocket of Autobahn's that keeps little in memory and reads small messages at once.

A relay has thousands of connections that are open and idle. Of each Autobahn keeps its own copy of all options,
what the opening handshake said, and some forty values that are the same for every one that is between two
messages. Here they are the class's; a connection has what differs.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from autobahn.websocket.protocol import TrafficStats, WebSocketProtocol
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.defer import Deferred

from clove.channels.websocket_turns import STEPS, Bounded

__all__ = ["LeanWebSocket", "share_options", "unmask"]

SMALL: Final = 4096
"""Bytes of a message that is read at once; Autobahn unmasks larger ones faster."""
SMALL_ONES: Final = STEPS // 2
"""Such messages of a connection that are read in a turn of the loop."""
_OPEN: Final = WebSocketProtocol.STATE_OPEN
_BINARY: Final = 0x82
_BETWEEN_MESSAGES: Final[dict[str, Any]] = {
    "_isMessageCompressed": False,
    "_perMessageCompress": None,
    "autoPingPending": None,
    "autoPingPendingCall": None,
    "autoPingPendingSent": None,
    "autoPingPendingSeq": 0,
    "autoPingTimeoutCall": None,
    "closeHandshakeTimeoutCall": None,
    "closedByMe": False,
    "control_frame_data": None,
    "current_frame": None,
    "data": b"",
    "droppedByMe": False,
    "failedByMe": False,
    "frame_data": None,
    "inside_message": False,
    "localCloseCode": None,
    "localCloseReason": None,
    "message_data": None,
    "openHandshakeTimeoutCall": None,
    "remoteCloseCode": None,
    "remoteCloseReason": None,
    "send_state": WebSocketProtocol.SEND_STATE_GROUND,
    "serverConnectionDropTimeoutCall": None,
    "state": _OPEN,
    "trackedTimings": None,
    "triggered": False,
    "utf8validateIncomingCurrentMessage": False,
    "wasClean": False,
    "wasCloseHandshakeTimeout": False,
    "wasMaxFramePayloadSizeExceeded": False,
    "wasMaxMessagePayloadSizeExceeded": False,
    "wasNotCleanReason": None,
    "wasOpenHandshakeTimeout": False,
    "wasServerConnectionDropTimeout": False,
    "wasServingFlashSocketPolicyFile": False,
    "websocket_extensions_in_use": (),
    "websocket_protocol_in_use": None,
    "websocket_version": 13,
}
"""What an open connection has where nothing goes on; one that differs in something keeps that."""
_OF_MESSAGES: Final = frozenset(
    {"current_frame_masker", "frame_length", "message_data_total_length", "message_is_binary"}
)
"""Set anew when a message begins."""
_OF_HANDSHAKES: Final = frozenset(
    {
        "_transport_details",
        "_wskey",
        "http_headers",
        "http_request_data",
        "http_request_host",
        "http_request_params",
        "http_request_path",
        "http_request_uri",
        "http_response_data",
        "http_status_line",
        "websocket_extensions",
        "websocket_origin",
        "websocket_protocols",
    }
)
"""What nothing reads any more that has a use."""
_ON_DEMAND: Final = frozenset({"is_closed", "is_open", "utf8validator"})
"""Made anew when something asks for them."""
_SHARED: Final[dict[str, Any]] = {
    "_results": {"message": None},
    "_valid_events": ["message"],
    "peer": "",
    "send_queue": (),
    "trafficStats": TrafficStats(),
}
"""The same object for all connections. Nothing is queued, since nothing is sent in pieces or synchronously."""


class LeanWebSocket(Bounded):
    """Mixed into a protocol of Autobahn's, in front of it.

    @cvar masks: the other side masks what it sends: it is a client.
    """

    masks = True
    current_frame: Any
    inside_message: bool
    maxFramePayloadSize: int
    message_is_binary: bool
    failedByMe: bool
    onMessage: Any
    _dataReceived: Any

    @cached_property
    def is_closed(self) -> Deferred[Any]:
        """Autobahn's; nothing waits for it."""
        return Deferred()

    @cached_property
    def is_open(self) -> Deferred[Any]:
        """Likewise."""
        return Deferred()

    @cached_property
    def utf8validator(self) -> Any:
        """Autobahn's; for text."""
        return Utf8Validator()

    def onMessageEnd(self) -> None:
        """A message that Autobahn has read; its own tells listeners as well, of which there are none."""
        if not self.failedByMe:
            self.onMessage(b"".join(self.message_data), self.message_is_binary)
        self.message_data = None

    def settle(self) -> None:
        """The connection is open, and will be for long."""
        if self.state != _OPEN:
            return
        kept = {
            name: value
            for name, value in vars(self).items()
            if not (
                name in _OF_HANDSHAKES
                or name in _ON_DEMAND
                or name in _SHARED
                or (name in _OF_MESSAGES and self.current_frame is None and not self.inside_message)
                or (name in _BETWEEN_MESSAGES and value == _BETWEEN_MESSAGES[name])
            )
        }
        self.__dict__ = kept  # a dictionary gives memory back only by being made anew

    def read(self, data: bytes) -> None:
        """Bytes of an open connection came: whole small binary messages are read here, Autobahn gets the rest."""
        if self.waits:
            self.data += data
            return
        if not self.data and self.current_frame is None and not self.inside_message:
            data = self._read_small(data)
            if not data:
                return
        self._dataReceived(data)

    def take_in(self) -> None:
        """Part of L{Bounded}."""
        data, self.data = self.data, b""
        if self.state == _OPEN:
            self.read(data)
        else:
            self._dataReceived(data)

    def _read_small(self, data: bytes) -> bytes:
        """Deliver such messages, as many as a turn bears; gives what is left from the first other one on."""
        at, head, left = 0, 6 if self.masks else 2, SMALL_ONES
        while len(data) - at >= head and self.state == _OPEN:
            if not left or self.is_paused:
                self.data = data[at:]
                if not left:
                    self.postpone()
                return b""
            left -= 1
            size, begin = data[at + 1] ^ (0x80 if self.masks else 0), at + head
            if size == 126 and len(data) - at >= head + 2:
                size, begin = int.from_bytes(data[at + 2 : at + 4], "big"), begin + 2
                if size < 126:
                    break
            elif size >= 126:
                break
            end = begin + size
            if data[at] != _BINARY or size > SMALL or size > self.maxFramePayloadSize:
                break
            if end > len(data):
                break
            payload = data[begin:end]
            at = end
            self.onMessage(
                unmask(data[begin - 4 : begin], payload) if self.masks else payload, True
            )
        return data[at:] if at else data


for _name, _value in (_BETWEEN_MESSAGES | _SHARED).items():
    setattr(LeanWebSocket, _name, _value)


def unmask(mask: bytes, data: bytes) -> bytes:
    """RFC 6455, 5.3: the same both ways."""
    size = len(data)
    pattern = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(data, "little") ^ pattern).to_bytes(size, "little")


def share_options(factory: Any) -> None:
    """Have a factory's protocol have its options, so that no connection needs a copy of them.

    Autobahn's C{connectionMade} copies those that are in C{CONFIG_ATTRS}, and makes text of all for a line of
    its log, logged or not: half of what a new connection costs.
    A function, such as the one that says which compression is accepted, must not become a method of the class.
    """
    protocol = factory.protocol
    options = {name: getattr(factory, name) for name in protocol.CONFIG_ATTRS}
    for name, value in options.items():
        if callable(value):
            options[name] = staticmethod(value)
    factory.protocol = type(protocol.__name__, (protocol,), {**options, "CONFIG_ATTRS": ()})
