"""SPAWNs that come while a zygote starts: they wait for it, not for long, and not for one that will not come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from clove.sandbox.zygote.settings import ZygoteSettings
from clove.sandbox.zygote.zygote import WAIT_SECONDS, Zygote


class Held:
    """Threads in which what was asked for goes on for as long as the test wants."""

    def __init__(self) -> None:
        self.asked: list[Deferred[Any]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        self.asked.append(Deferred(lambda _: None))
        return self.asked[-1]


class House:
    """A zygote that is being started, and what forks of it come to."""

    def __init__(self, enabled: bool = True) -> None:
        self.clock = Clock()
        self.threads = Held()
        threads: Any = self.threads
        anything: Any = None
        settings = ZygoteSettings(enabled=enabled)
        self.zygote = Zygote(self.clock, threads, settings, anything, "python3", None, None)
        self.zygote.start()

    def fork(self) -> list[Any]:
        found: list[Any] = []
        self.forking = Deferred.fromCoroutine(self.zygote.fork(None))
        self.forking.addBoth(found.append)
        return found


def test_without_a_zygote_nothing_is_waited_for() -> None:
    assert House(enabled=False).fork() == [None]


def test_a_zygote_that_is_late_is_waited_for_no_longer() -> None:
    house = House()
    early = house.fork()
    house.clock.advance(WAIT_SECONDS / 2)
    later = house.fork()
    assert early == later == []
    house.clock.advance(WAIT_SECONDS / 2)
    assert early == later == [None]
    assert house.fork() == [None]
    assert house.clock.getDelayedCalls() == []


def test_a_zygote_that_cannot_be_started_is_waited_for_no_longer() -> None:
    house = House()
    waiting = house.fork()
    house.threads.asked[0].errback(OSError(11, "no"))
    assert waiting == [None]
    assert house.fork() == [None]  # until it is tried again
    house.zygote.stop()
    assert house.clock.getDelayedCalls() == []


def test_a_kernel_that_stops_lets_nothing_wait() -> None:
    house = House()
    waiting = house.fork()
    house.zygote.stop()
    assert waiting == [None]
    assert house.clock.getDelayedCalls() == []


def test_a_start_that_is_given_up_waits_no_longer() -> None:
    house = House()
    waiting = house.fork()
    house.forking.cancel()
    assert [one.type for one in waiting] == [CancelledError]
    assert house.clock.getDelayedCalls() == []
    house.zygote.stop()
