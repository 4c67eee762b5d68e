"""The asyncio client through a relay (L{clove.client.remote}). Standard library only."""

from __future__ import annotations

import asyncio

from clove.client.aio import AsyncClient
from clove.client.aio_connection import AioConnection
from clove.client.aio_link import AioLink
from clove.client.limits import ClientLimits
from clove.client.relay_connection import RelayAddress
from clove.client.relay_link import dial_relay
from clove.client.relayed import RelayedClient

__all__ = ["RemoteAsyncClient"]


class RelayedAioConnection(AioConnection):
    """A connection through a relay."""

    def __init__(self, address: RelayAddress, limits: ClientLimits) -> None:
        super().__init__((f"{address.machine} at {address.host}",), limits)
        self._address = address

    async def _dial(self) -> AioLink:
        end = await asyncio.to_thread(dial_relay, self._address, None)
        end.setblocking(False)
        return AioLink(asyncio.get_running_loop(), end, self._limits)


class RemoteAsyncClient(RelayedClient, AsyncClient):
    """A connection to a kernel, through its relay; parameters as L{RelayedClient} has them."""

    _connects = RelayedAioConnection
