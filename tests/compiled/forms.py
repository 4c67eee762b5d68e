"""A connection in either form, and its peer."""

from __future__ import annotations

import os
import socket
from typing import Any

from clove.channels.unix import UnixChannel
from clove.framing import Frame, FrameDecoder, Opcode
from clove.kernel.connection.connection import KernelConnection
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.credentials import LocalPeer
from clove.kernel.principal import Principal
from clove.policy import Level
from tests.compiled.serving import fast
from tests.unit.kernel.connection_peer import Answers, Peer
from tests.unit.kernel.paired_transport import Reactor, Transport

__all__ = ["COMPILED", "PURE", "Form"]

PURE, COMPILED = None, fast
GUEST = 4242
LIMITS = ConnectionLimits(max_payload=3000, max_outstanding=12, family_turn=1000.0)


class Checked(Transport):
    """One whose peer may attach descriptors."""

    def receive_bytes(self, size: int) -> bytes:
        return self.socket.recv(size)


class Counting(Answers):
    """A dispatcher counts requests."""

    def answer(self, principal: Principal, *rest: Any) -> Any:
        principal.syscalls += 1
        return super().answer(principal, *rest)


class Form:
    """One connection and what it said.

    @param compiled: L{PURE} or L{COMPILED}.
    @param operator: it is an operator's, not one of an agent's family.
    """

    def __init__(
        self, compiled: Any, kind: type[Transport] = Transport, *, operator: bool = False
    ) -> None:
        other = Peer(LIMITS)
        other.principals._grants = {GUEST: Level.STANDARD}
        self.reactor: Any = Reactor()
        self.clock = other.clock
        self.answers = Counting()
        ours, self.theirs = socket.socketpair()
        self.theirs.settimeout(0)
        self.transport = kind(ours, self.reactor)
        channel = UnixChannel(self.transport, ours)
        dispatcher: Any = self.answers
        self.connection = KernelConnection(dispatcher, other.principals, LIMITS, channel, compiled)
        uid = os.geteuid() if operator else GUEST
        self.connection.open(lambda: LocalPeer(1, uid, uid))
        self.connection.flow.turn_length = LIMITS.family_turn
        self._heard = FrameDecoder(1 << 30)

    def say(self, data: bytes) -> None:
        """Send it, and have the reactor read it."""
        self.theirs.send(data)
        self.turn()

    def turn(self) -> None:
        self.clock.advance(0)
        self.reactor.turn()

    def answer(self, number: int) -> None:
        """Let a request that waits have its reply."""
        if self.answers.waiting:
            waiting = self.answers.waiting.pop(number % len(self.answers.waiting))
            if not waiting.called:
                waiting.callback(b"late")

    def hears(self) -> list[Frame]:
        """Replies since this was called last; what HELLO says is another thing each time."""
        try:
            said = self.theirs.recv(1 << 22)
        except (BlockingIOError, ConnectionResetError):
            said = b""
        frames = self._heard.feed(said)
        return [
            Frame(0, frame.opcode, b"" if frame.opcode == Opcode.HELLO else frame.payload)
            for frame in frames
        ]

    def state(self) -> tuple[object, ...]:
        """What is to be the same in both forms."""
        connection = self.connection
        return (
            connection.closing,
            connection.flow.received,
            connection.framing.version,
            connection.framing.outstanding,
            connection.decoder.pending,
            connection.flow.buffered.queued,
            connection.flow.buffered.in_work,
            connection.principal.syscalls,
            len(self.answers.waiting),
            self.transport.lost,
        )

    def end(self) -> None:
        if not self.transport.lost:
            self.connection.lost()
        self.transport.socket.close()
        self.theirs.close()
