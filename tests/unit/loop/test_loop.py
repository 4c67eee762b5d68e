"""The reactor's loop."""

from __future__ import annotations

import inspect
import os
import socket
from select import EPOLLIN
from typing import Any

import pytest
from twisted.internet.abstract import FileDescriptor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import CONNECTION_DONE

from clove.loop.turns import EVENTS, serve_in_turns
from clove.loop.watchdog import Watchdog, WatchdogSettings
from tests.conftest import LoggedFailures


class Readable:
    """Says what its reading is to end with."""

    def __init__(self, reactor: Reactor, end: object = None) -> None:
        self.reactor = reactor
        self.end = end

    def doRead(self) -> object:
        self.reactor.takes_its_time()
        self.reactor.read.append(self)
        if isinstance(self.end, ZeroDivisionError):
            raise self.end
        return self.end


class Reactor:
    """As far as its loop is concerned, the epoll reactor."""

    def __init__(self) -> None:
        self.now = self.cpu = 0.0
        self.ready: list[tuple[int, int]] = []
        self.polls: list[tuple[Any, ...]] = []
        self.served: list[tuple[Readable, int, int]] = []
        self.takes = 0.0
        self._poller = self
        self.read: list[Readable] = []
        self.ended: list[tuple[object, object, bool]] = []
        self._selectables: dict[int, Readable] = {3: Readable(self), 4: Readable(self)}
        self.doIteration: Any = None
        self.dog = Watchdog(
            WatchdogSettings(cpu=0.02, sample=False),
            cpu=lambda: self.cpu,
            clock=self.seconds,
            queued=lambda: 0.0,
        )
        serve_in_turns(self, self.dog, self.seconds)

    def seconds(self) -> float:
        return self.now

    def poll(self, *arguments: Any) -> list[tuple[int, int]]:
        self.polls.append(arguments)
        assert self.dog.begun == float("inf")
        self.now += 1.0
        return self.ready

    def _doReadOrWrite(self, selectable: Readable, fd: int, event: int) -> None:
        self.served.append((selectable, fd, event))
        self.takes_its_time()

    def _disconnectSelectable(self, selectable: Readable, why: object, isRead: bool) -> None:
        self.ended.append((selectable, why, isRead))

    def takes_its_time(self) -> None:
        self.now += self.takes
        self.cpu += self.takes
        self._selectables.pop(4, None)  # closed by another's call


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


def test_a_turn_polls_for_few_and_serves_those_that_are_still_there(reactor: Reactor) -> None:
    three = reactor._selectables[3]
    reactor.ready = [(3, 4), (4, 4), (5, 1)]
    reactor.doIteration(0.5)
    assert reactor.polls == [(0.5, EVENTS)]
    assert reactor.served == [(three, 3, 4)]


def test_a_client_that_asks_now_and_then_is_read_before_a_flood(reactor: Reactor) -> None:
    reactor._selectables.update({fd: Readable(reactor) for fd in range(100, 171)})
    flood = [(fd, EPOLLIN) for fd in range(100, 170)]
    asks = reactor._selectables[170]
    reactor.ready = flood
    reactor.doIteration(0)
    reactor.ready = [*flood, (170, EPOLLIN)]
    reactor.doIteration(0)
    assert reactor.read.index(asks) == len(flood)  # the first of the second turn
    assert len(reactor.read) == 2 * len(flood) + 1


def test_what_has_only_something_to_read_is_read_directly(reactor: Reactor) -> None:
    three = reactor._selectables[3]
    reactor.ready = [(3, EPOLLIN)]
    reactor.doIteration(0)
    assert (reactor.read, reactor.served, reactor.ended) == ([three], [], [])


@pytest.mark.parametrize("why", [CONNECTION_DONE, ZeroDivisionError("a bug")])
def test_reading_that_ends_or_fails_ends_the_connection(
    reactor: Reactor, logged_failures: LoggedFailures, why: Exception
) -> None:
    three = reactor._selectables[3] = Readable(reactor, why)
    reactor.ready = [(3, EPOLLIN)]
    reactor.doIteration(0)
    assert reactor.ended == [(three, why, True)]
    assert len(logged_failures.flush(ZeroDivisionError)) == (why is not CONNECTION_DONE)


def test_the_compiled_part_serves_what_is_ready_newcomers_first() -> None:
    turns: list[tuple[Any, ...]] = []
    compiled = Reactor()
    serve_in_turns(compiled, compiled.dog, compiled.seconds, serve_ready=lambda *a: turns.append(a))
    flood = [(fd, EPOLLIN) for fd in range(100, 110)]
    for compiled.ready in (flood, [*flood, (3, EPOLLIN)]):
        compiled.doIteration(0)
    assert turns[1][0] == [(3, EPOLLIN), *flood]
    assert turns[1][1] is compiled._selectables
    assert turns[1][2:4] == (compiled._doReadOrWrite, compiled._disconnectSelectable)


def test_twisted_has_what_the_loop_uses() -> None:
    """Its private parts: if this fails, compare L{clove.loop.turns} with EPollReactor.doPoll."""
    parameters = inspect.signature(EPollReactor._disconnectSelectable).parameters
    assert list(parameters)[:4] == ["self", "selectable", "why", "isRead"]
    parameters = inspect.signature(EPollReactor._doReadOrWrite).parameters
    assert list(parameters) == ["self", "selectable", "fd", "event"]
    code = inspect.getsource(EPollReactor.doPoll)
    assert "l = self._poller.poll(timeout, len(self._selectables))" in code
    assert "log.callWithLogger(selectable, _drdw, selectable, fd, event)" in code
    assert EPollReactor.doIteration is EPollReactor.doPoll


def test_without_a_time_out_it_waits_for_good(reactor: Reactor) -> None:
    reactor.doIteration(None)
    reactor.doIteration(0)
    assert reactor.polls == [(-1, EVENTS), (0, EVENTS)]


def test_a_turn_lasts_from_one_poll_to_the_next(reactor: Reactor) -> None:
    reactor.ready = [(3, 1)]
    reactor.takes = 0.03
    reactor.doIteration(0)
    assert reactor.dog.turns.busy == 0
    reactor.cpu += 0.01  # timed calls
    reactor.now += 0.01
    reactor.takes = 0.0
    reactor.doIteration(0)
    assert reactor.dog.turns.busy == 1
    assert reactor.dog.turns.longest == pytest.approx(0.04)
    reactor.doIteration(0)
    assert reactor.dog.turns.busy == 1


def test_a_reactor_of_another_kind_stays_as_it_is(reactor: Reactor) -> None:
    class Other:
        doIteration = None

    other = Other()
    serve_in_turns(other, reactor.dog)
    assert other.doIteration is None


class End(FileDescriptor):
    """One end of a socket pair; the other has hung up."""

    def __init__(self, reactor: Any, meanwhile: Any) -> None:
        super().__init__(reactor)
        self.lost = 0
        self.meanwhile = meanwhile
        self.end, other = socket.socketpair()
        other.close()
        self.startReading()  # type: ignore[no-untyped-call]

    def fileno(self) -> int:
        return self.end.fileno()

    def doRead(self) -> Exception | None:
        self.meanwhile(self)
        return None

    def connectionLost(self, reason: Any) -> None:
        self.lost += 1
        self.stopReading()  # type: ignore[no-untyped-call]
        self.end.close()


class New(FileDescriptor):
    """A socket on which nothing happens, under a number that somebody else had."""

    def __init__(self, reactor: Any, quiet: socket.socket, number: int) -> None:
        super().__init__(reactor)
        self.served = 0
        self.number = os.dup2(quiet.fileno(), number)
        self.startReading()  # type: ignore[no-untyped-call]

    def fileno(self) -> int:
        return self.number

    def doRead(self) -> None:
        self.served += 1

    def connectionLost(self, reason: Any) -> None:
        self.served += 1


def test_an_event_is_not_for_the_next_owner_of_the_descriptors_number() -> None:
    reactor = EPollReactor()
    made: list[New] = []

    def replace(by: End) -> None:
        (other,) = {first, second} - {by}
        number = other.fileno()
        other.connectionLost(None)
        by.connectionLost(None)
        made.append(New(reactor, quiet, number))

    quiet, peer = socket.socketpair()
    first, second = End(reactor, replace), End(reactor, replace)
    serve_in_turns(reactor, Reactor().dog)
    try:
        reactor.doIteration(0)
        (new,) = made
        assert new.served == 0
        assert (first.lost, second.lost) == (1, 1)
    finally:
        for each in made:
            each.stopReading()  # type: ignore[no-untyped-call]
            os.close(each.number)
        quiet.close()
        peer.close()
        reactor._poller.close()
        os.close(reactor.waker.i)
        os.close(reactor.waker.o)
