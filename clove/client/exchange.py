"""One connection's conversation with the kernel, without any I/O.

It numbers requests, tags them on version 2, matches replies with them, and
knows what HELLO's answer means. Every client feeds it bytes. Pure.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, NamedTuple

from clove.errors import CloveError, ConnectionLost, error_from_reply
from clove.framing import HEADER, MAGIC, MORE, TAG, Frame, FrameDecoder, Opcode, split_tag

__all__ = ["PUSH", "Arrival", "Closed", "Exchange", "Unsent", "lost_in_flight", "lost_unsent"]

PUSH = 0
"""The number of frames that answer no request."""

_HELLO = int(Opcode.HELLO)
_CANCEL = int(Opcode.CANCEL)
_REFUSED = ("permission_denied", "limit_exceeded", "unavailable")
_STALE = ("not_found", "invalid_request")


class Unsent(ConnectionLost):
    """The connection was lost before the request was out: it cannot have been served."""


class Closed(ConnectionLost):
    """The client was closed meanwhile; no call is repeated."""

    def __init__(self, message: str = "the client was closed", *, rule: str = "", hint: str = ""):
        super().__init__(message, rule=rule, hint=hint)


def lost_in_flight(reason: CloveError) -> ConnectionLost:
    """What a call raises that was sent on a connection that was lost."""
    kind = Closed if isinstance(reason, Closed) else ConnectionLost
    return kind(reason.message, hint=reason.hint)


def lost_unsent(reason: CloveError) -> ConnectionLost:
    """What a call raises that was not sent yet."""
    kind = Closed if isinstance(reason, Closed) else Unsent
    return kind(reason.message, hint=reason.hint)


class Arrival(NamedTuple):
    """A reply's frame.

    @ivar number: of the request that it answers, or L{PUSH}.
    @ivar more: further frames follow for the same request.
    """

    number: int
    more: bool
    payload: bytes


class Exchange:
    """The state of one connection. Not safe for use by two threads at once.

    @ivar agent_id: ours, by the last reply.
    @ivar version: of the protocol, as negotiated; 1 before that.
    @ivar welcome: HELLO's reply; empty before it came or if there was none.
    """

    __slots__ = ("_decoder", "_greeting", "_next", "_order", "agent_id", "version", "welcome")

    def __init__(self, max_reply: int) -> None:
        self.agent_id = 0
        self.version = 1
        self.welcome: dict[str, Any] = {}
        self._decoder = FrameDecoder(max_reply + TAG.size)
        self._next = 1
        self._greeting = -1
        self._order: deque[int] = deque()

    def request(self, opcode: int, body: bytes) -> tuple[int, bytes]:
        """A request's number and its frame."""
        number = self._next
        self._next += 1
        if self.version == 2:
            frame = HEADER.pack(MAGIC, self.agent_id, opcode, TAG.size + len(body))
            return number, frame + TAG.pack(number) + body
        self._order.append(number)
        return number, HEADER.pack(MAGIC, self.agent_id, opcode, len(body)) + body

    def cancel(self, number: int) -> bytes:
        """The frame that abandons a request; empty on version 1, which has none."""
        if self.version != 2:
            return b""
        return self.request(_CANCEL, TAG.pack(number))[1]

    def hello(self, resume: str = "") -> tuple[int, bytes]:
        """The first frame of a connection, with its number."""
        payload = {"protocol_version": 2, **({"resume": resume} if resume else {})}
        self._greeting, frame = self.request(_HELLO, json.dumps(payload).encode())
        return self._greeting, frame

    def welcomed(self, payload: bytes, *, resuming: bool = False) -> bool:
        """Judge HELLO's answer; False if HELLO is to be said again, without a token.

        A kernel that knows no HELLO is spoken to in version 1.

        @raise CloveError: the kernel refuses this connection.
        """
        reply = _json_object(payload)
        if reply.get("success") is not False:
            return True
        code = reply.get("code")
        if code in _REFUSED:
            raise error_from_reply(reply)
        return not (resuming and code in _STALE)

    def feed(self, data: bytes) -> list[Arrival]:
        """Take bytes; give the replies that they complete.

        Version 1 replies answer the requests in order; one that answers none
        is given as a push. HELLO's answer switches the version for what
        follows it, also within the same bytes.

        @raise BadFrame: the stream is broken; nothing further can be read.
        """
        return [self._arrival(frame) for frame in self._decoder.feed(data)]

    def _arrival(self, frame: Frame) -> Arrival:
        self.agent_id = frame.agent_id
        if self.version == 2:
            tag, body = split_tag(frame.payload)
            return Arrival(tag & (MORE - 1), tag >= MORE, body)
        number = self._order.popleft() if self._order else PUSH
        if number == self._greeting:
            self._agree(frame.payload)
        return Arrival(number, False, frame.payload)

    def _agree(self, payload: bytes) -> None:
        reply = _json_object(payload)
        if reply.get("success") is True:
            self.welcome = reply
            if reply.get("protocol_version") == 2:
                self.version = 2


def _json_object(payload: bytes) -> dict[str, Any]:
    """The payload's JSON object, or an empty one if it is something else."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
