"""What is kept of expiries is bounded by what is open."""

from __future__ import annotations

from clove.relay.tokens.expiry import MOST_EXPIRED, Expiry, Now


def test_what_comes_and_goes_leaves_nothing() -> None:
    expiry = Expiry()
    expiry.watch("stays", 1e9, Now(0.0, 0.0))
    for number in range(10_000):
        name = f"t{number % 7}"
        expiry.watch(name, 1e6, Now(0.0, 0.0))
        expiry.forget(name)
    assert len(expiry) == 1
    assert len(expiry._by_wall) < 200
    assert len(expiry._by_elapsed) < 200


def test_each_is_due_once() -> None:
    expiry = Expiry()
    for _ in range(3):
        expiry.watch("one", 10.0, Now(0.0, 0.0))
    assert expiry.due(Now(9.0, 9.0)) == []
    assert expiry.due(Now(10.0, 10.0)) == ["one"]
    assert expiry.due(Now(11.0, 11.0)) == []


def test_what_was_seen_to_expire_is_remembered_within_a_bound() -> None:
    expiry = Expiry()
    for number in range(MOST_EXPIRED + 1):
        expiry.note_expired(str(number))
    assert not expiry.has_expired("0")
    assert expiry.has_expired("1")
