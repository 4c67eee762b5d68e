"""Computers that wait for a person to confirm them."""

from __future__ import annotations

import itertools

import pytest

from clove.errors import AlreadyExists, NotFound, PermissionDenied, Unavailable
from clove.relay.tokens.logins import SECONDS, Confirmation, Logins

YES = Confirmation(token_id="1" * 16, name="laptop", hours=1.0)
HERE = "192.0.2.1"


@pytest.fixture
def logins() -> Logins:
    return Logins(most=3, of_address=2)


def test_what_was_confirmed_is_collected_once(logins: Logins) -> None:
    secret, login = logins.begin("laptop", HERE, 0.0)
    assert logins.collect(secret, 1.0) is None
    assert logins.waiting(login.code.lower().replace("-", " "), 1.0) is login
    logins.confirm(login.code, YES, 2.0)
    assert logins.collect(secret, 3.0) == YES
    with pytest.raises(NotFound):
        logins.collect(secret, 4.0)


def test_a_code_is_decided_about_once(logins: Logins) -> None:
    secret, login = logins.begin("laptop", HERE, 0.0)
    logins.refuse(login.code, 1.0)
    with pytest.raises(AlreadyExists):
        logins.confirm(login.code, YES, 2.0)
    with pytest.raises(AlreadyExists):
        logins.refuse(login.code, 2.0)
    with pytest.raises(PermissionDenied, match="refused"):
        logins.collect(secret, 3.0)
    with pytest.raises(NotFound):
        logins.waiting(login.code, 3.0)


def test_codes_end_after_ten_minutes(logins: Logins) -> None:
    secret, login = logins.begin("laptop", HERE, 0.0)
    logins.confirm(login.code, YES, 1.0)
    with pytest.raises(NotFound):
        logins.collect(secret, SECONDS)
    secret, login = logins.begin("laptop", HERE, 0.0)
    with pytest.raises(NotFound):
        logins.waiting(login.code, SECONDS)


def test_the_short_code_collects_nothing(logins: Logins) -> None:
    secret, login = logins.begin("laptop", HERE, 0.0)
    logins.confirm(login.code, YES, 1.0)
    for guess in (login.code, "", "x" * 43, secret[:-1], "\ud800"):
        with pytest.raises(NotFound):
            logins.collect(guess, 2.0)
    for guess in ("", "BBBB", secret[:9], "\ud800"):
        with pytest.raises(NotFound):
            logins.waiting(guess, 2.0)


def test_an_address_takes_its_own_places_and_none_of_others(logins: Logins) -> None:
    first, _ = logins.begin("one", "2001:db8::1", 0.0)
    second, _ = logins.begin("two", "2001:db8::2", 0.0)
    logins.begin("three", "2001:db8::3", 0.0)
    with pytest.raises(NotFound):
        logins.collect(first, 1.0)
    assert logins.collect(second, 1.0) is None
    logins.begin("other", HERE, 1.0)
    with pytest.raises(Unavailable):
        logins.begin("more", "192.0.2.2", 1.0)
    logins.begin("later", "192.0.2.2", SECONDS)


def test_no_two_that_wait_have_one_code() -> None:
    letters = itertools.chain("B" * 8, "B" * 8, "C" * 8)
    logins = Logins(3, 3, choose=lambda _: next(letters))
    codes = [logins.begin("x", HERE, 0.0)[1].code for _ in range(2)]
    assert codes == ["BBBB-BBBB", "CCCC-CCCC"]
