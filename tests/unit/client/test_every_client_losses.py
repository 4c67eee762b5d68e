"""Connections that are lost or closed: the same cases against each client."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from clove.client.exchange import Closed
from clove.errors import (
    ConnectionLost,
)
from tests.contracts.clients import Kind, case
from tests.unit.client.echoing import QUICK, echo


@case
async def test_a_lost_connection_is_resumed_and_reads_are_repeated(kind: Kind, peer: Any) -> None:
    def cut_once(ask: Any) -> None:
        peer.answer = echo
        ask.link.cut()

    peer.answer = cut_once
    async with kind.connected(peer.path, limits=QUICK) as client:
        assert (await kind.ask(client, "fetch", "k"))["asked"] == {"key": "k"}
        assert (client.agent_id, len(peer.links)) == (1, 2)


@case
async def test_a_call_that_may_have_been_served_is_not_repeated(kind: Kind, peer: Any) -> None:
    peer.answer = lambda ask: ask.link.cut()
    async with kind.connected(peer.path, limits=QUICK) as client:
        with pytest.raises(ConnectionLost):
            await kind.ask(client, "store", "k", 1)
        assert peer.opcodes().count("STORE") == 1
        peer.answer = echo
        assert (await kind.ask(client, "store", "k", 2))["success"] is True


@case
async def test_a_refused_token_gives_a_new_identity(kind: Kind, peer: Any) -> None:
    peer.answer = lambda ask: ask.link.cut()
    async with kind.connected(peer.path, limits=QUICK) as client:
        with pytest.raises(ConnectionLost):
            await kind.ask(client, "store", "k", 1)
        peer.tokens.clear()
        peer.answer = echo
        assert await kind.ask(client, "noop", b"x") == b"x"
        assert client.agent_id == 3


@case
async def test_a_lost_connection_ends_every_call_with_words(kind: Kind, peer: Any) -> None:
    def answer(ask: Any) -> None:
        if len(peer.asked) == 6:
            ask.link.cut()

    peer.answer = answer
    async with kind.connected(peer.path, limits=QUICK) as client:
        errors = await kind.ask_all(client, *[("store", "k", 1)] * 5)
        assert {type(error) for error in errors} == {ConnectionLost}
        assert all("closed the connection" in error.message for error in errors)


@case
async def test_a_kernel_that_stays_away_is_an_error_after_the_last_attempt(
    kind: Kind, peer: Any
) -> None:
    peer.answer = lambda ask: ask.link.cut()
    async with kind.connected(peer.path, limits=QUICK) as client:
        with pytest.raises(ConnectionLost):
            await kind.ask(client, "store", "k", 1)
        peer.stop()
        with pytest.raises(ConnectionLost, match="no kernel listens"):
            await kind.ask(client, "noop")


@case
async def test_closing_ends_what_is_in_flight_whether_or_not_it_could_be_repeated(
    kind: Kind, peer: Any
) -> None:
    client = kind.client(peer.path)

    def answer(ask: Any) -> None:
        if len(peer.asked) == 3:
            closed.set()

    closed = threading.Event()
    peer.answer = answer
    await kind.ask(client, "connect")
    errors = await kind.ask_all(client, ("fetch", "k"), ("store", "k", 1), closing=closed)
    assert [type(error) for error in errors] == [Closed, Closed]
    assert len(peer.links) == 1
    assert not client.connected


@case
async def test_a_closed_client_connects_anew_as_another(kind: Kind, peer: Any) -> None:
    peer.answer = echo
    client = kind.client(peer.path)
    await kind.ask(client, "close")
    for expected in (1, 2):
        assert await kind.ask(client, "noop", b"x") == b"x"
        assert client.agent_id == expected
        await kind.ask(client, "close")
        await kind.ask(client, "close")
        assert not client.connected
