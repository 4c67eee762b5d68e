"""Ports on which the relay listens, with TLS or, on loopback, without."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.tcp import Port
from twisted.protocols.tls import TLSMemoryBIOFactory

from clove.errors import Unavailable
from clove.relay.tls import RenewedCertificate

__all__ = ["ACCEPTS", "BACKLOG", "listen"]

BACKLOG: Final = 4096
"""Connections that wait to be accepted; the operating system may have a lower bound (net.core.somaxconn)."""
ACCEPTS: Final = 4
"""Connections that are accepted in one turn of the reactor."""


class PacedPort(Port):
    """Accepts few connections in a turn, however many there are.

    When all machines of a fleet come back at once, those that wait cost nothing, and the turns in between
    serve everybody else: what is admitted in a turn is what the next turns have to do. Twisted's own
    port accepts a hundred in a turn, and more in the next.
    """

    @property
    def numberAccepts(self) -> int:
        """How many at most."""
        return ACCEPTS

    @numberAccepts.setter
    def numberAccepts(self, number: int) -> None:
        """Twisted would adapt it."""


def listen(
    reactor: Any, factory: Any, address: str, port: int, tls: RenewedCertificate | None
) -> IListeningPort:
    """Listen on a port; gives it.

    @raise Unavailable: it cannot be had.
    """
    served = factory if tls is None else TLSMemoryBIOFactory(tls, False, factory, reactor)
    opened = PacedPort(port, served, BACKLOG, address, reactor)
    try:
        opened.startListening()
    except CannotListenError as error:
        raise Unavailable(
            f"cannot listen on {address} port {port}: {error.socketError}",
            hint="choose another address or port in the configuration, or stop what has it",
        ) from None
    listening: IListeningPort = opened
    return listening
