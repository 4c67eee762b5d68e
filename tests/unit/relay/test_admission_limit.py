"""So many connections are admitted at once; those that say nothing hold up nobody for long."""

from __future__ import annotations

from twisted.internet.task import Clock

from clove.relay.hub.admission_limit import AT_ONCE, PATIENCE, AdmissionLimit


def test_the_next_waits_until_one_is_admitted() -> None:
    admission_limit = AdmissionLimit(Clock().seconds)
    ends = [admission_limit.begin() for _ in range(AT_ONCE)]
    assert admission_limit.is_full
    ends[7]()
    ends[7]()
    assert not admission_limit.is_full
    admission_limit.begin()
    assert admission_limit.is_full


def test_those_that_say_nothing_are_not_waited_for() -> None:
    clock = Clock()
    admission_limit = AdmissionLimit(clock.seconds)
    silent = [admission_limit.begin() for _ in range(AT_ONCE)]
    clock.advance(PATIENCE / 2)
    assert admission_limit.is_full
    clock.advance(PATIENCE / 2)
    assert not admission_limit.is_full
    for end in silent:
        end()
    assert not admission_limit.is_full
