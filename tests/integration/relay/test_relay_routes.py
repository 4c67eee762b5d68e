"""What holds of every route, whatever it does."""

from __future__ import annotations

import re
from typing import Final

import pytest

from clove.relay.rest.route import Route
from clove.relay.rest.table import ROUTES
from tests.integration.relay.relays import Relay

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
PATHS: Final = sorted({route.path for route in ROUTES})


def asked(path: str) -> str:
    """A path that the route takes."""
    path = path.replace("<string(length=16):token_id>", "0" * 16)
    path = path.replace("<string(length=9):user_code>", "BBBB-BBBB")
    return re.sub("<int:.*?>", "1", re.sub("<[a-z_]+>", "some", path))


@pytest.mark.parametrize("path", PATHS)
async def test_other_methods_are_refused_with_those_that_are_allowed(
    path: str, relay: Relay
) -> None:
    allowed = {route.method for route in ROUTES if route.path == path}
    for method in METHODS:
        if method in allowed:
            continue
        reply = await relay.ask(method, asked(path))
        assert (reply.status, reply.headers["content-type"]) == (405, "application/problem+json")
        assert allowed <= set(reply.headers["allow"].split(", "))
        assert reply.json["hint"]


@pytest.mark.parametrize("path", PATHS)
async def test_no_route_is_open_to_other_sites(path: str, relay: Relay) -> None:
    """No CORS: neither a preflight nor a request of a foreign page is answered, whoever's token it has."""
    foreign: dict[bytes | str, bytes | str] = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "GET",
    }
    for method in ("OPTIONS", "GET", "POST"):
        reply = await relay.ask(method, asked(path), headers=foreign)
        assert (reply.status, reply.json["rule"]) == (403, "origin")
        assert not [name for name in reply.headers if name.startswith("access-control-")]
    reply = await relay.ask("GET", asked(path), headers={"Host": "evil.example"})
    assert (reply.status, reply.json["rule"]) == (403, "host")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=lambda r: r.path)
async def test_bodies_are_checked_and_bounded(route: Route, relay: Relay) -> None:
    for body in (b"", b"[]", b"{", b"\xff", b'{"machine_id": 1, "name": []}', b"[" * 100_000):
        reply = await relay.ask(route.method, asked(route.path), body)
        assert reply.status in ((400, 404) if body else (200, 201, 400, 404)), (body, reply)
        if reply.status >= 400:
            assert reply.headers["content-type"] == "application/problem+json"
    limits = relay.parts._config.limits.rest
    most = limits.deploy_body if route.path.endswith("/deploy") else limits.body
    reply = await relay.ask(route.method, asked(route.path), b'{"x": "%s"}' % (b"x" * most))
    assert (reply.status, reply.json["code"]) == (413, "limit_exceeded")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.query], ids=lambda r: r.path)
async def test_queries_refuse_what_they_do_not_know(route: Route, relay: Relay) -> None:
    for query in ("nonsense=1", "limit=x&after=%FF"):
        reply = await relay.ask(route.method, f"{asked(route.path)}?{query}")
        assert (reply.status, reply.json["code"]) == (400, "invalid_request"), reply
