"""A repeated request with the same key gets the answer of the first."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from clove.errors import InvalidRequest, Unavailable
from clove.relay.rest.repeats import Repeats

KEY = ("token", "key")


async def test_one_at_the_same_time_waits_for_the_first() -> None:
    table, first = Repeats(9), Deferred[int]()
    done: list[object] = []

    async def never() -> int:
        raise AssertionError("it is done twice")

    async def slow() -> int:
        return await first

    Deferred.fromCoroutine(table.once(*KEY, b"x", slow)).addBoth(done.append)
    Deferred.fromCoroutine(table.once(*KEY, b"x", never)).addBoth(done.append)
    assert done == []
    first.callback(7)
    assert done == [7, 7]
    assert await table.once(*KEY, b"x", never) == 7


async def test_one_that_failed_is_done_again_by_one_of_those_that_wait() -> None:
    table, first = Repeats(9), Deferred[int]()
    done: list[object] = []

    async def slow() -> int:
        return await first

    async def second() -> int:
        done.append("again")
        return 8

    failing = Deferred.fromCoroutine(table.once(*KEY, b"x", slow))
    for _ in range(2):
        Deferred.fromCoroutine(table.once(*KEY, b"x", second)).addBoth(done.append)
    first.errback(Unavailable("not now"))
    with pytest.raises(Unavailable):
        await failing
    assert done == ["again", 8, 8]


async def test_a_key_is_for_one_request_of_one_token() -> None:
    table = Repeats(9)

    async def answer() -> int:
        return 1

    await table.once(*KEY, b"x", answer)
    with pytest.raises(InvalidRequest):
        await table.once(*KEY, b"y", answer)
    assert await table.once("other", "key", b"y", answer) == 1


async def test_the_oldest_keys_are_forgotten() -> None:
    table = Repeats(2)
    count = 0

    async def answer() -> int:
        nonlocal count
        count += 1
        return count

    for key in ("a", "b", "c"):
        await table.once("token", key, b"x", answer)
    assert await table.once("token", "c", b"x", answer) == 3
    assert await table.once("token", "a", b"x", answer) == 4


async def test_a_token_pushes_out_no_keys_of_another() -> None:
    table = Repeats(2)
    count = 0

    async def answer() -> int:
        nonlocal count
        count += 1
        return count

    await table.once("mine", "a", b"x", answer)
    for number in range(10):
        await table.once("theirs", str(number), b"x", answer)
    assert await table.once("mine", "a", b"x", answer) == 1
