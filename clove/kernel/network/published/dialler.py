"""Connections into sandboxes that callers ask for themselves, by DIAL, instead of through a port of the host."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clove.errors import LimitExceeded, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from clove.kernel.network.published.limits import PublishLimits
    from clove.sandbox.interface import ISandbox
    from clove.sharing.shares import Shares

__all__ = ["Dialler"]


class Dialler:
    """Counts and makes them.

    @param connections: shared with those to published ports.
    @param each: how many one caller may have.
    @param remote: callers that come through a relay may have any.
    @param close_descriptor: closes what came from a sandbox.
    @ivar limits: how long one may be idle.
    """

    def __init__(
        self,
        reactor: Any,
        limits: PublishLimits,
        connections: Shares,
        each: int,
        close_descriptor: Callable[[int], None],
        *,
        remote: bool,
    ) -> None:
        self.limits = limits
        self._reactor = reactor
        self._connections = connections
        self._each = each
        self._remote = remote
        self._close_descriptor = close_descriptor
        self._held: Counter[int] = Counter()

    def add(self, family: int, caller: int, *, remote: bool) -> None:
        """Count one more; L{remove} gives it back.

        @param caller: who it is counted for; of a remote one what stands for its token.
        @raise PermissionDenied: rule `remote.forward`.
        @raise LimitExceeded: there are too many.
        """
        if remote and not self._remote:
            raise PermissionDenied(
                "this kernel connects no callers of a relay to ports of agents",
                rule="remote.forward",
                hint="its operator can allow that: forward = true under [remote]",
            )
        if self._held[caller] >= self._each:
            raise LimitExceeded(
                f"{self._each} connections to ports of agents are open with this token",
                hint="close some; the operator can raise limits.remote.dialled",
            )
        self._connections.take(family)
        self._held[caller] += 1

    def remove(self, family: int, caller: int) -> None:
        """One that was added is over."""
        self._connections.give(family)
        self._held[caller] -= 1
        if not self._held[caller]:
            del self._held[caller]

    async def connect(self, sandbox: ISandbox, port: int) -> socket.socket:
        """Connect to a port of the loopback inside a sandbox; does not block.

        @raise Unavailable: nothing answers there.
        @raise IsolationUnavailable: this Linux is too old.
        """
        from clove.kernel.network.published.inner_socket import connect_inside, require_cookies

        own = require_cookies()
        timeout, close = self.limits.connect_timeout, self._close_descriptor
        try:
            descriptors = await sandbox.open_sockets()
            return await connect_inside(self._reactor, descriptors, own, port, timeout, close)
        except OSError as error:
            refused = error.errno == errno.ECONNREFUSED
            reason = "nothing listens there" if refused else error.strerror or str(error)
            raise Unavailable(
                f"port {port} in the sandbox cannot be reached: {reason}",
                hint="have the agent listen on 127.0.0.1 (or on all addresses), at that port",
            ) from None
