"""Waiting for work in threads that must not be left half-way."""

from __future__ import annotations

import gc
import weakref
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed

from clove.errors import LimitExceeded
from clove.kernel.threads import Threads, to_the_end


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
