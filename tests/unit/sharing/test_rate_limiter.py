"""How often each of many may do something."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clove.sharing.rate_limiter import LOOKED_OVER, RateLimiter


def test_a_burst_then_one_at_a_time() -> None:
    limiter = RateLimiter(2.0, 3)
    for left in (3, 2, 1):
        assert limiter.room("a", 10.0) == left
        assert limiter.wait("a", 10.0) == 0
        limiter.take("a", 10.0)
    assert (limiter.room("a", 10.0), limiter.wait("a", 10.0)) == (0, 0.5)
    assert limiter.room("b", 10.0) == 3, "another's bucket is its own"
    assert limiter.wait("a", 10.5) == 0
    assert limiter.room("a", 100.0) == 3


@given(
    st.floats(0.01, 1000),
    st.integers(1, 500),
    st.lists(st.floats(0, 10, allow_nan=False), max_size=60),
)
def test_never_more_than_the_burst_and_the_rate(
    rate: float, burst: int, pauses: list[float]
) -> None:
    limiter, now, taken = RateLimiter(rate, burst), 1000.0, 0
    for pause in pauses:
        now += pause
        room = limiter.room("a", now)
        assert (room > 0) == (limiter.wait("a", now) < 1e-6 / rate + 1e-9)
        if room:
            limiter.take("a", now, room)
            taken += room
    assert taken <= burst + (now - 1000.0) * rate + 1


def test_full_buckets_are_forgotten() -> None:
    limiter = RateLimiter(1.0, 1)
    for number in range(10 * LOOKED_OVER):
        limiter.take(number, 2.0 * number)
    assert len(limiter._full) <= LOOKED_OVER
