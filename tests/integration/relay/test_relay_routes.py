"""The table of tunnels that relays share: leases, claims, and what others are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import DeferredList
from twisted.internet.task import deferLater

from clove.relay.records import EVERY_MACHINE, RelayRecord, TunnelState
from clove.relay.store.postgresql import PostgreSQLStore
from clove.threads.threads import ThreadLimits, Threads
from tests.contracts.relay_store_making import machine
from tests.postgresql import PostgreSQL, own_postgresql

KEY = bytes(32)
LONG = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with own_postgresql() as running:
        yield running


@pytest.fixture
def stores(server: PostgreSQL) -> Iterator[tuple[PostgreSQLStore, PostgreSQLStore]]:
    """Of the relays a and b of one database."""
    address = server.new_database()
    made: list[tuple[PostgreSQLStore, Threads]] = []
    for _ in range(2):
        threads = Threads(reactor, 1, ThreadLimits(own=4))  # type: ignore[arg-type] # no interface
        threads.start()
        made.append((PostgreSQLStore(reactor, address, threads), threads))
    a, b = made[0][0], made[1][0]
    for name, store in (("a", a), ("b", b)):
        relay = RelayRecord(relay=name, url="ws://x", public_key=KEY)
        pytest_twisted.blockon(store.register_relay(relay, LONG))
    pytest_twisted.blockon(a.add_machine(machine("m"), None))
    yield a, b
    for store, threads in made:
        pytest_twisted.blockon(store.close())
        threads.stop()


def tunnel(instance: str, **given: Any) -> TunnelState:
    return TunnelState(machine_id="m", instance=instance, since=1.0, **given)


Stores = tuple[PostgreSQLStore, PostgreSQLStore]


async def test_one_relays_tunnels_are_routes_of_the_others(stores: Stores) -> None:
    a, b = stores
    assert await a.claim_machine("a", tunnel("i"), ()) == []
    [route] = await b.routes("b", ["m", "none"])
    assert (route.relay.relay, route.tunnel) == ("a", tunnel("i"))
    assert await a.routes("a", ["m"]) == []
    assert await b.connected_machines(EVERY_MACHINE) == 1


async def test_changes_of_many_tunnels_go_with_the_lease(stores: Stores) -> None:
    a, b = stores
    for name in ("m1", "m2", "m3"):
        await a.add_machine(machine(name), None)
    states = [TunnelState(machine_id=name, instance="i") for name in ("m1", "m2", "m3")]
    assert (await a.renew_relay("a", LONG, states, [])).known
    await a.renew_relay("a", LONG, [TunnelState(machine_id="m2", presence="stale")], ["m1"])
    found = {
        each.tunnel.machine_id: each.tunnel.presence
        for each in await b.routes("b", ["m1", "m2", "m3"])
    }
    assert found == {"m2": "stale", "m3": "connected"}
    assert sorted(await a.machines_of_relay("a")) == ["m2", "m3"]


async def test_without_a_lease_nothing_is_believed_until_it_is_renewed(stores: Stores) -> None:
    a, b = stores
    await a.claim_machine("a", tunnel("i"), ())
    await a.renew_relay("a", -1.0, [], [])
    assert await b.routes("b", ["m"]) == []
    assert await b.relay("a") is None
    assert await b.connected_machines(EVERY_MACHINE) == 0
    renewed = await a.renew_relay("a", LONG, [], [])
    assert renewed.lapsed
    assert len(await b.routes("b", ["m"])) == 1


async def test_a_relay_that_was_forgotten_has_to_register_again(stores: Stores) -> None:
    a, _ = stores
    await a.withdraw_relay("a")
    assert not (await a.renew_relay("a", LONG, [], [])).known


async def test_another_instance_stands_against_a_claim_and_the_same_does_not(
    stores: Stores,
) -> None:
    a, b = stores
    await a.claim_machine("a", tunnel("one"), ())
    [against] = await b.claim_machine("b", tunnel("two"), ())
    assert (against.relay.relay, against.tunnel.instance) == ("a", "one")
    assert await a.routes("a", ["m"]) == []
    assert await b.claim_machine("b", tunnel("one"), ()) == []
    assert len(await a.routes("a", ["m"])) == 1


async def test_of_two_instances_at_once_one_gets_the_machine(stores: Stores) -> None:
    a, b = stores
    asked = [a.claim_machine("a", tunnel("one"), ()), b.claim_machine("b", tunnel("two"), ())]
    results = [found for _, found in await DeferredList(asked)]
    assert sorted(len(found) for found in results) == [0, 1]


async def test_a_relay_is_told_when_its_machine_is_taken(stores: Stores) -> None:
    a, b = stores
    told = Taken()
    a.observe(told)
    while not told.begun:
        await deferLater(reactor, 0.01, lambda: None)
    await a.claim_machine("a", tunnel("one"), ())
    assert await b.claim_machine("b", tunnel("two"), ("a",)) == []
    while not told.taken:
        await deferLater(reactor, 0.01, lambda: None)
    assert told.taken == [("a", "m")]
    assert await a.machines_of_relay("a") == []


async def test_after_its_lease_had_ended_a_relay_finds_what_it_has_lost(stores: Stores) -> None:
    a, b = stores
    await a.claim_machine("a", tunnel("one"), ())
    await a.renew_relay("a", -1.0, [], [])
    assert await b.claim_machine("b", tunnel("two"), ()) == []
    await a.renew_relay("a", LONG, [tunnel("one")], [])
    assert await a.lost_machines("a") == ["m"]
    assert await b.lost_machines("b") == ["m"]


async def test_a_tunnel_of_version_1_gives_way_to_a_newer_one(stores: Stores) -> None:
    a, b = stores
    await a.claim_machine("a", tunnel("", version=1), ())
    assert await b.claim_machine("b", tunnel("", version=1), ()) == []
    assert await a.machines_of_relay("a") == []
    assert await a.claim_machine("a", tunnel("i"), ()) == []
    assert await b.machines_of_relay("b") == []


class Taken:
    """An observer."""

    def __init__(self) -> None:
        self.begun = False
        self.taken: list[tuple[str, str]] = []

    def token_ended(self, token_id: str) -> None: ...

    def machine_removed(self, machine_id: str) -> None: ...

    def labels_changed(self, machine_id: str) -> None: ...

    def tunnel_taken(self, relay: str, machine_id: str) -> None:
        self.taken.append((relay, machine_id))

    def changes_missed(self) -> None:
        self.begun = True
