"""What answers DNS inside a sandbox: names that policy allows, with addresses of its own."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from clove.kernel.network.gateway.dns import (
    AAAA,
    NAME_ERROR,
    NO_ERROR,
    NOT_IMPLEMENTED,
    SERVER_FAILURE,
    A,
    BadQuery,
    Question,
    answer,
    answer_records,
    read_question,
    wants_more,
)
from clove.kernel.network.gateway.records import KINDS, Record

__all__ = ["Resolver", "TcpResolver", "UdpResolver"]

TURN: Final = 32
"""Queries or connections taken before other events of the reactor have their turn."""
LONGEST: Final = 4096

NONE, FAILED = "", "?"
Address = Callable[[str, bool], Awaitable[str]]
Records = Callable[[str, int], Awaitable[list[Record] | str]]
UDP_PLAIN, UDP_EDNS, TCP = 512, 1232, 65535
"""Bytes that a reply may have."""


class Resolver:
    """Answers queries, over whatever they came.

    @param address: gives the address that stands for a name as it was asked for,
        L{NONE} where there is no such name for this agent, L{FAILED} for now; told
        whether the question is one that denials should be logged for.
    @param records: gives a name's records of one of L{KINDS}, or the same.
    @param most: questions under way at once; to one more the answer is SERVFAIL.
    """

    log = Logger()

    def __init__(self, address: Address, records: Records, ttl: int, most: int) -> None:
        self._address = address
        self._records = records
        self._ttl = ttl
        self._most = most
        self._running = 0

    def ask(
        self, message: bytes, reply: Callable[[bytes], None], longest: int | None = None
    ) -> bool:
        """Answer a query, now or later; False if it is none.

        @param longest: bytes that the reply may have; None: what the query takes by UDP.
        """
        try:
            question = read_question(message)
        except BadQuery:
            return False
        if self._running >= self._most:
            reply(answer(question, SERVER_FAILURE))
            return True
        self._running += 1
        if longest is None:
            longest = UDP_EDNS if wants_more(message) else UDP_PLAIN
        work = Deferred.fromCoroutine(self._answer(question, longest))
        work.addErrback(self._failed, question)
        work.addCallback(self._done, reply)
        return True

    def _failed(self, failure: Any, question: Question) -> bytes:
        self.log.failure("a name could not be looked up", failure=failure)
        return answer(question, SERVER_FAILURE)

    def _done(self, message: bytes, reply: Callable[[bytes], None]) -> None:
        self._running -= 1
        reply(message)

    async def _answer(self, question: Question, longest: int) -> bytes:
        if not question.name:
            return answer(question, NOT_IMPLEMENTED)
        if question.kind in KINDS:
            return await self._answer_records(question, longest)
        address = await self._address(question.name, question.kind != AAAA)
        if address == NONE:
            return answer(question, NAME_ERROR)
        if address == FAILED:
            return answer(question, SERVER_FAILURE)
        if question.kind != A:
            return answer(question, NO_ERROR)
        return answer(question, NO_ERROR, address, self._ttl)

    async def _answer_records(self, question: Question, longest: int) -> bytes:
        found = await self._records(question.name, question.kind)
        if isinstance(found, str):
            return answer(question, SERVER_FAILURE if found == FAILED else NAME_ERROR)
        records = [(min(record.ttl, self._ttl), record.data) for record in found]
        return answer_records(question, records, longest)


@implementer(IReadDescriptor)
class UdpResolver:
    """Queries by UDP."""

    def __init__(self, reactor: Any, connection: socket.socket, resolver: Resolver) -> None:
        self._reactor = reactor
        self._socket = connection
        self._resolver = resolver
        reactor.addReader(self)

    def fileno(self) -> int:
        """Part of IReadDescriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Part of IReadDescriptor."""
        return "resolver"

    def doRead(self) -> None:
        """Part of IReadDescriptor."""
        for _ in range(TURN):
            try:
                message, sender = self._socket.recvfrom(LONGEST)
            except BlockingIOError:
                return
            except OSError:  # what an earlier answer met
                continue
            self._resolver.ask(message, lambda reply, to=sender: self._reply(reply, to))  # type: ignore[misc]

    def _reply(self, message: bytes, to: Any) -> None:
        with contextlib.suppress(OSError):  # closed, or no longer waited for
            self._socket.sendto(message, to)

    def connectionLost(self, reason: object) -> None:
        """Part of IReadDescriptor."""
        self.close()

    def close(self) -> None:
        """Idempotent."""
        if self._socket.fileno() >= 0:
            self._reactor.removeReader(self)
            self._socket.close()


@implementer(IReadDescriptor)
class TcpResolver:
    """Queries by one TCP connection, one after another."""

    def __init__(
        self,
        reactor: Any,
        connection: socket.socket,
        resolver: Resolver,
        idle: float,
        ended: Callable[[TcpResolver], None],
    ) -> None:
        self._reactor = reactor
        self._socket = connection
        self._resolver = resolver
        self._ended = ended
        self._held = b""
        self._busy = False
        self._timer = reactor.callLater(idle, self.close)
        reactor.addReader(self)

    def fileno(self) -> int:
        """Part of IReadDescriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Part of IReadDescriptor."""
        return "resolver"

    def doRead(self) -> None:
        """Part of IReadDescriptor."""
        try:
            data = self._socket.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._held += data
        self._next()

    def _next(self) -> None:
        while not self._busy and len(self._held) >= 2 and self.fileno() >= 0:
            size = int.from_bytes(self._held[:2], "big")
            if size > LONGEST:
                self.close()
                return
            if len(self._held) < 2 + size:
                break
            message, self._held = self._held[2 : 2 + size], self._held[2 + size :]
            self._busy = True
            self._reactor.removeReader(self)
            if not self._resolver.ask(message, self._reply, TCP):
                self.close()
                return
        if not self._busy and self.fileno() >= 0:
            self._reactor.addReader(self)

    def _reply(self, message: bytes) -> None:
        self._busy = False
        if self.fileno() < 0:
            return
        try:
            self._socket.sendall(struct.pack("!H", len(message)) + message)
        except OSError:  # it does not read its answers
            self.close()
            return
        self._reactor.callLater(0, self._next)

    def connectionLost(self, reason: object) -> None:
        """Part of IReadDescriptor."""
        self.close()

    def close(self) -> None:
        """Idempotent."""
        if self._socket.fileno() < 0:
            return
        self._reactor.removeReader(self)
        if self._timer.active():
            self._timer.cancel()
        self._socket.close()
        self._ended(self)
