"""What a relay does again and again: on time, one at a time, and a last time where it is written."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from clove.relay.recurring import Recurring


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_is_done_before_the_start_and_after_the_stop(clock: Clock) -> None:
    done: list[float] = []
    recurring = Recurring(clock)

    async def work() -> None:
        done.append(clock.seconds())

    recurring.do(2.0, work)
    clock.advance(5)
    assert done == []
    recurring.start()
    clock.pump([1.0] * 4)
    assert done == [7.0, 9.0]
    recurring.stop()
    clock.pump([1.0] * 4)
    assert done == [7.0, 9.0]
    assert not clock.getDelayedCalls()


def test_the_next_time_waits_for_the_last(clock: Clock) -> None:
    begun: list[Deferred[None]] = []
    recurring = Recurring(clock)

    async def work() -> None:
        begun.append(Deferred())
        await begun[-1]

    recurring.do(1.0, work)
    recurring.start()
    clock.pump([1.0] * 3)
    assert len(begun) == 1
    begun[0].callback(None)
    clock.advance(1.0)
    assert len(begun) == 2
    begun[1].callback(None)
    recurring.stop()


async def test_what_cannot_be_written_is_tried_again_and_a_last_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    said: list[tuple[object, ...]] = []
    monkeypatch.setattr(Logger, "error", lambda self, text, **about: said.append((about["what"],)))
    recurring = Recurring(clock)

    async def refuse() -> None:
        tried.append("refuse")
        raise OSError("no room")

    async def write() -> None:
        tried.append("write")

    recurring.write(1.0, "this", refuse)
    recurring.write(1.0, "that", write)
    recurring.start()
    clock.pump([1.0] * 2)
    recurring.stop()
    assert tried == ["refuse", "write"] * 2
    await recurring.write_last()
    assert tried == ["refuse", "write"] * 3
    assert said == [("this",)] * 3
