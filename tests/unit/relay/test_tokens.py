"""Tokens are valid until they expire or are revoked; then what they opened ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from clove.errors import LockedOut, NotAuthenticated
from clove.relay.records import Targets, TokenKind
from clove.relay.store.sqlite import SQLiteStore
from clove.relay.tokens import form
from clove.relay.tokens.lockout import LockOutLimits
from clove.relay.tokens.tokens import Tokens
from tests.unit.relay.instant_store import instant_store

WALL = 1_000_000.0
HERE = "192.0.2.1"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = instant_store(str(tmp_path / "relay.sqlite"))
    yield store
    store.close()


@pytest.fixture
def tokens(store: SQLiteStore, clock: Clock) -> Tokens:
    return Tokens(store, clock, lambda: WALL + clock.seconds(), LockOutLimits(failures=3))


async def test_a_token_says_who_bears_it(tokens: Tokens) -> None:
    targets = Targets(labels={"env": "prod"})
    text, record = await tokens.issue(
        TokenKind.AGENT, name="nightly", targets=targets, permissions={"can_http": True}
    )
    identity = await tokens.identify(text, HERE)
    assert (identity.token_id, identity.kind, identity.name) == (
        record.id,
        TokenKind.AGENT,
        "nightly",
    )
    assert (identity.targets, identity.permissions) == (targets, {"can_http": True})


async def test_the_store_has_nothing_that_opens_anything(tokens: Tokens, tmp_path: Path) -> None:
    text, _ = await tokens.issue(TokenKind.ADMIN)
    for path in tmp_path.iterdir():
        assert text.split("_")[2].encode() not in path.read_bytes()


async def test_all_that_are_not_valid_are_told_the_same(tokens: Tokens, clock: Clock) -> None:
    unknown = form.make(TokenKind.ADMIN, bytes(form.ENTROPY))
    expired, _ = await tokens.issue(TokenKind.ADMIN, expires=WALL + 1)
    revoked, record = await tokens.issue(TokenKind.ADMIN)
    await tokens.revoke(record.id)
    clock.advance(1)
    told = set()
    for number, token in enumerate((unknown, expired, revoked)):
        with pytest.raises(NotAuthenticated) as caught:
            await tokens.identify(token, f"192.0.2.{number}")
        told.add((caught.value.message, caught.value.hint))
    assert len(told) == 1


async def test_a_valid_token_is_not_looked_at_while_its_address_is_locked_out(
    tokens: Tokens, clock: Clock
) -> None:
    text, _ = await tokens.issue(TokenKind.ADMIN)
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            await tokens.identify("wrong", HERE)
    with pytest.raises(LockedOut) as caught:
        await tokens.identify(text, HERE)
    assert caught.value.retry_after == 60.0
    assert (await tokens.identify(text, "192.0.2.2")).kind is TokenKind.ADMIN
    clock.advance(60)
    assert (await tokens.identify(text, HERE)).kind is TokenKind.ADMIN


async def test_of_attempts_at_the_same_time_no_more_learn_anything(clock: Clock) -> None:
    """Each was begun before the first had failed; and one of them is valid."""
    answers: list[Deferred[Any]] = []

    class Held:
        def token_by_digest(self, digest: bytes) -> Deferred[Any]:
            answers.append(Deferred())
            return answers[-1]

        def add_token(self, record: object) -> Deferred[None]:
            return succeed(None)

    tokens = Tokens(Held(), clock, clock.seconds, LockOutLimits(failures=3))  # type: ignore[arg-type] # a stand-in
    text, record = await tokens.issue(TokenKind.ADMIN)
    asked = [Deferred.fromCoroutine(tokens.identify(text, HERE)) for _ in range(10)]
    results: list[Any] = []
    for each in asked:
        each.addBoth(results.append)
    for answer in answers[:9]:
        answer.callback(None)
    answers[9].callback(record)
    assert [each.type for each in results] == [NotAuthenticated] * 3 + [LockedOut] * 7


async def test_revoking_ends_all_that_the_token_opened(tokens: Tokens) -> None:
    text, record = await tokens.issue(TokenKind.MACHINE, machine_id="m1")
    identity = await tokens.identify(text, HERE)
    ended: list[str] = []
    tokens.watch(identity, lambda reason: ended.append("first: " + reason))
    stop = tokens.watch(identity, ended.append)
    tokens.watch(identity, ended.append)
    stop()
    await tokens.revoke(record.id)
    assert ended == ["first: its token was revoked", "its token was revoked"]
    assert not tokens._watchers


async def test_what_begins_to_be_watched_after_the_revocation_ends_at_once(tokens: Tokens) -> None:
    text, record = await tokens.issue(TokenKind.ADMIN)
    identity = await tokens.identify(text, HERE)
    await tokens.revoke(record.id)
    ended: list[str] = []
    tokens.watch(identity, ended.append)()
    assert ended == ["its token was revoked"]


async def test_what_a_token_opened_ends_when_it_expires(tokens: Tokens, clock: Clock) -> None:
    text, _ = await tokens.issue(TokenKind.AGENT, expires=WALL + 5)
    identity = await tokens.identify(text, HERE)
    ended: list[str] = []
    tokens.watch(identity, ended.append)
    tokens.watch(identity, ended.append)()
    clock.advance(4.9)
    tokens.end_expired()
    assert ended == []
    clock.advance(0.2)
    tokens.end_expired()
    assert ended == ["its token has expired"]
    assert not tokens._watchers
    assert not clock.getDelayedCalls()


async def test_what_a_token_opened_ends_with_the_time_that_it_was_left(
    tokens: Tokens, clock: Clock
) -> None:
    text, record = await tokens.issue(TokenKind.AGENT, expires=WALL + 99)
    identity = await tokens.identify(text, HERE)
    ended: list[str] = []
    tokens.watch(identity, ended.append)
    await tokens.shorten(record.id, WALL + 10)
    tokens.watch(identity, ended.append)  # identified before that
    clock.advance(9)
    tokens.end_expired()
    assert ended == []
    assert (await tokens.identify(text, HERE)).token_id == record.id
    clock.advance(1)
    tokens.end_expired()
    assert ended == ["its token has expired"] * 2
    with pytest.raises(NotAuthenticated):
        await tokens.identify(text, HERE)


async def test_a_machine_that_was_suspended_ends_what_expired_meanwhile(store: SQLiteStore) -> None:
    """Its timers stood still; the wall clock and the time that has gone by did not."""
    clock, gone = Clock(), Clock()
    tokens = Tokens(store, clock, lambda: WALL + gone.seconds(), elapsed=gone.seconds)
    text, _ = await tokens.issue(TokenKind.AGENT, expires=WALL + 3600)
    ended: list[str] = []
    tokens.watch(await tokens.identify(text, HERE), ended.append)
    gone.advance(4000)
    clock.advance(1)
    tokens.end_expired()
    assert ended == ["its token has expired"]
    with pytest.raises(NotAuthenticated):
        await tokens.identify(text, HERE)


async def test_setting_the_wall_clock_back_gives_no_more_time(store: SQLiteStore) -> None:
    clock, wall = Clock(), [WALL]
    tokens = Tokens(store, clock, lambda: wall[0])
    text, _ = await tokens.issue(TokenKind.AGENT, expires=WALL + 60)
    ended: list[str] = []
    tokens.watch(await tokens.identify(text, HERE), ended.append)
    wall[0] -= 86400
    clock.advance(59)
    tokens.end_expired()
    assert ended == []
    clock.advance(2)
    tokens.end_expired()
    assert ended == ["its token has expired"]


async def test_a_token_that_was_seen_to_have_expired_stays_so(store: SQLiteStore) -> None:
    clock, wall = Clock(), [WALL]
    tokens = Tokens(store, clock, lambda: wall[0])
    text, _ = await tokens.issue(TokenKind.AGENT, expires=WALL + 60)
    opened, _ = await tokens.issue(TokenKind.AGENT, expires=WALL + 60)
    ended: list[str] = []
    tokens.watch(await tokens.identify(opened, HERE), ended.append)
    wall[0] += 61
    tokens.end_expired()
    assert ended == ["its token has expired"]
    with pytest.raises(NotAuthenticated):
        await tokens.identify(text, HERE)
    wall[0] -= 61
    for each in (text, opened):
        with pytest.raises(NotAuthenticated):
            await tokens.identify(each, HERE)


async def test_one_that_cannot_be_ended_keeps_no_other_from_it(
    tokens: Tokens, logged_failures: Any
) -> None:
    text, record = await tokens.issue(TokenKind.ADMIN)
    identity = await tokens.identify(text, HERE)
    ended: list[str] = []

    def broken(reason: str) -> None:
        raise RuntimeError(reason)

    tokens.watch(identity, broken)
    tokens.watch(identity, ended.append)
    await tokens.revoke(record.id)
    assert ended == ["its token was revoked"]
    assert len(logged_failures.flush(RuntimeError)) == 1


async def test_the_last_use_is_known_at_once_and_written_when_asked(
    tokens: Tokens, store: SQLiteStore, clock: Clock
) -> None:
    text, record = await tokens.issue(TokenKind.ADMIN)
    clock.advance(7)
    await tokens.identify(text, HERE)
    kept = await store.token(record.id)
    assert (kept.last_used, tokens.last_used(kept)) == (None, WALL + 7)
    await tokens.write_used()
    assert (await store.token(record.id)).last_used == WALL + 7
