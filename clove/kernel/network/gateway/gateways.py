"""Makes the agents' gateways, each with the bounds that all share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clove.kernel.network.gateway.gateway import Gateway
from clove.kernel.network.gateway.limits import GatewayLimits
from clove.kernel.network.gateway.traffic import Carried, Opened, Refused, Traffic
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.record_lookups import RecordLookups
from clove.kernel.network.way_out import WayOut
from clove.sharing.shares import ShareLimits, Shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IHostnameResolver

    from clove.kernel.principal import Principal

__all__ = ["Gateways"]


class Gateways:
    """All gateways of a kernel.

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
        self.traffic = Traffic(connections)

    def judge_again(self, agent_id: int) -> None:
        """An agent's permissions have changed: end connections that they allow no more."""
        for gateway in list(self.traffic.open.get(agent_id, ())):
            gateway.judge_again()

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
