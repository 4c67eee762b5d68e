"""A kernel's tunnel of version 1: one JSON text a message, one request of an agent after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from clove.errors import (
    CloveError,
    InvalidRequest,
    NotImplementedYet,
    PermissionDenied,
    Unavailable,
)
from clove.relay.hub.messages_v1 import MessageV1, parse_message, said
from clove.relay.hub.presence import Presence, PresenceState

if TYPE_CHECKING:
    from clove.channels.channel import Channel
    from clove.channels.websocket_messages import MessageSocket
    from clove.messages.relay import Caller
    from clove.relay.hub.limits import HubLimits

__all__ = ["MachineV1", "check_permissions"]

MESSAGE: Final = 24 << 20
"""Bytes of a message: a reply of 16 MiB in base64."""
MOST_UNREAD: Final = 16 << 20
"""Bytes that wait for a kernel that does not read; then no request is taken for it."""


def check_permissions(machine_id: str, caller: Caller) -> None:
    """@raise PermissionDenied: a caller's token has permissions, of which a tunnel of version 1 cannot tell its kernel."""
    if caller.permissions:
        raise PermissionDenied(
            f"the tunnel of {machine_id!r} has version 1, which has no words for this token's permissions",
            rule="version 1",
            hint="use a token without permissions, or run a kernel of this version there",
        )


class Asking(Protocol):
    """A remote agent, of this relay (L{clove.relay.hub.agent_v1.AgentV1}) or of another."""

    caller: Caller

    def answered(self, opcode: int, payload: bytes) -> None:
        """The kernel's answer to the request that has waited longest."""

    def way_drained(self) -> None:
        """The kernel has read what was asked."""

    def way_lost(self, reason: str) -> None:
        """The kernel is gone, with what was asked and not answered."""


class MachineV1:
    """One machine's tunnel."""

    version = 1
    public_key = None
    instance = ""

    def __init__(
        self,
        clock: Any,
        wall: Callable[[], float],
        limits: HubLimits,
        machine_id: str,
        ended: Callable[[MachineV1, str], object],
    ) -> None:
        self.machine_id = machine_id
        self._clock = clock
        self._wall = wall
        self._ended = ended
        self._socket: MessageSocket | None = None
        self._ways: dict[int, _TunnelWay] = {}
        self._pongs = self._unread = 0
        self._presence = Presence(limits.ping_seconds, clock.seconds(), wall())

    def attach(self, socket: MessageSocket) -> None:
        """Serve the connection."""
        self._socket = socket
        socket.allow(MESSAGE)
        socket.receiver = self

    def end(self, reason: str) -> None:
        """Close it. Idempotent."""
        if self._socket is not None:
            self._socket.end(reason)

    def drain(self, seconds: float) -> None:
        """Version 1 has no word for it."""

    @property
    def is_over(self) -> bool:
        """Its connection is gone."""
        return self._socket is None

    # presence: such a tunnel cannot be asked through its kernel

    @property
    def presence(self) -> PresenceState:
        """Whether it answers."""
        return self._presence.state(self._clock.seconds())

    @property
    def since(self) -> float:
        """When that began, in seconds since the epoch."""
        return self._presence.since(self._clock.seconds())

    @property
    def callers(self) -> int:
        """Remote agents of it."""
        return len(self._ways)

    def ping(self) -> None:
        """A ping of the WebSocket; cut a connection that has answered none for too long."""
        socket = self._socket
        if socket is None:
            return
        if socket.pongs != self._pongs:
            self._pongs = socket.pongs
            self._presence.answered(self._clock.seconds(), self._wall())
        if self._presence.state(self._clock.seconds()) == "disconnected":
            socket.abort()
        else:
            socket.ping()

    # callers

    def open(self, caller: Caller) -> Channel:
        """There are no channels.

        @raise NotImplementedYet: always.
        """
        raise NotImplementedYet(
            f"the tunnel of {self.machine_id!r} has version 1, which has no channels",
            hint="run a kernel of this version there",
        )

    def way(self, agent: Asking) -> _TunnelWay:
        """A way for a remote agent.

        @raise PermissionDenied: see L{check_permissions}.
        """
        check_permissions(self.machine_id, agent.caller)
        way = self._ways[agent.caller.id] = _TunnelWay(self, agent)
        self.say(said("agent_connected", agent_id=agent.caller.id, name=agent.caller.name))
        return way

    def leave(self, agent_id: int) -> None:
        """It is gone."""
        if self._ways.pop(agent_id, None) is not None:
            self.say(said("agent_disconnected", agent_id=agent_id))

    def say(self, text: bytes) -> None:
        """Tell the kernel; one that does not even read answers is cut off."""
        socket = self._socket
        if socket is None:
            return
        if socket.full:
            self._unread += len(text)
            if self._unread > 2 * MOST_UNREAD:
                socket.abort()
                return
        socket.send_text(text)

    @property
    def is_behind(self) -> bool:
        """The kernel does not read as fast as its agents ask."""
        return self._socket is not None and self._socket.full

    def command(self, kind: str, **fields: object) -> None:
        """Have the kernel do something.

        @raise Unavailable: much waits for it already; it is not told.
        """
        if self.is_behind and self._unread > MOST_UNREAD:
            raise Unavailable(
                f"the kernel of {self.machine_id!r} reads too slowly", hint="try again later"
            )
        self.say(said(kind, **fields))

    # the connection's receiver

    def text_received(self, text: bytes) -> None:
        """A message of the kernel."""
        try:
            self._handle(parse_message(text))
        except CloveError as error:
            self.say(said("error", **error.fields()))

    def _handle(self, message: MessageV1) -> None:
        kind = message.type
        if kind == "ping":
            self.say(said("pong"))
        elif kind == "response":
            number = message.agent_id
            way = None if number is None else self._ways.get(number)
            opcode, payload = message.opcode_and_payload()
            if way is not None:
                way.agent.answered(opcode, payload)
        elif kind == "list_remotes":
            agents = [
                {"agent_id": one, "name": way.agent.caller.name} for one, way in self._ways.items()
            ]
            self.say(said("remotes", agents=agents, count=len(agents)))
        elif kind not in ("pong", "error"):
            raise InvalidRequest("a kernel says response, list_remotes or ping")

    def binary_received(self, data: bytes) -> None:
        """Version 1 has none."""
        self.end("text messages only")

    def writable(self) -> None:
        """The kernel reads again."""
        self._unread = 0
        for way in list(self._ways.values()):
            way.agent.way_drained()

    def closed(self, reason: str) -> None:
        """It is gone, and the way of each of its agents."""
        self._socket = None
        self._presence.cut(self._wall())
        ways, self._ways = self._ways, {}
        for way in ways.values():
            way.agent.way_lost(reason)
        self._ended(self, reason)


class _TunnelWay:
    """L{clove.relay.hub.agent_v1.Way} through such a tunnel."""

    def __init__(self, tunnel: MachineV1, agent: Asking) -> None:
        self._tunnel = tunnel
        self.agent = agent

    def ask(self, opcode: int, payload: bytes) -> None:
        """Send a request."""
        agent_id = self.agent.caller.id
        self._tunnel.command("syscall", agent_id=agent_id, opcode=opcode, payload=payload)

    @property
    def is_behind(self) -> bool:
        """The kernel does not read as fast as is asked."""
        return self._tunnel.is_behind

    def pause(self) -> None:
        """The others on the tunnel do not wait for it: L{AgentV1} has a bound of its own."""

    def resume(self) -> None:
        """It reads again."""

    def close(self) -> None:
        """It is gone."""
        self._tunnel.leave(self.agent.caller.id)
