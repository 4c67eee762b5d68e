"""Mailboxes: nothing accepted is lost, nothing grows without bound, nobody polls."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from clove.errors import Cancelled, LimitExceeded, NotFound
from clove.kernel.mail import IMailboxes, Mailboxes, MailLimits
from clove.kernel.mail.mailboxes import OVERHEAD
from clove.kernel.shares import OPERATORS, ShareLimits
from clove.messages.mail import Mail

WHOLE = ShareLimits(family=1, family_memory=1, operators=0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def some(clock: Clock, *ids: int, **limits: float) -> Mailboxes:
    whole = {"family_part": 1.0, "foreign_part": 1.0, **limits}
    boxes = Mailboxes(clock, MailLimits(**whole), shares=WHOLE)  # type: ignore[arg-type]
    for agent_id in ids or (1, 2):
        boxes.open(agent_id)
    return boxes


def texts(mails: Iterable[Mail]) -> list[bytes]:
    return [bytes(mail.message) for mail in mails]


def failure(deferred: Deferred[list[Mail]]) -> BaseException | None:
    got: list[BaseException] = []

    def keep(failure: Failure) -> None:
        assert failure.value is not None
        got.append(failure.value)

    deferred.addErrback(keep)
    return got[0] if got else None


def test_provides_the_interface(clock: Clock) -> None:
    verifyObject(IMailboxes, some(clock))


def test_messages_come_in_order_with_their_sender_and_age(clock: Clock) -> None:
    boxes = some(clock)
    first = boxes.deliver(2, 1, "ann", Raw(b'{"a": 1}'))
    clock.advance(1.5)
    second = boxes.deliver(2, 1, "ann", Raw(b"[2]"))
    mails = boxes.take(2, 10)
    assert [(m.id, m.from_, m.from_id, m.from_name, m.age_ms) for m in mails] == [
        (first, 1, 1, "ann", 1500),
        (second, 1, 1, "ann", 0),
    ]
    assert texts(mails) == [b'{"a": 1}', b"[2]"]
    assert first < second
    assert boxes.take(2, 10) == []


def test_ids_ascend_over_all_mailboxes(clock: Clock) -> None:
    boxes = some(clock)
    ids = [boxes.deliver(to, 1, "", Raw(b"0")) for to in (1, 2, 1, 2)]
    assert ids == sorted(set(ids))


def test_a_mailbox_that_does_not_exist_takes_nothing(clock: Clock) -> None:
    boxes = some(clock)
    for use in (
        lambda: boxes.deliver(9, 1, "", Raw(b"0")),
        lambda: boxes.take(9, 1),
        lambda: boxes.receive(9, 1),
        lambda: boxes.ack(9, [1]),
    ):
        with pytest.raises(NotFound):
            use()


def test_a_full_mailbox_refuses_and_keeps_what_it_has(clock: Clock) -> None:
    boxes = some(clock, max_messages=2)
    boxes.deliver(2, 1, "", Raw(b"1"))
    boxes.deliver(2, 1, "", Raw(b"2"))
    with pytest.raises(LimitExceeded) as caught:
        boxes.deliver(2, 1, "", Raw(b"3"))
    assert "RECV" in caught.value.hint
    assert texts(boxes.take(2, 1)) == [b"1"]
    boxes.deliver(2, 1, "", Raw(b"4"))
    assert texts(boxes.take(2, 10)) == [b"2", b"4"]


def test_a_mailbox_is_bounded_by_bytes(clock: Clock) -> None:
    boxes = some(clock, max_bytes=10)
    boxes.deliver(2, 1, "", Raw(b"1" * 6))
    with pytest.raises(LimitExceeded):
        boxes.deliver(2, 1, "", Raw(b"1" * 5))
    boxes.deliver(2, 1, "", Raw(b"1" * 4))


def test_leased_messages_count_for_the_bounds(clock: Clock) -> None:
    boxes = some(clock, max_messages=1)
    id = boxes.deliver(2, 1, "", Raw(b"1"))
    boxes.take(2, 1, manual_ack=True)
    with pytest.raises(LimitExceeded):
        boxes.deliver(2, 1, "", Raw(b"2"))
    assert boxes.ack(2, [id]) == 1
    boxes.deliver(2, 1, "", Raw(b"2"))


def test_a_message_over_the_size_is_refused(clock: Clock) -> None:
    boxes = some(clock, max_message_bytes=3)
    boxes.deliver(2, 1, "", Raw(b"123"))
    for send in (boxes.deliver, lambda _, *rest: boxes.broadcast(*rest)):
        with pytest.raises(LimitExceeded):
            send(2, 1, "", Raw(b"1234"))


def test_all_mailboxes_together_are_bounded(clock: Clock) -> None:
    boxes = some(clock, 1, 2, 3, max_total_bytes=10 + OVERHEAD)
    boxes.deliver(2, 1, "", Raw(b"1" * 6))
    with pytest.raises(LimitExceeded):
        boxes.deliver(3, 2, "", Raw(b"1" * 6))
    boxes.close(2)
    boxes.deliver(3, 1, "", Raw(b"1" * 6))
    assert boxes.total_bytes == 6 + OVERHEAD


def test_a_family_has_its_share_of_all_mailboxes_however_many_agents_send(clock: Clock) -> None:
    boxes = Mailboxes(clock, MailLimits(max_total_bytes=80_000))
    for agent_id in (1, 2, 3, 4):
        boxes.open(agent_id)
    message = Raw(b"1" * 1000)
    for sender in (1, 2) * (17_500 // (1000 + OVERHEAD) // 2):
        boxes.deliver(4, sender, "", message, family=1)
    boxes.deliver(4, 1, "", message, family=1)
    with pytest.raises(LimitExceeded, match="your family of agents has"):
        boxes.deliver(4, 2, "", message, family=1)
    assert boxes.broadcast(1, "", message, family=1) == 0
    boxes.deliver(4, 3, "", message, family=3)
    boxes.take(4, 1)
    boxes.deliver(4, 2, "", message, family=1)


def test_one_sender_cannot_fill_the_mailboxes_of_all(clock: Clock) -> None:
    boxes = some(clock, 1, 2, 3, max_sender_bytes=10)
    boxes.deliver(2, 1, "", Raw(b"1" * 6))
    with pytest.raises(LimitExceeded):
        boxes.deliver(3, 1, "", Raw(b"1" * 6))
    boxes.deliver(3, 2, "", Raw(b"1" * 6))
    boxes.take(2, 1)
    boxes.deliver(3, 1, "", Raw(b"1" * 6))


def test_a_message_is_gone_when_its_time_is_over(clock: Clock) -> None:
    boxes = some(clock)
    boxes.deliver(2, 1, "", Raw(b"1"), 5)
    boxes.deliver(2, 1, "", Raw(b"2"))
    clock.advance(5)
    assert texts(boxes.take(2, 10)) == [b"2"]


def test_expired_messages_make_room(clock: Clock) -> None:
    boxes = some(clock, max_messages=2)
    boxes.deliver(2, 1, "", Raw(b"1"))
    boxes.deliver(2, 1, "", Raw(b"2"), 5)
    clock.advance(5)
    boxes.deliver(2, 1, "", Raw(b"3"))
    assert texts(boxes.take(2, 10)) == [b"1", b"3"]


def test_a_message_that_expires_after_its_lease_makes_room(clock: Clock) -> None:
    boxes = some(clock, max_messages=2, lease=30.0)
    boxes.deliver(2, 1, "", Raw(b"1"), 40)
    boxes.deliver(2, 1, "", Raw(b"2"), 5)
    boxes.take(2, 1, manual_ack=True)
    clock.advance(5)
    boxes.deliver(2, 1, "", Raw(b"3"))
    clock.advance(25)
    clock.advance(10)
    boxes.deliver(2, 1, "", Raw(b"4"))
    assert texts(boxes.take(2, 10)) == [b"3", b"4"]


def test_receive_waits_for_the_first_message(clock: Clock) -> None:
    boxes = some(clock)
    got: list[list[Mail]] = []
    boxes.receive(2, 10, 60).addCallback(got.append)
    assert got == []
    boxes.deliver(2, 1, "", Raw(b"1"))
    assert texts(got[0]) == [b"1"]
    assert boxes.take(2, 10) == []
    assert clock.getDelayedCalls() == []


def test_a_wait_ends_empty_when_its_time_is_over(clock: Clock) -> None:
    boxes = some(clock)
    got: list[list[Mail]] = []
    boxes.receive(2, 10, 60).addCallback(got.append)
    clock.advance(59.9)
    assert got == []
    clock.advance(0.1)
    assert got == [[]]
    boxes.deliver(2, 1, "", Raw(b"1"))
    assert texts(boxes.take(2, 10)) == [b"1"]


def test_a_wait_is_cut_to_the_limit(clock: Clock) -> None:
    boxes = some(clock, max_wait=10.0)
    got: list[list[Mail]] = []
    boxes.receive(2, 10, 1e300).addCallback(got.append)
    clock.advance(10)
    assert got == [[]]


def test_those_who_wait_are_served_in_order(clock: Clock) -> None:
    boxes = some(clock)
    got: list[tuple[str, list[bytes]]] = []

    def served(mails: list[Mail], name: str) -> None:
        got.append((name, texts(mails)))

    boxes.receive(2, 10, 60).addCallback(served, "first")
    boxes.receive(2, 10, 60).addCallback(served, "second")
    boxes.deliver(2, 1, "", Raw(b"1"))
    boxes.deliver(2, 1, "", Raw(b"2"))
    assert got == [("first", [b"1"]), ("second", [b"2"])]


def test_a_cancelled_wait_takes_no_message(clock: Clock) -> None:
    boxes = some(clock)
    waiting = boxes.receive(2, 10, 60)
    waiting.cancel()
    assert isinstance(failure(waiting), CancelledError)
    boxes.deliver(2, 1, "", Raw(b"1"))
    assert texts(boxes.take(2, 10)) == [b"1"]
    assert clock.getDelayedCalls() == []


def test_one_who_was_served_may_wait_again_at_once(clock: Clock) -> None:
    boxes = some(clock)
    got: list[bytes] = []

    def again(mails: list[Mail]) -> None:
        got.extend(texts(mails))
        boxes.receive(2, 1, 60).addCallback(again).addErrback(lambda _: None)

    again([])
    for text in (b"1", b"2", b"3"):
        boxes.deliver(2, 1, "", Raw(text))
    assert got == [b"1", b"2", b"3"]
    boxes.close(2)


def test_only_so_many_may_wait(clock: Clock) -> None:
    boxes = some(clock, max_waiters=1)
    waiting = boxes.receive(2, 1, 60)
    with pytest.raises(LimitExceeded):
        boxes.receive(2, 1, 60)
    boxes.close(2)
    assert isinstance(failure(waiting), Cancelled)


def test_close_ends_waits_and_forgets_all(clock: Clock) -> None:
    boxes = some(clock)
    waiting = boxes.receive(2, 1, 60)
    boxes.deliver(1, 2, "", Raw(b"1"))
    boxes.take(1, 1, manual_ack=True)
    boxes.deliver(1, 2, "", Raw(b"2"))
    boxes.close(1)
    boxes.close(2)
    boxes.close(2)
    assert isinstance(failure(waiting), Cancelled)
    assert boxes.total_bytes == 0
    assert clock.getDelayedCalls() == []


def test_what_is_not_acknowledged_comes_again_in_its_place(clock: Clock) -> None:
    boxes = some(clock, lease=30.0)
    for text in (b"1", b"2", b"3"):
        boxes.deliver(2, 1, "", Raw(text))
    first, second = boxes.take(2, 2, manual_ack=True)
    assert texts([first, second]) == [b"1", b"2"]
    assert boxes.ack(2, [second.id, 99]) == 1
    clock.advance(30)
    assert texts(boxes.take(2, 10)) == [b"1", b"3"]
    assert boxes.ack(2, [first.id]) == 0
    assert clock.getDelayedCalls() == []


def test_a_lease_that_ends_serves_one_who_waits(clock: Clock) -> None:
    boxes = some(clock, lease=30.0)
    boxes.deliver(2, 1, "", Raw(b"1"))
    boxes.take(2, 1, manual_ack=True)
    got: list[list[Mail]] = []
    boxes.receive(2, 1, 60).addCallback(got.append)
    clock.advance(30)
    assert texts(got[0]) == [b"1"]
    assert clock.getDelayedCalls() == []


def test_leases_of_different_ages_end_one_after_the_other(clock: Clock) -> None:
    boxes = some(clock, lease=30.0)
    boxes.deliver(2, 1, "", Raw(b"1"))
    boxes.deliver(2, 1, "", Raw(b"2"))
    boxes.take(2, 1, manual_ack=True)
    clock.advance(10)
    boxes.take(2, 1, manual_ack=True)
    clock.advance(20)
    assert texts(boxes.take(2, 10)) == [b"1"]
    clock.advance(10)
    assert texts(boxes.take(2, 10)) == [b"2"]


def test_release_ends_the_leases_of_a_receiver_that_died(clock: Clock) -> None:
    boxes = some(clock)
    boxes.deliver(2, 1, "", Raw(b"1"))
    boxes.take(2, 1, manual_ack=True)
    boxes.release(2)
    boxes.release(9)
    assert texts(boxes.take(2, 1)) == [b"1"]
    assert clock.getDelayedCalls() == []


def test_broadcast_reaches_all_others_and_skips_full_ones(clock: Clock) -> None:
    boxes = some(clock, 1, 2, 3, 4, max_messages=1)
    boxes.deliver(3, 1, "", Raw(b"0"))
    assert boxes.broadcast(1, "ann", Raw(b"1")) == 2
    assert [texts(boxes.take(id, 10)) for id in (1, 2, 3, 4)] == [[], [b"1"], [b"0"], [b"1"]]
    assert boxes.broadcast(1, "ann", Raw(b"2"), include_self=True) == 4


def test_each_delivery_is_told(clock: Clock) -> None:
    told: list[tuple[int, int, str, int]] = []
    boxes = Mailboxes(clock, on_delivered=lambda *facts: told.append(facts))
    for agent_id in (1, 2, 3):
        boxes.open(agent_id)
    sent = boxes.deliver(2, 1, "ann", Raw(b"1"))
    boxes.broadcast(1, "ann", Raw(b"2"))
    assert told == [(2, 1, "ann", sent), (2, 1, "ann", sent + 1), (3, 1, "ann", sent + 2)]


def test_a_batch_is_bounded(clock: Clock) -> None:
    boxes = some(clock, max_batch=2)
    for _ in range(3):
        boxes.deliver(2, 1, "", Raw(b"1"))
    assert len(boxes.take(2, 10**30)) == 2


def test_opening_again_keeps_what_is_there(clock: Clock) -> None:
    boxes = some(clock)
    boxes.deliver(2, 1, "", Raw(b"1"))
    boxes.open(2)
    assert texts(boxes.take(2, 1)) == [b"1"]


def filled(boxes: Mailboxes, to: int, family: int, size: int = 1) -> int:
    """Send as family until refused; how many were taken."""
    for sent in range(1000):
        try:
            boxes.deliver(to, family, "x", Raw(b"1" * size), family=family)
        except LimitExceeded:
            return sent
    return 1000


@pytest.mark.parametrize(("limits", "size"), [({"max_messages": 100}, 1), ({"max_bytes": 100}, 1)])
def test_other_families_leave_room_in_a_mailbox_for_its_owner_s_and_operators(
    clock: Clock, limits: dict[str, float], size: int
) -> None:
    boxes = some(clock, family_part=0.5, foreign_part=0.75, **limits)
    boxes.open(7, family=3)
    assert filled(boxes, 7, family=4, size=size) == 50
    assert filled(boxes, 7, family=5, size=size) == 25
    assert filled(boxes, 7, family=6, size=size) == 0
    boxes.deliver(7, 1, "operator", Raw(b"1"), family=OPERATORS)
    assert filled(boxes, 7, family=3, size=size) == 24
    boxes.take(7, 60)
    assert filled(boxes, 7, family=6, size=size) == 50


def test_messages_of_other_families_that_expire_make_room(clock: Clock) -> None:
    boxes = some(clock, max_messages=10, family_part=0.5, foreign_part=0.5)
    boxes.open(7, family=3)
    for _ in range(5):
        boxes.deliver(7, 4, "x", Raw(b"1"), ttl=1.0, family=4)
    with pytest.raises(LimitExceeded, match="5 messages of 5 bytes from your family"):
        boxes.deliver(7, 4, "x", Raw(b"1"), family=4)
    clock.advance(2)
    boxes.deliver(7, 4, "x", Raw(b"1"), family=4)
