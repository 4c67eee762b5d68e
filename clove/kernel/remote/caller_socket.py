"""The socket on which a tunnel beside the kernel (`twistd clove-tunnel`) hands over remote callers.

Who connects must be the kernel's own user, or root, or the one that the configuration names for this, and no
process of an agent. The first two may act as the operator on the main socket. Here they get less than that,
whatever they say, and the third has nothing but this socket: the first line names a
caller, and the connection is that caller's from then on, within `[remote]` like one of the kernel's own
tunnel. Nothing that comes behind the line is read before the kernel has answered it.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import CloveError, InvalidRequest, LimitExceeded, PermissionDenied
from clove.kernel.peers import peer_of
from clove.messages.base import MALFORMED
from clove.messages.relay import MOST_INTRODUCTION, Caller, Introduced, Introduction
from clove.protocol import ChannelProtocol

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

    from clove.channels.channel import Channel
    from clove.kernel.credentials import LocalPeer
    from clove.kernel.principal import Principal

__all__ = ["CallerSocket", "user_id"]

SECONDS: Final = 10.0
"""For the first line."""
MOST_WAITING: Final = 64
"""Connections that have not said their line; one more is closed."""

_FIRST = msgspec.json.Decoder(Introduction)


def user_id(name: str) -> int:
    """The id of C{remote.tunnel_user}. Blocking.

    @raise InvalidRequest: there is no such user.
    """
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise InvalidRequest(
            f"remote.tunnel_user: there is no user {name!r}",
            hint="systemd-sysusers makes clove-tunnel (docs/systemd.md)",
        ) from None


class CallerSocket(Factory):
    """Accepts a tunnel's connections.

    @param enter: serves a caller: the relay's URL, the caller, its channel.
    @param noop: goes through the kernel's dispatch.
    @param agent_of: the agent that a process belongs to; None: surely none's.
    @param tunnel_uid: of the user that may connect beside root and our own; None: there is none.
    @ivar waiting: connections that have not said their line.
    """

    noisy = False

    def __init__(
        self,
        clock: Any,
        enter: Callable[[str, Caller, Channel], None],
        noop: Callable[[], object],
        agent_of: Callable[[LocalPeer], Principal | None],
        tunnel_uid: int | None = None,
    ) -> None:
        self._users = (0, os.geteuid(), tunnel_uid)
        self.clock = clock
        self.enter = enter
        self.noop = noop
        self.agent_of = agent_of
        self.waiting = 0

    def buildProtocol(self, addr: IAddress | None) -> _First:
        """A connection was accepted."""
        return _First(self)

    def check(self, transport: Any) -> None:
        """Go on only if a process may hand over callers.

        @raise CloveError: it may not.
        """
        peer = peer_of(transport)
        try:
            if peer.uid not in self._users or self.agent_of(peer) is not None:
                raise PermissionDenied(
                    "this socket is for the tunnel of the kernel's own user, or of remote.tunnel_user",
                    rule="peer-uid",
                )
        finally:
            peer.close()
        if self.waiting > MOST_WAITING:
            raise LimitExceeded("too many connections that have not said for whom they are")


class _First(Protocol):
    """A connection's first line."""

    log = Logger(namespace="clove.kernel.remote")

    def __init__(self, socket: CallerSocket) -> None:
        self._socket = socket
        self._line = b""
        self._timeout: Any = None

    def connectionMade(self) -> None:
        """A process has connected."""
        self._socket.waiting += 1
        self._timeout = self._socket.clock.callLater(SECONDS, self._late)
        try:
            self._socket.check(self.transport)
        except CloveError as error:
            self._refuse(error)

    def dataReceived(self, data: bytes) -> None:
        """A piece of the line."""
        if self._timeout is None:  # refused
            return
        self._line += data
        line, end, rest = self._line.partition(b"\n")
        try:
            if len(self._line) > MOST_INTRODUCTION or rest:
                raise InvalidRequest("one line comes first, and its answer is waited for")
            if end:
                self._introduced(_read(line))
        except CloveError as error:
            self._refuse(error)

    def _introduced(self, said: Introduction) -> None:
        if said.caller is None:
            self._socket.noop()
            self._answer(Introduced())
            self._end()
            return
        caller = said.caller
        self._stop_waiting()
        self._answer(Introduced())
        protocol: Any = ChannelProtocol(
            lambda channel, _: self._socket.enter(said.relay, caller, channel)
        )
        transport: Any = self.transport
        transport.protocol = protocol
        protocol.makeConnection(transport)

    def _answer(self, answer: Introduced) -> None:
        """At once: nothing waits before it, and a channel writes past the transport's buffer."""
        transport: Any = self.transport
        try:
            transport.socket.send(msgspec.json.encode(answer) + b"\n")
        except OSError:
            transport.abortConnection()

    def _refuse(self, error: CloveError) -> None:
        self.log.warn("a connection for remote callers was refused: {error}", error=error.message)
        self._answer(Introduced(error=error.message))
        self._end()

    def _late(self) -> None:
        self._timeout = None
        self._socket.waiting -= 1
        transport: Any = self.transport
        transport.abortConnection()

    def _end(self) -> None:
        self._stop_waiting()
        transport: Any = self.transport
        transport.loseConnection()

    def _stop_waiting(self) -> None:
        timeout, self._timeout = self._timeout, None
        if timeout is not None:
            timeout.cancel()
            self._socket.waiting -= 1

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Before it was served."""
        self._stop_waiting()


def _read(line: bytes) -> Introduction:
    try:
        return _FIRST.decode(line)
    except MALFORMED as error:
        raise InvalidRequest(f"the first line names no caller: {error}") from None
