"""Turns of the reactor that are too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import provider

from clove.loop.watchdog import LONG, Watchdog, WatchdogSettings, pause_after


class Watched:
    """A thread whose times are what a test says."""

    def __init__(self, **settings: Any) -> None:
        self.cpu = self.now = self.queued = 0.0
        self.dog = Watchdog(
            WatchdogSettings(cpu=0.02, held_up=0.25, sample=False, **settings),
            cpu=lambda: self.cpu,
            clock=lambda: self.now,
            queued=lambda: self.queued,
        )

    def turn(self, *, cpu: float = 0.0, waited: float = 0.0, queued: float = 0.0) -> None:
        self.now += 1.0  # in the poll
        dog = self.dog
        dog.begun = self.now
        if self.now - dog.refreshed > dog.may_be_old:
            dog.refresh(self.now)
        self.cpu += cpu
        self.queued += queued
        self.now += cpu + waited + queued
        if self.now - dog.begun > dog.may_last:
            dog.judge(self.now)

    @property
    def seen(self) -> tuple[int, int]:
        return self.dog.turns.busy, self.dog.turns.held_up


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged of long turns."""
    found: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("long") == LONG:
            found.append(event["what"])

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


def test_a_turn_that_computes_long_is_counted_and_logged(lines: list[str]) -> None:
    watched = Watched()
    watched.turn(cpu=0.019)
    assert watched.seen == (0, 0)
    watched.turn(cpu=0.035)
    assert watched.seen == (1, 0)
    assert watched.dog.turns.longest == pytest.approx(0.035)
    assert lines == ["used 35 ms of processor time"]


def test_a_turn_that_waits_long_is_counted_and_logged(lines: list[str]) -> None:
    watched = Watched()
    watched.turn(cpu=0.01, waited=0.3)
    assert watched.seen == (0, 1)
    assert lines == ["was held up for 300 ms"]


def test_a_busy_machine_is_nobodys_fault(lines: list[str]) -> None:
    watched = Watched()
    watched.turn(cpu=0.01, queued=5.0)
    watched.turn(cpu=0.01, queued=5.0, waited=0.2)
    assert watched.seen == (0, 0)
    assert lines == []


def test_turns_just_before_are_not_counted_for_one_that_waited(lines: list[str]) -> None:
    watched = Watched()
    watched.turn()
    watched.now -= 1.0  # at once, without a poll between them
    watched.turn(cpu=0.008)
    watched.now -= 1.0
    watched.turn(cpu=0.016, queued=0.1)
    assert watched.seen == (0, 0)


def test_without_figures_of_queueing_no_turn_counts_as_held_up() -> None:
    watched = Watched()
    watched.queued = float("inf")
    watched.turn(waited=5.0)
    assert watched.seen == (0, 0)


def test_the_log_is_not_flooded(lines: list[str]) -> None:
    watched = Watched()
    for _ in range(100):
        watched.now -= 1.0  # many turns in a moment
        watched.turn(cpu=0.03)
    assert watched.seen == (100, 0)
    assert 1 <= len(lines) <= 4


def test_a_long_turn_is_logged_with_its_location() -> None:
    found: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("long") == LONG:
            found.append(event["location"])

    dog = Watchdog(WatchdogSettings(cpu=0.001))
    dog.start()
    globalLogPublisher.addObserver(observe)
    try:
        for _ in range(200):  # 10 s: it looks when it comes to it
            if any("test_watchdog.py" in location for location in found):
                break
            dog.begun = time.monotonic()
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass
            dog.judge(time.monotonic())
            dog._logged = float("-inf")
        else:
            pytest.fail(f"no turn was seen: {found}")
    finally:
        globalLogPublisher.removeObserver(observe)
        dog.stop()
    for thread in threading.enumerate():
        if thread.name == "watchdog":
            thread.join()


def test_an_idle_reactor_is_looked_at_seldom_and_a_busy_one_as_ever() -> None:
    assert [pause_after(looks, 0.01) for looks in (0, 9, 10, 1000)] == [0.01, 0.01, 0.1, 0.1]


def test_nothing_is_watched_where_it_is_off() -> None:
    dog = Watchdog(WatchdogSettings(cpu=0))
    dog.start()
    assert dog.may_last == float("inf")
    assert not any(thread.name == "watchdog" for thread in threading.enumerate())
