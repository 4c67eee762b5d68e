"""One simulated tunnel: what a kernel's end of it says, and no kernel.

It proves its key, keeps its session over reconnections and answers pings in a later turn of its loop, as a
kernel's dispatch would. Channels get no answer but to their end.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from bench.fleet.machines import key_of, machine_id, public_key
from clove.channels.session import FrameKind, frame, parse
from clove.client.websocket import BINARY, CLOSE, PING, PONG, TEXT, Decoder, encode, request
from clove.messages.relay import (
    AuthError,
    AuthOk,
    Challenge,
    KernelAuth,
    Proof,
    challenge_text,
    relay_message,
)

__all__ = ["Tunnel"]

MOST = 1 << 18


class Tunnel(asyncio.Protocol):
    """One machine, over any number of connections.

    @param bare: the other side is a bare WebSocket: it is connected when that is open.
    @param changed: told whenever it is connected (1), it is not any more (-1), or an attempt has failed (0).
    @ivar pongs: pings that were answered on this connection.
    @ivar refused: why the relay did not let it in the last time.
    """

    __slots__ = (
        "_bare",
        "_changed",
        "_decoder",
        "_instance",
        "_loop",
        "_session",
        "_transport",
        "connected",
        "number",
        "pongs",
        "refused",
    )

    def __init__(
        self, loop: Any, number: int, *, bare: bool, changed: Callable[[Tunnel, int], object]
    ) -> None:
        self.number = number
        self.connected = False
        self.pongs = 0
        self.refused = ""
        self._loop = loop
        self._bare = bare
        self._changed = changed
        self._instance = secrets.token_hex(16)
        self._session = ""
        self._decoder: Decoder | None = None
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        head, accept = request("127.0.0.1", 1)
        self._decoder = Decoder(accept, MOST)
        transport.write(head)

    def data_received(self, data: bytes) -> None:
        decoder = self._decoder
        if decoder is None:
            return
        was_open = decoder.is_open
        for kind, message in decoder.feed(data):
            if kind == BINARY:
                self._framed(message)
            elif kind == TEXT:
                self._said(message)
            elif kind == PING:
                self._transport.write(encode(PONG, message))
            elif kind == CLOSE:
                self._transport.close()
        if decoder.is_open and not was_open:
            self._opened()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._decoder = None
        lost, self.connected = self.connected, False
        self._changed(self, -1 if lost else 0)

    def abort(self) -> None:
        """Cut it off."""
        if self._transport is not None:
            self._transport.abort()

    def _opened(self) -> None:
        if self._bare:
            self._begin()
            return
        self._say(
            KernelAuth(
                machine_id=machine_id(self.number),
                protocol_version=2,
                public_key=public_key(self.number),
                instance=self._instance,
                session=self._session,
                versions={"clove": "0", "python": "3"},
            )
        )

    def _said(self, text: bytes) -> None:
        said = relay_message(text)
        if isinstance(said, Challenge):
            signed = challenge_text(
                said.relay_id, machine_id(self.number), self._instance, said.nonce
            )
            self._say(Proof(signature=key_of(self.number).sign(signed)))
        elif isinstance(said, AuthError):
            self.refused = f"{said.code}: {said.error}"
            self._transport.close()
        elif isinstance(said, AuthOk):
            self._session = said.session
            self._begin()

    def _begin(self) -> None:
        self.connected = True
        self.pongs = 0
        self._changed(self, 1)

    def _framed(self, message: bytes) -> None:
        channel, kind, body = parse(message)
        if kind == FrameKind.CLOSE:
            self._transport.write(encode(BINARY, frame(channel, FrameKind.CLOSE)))
        elif kind == FrameKind.CONTROL and b'"ping"' in body:
            self._loop.call_soon(self._answer, msgspec.json.decode(body)["id"])
        elif kind == FrameKind.CONTROL and b'"drain"' in body:  # it has no callers to wait for
            self._transport.close()

    def _answer(self, number: int) -> None:
        if self._transport is not None:
            body = msgspec.json.encode({"type": "pong", "id": number})
            self._transport.write(encode(BINARY, frame(0, FrameKind.CONTROL, body)))
            self.pongs += 1

    def _say(self, message: object) -> None:
        self._transport.write(encode(TEXT, msgspec.json.encode(message)))
