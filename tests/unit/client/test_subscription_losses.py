"""Pushed events when the connection that they were asked for on is lost: each client says so, once."""

from __future__ import annotations

import os
from typing import Any

import pytest

from clove import CloveClient
from clove.client.exchange import Closed
from clove.errors import ConnectionLost
from tests.contracts.clients import AsyncioKind, BlockingKind, Kind, case
from tests.unit.client.echoing import QUICK


def _numbered(peer: Any) -> None:
    """Each subscription gets an event with its number; what is about `cut` loses the connection."""

    def answer(ask: Any) -> Any:
        if ask.opcode.name == "FETCH" and ask.fields["key"] == "cut" and ask.link is peer.links[0]:
            ask.link.cut()
            return None
        if ask.opcode.name == "SUBSCRIBE":
            ask.link.push({"type": "CUSTOM", "data": {"n": len(peer.links)}})
        return {"success": True}

    peer.answer = answer


@case
async def test_a_loss_is_said_though_another_call_has_connected_again(
    kind: Kind, peer: Any
) -> None:
    _numbered(peer)
    async with kind.connected(peer.path, limits=QUICK) as client:
        await kind.ask(client, "subscribe", "CUSTOM", push=True)
        assert (await kind.next_event(client))["data"] == {"n": 1}
        await kind.ask(client, "fetch", "cut")
        assert len(peer.links) == 2
        with pytest.raises(ConnectionLost):
            await kind.next_event(client)
        await kind.ask(client, "subscribe", "CUSTOM", push=True)
        assert (await kind.next_event(client))["data"] == {"n": 2}


@case
async def test_what_came_before_the_loss_is_given_before_it(kind: Kind, peer: Any) -> None:
    _numbered(peer)
    async with kind.connected(peer.path, limits=QUICK) as client:
        await kind.ask(client, "subscribe", "CUSTOM", push=True)
        await kind.ask(client, "fetch", "cut")
        assert (await kind.next_event(client))["data"] == {"n": 1}
        with pytest.raises(ConnectionLost):
            await kind.next_event(client)


def test_a_new_subscription_is_waited_for_where_it_was_made(peer: Any) -> None:
    _numbered(peer)
    with CloveClient(peer.path, limits=QUICK) as client:
        client.subscribe("CUSTOM", push=True)
        client.fetch("cut")
        client.subscribe("CUSTOM", push=True)
        event = client.next_event(60.0)
        assert event is not None
        assert event["data"] == {"n": 2}


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_it_is_said_once(peer: Any, patience: float) -> None:
    _numbered(peer)
    with CloveClient(peer.path, limits=QUICK) as client:
        client.subscribe("CUSTOM", push=True)
        client.fetch("cut")
        assert client.next_event(patience) is not None
        with pytest.raises(ConnectionLost):
            client.next_event(patience)
        assert client.next_event(0.0) is None


def test_a_subscription_that_is_polled_is_lost_with_nothing(peer: Any) -> None:
    with CloveClient(peer.path, limits=QUICK) as client:
        client.subscribe("CUSTOM")
        peer.cut()
        client.fetch("k")
        assert client.next_event(0.0) is None


def test_a_child_process_has_no_part_in_its_parents_subscription(peer: Any) -> None:
    with CloveClient(peer.path, limits=QUICK) as client:
        client.subscribe("CUSTOM", push=True)
        child = os.fork()
        if not child:
            try:
                client.connect()
                os._exit(0 if client.next_event(0.0) is None else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@case
async def test_a_client_that_is_closed_is_not_said_to_have_lost_anything(
    kind: Kind, peer: Any
) -> None:
    async with kind.connected(peer.path, limits=QUICK) as client:
        await kind.ask(client, "subscribe", "CUSTOM", push=True)
    if isinstance(kind, (BlockingKind, AsyncioKind)):
        with pytest.raises(Closed):
            await kind.next_event(client)
        await kind.ask(client, "close")
    else:
        assert client.events.pending == []
