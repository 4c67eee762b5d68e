"""The blocking client through a relay: the same methods, for a kernel on another machine::

    with RemoteClient("wss://relay.example:8765", "build-1", token=TOKEN) as client:
        print(client.spawn("hello", command=["echo", "hello"])["agent_id"])

When the connection to the relay is cut, it is made anew and goes on where it was: calls that are under
way get their answers. What a remote caller may do, the kernel of that machine decides (docs/fleet.md).
Standard library only.
"""

from __future__ import annotations

from typing import TypeVar

from clove.client.attached import Attached
from clove.client.blocking import CloveClient
from clove.client.blocking_connection import BlockingConnection
from clove.client.call import StreamCall
from clove.client.channel import Channel
from clove.client.limits import ClientLimits
from clove.client.relay_connection import RelayAddress
from clove.client.relay_link import dial_relay
from clove.client.relayed import RelayedClient
from clove.client.relayed_streams import RelayedStreams

T = TypeVar("T")

__all__ = ["RemoteClient"]


class RelayedConnection(BlockingConnection):
    """A connection through a relay."""

    def __init__(self, address: RelayAddress, limits: ClientLimits) -> None:
        super().__init__((f"{address.machine} at {address.host}",), limits)
        self._address = address

    def _dial(self, deadline: float | None) -> Channel:
        return Channel(dial_relay(self._address, deadline), self._limits)


class RemoteClient(RelayedClient, CloveClient):
    """A connection to a kernel, through its relay; parameters as L{RelayedClient} has them."""

    _connects = RelayedConnection

    def _attached(self, call: StreamCall[T, T]) -> Attached[T]:
        assert isinstance(call.payload, dict)
        call.payload = {**call.payload, "descriptors": False}
        return RelayedStreams(self, self.stream(call))
