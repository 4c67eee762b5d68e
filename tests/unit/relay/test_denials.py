"""What a relay has refused waits for the store, bounded, and no caller pushes the others out."""

from __future__ import annotations

from clove.relay.denial_record import Denial
from clove.relay.denials import Denials
from clove.relay.records import TokenKind
from clove.relay.tokens.form import ENTROPY, make

MOST = 16


class Wall:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def waiting(denials: Denials) -> list[Denial]:
    """What is not written yet, in the order in which it came."""
    return denials.unwritten(9999)


def test_the_same_again_within_a_minute_is_counted() -> None:
    wall = Wall()
    denials = Denials(MOST, wall)
    for _ in range(3):
        wall.now += 10
        denials.add("token", "192.0.2.1", error="not valid")
    [only] = waiting(denials)
    assert (only.count, only.at, only.last) == (3, 1010.0, 1030.0)
    wall.now += 60
    denials.add("token", "192.0.2.1", error="not valid")
    assert [each.count for each in waiting(denials)] == [3, 1]


def test_one_that_is_written_is_written_again_when_it_counts_more() -> None:
    denials = Denials(MOST, Wall())
    denials.add("token", "a")
    kept = waiting(denials)
    denials.add("token", "a")  # while the store writes
    denials.written(kept)
    [again] = waiting(denials)
    assert (again.id, again.count) == (kept[0].id, 2)
    denials.written([again])
    assert waiting(denials) == []
    denials.add("token", "a")
    assert [(each.id, each.count) for each in waiting(denials)] == [(again.id, 3)]


def test_what_is_written_and_a_minute_old_is_forgotten_here() -> None:
    wall = Wall()
    denials = Denials(MOST, wall)
    denials.add("token", "a")
    kept = waiting(denials)
    wall.now += 61
    denials.add("token", "b")
    denials.written(kept)
    assert [each.refusal.source for each in denials._entries.values()] == ["b"]
    assert list(denials._of_caller) == ["b"]
    assert len(denials._latest) == 1


def test_some_of_each_caller_are_written_first() -> None:
    denials = Denials(MOST, Wall())
    for number in range(4):
        denials.add("token", "loud", what=f"GET /{number}")
    denials.add("token", "quiet")
    denials.add("token", "loud", token_id="its own")
    chosen = [(each.refusal.source, each.refusal.token_id) for each in denials.unwritten(3)]
    assert chosen == [("loud", ""), ("quiet", ""), ("loud", "its own")]
    assert [each.id for each in denials.unwritten(4)] == [1, 2, 5, 6]


def test_one_caller_has_its_share_and_texts_are_cut() -> None:
    denials = Denials(MOST, Wall())
    denials.add("token", "quiet")
    for number in range(1000):
        denials.add("token", "loud", what=f"GET /{number}", error="x" * 10_000)
    found = waiting(denials)
    assert [each.refusal.source for each in found].count("loud") == MOST // 4
    assert found[0].refusal.source == "quiet"
    assert max(len(each.refusal.error) for each in found) == 200
    for number in range(1000):
        denials.add("token", f"address {number}", token_id=f"{number}")
    assert len(waiting(denials)) == len(denials._entries) == MOST


def test_no_crowd_of_addresses_pushes_out_what_was_refused_to_a_token() -> None:
    denials = Denials(MOST, Wall())
    denials.add("route", "192.0.2.1", token_id="a")
    denials.add("token", "192.0.2.1")
    for number in range(1000):
        denials.add("token", f"address {number}")
    first, *crowd = waiting(denials)
    assert first.refusal.token_id == "a"
    assert [each.refusal.source for each in crowd] == [
        f"address {number}" for number in range(992, 1000)
    ]


def test_all_addresses_of_one_customer_have_one_share() -> None:
    denials = Denials(MOST, Wall())
    denials.add("token", "192.0.2.1")
    for number in range(1000):
        denials.add("token", f"2001:db8::{number:x}")
    found = waiting(denials)
    assert len(found) == MOST // 4 + 1
    assert found[0].refusal.source == "192.0.2.1"


def test_no_text_that_was_chosen_by_others_stops_the_store() -> None:
    denials = Denials(MOST, Wall())
    denials.add("token", "a", machine_id="m\0\ud800", error="\udfff" * 300)
    [only] = waiting(denials)
    assert (only.refusal.machine_id, only.refusal.error) == ("m ?", "?" * 200)


def test_a_token_where_another_thing_belongs_is_not_kept() -> None:
    token = make(TokenKind.ADMIN, bytes(range(ENTROPY)))
    denials = Denials(MOST, Wall())
    for text in (token, f"no machine {token}", "x" * 190 + token):
        denials.add("token", text, machine_id=text, what=text, error=text)
    for each in waiting(denials):
        assert token[-20:] not in str(each)
        assert token[12:24] not in str(each)
