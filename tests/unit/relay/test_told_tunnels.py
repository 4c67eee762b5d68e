"""What a relay tells the others of its tunnels, while tunnels come and go."""

from __future__ import annotations

import types
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.loop.slices import SLICE
from clove.relay.link.identity import RelayIdentity
from clove.relay.link.limits import RelayLinkLimits
from clove.relay.link.routes import Routing
from clove.relay.records import TunnelState
from clove.relay.store.route_table import Renewed


class Table:
    """As far as the routing tells it something."""

    def __init__(self) -> None:
        self.rows: dict[str, TunnelState] = {}
        self.renewals = 0
        self.held: Deferred[None] | None = None

    async def register_relay(self, *_: Any) -> None:
        pass

    async def claim_machine(self, relay: str, tunnel: TunnelState, beaten: object) -> list[object]:
        self.rows[tunnel.machine_id] = tunnel
        return []

    async def renew_relay(
        self, relay: str, lease: float, changed: list[TunnelState], gone: list[str]
    ) -> Renewed:
        self.renewals += 1
        if self.held is not None:
            await self.held
        self.rows.update((each.machine_id, each) for each in changed)
        for machine_id in gone:
            self.rows.pop(machine_id, None)
        return Renewed(True)


def tunnel(instance: str = "i", presence: str = "connected") -> Any:
    return types.SimpleNamespace(instance=instance, version=2, presence=presence, since=1.0)


class Site:
    """A relay's routing, with tunnels that a test makes."""

    def __init__(self) -> None:
        self.clock, self.table = Clock(), Table()
        self.links: dict[str, Any] = {}
        hub: Any = types.SimpleNamespace(clock=self.clock, links=lambda: self.links)
        store, peers = self.table, None
        given: Any = (store, hub, peers, RelayIdentity("fleet"), RelayLinkLimits(), lambda: 0.0)
        self.routing = Routing(*given)

    def begin_tick(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.routing.tick())

    def tick(self) -> None:
        """One, to its end."""
        telling = self.begin_tick()
        self.clock.advance(0)
        assert telling.called


@pytest.fixture
def site() -> Site:
    return Site()


def test_many_tunnels_are_told_over_several_turns_and_together(site: Site) -> None:
    site.links = {f"m{number}": tunnel() for number in range(3 * SLICE)}
    telling = site.begin_tick()
    assert not telling.called
    site.clock.advance(0)
    assert telling.called
    assert site.table.rows.keys() == site.links.keys()
    assert site.table.renewals == 1
    site.tick()
    assert site.table.renewals == 1  # nothing has changed


def test_one_that_has_changed_is_told(site: Site) -> None:
    site.links = {f"m{number}": tunnel() for number in range(3 * SLICE)}
    site.tick()
    site.links["m700"].presence = "stale"
    del site.links["m3"]
    site.tick()
    assert site.table.rows["m700"].presence == "stale"
    assert "m3" not in site.table.rows


def test_one_that_ends_while_it_is_told_is_not_left(site: Site) -> None:
    site.links = {f"m{number}": tunnel() for number in range(2 * SLICE)}
    telling = site.begin_tick()
    del site.links["m0"]
    site.clock.advance(0)
    assert telling.called
    assert "m0" not in site.table.rows


def test_a_tunnel_that_takes_anothers_place_meanwhile_is_not_told_of_as_the_other(
    site: Site,
) -> None:
    site.links = {f"m{number}": tunnel() for number in range(2 * SLICE)}
    telling = site.begin_tick()
    site.links["m0"] = tunnel("new")
    site.clock.advance(0)
    assert telling.called
    assert site.table.rows.get("m0", tunnel("new")).instance == "new"
    site.tick()
    assert site.table.rows["m0"].instance == "new"


async def test_what_was_claimed_while_it_was_told_is_told_again(site: Site) -> None:
    site.links = {"m": tunnel(presence="stale")}
    site.table.held = Deferred()
    telling = site.begin_tick()
    site.clock.advance(0)
    assert await site.routing.claim("m", "i", 2)
    site.table.held.callback(None)
    assert telling.called
    site.table.held = None
    claimed = site.table.rows["m"] = TunnelState(machine_id="m", instance="i", since=9.0)
    site.tick()
    assert site.table.rows["m"] != claimed, "what the table has is not taken for what was told"
    assert site.table.rows["m"].presence == "stale"
