"""The kernel's end of a control socket, on the reactor.

It never blocks: what the socket does not take waits in a bounded queue. What
comes from inside is believed only as far as its form goes; the sender's pid is
the operating system's word (SCM_CREDENTIALS, unix(7)).
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor, IWriteDescriptor
from zope.interface import implementer

from clove.errors import LimitExceeded
from clove.sandbox.control import MAX_FDS, PACKET, Assembler, BadMessage, packets

__all__ = ["ControlSocket", "socket_pair"]

CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid
SPACE: Final = socket.CMSG_SPACE(MAX_FDS * 4) + socket.CMSG_SPACE(CREDENTIALS.size)
TURN: Final = 256
"""Packets read before other events of the reactor have their turn."""

Receive = Callable[[dict[str, Any], list[int], int], None]


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """The kernel's end, which tells senders' pids, and the end to hand over."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    ours.setblocking(False)
    return ours, theirs


@implementer(IReadDescriptor, IWriteDescriptor)
class ControlSocket:
    """Sends and receives messages with descriptors.

    @param receive: takes a message, its descriptors (to be closed by the taker)
        and the sender's pid as this process sees it.
    @param lost: called once when the other end is gone or talks nonsense.
    @param waiting: packets that may wait to be sent.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        end: socket.socket,
        receive: Receive,
        lost: Callable[[], None],
        waiting: int = 1024,
    ) -> None:
        self._reactor = reactor
        self._socket = end
        self._receive = receive
        self._lost = lost
        self._waiting = waiting
        self._assembler = Assembler()
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self.open = True
        reactor.addReader(self)

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return "sandbox control"

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send a message; the descriptors are duplicated, the caller keeps its own.

        @raise LimitExceeded: too much waits to be sent, or the message is too long.
        """
        if not self.open:
            return
        try:
            pieces = packets(message)
        except BadMessage as error:
            raise LimitExceeded(str(error)) from None
        if len(self._queue) + len(pieces) > self._waiting:
            raise LimitExceeded("too many requests wait for this sandbox; try again later")
        last = pieces.pop()
        self._queue.extend((piece, ()) for piece in pieces)
        self._queue.append((last, tuple(os.dup(fd) for fd in fds)))
        self.doWrite()

    def doWrite(self) -> None:
        """Send what waits."""
        while self._queue:
            packet, fds = self._queue[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                self._socket.sendmsg([packet], rights, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self._reactor.addWriter(self)
                return
            except OSError:  # nobody reads any more; doRead sees the end
                pass
            self._queue.popleft()
            _close_all(fds)
        self._reactor.removeWriter(self)

    def doRead(self) -> None:
        """Take what has come."""
        for _ in range(TURN):
            if not self.open:
                return
            try:
                packet, ancillary, flags, _ = self._socket.recvmsg(
                    PACKET + 1, SPACE, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except ConnectionResetError:  # told once, before what is still queued
                continue
            except OSError:
                packet, ancillary, flags = b"", [], 0
            fds, pid = _unpack(ancillary)
            try:
                if not packet or flags & socket.MSG_TRUNC:
                    raise BadMessage("the end, or a packet that is too long")
                message = self._assembler.feed(packet)
            except BadMessage:
                _close_all(fds)
                self.close()
                self._lost()
                return
            if message is not None:
                self._receive(message, fds, pid)

    def connectionLost(self, reason: object) -> None:
        """The reactor's word that the descriptor is of no use."""
        if self.open:
            self.close()
            self._lost()

    def close(self) -> None:
        """Hang up; the inside takes it as the order to end. Idempotent."""
        if not self.open:
            return
        self.open = False
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._socket.close()
        while self._queue:
            _close_all(self._queue.popleft()[1])


def _unpack(ancillary: list[tuple[int, int, bytes]]) -> tuple[list[int], int]:
    fds = array.array("i")
    pid = 0
    for level, kind, data in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        elif kind == socket.SCM_CREDENTIALS:
            pid = CREDENTIALS.unpack(data[: CREDENTIALS.size])[0]
    return list(fds), pid


def _close_all(fds: Sequence[int]) -> None:
    for descriptor in fds:
        os.close(descriptor)
