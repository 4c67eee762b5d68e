"""Waiting for work in threads that must not be left half-way."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed

from clove.kernel.threads import to_the_end


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
