"""Ports of a relay that systemd has opened."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.protocol import Factory

from clove.errors import InvalidRequest
from clove.kernel.listening import stopped
from clove.relay.listening import HandedPorts, listen


@pytest.fixture
def opened() -> Iterator[socket.socket]:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    yield made
    made.close()


async def test_it_is_served_and_goes_on_listening_when_the_relay_has_ended(
    opened: socket.socket,
) -> None:
    systemds = opened.dup()
    number = opened.getsockname()[1]
    handed = HandedPorts([("rest", opened)], ("rest", "hub"))
    found = handed.find("rest", "127.0.0.1", number)
    assert found is opened
    assert handed.find("hub", "127.0.0.1", number) is None
    port: Any = listen(reactor, Factory(), "127.0.0.1", number, None, handed=found)
    assert port.getHost().port == number
    await stopped(port)
    with systemds, socket.socket() as client:
        client.connect(("127.0.0.1", number))


def test_one_at_another_address_than_the_configurations_is_refused(opened: socket.socket) -> None:
    handed = HandedPorts([("hub", opened)], ("rest", "hub"))
    number = opened.getsockname()[1]
    for address, port in (("127.0.0.1", number + 1), ("0.0.0.0", number), ("::1", number)):
        with pytest.raises(InvalidRequest, match=r"hub.listen and hub.port of the configuration"):
            handed.find("hub", address, port)


def test_one_that_is_for_nothing_or_comes_twice_is_refused(opened: socket.socket) -> None:
    with pytest.raises(InvalidRequest, match=r"'http'.*for nothing") as raised:
        HandedPorts([("http", opened)], ("rest", "hub"))
    assert "one of rest, hub" in raised.value.hint
    with pytest.raises(InvalidRequest, match="'rest'"):
        HandedPorts([("rest", opened), ("rest", opened)], ("rest", "hub"))
