"""Walks that leave the reactor room."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.loop.slices import in_slices


def walk(members: dict[int, str], clock: Clock, seen: list[tuple[int, ...]]) -> Deferred[None]:
    async def collect() -> None:
        async for some in in_slices(members, clock, 2):
            seen.append(some)

    return Deferred.fromCoroutine(collect())


def test_few_members_are_one_slice_without_a_wait() -> None:
    clock, seen = Clock(), list[tuple[int, ...]]()
    walked = walk({1: "a", 2: "b"}, clock, seen)
    assert walked.called
    assert seen == [(1, 2)]
    assert clock.getDelayedCalls() == []


def test_the_reactor_has_a_turn_between_two_slices() -> None:
    clock, seen = Clock(), list[tuple[int, ...]]()
    walked = walk(dict.fromkeys(range(5), "x"), clock, seen)
    assert not walked.called
    assert seen == [(0, 1)]
    clock.advance(0)
    assert walked.called
    assert seen == [(0, 1), (2, 3), (4,)]


def test_members_may_come_and_go_meanwhile() -> None:
    clock, seen = Clock(), list[tuple[int, ...]]()
    members = dict.fromkeys(range(4), "x")
    walked = walk(members, clock, seen)
    members.clear()
    members[9] = "y"
    clock.advance(0)
    assert walked.called
    assert seen == [(0, 1), (2, 3)]


def test_nothing_has_no_slices() -> None:
    clock, seen = Clock(), list[tuple[int, ...]]()
    assert walk({}, clock, seen).called
    assert seen == []
