"""So many connections are admitted at once; those that say nothing hold up nobody for long."""

from __future__ import annotations

from twisted.internet.task import Clock

from clove.relay.hub.pace import AT_ONCE, PATIENCE, Pace


def test_the_next_waits_until_one_is_admitted() -> None:
    pace = Pace(Clock().seconds)
    ends = [pace.begin() for _ in range(AT_ONCE)]
    assert pace.is_full
    ends[7]()
    ends[7]()
    assert not pace.is_full
    pace.begin()
    assert pace.is_full


def test_those_that_say_nothing_are_not_waited_for() -> None:
    clock = Clock()
    pace = Pace(clock.seconds)
    silent = [pace.begin() for _ in range(AT_ONCE)]
    clock.advance(PATIENCE / 2)
    assert pace.is_full
    clock.advance(PATIENCE / 2)
    assert not pace.is_full
    for end in silent:
        end()
    assert not pace.is_full
