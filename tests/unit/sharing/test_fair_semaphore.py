"""Permits: who waits, who gets one, who gives up; tests/unit/sharing/test_fair_queue.py has the turns."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from clove.errors import LimitExceeded
from clove.sharing.fair_queue import FairQueue, Path
from clove.sharing.fair_semaphore import FairSemaphore, Permit


class Fixture:
    """Holders of permits that give them back when the test says so."""

    def __init__(self, at_once: int = 1, timeout: float | None = None) -> None:
        self.clock = Clock()
        self.queue: FairQueue[Permit] = FairQueue(at_once, at_once)
        self.semaphore = FairSemaphore(self.clock, self.queue, timeout, "others work", "or do not")
        self.order: list[str] = []

    def hold(self, path: Path, name: str = "") -> tuple[Deferred[None], Deferred[None]]:
        """What fires when it is over, and what ends it."""
        end: Deferred[None] = Deferred()

        async def work() -> None:
            async with self.semaphore.permit(path):
                self.order.append(name)
                await end

        return Deferred.fromCoroutine(work()), end


def test_a_waiter_goes_on_when_another_is_done() -> None:
    fixture = Fixture()
    (first, end), (second, end_of_second) = (
        fixture.hold((1,), "first"),
        fixture.hold((2,), "second"),
    )
    assert fixture.order == ["first"]
    assert (fixture.semaphore.waiting((1,)), fixture.semaphore.waiting((2,))) == (0, 1)
    end.callback(None)
    assert first.called
    assert fixture.order == ["first", "second"]
    end_of_second.callback(None)
    assert second.called


def test_one_that_ends_at_once_lets_all_that_wait_go_on() -> None:
    fixture = Fixture()
    _, end = fixture.hold((1,), "first")
    rest = [fixture.hold((1, n), str(n)) for n in range(50)]
    for _, end_of_it in rest:
        end_of_it.callback(None)
    end.callback(None)
    assert fixture.order == ["first", *map(str, range(50))]
    assert all(done.called for done, _ in rest)


async def test_a_failure_gives_the_permit_back() -> None:
    fixture = Fixture()
    first, end = fixture.hold((1,))
    second, end_of_second = fixture.hold((2,), "second")
    end.errback(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await first
    assert fixture.order[-1] == "second"
    end_of_second.callback(None)
    assert second.called


async def test_to_wait_too_long_is_refused_and_takes_nothing() -> None:
    fixture = Fixture(timeout=5.0)
    first, end = fixture.hold((1,))
    second, _ = fixture.hold((2,))
    fixture.clock.advance(5)
    with pytest.raises(LimitExceeded) as caught:
        await second
    assert caught.value.message == "no turn within 5 seconds: others work"
    assert caught.value.hint == "try again later; or do not"
    assert len(fixture.queue) == 0
    end.callback(None)
    assert first.called
    assert fixture.clock.getDelayedCalls() == []


async def test_a_wait_that_is_cancelled_lets_those_behind_it_go_first() -> None:
    fixture = Fixture()
    (_, end), (second, _) = fixture.hold((1,)), fixture.hold((2,))
    third, end_of_third = fixture.hold((2,), "third")
    second.cancel()
    with pytest.raises(CancelledError):
        await second
    end.callback(None)
    assert fixture.order[-1] == "third"
    end_of_third.callback(None)
    assert third.called


async def test_a_holder_that_is_cancelled_gives_its_permit_back() -> None:
    fixture = Fixture()
    (first, _), (second, end) = fixture.hold((1,)), fixture.hold((2,), "second")
    first.cancel()
    with pytest.raises(CancelledError):
        await first
    assert fixture.order[-1] == "second"
    end.callback(None)
    assert second.called
