"""One connection to the kernel, in memory: what it is told, and what it says."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from clove.framing import TAG, FrameDecoder, Opcode, encode
from clove.kernel.connection import KernelConnection
from clove.kernel.connection_limits import ConnectionLimits
from clove.kernel.peers import Peer as Credentials
from clove.kernel.principal import Principal
from clove.kernel.registry import Registry
from clove.kernel.sessions import Sessions


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
        self.streams.append(stream)

        def cancel(deferred: Deferred[bytes]) -> None:
            self.cancelled += 1
            deferred.callback(b'{"code":"cancelled"}')

        waiting: Deferred[bytes] = Deferred(cancel)
        self.waiting.append(waiting)
        return waiting


class Transport(StringTransport):
    """Knows when it was cut off."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


make_transport: Any = Transport


class Factory:
    principal: Principal | None = None


class Peer:
    """One connection and what it said."""

    def __init__(
        self, limits: ConnectionLimits | None = None, sessions: Sessions | None = None
    ) -> None:
        self.clock = Clock()
        limits = limits or ConnectionLimits()
        self.closed: list[int] = []
        self.sessions = sessions or Sessions(
            self.clock,
            Registry(),
            limits,
            host=None,  # type: ignore[arg-type]
            grants={},
            agent_of=lambda peer: None,
            opened=lambda principal: None,
            closed=lambda principal: self.closed.append(principal.agent_id),
            peer_of=self.credentials,
        )
        self.answers = Answers()
        self.connection = KernelConnection(self.answers, self.sessions, limits)  # type: ignore[arg-type]
        self.connection.factory = Factory()
        self.transport: Any = make_transport()
        connect: Any = self.connection.makeConnection
        connect(self.transport)
        self.decoder = FrameDecoder(1 << 30)

    uid: int | None = None
    """The user id of who connects; None: our own."""

    @classmethod
    def credentials(cls, transport: Any) -> Credentials:
        uid = os.geteuid() if cls.uid is None else cls.uid
        return Credentials(os.getpid(), uid, uid)

    def say(self, opcode: int, payload: bytes = b"", tag: int | None = None) -> None:
        if tag is not None:
            payload = TAG.pack(tag) + payload
        self.connection.dataReceived(encode(0, opcode, payload))

    def hears(self) -> list[tuple[int, bytes]]:
        data = self.transport.value()
        self.transport.clear()
        return [(frame.opcode, frame.payload) for frame in self.decoder.feed(data)]

    def hello(self, **fields: Any) -> dict[str, Any]:
        self.say(Opcode.HELLO, json.dumps({"protocol_version": 2, **fields}).encode())
        [(_, payload)] = self.hears()
        return dict(json.loads(payload))

    def lose(self) -> None:
        from twisted.internet.protocol import connectionDone

        self.connection.connectionLost(connectionDone)
