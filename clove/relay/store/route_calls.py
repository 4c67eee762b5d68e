"""What a relay asks of the table of tunnels that it shares with others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from twisted.internet.defer import Deferred

from clove.relay.records import RelayRecord, Route, Targets, TunnelState
from clove.relay.store.route_table import Renewed
from clove.relay.store.table_calls import Tables

__all__ = ["RouteCalls"]

T = TypeVar("T")


class RouteCalls:
    """Calls of L{RouteTable<clove.relay.store.route_table.RouteTable>}; each may fail with Unavailable."""

    def _run(self, call: Callable[[Tables], T]) -> Deferred[T]:
        """Make a call in a thread, with tables that no other call uses meanwhile."""
        raise NotImplementedError

    def register_relay(self, relay: RelayRecord, lease: float) -> Deferred[None]:
        """It runs, and holds a lease of so many seconds."""
        return self._run(lambda tables: tables.routes.register(relay, lease))

    def withdraw_relay(self, relay: str) -> Deferred[None]:
        """It stops."""
        return self._run(lambda tables: tables.routes.withdraw(relay))

    def renew_relay(
        self, relay: str, lease: float, changed: Collection[TunnelState], gone: Collection[str]
    ) -> Deferred[Renewed]:
        """Its lease, and what has changed of its tunnels."""
        told, ended = tuple(changed), tuple(gone)
        return self._run(lambda tables: tables.routes.renew(relay, lease, told, ended))

    def claim_machine(
        self, relay: str, tunnel: TunnelState, beaten: Collection[str]
    ) -> Deferred[list[Route]]:
        """A new tunnel; gives those of other instances that stand against it."""
        named = tuple(beaten)
        return self._run(lambda tables: tables.routes.claim(relay, tunnel, named))

    def routes(self, relay: str, machine_ids: Collection[str]) -> Deferred[list[Route]]:
        """Tunnels at other relays than this."""
        asked = tuple(machine_ids)
        return self._run(lambda tables: tables.routes.routes(relay, asked))

    def lost_machines(self, relay: str) -> Deferred[list[str]]:
        """Machines that another instance has a tunnel of, at another relay."""
        return self._run(lambda tables: tables.routes.lost(relay))

    def machines_of_relay(self, relay: str) -> Deferred[list[str]]:
        """What is noted as its tunnels."""
        return self._run(lambda tables: tables.routes.of_relay(relay))

    def relay(self, name: str) -> Deferred[RelayRecord | None]:
        """A relay that runs."""
        return self._run(lambda tables: tables.routes.relay(name))

    def relays(self) -> Deferred[list[RelayRecord]]:
        """All that run."""
        return self._run(lambda tables: tables.routes.relays())

    def connected_machines(self, targets: Targets) -> Deferred[int]:
        """How many of these are connected to some relay."""
        return self._run(lambda tables: tables.routes.connected(targets))
