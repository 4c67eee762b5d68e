"""Version 1 of the protocol: replies go out in the order of the requests.

One that takes time holds the later ones back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred

from clove.errors import InvalidRequest
from clove.framing import HEADER, MAGIC, Opcode
from clove.kernel.connection.buffers import SMALL
from clove.kernel.connection.flow_control import LOST, Request

if TYPE_CHECKING:
    from clove.kernel.connection.connection import KernelConnection
    from clove.kernel.dispatch import Dispatcher

__all__ = ["CONTROL", "FLUSH", "FramingV1", "Held"]

CONTROL = int(Opcode.CANCEL)
"""From this opcode on requests concern the connection itself."""
Held = tuple[int, "Deferred[bytes]", int]
"""A request in work: its opcode, its reply to come, and the bytes that it has."""
FLUSH = 256 << 10
"""Bytes of replies that are gathered before they are sent."""


class FramingV1:
    """Serves the requests of a connection that speaks version 1.

    @ivar current: the request that later ones wait for; None if nothing holds them back.
    @ivar outstanding: requests in work that hold nothing back.
    @ivar running, few: None, and without a meaning: requests have no tags.
    """

    version = 1
    outstanding = 0
    running: None = None
    few = 0

    def __init__(self, connection: KernelConnection, dispatcher: Dispatcher) -> None:
        self._connection = connection
        self._dispatcher = dispatcher
        self.current: Deferred[bytes] | None = None

    def serve(self, frames: Iterator[Request], until: float) -> None:
        """Answer requests, as far as it goes; the rest is kept.

        @param until: when others are to have their turn.
        """
        connection = self._connection
        out: list[bytes] = []
        size = 0
        answer = self._dispatcher.answer
        pack = HEADER.pack
        principal = connection.principal
        agent_id = principal.agent_id
        now = connection.seconds
        for frame in frames:
            _, opcode, payload = frame
            if opcode < CONTROL:
                reply = answer(principal, opcode, payload)
                if reply.__class__ is bytes:
                    length = len(reply)
                    out.append(pack(MAGIC, agent_id, opcode, length))
                    out.append(reply)
                    size += length
                    if size < FLUSH and (not opcode or now() <= until):
                        continue
                    size = 0
                    self._flush(out)
                else:
                    self._flush(out)
                    self.hold(opcode, cast("Deferred[bytes]", reply), len(payload))
            else:
                self._flush(out)
                connection.control(opcode, 0, payload)
                principal = connection.principal
                agent_id = principal.agent_id
            if not self._goes_on(frames, bool(opcode) and now() > until, until):
                break
        self._flush(out)

    def serve_one(self, opcode: int, payload: bytes) -> None:
        """Answer one request, not of the connection itself, that nothing else waits with."""
        connection = self._connection
        principal = connection.principal
        reply = self._dispatcher.answer(principal, opcode, payload)
        if reply.__class__ is bytes:
            header = HEADER.pack(MAGIC, principal.agent_id, opcode, len(reply))
            connection.sender.send(header + reply)
        else:
            self.hold(opcode, cast("Deferred[bytes]", reply), len(payload))

    def answer(self, opcode: int, payload: bytes) -> bytes | Held:
        """The reply to such a request, or what is to be held (L{hold}) when those before it are sent."""
        reply = self._dispatcher.answer(self._connection.principal, opcode, payload)
        if reply.__class__ is bytes:
            return reply
        return opcode, cast("Deferred[bytes]", reply), len(payload)

    def _goes_on(self, frames: Iterator[Request], late: bool, until: float) -> bool:
        """Whether the next frame can be served here and now; else the rest is kept, or handed on."""
        connection = self._connection
        if connection.sender.congested or self.current is not None or connection.closing:
            connection.flow.wait(frames)
        elif late:
            connection.flow.wait_in_turn(frames)
        elif connection.framing is not self:
            connection.framing.serve(frames, until)
        else:
            return True
        return False

    def _flush(self, out: list[bytes]) -> None:
        if out:
            data = b"".join(out)
            out.clear()
            self._connection.sender.send(data)

    def hold(self, opcode: int, reply: Deferred[bytes], size: int) -> None:
        """Later requests wait for this one."""
        if self._connection is LOST:
            reply.cancel()
            return
        connection, flow = self._connection, self._connection.flow
        self.current = reply
        flow.buffered.in_work += size

        def done(payload: bytes) -> None:
            self.current = None
            flow.buffered.in_work -= size
            flow.buffered.recount()
            if not connection.closing:
                self.reply(opcode, 0, payload)
                flow.go_on()

        reply.addCallback(done)
        if size > SMALL and self.current is not None:
            flow.close_if_full()

    def reply(self, opcode: int, number: int, payload: bytes) -> None:
        """Send a reply; it has no number here."""
        header = HEADER.pack(MAGIC, self._connection.principal.agent_id, opcode, len(payload))
        self._connection.sender.send(header + payload)

    def cancel(self, body: bytes) -> bool:
        """@raise InvalidRequest: there are no numbers by which to name a request."""
        raise InvalidRequest("CANCEL takes the tag of a request, 8 bytes, on version 2")

    def end(self) -> None:
        """The connection is gone."""
        self._connection = LOST

    def take_running(self) -> list[Deferred[bytes]]:
        """What is in work, to be given up."""
        return [] if self.current is None else [self.current]
