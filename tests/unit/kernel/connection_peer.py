"""One connection to the kernel, in memory: what it is told, and what it says."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.framing import TAG, FrameDecoder, Opcode, encode
from clove.kernel.connection.connection import KernelConnection
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.credentials import Credentials, LocalPeer
from clove.kernel.principal import Principal
from clove.kernel.principals import Principals
from clove.kernel.registry import Registry
from clove.testing.memory_channel import MemoryChannel


class Answers:
    """A dispatcher: even opcodes answer at once, odd ones when told."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[bytes]] = []
        self.streams: list[Any] = []
        self.cancelled = 0

    def answer(
        self,
        principal: Principal,
        opcode: int,
        payload: bytes,
        stream: Any = None,
        push: Any = None,
    ) -> bytes | Deferred[bytes]:
        if opcode % 2 == 0:
            return payload
        self.streams.append(None if stream is None else stream())

        def cancel(deferred: Deferred[bytes]) -> None:
            self.cancelled += 1
            deferred.callback(b'{"code":"cancelled"}')

        waiting: Deferred[bytes] = Deferred(cancel)
        self.waiting.append(waiting)
        return waiting


class Peer:
    """One connection and what it said."""

    def __init__(
        self,
        limits: ConnectionLimits | None = None,
        principals: Principals | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.clock = Clock()
        limits = limits or ConnectionLimits()
        self.closed: list[int] = []
        self.registry = Registry()
        self.principals = principals or Principals(
            self.clock,
            self.registry,
            limits,
            host=None,  # type: ignore[arg-type]
            grants={},
            agent_of=lambda peer: None,
            opened=lambda principal: None,
            closed=lambda principal: self.closed.append(principal.agent_id),
        )
        self.answers = Answers()
        self.channel = MemoryChannel()
        self.connection = KernelConnection(
            self.answers,  # type: ignore[arg-type]
            self.principals,
            limits,
            self.channel,
        )
        self.connection.open(self.own if credentials is None else lambda: credentials)
        self.decoder = FrameDecoder(1 << 30)

    uid: int | None = None
    """The user id of who connects; None: our own."""

    @classmethod
    def own(cls) -> LocalPeer:
        uid = os.geteuid() if cls.uid is None else cls.uid
        return LocalPeer(os.getpid(), uid, uid)

    def say(self, opcode: int, payload: bytes = b"", tag: int | None = None) -> None:
        if tag is not None:
            payload = TAG.pack(tag) + payload
        self.connection.data_received(encode(0, opcode, payload))

    def hears(self) -> list[tuple[int, bytes]]:
        frames = self.decoder.feed(self.channel.take())
        return [(frame.opcode, frame.payload) for frame in frames]

    def hello(self, **fields: Any) -> dict[str, Any]:
        self.say(Opcode.HELLO, json.dumps({"protocol_version": 2, **fields}).encode())
        [(_, payload)] = self.hears()
        return dict(json.loads(payload))

    def lose(self) -> None:
        self.channel.lose()
