"""Which way a connection goes, without a network."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.task import Clock
from zope.interface import implementer

from clove.errors import Unavailable
from clove.kernel.network import way_out
from clove.kernel.network.known_hosts import TranslatedNames
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.nat64 import WELL_KNOWN, Nat64
from clove.kernel.network.settings import EgressSettings
from clove.kernel.network.way_out import WayOut
from clove.sharing.shares import Shares
from tests.scripted_names import ScriptedNames

NO_ROUTE = OSError(errno.ENETUNREACH, "Network is unreachable")
REFUSED = OSError(errno.ECONNREFUSED, "Connection refused")


class Network:
    """What answers where; everything else has no route."""

    def __init__(self, **answers: Any) -> None:
        self.dialled: list[str] = []
        self.answers: dict[str, Any] = answers

    async def dial(self, reactor: Any, addresses: tuple[str, ...], port: int, _: float) -> Any:
        (address,) = addresses
        self.dialled.append(address)
        answer = self.answers.get(address, NO_ROUTE)
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network()
    monkeypatch.setattr(way_out, "dial", made.dial)
    return made


async def test_without_a_route_for_ipv4_the_translator_is_asked(network: Network) -> None:
    network.answers = {"64:ff9b::808:808": "connected"}
    found: Any = await WayOut(None).dial("api.test", ["8.8.8.8"], 443, 1.0)
    assert found == "connected"
    assert network.dialled == ["8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize(
    ("address", "answer", "settings"),
    [
        ("8.8.8.8", REFUSED, {}),
        ("10.0.0.1", NO_ROUTE, {}),
        ("8.8.8.8", NO_ROUTE, {"nat64": ""}),
        ("2001:4860::1", NO_ROUTE, {}),
    ],
)
async def test_else_it_is_not(
    network: Network, address: str, answer: OSError, settings: dict[str, Any]
) -> None:
    network.answers = {address: answer}
    with pytest.raises(OSError, match=answer.strerror or ""):
        await WayOut(None, EgressSettings(**settings)).dial("api.test", [address], 443, 1.0)
    assert network.dialled == [address]


async def test_a_host_with_ipv6_alone_is_reached_after_what_has_no_route(
    network: Network,
) -> None:
    network.answers = {"2001:4860::1": "connected"}
    found: Any = await WayOut(None).dial("api.test", ["8.8.8.8", "2001:4860::1"], 443, 1.0)
    assert found == "connected"


def test_who_looks_a_name_up() -> None:
    names: Any = object()
    assert WayOut(None).looks_up("api.test")
    plain = EgressSettings(proxy="http://192.0.2.1:3128")
    assert WayOut(None, plain, names).looks_up("api.test")
    settings = EgressSettings(
        proxy="http://192.0.2.1:3128",
        proxy_resolves=True,
        no_proxy=("*.corp.test",),
        hosts={"Pinned.test": "192.0.2.7"},
    )
    there = WayOut(None, settings, names)
    assert not there.looks_up("api.test")
    for host in ("a.corp.test", "pinned.test", "localhost"):
        assert there.looks_up(host)


class Slow(ScriptedNames):
    """Answers when the test lets it."""

    def __init__(self, *answers: list[str]) -> None:
        super().__init__(*answers)
        self.held: list[Callable[[], object]] = []

    def resolveHostName(self, *arguments: Any, **named: Any) -> Any:
        self.held.append(lambda: super(Slow, self).resolveHostName(*arguments, **named))


def test_all_connections_that_are_made_at_once_share_a_look_up_of_the_proxy() -> None:
    clock = Clock()
    names = Slow(["192.0.2.1"], ["192.0.2.2"])
    there = WayOut(clock, EgressSettings(proxy="http://proxy.test:3128"), names)
    asked = [Deferred.fromCoroutine(there._proxy_addresses()) for _ in range(300)]
    asked[0].addErrback(lambda failure: failure.trap(CancelledError))
    asked[0].cancel()
    assert len(names.held) == 1
    names.held.pop()()
    assert [one.result for one in asked[1:]] == [["192.0.2.1"]] * 299
    clock.advance(29)
    assert Deferred.fromCoroutine(there._proxy_addresses()).result == ["192.0.2.1"]
    clock.advance(2)
    later = Deferred.fromCoroutine(there._proxy_addresses())
    names.held.pop()()
    assert later.result == ["192.0.2.2"]


def test_a_proxy_that_has_no_address_is_an_error_for_all_and_asked_for_again() -> None:
    names = Slow([], ["192.0.2.1"])
    there = WayOut(Clock(), EgressSettings(proxy="http://proxy.test:3128"), names)
    errors: list[Any] = []
    for _ in range(2):
        Deferred.fromCoroutine(there._proxy_addresses()).addErrback(errors.append)
    names.held.pop()()
    assert [error.type for error in errors] == [Unavailable] * 2
    again = Deferred.fromCoroutine(there._proxy_addresses())
    names.held.pop()()
    assert again.result == ["192.0.2.1"]


@implementer(IHostnameResolver)
class Dns64:
    """A resolver that gives both kinds of addresses."""

    def resolveHostName(self, receiver: Any, hostName: str, portNumber: int = 0, *_: Any) -> Any:
        receiver.resolutionBegan(None)
        for address in ("64:ff9b::a00:1", "64:ff9b::808:808", "2001:4860::1"):
            receiver.addressResolved(IPv6Address("TCP", address, portNumber))
        receiver.addressResolved(IPv4Address("TCP", "8.8.8.8", portNumber))
        receiver.resolutionComplete()
        return receiver


async def test_what_dns64_answers_is_judged_as_the_addresses_that_it_stands_for() -> None:
    names = TranslatedNames(Nat64(WELL_KNOWN), Dns64())
    found = await Lookups(names, Shares("names", "", 8), 8).resolve("api.test", 443, 1)
    assert found == ["10.0.0.1", "8.8.8.8", "2001:4860::1"]
