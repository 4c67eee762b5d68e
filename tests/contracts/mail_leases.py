"""What every implementation of L{IMailboxes} does with messages until they are acknowledged."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from clove.errors import LimitExceeded
from clove.messages.mail import Mail
from tests.contracts.mail_making import MailMaking, message, texts

__all__ = ["LeaseContract"]


class LeaseContract(MailMaking):
    """What a receiver did not acknowledge comes again."""

    def test_what_is_not_acknowledged_comes_again_in_its_place(self, clock: Clock) -> None:
        boxes = self.some(clock, lease=30.0)
        for text in (b"1", b"2", b"3"):
            boxes.deliver(2, message(1, text))
        first, second = boxes.receive(2, 2, manual_ack=True)
        assert texts([first, second]) == [b"1", b"2"]
        assert boxes.ack(2, [second.id, 99]) == 1
        clock.advance(30)
        assert texts(boxes.receive(2, 10)) == [b"1", b"3"]
        assert boxes.ack(2, [first.id]) == 0
        assert clock.getDelayedCalls() == []

    def test_a_lease_that_ends_serves_a_waiter(self, clock: Clock) -> None:
        boxes = self.some(clock, lease=30.0)
        boxes.deliver(2, message(1, b"1"))
        boxes.receive(2, 1, manual_ack=True)
        got: list[list[Mail]] = []
        boxes.later("receive", 2, 1, 60).addCallback(got.append)
        clock.advance(30)
        assert texts(got[0]) == [b"1"]
        assert clock.getDelayedCalls() == []

    def test_leases_of_different_ages_end_one_after_the_other(self, clock: Clock) -> None:
        boxes = self.some(clock, lease=30.0)
        boxes.deliver(2, message(1, b"1"))
        boxes.deliver(2, message(1, b"2"))
        boxes.receive(2, 1, manual_ack=True)
        clock.advance(10)
        boxes.receive(2, 1, manual_ack=True)
        clock.advance(20)
        assert texts(boxes.receive(2, 10)) == [b"1"]
        clock.advance(10)
        assert texts(boxes.receive(2, 10)) == [b"2"]

    def test_release_ends_the_leases_of_a_receiver_that_died(self, clock: Clock) -> None:
        boxes = self.some(clock)
        boxes.deliver(2, message(1, b"1"))
        boxes.receive(2, 1, manual_ack=True)
        boxes.release(2)
        boxes.release(9)
        assert texts(boxes.receive(2, 1)) == [b"1"]
        assert clock.getDelayedCalls() == []

    def test_leased_messages_count_for_the_bounds(self, clock: Clock) -> None:
        boxes = self.some(clock, max_messages=1)
        id = boxes.deliver(2, message(1, b"1"))
        boxes.receive(2, 1, manual_ack=True)
        with pytest.raises(LimitExceeded):
            boxes.deliver(2, message(1, b"2"))
        assert boxes.ack(2, [id]) == 1
        boxes.deliver(2, message(1, b"2"))

    def test_a_message_that_expires_after_its_lease_makes_room(self, clock: Clock) -> None:
        boxes = self.some(clock, max_messages=2, lease=30.0)
        boxes.deliver(2, message(1, b"1", 40))
        boxes.deliver(2, message(1, b"2", 5))
        boxes.receive(2, 1, manual_ack=True)
        clock.advance(5)
        boxes.deliver(2, message(1, b"3"))
        clock.advance(25)
        clock.advance(10)
        boxes.deliver(2, message(1, b"4"))
        assert texts(boxes.receive(2, 10)) == [b"3", b"4"]
