"""Ports on which the relay listens, with TLS or, on loopback, without; opened by itself or by systemd."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, Final, cast

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.tcp import Port
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from clove.errors import InvalidRequest, Unavailable
from clove.relay.hub.admission_limit import AdmissionLimit
from clove.relay.tls import RenewedCertificate

__all__ = ["ACCEPTS", "BACKLOG", "HandedPorts", "listen", "url_here"]

BACKLOG: Final = 4096
"""Connections that wait to be accepted; the operating system may have a lower bound (net.core.somaxconn)."""
ACCEPTS: Final = 4
"""Connections that are accepted in one turn of the reactor."""
PAUSE: Final = 0.005
"""Seconds until it is looked again whether another may be."""

_DONE: Final = Failure(CONNECTION_DONE)


class BoundedPort(cast(Any, Port)):  # type: ignore[misc] # Twisted's has no types
    """Accepts few connections in a turn, however many there are.

    When all machines of a fleet come back at once, those that wait cost nothing, and the turns in between
    serve everybody else: what is admitted in a turn is what the next turns have to do. Twisted's own
    port accepts a hundred in a turn, and more in the next.
    """

    admission_limit: AdmissionLimit | None = None
    _later: Any = None

    def doRead(self) -> None:
        """Connections wait."""
        if self.admission_limit is None or not self.admission_limit.is_full:
            super().doRead()
            return
        self.stopReading()
        self._later = self.reactor.callLater(PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._later = None
        self.startReading()

    def loseConnection(self, connDone: Any = _DONE) -> Any:
        """Listen no more."""
        later, self._later = self._later, None
        if later is not None:
            later.cancel()
        return super().loseConnection(connDone)

    stopListening = loseConnection

    @property
    def numberAccepts(self) -> int:
        """How many at most."""
        return ACCEPTS

    @numberAccepts.setter
    def numberAccepts(self, number: int) -> None:
        """Twisted would adapt it."""


class HandedPorts:
    """Ports that systemd has opened (`clove.systemd.activation`), by the names of their socket units.

    @param names: of what this relay listens for.
    @raise InvalidRequest: one is for something else, or comes twice.
    """

    def __init__(
        self, handed: Iterable[tuple[str, socket.socket]] = (), names: tuple[str, ...] = ()
    ) -> None:
        self._sockets: dict[str, socket.socket] = {}
        for name, opened in handed:
            if name not in names or name in self._sockets:
                raise InvalidRequest(
                    f"the socket {name!r} that was handed over is for nothing of this relay",
                    hint=f"FileDescriptorName= in the socket unit is one of {', '.join(names)}, each once",
                )
            self._sockets[name] = opened

    def find(self, name: str, address: str, port: int) -> socket.socket | None:
        """The one of this name; None: there is none, and the relay opens it itself.

        @raise InvalidRequest: it is at another address than the configuration says.
        """
        opened = self._sockets.get(name)
        if opened is None:
            return None
        at = opened.getsockname()
        if opened.family in (socket.AF_INET, socket.AF_INET6) and at[1] == (port or at[1]):
            with contextlib.suppress(ValueError):
                if ipaddress.ip_address(at[0]) == ipaddress.ip_address(address):
                    return opened
        raise InvalidRequest(
            f"the socket {name!r} that was handed over is at {at[:2]}, and {name}.listen and "
            f"{name}.port of the configuration are {address} and {port}",
            hint="have ListenStream= in the socket unit and the configuration agree",
        )


def listen(
    reactor: Any,
    factory: Any,
    address: str,
    port: int,
    tls: RenewedCertificate | None,
    admission_limit: AdmissionLimit | None = None,
    handed: socket.socket | None = None,
) -> IListeningPort:
    """Listen on a port; gives it.

    @param handed: listens there already, and is used instead.

    @param admission_limit: how many connections are admitted at once; None: it is not known when they are.

    @raise Unavailable: it cannot be had.
    """
    served = factory if tls is None else TLSMemoryBIOFactory(tls, False, factory, reactor)
    opened = BoundedPort(port, served, BACKLOG, address, reactor)
    opened.admission_limit = admission_limit
    opened._preexistingSocket = handed
    try:
        opened.startListening()
    except CannotListenError as error:
        raise Unavailable(
            f"cannot listen on {address} port {port}: {error.socketError}",
            hint="choose another address or port in the configuration, or stop what has it",
        ) from None
    listening: IListeningPort = opened
    return listening


def url_here(scheme: str, port: Any) -> str:
    """How this machine reaches a port: one that listens on all addresses, on loopback."""
    host = port.getHost()
    address = ipaddress.ip_address(host.host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    shown = f"[{address}]" if address.version == 6 else str(address)
    return f"{scheme}://{shown}:{host.port}"
