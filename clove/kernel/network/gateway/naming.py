"""The names of one agent: which it may look up, what stands for them, and what they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clove.errors import InvalidRequest, LimitExceeded, PermissionDenied, Unavailable
from clove.kernel.network.gateway.links import reason_of
from clove.kernel.network.gateway.records import base_of, read_records
from clove.kernel.network.gateway.resolver import FAILED, NONE
from clove.kernel.network.gateway.synthetic_addresses import MappedName, SyntheticAddresses
from clove.kernel.network.record_lookups import LookupFailed
from clove.policy import check_name, normalise_host
from clove.policy.hosts import as_address

if TYPE_CHECKING:
    from clove.kernel.network.gateway.limits import GatewayLimits
    from clove.kernel.network.gateway.records import Record
    from clove.kernel.network.lookups import Lookups
    from clove.kernel.network.way_out import WayOut
    from clove.kernel.principal import Principal

__all__ = ["Naming"]


class Naming:
    """Judges names and looks them up.

    @param deny: told of a name that policy refuses: host, port (0), rule and reason.
    @param log_line: takes lines for the agent's log.
    @ivar addresses: those that stand for names.
    """

    def __init__(
        self,
        reactor: Any,
        principal: Principal,
        limits: GatewayLimits,
        lookups: Lookups,
        way_out: WayOut,
        deny: Callable[[str, int, str, str], None],
        log_line: Callable[[str], None],
    ) -> None:
        self.addresses = SyntheticAddresses(limits.names)
        self._reactor = reactor
        self._principal = principal
        self._limits = limits
        self._lookups = lookups
        self._way_out = way_out
        self._deny = deny
        self._log_line = log_line

    async def address_for(self, asked: str, log: bool) -> str:
        """The address that stands for a name; see L{Resolver}."""
        host = self._admitted(asked, log)
        if not host:
            return NONE
        name = self.addresses.allocate(host)
        try:
            await self.find(name)
        except Unavailable as error:
            if log and self._way_out.has_proxy:  # which may know it
                self._log_line(reason_of(error))
            return NONE
        except LimitExceeded:
            return FAILED
        return name.address

    async def records_for(self, asked: str, kind: int) -> list[Record] | str:
        """A name's records of a kind; L{NONE} or L{FAILED} as for addresses.

        Labels with an underscore before a host that may be looked up come with it.
        """
        base = base_of(asked)
        host = self._admitted(base, True) if base is not None else ""
        if base is None or not host:
            return NONE
        if not self._way_out.looks_up(host):
            return []
        whole = asked[: len(asked) - len(base)] + host
        try:
            reply = await self._lookups.records(whole, host, kind, self._principal.family)
        except (LimitExceeded, LookupFailed):
            return FAILED
        return read_records(reply, kind)

    def _admitted(self, asked: str, log: bool) -> str:
        """The host of a name that policy lets the agent look up; else L{NONE}."""
        try:
            if not asked.isascii():  # a name in DNS is; another one would be mapped
                raise InvalidRequest("a name with characters that DNS does not have")
            host = normalise_host(asked)
            decision = check_name(self._principal.permissions, host)
            decision.require("look-up")
        except InvalidRequest as error:
            if log:
                self._deny(ascii(asked[:253]), 0, "name", error.message)
            return NONE
        except PermissionDenied as error:
            if log:
                self._deny(host, 0, error.rule, error.hint)
            return NONE
        return NONE if as_address(host) is not None else host  # an address is no name

    async def find(self, name: MappedName, port: int = 443) -> list[str]:
        """Where a name really is.

        @return: none where the proxy looks it up.
        @raise Unavailable: there is no such name.
        @raise LimitExceeded: too many names are being resolved.
        """
        if not self._way_out.looks_up(name.host):
            return []
        if self._reactor.seconds() - name.resolved_at > self._limits.fresh:
            found = await self._lookups.resolve(name.host, port, self._principal.family)
            if not found:
                raise Unavailable(f"no address for {name.host}", hint=self._way_out.name_hint)
            name.resolved = found[: self._limits.addresses]
            name.resolved_at = self._reactor.seconds()
        return name.resolved
