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
from clove.client.relay_link import RelayLink, open_link
from clove.client.relay_redial import Told
from clove.client.relayed import RelayedClient
from clove.client.relayed_streams import RelayedStreams

T = TypeVar("T")

__all__ = ["RelayedConnection", "RemoteClient"]


class RelayedConnection(BlockingConnection):
    """A connection through a relay.

    @ivar told: is told when the relay is not reached for longer than a moment, and when it is there again.
    """

    def __init__(self, address: RelayAddress, limits: ClientLimits) -> None:
        super().__init__((f"{address.machine} at {address.host}",), limits)
        self.told: Told | None = None
        self._address = address
        self._link: RelayLink | None = None

    @property
    def is_down(self) -> bool:
        """Whether the relay has not been reached for longer than a moment."""
        return self._link is not None and self._link.is_down

    def _dial(self, deadline: float | None) -> Channel:
        end, link = open_link(self._address, deadline, self._tell)
        self._link = link
        return Channel(end, self._limits, lambda: link.ended)

    def _tell(self, text: str) -> None:
        if self.told is not None:
            self.told(text)


class RemoteClient(RelayedClient, CloveClient):
    """A connection to a kernel, through its relay; parameters as L{RelayedClient} has them."""

    _connects = RelayedConnection

    def _attached(self, call: StreamCall[T, T]) -> Attached[T]:
        assert isinstance(call.payload, dict)
        call.payload = {**call.payload, "descriptors": False}
        return RelayedStreams(self, self.stream(call))
