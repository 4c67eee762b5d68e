"""No noise washes a refusal out: rings of their own, and in each the room of each family."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from twisted.internet.task import Clock

from clove.kernel.audit import AuditLimits, AuditLog
from clove.kernel.audit.entries import Entry, Stored
from clove.kernel.audit.ring import Ring
from clove.kernel.audit.search import search
from clove.kernel.pieces import at_once
from clove.messages.audit import AuditEntry
from clove.messages.state import StoreRequest
from tests.audit_entries import queried


def entry(id: int, text: int = 0) -> Stored:
    return Stored(id, 0.0, "IPC", "SEND", 1, "ann", True, b"x" * text)


def ids(entries: list[AuditEntry]) -> list[int]:
    return [entry.id for entry in entries]


def ids_in(ring: Ring, since: int = -1) -> list[int]:
    return [entry.id for entry in at_once(search(ring.families, since, None, 1000))]


def refuse(log: AuditLog, family: int, times: int = 1) -> None:
    for _ in range(times):
        log.record("SECURITY", "PERMISSION_DENIED", family, "ann", False, {}, family)


def test_an_agents_own_noise_does_not_wash_its_refusals_out() -> None:
    log = AuditLog(Clock().seconds, AuditLimits(max_entries=10))
    refuse(log, 1)
    log.record("AGENT_LIFECYCLE", "AGENT_SPAWNED", 1, "ann", True, {}, 1)
    log.record("NETWORK", "CONNECTION_REFUSED", 1, "ann", False, {}, 1)
    for _ in range(100):
        log.record("STATE_STORE", "STORE", 1, "ann", True, {}, 1)
        log.record("NETWORK", "CONNECTION_ENDED", 1, "ann", True, {}, 1)
        log.record("STATE_STORE", "STORE", 1, "ann", False, {}, 1)
    assert ids(queried(log, limit=1000))[:3] == [1, 2, 3]
    assert ids(queried(log, "SECURITY")) == [1]
    assert ids(queried(log, "NETWORK", limit=1000))[0] == 3
    assert len(queried(log, limit=1000)) == 13


def test_a_familys_refusals_do_not_wash_anothers_out() -> None:
    log = AuditLog(Clock().seconds, AuditLimits(security_entries=100))
    refuse(log, 1, 30)
    refuse(log, 2, 1000)
    refuse(log, 3, 5)
    assert [len(queried(log, "SECURITY", agent_id=family)) for family in (1, 2, 3)] == [30, 65, 5]
    refuse(log, 1, 1000)
    left = [len(queried(log, "SECURITY", agent_id=family)) for family in (1, 2, 3)]
    assert left[2] == 5
    assert abs(left[0] - left[1]) <= 1
    assert sum(left) == 100


def test_a_flood_of_what_is_done_takes_its_own_familys_room_first() -> None:
    log = AuditLog(Clock().seconds, AuditLimits(max_entries=100))
    record = log.recorder("STATE_STORE", "STORE", ("key",))
    for family, times in ((1, 30), (2, 1000), (3, 5)):
        for number in range(times):
            record(family, "ann", StoreRequest(key=str(number), value=Raw(b"1")), family)
    assert [len(queried(log, agent_id=family)) for family in (1, 2, 3)] == [30, 65, 5]


def test_entries_of_all_rings_come_in_order() -> None:
    log = AuditLog(Clock().seconds)
    for family in (1, 2, 3, 1, 2):
        refuse(log, family)
        log.record("IPC", "SEND", family, "ann", True, {}, family)
        log.record("AGENT_LIFECYCLE", "AGENT_EXITED", family, "ann", True, {}, family)
    assert ids(queried(log, limit=1000)) == list(range(1, 16))
    assert ids(queried(log, since_id=4, limit=3)) == [5, 6, 7]
    assert ids(queried(log, limit=4)) == [12, 13, 14, 15]
    assert ids(queried(log, "SECURITY", since_id=1)) == [4, 7, 10, 13]


def test_a_family_with_large_entries_loses_them_by_its_number() -> None:
    ring = Ring(1000, 20_000)
    for id in range(100):
        ring.add(entry(id, 3000 if id % 2 else 10), id % 2)
    assert ring.size <= 20_000
    assert ids_in(ring)[-2:] == [98, 99]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3000)), max_size=200),
    st.integers(1, 30),
)
def test_a_ring_holds_its_bounds_and_takes_from_the_largest(
    added: list[tuple[int, int]], most: int
) -> None:
    ring = Ring(most, 30_000)
    kept: dict[int, list[Entry]] = {}
    for id, (family, text) in enumerate(added):
        one = entry(id, text)
        ring.add(one, family)
        kept.setdefault(family, []).append(one)
        while (
            sum(map(len, kept.values())) > most
            or sum(300 + len(each.details) + 7 for own in kept.values() for each in own) > 30_000
        ):
            there = set(ids_in(ring))
            longest = max(map(len, kept.values()))
            lost = [own for own in kept.values() if len(own) == longest and own[0].id not in there]
            assert lost, "it took from a family that had less than another"
            lost[0].pop(0)
        found = sorted(each.id for own in kept.values() for each in own)
        assert ids_in(ring) == found
        assert len(ring) == len(found)
    if added:
        middle = len(added) // 2
        assert ids_in(ring, middle) == [id for id in found if id > middle]


@pytest.mark.parametrize("most", [5, 1])
def test_a_ring_that_gets_smaller_forgets_fairly(most: int) -> None:
    ring = Ring(20, 1 << 20)
    for id in range(20):
        ring.add(entry(id), 1 if id < 15 else 2)
    ring.max_entries = most
    ring.trim()
    assert len(ring) == most
    assert ids_in(ring)[-1] == 19 or most == 1
