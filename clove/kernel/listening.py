"""Sockets of the kernel: claiming the main one, making one for each agent.

A live socket is never taken over; a stale one is replaced; a foreign one is
left alone (attacks.md, row 5). The main one is bound under a strict umask, so
that there is no moment in which others can connect; the agents' own lie in a
private directory.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import pwd
import socket
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory

from clove.channels.channel import Channel
from clove.errors import InvalidRequest, Unavailable
from clove.kernel.credentials import AgentSocket, Credentials
from clove.kernel.peers import peer_of
from clove.kernel.state_dir import SOCKET_PATH_LIMIT
from clove.kernel.unix_port import Admission, Port
from clove.protocol import ChannelProtocol
from clove.sandbox.disposal import Disposal

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IListeningPort

    from clove.kernel.principal import Principal
    from clove.kernel.principals import Principals


__all__ = [
    "AgentSockets",
    "ConnectionFactory",
    "Lock",
    "check_path",
    "claim_socket",
    "listen",
    "stopped",
]

BACKLOG = 1024
"""Connections that wait to be accepted; more get EAGAIN (listen(2))."""


Accept: TypeAlias = Callable[[Callable[[], Credentials], Channel], object]
"""Takes what verifies the peer's credentials (or raises a L{CloveError}), and the channel."""


class ConnectionFactory(Factory):
    """Makes channels of accepted connections, each with the credentials of its peer.

    @param identify: what a transport's peer is.
    """

    noisy = False

    def __init__(self, accept: Accept, identify: Callable[[Any], Credentials] = peer_of) -> None:
        self._accept = accept
        self._identify = identify

    def buildProtocol(self, addr: IAddress | None) -> ChannelProtocol:
        """A connection was accepted."""
        return ChannelProtocol(self._channel_made)

    def _channel_made(self, channel: Channel, transport: object) -> None:
        self._accept(functools.partial(self._identify, transport), channel)


class Lock:
    """A lock file that one kernel holds for its life (flock(2))."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle = -1

    def take(self) -> None:
        """Take the lock.

        @raise Unavailable: another kernel holds it.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Unavailable(
                f"another kernel uses the state directory of {self._path}",
                hint="give this one its own --state-dir, or stop the other",
            ) from None
        self._handle = handle

    def release(self) -> None:
        """Give it back. Idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def check_path(path: str) -> str:
    """A socket's absolute path.

    @raise InvalidRequest: empty, with a NUL, or too long (unix(7)).
    """
    if not path or "\0" in path:
        raise InvalidRequest("the socket's path must not be empty or hold a NUL")
    whole = os.path.abspath(path)
    if len(os.fsencode(whole)) > SOCKET_PATH_LIMIT:
        raise InvalidRequest(
            f"the socket's path {whole} is too long",
            hint=f"choose one of at most {SOCKET_PATH_LIMIT} bytes",
        )
    return whole


def claim_socket(path: str) -> None:
    """Make a path free to bind: refuse a live kernel and what is another user's, remove a stale socket.

    @raise Unavailable: a kernel listens there, the path is not ours to take, or
        its directory is missing.
    """
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        directory = os.path.dirname(path)
        if not os.path.isdir(directory):
            raise Unavailable(
                f"there is no directory {directory} for the socket",
                hint="make it, or choose another --socket",
            ) from None
        return
    owner = "" if facts.st_uid == os.geteuid() else f" and belongs to {_user(facts.st_uid)}"
    if not stat.S_ISSOCK(facts.st_mode):
        raise Unavailable(
            f"{path} is there, is not a socket{owner}", hint="choose another --socket"
        )
    if owner:
        raise Unavailable(
            f"{path} is there{owner}",
            hint="have it removed by its owner or root, or choose another --socket",
        )
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                raise Unavailable(
                    f"{path}: {error.strerror}", hint="choose another --socket"
                ) from None
        else:
            raise Unavailable(
                f"a kernel listens on {path} already", hint="choose another --socket, or stop it"
            )
    os.unlink(path)


def _user(uid: int) -> str:
    """A user, in words."""
    try:
        return f"user id {uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return f"user id {uid}"


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    earlier = os.umask(mask)
    try:
        yield
    finally:
        os.umask(earlier)


async def listen(
    reactor: object,
    factory: Factory,
    path: str,
    mode: int,
    *,
    exposed: bool = False,
    disposal: Disposal | None = None,
    admission: Admission | None = None,
    listener: socket.socket | None = None,
) -> IListeningPort:
    """Listen on a Unix socket that refuses descriptors.

    @param mode: of the socket.
    @param exposed: others can reach its directory, so it must have its mode from the moment it
        is bound. That takes the umask, which is the whole process's: only to be used while no
        threads create files.
    @param disposal: closes descriptors, a peer can make that slow.
    @param admission: whose connections are accepted, and how many; None: as L{Admission} says.
    @param listener: a socket that listens there already and is used instead.
    @raise Unavailable: the operating system refuses.
    """
    port = Port(
        path,
        factory,
        backlog=BACKLOG,
        mode=mode,
        reactor=reactor,
        disposal=disposal or Disposal(reactor),
        admission=admission or Admission(),
        listener=listener,
    )
    with _umask(0o777 & ~mode) if exposed else contextlib.nullcontext():
        try:
            port.startListening()  # type: ignore[no-untyped-call]
        except (CannotListenError, OSError) as error:
            reason = getattr(error, "socketError", error)
            raise Unavailable(f"cannot listen on {path}: {reason}") from None
    return port


async def stopped(port: Any) -> None:
    """Close a port; returns when it is closed."""
    stopping = port.stopListening()
    if stopping is not None:
        await stopping


class AgentSockets:
    """The sockets on which agents are served, one for each.

    @param accept: serves a connection; see L{ConnectionFactory}.
    @param most: connections of one agent.
    @ivar principals: of the connections; set when they are made, for which there must be agents first.
    """

    principals: Principals

    def __init__(self, reactor: object, accept: Accept, most: int, disposal: Disposal) -> None:
        self._reactor = reactor
        self._accept = accept
        self._most = most
        self._disposal = disposal

    async def open(self, principal: Principal, path: str) -> Callable[[], Deferred[Any]]:
        """An agent's own socket; gives the way to close it.

        Mode 0666: the directory above is 0700, and in a sandbox the agent's own
        user must be able to connect.
        """
        credentials = AgentSocket(principal)
        factory = ConnectionFactory(self._accept, lambda _: credentials)
        admission = Admission(
            owner=principal.agent_id,
            most=self._most,
            family=principal.family,
            rate=self.principals.rate,
        )
        port = await listen(
            self._reactor, factory, path, 0o666, disposal=self._disposal, admission=admission
        )

        def close() -> Deferred[Any]:
            self.principals.close_all(principal)
            return Deferred.fromCoroutine(stopped(port))

        return close
