"""What every implementation of L{IMailboxes} does with what is sent."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from clove.errors import NotFound
from clove.kernel.mail import IMailboxes, MailLimits
from tests.contracts.answers import Settled
from tests.contracts.mail_making import MailMaking, Owners, message, texts

__all__ = ["DeliveryContract"]


class DeliveryContract(MailMaking):
    """Nothing accepted is lost, and it comes in order."""

    def test_provides_the_interface(self, clock: Clock) -> None:
        verifyObject(IMailboxes, self.some(clock))

    def test_messages_come_in_order_with_their_sender_and_age(self, clock: Clock) -> None:
        boxes = self.some(clock)
        first = boxes.deliver(2, message(1, b'{"a": 1}', name="ann"))
        clock.advance(1.5)
        second = boxes.deliver(2, message(1, b"[2]", name="ann"))
        mails = boxes.receive(2, 10)
        assert [(m.id, m.from_, m.from_id, m.from_name, m.age_ms) for m in mails] == [
            (first, 1, 1, "ann", 1500),
            (second, 1, 1, "ann", 0),
        ]
        assert texts(mails) == [b'{"a": 1}', b"[2]"]
        assert first < second
        assert boxes.receive(2, 10) == []

    def test_ids_ascend_over_all_mailboxes(self, clock: Clock) -> None:
        boxes = self.some(clock)
        ids = [boxes.deliver(to, message(1, b"0")) for to in (1, 2, 1, 2)]
        assert ids == sorted(set(ids))

    def test_a_mailbox_that_does_not_exist_takes_nothing(self, clock: Clock) -> None:
        boxes = self.some(clock)
        with pytest.raises(NotFound):
            boxes.deliver(9, message(1, b"0"))
        with pytest.raises(NotFound):
            boxes.receive(9, 1)
        with pytest.raises(NotFound):
            boxes.receive(9, 1, 60)
        with pytest.raises(NotFound):
            boxes.ack(9, [1])

    def test_broadcast_reaches_all_others_and_skips_full_ones(self, clock: Clock) -> None:
        boxes = self.some(clock, 1, 2, 3, 4, max_messages=1)
        boxes.deliver(3, message(1, b"0"))
        assert boxes.broadcast(message(1, b"1", name="ann")) == 2
        assert [texts(boxes.receive(id, 10)) for id in (1, 2, 3, 4)] == [[], [b"1"], [b"0"], [b"1"]]
        assert boxes.broadcast(message(1, b"2", name="ann"), include_self=True) == 4

    def test_each_delivery_is_told(self, clock: Clock) -> None:
        told: list[tuple[int, int, str, int]] = []
        owners = Owners.alone(1, 2, 3)
        made = self.make(clock, owners, MailLimits(), lambda *facts: told.append(facts))
        boxes = Settled(clock, made)
        sent = boxes.deliver(2, message(1, b"1", name="ann"))
        boxes.broadcast(message(1, b"2", name="ann"))
        assert told == [(2, 1, "ann", sent), (2, 1, "ann", sent + 1), (3, 1, "ann", sent + 2)]

    def test_one_that_comes_later_has_a_mailbox_and_one_that_is_gone_has_none(
        self, clock: Clock
    ) -> None:
        owners = Owners.alone(1, 2)
        boxes = Settled(clock, self.make(clock, owners, MailLimits()))
        boxes.deliver(2, message(1, b"1"))
        owners[3] = 3
        assert boxes.broadcast(message(1, b"2")) == 2
        del owners[2]
        boxes.close(2)
        with pytest.raises(NotFound):
            boxes.receive(2, 1)
        assert boxes.broadcast(message(1, b"3")) == 1
        assert texts(boxes.receive(3, 10)) == [b"2", b"3"]

    def test_a_receiver_that_ends_another_at_once_keeps_a_broadcast_from_none_else(
        self, clock: Clock
    ) -> None:
        owners = Owners.alone(1, 2, 3, 4)

        def end_3(to: int, *_: object) -> None:
            if to == 2:
                del owners[3]
                made.close(3)

        made = self.make(clock, owners, MailLimits(), end_3)
        boxes = Settled(clock, made)
        assert boxes.broadcast(message(1, b"1")) == 2
        assert [texts(boxes.receive(id, 10)) for id in (2, 4)] == [[b"1"], [b"1"]]
