"""Server-sent events to one HTTP client, at its pace."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from clove.relay.rest.kept_output import Part

__all__ = ["EventStream"]

_ALIVE_SECONDS: Final = 15.0
"""Between two comments that keep a silent stream from being taken for a dead one."""
_HEADERS: Final = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
_SEND_BUFFER: Final = 128 << 10
"""Bytes that Linux holds for a client that reads slowly: they are lost when its connection is cut."""


@implementer(IPushProducer)
class EventStream:
    """The reply to one request.

    @param changed: called when L{paused} has changed.
    @param gone: called when the client is gone.
    @ivar paused: the client takes no more for now.
    """

    def __init__(
        self,
        request: Any,
        clock: Any,
        changed: Callable[[], object],
        gone: Callable[[], object] = lambda: None,
    ) -> None:
        self._request = request
        self._changed = changed
        self._gone = gone
        self.paused = False
        self._alive = LoopingCall(self._comment)
        self._alive.clock = clock

    def start(self, about: bytes) -> None:
        """It begins, with a comment."""
        for name, value in _HEADERS.items():
            self._request.setHeader(name, value)
        _bound_send_buffer(self._request.channel.transport)
        self._request.registerProducer(self, True)
        self._alive.start(_ALIVE_SECONDS, now=False)
        self._request.write(b": %s\n\n" % about)

    def stop(self) -> None:
        """It is over."""
        self._alive.stop()
        if self._request.channel is not None:  # the HTTP client is still there
            self._request.unregisterProducer()

    def event(self, kind: str, fields: object, number: int | None = None) -> None:
        """One event; C{number} is where a client that reconnects goes on."""
        line = b"" if number is None else b"id: %d\n" % number
        data = fields if isinstance(fields, bytes) else msgspec.json.encode(fields)
        self._request.write(b"%sevent: %s\ndata: %s\n\n" % (line, kind.encode(), data))

    # as the reader of an agent's stream

    def output(self, part: Part) -> None:
        """Bytes, in base64."""
        fields: Mapping[str, Any] = {
            "offset": part.offset,
            "stream": part.stream,
            "data": part.data,
        }
        self.event("output", fields, part.next)

    def taken(self, written: int) -> int:
        """What is written counts as taken: events have no acknowledgement."""
        return written

    def abort(self) -> None:
        """Cut the HTTP client's connection; what it has not read is lost."""
        if self._request.channel is not None:
            self._request.channel.transport.abortConnection()

    # the transport's producer

    def pauseProducing(self) -> None:
        """The HTTP client takes no more for now."""
        self.paused = True
        self._changed()

    def resumeProducing(self) -> None:
        """It does again."""
        self.paused = False
        self._changed()

    def stopProducing(self) -> None:
        """It is gone."""
        self._gone()

    def _comment(self) -> None:
        if not self.paused:
            self._request.write(b":\n\n")


def _bound_send_buffer(transport: Any) -> None:
    below = getattr(transport, "transport", transport)  # TLS lies between
    handle = below.getHandle()
    if isinstance(handle, socket.socket):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
