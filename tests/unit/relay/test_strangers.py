"""Many connections that do not say who they are keep out none but those of their own address."""

from __future__ import annotations

from functools import partial

from clove.relay.hub.strangers import Strangers


def test_of_too_many_the_oldest_of_the_address_that_has_most_is_closed() -> None:
    closed: list[str] = []
    strangers = Strangers(4)

    def add(address: str, name: str) -> None:
        strangers.add(address, lambda: closed.append(name))

    add("192.0.2.1", "a")
    for number in range(3):
        add("192.0.2.2", f"b{number}")
    assert closed == []
    add("192.0.2.3", "c")
    assert closed == ["b0"]
    for number in range(3, 10):
        add("192.0.2.2", f"b{number}")
    assert closed == [f"b{number}" for number in range(8)]
    assert len(strangers) == 4


def test_one_network_of_ipv6_is_one_address() -> None:
    closed: list[str] = []
    strangers = Strangers(2)
    strangers.add("192.0.2.1", lambda: closed.append("old"))
    for number in range(5):
        address = f"2001:db8::{number}"
        strangers.add(address, partial(closed.append, address))
    assert closed == [f"2001:db8::{number}" for number in range(4)]


def test_those_that_are_known_or_gone_do_not_count() -> None:
    closed: list[int] = []
    strangers = Strangers(2)
    for number in range(100):
        forget = strangers.add("192.0.2.1", partial(closed.append, number))
        forget()
        forget()
    assert (len(strangers), closed) == (0, [])
