"""Principals of connections: made from verified credentials, and taken away at the end.

On the main socket the kernel's own uid and root are the operator; other uids are let in only
where the configuration gives them a level. A connection on an agent's own socket is that agent.
A process of an agent that connects to the main socket is found by its ancestors
(L{AgentFinder}). A caller of another kernel is identified by a relay, and may do nothing that is
not granted to it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from clove.errors import NotFound, PermissionDenied
from clove.kernel.admission import CONNECTIONS_FIELD, Admission
from clove.kernel.authority import has_resume_token, may_resume
from clove.kernel.connection.buffers import shared_buffers
from clove.kernel.credentials import AgentSocket, LocalPeer, RemoteCaller
from clove.kernel.ids import REMOTE_CALLERS, remote_id
from clove.kernel.loop_time import LoopTime
from clove.kernel.principal import Kind, Principal
from clove.policy import Level, Permissions, Work, for_level, held
from clove.sharing.shares import OPERATORS, Shares

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from clove.kernel.connection.connection import KernelConnection
    from clove.kernel.connection.limits import ConnectionLimits
    from clove.kernel.credentials import Credentials
    from clove.kernel.registry import Registry
    from clove.sandbox.interface import IView
    from clove.sharing.shares import ShareLimits

__all__ = ["RESUME_SECONDS", "Principals"]

_NO_USER = -1  # instead of a user id, for peers that are not known by one

RESUME_SECONDS = 60
"""How long the belongings of a lost connection are kept for its resume token."""

_NOTHING = Permissions(level=Level.MINIMAL)
"""No switch is on: the level is a label."""


def _working_directory(peer: LocalPeer) -> str | None:
    """A process's working directory, to resolve the relative paths it sends.

    @return: None if it is gone: then the pid may be another's by now, and so the directory.
    """
    try:
        found = os.readlink(f"/proc/{peer.pid}/cwd")
    except OSError:
        return None
    return found if peer.is_there() else None


class Principals:
    """Binds connections to principals: they L{enter} and L{leave} here.

    @ivar clock: the kernel's.
    @ivar rate: how often those that are no operators connect, by family.
    @ivar connections: the open ones, with the user id at the other end.
    @ivar buffers: bytes that wait on connections, of each family.
    @ivar time: of the reactor's thread, of each family.
    @param agent_of: gives the spawned agent that a process belongs to; None: surely none's.
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
        agent_of: Callable[[LocalPeer], Principal | None],
        opened: Callable[[Principal], None],
        closed: Callable[[Principal], None],
        shares: ShareLimits | None = None,
        time: LoopTime | None = None,
    ) -> None:
        self.clock = clock
        self._registry = registry
        self._host = host
        self._grants = grants
        self._agent_of = agent_of
        self._opened = opened
        self._closed = closed
        self._tokens: dict[str, tuple[Principal, int]] = {}  # with the user id
        self._leaving: dict[int, IDelayedCall] = {}
        self.connections: dict[KernelConnection, int] = {}
        self._admission = Admission(clock, limits, shares)
        self.rate = self._admission.rate
        self.buffers = shared_buffers(limits, shares)
        self.time = time or LoopTime(clock, limits.family_turn, limits.long_work)
        most = limits.max_connections
        self._stays = Shares("identities to resume", CONNECTIONS_FIELD, most, shares)

    # coming

    def enter(self, credentials: Credentials, connection: KernelConnection) -> Principal:
        """The principal of a new connection. The credentials are used up.

        @raise PermissionDenied: it may not use the kernel.
        @raise LimitExceeded: too many connections.
        """
        uid = _NO_USER
        if isinstance(credentials, AgentSocket):
            principal = credentials.principal
            self._admission.check_room(principal.connections, principal.family)
        elif isinstance(credentials, LocalPeer):
            uid = credentials.uid
            try:
                principal = self._enter_locally(credentials)
            finally:
                credentials.close()
        elif isinstance(credentials, RemoteCaller):
            principal = self._enter_remotely(credentials)
        else:  # a peer that is not positively known is a stranger
            raise PermissionDenied("these are no credentials", rule="peer-credentials")
        principal.connections += 1
        self.connections[connection] = uid
        self._admission.add(principal.family)
        return principal

    def _enter_locally(self, peer: LocalPeer) -> Principal:
        """On the main socket."""
        if peer.uid not in (0, os.geteuid()):  # before it costs more
            self._admission.check_rate(-peer.uid)
        agent = self._agent_of(peer)
        if agent is None:
            return self._enter_outsider(peer)
        self._admission.check_rate(agent.family)
        self._admission.check_room(agent.connections, agent.family)
        return agent

    def _enter_outsider(self, peer: LocalPeer) -> Principal:
        """The peer is no agent: it is the operator, or a user that is let in."""
        operator = peer.uid in (0, os.geteuid())
        if not operator and peer.uid not in self._grants:
            raise PermissionDenied(
                f"user id {peer.uid} may not use this kernel",
                rule="peer-uid",
                hint="its operator can add the user id to [access] in the configuration",
            )
        have = 0 if operator else sum(uid == peer.uid for uid in self.connections.values())
        family = OPERATORS if operator else -peer.uid
        self._admission.check_room(have, family)
        return self._add(
            Principal(
                self._registry.new_id(),
                Kind.OPERATOR if operator else Kind.GUEST,
                for_level(Level.UNRESTRICTED if operator else self._grants[peer.uid]),
                family=family,
                view=self._host if operator else None,
                cwd=_working_directory(peer),
            )
        )

    def _enter_remotely(self, caller: RemoteCaller) -> Principal:
        """The same caller is the same principal, on however many connections.

        Its token may have been narrowed at another relay than the one through which it is here yet: it has what
        both say.
        """
        agent_id = remote_id(caller.number)
        known = self._registry.get(agent_id)
        self._admission.check_rate(REMOTE_CALLERS)
        self._admission.check_room(known.connections if known else 0, REMOTE_CALLERS)
        permissions = caller.permissions or _NOTHING
        if known is not None:
            known.permissions = held(permissions, known.permissions, Work("a caller's permissions"))
            return known
        return self._add(
            Principal(
                agent_id,
                Kind.REMOTE,
                permissions,
                ancestors=() if caller.owner is None else (remote_id(caller.owner),),
                network=caller.network,
            )
        )

    def _add(self, principal: Principal) -> Principal:
        self._registry.add(principal)
        self._opened(principal)
        return principal

    # being there

    def siblings(self, connection: KernelConnection) -> list[KernelConnection]:
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

    # resuming

    def token(self, connection: KernelConnection) -> str:
        """A resume token for a connection; "" where none is needed."""
        if not has_resume_token(connection.principal.kind):
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
        earlier, uid = self._tokens.get(token, (None, _NO_USER))
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

    # going

    def leave(self, connection: KernelConnection, token: str) -> None:
        """A connection is gone; its principal too, at once or after a minute.

        @param token: resumes it; "" if nothing does.
        """
        if connection not in self.connections:
            return
        released = connection.channel.released
        if released is not None and connection.principal.kind is Kind.AGENT:
            # It has its connections until they are really closed, or it could have any number.
            released.addCallback(lambda _: self._remove(connection, ""))
        else:
            self._remove(connection, token)

    def _remove(self, connection: KernelConnection, token: str) -> None:
        del self.connections[connection]
        self._admission.remove(connection.principal.family)
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
