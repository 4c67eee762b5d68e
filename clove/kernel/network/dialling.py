"""TCP to addresses that were checked, as plain sockets."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IWriteDescriptor
from zope.interface import implementer

__all__ = ["connect", "dial"]


@implementer(IWriteDescriptor)
class _Attempt:
    """One connection that is being made."""

    def __init__(self, reactor: Any, connection: socket.socket) -> None:
        self._reactor = reactor
        self._socket = connection
        self.done: Deferred[None] = Deferred(lambda _: self._stop())
        reactor.addWriter(self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return "dial"

    def _stop(self) -> None:
        self._reactor.removeWriter(self)

    def doWrite(self) -> None:
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number:
            try:
                self._socket.getpeername()
            except OSError:  # an event of another socket that had this number
                return
        self._stop()
        if number:
            self.done.errback(OSError(number, os.strerror(number)))
        else:
            self.done.callback(None)

    def connectionLost(self, reason: object) -> None:
        self.doWrite()
        if not self.done.called:
            self._stop()
            self.done.errback(OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)))


async def dial(reactor: Any, addresses: Sequence[str], port: int, timeout: float) -> socket.socket:
    """Connect to the first address that answers; a socket that does not block.

    @param timeout: seconds for each address.
    @raise OSError: none does; why the last did not.
    """
    failure: OSError = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
    for address in addresses:
        try:
            return await _connect(reactor, address, port, timeout)
        except OSError as error:
            failure = error
    raise failure


async def _connect(reactor: Any, address: str, port: int, timeout: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        await connect(reactor, connection, (address, port), timeout)
    except BaseException:
        connection.close()
        raise
    return connection


async def connect(
    reactor: Any, connection: socket.socket, where: tuple[str, int], timeout: float
) -> None:
    """Connect a socket, which does not block from then on.

    @raise OSError: it cannot be connected, or not in so many seconds. It stays open.
    """
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    number = connection.connect_ex(where)
    if number == errno.EINPROGRESS:
        attempt = _Attempt(reactor, connection)
        attempt.done.addTimeout(timeout, reactor)
        try:
            await attempt.done
        except DeferredTimeout:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
    elif number:
        raise OSError(number, os.strerror(number))
