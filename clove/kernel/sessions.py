"""From an accepted socket to a principal, and back after a lost connection.

The operator is the kernel's own uid or root on the main socket; other uids are
let in only where the configuration grants them a level. A connection on an
agent's own socket is that agent. A process of an agent that comes to the main
socket is known by its ancestors (L{AgentFinder}).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from clove.errors import LimitExceeded, NotFound, PermissionDenied
from clove.kernel.authority import may_resume
from clove.kernel.buffers import shared_buffers
from clove.kernel.loop_time import LoopTime
from clove.kernel.peers import Peer, peer_of
from clove.kernel.principal import Kind, Principal
from clove.kernel.rate_limiter import RateLimiter
from clove.kernel.shares import OPERATORS, Shares
from clove.policy import Level, for_level

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from clove.kernel.connection import KernelConnection
    from clove.kernel.connection_limits import ConnectionLimits
    from clove.kernel.paced_connection import PacedConnection
    from clove.kernel.registry import Registry
    from clove.kernel.shares import ShareLimits
    from clove.sandbox.interface import IView

__all__ = ["RESUME_SECONDS", "Sessions"]

_AGENTS = -1  # in the place of a user id, for a connection on an agent's own socket

RESUME_SECONDS = 60
"""How long the belongings of a lost connection are kept for its resume token."""


def _working_directory(peer: Peer) -> str | None:
    """A process's working directory, to resolve the relative paths it sends.

    @return: None if it is gone: then the pid may be another's by now, and so the directory.
    """
    try:
        found = os.readlink(f"/proc/{peer.pid}/cwd")
    except OSError:
        return None
    return found if peer.is_there() else None


class Sessions:
    """Binds connections to principals.

    @ivar clock: the kernel's.
    @ivar rate: how often those that are no operators connect, by family.
    @ivar connections: the open ones, with the user id at the other end.
    @ivar buffers: bytes that wait on connections, of each family.
    @ivar time: of the reactor's thread, of each family.
    @param agent_of: gives the spawned agent that a process belongs to; None: surely none's.
    @param peer_of: who is at the other end of a transport.
    @ivar opened, closed: called with a principal that comes or is gone for good.
    """

    def __init__(
        self,
        clock: IReactorTime,
        registry: Registry,
        limits: ConnectionLimits,
        *,
        host: IView,
        grants: Mapping[int, Level],
        agent_of: Callable[[Peer], Principal | None],
        opened: Callable[[Principal], None],
        closed: Callable[[Principal], None],
        shares: ShareLimits | None = None,
        peer_of: Callable[[Any], Peer] = peer_of,
    ) -> None:
        self.clock = clock
        self._registry = registry
        self._limits = limits
        self._host = host
        self._grants = grants
        self._agent_of = agent_of
        self._peer_of = peer_of
        self._opened = opened
        self._closed = closed
        self._tokens: dict[str, tuple[Principal, int]] = {}  # with the user id
        self._leaving: dict[int, IDelayedCall] = {}
        self.connections: dict[KernelConnection, int] = {}
        self.rate = RateLimiter(limits.connects, limits.connects_at_once)
        self.buffers = shared_buffers(limits, shares)
        self.time = LoopTime(clock, limits.family_turn)
        most, field = limits.max_connections, "limits.connection.max_connections"
        # What is kept for operators has a field of its own: operator_connections.
        self._places = Shares("connections", field, most, shares, reserve=False)
        self._stays = Shares("identities to resume", field, most, shares)

    def accept(self, connection: KernelConnection) -> Principal:
        """Who a new connection is.

        @raise PermissionDenied: this uid may not use the kernel.
        @raise LimitExceeded: too many connections.
        """
        principal: Principal | None = cast("Any", connection.factory).principal
        uid = _AGENTS
        if principal is not None:
            self._check_room(principal.connections, principal.family)
        else:
            peer = self._peer_of(connection.transport)
            try:
                principal, uid = self._on_main_socket(peer), peer.uid
            finally:
                peer.close()
        principal.connections += 1
        self.connections[connection] = uid
        self._places.add(principal.family)
        return principal

    def _on_main_socket(self, peer: Peer) -> Principal:
        """Whoever is not positively known is a stranger."""
        if peer.uid not in (0, os.geteuid()):  # before it costs more
            self._check_rate(-peer.uid)
        agent = self._agent_of(peer)
        if agent is None:
            return self._outsider(peer)
        self._check_rate(agent.family)
        self._check_room(agent.connections, agent.family)
        return agent

    def _check_rate(self, family: int) -> None:
        """@raise LimitExceeded: it connects too often."""
        now = self.clock.seconds()
        if self.rate.wait(family, now) > 0:
            raise LimitExceeded(
                "you connect too often",
                hint="keep connections, and use them again; limits.connection.connects",
            )
        self.rate.take(family, now)

    def siblings(self, connection: PacedConnection) -> list[PacedConnection]:
        """The connections of the same agent, this one included."""
        principal = connection.principal
        if principal.connections == 1:
            return [connection]
        return [other for other in self.connections if other.principal is principal]

    def close_all(self, principal: Principal) -> None:
        """Close an agent's connections: it has ended."""
        for connection in list(self.connections):
            if connection.principal is principal:
                connection.close(silently=True)

    def _check_room(self, have: int, family: int) -> None:
        """@param have: connections that this agent, or this guest's user, has already."""
        limits, operator = self._limits, family == OPERATORS
        kept = 0 if operator else min(limits.operator_connections, limits.max_connections // 4)
        room = limits.max_connections - kept
        if len(self.connections) >= room:
            raise LimitExceeded(
                f"the kernel has {len(self.connections)} connections already",
                hint="raise limits.connection.max_connections, or close some",
            )
        if not operator and have >= limits.max_connections_per_agent:
            raise LimitExceeded(
                f"you have {have} connections already",
                hint="close some, or share one between threads",
            )
        refusal = self._places.refusal(family)
        if refusal is not None:
            raise refusal

    def _outsider(self, peer: Peer) -> Principal:
        operator = peer.uid in (0, os.geteuid())
        if not operator and peer.uid not in self._grants:
            raise PermissionDenied(
                f"user id {peer.uid} may not use this kernel",
                rule="peer-uid",
                hint="its operator can add the user id to [access] in the configuration",
            )
        have = 0 if operator else sum(uid == peer.uid for uid in self.connections.values())
        family = OPERATORS if operator else -peer.uid
        self._check_room(have, family)
        principal = Principal(
            self._registry.new_id(),
            Kind.OPERATOR if operator else Kind.GUEST,
            for_level(Level.UNRESTRICTED if operator else self._grants[peer.uid]),
            family=family,
            view=self._host if operator else None,
            cwd=_working_directory(peer),
        )
        self._registry.add(principal)
        self._opened(principal)
        return principal

    def token(self, connection: KernelConnection) -> str:
        """A resume token for a connection; an agent needs none."""
        if connection.principal.kind is Kind.AGENT:
            return ""
        token = secrets.token_urlsafe(24)
        self._tokens[token] = (connection.principal, self.connections[connection])
        return token

    def forget(self, token: str) -> None:
        """A token will not be used any more."""
        self._tokens.pop(token, None)

    def resume(self, connection: KernelConnection, token: str) -> Principal:
        """Give a lost connection's identity to a new one of the same user; once.

        @raise NotFound: the token is unknown, another user's, used, or its
            minute is over.
        """
        earlier, uid = self._tokens.get(token, (None, -1))
        mine = connection.principal
        if (
            earlier is None
            or earlier.agent_id not in self._leaving
            or not may_resume((mine.kind, self.connections[connection]), (earlier.kind, uid))
        ):
            raise NotFound("nothing to resume: the token is unknown or too old")
        self._leaving.pop(earlier.agent_id).cancel()
        self._stays.give(earlier.family)
        del self._tokens[token]
        self._drop(mine, "")
        earlier.connections += 1
        return earlier

    def release(self, connection: KernelConnection, token: str) -> None:
        """A connection is gone; its principal too, at once or after a minute."""
        if self.connections.pop(connection, None) is not None:
            self._places.give(connection.principal.family)
            self._drop(connection.principal, token)

    def _drop(self, principal: Principal, token: str) -> None:
        principal.connections -= 1
        if principal.kind is Kind.AGENT or principal.connections > 0:
            return
        if token and self._stays.refusal(principal.family) is None:
            self._stays.add(principal.family)
            self._leaving[principal.agent_id] = self.clock.callLater(
                RESUME_SECONDS, self._end, principal, token
            )
        else:
            self._end(principal, token)

    def _end(self, principal: Principal, token: str) -> None:
        if self._leaving.pop(principal.agent_id, None) is not None:
            self._stays.give(principal.family)
        self.forget(token)
        self._registry.remove(principal)
        self._closed(principal)

    def stop(self) -> None:
        """End every identity that only waits to be resumed."""
        for agent_id, call in list(self._leaving.items()):
            call.cancel()
            del self._leaving[agent_id]
        self._tokens.clear()
