"""What the registry needs to know of live tunnels: the hub's side of the relay, as seen from here.

`clove/relay/hub/` has it; a relay without a hub has L{NoLinks}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from clove.errors import Unavailable

if TYPE_CHECKING:
    from clove.channels.channel import Channel
    from clove.messages.relay import Caller

__all__ = ["Link", "Links", "NoLinks", "Presence", "RemoteCaller"]

Presence = Literal["connected", "stale", "disconnected"]
"""connected: the tunnel answered a ping within the last interval; stale: not in time, but may come
back; disconnected: it is gone."""


class Link(Protocol):
    """One machine's live tunnel.

    C{since} is when its presence became what it is, in seconds since the epoch.
    """

    @property
    def presence(self) -> Presence:
        """Whether it answers."""

    @property
    def since(self) -> float:
        """When that began."""

    @property
    def public_key(self) -> bytes | None:
        """What its kernel has proved; None: it came with a token."""


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

    def callers(self) -> list[RemoteCaller]:
        """Remote agents that are connected now."""

    def open(self, machine_id: str, caller: Caller) -> Channel:
        """A channel to a machine's kernel, for a caller that was authenticated.

        @raise Unavailable: the machine is not connected.
        """

    def next_agent_id(self) -> int:
        """A number for another caller."""

    def cut(self, machine_id: str, reason: str) -> None:
        """End a machine's tunnel, and what goes through it."""


class NoLinks:
    """Of a relay that has no hub."""

    def links(self) -> Mapping[str, Link]:
        """None."""
        return {}

    def callers(self) -> list[RemoteCaller]:
        """None."""
        return []

    def open(self, machine_id: str, caller: Caller) -> Channel:
        """Nowhere."""
        raise Unavailable("this relay has no tunnels", hint="use one that has")

    def next_agent_id(self) -> int:
        """For none."""
        return 0

    def cut(self, machine_id: str, reason: str) -> None:
        """There is nothing to cut."""
