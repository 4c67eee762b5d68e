"""What a relay has told the others of a tunnel that came to nothing is taken back, also over trouble with the store."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from clove.errors import Unavailable
from clove.relay.link.identity import RelayIdentity
from clove.relay.link.limits import RelayLinkLimits
from clove.relay.link.routes import Routing
from clove.relay.store.route_table import Renewed

NO_STORE = Unavailable("the database is not reached")


class Store:
    """A table of one relay's tunnels.

    @ivar answers: whether what is asked is answered; it is done in any case, unless it is to renew.
    """

    def __init__(self) -> None:
        self.rows: set[str] = set()
        self.answers = True

    def register_relay(self, relay: object, lease: float) -> Deferred[None]:
        return succeed(None)

    def claim_machine(self, relay: str, tunnel: Any, beaten: object) -> Deferred[list[object]]:
        self.rows.add(tunnel.machine_id)
        return succeed([]) if self.answers else fail(NO_STORE)

    def renew_relay(
        self, relay: str, lease: float, changed: object, gone: Collection[str]
    ) -> Deferred[Renewed]:
        if not self.answers:
            return fail(NO_STORE)
        self.rows.difference_update(gone)
        return succeed(Renewed(known=True))


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def routing(store: Store) -> Routing:
    hub: Any = SimpleNamespace(clock=Clock(), links=dict)
    given: Any = (store, hub, None, RelayIdentity("fleet"), RelayLinkLimits(), lambda: 0.0)
    return Routing(*given)


async def test_a_tunnel_that_ended_while_the_store_was_away(routing: Routing, store: Store) -> None:
    await routing.begin("")
    assert await routing.claim("m1", "instance", 2)
    store.answers = False
    await routing.tick()
    store.answers = True
    await routing.tick()
    assert store.rows == set()


async def test_a_claim_that_got_no_answer(routing: Routing, store: Store) -> None:
    await routing.begin("")
    store.answers = False
    with pytest.raises(Unavailable):
        await routing.claim("m1", "instance", 2)
    store.answers = True
    await routing.tick()
    assert store.rows == set()
