"""A repeated request with the same key gets the answer of the first."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from clove.errors import ConnectionLost, InvalidRequest, PermissionDenied, Unavailable
from clove.relay.records import Repeat, RepeatKey
from clove.relay.rest.limits import RestLimits
from clove.relay.rest.repeats import Repeats
from clove.relay.store.sqlite import SQLiteStore
from tests.unit.relay.instant_store import instant_store

KEY = RepeatKey("token", "key")


class Answer(msgspec.Struct):
    """Of a request."""

    number: int


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = instant_store(str(tmp_path / "relay.sqlite"))
    yield store
    pytest_twisted.blockon(store.close())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(store: SQLiteStore, clock: Clock) -> Repeats:
    return Repeats(store, "mine", clock, clock.seconds)


def ask(table: Repeats, work: Any, body: bytes = b"x") -> Deferred[Answer]:
    return Deferred.fromCoroutine(table.once(KEY, body, Answer, work))


async def never(doubtful: bool) -> Answer:
    raise AssertionError("it is done twice")


async def test_one_at_the_same_time_waits_for_the_first(table: Repeats) -> None:
    first: Deferred[Answer] = Deferred()
    done: list[object] = []

    async def slow(doubtful: bool) -> Answer:
        assert not doubtful
        return await first

    ask(table, slow).addBoth(done.append)
    ask(table, never).addBoth(done.append)
    assert done == []
    first.callback(Answer(7))
    assert done == [Answer(7), Answer(7)]
    assert await ask(table, never) == Answer(7)


async def test_a_restart_forgets_nothing(table: Repeats, store: SQLiteStore, clock: Clock) -> None:
    async def answer(doubtful: bool) -> Answer:
        return Answer(1)

    await ask(table, answer)
    anew = Repeats(store, "another", clock, clock.seconds)
    assert await ask(anew, never) == Answer(1)


async def test_one_that_surely_failed_is_done_again_by_one_of_those_that_wait(
    table: Repeats,
) -> None:
    first: Deferred[Answer] = Deferred()
    done: list[object] = []

    async def slow(doubtful: bool) -> Answer:
        return await first

    async def second(doubtful: bool) -> Answer:
        done.append(("again", doubtful))
        return Answer(8)

    failing = ask(table, slow)
    for _ in range(2):
        ask(table, second).addBoth(done.append)
    first.errback(PermissionDenied("no"))
    with pytest.raises(PermissionDenied):
        await failing
    assert done == [("again", False), Answer(8), Answer(8)]


async def test_one_that_may_have_been_done_is_in_doubt_until_it_is_answered(
    table: Repeats,
) -> None:
    async def lost(doubtful: bool) -> Answer:
        raise ConnectionLost("it may have been executed")

    async def refused(doubtful: bool) -> Answer:
        assert doubtful
        raise Unavailable("not now")

    async def looked(doubtful: bool) -> Answer:
        assert doubtful
        return Answer(3)

    with pytest.raises(ConnectionLost):
        await ask(table, lost)
    with pytest.raises(Unavailable):
        await ask(table, refused)
    assert await ask(table, looked) == Answer(3)
    assert await ask(table, never) == Answer(3)


async def test_a_key_is_for_one_request(table: Repeats) -> None:
    async def answer(doubtful: bool) -> Answer:
        return Answer(1)

    await ask(table, answer)
    with pytest.raises(InvalidRequest):
        await ask(table, answer, b"y")


async def test_what_another_relay_is_at_is_waited_for_and_not_for_ever(clock: Clock) -> None:
    class Busy:
        """A store in which another relay has the claim."""

        answer: bytes | None = None

        async def claim_repeat(self, *given: object) -> Any:
            return Repeat(answer=self.answer)

    store: Any = Busy()
    table = Repeats(store, "mine", clock, clock.seconds)
    waiting = ask(table, never)
    clock.advance(1)
    store.answer = b'{"number": 5}'
    clock.advance(1)
    assert await waiting == Answer(5)
    store.answer = None
    late = ask(table, never)
    clock.pump([1.0] * round(RestLimits().repeat_wait + 2))
    with pytest.raises(Unavailable, match="still in work"):
        await late


class Away:
    """A store that does not answer what became of requests, until it is back."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self.back = False

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> Any:
            if self.back or name == "claim_repeat":
                return getattr(self._store, name)(*given)
            return fail(Unavailable("the database does not answer"))

        return call


@pytest.fixture
def away(store: SQLiteStore) -> Any:
    return Away(store)


async def test_what_became_of_one_is_told_when_the_store_is_back(away: Any, clock: Clock) -> None:
    mine = Repeats(away, "mine", clock, clock.seconds)
    other = Repeats(away, "other", clock, clock.seconds)

    async def answer(doubtful: bool) -> Answer:
        return Answer(1)

    with pytest.raises(Unavailable):
        await ask(mine, answer)
    with pytest.raises(Unavailable):
        await mine.tell_late()
    away.back = True
    await mine.tell_late()
    assert await ask(other, never) == Answer(1)


@pytest.mark.parametrize(
    ("error", "doubts"), [(ConnectionLost("cut"), True), (PermissionDenied("no"), False)]
)
async def test_one_that_failed_meanwhile_is_given_up_then(
    away: Any, store: SQLiteStore, clock: Clock, error: Exception, doubts: bool
) -> None:
    mine = Repeats(away, "mine", clock, clock.seconds)

    async def failing(doubtful: bool) -> Answer:
        raise error

    with pytest.raises(type(error)):
        await ask(mine, failing)
    away.back = True
    await mine.tell_late()
    found = await store.claim_repeat(KEY, hashlib.sha256(b"x").digest(), "other", 0.0)
    assert (found.ours, found.doubtful) == (True, doubts)


async def test_a_claim_that_was_not_answered_holds_up_no_other_relay(
    store: SQLiteStore, clock: Clock
) -> None:
    doubts: list[Any] = []

    class Unsure:
        """It has the claim, and does not say so."""

        def claim_repeat(self, *given: Any) -> Any:
            return store.claim_repeat(*given).addCallback(lambda _: fail(Unavailable("gone")))

        def doubt_repeat(self, *given: Any) -> Any:
            doubts.append(given)
            return store.doubt_repeat(*given)

    unsure: Any = Unsure()
    mine = Repeats(unsure, "mine", clock, clock.seconds)
    with pytest.raises(Unavailable):
        await ask(mine, never)
    await mine.tell_late()
    await mine.tell_late()
    assert doubts == [(KEY, "mine")]


async def test_what_is_told_late_is_not_told_of_a_newer_request(away: Any, clock: Clock) -> None:
    mine = Repeats(away, "mine", clock, clock.seconds)
    second: Deferred[Answer] = Deferred()

    async def refused(doubtful: bool) -> Answer:
        raise PermissionDenied("no")

    async def again(doubtful: bool) -> Answer:
        return await second

    with pytest.raises(PermissionDenied):
        await ask(mine, refused)
    away.back = True
    working = ask(mine, again)
    await mine.tell_late()
    second.callback(Answer(2))
    assert await working == Answer(2)
    assert await ask(mine, never) == Answer(2)


async def test_what_waits_for_the_store_is_bounded_and_a_token_has_its_share(
    away: Any, clock: Clock
) -> None:
    mine = Repeats(away, "mine", clock, clock.seconds, RestLimits(repeats_late=8))

    async def answer(doubtful: bool) -> Answer:
        return Answer(1)

    for token_id, keys in (("a", 3), ("b", 2), ("c", 2), ("d", 2), ("e", 1)):
        for number in range(keys):
            named = RepeatKey(token_id, str(number))
            with pytest.raises(Unavailable):
                await mine.once(named, b"x", Answer, answer)
    assert Counter(each.token_id for each in mine._late) == {"a": 2, "b": 2, "c": 2, "d": 2}
