"""Entries are looked for in pieces of bounded work, and found as if all were in one list."""

from __future__ import annotations

from collections import deque
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.kernel.audit import AuditLimits, AuditLog
from clove.kernel.audit import log as log_module
from clove.kernel.audit import search as search_module
from clove.kernel.audit.entries import Entry, Stored
from clove.kernel.audit.entries import shown as entry_shown
from clove.kernel.audit.log import SHOWN
from clove.kernel.audit.search import FIRST, PAGE, search
from clove.kernel.loop_time import LoopTime
from clove.kernel.pieces import at_once
from tests.reactor_turns import turn


def entry(id: int, agent_id: int = 1) -> Stored:
    return Stored(id, 0.0, "IPC", "SEND", agent_id, "ann", True, b"{}")


def families(entries: list[tuple[int, int]]) -> list[deque[Entry]]:
    """Entries with the ids 0, 1, 2..., of these agents in these families."""
    kept: dict[int, deque[Entry]] = {}
    for id, (family, agent_id) in enumerate(entries):
        kept.setdefault(family, deque()).append(entry(id, agent_id))
    return list(kept.values())


def ids(entries: list[Any]) -> list[int]:
    return [entry.id for entry in entries]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2)), max_size=60),
    st.integers(-1, 60),
    st.integers(0, 20),
)
def test_it_finds_what_is_first_of_all(
    entries: list[tuple[int, int]], since: int, most: int
) -> None:
    kept = families(entries)
    mine = [id for id, (_, agent_id) in enumerate(entries) if agent_id == 1]
    with (
        mock.patch.object(search_module, "FIRST", 2),
        mock.patch.object(search_module, "PAGE", 3),
    ):
        for wanted, among in ((None, range(len(entries))), (lambda one: one.agent_id == 1, mine)):
            later = [id for id in among if id > since]
            assert ids(at_once(search(kept, since, wanted, most))) == later[:most]
            newest = list(among)[-most:] if most else []
            assert ids(at_once(search(kept, None, wanted, most))) == newest


@pytest.mark.parametrize("since", [None, -1])
def test_a_piece_looks_at_a_page_of_one_family(since: int | None) -> None:
    """Also where none is wanted."""
    kept = families([(number % 3, 1) for number in range(9 * PAGE)])
    looked = 0

    def wanted(one: Entry) -> bool:
        nonlocal looked
        looked += 1
        return False

    pieces = []
    for _ in search(kept, since, wanted, 10):
        pieces.append(looked)
        looked = 0
    assert max(pieces) == PAGE
    assert sum(pieces) == 9 * PAGE


def test_of_a_family_no_more_is_looked_at_than_may_be_among_them() -> None:
    kept = families([(0, 1)] * (5 * PAGE) + [(1, 1)] * (5 * PAGE))
    assert len(list(search(kept[::-1], None, None, 10))) == 2
    assert len(list(search(kept, None, None, FIRST + 1))) == 4


def test_entries_that_come_and_go_meanwhile_disturb_nothing_else() -> None:
    own = families([(0, 1)] * (3 * PAGE))[0]
    work = search([own], None, lambda one: one.id % 2 == 0, 1000)
    next(work)
    for _ in range(PAGE):
        own.popleft()
    own.append(entry(3 * PAGE))
    assert ids(at_once(work)) == list(range(PAGE, 3 * PAGE, 2))


def test_what_is_found_is_shown_some_at_a_time() -> None:
    clock = Clock()
    limits = AuditLimits()
    log = AuditLog(clock.seconds, limits, in_turns=LoopTime(clock, 0.0005, 8).in_turns)
    for number in range(200):
        log.record("IPC", "SEND", 1, "ann", True, {"to": number})

    def shown(*about: Any) -> Any:
        clock.rightNow += 0.0001
        return entry_shown(*about)

    with mock.patch.object(log_module, "shown", side_effect=shown) as seen:
        answer = log.query(limit=200, family=7)
        assert isinstance(answer, Deferred)
        found: list[Any] = []
        answer.addCallback(found.append)
        counts = [seen.call_count]
        while not found:
            turn(clock)
            counts.append(seen.call_count)
    assert ids(found[0]) == list(range(1, 201))
    assert counts[:3] == [SHOWN, 2 * SHOWN, 3 * SHOWN]
