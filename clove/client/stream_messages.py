"""An agent's stream through a relay, over the WebSocket of its REST API. Standard library only."""

from __future__ import annotations

import base64
import http.client
import json
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

from clove.client.websocket import BINARY, CLOSE, PING, PONG, TEXT, Decoder, accepted, encode
from clove.errors import CloveError, ConnectionLost

__all__ = ["MOST_MESSAGE", "events_of_socket", "upgrade_headers"]

MOST_MESSAGE: Final = 1 << 20
"""Bytes of a message that a relay sends."""
_HEAD: Final = struct.Struct(">QB")
_STREAMS: Final = {1: "stdout", 2: "stderr"}
_CHUNK: Final = 1 << 18


def upgrade_headers() -> dict[str, str]:
    """What asks for a WebSocket."""
    return {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }


def events_of_socket(
    reply: http.client.HTTPResponse, key: str, send: Callable[[bytes], object]
) -> Iterator[tuple[str, int | None, dict[str, Any]]]:
    """Kind, offset to go on from, and fields of each event; what was given is acknowledged.

    @param key: as in the request.
    @param send: sends bytes to the relay.
    @raise ConnectionLost: it is over, without an event that says so.
    """
    if reply.getheader("Sec-WebSocket-Accept") != accepted(key):
        raise CloveError("this is no WebSocket", hint="is this a relay's address?")
    decoder = Decoder.opened(MOST_MESSAGE)
    taken = told = 0
    while True:
        if taken != told:
            send(encode(TEXT, b'{"taken": %d}' % taken))
            told = taken
        assert reply.fp is not None
        data = reply.fp.read1(_CHUNK)
        if not data:
            raise ConnectionLost("the relay has closed the stream")
        for kind, content in decoder.feed(data):
            if kind == PING:
                send(encode(PONG, content))
            elif kind == CLOSE:
                words = content[2:].decode("utf-8", "replace")
                raise ConnectionLost(f"the relay has closed the stream: {words}")
            elif kind == BINARY:
                offset, stream = _HEAD.unpack_from(content)
                piece = content[_HEAD.size :]
                fields = {"offset": offset, "stream": _STREAMS.get(stream, ""), "data": piece}
                yield "output", offset + len(piece), fields
                taken = offset + len(piece)
            elif kind == TEXT:
                fields = _said(content)
                yield str(fields.pop("event", "")), None, fields


def _said(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConnectionLost("the relay has sent an event that makes no sense")
    return found
