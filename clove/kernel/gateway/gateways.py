"""Makes the agents' gateways, each with the bounds that all share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clove.kernel.egress.lookup import Lookups
from clove.kernel.gateway.gateway import Carried, Gateway, Refused, Traffic
from clove.kernel.gateway.limits import GatewayLimits

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
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        self._lookups = Lookups(resolver, limits.all_lookups, limits.addresses)
        self._refused = refused
        self._carried = carried
        self.traffic = Traffic()

    def open(self, principal: Principal, log: Callable[[bytes], None]) -> Gateway:
        """A gateway for one agent, which its caller closes when the agent has ended."""
        return Gateway(
            self._reactor,
            principal,
            self._limits,
            self._lookups,
            self.traffic,
            log=log,
            refused=self._refused,
            carried=self._carried,
        )
