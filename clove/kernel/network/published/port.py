"""One published port: a listening socket of the host's loopback, and its connections."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from typing import Any, Final

from clove.errors import InvalidRequest, PermissionDenied, Unavailable
from clove.kernel.network.gateway.listening import Listener
from clove.messages.publishing import PublishedPort

__all__ = ["Port", "bind", "loopback"]

BACKLOG: Final = 128


def loopback(host: str) -> str:
    """The address, if it is one of the host's loopback.

    @raise InvalidRequest: it is another, or none.
    """
    try:
        address = ipaddress.ip_address(host)
        if address.is_loopback and (address.version == 4 or address == ipaddress.ip_address("::1")):
            return str(address)
    except ValueError:
        pass
    raise InvalidRequest(
        f"a port is published at an address of the host's loopback, not at {host!r}",
        hint="127.0.0.1 or ::1; have a proxy of the host's listen elsewhere",
    )


def bind(host: str, number: int) -> socket.socket:
    """Listen on an address of the host's loopback.

    @param number: 0: one that is free.
    @raise PermissionDenied: the operating system keeps it from the kernel's user.
    @raise Unavailable: it is in use, or cannot be had for another reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    where = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"{where} cannot be listened on: {error.strerror}") from None
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, number))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(
                f"port {where} of the host is in use",
                hint="publish at another one, or at 0 for one that is free",
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise PermissionDenied(
                f"port {where} is not for the kernel's user: {os.strerror(error.errno)}",
                rule="os",
                hint="publish at a port from 1024 on",
            ) from None
        raise Unavailable(f"{where} cannot be listened on: {error.strerror}") from None
    return listening


class Port:
    """Listens until it is closed.

    @ivar host, host_port: where.
    @ivar inner: the agent's port.
    @ivar connections: how many there are now.
    @param room: may one more connection be taken?
    @param take: is given each.
    """

    def __init__(
        self,
        reactor: Any,
        listening: socket.socket,
        inner: int,
        room: Callable[[], bool],
        take: Callable[[Port, socket.socket], None],
    ) -> None:
        self.host, self.host_port = listening.getsockname()[:2]
        self.inner = inner
        self.connections = 0
        self._listening = listening
        self._listener = Listener(reactor, listening, room, lambda one: take(self, one))

    @property
    def where(self) -> str:
        """As people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.host_port}"

    def duplicate(self) -> socket.socket:
        """Another descriptor of what listens, for the port that takes its place.

        @raise Unavailable: there is no descriptor left.
        """
        try:
            return self._listening.dup()
        except OSError as error:
            raise Unavailable(f"{self.where} cannot be kept: {error.strerror}") from None

    def shown(self) -> PublishedPort:
        """As replies have it."""
        return PublishedPort(
            port=self.inner,
            host=self.host,
            host_port=self.host_port,
            connections=self.connections,
        )

    def resume(self) -> None:
        """There may be room again."""
        self._listener.resume()

    def close(self) -> None:
        """Listen no more. Idempotent."""
        self._listener.close()
