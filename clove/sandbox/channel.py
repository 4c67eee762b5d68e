"""The kernel's end of a control socket, on the reactor.

It never blocks: what the socket does not take waits in a bounded queue. What
comes from inside is believed only as far as its form goes; the sender's pid is
from the operating system (SCM_CREDENTIALS, unix(7)).
"""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import msgspec
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor, IWriteDescriptor
from zope.interface import implementer

from clove.errors import LimitExceeded
from clove.sandbox.inside.control import FORGET, MAX_FDS, PACKET, Assembler, BadMessage, packets

__all__ = ["ControlSocket", "socket_pair"]

CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid
SPACE: Final = socket.CMSG_SPACE(MAX_FDS * 4) + socket.CMSG_SPACE(CREDENTIALS.size)
TURN: Final = 256
"""Packets read before other events of the reactor have their turn."""
TURN_SECONDS: Final = 0.001
"""For which they are taken: what is done for one may take a while."""

QUEUED: Final = 4096
"""Packets that a socket can hold: by its buffer of some 200 KB (net.core.wmem_default) far fewer."""

Close = Callable[[int], None]
Receive = Callable[[dict[str, Any], list[int], int], None]
NotSent = Callable[[OSError], None]


class _Outgoing(msgspec.Struct):
    """A message that is not sent yet.

    @ivar pieces: its packets that are left; the descriptors ride on the last.
    @ivar begun: some of its packets are sent.
    """

    pieces: deque[bytes]
    fds: tuple[int, ...] = ()
    not_sent: NotSent | None = None
    begun: bool = False


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
    @param lost: called once when the other end is gone, talks nonsense, or can be told no more.
    @param waiting: packets that may wait to be sent.
    @param close: closes a descriptor that may be the last to something inside.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        end: socket.socket,
        receive: Receive,
        lost: Callable[[], None],
        waiting: int = 1024,
        close: Close = os.close,
    ) -> None:
        self._reactor = reactor
        self._socket = end
        self._receive = receive
        self._lost = lost
        self._waiting = waiting
        self._close_descriptor = close
        self._assembler = Assembler()
        self._queue: deque[_Outgoing] = deque()
        self._queued = 0  # packets
        self.open = True
        reactor.addReader(self)

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return "sandbox control"

    def send(
        self,
        message: dict[str, Any],
        fds: Sequence[int] = (),
        not_sent: NotSent | None = None,
    ) -> None:
        """Send a message; the descriptors are duplicated, the caller keeps its own.

        @param not_sent: called, perhaps before this returns, when the operating system
            does not take the message; nothing of it arrives. Without it that is the end
            of the socket: the other side must not go on as if it had been told.
        @raise LimitExceeded: too much waits to be sent, or the message is too long.
        """
        if not self.open:
            return
        try:
            pieces = packets(message)
        except BadMessage as error:
            raise LimitExceeded(str(error)) from None
        if self._queued + len(pieces) > self._waiting:
            raise LimitExceeded("too many requests wait for this sandbox; try again later")
        self._queue.append(_Outgoing(deque(pieces), _duplicates(fds), not_sent))
        self._queued += len(pieces)
        self.doWrite()

    def doWrite(self) -> None:
        """Send what waits."""
        while self._queue:
            first = self._queue[0]
            try:
                self._send_piece(first)
            except BlockingIOError:
                self._reactor.addWriter(self)
                return
            except OSError as error:
                self._drop(first, error)
                continue
            first.pieces.popleft()
            first.begun = True
            self._queued -= 1
            if not first.pieces:
                self._queue.popleft()
                _close_all(first.fds)
        if self.open:
            self._reactor.removeWriter(self)

    def _send_piece(self, message: _Outgoing) -> None:
        fds = message.fds if len(message.pieces) == 1 else ()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._socket.sendmsg([message.pieces[0]], rights, socket.MSG_NOSIGNAL)

    def _drop(self, message: _Outgoing, error: OSError) -> None:
        """It cannot be sent, now or later (unix(7): ETOOMANYREFS, ENOBUFS, EPIPE, EMSGSIZE)."""
        self._queue.popleft()
        self._queued -= len(message.pieces)
        _close_all(message.fds)
        if message.not_sent is None:
            self.close()
            self._lost()
            return
        if message.begun:
            self._queued += 1
            self._queue.appendleft(_Outgoing(deque((FORGET,))))
        message.not_sent(error)

    def doRead(self) -> None:
        """Take what has come, for a while; the rest is there in the next turn."""
        seconds = cast("Any", self._reactor).seconds
        until = seconds() + TURN_SECONDS
        self._take(TURN, lambda: seconds() > until)

    def drain(self) -> None:
        """Take all that has come: the other end is gone, and there is no next turn."""
        self._take(QUEUED, lambda: False)

    def _take(self, most: int, enough: Callable[[], bool]) -> None:
        for _ in range(most):
            if enough() or not self.open:
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
                for descriptor in fds:
                    self._close_descriptor(descriptor)
                self.close()
                self._lost()
                return
            if message is None:
                continue
            if flags & socket.MSG_CTRUNC:  # this process may have no more descriptors
                _close_all(fds)
                message, fds = _incomplete(message), []
            self._receive(message, fds, pid)

    def connectionLost(self, reason: object) -> None:
        """The reactor says that the descriptor is of no use."""
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
        self._close_descriptor(self._socket.detach())  # with what is in its queue
        while self._queue:
            _close_all(self._queue.popleft().fds)


def _incomplete(message: dict[str, Any]) -> dict[str, Any]:
    """What becomes of a message that came without its descriptors."""
    number = message.get("id")
    return {
        "op": "failed" if number is None else "refused",
        "id": number,
        "step": "descriptors",
        "errno": errno.EMFILE,
        "text": os.strerror(errno.EMFILE),
    }


def _duplicates(fds: Sequence[int]) -> tuple[int, ...]:
    """Copies of all of them.

    @raise LimitExceeded: there is no room for so many.
    """
    copies: list[int] = []
    try:
        for fd in fds:
            copies.append(os.dup(fd))
    except OSError as error:
        _close_all(copies)
        raise LimitExceeded(f"the kernel has no descriptor left: {error.strerror}") from None
    return tuple(copies)


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
