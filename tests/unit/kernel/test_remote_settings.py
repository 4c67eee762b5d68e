"""What remote callers may do, and what they are known by."""

from __future__ import annotations

import pytest

from clove.errors import CloveError
from clove.kernel.remote.callers import Callers
from clove.kernel.remote.settings import RemoteSettings
from clove.policy import Level


def test_the_cap_is_standard_with_spawning() -> None:
    cap = RemoteSettings().cap()
    assert cap.level is Level.STANDARD
    assert cap.can_spawn
    assert not cap.can_http
    assert not RemoteSettings(permissions={"can_spawn": False}).cap().can_spawn


def test_a_token_gets_no_more_than_the_cap() -> None:
    settings = RemoteSettings(level=Level.READONLY)
    held = settings.permissions_of({"level": "unrestricted", "can_http": True, "can_exec": True})
    assert held.level is Level.READONLY
    assert not any((held.can_http, held.can_exec))
    assert not RemoteSettings().permissions_of({"can_think": False}).can_think


def test_permissions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(CloveError):
        RemoteSettings(permissions={"can_fly": True})
    with pytest.raises(CloveError):
        RemoteSettings().permissions_of({"can_fly": True})


def test_a_caller_is_known_by_relay_token_and_name() -> None:
    callers = Callers(100)
    ann = callers.find("relay", "token", "ann")
    assert callers.find("relay", "token", "ann") == ann
    bob = callers.find("relay", "token", "bob")
    assert (bob.owner, bob.number) == (ann.owner, bob.number)
    others = [callers.find("relay", "other", "ann"), callers.find("relay 2", "token", "ann")]
    numbers = [ann.number, ann.owner, bob.number]
    numbers += [number for one in others for number in (one.number, one.owner)]
    assert len(set(numbers)) == 7
    assert callers.of_number(bob.number) == bob
    assert callers.of_number(ann.owner) is None


def test_those_that_came_longest_ago_are_forgotten_and_their_numbers_never_given_again() -> None:
    callers = Callers(2)
    first = callers.find("r", "a", "x")
    callers.find("r", "b", "x")
    callers.find("r", "c", "x")
    assert callers.of_number(first.number) is None
    again = callers.find("r", "a", "x")
    assert not {again.number, again.owner} & {first.number, first.owner}
    assert len(callers._callers) == len(callers._owners) == 2
