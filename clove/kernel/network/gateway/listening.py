"""Sockets of a sandbox that take connections, and where each of those wanted to go."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

__all__ = ["Listener", "original_destination"]

SO_ORIGINAL_DST: Final = 80
ADDRESS: Final = struct.Struct("!2xH4s8x")  # struct sockaddr_in; the family is not looked at
TURN: Final = 16
PAUSE: Final = 0.5
"""Seconds without accepting when this process has no descriptor left."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def original_destination(connection: socket.socket) -> tuple[str, int]:
    """Address and port that a client connected to, before NAT if there was any.

    @raise OSError: it is gone already.
    """
    try:
        found = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, ADDRESS.size)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOPROTOOPT):
            raise
        address, port = connection.getsockname()
        return str(address), int(port)
    port, packed = ADDRESS.unpack(found)
    return socket.inet_ntoa(packed), port


@implementer(IReadDescriptor)
class Listener:
    """Accepts as long as there is room.

    @param room: may one more be taken?
    @param take: is given each, set not to block.
    """

    def __init__(
        self,
        reactor: Any,
        listening: socket.socket,
        room: Callable[[], bool],
        take: Callable[[socket.socket], None],
    ) -> None:
        self._reactor = reactor
        self._socket = listening
        self._room = room
        self._take = take
        self._pause: Any = None
        reactor.addReader(self)

    def fileno(self) -> int:
        """Part of IReadDescriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Part of IReadDescriptor."""
        return "gateway"

    def doRead(self) -> None:
        """Part of IReadDescriptor."""
        for _ in range(TURN):
            if self.fileno() < 0:
                return
            if not self._room():
                self._reactor.removeReader(self)
                return
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._reactor.removeReader(self)
                    self._pause = self._reactor.callLater(PAUSE, self._go_on)
                    return
                continue  # it has given up meanwhile
            connection.setblocking(False)
            self._take(connection)

    def _go_on(self) -> None:
        self._pause = None
        self.resume()

    def resume(self) -> None:
        """There is room again."""
        if self.fileno() >= 0 and self._pause is None:
            self._reactor.addReader(self)

    def connectionLost(self, reason: object) -> None:
        """Part of IReadDescriptor."""
        self.close()

    def close(self) -> None:
        """Idempotent."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self.fileno() >= 0:
            self._reactor.removeReader(self)
            self._socket.close()
