"""A change of an agent's published ports that is judged, and not made yet."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clove.errors import NotFound

if TYPE_CHECKING:
    from clove.kernel.network.published.port import Port

__all__ = ["PortChange", "leaving_ports", "own_socket"]


def leaving_ports(ports: list[Port], host_ports: Sequence[int]) -> list[Port]:
    """Those of an agent's that are revoked.

    @raise NotFound: one of the numbers is none of theirs.
    """
    for number in host_ports:
        if all(port.host_port != number for port in ports):
            known = ", ".join(str(port.host_port) for port in ports) or "none"
            raise NotFound(
                f"port {number} of the host is not published for this agent",
                hint=f"its ports of the host: {known}",
            )
    return [port for port in ports if port.host_port in host_ports]


def own_socket(leaving: list[Port], host: str, number: int) -> socket.socket | None:
    """What listens there for a port that leaves, once for each; None: nothing of those does."""
    for port in leaving:
        if (port.host, port.host_port) == (host, number):
            leaving.remove(port)
            return port.duplicate()
    return None


class PortChange:
    """What it publishes listens already, so that it can be made without fail.

    @param finish: is told whether it is to be made, else given up.
    """

    def __init__(self, finish: Callable[[bool], None]) -> None:
        self._finish: Callable[[bool], None] | None = finish

    def commit(self) -> None:
        """Make it.

        @raise Unavailable: the agent has ended meanwhile.
        """
        self._end(made=True)

    def abandon(self) -> None:
        """Give it up, unless it is made. Idempotent."""
        self._end(made=False)

    def _end(self, *, made: bool) -> None:
        finish, self._finish = self._finish, None
        if finish is not None:
            finish(made)
