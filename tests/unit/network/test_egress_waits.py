"""Look-ups that never end: the time-out holds, and they stay bounded."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.task import Clock
from zope.interface import implementer

from clove.errors import LimitExceeded, PermissionDenied, TimedOut, Unavailable
from clove.kernel.network.egress.fetch import Egress
from clove.kernel.network.egress.limits import EgressLimits
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.nat64 import Nat64
from clove.kernel.network.settings import EgressSettings
from clove.kernel.network.way_out import WayOut
from clove.messages.http import HttpRequest
from clove.policy import Level, for_level
from clove.sharing.shares import OPERATORS, Shares

EVERYTHING = for_level(Level.UNRESTRICTED)


@implementer(IHostnameResolver)
class Late:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        self.waiting.append(resolutionReceiver)
        return None

    def answer(self, *addresses: str) -> None:
        receiver = self.waiting.pop(0)
        for address in addresses:
            receiver.addressResolved(IPv4Address("TCP", address, 0))
        receiver.resolutionComplete()


def test_the_time_out_covers_the_look_up_and_is_capped() -> None:
    for asked, counts in ((5.0, 5.0), (86400.0, 60.0)):
        clock, late = Clock(), Late()
        egress = Egress(clock, EgressLimits(max_timeout=60), resolver=late)
        failures: list[Any] = []
        fetching = egress.fetch(EVERYTHING, HttpRequest(url="http://a.test/", timeout=asked))
        fetching.addErrback(failures.append)
        clock.advance(counts - 0.1)
        assert failures == []
        clock.advance(0.2)
        assert failures[0].check(TimedOut)
        late.answer("8.8.8.8")  # comes too late for anybody
        assert clock.getDelayedCalls() == []


def test_abandoned_look_ups_count_until_they_are_done() -> None:
    late = Late()
    lookups = Lookups(late, Shares("names being resolved", "", 6), 16)
    for _ in range(3):
        found = lookups.resolve("a.test", 80, 7)
        found.addErrback(lambda failure: failure.trap(CancelledError))
        found.cancel()
    with pytest.raises(LimitExceeded, match="your family of agents has 3 names being resolved"):
        lookups.resolve("a.test", 80, 7)
    lookups.resolve("a.test", 80, 8)  # another family's
    late.answer()
    lookups.resolve("a.test", 80, 7)


def test_a_family_cannot_have_every_request() -> None:
    egress = Egress(Clock(), EgressLimits(max_concurrent=8), resolver=Late())

    def ask(agent_id: int, family: int) -> list[Any]:
        failures: list[Any] = []
        request = HttpRequest(url="http://a.test/")
        egress.fetch(EVERYTHING, request, agent_id, family).addErrback(failures.append)
        return failures

    assert not any(ask(agent, 7) for agent in (7, 8, 9, 10))
    [failure] = ask(11, 7)
    assert failure.check(LimitExceeded)
    assert not any(ask(20, 20) for _ in range(3))
    assert ask(30, 30)
    assert not ask(1, OPERATORS)


def test_answers_are_bounded_and_counted_once() -> None:
    late = Late()
    found: list[list[str]] = []
    Lookups(late, Shares("names", "", 2), 3).resolve("a.test", 80, 7).addCallback(found.append)
    late.answer("8.8.8.1", "8.8.8.1", "8.8.8.2", "8.8.8.3", "8.8.8.4")
    assert found == [["8.8.8.1", "8.8.8.2", "8.8.8.3"]]


def test_a_slot_is_given_back_however_a_request_ends() -> None:
    late = Late()
    egress = Egress(Clock(), EgressLimits(max_concurrent=1), resolver=late)
    for url in ("file:///x", "http://b\0/", "http://a.test/"):
        failures: list[Any] = []
        egress.fetch(EVERYTHING, HttpRequest(url=url)).addErrback(failures.append)
        if late.waiting:
            late.answer()
            assert failures[0].check(Unavailable)
        assert not failures[0].check(LimitExceeded)


def test_permissions_are_those_of_the_moment_of_asking() -> None:
    late = Late()
    egress = Egress(Clock(), resolver=late)
    failures: list[Any] = []
    narrow = msgspec.structs.replace(EVERYTHING, allowed_domains=("a.test",))
    egress.fetch(narrow, HttpRequest(url="http://b.test/")).addErrback(failures.append)
    assert failures[0].value.rule == "allowed_domains"
    assert late.waiting == []


@pytest.mark.parametrize("inside", ["169.254.169.254", "10.0.0.1", "127.0.0.1"])
def test_an_address_of_the_networks_nat64_is_judged_as_the_one_in_it(inside: str) -> None:
    network = Nat64("2a00:1450:64::/96")
    number = int(ipaddress.IPv6Address("2a00:1450:64::")) + int(ipaddress.IPv4Address(inside))
    literal = str(ipaddress.IPv6Address(number))
    assert network.to_ipv4(literal) == inside
    clock = Clock()
    way_out = WayOut(clock, EgressSettings(nat64="2a00:1450:64::/96"), Late())
    egress = Egress(clock, EgressLimits(), resolver=Late(), way_out=way_out)
    fetching = egress.fetch(EVERYTHING, HttpRequest(url=f"http://[{literal}]/"))
    failures: list[Any] = []
    fetching.addErrback(failures.append)
    assert [one.type for one in failures] == [PermissionDenied]
