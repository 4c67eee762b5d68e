"""A moment in which Linux starts no thread: agents have all processes that there are."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.kernel.network.host_resolver import host_resolver
from clove.kernel.network.lookups import Lookups
from clove.sandbox.disposal import PATIENCE, Disposal
from clove.sharing.shares import Shares
from clove.threads.threads import ThreadLimits, Threads


def _none(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


class Here(Clock):
    """A clock whose threads' words are taken at once."""

    def callFromThread(self, function: Any, *args: Any) -> None:
        function(*args)


def test_what_could_not_be_closed_for_want_of_a_thread_is_closed_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Here()
    disposal = Disposal(clock)
    closed = [threading.Event(), threading.Event()]
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _none)
        for each in closed:
            disposal.dispose("host", each.set)
        clock.advance(PATIENCE)
        assert disposal.pending("host") == 2
    clock.advance(PATIENCE)
    assert all(each.wait(20) for each in closed)
    disposal.stop()


async def test_the_kernels_threads_are_there_before_they_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from twisted.internet import reactor

    threads: Any = Threads(reactor, 2, ThreadLimits(own=1))  # type: ignore[arg-type]
    threads.start()
    go_on = threading.Event()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", _none)
            works: list[Deferred[bool]] = [
                threads.of((0, 0)).run(go_on.wait, 20),
                threads.of((0, 1)).run(go_on.wait, 20),
                threads.run(go_on.wait, 20),
            ]
            go_on.set()
            assert [await work for work in works] == [True] * 3
    finally:
        threads.stop()


async def test_a_look_up_without_a_thread_ends_and_counts_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from twisted.internet import reactor

    resolver, pool = host_resolver(reactor, 4)
    pool.start()
    shares = Shares("names", "", 8)
    lookups = Lookups(resolver, shares, 8)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", _none)
            for _ in range(20):
                assert await lookups.resolve("localhost", 80, 7) == []
        assert (shares.used, pool.threads) == (0, [])
        assert await lookups.resolve("localhost", 80, 7)
    finally:
        pool.stop()


def test_a_kernel_without_its_threads_says_so_and_can_end(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: Any = Threads(Here(), 2, ThreadLimits(own=1))  # type: ignore[arg-type]
    start, left = threading.Thread.start, [2]

    def few(thread: threading.Thread) -> None:
        if not left[0]:
            _none(thread)
        left[0] -= 1
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", few)
        with pytest.raises(RuntimeError):
            threads.start()
    threads.stop()
