"""Makes the agents' gateways, each with the bounds that all share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from clove.kernel.network.gateway.limits import GatewayLimits
from clove.kernel.network.gateway.traffic import Carried, Opened, Refused, Traffic
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.record_lookups import RecordLookups
from clove.kernel.network.way_out import WayOut
from clove.sharing.shares import ShareLimits, Shares

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twisted.internet.interfaces import IHostnameResolver

    from clove.kernel.network.gateway.gateway import Gateway
    from clove.kernel.principal import Principal

__all__ = ["Gateways"]

_MODULE: Final = "clove.kernel.network.gateway.gateway"
"""What a kernel without agents has no use for: 13 modules, 0.3 MB."""


class Gateways:
    """All gateways of a kernel.

    @param load: imports a module in a thread; None: the first L{open} imports it.
    @ivar traffic: what they carry together.
    """

    def __init__(
        self,
        reactor: Any,
        limits: GatewayLimits,
        resolver: IHostnameResolver,
        *,
        refused: Refused,
        carried: Carried,
        shares: ShareLimits | None = None,
        way_out: WayOut | None = None,
        records: RecordLookups | None = None,
        load: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        lookups = Shares(
            "names being resolved",
            "limits.gateway.all_lookups",
            limits.all_lookups,
            shares,
            reserve=False,
        )
        connections = Shares(
            "connections to hosts",
            "limits.gateway.all_connections",
            limits.all_connections,
            shares,
            reserve=False,
        )
        self._lookups = Lookups(resolver, lookups, limits.addresses, records)
        self._way_out = way_out or WayOut(reactor)
        self._refused = refused
        self._carried = carried
        self._load = load
        self.traffic = Traffic(connections)

    def judge_again(self, agent_id: int) -> None:
        """An agent's permissions have changed: end connections that they allow no more."""
        for gateway in list(self.traffic.open.get(agent_id, ())):
            gateway.judge_again()

    async def load(self) -> None:
        """Import what gateways are made of, before the first of them is opened."""
        if self._load is not None:
            await self._load(_MODULE)
            self._load = None

    def open(
        self,
        principal: Principal,
        log: Callable[[bytes], None],
        *,
        refused: Refused | None = None,
        carried: Carried | None = None,
        opened: Opened | None = None,
    ) -> Gateway:
        """A gateway for one sandbox, which its caller closes when that has ended.

        @param refused: called instead of the function that is called for agents; so is C{carried}.
        @param opened: told when a connection stands.
        """
        from clove.kernel.network.gateway.gateway import Gateway

        return Gateway(
            self._reactor,
            principal,
            self._limits,
            self._lookups,
            self.traffic,
            self._way_out,
            log=log,
            refused=refused or self._refused,
            carried=carried or self._carried,
            opened=opened,
        )
