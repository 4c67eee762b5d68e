"""Ports on which the relay listens, with TLS or, on loopback, without."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from clove.errors import Unavailable
from clove.relay.tls import RenewedCertificate

__all__ = ["BACKLOG", "listen"]

BACKLOG = 1024
"""Connections that wait to be accepted."""


def listen(
    reactor: Any, factory: Any, address: str, port: int, tls: RenewedCertificate | None
) -> IListeningPort:
    """Listen on a port; gives it.

    @raise Unavailable: it cannot be had.
    """
    try:
        if tls is None:
            opened = reactor.listenTCP(port, factory, backlog=BACKLOG, interface=address)
        else:
            opened = reactor.listenSSL(port, factory, tls, backlog=BACKLOG, interface=address)
    except CannotListenError as error:
        raise Unavailable(
            f"cannot listen on {address} port {port}: {error.socketError}",
            hint="choose another address or port in the configuration, or stop what has it",
        ) from None
    return cast(IListeningPort, opened)
