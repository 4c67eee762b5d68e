"""Permissions that change while connections are made and carried."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from clove.errors import PermissionDenied
from clove.kernel.network.gateway.gateways import Gateways
from clove.kernel.network.gateway.limits import GatewayLimits
from clove.kernel.principal import Kind, Principal
from clove.policy import parse
from tests.scripted_names import ScriptedNames

PUBLIC = "93.184.216.34"


class Carrying:
    """The gateway of an agent that may reach some hosts."""

    def __init__(self, stack: contextlib.ExitStack, *rules: str) -> None:
        self._stack = stack
        self.reactor: Any = MemoryReactorClock()
        self.refused: list[tuple[str, int, str]] = []
        self.names = ScriptedNames([PUBLIC])
        self.gateways = Gateways(
            self.reactor,
            GatewayLimits(),
            self.names,
            refused=lambda who, host, port, rule, why: self.refused.append((host, port, rule)),
            carried=lambda *_: None,
        )
        self.principal = Principal(7, Kind.AGENT, parse(None, {"can_http": True}))
        self.allow(*rules)
        self.gateway = self.gateways.open(self.principal, lambda line: None)
        stack.callback(self.gateway.close)

    def allow(self, *rules: str, **fields: Any) -> None:
        mapping = {"can_http": True, "allowed_domains": list(rules), **fields}
        self.principal.permissions = parse(None, mapping)

    def carry(self, host: str, port: int = 443, *, named: bool = True) -> socket.socket:
        """The far end of a connection to a host that is carried."""
        client, inside = socket.socketpair()
        server, outside = socket.socketpair()
        for end in (inside, server, outside):
            end.setblocking(False)
        for end in (client, outside):
            self._stack.enter_context(end)
        self.gateway._crowd.count += 1
        self.gateway._traffic.shares.add(7)
        self.gateway._carry(inside, server, host, port, (PUBLIC,), named)
        return outside

    def open(self) -> int:
        return self.gateways.traffic.figures()[0]


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as made:
        yield made


def is_cut(end: socket.socket) -> bool:
    try:
        return end.recv(1) == b""
    except BlockingIOError:
        return False


def test_connections_that_are_allowed_no_more_are_cut(stack: contextlib.ExitStack) -> None:
    carrying = Carrying(stack, "api.test", "other.test:80", "web.test")
    kept = carrying.carry("api.test")
    cut = [carrying.carry("other.test", 80), carrying.carry("web.test")]
    carrying.allow("api.test")
    carrying.gateways.judge_again(7)
    assert [is_cut(end) for end in (kept, *cut)] == [False, True, True]
    assert {host for host, _, _ in carrying.refused} == {"other.test", "web.test"}
    assert carrying.open() == 1


def test_without_http_nothing_is_carried_on(stack: contextlib.ExitStack) -> None:
    carrying = Carrying(stack, "api.test")
    end = carrying.carry("api.test")
    carrying.allow("api.test", can_http=False)
    carrying.gateways.judge_again(7)
    assert is_cut(end)


def test_another_agents_connections_are_left_alone(stack: contextlib.ExitStack) -> None:
    carrying = Carrying(stack, "api.test")
    end = carrying.carry("api.test")
    carrying.allow("web.test")
    carrying.gateways.judge_again(8)
    assert not is_cut(end)


def test_what_was_not_inspected_ends_where_it_would_be_inspected(
    stack: contextlib.ExitStack,
) -> None:
    carrying = Carrying(stack)
    by_name, by_address = carrying.carry("api.test"), carrying.carry(PUBLIC, named=False)
    carrying.allow("api.test", PUBLIC)
    carrying.gateways.judge_again(7)
    assert (is_cut(by_name), is_cut(by_address)) == (True, False)


def test_later_requests_are_held_to_the_methods_of_then(stack: contextlib.ExitStack) -> None:
    carrying = Carrying(stack, "api.test")
    carrying.carry("api.test", 80)
    [link] = carrying.gateway._splices.values()
    carrying.allow("api.test", allowed_http_methods=["GET"])
    carrying.gateways.judge_again(7)
    assert link.inspection is not None
    assert link.inspection.permissions is carrying.principal.permissions


async def test_a_name_that_is_being_resolved_is_judged_again(stack: contextlib.ExitStack) -> None:
    carrying = Carrying(stack, "api.test")
    resolve = carrying.names.resolveHostName

    def narrowed_meanwhile(*args: Any) -> Any:
        carrying.allow("web.test")
        return resolve(*args)

    names: Any = carrying.names
    names.resolveHostName = narrowed_meanwhile
    name = carrying.gateway._naming.addresses.allocate("api.test")
    with pytest.raises(PermissionDenied):
        await carrying.gateway._reach(name.address, name, 443)


def test_a_closed_gateway_is_not_kept(stack: contextlib.ExitStack) -> None:
    carrying = Carrying(stack, "api.test")
    second = carrying.gateways.open(carrying.principal, lambda line: None)
    second.close()
    second.close()
    assert carrying.gateways.traffic.open == {7: {carrying.gateway}}
    carrying.gateway.close()
    assert carrying.gateways.traffic.open == {}
