"""What a relay has refused is kept, bounded, and no address pushes the others out."""

from __future__ import annotations

from clove.relay.denials import Denials

MOST = 16


class Wall:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_newest_come_first_in_pages() -> None:
    denials = Denials(MOST, Wall())
    for number in range(4):
        denials.add("token", f"192.0.2.{number}", what="GET /x")
    first = denials.before(0, 3)
    assert [each.refusal.source for each in first] == ["192.0.2.3", "192.0.2.2", "192.0.2.1"]
    assert [each.refusal.source for each in denials.before(first[-1].id, 3)] == ["192.0.2.0"]


def test_the_same_again_within_a_minute_is_counted() -> None:
    wall = Wall()
    denials = Denials(MOST, wall)
    for _ in range(3):
        wall.now += 10
        denials.add("token", "192.0.2.1", error="not valid")
    [only] = denials.before(0, 9)
    assert (only.count, only.at, only.last) == (3, 1010.0, 1030.0)
    wall.now += 60
    denials.add("token", "192.0.2.1", error="not valid")
    assert [each.count for each in denials.before(0, 9)] == [1, 3]


def test_kinds_and_machines_are_found_apart() -> None:
    denials = Denials(MOST, Wall())
    denials.add("token", "a")
    denials.add("kernel", "a", machine_id="m1")
    denials.add("connection", "a", machine_id="m2")
    assert [each.refusal.machine_id for each in denials.before(0, 9, kind="kernel")] == ["m1"]
    assert [each.refusal.kind for each in denials.before(0, 9, machine_id="m2")] == ["connection"]


def test_one_address_has_its_share_and_texts_are_cut() -> None:
    denials = Denials(MOST, Wall())
    denials.add("token", "quiet")
    for number in range(1000):
        denials.add("token", "loud", what=f"GET /{number}", error="x" * 10_000)
    found = denials.before(0, 999)
    assert [each.refusal.source for each in found].count("loud") == MOST // 4
    assert found[-1].refusal.source == "quiet"
    assert max(len(each.refusal.error) for each in found) == 200
    for number in range(1000):
        denials.add("token", f"address {number}")
    assert len(denials.before(0, 9999)) == MOST


def test_all_addresses_of_one_customer_have_one_share() -> None:
    denials = Denials(MOST, Wall())
    denials.add("token", "192.0.2.1")
    for number in range(1000):
        denials.add("token", f"2001:db8::{number:x}")
    found = denials.before(0, 999)
    assert len(found) == MOST // 4 + 1
    assert found[-1].refusal.source == "192.0.2.1"
