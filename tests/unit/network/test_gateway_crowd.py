"""More connections than an agent may have: which waits, which gives way, and what is said."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from clove.kernel.network.gateway.crowd import SAY_AGAIN, Crowd
from clove.kernel.network.gateway.limits import GatewayLimits

LIMITS = GatewayLimits(connections=2, spare=2.0)


class Carried:
    """A connection that was last of use at some time; None: it is now."""

    def __init__(self, fixture: Fixture, since: float | None) -> None:
        self._fixture = fixture
        self.since = since

    def idle_since(self, now: float) -> float:
        return 0.0 if self.since is None else now - self.since

    def abort(self) -> None:
        self._fixture.splices.remove(self)
        self._fixture.crowd.count -= 1


class Fixture:
    """A crowd of two."""

    def __init__(self, *since: float | None) -> None:
        self.clock: Any = Clock()
        self.splices: list[Any] = [Carried(self, one) for one in since]
        self.lines: list[str] = []
        self.resumed = 0
        self.crowd = Crowd(self.clock, LIMITS, lambda: self.splices, self.resume, self.lines.append)
        self.crowd.count = len(since)

    def resume(self) -> None:
        self.resumed += 1


def test_there_is_room_up_to_the_limit() -> None:
    fixture = Fixture(0)
    assert fixture.crowd.has_room()
    assert (len(fixture.splices), fixture.lines) == (1, [])


def test_the_one_that_is_idle_for_longest_gives_way() -> None:
    fixture = Fixture(5, 1)
    fixture.clock.advance(8)
    assert fixture.crowd.has_room()
    assert [one.since for one in fixture.splices] == [5]
    assert fixture.lines == []


def test_where_none_is_idle_one_waits_until_it_is_and_the_log_says_so() -> None:
    fixture = Fixture(0, 0.5)
    fixture.clock.advance(1)
    assert not fixture.crowd.has_room()
    assert fixture.lines == [
        "all 2 connections are in use: more wait until one ends, or has been idle for 2 s"
    ]
    fixture.clock.advance(0.9)
    assert fixture.resumed == 0
    fixture.clock.advance(0.2)
    assert fixture.resumed == 1
    assert fixture.crowd.has_room()
    assert not fixture.clock.getDelayedCalls()


def test_requests_that_wait_for_their_answer_are_left() -> None:
    fixture = Fixture(None, None)
    fixture.clock.advance(1000)
    assert not fixture.crowd.has_room()
    assert len(fixture.splices) == 2
    fixture.crowd.close()
    assert not fixture.clock.getDelayedCalls()


def test_it_is_said_once_in_a_while() -> None:
    fixture = Fixture(None, None)
    for _ in range(3):
        assert not fixture.crowd.has_room()
    assert len(fixture.lines) == 1
    fixture.clock.advance(SAY_AGAIN)
    assert not fixture.crowd.has_room()
    assert len(fixture.lines) == 2
    fixture.crowd.close()
