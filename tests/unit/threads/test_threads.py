"""Waiting for work in threads that must not be left half-way."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed

from clove.errors import LimitExceeded
from clove.sharing.shares import OPERATORS
from clove.threads.threads import ThreadLimits, Threads, to_the_end


async def test_what_is_there_already_is_given_at_once() -> None:
    assert await to_the_end(succeed(3)) == 3


def test_a_cancellation_waits_for_the_end() -> None:
    work: Deferred[int] = Deferred()
    order: list[str] = []

    async def wait() -> None:
        try:
            await to_the_end(work)
        finally:
            order.append("cleared up")

    waiting = Deferred.fromCoroutine(wait())
    waiting.cancel()
    waiting.cancel()
    assert order == []
    work.callback(1)
    assert order == ["cleared up"]
    waiting.addErrback(lambda failure: failure.trap(CancelledError) and None)


async def test_a_failure_is_raised() -> None:
    work: Deferred[None] = Deferred()
    waiting = Deferred.fromCoroutine(to_the_end(work))
    work.errback(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await waiting


class Buffer(bytearray):
    """Stands for what a function has read."""


async def test_an_expected_error_keeps_nothing_of_what_led_to_it() -> None:
    from twisted.internet import reactor

    made: list[weakref.ref[Buffer]] = []

    def fails() -> None:
        buffer = Buffer(b"much")
        made.append(weakref.ref(buffer))
        try:
            buffer.decode("ascii").encode("no such encoding")
        except LookupError:
            raise LimitExceeded("too much") from None

    async def asks() -> None:
        await threads.run(fails)

    threads = Threads(cast("Any", reactor), 1)
    threads.start()
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(LimitExceeded):
            await Deferred.fromCoroutine(asks())
        assert made[0]() is None
    finally:
        gc.enable()
        threads.stop()


class Stuck:
    """Functions that take a thread until they are let go."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.begun = 0

    def __call__(self) -> None:
        self.begun += 1
        self.release.wait(30)


@pytest.fixture
def pool() -> Iterator[Threads]:
    from twisted.internet import reactor

    threads = Threads(cast("Any", reactor), 8, ThreadLimits(own=1, per_caller=20, per_family=30))
    threads.start()
    yield threads
    threads.stop()


@pytest.fixture
def stuck(pool: Threads) -> Iterator[Stuck]:
    """After the threads: their end waits for these."""
    functions = Stuck()
    yield functions
    functions.release.set()


def under_way(pool: Threads) -> int:
    """Functions of callers that have a thread."""
    return len(pool._callers.queue._in_service)


async def test_a_family_that_takes_all_threads_leaves_some_to_all_others(
    pool: Threads, stuck: Stuck
) -> None:
    flood = [pool.of((7, agent)).run(stuck) for agent in (7, 8) for _ in range(10)]
    flood += [pool.of((9, 9)).run(stuck) for _ in range(2)]
    assert await pool.of((10, 10)).run(int) == 0
    flood += [pool.of((11, 11)).run(stuck) for _ in range(10)]
    assert await pool.of((OPERATORS, 1)).run(int) == 0
    assert await pool.run(int) == 0
    assert under_way(pool) == 7
    stuck.release.set()
    for each in flood:
        await each


async def test_what_waits_is_bounded_for_each_caller_and_each_family(
    pool: Threads, stuck: Stuck
) -> None:
    flood = [pool.of((7, 7)).run(stuck) for _ in range(24)]
    with pytest.raises(LimitExceeded, match="this agent, or of its family"):
        await pool.of((7, 7)).run(int)
    flood += [pool.of((7, 8)).run(stuck) for _ in range(10)]
    with pytest.raises(LimitExceeded):
        await pool.of((7, 9)).run(int)
    owed = pool.of((7, -7), bounded=False).run(int)  # what the kernel does for it
    assert await pool.of((8, 8)).run(int) == 0
    stuck.release.set()
    for each in flood:
        await each
    assert await owed == 0


async def test_one_that_gives_up_keeps_the_thread_that_works_for_it(
    pool: Threads, stuck: Stuck
) -> None:
    """Else one that asks and leaves again and again would have more threads than its share."""
    for _ in range(20):
        pool.of((7, 7)).run(stuck).addErrback(lambda failure: failure.trap(CancelledError)).cancel()
    await pool.of((8, 8)).run(int)
    assert under_way(pool) == 4
    stuck.release.set()
    assert await pool.of((7, 7)).run(int) == 0
    assert stuck.begun <= 4  # those that had not begun never did
