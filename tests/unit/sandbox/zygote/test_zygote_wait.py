"""SPAWNs that come while a zygote starts: they wait for it, not for long, and not for one that will not come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from clove.sandbox.zygote.settings import ZygoteSettings
from clove.sandbox.zygote.zygote import Zygote


class Held:
    """Threads in which what was asked for goes on for as long as the test wants."""

    def __init__(self) -> None:
        self.asked: list[Deferred[Any]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        self.asked.append(Deferred(lambda _: None))
        return self.asked[-1]


class Spawned:
    """A process that waits until it is killed."""

    pid = 0

    def __init__(self, clock: Clock, protocol: Any) -> None:
        self.pipes: dict[int, Any] = {}
        self._clock = clock
        self._protocol = protocol
        self._ended = False

    def signalProcess(self, number: str) -> None:
        if self._ended:
            raise ProcessExitedAlready
        self._ended = True
        self._protocol.transport = self
        self._clock.callLater(0, self._protocol.processExited, Failure(ProcessDone(0)))
        self._clock.callLater(0, self._protocol.processEnded, Failure(ProcessDone(0)))


class SpawningClock(Clock):
    """A clock whose processes are started in name only."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[list[str]] = []

    def spawnProcess(self, protocol: Any, path: str, argv: list[str], **more: Any) -> Spawned:
        self.spawned.append(argv)
        return Spawned(self, protocol)

    def addReader(self, reader: object) -> None:
        """Nothing comes."""

    removeReader = addWriter = removeWriter = addReader


class House:
    """A zygote that is being started, and what forks of it come to."""

    def __init__(self, enabled: bool = True) -> None:
        self.clock = SpawningClock()
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

    def stop(self) -> None:
        """End it: nothing of it is left to be done."""
        stopped: list[object] = []
        self.zygote.stop().addCallback(stopped.append)
        self.clock.pump([0, 0, 0])
        assert stopped == [None]
        assert self.clock.getDelayedCalls() == []


def test_its_interpreter_starts_while_its_root_is_looked_up() -> None:
    house = House()
    assert [argv[0] for argv in house.clock.spawned] == ["python3"]
    assert [asked.called for asked in house.threads.asked] == [False]
    house.stop()


def test_without_a_zygote_nothing_is_waited_for() -> None:
    assert House(enabled=False).fork() == [None]


def test_a_zygote_that_is_late_is_waited_for_no_longer() -> None:
    house = House()
    early = house.fork()
    house.clock.advance(ZygoteSettings().first_wait / 2)
    later = house.fork()
    assert early == later == []
    house.clock.advance(ZygoteSettings().first_wait / 2)
    assert early == later == [None]
    assert house.fork() == [None]
    house.stop()


def test_a_zygote_that_cannot_be_started_is_waited_for_no_longer() -> None:
    house = House()
    waiting = house.fork()
    house.threads.asked[0].errback(OSError(11, "no"))
    house.clock.pump([0, 0, 0])
    assert waiting == [None]
    assert house.fork() == [None]  # until it is tried again
    house.stop()


def test_one_that_cannot_be_started_is_tried_again() -> None:
    house = House()
    house.threads.asked[0].errback(OSError(11, "no"))
    house.clock.pump([0, 0, 0])
    house.clock.advance(1)
    assert len(house.clock.spawned) == 2
    house.stop()


def test_while_a_root_is_still_looked_up_no_other_one_is() -> None:
    house = House()
    for _ in range(5):
        house.clock.advance(ZygoteSettings().start_timeout)
        house.clock.pump([0, 0, 0])
    assert [asked.called for asked in house.threads.asked] == [False]
    house.threads.asked[0].errback(OSError(11, "no"))
    for _ in range(5):
        house.clock.advance(ZygoteSettings().start_timeout)
    assert len(house.threads.asked) == 2
    house.stop()


def test_a_kernel_that_stops_lets_nothing_wait() -> None:
    house = House()
    waiting = house.fork()
    house.stop()
    assert waiting == [None]


def test_a_start_that_is_given_up_waits_no_longer() -> None:
    house = House()
    waiting = house.fork()
    house.forking.cancel()
    assert [one.type for one in waiting] == [CancelledError]
    house.stop()
