"""Ports on which the relay listens, with TLS or, on loopback, without."""

from __future__ import annotations

from typing import Any, Final, cast

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.tcp import Port
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from clove.errors import Unavailable
from clove.relay.hub.admission_limit import AdmissionLimit
from clove.relay.tls import RenewedCertificate

__all__ = ["ACCEPTS", "BACKLOG", "listen"]

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


def listen(
    reactor: Any,
    factory: Any,
    address: str,
    port: int,
    tls: RenewedCertificate | None,
    admission_limit: AdmissionLimit | None = None,
) -> IListeningPort:
    """Listen on a port; gives it.

    @param admission_limit: how many connections are admitted at once; None: it is not known when they are.

    @raise Unavailable: it cannot be had.
    """
    served = factory if tls is None else TLSMemoryBIOFactory(tls, False, factory, reactor)
    opened = BoundedPort(port, served, BACKLOG, address, reactor)
    opened.admission_limit = admission_limit
    try:
        opened.startListening()
    except CannotListenError as error:
        raise Unavailable(
            f"cannot listen on {address} port {port}: {error.socketError}",
            hint="choose another address or port in the configuration, or stop what has it",
        ) from None
    listening: IListeningPort = opened
    return listening
