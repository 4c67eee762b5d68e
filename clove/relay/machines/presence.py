"""What the registry needs to know of live tunnels: the hub's side of the relay, as seen from here.

`clove/relay/hub/` has it; a relay without a hub has L{NoLinks}.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import msgspec

from clove.errors import Unavailable

if TYPE_CHECKING:
    from clove.channels.channel import Channel
    from clove.messages.relay import Caller
    from clove.relay.records import Targets, TunnelState

__all__ = [
    "Link",
    "Links",
    "NoLinks",
    "Presence",
    "RemoteCaller",
    "TunnelV1",
    "Tunnels",
    "Way",
]

Presence = Literal["connected", "stale", "disconnected"]
"""connected: the tunnel answered a ping within the last interval; stale: not in time, but may come
back; disconnected: it is gone."""


class Link(Protocol):
    """One machine's live tunnel.

    C{since} is when its presence became what it is, in seconds since the epoch.
    """

    @property
    def version(self) -> int:
        """1 or 2."""

    @property
    def instance(self) -> str:
        """Of the kernel (version 2)."""

    @property
    def presence(self) -> Presence:
        """Whether it answers."""

    @property
    def since(self) -> float:
        """When that began."""

    @property
    def public_key(self) -> bytes | None:
        """What its kernel has proved; None: it came with a token."""


class Way(Protocol):
    """To a machine's kernel: its tunnel, here or at another relay."""

    def open(self, caller: Caller) -> Channel:
        """A channel to the kernel.

        @raise Unavailable: there is none to be had.
        """


@runtime_checkable
class TunnelV1(Protocol):
    """A tunnel of version 1: it has no channels, but a kernel that does what it is told, and answers nothing."""

    def command(self, kind: str, **fields: object) -> None:
        """Have the kernel do something: C{deploy_agent}, C{stop_agent}.

        @raise Unavailable: it does not read what it is told.
        """


class RemoteCaller(msgspec.Struct, frozen=True, kw_only=True):
    """One remote agent that is connected; times are seconds since the epoch.

    @ivar token_id: of the token that it came with.
    """

    agent_id: int
    agent_name: str
    target_machine: str
    token_id: str
    connected_at: float
    syscalls_sent: int = 0
    responses_received: int = 0
    status: str = "connected"


class Links(Protocol):
    """The hub."""

    def links(self) -> Mapping[str, Link]:
        """By machine id."""

    @property
    def caller_count(self) -> int:
        """How many remote agents are connected."""

    async def callers(self) -> list[RemoteCaller]:
        """Remote agents that are connected now."""

    def is_here(self, machine_id: str) -> bool:
        """Its tunnel is connected to this relay."""

    async def find(self, machine_id: str, token_id: str) -> Way:
        """The way to a machine's kernel, for the bearer of a token, who was authenticated.

        @raise Unavailable: the machine is not connected to any relay.
        """

    def next_agent_id(self) -> int:
        """A number for another caller."""

    def cut(self, machine_id: str, reason: str) -> None:
        """End a machine's tunnel, and what goes through it."""


class Tunnels(Protocol):
    """What other relays that share the store have told of their tunnels."""

    async def states(self, machine_ids: Collection[str]) -> Mapping[str, TunnelState]:
        """Of these machines, where one has a tunnel to another relay."""

    async def connected(self, targets: Targets) -> int:
        """How many of these machines are connected to any relay, this one among them."""

    async def relays(self) -> int:
        """How many relays run, this one among them."""


class NoLinks:
    """Of a relay that has no hub."""

    def links(self) -> Mapping[str, Link]:
        """None."""
        return {}

    caller_count = 0

    async def callers(self) -> list[RemoteCaller]:
        """None."""
        return []

    def is_here(self, machine_id: str) -> bool:
        """None is."""
        return False

    async def find(self, machine_id: str, token_id: str) -> Way:
        """Nowhere."""
        raise Unavailable("this relay has no tunnels", hint="use one that has")

    def next_agent_id(self) -> int:
        """For none."""
        return 0

    def cut(self, machine_id: str, reason: str) -> None:
        """There is nothing to cut."""
