"""Names that resolve to something else than policy would like, and sockets that are full."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from clove.errors import PermissionDenied, Unavailable
from clove.kernel.network.gateway.gateway import Gateway
from clove.kernel.network.gateway.limits import GatewayLimits
from clove.kernel.network.gateway.listening import Listener
from clove.kernel.network.gateway.traffic import Traffic
from clove.kernel.network.known_hosts import KnownHosts
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.way_out import WayOut
from clove.kernel.principal import Kind, Principal
from clove.policy import parse
from clove.sharing.shares import Shares
from tests.scripted_names import ScriptedNames

PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.1"


class Judged:
    """A gateway whose resolver answers as the test says."""

    def __init__(self, *answers: list[str], rules: tuple[str, ...] = ("api.test",)) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.resolver = ScriptedNames(*answers)
        self.limits = GatewayLimits()
        self.log: list[bytes] = []
        permissions = parse(None, {"can_http": True, "allowed_domains": list(rules)})
        self.gateway = Gateway(
            self.reactor,
            Principal(7, Kind.AGENT, permissions),
            self.limits,
            Lookups(self.resolver, Shares("names", "", 8), 8),
            Traffic(Shares("connections", "", 8)),
            WayOut(self.reactor),
            log=self.log.append,
            refused=lambda *_: None,
            carried=lambda *_: None,
        )

    async def reach(self, port: int = 80) -> None:
        name = self.gateway._naming.addresses.allocate("api.test")
        server, _ = await self.gateway._reach(name.address, name, port)
        server.close()


@pytest.mark.parametrize(
    "answer", [[PRIVATE], [PUBLIC, PRIVATE], ["169.254.169.254"], ["127.0.0.1"]]
)
async def test_one_address_that_is_not_public_refuses_the_name(answer: list[str]) -> None:
    with pytest.raises(PermissionDenied):
        await Judged(answer).reach()


async def test_a_name_that_is_asked_for_again_is_judged_again() -> None:
    judged = Judged([PUBLIC], [PRIVATE])
    assert (await judged.gateway._naming.address_for("API.test.", True)).startswith("198.18.")
    judged.reactor.advance(judged.limits.fresh + 1)
    with pytest.raises(PermissionDenied):
        await judged.reach()
    assert judged.resolver.asked == ["api.test"] * 2


async def test_a_rule_without_a_port_opens_those_of_the_web_alone() -> None:
    judged = Judged()
    with pytest.raises(PermissionDenied):
        await judged.reach(22)
    assert judged.resolver.asked == []


@pytest.mark.parametrize(
    "name", ["api.test\0.evil.test", "api.test.evil.test", "evil.test", "api_test", "*", "1.2.3.4"]
)
async def test_a_name_that_no_rule_admits_is_not_asked_for_outside(name: str) -> None:
    judged = Judged()
    assert await judged.gateway._naming.address_for(name, True) == ""
    assert judged.resolver.asked == []
    assert judged.log[0].startswith(b"clove: network: the name ")


async def test_a_name_that_does_not_exist_has_no_address() -> None:
    assert await Judged([]).gateway._naming.address_for("api.test", True) == ""


@pytest.mark.parametrize("address", ["198.18.9.9", "127.0.0.53"])
async def test_addresses_of_the_inside_that_stand_for_nothing_are_not_dialled(address: str) -> None:
    judged = Judged(rules=("198.18.9.9", "127.0.0.53"))
    with pytest.raises(Unavailable):
        await judged.gateway._reach(address, None, 80)


async def test_known_hosts_are_not_asked_for() -> None:
    others = ScriptedNames([PUBLIC])
    lookups = Lookups(KnownHosts({"Known.test": PRIVATE}, others), Shares("names", "", 8), 8)
    assert await lookups.resolve("known.test", 80, 7) == [PRIVATE]
    assert await lookups.resolve("other.test", 80, 7) == [PUBLIC]
    assert others.asked == ["other.test"]


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


def test_one_connection_too_many_waits(listening: socket.socket) -> None:
    reactor: Any = MemoryReactorClock()
    taken: list[socket.socket] = []
    most = 1
    listener = Listener(reactor, listening, lambda: len(taken) < most, taken.append)
    with contextlib.ExitStack() as clients:
        for _ in range(2):
            clients.enter_context(socket.create_connection(listening.getsockname()))
        listener.doRead()
        assert len(taken) == 1
        assert reactor.getReaders() == []
        most = 2
        listener.resume()
        assert reactor.getReaders() == [listener]
        listener.doRead()
        assert len(taken) == 2
    for each in taken:
        each.close()
    listener.close()
