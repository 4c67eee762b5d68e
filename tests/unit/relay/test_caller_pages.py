"""Remote agents of several relays come in pages, each of them once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from clove.relay.link.peer_link import PeerLink
from clove.relay.machines.caller_query import CallerQuery, CallersFound, matching
from clove.relay.machines.presence import RemoteCaller
from clove.relay.records import Identity, TokenKind
from clove.relay.rest.calls.fleet import list_agents
from clove.relay.rest.types import OfMachine

ADMIN = Identity(token_id="a", kind=TokenKind.ADMIN)


def callers(*numbers: int, name: str) -> list[RemoteCaller]:
    return [
        RemoteCaller(
            agent_id=each,
            agent_name=f"{name}{each}",
            target_machine="odd" if each % 2 else "even",
            token_id=f"t{each % 3}",
            connected_at=0.0,
        )
        for each in numbers
    ]


def context(here: list[RemoteCaller], there: list[RemoteCaller]) -> Any:
    async def at_this() -> list[RemoteCaller]:
        return here

    async def at_others(query: CallerQuery) -> CallersFound:
        return matching(there, query)

    hub = SimpleNamespace(callers=at_this)
    return SimpleNamespace(machines=SimpleNamespace(hub=hub), other_callers=at_others)


async def pages(context: Any, limit: int, identity: Identity = ADMIN) -> list[list[str]]:
    found, after = [], ""
    while True:
        query = OfMachine(after=after, limit=limit)
        call: Any = SimpleNamespace(identity=identity, query=query)
        page = await list_agents(context, call)
        found.append([each.agent_name for each in page.agents])
        if not (after := page.next):
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 7, 100])
async def test_each_comes_once_and_those_of_one_number_together(limit: int) -> None:
    here = callers(1000, 1001, 1004, 1005, name="here")
    there = callers(1001, 1002, 1003, 1004, name="there")
    found = await pages(context(here, there), limit)
    assert sorted(name for page in found for name in page) == sorted(
        each.agent_name for each in here + there
    )
    for page in found[:-1]:
        assert limit <= len(page) <= limit + 1
    assert not any("here1001" in page and "there1001" not in page for page in found)


async def test_a_bearer_sees_its_own_alone() -> None:
    both = context(callers(*range(9), name="here"), callers(*range(9), name="there"))
    agent = Identity(token_id="t1", kind=TokenKind.AGENT)
    [page] = await pages(both, 100, agent)
    assert sorted(page) == ["here1", "here4", "here7", "there1", "there4", "there7"]
    machine = Identity(token_id="m", kind=TokenKind.MACHINE, machine_id="odd")
    [page] = await pages(both, 100, machine)
    assert len(page) == 8


async def test_another_relay_is_asked_as_often_as_it_takes() -> None:
    there = callers(*range(350), name="there")
    asked: list[int] = []

    async def answer(what: str, **fields: Any) -> dict[str, Any]:
        query = msgspec.convert(fields, CallerQuery)
        asked.append(query.limit)
        return dict(msgspec.to_builtins(matching(there, query)))

    link = PeerLink.__new__(PeerLink)
    link._ask = answer  # type: ignore[method-assign] # the other relay
    found = await link.callers(CallerQuery(limit=250))
    assert (found.callers, found.total) == (there[:250], 350)
    assert asked == [100, 100, 50]
    assert (await link.callers(CallerQuery(limit=0))).total == 350
    assert (await link.callers(CallerQuery(after=340, limit=250))).callers == there[341:]
