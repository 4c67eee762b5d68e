"""Turns of the reactor that are too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import provider

from clove.kernel.watchdog import LONG, Watchdog, WatchdogSettings


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
        self.dog.begin()
        self.cpu += cpu
        self.queued += queued
        self.now += cpu + waited + queued
        self.dog.end()

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


def test_where_nobody_says_how_long_a_thread_was_queued_none_is_held_up() -> None:
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


class Reactor:
    """Polls with an object of its own."""

    def __init__(self) -> None:
        self._poller: Any = self
        self.polls: list[tuple[Any, ...]] = []

    def poll(self, *arguments: Any) -> list[Any]:
        self.polls.append(arguments)
        return []

    def register(self, fd: int) -> str:
        return f"registered {fd}"


def test_what_the_reactor_polls_with_is_watched_and_else_as_it_was() -> None:
    reactor = Reactor()
    dog = Watchdog(WatchdogSettings(cpu=0.02, sample=True))
    dog.watch(reactor)
    assert reactor._poller.poll(0.5, 7) == []
    assert reactor.polls == [(0.5, 7)]
    assert reactor._poller.register(3) == "registered 3"
    dog.stop()
    for thread in threading.enumerate():
        if thread.name == "watchdog":
            thread.join()


def test_a_long_turn_is_logged_with_its_place() -> None:
    found: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("long") == LONG:
            found.append(event["place"])

    reactor = Reactor()
    dog = Watchdog(WatchdogSettings(cpu=0.001))
    dog.watch(reactor)
    globalLogPublisher.addObserver(observe)
    try:
        while not any("test_watchdog.py" in place for place in found):
            reactor._poller.poll()
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass
            dog._logged = float("-inf")
    finally:
        globalLogPublisher.removeObserver(observe)
        dog.stop()
    for thread in threading.enumerate():
        if thread.name == "watchdog":
            thread.join()


def test_nothing_is_watched_where_it_is_off() -> None:
    reactor = Reactor()
    Watchdog(WatchdogSettings(cpu=0)).watch(reactor)
    assert reactor._poller is reactor
