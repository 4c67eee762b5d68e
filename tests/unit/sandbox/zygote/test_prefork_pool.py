"""When the children of the prefork pool are forked."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from clove.sandbox.zygote.prefork_pool import REFILL_SECONDS, PreforkPool


class Pool:
    """A pool without cgroups, and how often it has asked for a child."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.asked = 0
        threads: Any = None
        self.pool = PreforkPool(self.clock, threads, 1, None, self.fork)

    async def fork(self, cgroup: object) -> None:
        self.asked += 1


def test_with_a_new_zygote_it_is_filled_at_once() -> None:
    house = Pool()
    house.pool.renew()
    assert house.asked == 1
    assert house.clock.getDelayedCalls() == []


def test_beside_a_start_that_has_waited_for_the_zygote_it_is_filled_later() -> None:
    house = Pool()
    house.pool.renew_soon()
    assert house.asked == 0
    house.clock.advance(REFILL_SECONDS)
    assert house.asked == 1
    house.pool.renew_soon()
    house.pool.stop()
    assert house.clock.getDelayedCalls() == []
