"""Watches of directories: descriptors that tell what changes there, read as their clients take it."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from clove.errors import Unavailable
from clove.sandbox.inside.watching import (
    IN_ATTRIB,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
)
from clove.sharing.shares import Shares

if TYPE_CHECKING:
    from clove.sharing.shares import ShareLimits

__all__ = ["Change", "Watch", "Watches", "parse_changes"]

_HEADER: Final = struct.Struct("iIII")
_LOST: Final = 0x4000  # IN_Q_OVERFLOW
_IGNORED: Final = 0x8000  # IN_IGNORED
_AT_ONCE: Final = 4 << 10
"""Bytes of what is read in one go: each name in it is asked rules about, before others have their turn."""
_WORDS: Final = {
    IN_CREATE: "created",
    IN_DELETE: "removed",
    IN_CLOSE_WRITE: "changed",
    IN_ATTRIB: "changed",
    IN_MOVED_FROM: "moved_from",
    IN_MOVED_TO: "moved_to",
    IN_DELETE_SELF: "gone",
    IN_MOVE_SELF: "gone",
    _IGNORED: "gone",
    _LOST: "lost",
}


class Change(NamedTuple):
    """What has happened to a name in a directory.

    @ivar event: created, removed, changed, moved_from, moved_to; gone: to the directory itself;
        lost: more happened than was kept.
    """

    event: str
    name: str


def parse_changes(data: bytes) -> Iterator[Change]:
    """What inotify(7) says; a message that is cut off is left out. Pure."""
    at = 0
    while at + _HEADER.size <= len(data):
        _, mask, _, size = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        raw = data[at : at + size].split(b"\0", 1)[0]
        at += size
        for bit, event in _WORDS.items():
            if mask & bit:
                yield Change(event, raw.decode("utf-8", "backslashreplace"))
                break


@implementer(IReadDescriptor)
class Watch:
    """One watch, of which nothing is read until it is asked for.

    @param descriptor: an inotify instance, which is closed by C{close}.
    """

    def __init__(self, reactor: Any, descriptor: int, close: Callable[[int], object]) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._close = close
        self._waiting: Deferred[list[Change]] | None = None
        self._ended = False

    def fileno(self) -> int:
        """@see: C{IReadDescriptor}."""
        return self._descriptor

    def logPrefix(self) -> str:
        """@see: C{IReadDescriptor}."""
        return "watch"

    def changes(self) -> Deferred[list[Change]]:
        """What has happened since; fires when there is something."""

        def give_up(_: object) -> None:
            self._waiting = None
            self._reactor.removeReader(self)

        if self._ended:
            return succeed([Change("gone", "")])
        self._waiting = Deferred(give_up)
        self._reactor.addReader(self)
        return self._waiting

    def end(self) -> None:
        """For the one who asks, the directory is gone: so is the agent whose it was."""
        self._ended = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._reactor.removeReader(self)
            waiting.callback([Change("gone", "")])

    def doRead(self) -> None:
        """There is something."""
        waiting, self._waiting = self._waiting, None
        self._reactor.removeReader(self)
        try:
            data = os.read(self._descriptor, _AT_ONCE)
        except BlockingIOError:
            data = b""
        except OSError as error:
            data = b""
            if waiting is not None:
                waiting.errback(Unavailable(f"the watch cannot be read: {error.strerror}"))
                return
        if waiting is not None:
            waiting.callback(list(parse_changes(data)))

    def connectionLost(self, reason: object) -> None:
        """@see: C{IReadDescriptor}."""

    def close(self) -> None:
        """Watch no more."""
        self._reactor.removeReader(self)
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._close(descriptor)


class Watches:
    """All watches, within bounds.

    @param most: of all agents together.
    @param close: closes a descriptor outside the reactor's thread: it may take its time.
    """

    def __init__(
        self,
        reactor: Any,
        most: int,
        close: Callable[[int], object],
        shares: ShareLimits | None = None,
    ) -> None:
        self._reactor = reactor
        self._close = close
        self._counted = Shares("watches", "limits.files.watches", most, shares)

    def check(self, family: int) -> None:
        """@raise LimitExceeded: the family has its share, or there is no room."""
        refusal = self._counted.refusal(family)
        if refusal is not None:
            raise refusal

    @contextlib.contextmanager
    def held(self, family: int, descriptor: int) -> Iterator[Watch]:
        """A watch on a descriptor, which is closed in any case.

        @raise LimitExceeded: there is no room.
        @raise Unavailable: it is no inotify instance, whoever sent it.
        """
        watch = Watch(self._reactor, descriptor, self._close)
        try:
            if os.readlink(f"/proc/self/fd/{descriptor}") != "anon_inode:inotify":
                raise Unavailable("the agent's sandbox sent something else than a watch")
            os.set_blocking(descriptor, False)
            self.check(family)
            self._counted.add(family)
            try:
                yield watch
            finally:
                self._counted.give(family)
        finally:
            watch.close()
