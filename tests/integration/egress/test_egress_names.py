"""The HTTP syscall: which addresses a name may lead to, and which is dialled."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.protocols.policies import WrappingFactory
from twisted.web.server import Site

from clove.errors import PermissionDenied, Unavailable
from clove.kernel.network.egress.fetch import Egress
from tests.integration.egress.pages import (
    EVERYTHING,
    REACTOR,
    Pages,
    Server,
    allowing,
    fetch,
    turn,
)
from tests.scripted_names import ScriptedNames


async def test_loopback_is_refused_without_a_rule_and_on_other_ports(server: Server) -> None:
    for permissions in (
        EVERYTHING,
        allowing("127.0.0.1"),
        allowing(f"127.0.0.1:{server.number + 1}"),
    ):
        with pytest.raises(PermissionDenied):
            await fetch(permissions, server.url("hello"))
    assert server.pages.seen == []


async def test_a_name_that_resolves_to_loopback_is_refused(server: Server) -> None:
    resolver = ScriptedNames(["127.0.0.1"])
    egress = Egress(REACTOR, resolver=resolver)
    with pytest.raises(PermissionDenied) as caught:
        await fetch(
            allowing(f"rebind.test:{server.number}"), server.url("hello", "rebind.test"), egress
        )
    assert caught.value.rule == "address: loopback"
    assert resolver.asked == ["rebind.test"]
    assert server.pages.seen == []


async def test_one_private_answer_among_public_ones_refuses_the_name(server: Server) -> None:
    egress = Egress(REACTOR, resolver=ScriptedNames(["8.8.8.8", "127.0.0.1"]))
    with pytest.raises(PermissionDenied):
        await fetch(EVERYTHING, server.url("hello", "rebind.test"), egress)


async def test_the_address_that_was_checked_is_the_one_dialled(server: Server) -> None:
    resolver = ScriptedNames(["127.0.0.1"], ["127.0.0.2"])
    egress = Egress(REACTOR, resolver=resolver)
    rules = allowing(f"rebind.test:{server.number}", f"127.0.0.1:{server.number}")
    reply = await fetch(rules, server.url("hello", "rebind.test"), egress)
    assert reply.status_code == 200
    assert resolver.asked == ["rebind.test"]  # asked once: no second answer to be fooled by
    assert server.pages.seen[0][2]["host"] == f"rebind.test:{server.number}"


async def test_a_rebinding_answer_at_a_redirect_is_checked_again(server: Server) -> None:
    resolver = ScriptedNames(["127.0.0.1"], ["169.254.169.254"])
    egress = Egress(REACTOR, resolver=resolver)
    rules = allowing(f"rebind.test:{server.number}", f"127.0.0.1:{server.number}")
    server.pages.locations = {"/a": (302, "/hello")}
    with pytest.raises(PermissionDenied) as caught:
        await fetch(rules, server.url("a", "rebind.test"), egress)
    assert caught.value.rule == "address: metadata service"


async def test_an_unlisted_name_is_never_looked_up() -> None:
    resolver = ScriptedNames(["8.8.8.8"])
    egress = Egress(REACTOR, resolver=resolver)
    for url in ("http://secret-data.evil.test/", "http://a.listed.test.evil.test/", "file:///x"):
        with pytest.raises(PermissionDenied):
            await fetch(allowing("*.listed.test"), url, egress)
    assert resolver.asked == []


async def test_the_next_address_is_tried(server: Server) -> None:
    egress = Egress(REACTOR, resolver=ScriptedNames(["127.0.0.9", "127.0.0.1"]))
    rules = allowing(f"a.test:{server.number}", f"127.0.0.0/28:{server.number}")
    assert (await fetch(rules, server.url("hello", "a.test"), egress)).status_code == 200


async def test_a_name_without_addresses_and_a_closed_port_are_unavailable(server: Server) -> None:
    with pytest.raises(Unavailable, match="no address"):
        await fetch(EVERYTHING, "http://a.test/", Egress(REACTOR, resolver=ScriptedNames([])))
    free = REACTOR.listenTCP(0, Factory(), interface="127.0.0.1")
    number = free.getHost().port
    await free.stopListening()
    with pytest.raises(Unavailable, match="cannot reach"):
        await fetch(allowing(f"127.0.0.1:{number}"), f"http://127.0.0.1:{number}/")


async def test_localhost_by_the_systems_own_resolver(server: Server) -> None:
    reply = await fetch(allowing(f"localhost:{server.number}"), server.url("hello", "localhost"))
    assert reply.status_code == 200
    with pytest.raises(PermissionDenied):
        await fetch(EVERYTHING, server.url("hello", "localhost"))


async def test_an_ipv6_address_is_dialled_and_named_in_brackets() -> None:
    pages = Pages()
    site: Any = WrappingFactory(Site(pages))
    try:
        port: Any = REACTOR.listenTCP(0, site, interface="::1")
    except CannotListenError:
        pytest.skip("this host has no IPv6")
    number = port.getHost().port
    try:
        reply = await fetch(allowing(f"[::1]:{number}"), f"http://[0:0::1]:{number}/hello")
        assert reply.url == f"http://[::1]:{number}/hello"
        assert pages.seen[0][2]["host"] == f"[::1]:{number}"
        with pytest.raises(PermissionDenied):
            await fetch(allowing(f"127.0.0.1:{number}"), f"http://[::1]:{number}/hello")
    finally:
        await port.stopListening()
        for connection in list(site.protocols):
            connection.transport.abortConnection()
        await turn()
