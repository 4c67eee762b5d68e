"""Threads that call functions for the reactor."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any, cast

import pytest
from twisted.python.failure import Failure

from clove.threads.threads import ThreadPool


class Told:
    """A reactor that keeps what it is told."""

    def __init__(self) -> None:
        self.some = threading.Semaphore(0)
        self.results: list[Any] = []

    def callFromThread(self, tell: Any, result: object) -> None:
        tell(result)
        self.some.release()


class Thing:
    """Can be watched."""


def test_results_and_failures_are_told_and_nothing_is_held() -> None:
    told = Told()
    pool = ThreadPool(cast("Any", told), 1, "test")
    pool.start()
    thing = Thing()
    left = weakref.ref(thing)

    def fails(thing: Thing) -> None:
        raise ValueError("no")

    pool.call(lambda thing=thing: fails(thing), told.results.append)  # type: ignore[misc]
    pool.call(threading.current_thread, told.results.append)
    for _ in range(2):
        assert told.some.acquire(timeout=30)
    assert isinstance(told.results[0], Failure)
    assert told.results[0].check(ValueError)
    assert told.results[1].name == "test-0"
    told.results.clear()
    del thing
    gc.collect()
    assert left() is None
    pool.stop()


def test_what_waits_at_the_end_is_done() -> None:
    told = Told()
    pool = ThreadPool(cast("Any", told), 2, "test")
    pool.start()
    for number in range(50):
        pool.call(lambda number=number: number, told.results.append)  # type: ignore[misc]
    pool.stop()
    assert sorted(told.results) == list(range(50))


def test_where_not_all_threads_start_those_that_did_are_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = ThreadPool(cast("Any", Told()), 3, "test")
    start, started = threading.Thread.start, list[threading.Thread]()

    def one_only(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", one_only)
    with pytest.raises(RuntimeError):
        pool.start()
    pool.stop()
    assert not started[0].is_alive()


def test_each_thread_is_prepared_before_it_calls_anything() -> None:
    told = Told()
    prepared: list[threading.Thread] = []
    pool = ThreadPool(
        cast("Any", told), 3, "test", lambda: prepared.append(threading.current_thread())
    )
    pool.start()
    pool.call(lambda: threading.current_thread() in prepared, told.results.append)
    assert told.some.acquire(timeout=10)
    pool.stop()
    assert told.results == [True]
    assert len(set(prepared)) == 3
